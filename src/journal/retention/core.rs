//! The core of retention: what may go, what is carried forward, and how far the journal may grow.
//!
//! The agent feeds it what the others say and takes from it what they are to be told. It knows files, and
//! neither rings nor threads. Decisions stand in `ranges`, `window` and `room`, which are pure; what is done
//! with files in `files`, compactions in `carrying`, carried records of a group in `group`, the bound in `limit`.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use tracing::{info, warn};

use super::compaction::Compaction;
use super::group::{CarriedSet, Carrying};
use super::low::Low;
use super::needed::Needed;
use super::parts::CoreParts;
use super::query::{Fate, UnsettledQuery};
use super::ranges::{SegmentRange, SegmentRanges, State};
use super::room::Room;
use super::window::Window;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::faults::Part;
use crate::journal::compacted::CompactedIndex;
use crate::journal::format::Position;
use crate::journal::protocol::{CompactedFiles, Moved};
use crate::journal::segment::SegmentStarted;
use crate::journal::storage::{Name, Storage};
use crate::limits::FREE_FILES_MAX;
use crate::message::Sequence;

/// Between two queries that found something to do, in ns.
const QUERY_NS_MIN: u64 = 50_000_000;
/// Between two queries at most, in ns.
const QUERY_NS_MAX: u64 = 1_000_000_000;

/// Why the journal may not grow is told once in so long, in ns: at the limit it comes and goes.
pub(super) const LOG_LIMIT_NS: u64 = 60_000_000_000;

/// What is done about messages that hold old segments.
pub(super) enum Task<S: Storage> {
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
    /// In a group: messages become carried records.
    Carry(Box<Carrying<S>>),
    /// They stand, so many new ones among them: waits until replay reads from them.
    Carried(CarriedSet, u64),
}

/// What the core is told in each cycle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    /// How far the store has followed.
    pub(super) stored: Position,
    /// Messages wait for room on the disk.
    pub(super) is_full: bool,
    /// The engine is about to stop: nobody shall wait for a compaction.
    pub(super) is_draining: bool,
}

/// See the module.
pub(super) struct Retention<S: Storage> {
    pub(super) storage: S,
    pub(super) segment_len: u64,
    pub(super) window: Window,
    /// What recovery found.
    pub(super) recovered: (Vec<SegmentStarted>, CompactedFiles),
    /// The free file that the journal agent has from the start.
    pub(super) reserve: Option<u64>,
    pub(super) next_segment: u64,
    pub(super) counters: Arc<Counters>,
    pub(super) group: Option<Arc<Low>>,
    /// In a group: what was carried so far.
    pub(super) carried: CarriedSet,
    /// In a group: bytes that a record's batches may have.
    pub(super) record_len_max: usize,
    pub(super) ranges: SegmentRanges,
    pub(super) room: Room,
    /// What the scheduler was told last.
    pub(super) granted: Option<Position>,
    /// Messages wait for room on the disk.
    pub(super) is_full: bool,
    pub(super) is_draining: bool,
    /// The scheduler said that it has used up what was granted.
    pub(super) is_at_limit: bool,
    /// Sources wait for room.
    pub(super) is_limited: bool,
    pub(super) log_limit_at_ns: u64,
    pub(super) log_full_at_ns: u64,
    /// Bytes set aside for a compacted file; and when room that is missing is looked for again.
    pub(super) compaction_reserve_len: u64,
    pub(super) set_aside_at_ns: u64,
    /// A compacted file found no room: the next one takes what is set aside.
    pub(super) is_compaction_cramped: bool,
    /// The segment that is being filled, or was when an earlier life of the engine ended.
    pub(super) open: Option<SegmentStarted>,
    /// Free files that were offered to the journal agent, and that it has not taken.
    pub(super) free: usize,
    /// Former numbers of free files whose names a power loss may still take back.
    pub(super) renamed: Vec<u64>,
    /// Former numbers of free files that are not wanted.
    pub(super) surplus: VecDeque<u64>,
    /// Former numbers of free files that the journal agent is to be told of.
    pub(super) free_files: Vec<u64>,
    /// What replay is to be told of.
    pub(super) moved: Option<Moved>,
    /// Replay reads from what it was told of last.
    pub(super) is_switched: bool,
    /// Files that nobody reads any more, in the order in which they go.
    pub(super) leaving: VecDeque<Name>,
    /// At home between two queries.
    pub(super) query: Option<Box<UnsettledQuery>>,
    pub(super) task: Task<S>,
    /// The end of what was looked at for a compaction that was not worth it, and when.
    pub(super) tried: (u64, u64),
    pub(super) state: State,
    pub(super) next_query_ns: u64,
    pub(super) query_pause_ns: u64,
    /// The free files that an earlier life left are not found yet.
    pub(super) seeks_free_files: bool,
    /// Files are left alone until then.
    pub(super) next_try_ns: u64,
    pub(super) is_failing: bool,
}

impl<S: Storage + Clone> Retention<S> {
    pub(super) fn new(parts: CoreParts<S>, counters: Arc<Counters>) -> Self {
        Self {
            ranges: SegmentRanges::new(parts.segment_len, parts.window),
            room: Room {
                max_bytes: parts.max_bytes,
                segment_len: parts.segment_len,
            },
            storage: parts.storage,
            segment_len: parts.segment_len,
            window: parts.window,
            recovered: (parts.segments, parts.compacted),
            reserve: parts.reserve,
            next_segment: parts.next_segment,
            counters,
            group: parts.group,
            carried: CarriedSet {
                records: parts.carried,
                ..CarriedSet::default()
            },
            record_len_max: 0,
            granted: None,
            is_full: false,
            is_draining: false,
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
            free_files: Vec::with_capacity(FREE_FILES_MAX),
            moved: None,
            is_switched: false,
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
        }
    }

    /// Notes the closed segments that recovery found.
    pub(super) fn note_recovered(&mut self) {
        let (segments, compacted) = std::mem::take(&mut self.recovered);
        let mut compacted = compacted.into_iter().peekable();
        for started in segments {
            while let Some(index) =
                compacted.next_if(|it| it.header.segments.start < started.number)
            {
                self.note_compacted(&index);
            }
            self.note_started(started);
        }
        compacted.for_each(|index| self.note_compacted(&index));
    }

    /// The journal agent has begun a segment.
    pub(super) fn note_begun(&mut self, started: SegmentStarted) {
        self.free = self.free.saturating_sub(started.taken);
        self.counters
            .add(Counter::JournalRecycled, started.taken as u64);
        self.note_started(started);
        self.query_pause_ns = QUERY_NS_MIN;
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
            // When the first of what was compacted was recorded is not known: its ids stay for as long as those
            // of the last.
            let next = SegmentStarted {
                number: header.segments.start,
                first_sequence: header.sequences.start,
                time_ms: header.end_ms,
                taken: 0,
            };
            let len = self.len_of(Name::Segment(open.number));
            self.ranges.push(SegmentRange::closed(&open, &next, len));
        }
        self.ranges.push(SegmentRange::compacted(index));
    }

    /// Bytes of a file; a whole segment's where the system does not say.
    pub(super) fn len_of(&self, name: Name) -> u64 {
        let storage = &self.storage;
        let len = storage.open(name).and_then(|file| storage.len(&file));
        len.unwrap_or(self.segment_len)
    }

    /// The scheduler's answer, behind the settlements that it speaks of.
    pub(super) fn take_answer(&mut self, mut query: Box<UnsettledQuery>, now: Now) {
        self.state.first_unsettled = query.first_unsettled;
        self.state.next_sequence = query.next_sequence;
        self.is_at_limit = query.is_at_limit;
        // What was asked for an earlier task is no answer to this one.
        if let Task::Query { rest, needed, .. } = &mut self.task
            && (query.from, query.to) == (rest.start, rest.end)
            && query.carry.is_none()
        {
            needed.extend(&query.words);
            rest.start = query.reached;
        }
        self.record_len_max = query.len_max;
        if let Some((body, fate)) = query.carry.take() {
            self.note_fate(&body, fate, now);
        }
        self.query = Some(query);
        self.next_query_ns = now.ns + self.query_pause_ns;
        self.query_pause_ns = (2 * self.query_pause_ns).min(QUERY_NS_MAX);
    }

    /// A question how far the scheduler is: now and then, and only while something may go.
    pub(super) fn ask(&mut self, now: Now) -> Option<Box<UnsettledQuery>> {
        let mut carry = None;
        let asked = match &mut self.task {
            Task::Query { rest, .. } => rest.clone(),
            Task::Carry(carrying) if self.query.is_some() && carrying.has_body() => {
                let body = carrying.take()?;
                let asked = body.sequences();
                carry = Some((body, Fate::Wanted));
                asked
            }
            _ if self.ranges.is_empty() || now.ns < self.next_query_ns => return None,
            _ => 0..0,
        };
        let mut query = self.query.take()?;
        (query.from, query.to) = (asked.start, asked.end);
        query.carry = carry;
        Some(query)
    }

    /// Former numbers of free files that the journal agent gets.
    pub(super) fn take_free_files(&mut self) -> impl Iterator<Item = u64> {
        self.free_files.drain(..)
    }

    /// What has moved since it was asked last.
    pub(super) fn take_moved(&mut self) -> Option<Moved> {
        self.moved.take()
    }

    /// Replay reads no file any more that something has left.
    pub(super) fn note_switched(&mut self) {
        self.is_switched = true;
    }

    /// Whether room for a compaction is set aside: without it messages could take all that there is, and
    /// what holds a segment could never be carried forward.
    pub(super) fn may_compact(&self) -> bool {
        self.compaction_reserve_len > 0
    }

    /// One cycle with the files; returns the work count.
    pub(super) fn work(&mut self, inputs: Inputs, now: Now) -> usize {
        (self.is_full, self.is_draining) = (inputs.is_full, inputs.is_draining);
        self.state.stored = inputs.stored;
        if now.ns < self.next_try_ns {
            return 0;
        }
        let tidied = self.tidy(now);
        self.note_result(tidied, now)
    }

    /// Lets the oldest range go, if nothing holds it and nobody is at work on it.
    fn drop_first(&mut self) -> io::Result<usize> {
        // Before what a compacted file replaces has gone, the file stays: those go in no order, and a
        // start would miss the segments between them.
        let is_at_work = !matches!(self.task, Task::None | Task::Query { .. });
        if is_at_work || !self.leaving.is_empty() {
            return Ok(0);
        }
        let first = match &self.group {
            Some(group) => self.ranges.first_agreed(group.agreed(), &self.state),
            None => self.ranges.first_to_go(&self.state),
        };
        let Some(first) = first else {
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
        self.state.now_ms = now.steady_ms();
        let offered = self.offer_renamed()?;
        let freed = self.remove_surplus()? + self.free_leaving()? + self.drop_first()?;
        let freed = offered + freed + self.set_aside(now);
        self.log_full(now);
        if let Some(group) = &self.group {
            group.propose(self.ranges.low(&self.state).max(self.carried.low));
        }
        if self.is_draining {
            // The next start throws away what was begun.
            return Ok(freed);
        }
        let carried = match self.group.is_some() {
            true => self.carry_in_group(now).map_err(io::Error::other)?,
            false => self.carry_on(now).map_err(io::Error::other)?,
        };
        Ok(freed + carried)
    }

    /// A file that cannot be renamed or removed costs room, and nothing else: it is told once, and
    /// tried again.
    fn note_result(&mut self, tidied: io::Result<usize>, now: Now) -> usize {
        match tidied {
            Ok(count) => {
                if count > 0 && std::mem::take(&mut self.is_failing) {
                    self.counters.faults().clear(Part::Retention);
                    info!("old journal files can be removed again");
                }
                count
            }
            Err(error) => {
                let faults = self.counters.faults();
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

    pub(super) fn publish(&self) {
        let counters = &self.counters;
        let open = usize::from(self.open.is_some());
        let files = self.ranges.count() + open + self.leaving.len();
        counters.set(Counter::JournalSegments, files as u64);
        counters.set(Counter::JournalDisk, self.disk_len());
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod recovered_tests;
