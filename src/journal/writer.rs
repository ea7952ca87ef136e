//! The journal agent: appends accepted frames and settlements, and says how far it is.
//!
//! The scheduler feeds it runs of records (leased chunk memory, written as it lies there) and
//! settlements; it answers with what is recorded, gives the leases back, and publishes its end
//! position for the store to follow. Batches grow with load by themselves: a batch is what came
//! while the last one was being written. It does not read, and does not decide what may go.
//!
//! ```text
//!  one write:  [ header | run | run | ... ] [ header | settlement | settlement | ... ]
//! ```

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{error, info};

use super::record::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, RECORD_HEADER_LEN, SEGMENT_HEADER_LEN,
    SETTLEMENT_LEN, SegmentHeader, Settlement,
};
use super::storage::Storage;
use crate::agent::{Agent, Fatal};
use crate::arena::{Homebound, Lease, Returned, View};
use crate::clock::Now;
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
    storage: S,
    /// The segment that is being filled.
    segment: Option<S::Segment>,
    /// Its number; before there is one, the number that it will have.
    number: u64,
    /// Where the next batch goes in it; up to `segment_len`, where nothing more goes.
    offset: u64,
    segment_len: u64,
    synced: bool,
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
    /// Reads the chunks.
    pub view: View,
    /// Where segments live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// A segment boundary behind everything that is there.
    pub position: Position,
    /// Whether a batch is recorded only when the disk has it.
    pub synced: bool,
    /// Told the end of what is recorded.
    pub recorded: Arc<AtomicU64>,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl<S: Storage> JournalAgent<S> {
    /// Puts the agent together; it begins a new segment with its first batch.
    #[must_use]
    pub fn new(parts: JournalParts<S>) -> Self {
        assert!(
            parts.position.is_multiple_of(parts.segment_len),
            "it begins a segment"
        );
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            view: parts.view,
            storage: parts.storage,
            segment: None,
            number: parts.position / parts.segment_len,
            offset: 0,
            segment_len: parts.segment_len,
            synced: parts.synced,
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
            }
        }
    }

    /// Where the next batch goes.
    fn position(&self) -> Position {
        self.number * self.segment_len + self.offset
    }

    /// Makes sure that the segment has room for the staged batch.
    fn roll_if_needed(&mut self, now: Now) -> io::Result<()> {
        let left = self.segment_len - self.offset;
        let number = match &self.segment {
            Some(_) if self.staged.len() as u64 <= left => return Ok(()),
            Some(segment) => {
                if left >= BATCH_HEADER_LEN as u64 {
                    let end = self.header(BatchKind::End, 0, 0, 0, self.position(), now);
                    let mut bytes = [0; BATCH_HEADER_LEN];
                    end.encode(std::iter::empty(), &mut bytes);
                    write_whole(&self.storage, segment, self.offset, &bytes)?;
                }
                if self.synced {
                    // Without its end, and with a later segment, it would look damaged. A sync that
                    // failed is never tried again, whatever the reason.
                    self.storage.sync(segment).map_err(io::Error::other)?;
                }
                self.number + 1
            }
            None => self.number,
        };
        // The old segment stays the present one until the new one stands: a full disk finds it so,
        // and its end is marked once more.
        self.segment = Some(self.begin_segment(number, now)?);
        self.number = number;
        self.offset = SEGMENT_HEADER_LEN as u64;
        Ok(())
    }

    fn begin_segment(&mut self, number: u64, now: Now) -> io::Result<S::Segment> {
        let segment = self.storage.create(number)?;
        let header = SegmentHeader {
            number,
            segment_len: self.segment_len,
            created_ms: now.epoch_ms(),
        };
        if let Err(error) = write_whole(&self.storage, &segment, 0, &header.encode()) {
            // Without its header it is no segment: the next try makes it anew.
            self.storage.remove(number)?;
            return Err(error);
        }
        Ok(segment)
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
            time_us: now.epoch_us,
        }
    }

    /// Makes the headers of what is staged, for the place where it will stand.
    fn seal(&mut self, now: Now) {
        let mut bytes = [0; BATCH_HEADER_LEN];
        let mut position = self.position();
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
            let header = self.header(BatchKind::Settlements, len, entries, 0, position, now);
            let behind = (position - self.position()) as u32;
            let body = std::iter::once(&self.staged.settlements[..]);
            header.encode_behind(behind, body, &mut bytes);
            self.staged.headers[1].extend_from_slice(&bytes);
        }
        self.staged.written = 0;
        self.staged.ready = true;
    }

    /// Writes what is left of the staged batch.
    fn write(&mut self) -> io::Result<()> {
        let segment = self
            .segment
            .as_ref()
            .expect("`roll_if_needed` has made one");
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
            let offset = self.offset + staged.written as u64;
            let taken = self.storage.write_at(segment, offset, &pieces[..count])?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            staged.written += taken;
        }
        Ok(())
    }

    /// Group commit: one sync covers all that came while the last one ran.
    fn sync(&mut self) -> Result<(), WriteError> {
        if let Some(segment) = self.segment.as_ref().filter(|_| self.synced) {
            let failed = |source| WriteError::Sync {
                segment: self.number,
                source,
            };
            self.storage.sync(segment).map_err(failed)?;
            self.counters.add(Counter::JournalSyncs, 1);
        }
        Ok(())
    }

    /// The batch is recorded: says so, and gives the leases back.
    fn tell(&mut self) {
        let len = self.staged.len() as u64;
        if self.staged.entries > 0 {
            let first_record = self.position() + BATCH_HEADER_LEN as u64;
            self.to_scheduler.send(FromJournal::Recorded {
                first_sequence: self.staged.first_sequence,
                entries: self.staged.entries,
                position: first_record,
            });
            let last = self.staged.first_sequence + u64::from(self.staged.entries) - 1;
            self.counters.set(Counter::JournalRecorded, last);
        }
        self.give_leases_back();
        self.offset += len;
        // Pairs with the acquire load of the store: who sees the position finds the bytes.
        self.recorded.store(self.position(), Ordering::Release);
        self.counters.add(Counter::JournalBytes, len);
        self.counters.add(Counter::JournalBatches, 1);
        self.staged.settlements.clear();
        (self.staged.runs_len, self.staged.entries) = (0, 0);
        self.staged.ready = false;
    }

    fn give_leases_back(&mut self) {
        let mut homebound = Homebound::default();
        for lease in self.staged.runs.drain(..) {
            if let Some(returned) = homebound.add(lease) {
                self.to_scheduler.send(FromJournal::Returned(returned));
            }
        }
        if let Some(returned) = homebound.take() {
            self.to_scheduler.send(FromJournal::Returned(returned));
        }
    }

    /// A full disk is waited for; anything else ends the engine.
    fn judge(&mut self, error: io::Error, now: Now) -> Result<(), WriteError> {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge
                | io::ErrorKind::WriteZero
        );
        if !full {
            let (segment, offset) = (self.number, self.offset);
            return Err(WriteError::Write {
                segment,
                offset,
                source: error,
            });
        }
        if !self.is_full {
            error!(%error, "the journal's disk is full: sources wait until there is room");
        }
        self.is_full = true;
        self.retry_at_ns = now.ns + FULL_RETRY_NS;
        self.counters.add(Counter::JournalFull, 1);
        Ok(())
    }

    fn append(&mut self, now: Now) -> io::Result<()> {
        if !self.staged.ready {
            self.roll_if_needed(now)?;
            self.seal(now);
        }
        self.write()
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
        self.to_scheduler.flush();
        if now.ns < self.retry_at_ns {
            return Ok(0);
        }
        if !self.staged.ready {
            self.collect(now);
        }
        if self.staged.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.append(now) {
            self.judge(error, now)?;
            return Ok(0);
        }
        if std::mem::take(&mut self.is_full) {
            info!("the journal's disk has room again");
        }
        self.sync()?;
        let work_count = self.staged.entries as usize + self.staged.settlements.len();
        self.tell();
        self.to_scheduler.flush();
        Ok(work_count)
    }
}

/// Writes all of `bytes`, in as many calls as it takes.
pub(super) fn write_whole<S: Storage>(
    storage: &S,
    segment: &S::Segment,
    offset: u64,
    bytes: &[u8],
) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let piece = [IoSlice::new(&bytes[written..])];
        match storage.write_at(segment, offset + written as u64, &piece)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => written += taken,
        }
    }
    Ok(())
}

const _: () = assert!(
    RECORD_HEADER_LEN < BATCH_HEADER_LEN,
    "a batch is told from a record"
);
