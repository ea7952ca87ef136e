//! The core of retention beside a naive model, which knows of each message whether it is settled, stored
//! and remembered: what is needed is there after every step, and what is not goes in the end.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::journal::carried::CarriedRecords;
use crate::journal::reader::Reader;
use crate::journal::reserve;
use crate::journal::retention::needed::Word;
use crate::journal::testing::{TIME_US, TestMessage, TestWriter};
use crate::journal::watched::Watched;

const SEGMENT: u64 = 4_096;
/// Ids that are remembered, and for so long, in s.
const WINDOW: (u64, u64) = (20, 100);

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    /// A message of so many bytes is accepted.
    Accept(usize),
    /// One of those that are not settled is, chosen by this number.
    Settle(usize),
    Store,
    /// So many seconds pass.
    Wait(u64),
    /// The core's next cycle; the disk is full; this fails in it.
    Work {
        is_full: bool,
        fault: Fault,
    },
    /// The scheduler's answer comes.
    Answer,
    /// Replay answers.
    Switch,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    SyncNames,
    Open,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        8 => Just(Fault::None),
        1 => Just(Fault::SyncNames),
        1 => Just(Fault::Open),
    ];
    let work = (prop::bool::weighted(0.2), fault);
    prop_oneof![
        6 => (0..1_500_usize).prop_map(Step::Accept),
        6 => any::<usize>().prop_map(Step::Settle),
        3 => Just(Step::Store),
        2 => (1..30_u64).prop_map(Step::Wait),
        8 => work.prop_map(|(is_full, fault)| Step::Work { is_full, fault }),
        5 => Just(Step::Answer),
        3 => Just(Step::Switch),
    ]
}

/// The core and whoever answers it, with the model.
struct Scene {
    storage: Watched,
    writer: TestWriter<Watched>,
    core: Retention<Watched>,
    now: Now,
    query: Option<Box<UnsettledQuery>>,
    switching: bool,
    /// Free files that the journal agent has.
    free: Vec<u64>,
    open: Option<u64>,
    next_sequence: Sequence,
    unsettled: BTreeSet<Sequence>,
    /// How far the store has come, and the sequence of the next message for it.
    stored: (Position, Sequence),
}

impl Scene {
    fn new() -> Self {
        let storage = Watched::default();
        let (messages, seconds) = WINDOW;
        let window = Window::new(messages as usize, std::time::Duration::from_secs(seconds));
        let parts = CoreParts {
            storage: storage.clone(),
            segment_len: SEGMENT,
            segments: Vec::new(),
            compacted: CompactedFiles::default(),
            reserve: None,
            next_segment: 0,
            window,
            max_bytes: u64::MAX,
            group: None,
            carried: CarriedRecords::default(),
        };
        let mut core = Retention::new(parts, Arc::default());
        core.note_recovered();
        Self {
            writer: TestWriter::new(storage.clone(), SEGMENT),
            storage,
            core,
            now: Now {
                ns: 0,
                steady_us: TIME_US,
                epoch_us: TIME_US,
            },
            query: None,
            switching: false,
            free: Vec::new(),
            open: None,
            next_sequence: 1,
            unsettled: BTreeSet::new(),
            stored: (0, 1),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Accept(len) => self.accept(len),
            Step::Settle(choice) => {
                let count = self.unsettled.len().max(1);
                let chosen = self.unsettled.iter().nth(choice % count).copied();
                chosen.map(|it| self.unsettled.remove(&it));
            }
            Step::Store => self.stored = (self.writer.position(), self.next_sequence),
            Step::Wait(seconds) => self.wait(seconds),
            Step::Work { is_full, fault } => self.work(is_full, fault),
            Step::Answer => self.answer(),
            Step::Switch => {
                if std::mem::take(&mut self.switching) {
                    self.core.note_switched();
                }
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(std::time::Duration::from_secs(seconds));
    }

    fn accept(&mut self, len: usize) {
        let sequence = self.next_sequence;
        let message = TestMessage {
            payload: Some(format!("\"{}\"", "x".repeat(len))),
            ..TestMessage::new(sequence)
        };
        let number = self.writer.messages(&[message]) / SEGMENT;
        self.next_sequence += 1;
        self.unsettled.insert(sequence);
        if self.open.replace(number) != Some(number) {
            // The writer makes a new file; the journal agent would have written over this one.
            let taken = self.free.pop();
            if let Some(former) = taken {
                self.storage
                    .remove(Name::Free(former))
                    .expect("it is there");
            }
            self.core.note_begun(SegmentStarted {
                number,
                first_sequence: sequence,
                time_ms: self.now.steady_ms(),
                taken: usize::from(taken.is_some()),
            });
        }
    }

    fn work(&mut self, is_full: bool, fault: Fault) {
        self.storage.fail_sync_names(fault == Fault::SyncNames);
        self.storage.refuse_opening(fault == Fault::Open);
        let inputs = Inputs {
            stored: self.stored.0,
            is_full,
            is_draining: false,
        };
        self.core.work(inputs, self.now);
        self.storage.fail_sync_names(false);
        self.storage.refuse_opening(false);
        for former in self.core.take_free_files() {
            assert!(!self.free.contains(&former), "{former} is offered twice");
            self.free.push(former);
        }
        assert!(self.free.len() <= FREE_FILES_MAX);
        if self.core.take_moved().is_some() {
            assert!(!self.switching, "replay has not answered the one before");
            self.switching = true;
        }
        if self.query.is_none() {
            self.query = self.core.ask(self.now);
        }
    }

    fn answer(&mut self) {
        let Some(mut query) = self.query.take() else {
            return;
        };
        query.words.clear();
        for &sequence in self.unsettled.range(query.from..query.to) {
            let (number, bit) = (sequence / 64, 1 << (sequence % 64));
            match query.words.last_mut().filter(|it| it.number == number) {
                Some(word) => word.bits |= bit,
                None => query.words.push(Word { number, bits: bit }),
            }
        }
        query.reached = query.to;
        query.next_sequence = self.next_sequence;
        query.first_unsettled = self
            .unsettled
            .first()
            .copied()
            .unwrap_or(self.next_sequence);
        self.core.take_answer(query, self.now);
    }

    /// The messages, and the ids of others, that a start would find.
    fn found(&self) -> (BTreeSet<Sequence>, BTreeSet<Sequence>) {
        let mut reader = Reader::new(self.storage.clone(), SEGMENT, 0);
        let (mut messages, mut ids) = (BTreeSet::new(), BTreeSet::new());
        while let Some(batch) = reader.next(Position::MAX).expect("it is whole") {
            for record in batch.records() {
                assert!(
                    messages.insert(record.sequence),
                    "{} twice",
                    record.sequence
                );
            }
            ids.extend(batch.ids().map(|it| it.0));
        }
        (messages, ids)
    }

    fn check(&self) {
        let (messages, ids) = self.found();
        for sequence in &self.unsettled {
            assert!(messages.contains(sequence), "{sequence} is unsettled");
        }
        for sequence in self.stored.1..self.next_sequence {
            assert!(messages.contains(&sequence), "{sequence} is not stored");
        }
        // What the window has not forgotten by number may be forgotten by time.
        if self.now.ns < WINDOW.1 * 1_000_000_000 {
            let remembered = self.next_sequence.saturating_sub(WINDOW.0).max(1);
            for sequence in remembered..self.next_sequence {
                let is_there = messages.contains(&sequence) || ids.contains(&sequence);
                assert!(is_there, "{sequence} is remembered");
            }
        }
        for former in &self.free {
            let is_there = self.storage.open(Name::Free(*former)).is_ok();
            assert!(is_there, "{former} was offered");
        }
    }

    /// All is settled, stored and forgotten: only the open segment stays, and room that is set aside.
    fn check_end(&mut self) {
        self.unsettled.clear();
        self.take(&Step::Store);
        self.wait(2 * WINDOW.1);
        for _ in 0..200 {
            self.wait(2);
            self.work(false, Fault::None);
            self.answer();
            self.take(&Step::Switch);
        }
        for name in self.storage.list().expect("memory") {
            let stays = match name {
                Name::Segment(number) => Some(number) == self.open,
                Name::Free(former) => name == reserve::COMPACTED || self.free.contains(&former),
                Name::Compacted(..) | Name::Unfinished(..) => false,
            };
            assert!(stays, "{name:?} is not needed");
        }
    }
}

proptest! {
    // Each step reads the whole journal.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_needed_stays_and_what_is_not_goes(steps in prop::collection::vec(step(), 1..250)) {
        let mut scene = Scene::new();
        for step in &steps {
            scene.take(step);
            scene.check();
        }
        scene.check_end();
    }
}
