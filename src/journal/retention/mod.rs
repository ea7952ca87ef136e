//! The retention agent: sees to it that the journal does not grow for ever.
//!
//! A segment goes when all in it is settled, stored, and out of the dedup window. Its file becomes
//! a free one, for the journal agent to write over, or is removed where enough of them wait. Where a
//! few unsettled messages hold many segments, these messages are carried forward into a compacted file; where
//! room is short, so are the ids that the dedup window remembers, and nothing else waits for it.
//! It has a thread of its own, for removing and syncing files takes time; it takes no part in the
//! path.
//!
//! ```text
//!   SCHEDULER <==== UnsettledQuery ======= [           ]
//!                                  [ retention ] === free files ==> JOURNAL
//!   JOURNAL == SegmentStarted, UnsettledQuery ====> [           ] <=== compacted files, Switched ===> REPLAY
//! ```

mod carrying;
pub mod compaction;
mod files;
mod limit;
pub mod query;
pub mod ranges;
pub mod room;
pub mod window;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

use self::compaction::{Compaction, Needed};
use self::query::UnsettledQuery;
use self::ranges::{SegmentRange, SegmentRanges, State};
use self::room::Room;
use self::window::Window;
use super::compacted::CompactedIndex;
use super::format::Position;
use super::protocol::{CompactedFiles, FromRetention, Switched, ToRetention};
use super::segment::SegmentStarted;
use super::storage::{Name, Storage};
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::faults::Part;
use crate::message::Sequence;
use crate::ring::{Receiver, Sender};

/// Between two queries that found something to do, in ns.
const QUERY_NS_MIN: u64 = 50_000_000;
/// Between two queries at most, in ns.
const QUERY_NS_MAX: u64 = 1_000_000_000;

/// Why the journal may not grow is told once in so long, in ns: at the limit it comes and goes.
const LOG_LIMIT_NS: u64 = 60_000_000_000;

/// What the retention agent is made of.
pub struct RetentionParts<S> {
    /// Segments that were begun, and queries, come from here.
    pub from_journal: Receiver<ToRetention>,
    /// Queries go there.
    pub to_scheduler: Sender<FromRetention>,
    /// Free files, by their former number, go there.
    pub free_files: Sender<u64>,
    /// The compacted files, whenever there are others, go there.
    pub to_replay: Sender<CompactedFiles>,
    /// Told when replay reads no file any more that those replace.
    pub from_replay: Receiver<Switched>,
    /// The compacted files that recovery found, in their order.
    pub compacted: CompactedFiles,
    /// Where the files live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// The segments that recovery found, in their order.
    pub segments: Vec<SegmentStarted>,
    /// The free file that the journal agent has from the start.
    pub reserve: Option<u64>,
    /// The number of the next segment.
    pub next_segment: u64,
    /// For how long ids must stay.
    pub window: Window,
    /// Bytes that all files may take on disk.
    pub max_bytes: u64,
    /// Set when the engine is about to stop.
    pub draining: Arc<AtomicBool>,
    /// Told whether the journal may not grow.
    pub limited: Arc<AtomicBool>,
    /// Whether there is a store that must have followed.
    pub has_store: bool,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// What is done about messages that hold old segments.
enum Task<S: Storage> {
    /// Nothing.
    None,
    /// Asks which messages of the first so many ranges must stay.
    Query {
        ripe: usize,
        rest: Range<Sequence>,
        needed: Needed,
    },
    /// Carries them forward.
    Compact(Box<Compaction<S>>),
    /// The compacted file stands: waits until replay reads from it.
    Switch(Vec<SegmentRange>),
}

/// The agent.
pub struct RetentionAgent<S: Storage> {
    parts: RetentionParts<S>,
    ranges: SegmentRanges,
    room: Room,
    granted: Option<Position>,
    /// The scheduler said that it has used up what was granted.
    is_at_limit: bool,
    /// Sources wait for room.
    is_limited: bool,
    log_limit_at_ns: u64,
    log_full_at_ns: u64,
    /// Bytes set aside for a compacted file; and when room that is missing is looked for again.
    compaction_reserve_len: u64,
    set_aside_at_ns: u64,
    /// A compacted file found no room: the next one takes what is set aside.
    is_compaction_cramped: bool,
    /// The segment that is being filled, or was when an earlier life of the engine ended.
    open: Option<SegmentStarted>,
    /// Free files that were offered to the journal agent, and that it has not taken.
    free: usize,
    /// Former numbers of free files whose names a power loss may still take back.
    renamed: Vec<u64>,
    /// Former numbers of free files that are not wanted.
    surplus: VecDeque<u64>,
    /// Files that nobody reads any more, in the order in which they go.
    leaving: VecDeque<Name>,
    /// At home between two queries.
    query: Option<Box<UnsettledQuery>>,
    task: Task<S>,
    /// The end of what was looked at for a compaction that was not worth it, and when.
    tried: (u64, u64),
    state: State,
    next_query_ns: u64,
    query_pause_ns: u64,
    /// The free files that an earlier life left are not found yet.
    seeks_free_files: bool,
    /// Files are left alone until then.
    next_try_ns: u64,
    is_failing: bool,
}

impl<S: Storage + Clone> RetentionAgent<S> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: RetentionParts<S>) -> Self {
        Self {
            ranges: SegmentRanges::new(parts.segment_len, parts.window),
            room: Room {
                max_bytes: parts.max_bytes,
                segment_len: parts.segment_len,
            },
            granted: None,
            is_at_limit: false,
            is_limited: false,
            log_limit_at_ns: 0,
            log_full_at_ns: 0,
            compaction_reserve_len: 0,
            set_aside_at_ns: 0,
            is_compaction_cramped: false,
            open: None,
            free: 0,
            renamed: Vec::new(),
            surplus: VecDeque::new(),
            leaving: VecDeque::new(),
            query: Some(UnsettledQuery::new()),
            task: Task::None,
            tried: (0, 0),
            state: State::default(),
            next_query_ns: 0,
            query_pause_ns: QUERY_NS_MIN,
            seeks_free_files: true,
            next_try_ns: 0,
            is_failing: false,
            parts,
        }
    }

    /// Notes the closed segments that recovery found.
    fn note_recovered(&mut self) {
        let mut compacted = std::mem::take(&mut self.parts.compacted)
            .into_iter()
            .peekable();
        for started in std::mem::take(&mut self.parts.segments) {
            while let Some(index) =
                compacted.next_if(|it| it.header.segments.start < started.number)
            {
                self.note_compacted(&index);
            }
            self.note_started(started);
        }
        compacted.for_each(|index| self.note_compacted(&index));
    }

    fn poll_journal(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while let Some(event) = self.parts.from_journal.poll() {
            work_count += 1;
            match event {
                ToRetention::Started(started) => {
                    self.free = self.free.saturating_sub(started.taken);
                    self.parts
                        .counters
                        .add(Counter::JournalRecycled, started.taken as u64);
                    self.note_started(started);
                    self.query_pause_ns = QUERY_NS_MIN;
                }
                ToRetention::Query(query) => self.take_answer(query, now),
            }
        }
        work_count
    }

    /// A segment was begun: the one before it is closed.
    fn note_started(&mut self, started: SegmentStarted) {
        if let Some(open) = self.open.replace(started) {
            let len = self.len_of(Name::Segment(open.number));
            self.ranges.push(SegmentRange::closed(&open, &started, len));
        }
    }

    /// A compacted file follows what was noted last.
    fn note_compacted(&mut self, index: &Arc<CompactedIndex>) {
        let header = &index.header;
        if let Some(open) = self.open.take() {
            let next = SegmentStarted {
                number: header.segments.start,
                first_sequence: header.sequences.start,
                ..open
            };
            let len = self.len_of(Name::Segment(open.number));
            self.ranges.push(SegmentRange::closed(&open, &next, len));
        }
        self.ranges.push(SegmentRange::compacted(index));
    }

    /// Bytes of a file; a whole segment's where the system does not say.
    fn len_of(&self, name: Name) -> u64 {
        let storage = &self.parts.storage;
        let len = storage.open(name).and_then(|file| storage.len(&file));
        len.unwrap_or(self.parts.segment_len)
    }

    fn take_answer(&mut self, query: Box<UnsettledQuery>, now: Now) {
        self.state.first_unsettled = query.first_unsettled;
        self.state.next_sequence = query.next_sequence;
        self.is_at_limit = query.is_at_limit;
        if let Task::Query { rest, needed, .. } = &mut self.task
            && query.to == rest.end
        {
            needed.extend(&query.words);
            rest.start = query.reached;
        }
        self.query = Some(query);
        self.next_query_ns = now.ns + self.query_pause_ns;
        self.query_pause_ns = (2 * self.query_pause_ns).min(QUERY_NS_MAX);
    }

    /// Asks how far the scheduler is, now and then, and only while something may go.
    fn ask(&mut self, now: Now) -> usize {
        let asked = match &self.task {
            Task::Query { rest, .. } => rest.clone(),
            _ if self.ranges.is_empty() || now.ns < self.next_query_ns => return 0,
            _ => 0..0,
        };
        let Some(mut permit) = self.parts.to_scheduler.claim(1) else {
            return 0;
        };
        let Some(mut query) = self.query.take() else {
            return 0;
        };
        (query.from, query.to) = (asked.start, asked.end);
        permit.send(FromRetention::Query(query));
        self.parts.to_scheduler.flush();
        1
    }

    fn update_state(&mut self, now: Now) {
        self.state.now_ms = now.steady_ms();
        self.state.stored = match self.parts.has_store {
            true => self.parts.counters.get(Counter::StorePosition),
            false => u64::MAX,
        };
    }

    /// Lets the oldest range go, if nothing holds it and nobody is at work on it.
    fn drop_first(&mut self) -> io::Result<usize> {
        if matches!(self.task, Task::Compact(_) | Task::Switch(_)) {
            return Ok(0);
        }
        let Some(first) = self.ranges.first_to_go(&self.state) else {
            return Ok(0);
        };
        let name = first.name();
        self.free_file(name)?;
        self.ranges.pop();
        self.task = Task::None;
        self.query_pause_ns = QUERY_NS_MIN;
        Ok(1)
    }

    fn free_leaving(&mut self) -> io::Result<usize> {
        let Some(&name) = self.leaving.front() else {
            return Ok(0);
        };
        self.free_file(name)?;
        self.leaving.pop_front();
        Ok(1)
    }

    fn tidy(&mut self, now: Now) -> io::Result<usize> {
        if self.seeks_free_files {
            self.find_free_files()?;
            self.seeks_free_files = false;
        }
        self.update_state(now);
        let offered = self.offer_renamed()?;
        let freed = self.remove_surplus()? + self.free_leaving()? + self.drop_first()?;
        let freed = offered + freed + self.set_aside(now);
        self.log_full(now);
        if self.parts.draining.load(Ordering::Relaxed) {
            // Nobody shall wait for it; the next start throws away what was begun.
            return Ok(freed);
        }
        match self.carry_on(now) {
            Ok(count) => Ok(freed + count),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// A file that cannot be renamed or removed costs room, and nothing else: it is told once, and
    /// tried again.
    fn note_result(&mut self, tidied: io::Result<usize>, now: Now) -> usize {
        match tidied {
            Ok(count) => {
                if count > 0 && std::mem::take(&mut self.is_failing) {
                    self.parts.counters.faults().clear(Part::Retention);
                    info!("old journal files can be removed again");
                }
                count
            }
            Err(error) => {
                let faults = self.parts.counters.faults();
                faults.set(Part::Retention, now.epoch_us, &error.to_string());
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(
                        %error,
                        "old journal files cannot be rewritten, renamed or removed: they stay, \
                         and it is tried again"
                    );
                }
                self.next_try_ns = now.ns + QUERY_NS_MAX;
                self.tried.1 = if self.is_compaction_cramped && self.compaction_reserve_len > 0 {
                    self.next_try_ns
                } else {
                    now.ns + self.retry_ns()
                };
                0
            }
        }
    }

    fn publish(&self) {
        let counters = &self.parts.counters;
        let open = u64::from(self.open.is_some());
        counters.set(Counter::JournalSegments, self.ranges.count() as u64 + open);
        counters.set(Counter::JournalDisk, self.disk_len());
    }
}

impl<S: Storage + Clone> Agent for RetentionAgent<S> {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn on_start(&mut self, _: Now) -> Result<(), Fatal> {
        self.note_recovered();
        Ok(())
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.poll_journal(now);
        if now.ns >= self.next_try_ns {
            let tidied = self.tidy(now);
            work_count += self.note_result(tidied, now);
        }
        work_count += self.ask(now);
        self.grant(now);
        if work_count > 0 {
            self.publish();
        }
        self.parts.to_scheduler.flush();
        self.parts.free_files.flush();
        Ok(work_count)
    }
}

#[cfg(test)]
mod tests;
