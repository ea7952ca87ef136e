//! Retention over files that remember what was done to them: in which order it renames, removes, syncs.

mod group;
mod lost_reserve;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::core::Task;
use super::low::Low;
use super::needed::Needed;
use super::query::Fate;
use super::window::Window;
use super::*;
use crate::agent::Agent;
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::carried::{Body, CarriedRecords};
use crate::journal::format::Position;
use crate::journal::protocol::{CompactedFiles, FromRetention, Moved, Switched, ToRetention};
use crate::journal::reserve;
use crate::journal::segment::SegmentStarted;
use crate::journal::storage::{Name, Storage};
use crate::journal::testing::{TestMessage, TestWriter};
use crate::journal::watched::{Deed, Watched};
use crate::limits::FREE_FILES_MAX;
use crate::ring::{Receiver, Sender, Wake, ring};

const SEGMENT: u64 = 4_096;

/// Retention over three closed segments and an open one, with whoever answers it.
struct Scene {
    storage: Watched,
    agent: RetentionAgent<Watched>,
    to_agent: Sender<ToRetention>,
    from_agent: Receiver<FromRetention>,
    freed: Receiver<u64>,
    to_replay: Receiver<Moved>,
    from_replay: Sender<Switched>,
    /// Words of messages that are not settled.
    unsettled: Vec<needed::Word>,
    /// What becomes of what is to be carried.
    fate: Fate,
    now: Now,
}

/// A segment with one message is begun.
fn started(number: u64) -> SegmentStarted {
    SegmentStarted {
        number,
        first_sequence: number + 1,
        time_ms: 0,
        taken: 0,
    }
}

impl Scene {
    /// Nothing of it is needed any more.
    fn new() -> Self {
        Self::with(Window::new(0, Duration::ZERO))
    }

    /// All of it is settled, and its ids are remembered for as long as this window says.
    fn with(window: Window) -> Self {
        Self::over(Watched::default(), window)
    }

    /// The same with these files.
    fn over(storage: Watched, window: Window) -> Self {
        Self::of(storage, window, None)
    }

    /// The same of a member of a group.
    fn of(storage: Watched, window: Window, group: Option<Arc<Low>>) -> Self {
        let mut writer = TestWriter::new(storage.clone(), SEGMENT);
        let segments = (0..4).map(started).collect();
        for number in 0..if group.is_some() { 8 } else { 4 } {
            let payload = Some(format!("\"{}\"", "x".repeat(3_000)));
            let message = TestMessage {
                payload,
                ..TestMessage::new(number + 1)
            };
            writer.messages(&[message]);
            writer.close();
        }
        let wake = Wake::new().expect("a descriptor");
        let (to_agent, from_journal) = ring(8, &wake);
        let (to_scheduler, from_agent) = ring(8, &wake);
        let (free_files, freed) = ring(FREE_FILES_MAX, &wake);
        let (switch, to_replay) = ring(8, &wake);
        let (switched, from_replay) = ring(8, &wake);
        let mut agent = RetentionAgent::new(RetentionParts {
            from_journal,
            to_scheduler,
            free_files,
            to_replay: switch,
            from_replay,
            core: CoreParts {
                storage: storage.clone(),
                segment_len: SEGMENT,
                segments,
                compacted: CompactedFiles::default(),
                reserve: None,
                next_segment: 4,
                window,
                max_bytes: u64::MAX,
                group,
                carried: CarriedRecords::default(),
            },
            draining: Arc::default(),
            may_compact: Arc::default(),
            has_store: false,
            counters: Arc::default(),
        });
        let now = Now {
            ns: 0,
            steady_us: 0,
            epoch_us: 0,
        };
        agent.on_start(now).expect("it always starts");
        Self {
            storage,
            agent,
            to_agent,
            from_agent,
            freed,
            to_replay,
            from_replay: switched,
            unsettled: Vec::new(),
            fate: Fate::Recorded(9 * SEGMENT),
            now,
        }
    }

    /// A cycle, some seconds after the last: all messages are settled.
    fn turn(&mut self) {
        self.now.ns += 2_000_000_000;
        self.agent.do_work(self.now).expect("it never gives up");
        while let Some(asked) = self.from_agent.poll() {
            if let FromRetention::Query(mut query) = asked {
                let first = self.unsettled.first().map_or(5, |it| it.first());
                (query.first_unsettled, query.next_sequence) = (first, 5);
                query.words.clone_from(&self.unsettled);
                query.reached = query.to;
                query.len_max = 64 * 1_024;
                if let Some((body, fate)) = &mut query.carry {
                    body.retain(&query.words);
                    *fate = self.fate;
                }
                let mut permit = self.to_agent.claim(1).expect("an empty ring");
                permit.send(ToRetention::Query(query));
                self.to_agent.flush();
            }
        }
    }

    /// Turns that often, on a full disk, and answers for replay.
    fn turn_full(&mut self, turns: usize) {
        let counters = Arc::clone(&self.agent.counters);
        counters.set(Counter::JournalWaiting, 1);
        for _ in 0..turns {
            self.turn();
            while self.to_replay.poll().is_some() {
                let mut permit = self.from_replay.claim(1).expect("an empty ring");
                permit.send(Switched);
                self.from_replay.flush();
            }
        }
    }

    /// Replay answers.
    fn switch(&mut self) {
        let mut permit = self.from_replay.claim(1).expect("an empty ring");
        permit.send(Switched);
        self.from_replay.flush();
        (0..2).for_each(|_| self.turn());
    }

    fn names(&self) -> Vec<Name> {
        self.storage.list().expect("memory")
    }

    /// Whether the names were synced behind the last deed of this kind.
    fn is_synced(&self, deed: &Deed) -> bool {
        let deeds = self.storage.deeds();
        let at = deeds.iter().rposition(|it| it == deed);
        at.is_some_and(|at| deeds[at..].contains(&Deed::SyncNames))
    }
}

#[test]
fn a_file_is_free_once_no_power_loss_can_make_it_a_segment_again() {
    let mut scene = Scene::new();
    let mut offered = Vec::new();
    for turn in 0..20 {
        scene.storage.fail_sync_names(turn % 3 == 0);
        scene.turn();
        while let Some(former) = scene.freed.poll() {
            let renamed = Deed::Rename(Name::Segment(former), Name::Free(former));
            let is_new = former == reserve::SETTLEMENTS;
            assert!(is_new || scene.is_synced(&renamed), "segment {former}");
            offered.extend((!is_new).then_some(former));
        }
    }
    assert_eq!(offered, [0, 1, 2]);
}

#[test]
fn on_a_full_disk_a_file_is_emptied_once_its_name_is_gone_for_good() {
    let mut scene = Scene::new();
    // No free file is wanted.
    scene.agent.core.room.max_bytes = 1;
    scene.agent.core.free = 1;
    scene.agent.counters.set(Counter::JournalWaiting, 1);
    for _ in 0..20 {
        scene.turn();
    }
    let deeds = scene.storage.deeds();
    let is_emptied = |at: &usize| matches!(deeds[*at], Deed::Truncate(..));
    let emptied: Vec<usize> = (0..deeds.len()).filter(is_emptied).collect();
    assert_eq!(emptied.len(), 3, "{deeds:?}");
    for at in emptied {
        assert_eq!(deeds[at - 1], Deed::SyncNames, "{deeds:?}");
        assert!(matches!(deeds[at - 2], Deed::Remove(_)), "{deeds:?}");
    }
}

#[test]
fn on_a_full_disk_what_is_settled_goes_though_its_ids_are_remembered() {
    let mut scene = Scene::with(Window::new(1_000, Duration::from_secs(600)));
    scene.turn();
    scene.turn();
    assert!(scene.names().contains(&reserve::COMPACTED));
    assert!(scene.names().contains(&Name::Segment(0)), "there is room");
    scene.turn_full(80);
    let names = scene.names();
    assert!(names.contains(&Name::Compacted(0, 3)), "{names:?}");
    assert!(
        names.contains(&reserve::COMPACTED),
        "made of a segment: {names:?}"
    );
    for number in 0..3 {
        assert!(!names.contains(&Name::Segment(number)), "{names:?}");
    }
}

#[test]
fn on_a_full_disk_an_absent_subscribers_messages_stay_until_they_are_settled() {
    let mut scene = Scene::with(Window::new(1_000, Duration::from_secs(600)));
    scene.unsettled = vec![needed::Word {
        number: 0,
        bits: 0b11110,
    }];
    scene.turn_full(80);
    for number in 0..3 {
        assert!(scene.names().contains(&Name::Segment(number)));
    }
    // All but the first are taken.
    scene.unsettled[0].bits = 0b10;
    scene.turn_full(80);
    let names = scene.names();
    assert!(!names.contains(&Name::Segment(1)), "{names:?}");
    assert!(!names.contains(&Name::Segment(2)), "{names:?}");
    let mut reader = crate::journal::reader::Reader::new(scene.storage.clone(), SEGMENT, 0);
    let (mut messages, mut ids) = (Vec::new(), Vec::new());
    while let Some(batch) = reader.next(Position::MAX).expect("it is whole") {
        messages.extend(batch.records().map(|it| it.sequence));
        ids.extend(batch.ids().map(|it| it.0));
    }
    assert_eq!((messages, ids), (vec![1, 4], vec![2, 3]));
}

/// All of it is settled and remembered, the disk is full, and this is set aside for a compaction.
fn full_with_reserve(reserve_len: u64) -> Scene {
    let mut storage = Watched::default();
    reserve::make(&mut storage, reserve::COMPACTED, reserve_len).expect("there is room");
    let mut scene = Scene::over(storage, Window::new(1_000, Duration::from_secs(600)));
    scene.storage.fill();
    // What settlements had is the open segment: without room there is no other.
    scene.agent.core.free = 0;
    scene
}

#[test]
fn room_for_a_compaction_that_could_not_be_opened_for_a_while_is_found_again() {
    let mut scene = full_with_reserve(reserve::compacted_len(SEGMENT));
    let begun = Deed::Rename(reserve::COMPACTED, Name::Unfinished(0, 3));
    while !scene.storage.deeds().contains(&begun) {
        scene.turn_full(1);
    }
    scene.storage.refuse_opening(true);
    scene.turn_full(1);
    assert!(scene.names().contains(&reserve::COMPACTED), "given back");
    scene.storage.refuse_opening(false);
    scene.turn_full(80);
    let names = scene.names();
    assert!(names.contains(&Name::Compacted(0, 3)), "{names:?}");
}

#[test]
fn of_a_segment_that_became_room_for_a_compaction_the_rest_is_given_back_later() {
    let mut scene = full_with_reserve(SEGMENT);
    scene.storage.refuse_opening(true);
    scene.turn_full(1);
    scene.storage.refuse_opening(false);
    scene.turn_full(1);
    let deeds = scene.storage.deeds();
    let cut = Deed::Truncate(reserve::COMPACTED, reserve::compacted_len(SEGMENT));
    assert!(deeds.contains(&cut), "{deeds:?}");
}

#[test]
fn what_a_full_disk_gives_back_is_room_for_a_compaction_first() {
    let mut scene = Scene::new();
    scene.agent.core.room.max_bytes = 1;
    scene.storage.leave(reserve::compacted_len(SEGMENT) / 4);
    scene.agent.core.free = 0;
    scene.unsettled = vec![needed::Word {
        number: 0,
        bits: 0b11110,
    }];
    let may_compact = Arc::clone(&scene.agent.may_compact);
    assert!(!may_compact.load(Ordering::Relaxed));
    scene.turn_full(3);
    assert!(may_compact.load(Ordering::Relaxed));
    let little = reserve::compacted_len(SEGMENT) / 8;
    let set_aside = reserve::len_if_there(&scene.storage, reserve::COMPACTED);
    assert_eq!(set_aside, little, "settlements need the rest");
    scene.storage.leave(SEGMENT);
    scene.turn_full(3);
    let set_aside = reserve::len_if_there(&scene.storage, reserve::COMPACTED);
    assert_eq!(set_aside, 8 * little);
}

#[test]
fn a_compacted_file_goes_after_all_that_it_replaced() {
    let mut scene = Scene::with(Window::new(1_000, Duration::from_secs(600)));
    let whole = Name::Compacted(0, 3);
    while !scene.names().contains(&whole) {
        scene.turn_full(1);
    }
    // Its ids are forgotten: nothing holds it any more.
    scene.now.steady_us += 700_000_000;
    for _ in 0..20 {
        scene.turn_full(1);
        let names = scene.names();
        let left = (0..3).any(|number| names.contains(&Name::Segment(number)));
        assert!(
            !left || names.contains(&whole),
            "a start misses a segment: {names:?}"
        );
    }
    assert!(!scene.names().contains(&whole));
}

#[test]
fn a_compacted_file_whose_name_could_not_be_synced_is_taken_back() {
    let mut scene = Scene::with(Window::new(1_000, Duration::from_secs(600)));
    let whole = Name::Compacted(0, 3);
    let renamed = Deed::Rename(Name::Unfinished(0, 3), whole);
    while !scene.storage.deeds().contains(&renamed) {
        scene.storage.fail_sync_names(true);
        scene.turn_full(1);
    }
    assert!(!scene.names().contains(&whole), "nobody reads it");
    scene.storage.fail_sync_names(false);
    scene.turn_full(80);
    assert!(scene.names().contains(&whole));
}
