//! The replay agent: reads messages back from the journal, when it is their turn.
//!
//! The scheduler asks for records by position, in the order it wants to deliver them, and lends
//! chunks to read them into; they come back as if ingest had just read them. It has a thread of its
//! own, for a disk may be slow. What cannot be read is set aside and tried again: its destination
//! waits, and the others go on. It writes no file.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use tracing::{error, info};

use super::batch::Batch;
use super::compacted::CompactedReader;
use super::error::JournalError;
use super::format::BatchHeader;
use super::protocol::{CompactedFiles, Fetch, FromReplay, Switched};
use super::storage::{Name, Storage, read_full};
use crate::agent::{Agent, Fatal};
use crate::arena::Writer;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{FETCHES_PER_CYCLE, LINE_LEN_MAX};
use crate::message::layout::record_len;
use crate::message::{Record, Sequence};
use crate::ring::{Receiver, Sender};

/// The journal does not give back what was put into it.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error(
        "journal segment {segment} cannot be read at offset {offset}: {source}; message {sequence} \
         and its destination wait, and it is tried again each second: check the disk"
    )]
    Read {
        /// Number of the segment.
        segment: u64,
        /// Offset in it.
        offset: u64,
        /// Which message.
        sequence: Sequence,
        /// What the system said.
        source: io::Error,
    },
    /// Something else stands there.
    #[error(
        "journal segment {segment} does not hold message {sequence} at offset {offset}; \
         somebody changed the file, or the disk is damaged: check it, then start again"
    )]
    Changed {
        /// Number of the segment.
        segment: u64,
        /// Offset in it.
        offset: u64,
        /// Which message.
        sequence: Sequence,
    },
    /// A compacted file cannot be read.
    #[error(transparent)]
    Compacted(#[from] JournalError),
}

impl ReplayError {
    /// Whether the same read may succeed later: the operating system failed, not the journal.
    fn is_transient(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::Changed { .. } => false,
            Self::Compacted(error) => error.is_transient(),
        }
    }
}

/// A pause before what could not be read is tried again, in ns.
const RETRY_NS: u64 = 1_000_000_000;

/// A chunk that is full, and the record that found no room in it.
const ENTRIES_PER_FETCH: usize = 2;

/// What the replay agent is made of.
pub struct ReplayParts<S> {
    /// Requests come from here.
    pub from_scheduler: Receiver<Fetch>,
    /// Chunks to read into come from here.
    pub chunks: Receiver<Writer>,
    /// Records go there.
    pub to_scheduler: Sender<FromReplay>,
    /// The compacted files, whenever there are others, come from here.
    pub from_retention: Receiver<CompactedFiles>,
    /// Told when no file is used any more that those replace.
    pub to_retention: Sender<Switched>,
    /// The compacted files to begin with, in their order.
    pub compacted: CompactedFiles,
    /// Where segments live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// A compacted file, and the batch of it that was read last.
struct InHand<S: Storage> {
    reader: CompactedReader<S>,
    /// Its offset in the file, and its header.
    batch: Option<(u64, BatchHeader)>,
}

/// The agent.
pub struct ReplayAgent<S: Storage> {
    parts: ReplayParts<S>,
    /// The segment read last: a backlog is read in long ranges of one.
    open: Option<(u64, S::Segment)>,
    /// The compacted file read last.
    compacted: Option<InHand<S>>,
    writer: Option<Writer>,
    /// A request that waits for a chunk.
    waiting: Option<Fetch>,
    /// Requests that failed, and when they are tried again, in ns. There is one for a message on its
    /// way to a subscriber at most, and credit bounds these.
    failed: VecDeque<Fetch>,
    retry_at_ns: u64,
    is_failing: bool,
    buffer: Vec<u8>,
}

impl<S: Storage> ReplayAgent<S> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: ReplayParts<S>) -> Self {
        let buffer = vec![0; record_len(LINE_LEN_MAX)];
        Self {
            parts,
            open: None,
            compacted: None,
            writer: None,
            waiting: None,
            failed: VecDeque::new(),
            retry_at_ns: 0,
            is_failing: false,
            buffer,
        }
    }

    /// Makes sure of room in the ring and of a chunk with room; `false`: there is none yet.
    fn has_room(&mut self, wanted: &Fetch) -> bool {
        if !self.parts.to_scheduler.has_room(ENTRIES_PER_FETCH) {
            return false;
        }
        let fits = |writer: &Writer| writer.room() >= wanted.len as usize;
        if self.writer.as_ref().is_some_and(fits) {
            return true;
        }
        let Some(empty) = self.parts.chunks.poll() else {
            return false;
        };
        if let Some(full) = self.writer.replace(empty) {
            let permit = self.parts.to_scheduler.claim(1);
            let mut permit = permit.expect("`has_room` has seen to it");
            permit.send(FromReplay::Sealed(full));
        }
        true
    }

    fn fetch(&mut self, wanted: Fetch) -> Result<(), ReplayError> {
        let (segment, offset) = (
            wanted.position / self.parts.segment_len,
            wanted.position % self.parts.segment_len,
        );
        let len = wanted.len as usize;
        if !self.read_compacted(&wanted, segment)? {
            self.read(segment, offset, len)
                .map_err(|source| ReplayError::Read {
                    segment,
                    offset,
                    sequence: wanted.sequence,
                    source,
                })?;
        }
        let found = Record::parse(&self.buffer[..len]);
        let is_wanted = |it: &Record<'_>| it.sequence_from(wanted.sequence) == wanted.sequence;
        let Some(record) = found.filter(is_wanted) else {
            let sequence = wanted.sequence;
            return Err(ReplayError::Changed {
                segment,
                offset,
                sequence,
            });
        };
        let writer = self.writer.as_mut().expect("`has_room` has seen to it");
        let mut claim = writer
            .claim(record.frame())
            .expect("`has_room` has seen to it");
        record.header().encode(claim.header_mut());
        let frame = claim.commit();
        let permit = self.parts.to_scheduler.claim(1);
        let mut permit = permit.expect("`has_room` has seen to it");
        permit.send(FromReplay::Fetched {
            slot: wanted.slot,
            frame,
        });
        Ok(())
    }

    /// Reads the record from the compacted file that stands for its segment; `false`: none does.
    fn read_compacted(&mut self, wanted: &Fetch, segment: u64) -> Result<bool, JournalError> {
        let files = &self.parts.compacted;
        let behind = files.partition_point(|it| it.header.segments.start <= segment);
        let Some(index) = behind.checked_sub(1).map(|at| &files[at]) else {
            return Ok(false);
        };
        let segments = &index.header.segments;
        if !segments.contains(&segment) {
            return Ok(false);
        }
        let storage = &self.parts.storage;
        if self
            .compacted
            .as_ref()
            .is_none_or(|it| it.reader.header().segments != *segments)
        {
            let reader = CompactedReader::open(storage, segments.clone())?;
            self.compacted = Some(InHand {
                reader,
                batch: None,
            });
        }
        let InHand { reader, batch } = self.compacted.as_mut().expect("it was opened a moment ago");
        // A batch that is not there leaves the buffer as it is, which is then found to be wrong.
        self.buffer[..record_len(0)].fill(0);
        let Some(offset) = index.batch_of(wanted.position) else {
            return Ok(true);
        };
        if batch.is_none_or(|(at, _)| at != offset) {
            reader.seek(offset);
            *batch = reader.advance(storage)?.map(|header| (offset, header));
        }
        let Some((_, header)) = *batch else {
            return Ok(true);
        };
        let mut records = Batch::new(header, reader.body(), 0).records();
        let found = records
            .find(|it| it.position >= wanted.position)
            .filter(|it| it.position == wanted.position);
        if let Some(record) = found.filter(|it| it.record_len() == wanted.len as usize) {
            record.encode(&mut self.buffer[..wanted.len as usize]);
        }
        Ok(true)
    }

    /// From now on reads from these compacted files, and from no file that they replace.
    fn switch(&mut self) -> usize {
        let mut work_count = 0;
        while let Some(files) = self.parts.from_retention.poll() {
            work_count += 1;
            self.parts.compacted = files;
            (self.open, self.compacted) = (None, None);
            let permit = self.parts.to_retention.claim(1);
            let mut permit = permit.expect("retention waits for each before it sends the next");
            permit.send(Switched);
        }
        self.parts.to_retention.flush();
        work_count
    }

    /// What cannot be read now may be later; what is not what was written never is.
    fn set_aside(&mut self, wanted: Fetch, error: ReplayError, now: Now) -> Result<(), Fatal> {
        if !error.is_transient() {
            return Err(error.into());
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            error!("{error}");
        }
        self.parts.counters.add(Counter::ReplayFailures, 1);
        // The descriptor may be the trouble.
        (self.open, self.compacted) = (None, None);
        // A later failure must not put off the retry of an earlier one.
        if now.ns >= self.retry_at_ns {
            self.retry_at_ns = now.ns + RETRY_NS;
        }
        self.failed.push_back(wanted);
        Ok(())
    }

    fn read(&mut self, segment: u64, offset: u64, len: usize) -> io::Result<()> {
        if self
            .open
            .as_ref()
            .is_none_or(|(number, _)| *number != segment)
        {
            self.open = Some((segment, self.parts.storage.open(Name::Segment(segment))?));
        }
        let (_, file) = self.open.as_ref().expect("it was opened a moment ago");
        let into = &mut self.buffer[..len];
        if read_full(&self.parts.storage, file, offset, into)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl<S: Storage> Agent for ReplayAgent<S> {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.switch();
        let mut retries = 0;
        if now.ns >= self.retry_at_ns && !self.failed.is_empty() {
            retries = self.failed.len();
            self.retry_at_ns = now.ns + RETRY_NS;
        }
        while work_count < FETCHES_PER_CYCLE {
            let next = self.waiting.take().or_else(|| match retries {
                0 => self.parts.from_scheduler.poll(),
                _ => {
                    retries -= 1;
                    self.failed.pop_front()
                }
            });
            let Some(wanted) = next else { break };
            if !self.has_room(&wanted) {
                self.waiting = Some(wanted);
                break;
            }
            match self.fetch(wanted) {
                Ok(()) => work_count += 1,
                Err(error) => self.set_aside(wanted, error, now)?,
            }
        }
        if self.is_failing && self.failed.is_empty() && self.waiting.is_none() {
            self.is_failing = false;
            info!("what could not be read from the journal is read");
        }
        self.parts.to_scheduler.flush();
        Ok(work_count)
    }
}
