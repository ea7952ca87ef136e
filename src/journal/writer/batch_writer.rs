//! The core of the journal agent: makes a batch of what is staged, and appends it.
//!
//! The agent feeds it events and the time. It reaches the disk through [`Segments`], and tells what is
//! recorded through an [`Output`]: its permits are claimed before anything is written, so what is on
//! disk can be told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::append;
use super::database_room::DatabaseRoom;
use super::error::WriteError;
use super::parts::JournalParts;
use super::shortage::{Missing, Shortage};
use super::staged::{Messages, Run, Staged};
use crate::arena::{EndedLeases, Returned, View};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::journal::format::{BATCH_HEADER_LEN, SETTLEMENT_LEN};
use crate::journal::protocol::{FromJournal, ToJournal, ToRetention};
use crate::journal::segment::{Claim, RollError, SegmentStarted, Segments};
use crate::journal::storage::Storage;
use crate::message::Sequence;
use crate::ring::{Permit, Receiver, Sender};

/// Entries to retention that one write takes at most: free files are gone, a segment is begun, an empty
/// one was begun before it, a query goes on.
const RETENTION_EVENTS: usize = 4;

/// The right to tell what one write brings.
pub(super) struct Output<'a> {
    /// For [`FromJournal::Recorded`].
    pub(super) scheduler: Permit<'a, FromJournal>,
    pub(super) retention: Permit<'a, ToRetention>,
}

impl<'a> Output<'a> {
    /// `None`: a ring has no room.
    pub(super) fn claim(
        scheduler: &'a mut Sender<FromJournal>,
        retention: &'a mut Sender<ToRetention>,
    ) -> Option<Self> {
        Some(Self {
            scheduler: scheduler.claim(1)?,
            retention: retention.claim(RETENTION_EVENTS)?,
        })
    }
}

pub(super) struct BatchWriter<S: Storage> {
    view: View,
    /// Leases that have ended and are not on their way.
    ended_leases: EndedLeases,
    pub(super) segments: Segments<S>,
    /// Room for a compaction is set aside.
    may_compact: Arc<AtomicBool>,
    /// The segment that begins with the staged batch.
    pub(super) started: Option<SegmentStarted>,
    pub(super) next_sequence: Sequence,
    /// The end of what is recorded, for whoever follows the files.
    pub(super) recorded: Arc<AtomicU64>,
    pub(super) staged: Staged,
    /// What messages leave for a database on the same disk; `None`: there is none.
    pub(super) database_room: Option<DatabaseRoom>,
    pub(super) shortage: Shortage,
    pub(super) counters: Arc<Counters>,
}

/// A core, and the agent's rings.
pub(super) type Assembled<S> = (
    BatchWriter<S>,
    Receiver<ToJournal>,
    Sender<FromJournal>,
    Sender<ToRetention>,
);

impl<S: Storage> BatchWriter<S> {
    pub(super) fn assemble(parts: JournalParts<S>) -> Assembled<S> {
        let mut segments = Segments::new(
            parts.storage,
            parts.segment_len,
            parts.position,
            parts.synced,
            parts.free_files,
            parts.tie,
        );
        if let Some(former) = parts.reserve {
            segments.set_reserve(former);
        }
        let last = parts.next_sequence - 1;
        parts.counters.set(Counter::JournalRecorded, last);
        let core = Self {
            ended_leases: EndedLeases::new(&parts.view),
            view: parts.view,
            segments,
            may_compact: parts.may_compact,
            started: None,
            next_sequence: parts.next_sequence,
            recorded: parts.recorded,
            staged: Staged::new(),
            database_room: (parts.shares_disk).then(|| DatabaseRoom::new(parts.segment_len)),
            shortage: Shortage::new(Arc::clone(&parts.counters)),
            counters: parts.counters,
        };
        let (to_scheduler, to_retention) = (parts.to_scheduler, parts.to_retention);
        (core, parts.from_scheduler, to_scheduler, to_retention)
    }

    /// Whether not even settlements find room, and it is not yet time to try again.
    pub(super) fn is_waiting(&self, now: Now) -> bool {
        self.shortage.is_waiting(now)
    }

    /// Whether another event may be taken before the next write.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.staged.has_room(self.shortage.is_full())
    }

    #[inline]
    pub(super) fn on_event(&mut self, event: ToJournal, now: Now) {
        match event {
            ToJournal::Run {
                lease,
                first_sequence,
                entries,
            } => self.staged.push_run(Run {
                lease,
                first_sequence,
                entries,
            }),
            ToJournal::Settled(settlement) => {
                self.staged.push_settlement(&settlement, now.epoch_us);
            }
            ToJournal::Query(query) => self.staged.query = Some(query),
        }
    }

    /// Writes a batch of what is staged; returns how much of that is recorded.
    ///
    /// # Errors
    /// The journal cannot go on.
    pub(super) fn write(&mut self, now: Now, out: &mut Output<'_>) -> Result<usize, WriteError> {
        self.tell_lost(out);
        if !self.select(now, out)? {
            self.end_untried_shortage();
            return Ok(self.pass_query_on(out));
        }
        if let Err(error) = self.append(now, out) {
            self.handle_roll_error(error, now, out)?;
            return Ok(0);
        }
        self.shortage.on_written(self.staged.has_messages());
        self.sync()?;
        let settled = self.staged.settlements.len() / SETTLEMENT_LEN;
        let work_count = self.staged.entries as usize + settled;
        self.finish_batch(settled, out);
        self.pass_query_on(out);
        Ok(work_count)
    }

    /// Chooses what the batch holds; `false`: nothing can be written.
    fn select(&mut self, now: Now, out: &mut Output<'_>) -> Result<bool, WriteError> {
        if self.staged.is_empty() {
            return Ok(false);
        }
        let with = if !self.staged.has_runs() || !self.may_write_messages(now, out)? {
            Messages::None
        } else if self.shortage.is_full() {
            Messages::Few
        } else {
            Messages::All
        };
        Ok(self.staged.select(with, self.next_sequence))
    }

    /// Whether room is set aside for settlements and for a compaction: where messages took all that there
    /// is, nothing could make room again.
    #[inline]
    pub(super) fn has_reserves(&mut self) -> bool {
        // Relaxed: it guards no memory.
        self.segments.has_reserve() && self.may_compact.load(Ordering::Relaxed)
    }

    /// Messages need room, settlements and compactions a reserve, and the store what it needs to follow.
    fn may_write_messages(&mut self, now: Now, out: &mut Output<'_>) -> Result<bool, WriteError> {
        if !self.has_reserves() {
            self.shortage.begin(&Missing::Reserve, now);
            return Ok(false);
        }
        if !self.shortage.may_try_messages(now) {
            return Ok(false);
        }
        let may = self.leaves_database_room(now);
        if !may {
            self.wait_for_store(now, out)?;
        }
        Ok(may)
    }

    fn append(&mut self, now: Now, out: &mut Output<'_>) -> Result<(), RollError> {
        let len = self.staged.len() as u64;
        let claim = if self.staged.has_messages() {
            Claim::Spare
        } else {
            Claim::Reserve
        };
        let next = self.next_sequence;
        let started = self.segments.make_room(len, claim, next, now)?;
        self.note_started(started, out);
        let (staged, position) = (&mut self.staged, self.segments.position());
        append::seal(staged, &self.view, position, next, now.steady_us);
        Ok(append::write(staged, &self.view, &self.segments)?)
    }

    /// Group commit: one sync covers all that came while the last one ran.
    pub(super) fn sync(&mut self) -> Result<(), WriteError> {
        let synced = self.segments.sync().map_err(|it| self.sync_failed(it))?;
        self.counters.add(Counter::JournalSyncs, u64::from(synced));
        Ok(())
    }

    pub(super) fn sync_failed(&self, source: io::Error) -> WriteError {
        let (segment, _) = self.segments.place();
        WriteError::Sync { segment, source }
    }

    /// The batch is recorded: says so, and ends the leases.
    fn finish_batch(&mut self, settled: usize, out: &mut Output<'_>) {
        self.send_recorded(out);
        self.note_written(self.staged.len(), out);
        self.staged.take_settlements();
        self.counters.add(Counter::JournalSettled, settled as u64);
        self.counters.add(Counter::JournalBatches, 1);
    }

    /// The batch's messages are recorded, if it has any.
    pub(super) fn send_recorded(&mut self, out: &mut Output<'_>) {
        let Some(first_sequence) = self.staged.first_sequence() else {
            return;
        };
        let (entries, len) = (self.staged.entries, self.staged.messages_len());
        out.scheduler.send(FromJournal::Recorded {
            first_sequence,
            entries,
            position: self.segments.position() + BATCH_HEADER_LEN as u64,
        });
        self.next_sequence = first_sequence + u64::from(entries);
        let last = self.next_sequence - 1;
        self.counters.set(Counter::JournalRecorded, last);
        let leases = self.staged.take_runs();
        leases.for_each(|lease| self.ended_leases.add(lease));
        self.note_written(len, out);
    }

    /// So many bytes more stand in the journal.
    fn note_written(&mut self, len: usize, out: &mut Output<'_>) {
        self.segments.advance(len as u64);
        // Pairs with the acquire load of the store: who sees the position finds the bytes.
        self.recorded
            .store(self.segments.position(), Ordering::Release);
        if let Some(started) = self.started.take() {
            out.retention.send(ToRetention::Started(started));
        }
        self.counters.add(Counter::JournalBytes, len as u64);
    }

    /// A segment was begun; one that was begun before and has no batch is told now.
    pub(super) fn note_started(&mut self, started: Option<SegmentStarted>, out: &mut Output<'_>) {
        if let Some(started) = started
            && let Some(empty) = self.started.replace(started)
        {
            out.retention.send(ToRetention::Started(empty));
        }
    }

    /// A query goes on when all that came before it is recorded.
    fn pass_query_on(&mut self, out: &mut Output<'_>) -> usize {
        match self.staged.query.take() {
            Some(query) => {
                out.retention.send(ToRetention::Query(query));
                1
            }
            None => 0,
        }
    }

    pub(super) fn has_ended_leases(&self) -> bool {
        !self.ended_leases.is_empty()
    }

    /// Ended leases that are to go back.
    pub(super) fn next_returned(&mut self) -> Option<Returned> {
        self.ended_leases.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Ends, parts};
    use super::*;
    use crate::journal::format::{Position, Settlement};
    use crate::journal::reader::Reader;
    use crate::journal::retention::query::UnsettledQuery;
    use crate::journal::storage::Name;
    use crate::journal::testing::{Memory, TestMessage};

    const SEGMENT: u64 = 4_096;
    const RESERVE: u64 = 7;

    struct Scene {
        memory: Memory,
        ends: Ends,
        core: BatchWriter<Memory>,
        to_scheduler: Sender<FromJournal>,
        to_retention: Sender<ToRetention>,
        next: Sequence,
    }

    impl Scene {
        fn new(reserve: Option<u64>) -> Self {
            let mut memory = Memory::default();
            memory.create(Name::Free(RESERVE)).expect("memory");
            let (parts, ends) = parts(memory.clone(), SEGMENT, reserve, 1);
            let (core, _, to_scheduler, to_retention) = BatchWriter::assemble(parts);
            Self {
                memory,
                ends,
                core,
                to_scheduler,
                to_retention,
                next: 1,
            }
        }

        fn message(&mut self) {
            let lease = self.ends.lease(&TestMessage::new(self.next).record());
            let (first_sequence, entries) = (self.next, 1);
            let run = ToJournal::Run {
                lease,
                first_sequence,
                entries,
            };
            self.core.on_event(run, Now::default());
            self.next += 1;
        }

        fn settle(&mut self, sequence: Sequence) {
            let settled = Settlement {
                sequence,
                settled_us: 0,
            };
            self.core
                .on_event(ToJournal::Settled(settled), Now::default());
        }

        /// Writes; returns the work count, and what was told: `R` recorded, `S` started, `Q` query, `L` lost.
        fn write(&mut self) -> (usize, String) {
            let out = Output::claim(&mut self.to_scheduler, &mut self.to_retention);
            let written = self.core.write(Now::default(), &mut out.expect("room"));
            let mut told = String::new();
            while let Some(event) = self.ends.from_journal.poll() {
                assert!(matches!(event, FromJournal::Recorded { .. }));
                told.push('R');
            }
            while let Some(event) = self.ends.to_retention.poll() {
                told.push(match event {
                    ToRetention::Started(_) => 'S',
                    ToRetention::Query(_) => 'Q',
                    ToRetention::Lost(_) => 'L',
                });
            }
            (written.expect("memory has room"), told)
        }

        /// All that stands in the journal: sequences of messages and of settlements; and its end.
        fn read(&self) -> (Vec<Sequence>, Vec<Sequence>, Position) {
            let mut reader = Reader::new(self.memory.clone(), SEGMENT, 0);
            let (mut messages, mut settled) = (Vec::new(), Vec::new());
            let end = self.ends.recorded.load(Ordering::Acquire);
            while let Some(batch) = reader.next(end).expect("it is whole") {
                messages.extend(batch.records().map(|it| it.sequence));
                settled.extend(batch.settlements().map(|it| it.sequence));
            }
            (messages, settled, reader.position())
        }
    }

    #[test]
    fn what_is_written_is_told_in_order_and_can_be_read() {
        let mut scene = Scene::new(Some(RESERVE));
        scene.message();
        scene.message();
        scene.settle(1);
        let query = ToJournal::Query(UnsettledQuery::new());
        scene.core.on_event(query, Now::default());
        assert_eq!(scene.write(), (2 + 1, "RSQ".into()));
        let (messages, settled, end) = scene.read();
        assert_eq!((messages, settled), (vec![1, 2], vec![1]));
        assert_eq!(end, scene.ends.recorded.load(Ordering::Acquire));
        assert_eq!(scene.ends.counters.get(Counter::JournalRecorded), 2);
        assert!(scene.core.has_ended_leases());
        while let Some(returned) = scene.core.next_returned() {
            scene.ends.ledger.take_back(returned);
        }
        assert_eq!(scene.write(), (0, String::new()), "nothing is left");
    }

    #[test]
    fn a_query_with_nothing_before_it_goes_on_at_once() {
        let mut scene = Scene::new(Some(RESERVE));
        let query = ToJournal::Query(UnsettledQuery::new());
        scene.core.on_event(query, Now::default());
        assert_eq!(scene.write(), (1, "Q".into()));
    }

    #[test]
    fn each_segment_that_begins_is_told_with_its_first_batch() {
        let mut scene = Scene::new(Some(RESERVE));
        let mut started = 0;
        for _ in 0..60 {
            scene.message();
            started += scene.write().1.matches('S').count();
        }
        assert_eq!(scene.read().0, (1..=60).collect::<Vec<_>>());
        let segments = scene.memory.segments().expect("memory");
        assert_eq!(started, segments.len());
        assert!(started > 3);
    }

    #[test]
    fn messages_wait_for_a_reserve_and_settlements_do_not() {
        let mut scene = Scene::new(None);
        scene.message();
        scene.settle(1);
        scene.next = 2;
        assert_eq!(scene.write(), (0, String::new()), "its message comes first");
        assert_eq!(scene.ends.counters.get(Counter::JournalWaiting), 1);
        let mut permit = scene.ends.free_files.claim(1).expect("room");
        permit.send(RESERVE);
        assert_eq!(scene.write(), (1, "RS".into()));
        assert_eq!(scene.ends.counters.get(Counter::JournalWaiting), 0);
        assert_eq!(scene.write(), (1, String::new()), "its settlement");
        let (messages, settled, _) = scene.read();
        assert_eq!((messages, settled), (vec![1], vec![1]));
    }
}
