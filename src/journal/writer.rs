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

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{error, info};

use super::record::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, RECORD_HEADER_LEN, SETTLEMENT_LEN,
    Settlement,
};
use super::retention::ToRetention;
use super::retention::survey::Survey;
use super::segment::{Begun, Segments, Trouble, is_descriptors, is_shortage};
use super::storage::Storage;
use crate::agent::{Agent, Fatal};
use crate::arena::{Homebound, Lease, Returned, View};
use crate::clock::{BootTie, Now};
use crate::counters::{Counter, Counters};
use crate::limits::{BATCH_LEN_MAX, CHUNK_LEN, PIECES_PER_BATCH};
use crate::message::Sequence;
use crate::ring::{Receiver, Sender};

/// What the scheduler tells the journal.
#[derive(Debug)]
pub enum ToJournal {
    /// Accepted messages, with consecutive sequences, whose records stand one behind the other.
    Run {
        /// Their records.
        lease: Lease,
        /// Sequence of the first one.
        first_sequence: Sequence,
        /// How many.
        entries: u32,
    },
    /// A message needs no more work.
    Settled(Settlement),
    /// To be passed on to retention once all before it is recorded.
    Survey(Box<Survey>),
}

/// What the journal tells the scheduler.
#[derive(Debug)]
pub enum FromJournal {
    /// All messages up to this one may be delivered.
    Recorded {
        /// Sequence of the first message of the batch.
        first_sequence: Sequence,
        /// How many messages it holds, with consecutive sequences.
        entries: u32,
        /// Where the first one's record stands; the others stand right behind it.
        position: Position,
    },
    /// Leases come home.
    Returned(Returned),
}

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

/// Milliseconds between two tries when the disk is full.
const FULL_RETRY_NS: u64 = 100_000_000;

/// What is being written: collected, then written in one piece, then told.
#[derive(Debug, Default)]
struct Staged {
    runs: Vec<Lease>,
    runs_len: usize,
    first_sequence: Sequence,
    entries: u32,
    /// Settlements as they will stand on disk.
    settlements: Vec<u8>,
    /// Goes on when the rest is recorded.
    survey: Option<Box<Survey>>,
    headers: [Vec<u8>; 2],
    /// How much of it is on disk.
    written: usize,
    /// Headers are made, and it waits to be written.
    ready: bool,
}

impl Staged {
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.settlements.is_empty()
    }

    /// Bytes that it takes on disk.
    fn len(&self) -> usize {
        let batch = |body: usize| {
            if body == 0 {
                0
            } else {
                BATCH_HEADER_LEN + body
            }
        };
        batch(self.runs_len) + batch(self.settlements.len())
    }

    fn has_room(&self) -> bool {
        // A run is at most a chunk long.
        self.len() + CHUNK_LEN <= BATCH_LEN_MAX && self.runs.len() < PIECES_PER_BATCH
    }
}

/// The agent.
pub struct JournalAgent<S: Storage> {
    from_scheduler: Receiver<ToJournal>,
    to_scheduler: Sender<FromJournal>,
    view: View,
    /// Leases that have ended and are not on their way.
    homebound: Homebound,
    to_retention: Sender<ToRetention>,
    segments: Segments<S>,
    /// The segment that begins with the staged batch.
    begun: Option<Begun>,
    next_sequence: Sequence,
    /// The end of what is recorded, for whoever follows the files.
    recorded: Arc<AtomicU64>,
    staged: Staged,
    /// The disk is full until at least then.
    retry_at_ns: u64,
    is_full: bool,
    counters: Arc<Counters>,
}

/// What the journal agent is made of.
pub struct JournalParts<S> {
    /// Runs and settlements come from here.
    pub from_scheduler: Receiver<ToJournal>,
    /// What is recorded goes there.
    pub to_scheduler: Sender<FromJournal>,
    /// Segments that were begun, and surveys, go there.
    pub to_retention: Sender<ToRetention>,
    /// Free files, by their former number, come from here.
    pub free_files: Receiver<u64>,
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
        let segments = Segments::new(
            parts.storage,
            parts.segment_len,
            parts.position,
            parts.synced,
            parts.free_files,
            parts.tie,
        );
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            homebound: Homebound::new(&parts.view),
            view: parts.view,
            to_retention: parts.to_retention,
            segments,
            begun: None,
            next_sequence: parts.next_sequence,
            recorded: parts.recorded,
            staged: Staged {
                runs: Vec::with_capacity(PIECES_PER_BATCH),
                ..Staged::default()
            },
            retry_at_ns: 0,
            is_full: false,
            counters: parts.counters,
        }
    }

    /// Takes what came, until the batch is full.
    fn collect(&mut self, now: Now) {
        while self.staged.has_room() {
            let Some(entry) = self.from_scheduler.poll() else {
                break;
            };
            match entry {
                ToJournal::Run {
                    lease,
                    first_sequence,
                    entries,
                } => {
                    if self.staged.runs.is_empty() {
                        self.staged.first_sequence = first_sequence;
                    }
                    let expected = self.staged.first_sequence + u64::from(self.staged.entries);
                    assert!(expected == first_sequence, "sequences have no holes");
                    self.staged.entries += entries;
                    self.staged.runs_len += lease.byte_len();
                    self.staged.runs.push(lease);
                }
                ToJournal::Settled(settlement) => {
                    let mut bytes = [0; SETTLEMENT_LEN];
                    settlement.encode(now.epoch_us, &mut bytes);
                    self.staged.settlements.extend_from_slice(&bytes);
                }
                ToJournal::Survey(survey) => self.staged.survey = Some(survey),
            }
        }
    }

    fn header(
        &self,
        kind: BatchKind,
        body_len: usize,
        entries: u32,
        first_sequence: Sequence,
        position: Position,
        now: Now,
    ) -> BatchHeader {
        BatchHeader {
            crc: 0,
            body_len: body_len as u32,
            kind,
            entries,
            position,
            first_sequence,
            time_us: match kind {
                BatchKind::Messages => now.steady_us,
                _ => now.epoch_us,
            },
        }
    }

    /// Makes the headers of what is staged, for the place where it will stand.
    fn seal(&mut self, now: Now) {
        let mut bytes = [0; BATCH_HEADER_LEN];
        let mut position = self.segments.position();
        self.staged.headers.iter_mut().for_each(Vec::clear);
        if !self.staged.runs.is_empty() {
            let (len, entries) = (self.staged.runs_len, self.staged.entries);
            let first = self.staged.first_sequence;
            let header = self.header(BatchKind::Messages, len, entries, first, position, now);
            header.encode(
                self.staged.runs.iter().map(|run| self.view.bytes(run)),
                &mut bytes,
            );
            self.staged.headers[0].extend_from_slice(&bytes);
            position += (BATCH_HEADER_LEN + len) as u64;
        }
        if !self.staged.settlements.is_empty() {
            let len = self.staged.settlements.len();
            let entries = (len / SETTLEMENT_LEN) as u32;
            let next = self.next_sequence + u64::from(self.staged.entries);
            let header = self.header(BatchKind::Settlements, len, entries, next, position, now);
            let behind = (position - self.segments.position()) as u32;
            let body = std::iter::once(&self.staged.settlements[..]);
            header.encode_behind(behind, body, &mut bytes);
            self.staged.headers[1].extend_from_slice(&bytes);
        }
        self.staged.written = 0;
        self.staged.ready = true;
    }

    /// Writes what is left of the staged batch.
    fn write(&mut self) -> io::Result<()> {
        let staged = &mut self.staged;
        let total = staged.len();
        while staged.written < total {
            let mut pieces = [IoSlice::new(&[]); PIECES_PER_BATCH + 3];
            let mut count = 0;
            let mut skip = staged.written;
            let runs = staged.runs.iter().map(|run| self.view.bytes(run));
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
    fn tell(&mut self) {
        let len = self.staged.len() as u64;
        if self.staged.entries > 0 {
            let first_record = self.segments.position() + BATCH_HEADER_LEN as u64;
            let mut permit = self.to_scheduler.claim(1).expect("`has_room` saw it");
            permit.send(FromJournal::Recorded {
                first_sequence: self.staged.first_sequence,
                entries: self.staged.entries,
                position: first_record,
            });
            self.next_sequence = self.staged.first_sequence + u64::from(self.staged.entries);
            let last = self.next_sequence - 1;
            self.counters.set(Counter::JournalRecorded, last);
        }
        let runs = self.staged.runs.drain(..);
        runs.for_each(|lease| self.homebound.add(lease));
        self.give_leases_back();
        self.segments.advance(len);
        // Pairs with the acquire load of the store: who sees the position finds the bytes.
        self.recorded
            .store(self.segments.position(), Ordering::Release);
        if let Some(begun) = self.begun.take() {
            let mut permit = self.to_retention.claim(1).expect("`has_room` saw it");
            permit.send(ToRetention::Begun(begun));
        }
        self.counters.add(Counter::JournalBytes, len);
        self.counters.add(Counter::JournalBatches, 1);
        self.staged.settlements.clear();
        (self.staged.runs_len, self.staged.entries) = (0, 0);
        self.staged.ready = false;
    }

    fn give_leases_back(&mut self) {
        while !self.homebound.is_empty()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(returned) = self.homebound.take()
        {
            permit.send(FromJournal::Returned(returned));
        }
    }

    /// Whether the scheduler and retention can be told of a batch: what it holds is recorded, a
    /// segment was begun, a survey goes on.
    fn has_room(&mut self) -> bool {
        self.to_scheduler.has_room(1) && self.to_retention.has_room(2)
    }

    /// What is short comes back and is waited for; anything else ends the engine.
    fn judge(&mut self, trouble: Trouble, now: Now) -> Result<(), WriteError> {
        let error = match trouble {
            Trouble::Write(error) => error,
            Trouble::Sync(error) => return Err(self.sync_failed(error)),
        };
        if !is_shortage(&error) {
            let (segment, offset) = self.segments.place();
            return Err(WriteError::Write {
                segment,
                offset,
                source: error,
            });
        }
        if !self.is_full {
            let short = if is_descriptors(&error) {
                "the journal finds no descriptor for its next segment: sources wait until there is \
                 one (raise `ulimit -n`)"
            } else {
                "the journal's disk is full: sources wait until there is room"
            };
            error!(%error, "{short}");
        }
        self.is_full = true;
        self.retry_at_ns = now.ns + FULL_RETRY_NS;
        self.counters.add(Counter::JournalFull, 1);
        self.counters.set(Counter::JournalWaiting, 1);
        Ok(())
    }

    fn append(&mut self, now: Now) -> Result<(), Trouble> {
        if !self.staged.ready {
            let len = self.staged.len() as u64;
            let begun = self.segments.make_room(len, self.next_sequence, now)?;
            self.begun = begun.or(self.begun);
            self.seal(now);
        }
        Ok(self.write()?)
    }

    /// A survey goes on when all that came before it is recorded.
    fn pass_survey_on(&mut self) -> usize {
        match self.staged.survey.take() {
            Some(survey) => {
                let mut permit = self.to_retention.claim(1).expect("`has_room` saw it");
                permit.send(ToRetention::Survey(survey));
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
        if !self.staged.ready {
            self.collect(now);
        }
        if self.staged.is_empty() {
            let work_count = self.pass_survey_on();
            self.to_scheduler.flush();
            self.to_retention.flush();
            return Ok(work_count);
        }
        if let Err(error) = self.append(now) {
            self.to_scheduler.flush();
            self.judge(error, now)?;
            return Ok(0);
        }
        if std::mem::take(&mut self.is_full) {
            self.counters.set(Counter::JournalWaiting, 0);
            info!("the journal has room again");
        }
        self.sync()?;
        let work_count = self.staged.entries as usize + self.staged.settlements.len();
        self.tell();
        self.pass_survey_on();
        self.to_scheduler.flush();
        self.to_retention.flush();
        Ok(work_count)
    }
}

const _: () = assert!(
    RECORD_HEADER_LEN < BATCH_HEADER_LEN,
    "a batch is told from a record"
);
