//! "It keeps its promises for months": what an engine has when all is settled, stored and forgotten is
//! within bounds that do not know how long it has run.

use flipped_lb::counters::{Counter, Snapshot};
use flipped_lb::limits::{CHUNKS_AT_INGEST, CHUNKS_AT_REPLAY, FREE_FILES_MAX};

use crate::checkers::Verdict;
use crate::heap::Held;
use crate::plan::{Month, Plan, REJECTED_FILE_LEN, REJECTED_TOTAL_LEN};

/// Files of the journal: the segment that is being filled, the one before it, free ones, and two of
/// room set aside.
const JOURNAL_FILES_MAX: usize = 2 + FREE_FILES_MAX + 2;
/// Files of rejected lines: two that follow each other are longer than one may be.
const REJECTED_FILES_MAX: usize = 2 * REJECTED_TOTAL_LEN / REJECTED_FILE_LEN + 1;
/// Open files: of the writer the segment, the next one and the room set aside, of replay, retention and
/// the store what each reads, and of the rejects agent its file.
const OPEN_FILES_MAX: usize = 10;
/// Frame memory that is in use while nothing waits: empty chunks at those who fill them.
const CHUNKS_MAX: usize = CHUNKS_AT_INGEST + CHUNKS_AT_REPLAY;
/// Days after which an engine has all the memory that it needs.
const WARM_DAYS: usize = 7;
/// What it may have more than the most of those days: a queue has met a longer burst, and doubles.
const HEAP_SLACK: Held = Held {
    bytes: 512 * 1024,
    blocks: 64,
};
/// What engines that have ended may leave in all: what a process makes once.
const LEFT_BEHIND: Held = Held {
    bytes: 64 * 1024,
    blocks: 256,
};
/// Gauges that are 0 while nothing happens.
const AT_REST: &[Counter] = &[
    Counter::Queued,
    Counter::QueuedCold,
    Counter::InFlight,
    Counter::SourcesHeld,
    Counter::RejectedHeld,
    Counter::RejectedWaiting,
    Counter::RejectedFailing,
    Counter::ListenersFailing,
    Counter::ListenersFull,
    Counter::JournalWaiting,
    Counter::JournalStuck,
    Counter::StoreFailing,
    Counter::StoreLagMessages,
];

/// What there is at the end of a day.
#[derive(Debug)]
pub struct Remainder {
    /// Files, and their bytes.
    pub journal: (usize, usize),
    pub rejected: (usize, usize),
    pub open_files: usize,
    pub sockets: usize,
    pub heap: Held,
    pub counters: Snapshot,
}

/// Looks at each day.
#[derive(Debug, Default)]
pub struct Growth {
    days: usize,
    /// The most of the first days.
    heap: Held,
    /// The present life's counters of the day before.
    before: Option<Snapshot>,
    /// Power was lost in this shift.
    has_lost_power: bool,
    /// Shifts in a row, up to the last one, in which power was lost. The time that had passed since the
    /// journal's last record is not known then, so the ids of the shift before are remembered too.
    unknown_shifts: usize,
}

fn within(what: &str, value: usize, bound: usize) -> Verdict {
    match value <= bound {
        true => Ok(()),
        false => Err(format!("{what}: {value}, and {bound} is the bound")),
    }
}

/// One for each peer, and those of dials that are not answered: a name has two addresses besides.
fn sockets_max(plan: &Plan) -> usize {
    let dialled = plan.sources.iter().filter(|it| !it.dials_in).count();
    plan.sources.len() + plan.customers.len() + 2 * dialled
}

/// What engines before have left may be freed later.
fn count(held: i64) -> usize {
    held.max(0) as usize
}

impl Growth {
    /// The lines of a shift were sent.
    pub fn note_shift(&mut self) {
        let has_lost_power = std::mem::take(&mut self.has_lost_power);
        self.unknown_shifts = if has_lost_power {
            self.unknown_shifts + 1
        } else {
            0
        };
    }

    /// A life has ended, and this is what is left of the heap.
    pub fn note_end(&mut self, left: Held, has_lost_power: bool) -> Verdict {
        self.before = None;
        self.has_lost_power |= has_lost_power;
        within(
            "bytes that engines leave behind",
            count(left.bytes),
            count(LEFT_BEHIND.bytes),
        )?;
        within(
            "blocks that engines leave behind",
            count(left.blocks),
            count(LEFT_BEHIND.blocks),
        )
    }

    /// The end of a day.
    pub fn look(&mut self, plan: &Plan, it: Remainder) -> Verdict {
        self.days += 1;
        let of = |counter| it.counters.get(counter);
        let segment = plan.segment as usize;
        within("files of the journal", it.journal.0, JOURNAL_FILES_MAX)?;
        within(
            "bytes of the journal",
            it.journal.1,
            JOURNAL_FILES_MAX * segment,
        )?;
        within("files of rejected lines", it.rejected.0, REJECTED_FILES_MAX)?;
        within("bytes of rejected lines", it.rejected.1, REJECTED_TOTAL_LEN)?;
        within("open files", it.open_files, OPEN_FILES_MAX)?;
        within("sockets", it.sockets, sockets_max(plan))?;
        within(
            "chunks of frame memory",
            of(Counter::ChunksUsed) as usize,
            CHUNKS_MAX,
        )?;
        let shift_ids = Month::lines_until(0) * plan.sources.len();
        within(
            "ids in the dedup window",
            of(Counter::DedupIds) as usize,
            (1 + self.unknown_shifts) * shift_ids,
        )?;
        for &gauge in AT_REST {
            within(gauge.label(), of(gauge) as usize, 0)?;
        }
        self.look_at_counts(&it.counters)?;
        self.look_at_heap(it.heap)
    }

    /// Counts only rise, as long as an engine lives.
    fn look_at_counts(&mut self, counters: &Snapshot) -> Verdict {
        let before = self.before.replace(counters.clone());
        let Some(before) = before else {
            return Ok(());
        };
        let counts = Counter::ALL.iter().filter(|it| !it.is_gauge());
        let fallen = |it: &&Counter| counters.get(**it) < before.get(**it);
        match counts.into_iter().find(fallen) {
            Some(fallen) => Err(format!("{} has gone down", fallen.label())),
            None => Ok(()),
        }
    }

    fn look_at_heap(&mut self, heap: Held) -> Verdict {
        if self.days <= WARM_DAYS {
            self.heap.bytes = self.heap.bytes.max(heap.bytes);
            self.heap.blocks = self.heap.blocks.max(heap.blocks);
            return Ok(());
        }
        let bytes_max = self.heap.bytes + HEAP_SLACK.bytes;
        within("bytes of the heap", count(heap.bytes), count(bytes_max))?;
        let blocks_max = self.heap.blocks + HEAP_SLACK.blocks;
        within("blocks of the heap", count(heap.blocks), count(blocks_max))
    }
}
