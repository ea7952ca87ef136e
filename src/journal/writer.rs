//! The journal agent: appends accepted frames and settlements, and says how far it is.
//!
//! The scheduler feeds it runs of records (leased chunk memory, written as it lies there) and
//! settlements; it answers with what is recorded, gives the leases back, and publishes its end
//! position for the store to follow. Retention is told of each segment that is begun. Batches grow
//! with load by themselves: a batch is what came while the last one was being written. It does not
//! read, and does not decide what may go.
//!
//! ```text
//!  one write:  [ header | run | run | ... ] [ header | settlement | settlement | ... ]
//! ```
//!
//! Where the disk is full, runs wait and settlements are written alone, in the reserve if need be: what
//! is settled frees segments, and only they let messages go on. Messages are never written without a
//! reserve. Where not even settlements find room, a counter has the scheduler hand nothing out.

mod shortage;

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SETTLEMENT_LEN};
use super::headroom::Headroom;
use super::protocol::{FromJournal, ToJournal, ToRetention};
use super::segment::{Claim, RollError, SegmentStarted, Segments};
use super::staged::{Messages, Run, Staged};
use super::storage::Storage;
use crate::agent::{Agent, Fatal};
use crate::arena::{EndedLeases, View};
use crate::clock::{BootTie, Now};
use crate::counters::{Counter, Counters};
use crate::limits::PIECES_PER_BATCH;
use crate::message::Sequence;
use crate::message::layout::RECORD_HEADER_LEN;
use crate::ring::{Receiver, Sender};

/// The journal cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A write failed, and not for want of room.
    #[error(
        "the journal could not write segment {segment} at offset {offset}: {source}; \
         what was delivered is recorded, and the next start goes on from there"
    )]
    Write {
        /// Number of the segment.
        segment: u64,
        /// Offset in it.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// What was written may be lost, and nothing tells how much of it.
    #[error(
        "the journal could not sync segment {segment}: {source}; what was not acknowledged may be \
         lost on disk: check the disk, then start again, and recovery takes what is there"
    )]
    Sync {
        /// Number of the segment.
        segment: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// The agent.
pub struct JournalAgent<S: Storage> {
    from_scheduler: Receiver<ToJournal>,
    to_scheduler: Sender<FromJournal>,
    view: View,
    /// Leases that have ended and are not on their way.
    ended_leases: EndedLeases,
    to_retention: Sender<ToRetention>,
    segments: Segments<S>,
    /// The segment that begins with the staged batch.
    started: Option<SegmentStarted>,
    next_sequence: Sequence,
    /// The end of what is recorded, for whoever follows the files.
    recorded: Arc<AtomicU64>,
    staged: Staged,
    /// What messages leave for a database on the same disk; `None`: there is none.
    headroom: Option<Headroom>,
    /// Messages wait for room, until then at least.
    is_full: bool,
    messages_at_ns: u64,
    is_logged: bool,
    log_full_at_ns: u64,
    /// Settlements wait as well, until then at least.
    is_stuck: bool,
    retry_at_ns: u64,
    counters: Arc<Counters>,
}

/// What the journal agent is made of.
pub struct JournalParts<S> {
    /// Runs and settlements come from here.
    pub from_scheduler: Receiver<ToJournal>,
    /// What is recorded goes there.
    pub to_scheduler: Sender<FromJournal>,
    /// Segments that were begun, and queries, go there.
    pub to_retention: Sender<ToRetention>,
    /// Free files, by their former number, come from here.
    pub free_files: Receiver<u64>,
    /// The free file that is the reserve to begin with; `None`: there was no room for one.
    pub reserve: Option<u64>,
    /// Reads the chunks.
    pub view: View,
    /// Where segments live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// A segment boundary behind everything that is there.
    pub position: Position,
    /// The sequence of the next message.
    pub next_sequence: Sequence,
    /// Whether the store's database is on the same disk.
    pub shares_disk: bool,
    /// Whether a batch is recorded only when the disk has it.
    pub synced: bool,
    /// Told the end of what is recorded.
    pub recorded: Arc<AtomicU64>,
    /// What ties the engine's own time to the machine's.
    pub tie: BootTie,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl<S: Storage> JournalAgent<S> {
    /// Puts the agent together; it begins a new segment with its first batch.
    #[must_use]
    pub fn new(parts: JournalParts<S>) -> Self {
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
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            ended_leases: EndedLeases::new(&parts.view),
            view: parts.view,
            to_retention: parts.to_retention,
            segments,
            started: None,
            next_sequence: parts.next_sequence,
            recorded: parts.recorded,
            staged: Staged::new(),
            headroom: parts.shares_disk.then(|| Headroom::new(parts.segment_len)),
            is_full: false,
            messages_at_ns: 0,
            is_logged: false,
            log_full_at_ns: 0,
            is_stuck: false,
            retry_at_ns: 0,
            counters: parts.counters,
        }
    }

    /// Takes what came, until the batch is full.
    fn collect(&mut self, now: Now) {
        while self.staged.has_room(self.is_full) {
            let Some(entry) = self.from_scheduler.poll() else {
                break;
            };
            match entry {
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
    }

    /// Takes what came and chooses what is written of it; `false`: nothing can be.
    fn prepare(&mut self, now: Now) -> Result<bool, WriteError> {
        self.collect(now);
        if self.staged.is_empty() {
            return Ok(false);
        }
        let with = if !self.staged.has_runs() || !self.may_write_messages(now)? {
            Messages::None
        } else if self.is_full {
            Messages::Few
        } else {
            Messages::All
        };
        Ok(self.staged.select(with, self.next_sequence))
    }

    /// Messages need room, settlements a reserve, and the store what it needs to follow.
    fn may_write_messages(&mut self, now: Now) -> Result<bool, WriteError> {
        if !self.segments.has_reserve() {
            self.miss_reserve(now);
            return Ok(false);
        }
        if self.is_full && now.ns < self.messages_at_ns {
            return Ok(false);
        }
        let may = self.has_headroom(now);
        if !may {
            self.leave_headroom(now)?;
        }
        Ok(may)
    }

    fn header(
        &self,
        kind: BatchKind,
        body_len: usize,
        entries: u32,
        first_sequence: Sequence,
        position: Position,
        time_us: u64,
    ) -> BatchHeader {
        BatchHeader {
            crc: 0,
            body_len: body_len as u32,
            kind,
            entries,
            position,
            first_sequence,
            time_us,
        }
    }

    /// Makes the headers of what is staged, for the place where it will stand.
    fn seal(&mut self, now: Now) {
        let mut bytes = [0; BATCH_HEADER_LEN];
        let mut position = self.segments.position();
        self.staged.headers.iter_mut().for_each(Vec::clear);
        let mut next = self.next_sequence;
        if let Some(first) = self.staged.first_sequence() {
            assert!(first == next, "sequences have no holes");
            let (len, entries) = (self.staged.runs_len, self.staged.entries);
            let time_us = now.steady_us;
            let header = self.header(BatchKind::Messages, len, entries, first, position, time_us);
            let runs = self.staged.batch_runs();
            header.encode(runs.map(|it| self.view.bytes(&it.lease)), &mut bytes);
            self.staged.headers[0].extend_from_slice(&bytes);
            position += (BATCH_HEADER_LEN + len) as u64;
            next += u64::from(entries);
        }
        if !self.staged.settlements.is_empty() {
            let len = self.staged.settlements.len();
            let (entries, time_us) = ((len / SETTLEMENT_LEN) as u32, self.staged.time_us);
            let kind = BatchKind::Settlements;
            let header = self.header(kind, len, entries, next, position, time_us);
            let behind = (position - self.segments.position()) as u32;
            let body = std::iter::once(&self.staged.settlements[..]);
            header.encode_behind(behind, body, &mut bytes);
            self.staged.headers[1].extend_from_slice(&bytes);
        }
    }

    /// Writes what is left of the staged batch.
    fn write(&mut self) -> io::Result<()> {
        let staged = &mut self.staged;
        let total = staged.len();
        while staged.written < total {
            let mut pieces = [IoSlice::new(&[]); PIECES_PER_BATCH + 3];
            let mut count = 0;
            let mut skip = staged.written;
            let runs = staged.batch_runs().map(|it| self.view.bytes(&it.lease));
            let all = std::iter::once(&staged.headers[0][..])
                .chain(runs)
                .chain([&staged.headers[1][..], &staged.settlements[..]]);
            for piece in all {
                let skipped = skip.min(piece.len());
                skip -= skipped;
                if skipped < piece.len() {
                    pieces[count] = IoSlice::new(&piece[skipped..]);
                    count += 1;
                }
            }
            let ahead = staged.written as u64;
            let taken = self.segments.write(ahead, &pieces[..count])?;
            staged.written += taken;
        }
        Ok(())
    }

    /// Group commit: one sync covers all that came while the last one ran.
    fn sync(&mut self) -> Result<(), WriteError> {
        let synced = self.segments.sync().map_err(|it| self.sync_failed(it))?;
        self.counters.add(Counter::JournalSyncs, u64::from(synced));
        Ok(())
    }

    fn sync_failed(&self, source: io::Error) -> WriteError {
        let (segment, _) = self.segments.place();
        WriteError::Sync { segment, source }
    }

    /// The batch is recorded: says so, and gives the leases back.
    fn finish_batch(&mut self) {
        self.send_recorded();
        let settled = self.staged.settlements.len() / SETTLEMENT_LEN;
        self.note_written(self.staged.len());
        self.staged.take_settlements();
        self.counters.add(Counter::JournalSettled, settled as u64);
        self.counters.add(Counter::JournalBatches, 1);
    }

    /// The batch's messages are recorded, if it has any.
    fn send_recorded(&mut self) {
        let Some(first_sequence) = self.staged.first_sequence() else {
            return;
        };
        let (entries, len) = (self.staged.entries, self.staged.messages_len());
        let mut permit = self.to_scheduler.claim(1).expect("`has_room` saw it");
        permit.send(FromJournal::Recorded {
            first_sequence,
            entries,
            position: self.segments.position() + BATCH_HEADER_LEN as u64,
        });
        self.next_sequence = first_sequence + u64::from(entries);
        let last = self.next_sequence - 1;
        self.counters.set(Counter::JournalRecorded, last);
        let leases = self.staged.take_runs();
        leases.for_each(|lease| self.ended_leases.add(lease));
        self.give_leases_back();
        self.note_written(len);
    }

    /// So many bytes more stand in the journal.
    fn note_written(&mut self, len: usize) {
        self.segments.advance(len as u64);
        // Pairs with the acquire load of the store: who sees the position finds the bytes.
        self.recorded
            .store(self.segments.position(), Ordering::Release);
        if let Some(started) = self.started.take() {
            self.send_started(started);
        }
        self.counters.add(Counter::JournalBytes, len as u64);
    }

    fn give_leases_back(&mut self) {
        while !self.ended_leases.is_empty()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(returned) = self.ended_leases.take()
        {
            permit.send(FromJournal::Returned(returned));
        }
    }

    /// Whether the scheduler and retention can be told of a batch: what it holds is recorded, a
    /// segment was begun and perhaps an empty one before, a query goes on.
    fn has_room(&mut self) -> bool {
        self.to_scheduler.has_room(1) && self.to_retention.has_room(3)
    }

    fn append(&mut self, now: Now) -> Result<(), RollError> {
        let len = self.staged.len() as u64;
        let claim = match self.staged.has_messages() {
            true => Claim::Spare,
            false => Claim::Reserve,
        };
        let started = self
            .segments
            .make_room(len, claim, self.next_sequence, now)?;
        self.note_started(started);
        self.seal(now);
        Ok(self.write()?)
    }

    fn send_started(&mut self, started: SegmentStarted) {
        let mut permit = self.to_retention.claim(1).expect("`has_room` saw it");
        permit.send(ToRetention::Started(started));
    }

    /// A segment was begun; one that was begun before and has no batch is told now.
    fn note_started(&mut self, started: Option<SegmentStarted>) {
        if let Some(started) = started
            && let Some(empty) = self.started.replace(started)
        {
            self.send_started(empty);
        }
    }

    /// A query goes on when all that came before it is recorded.
    fn pass_query_on(&mut self) -> usize {
        match self.staged.query.take() {
            Some(query) => {
                let mut permit = self.to_retention.claim(1).expect("`has_room` saw it");
                permit.send(ToRetention::Query(query));
                1
            }
            None => 0,
        }
    }
}

impl<S: Storage> Agent for JournalAgent<S>
where
    S::Segment: Send,
{
    fn name(&self) -> &'static str {
        "journal"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        self.give_leases_back();
        if now.ns < self.retry_at_ns || !self.has_room() {
            self.to_scheduler.flush();
            return Ok(0);
        }
        if !self.prepare(now)? {
            self.look_for_room();
            let work_count = self.pass_query_on();
            self.to_scheduler.flush();
            self.to_retention.flush();
            return Ok(work_count);
        }
        if let Err(error) = self.append(now) {
            self.to_scheduler.flush();
            self.handle_roll_error(error, now)?;
            return Ok(0);
        }
        self.end_wait();
        self.sync()?;
        let work_count = self.staged.entries as usize + self.staged.settlements.len();
        self.finish_batch();
        self.pass_query_on();
        self.to_scheduler.flush();
        self.to_retention.flush();
        Ok(work_count)
    }
}

const _: () = assert!(
    RECORD_HEADER_LEN < BATCH_HEADER_LEN,
    "a batch is told from a record"
);

#[cfg(test)]
mod tests;
