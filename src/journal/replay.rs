//! The replay agent: reads messages back from the journal, when it is their turn.
//!
//! The scheduler asks for records by position, in the order it wants to deliver them, and lends
//! chunks to read them into; they come back as if ingest had just read them. It has a thread of its
//! own, for a disk may be slow. It writes no file.

use std::io;

use super::record::{Position, RECORD_HEADER_LEN, RecordHeader};
use super::storage::{Name, Storage};
use crate::agent::{Agent, Fatal};
use crate::arena::{Committed, Writer};
use crate::clock::Now;
use crate::limits::{FETCHES_PER_CYCLE, LINE_LEN_MAX};
use crate::message::Sequence;
use crate::ring::{Receiver, Sender};

/// A record that the scheduler asks for.
#[derive(Debug, Clone, Copy)]
pub struct Fetch {
    /// The scheduler's name for it.
    pub slot: u32,
    /// Whose record it is.
    pub sequence: Sequence,
    /// Where it stands.
    pub position: Position,
    /// Its bytes.
    pub len: u32,
}

/// What the scheduler is told.
#[derive(Debug)]
pub enum FromReplay {
    /// A record was read.
    Fetched {
        /// The scheduler's name for it.
        slot: u32,
        /// The record.
        frame: Committed,
    },
    /// A chunk is full.
    Sealed(Writer),
}

/// The journal does not give back what was put into it.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error(
        "journal segment {segment} cannot be read at offset {offset}: {source}; message {sequence} \
         is there and stays there: check the disk, then start again"
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
}

/// What the replay agent is made of.
pub struct ReplayParts<S> {
    /// Requests come from here.
    pub from_scheduler: Receiver<Fetch>,
    /// Chunks to read into come from here.
    pub chunks: Receiver<Writer>,
    /// Records go there.
    pub to_scheduler: Sender<FromReplay>,
    /// Where segments live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
}

/// The agent.
pub struct ReplayAgent<S: Storage> {
    parts: ReplayParts<S>,
    /// The segment read last: a backlog is read in long stretches of one.
    open: Option<(u64, S::Segment)>,
    writer: Option<Writer>,
    /// A request that waits for a chunk.
    waiting: Option<Fetch>,
    buffer: Vec<u8>,
}

impl<S: Storage> ReplayAgent<S> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: ReplayParts<S>) -> Self {
        let buffer = vec![0; RECORD_HEADER_LEN + LINE_LEN_MAX + 1];
        Self {
            parts,
            open: None,
            writer: None,
            waiting: None,
            buffer,
        }
    }

    /// Makes sure of a chunk with room; `false`: none is here yet.
    fn has_room(&mut self, wanted: &Fetch) -> bool {
        let fits = |writer: &Writer| writer.room() >= wanted.len as usize;
        if self.writer.as_ref().is_some_and(fits) {
            return true;
        }
        let Some(empty) = self.parts.chunks.poll() else {
            return false;
        };
        if let Some(full) = self.writer.replace(empty) {
            self.parts.to_scheduler.send(FromReplay::Sealed(full));
        }
        true
    }

    fn fetch(&mut self, wanted: Fetch) -> Result<(), ReplayError> {
        let (segment, offset) = (
            wanted.position / self.parts.segment_len,
            wanted.position % self.parts.segment_len,
        );
        let len = wanted.len as usize;
        self.read(segment, offset, len)
            .map_err(|source| ReplayError::Read {
                segment,
                offset,
                sequence: wanted.sequence,
                source,
            })?;
        let record = &self.buffer[..len];
        if !holds(record, &wanted) {
            let sequence = wanted.sequence;
            return Err(ReplayError::Changed {
                segment,
                offset,
                sequence,
            });
        }
        let writer = self.writer.as_mut().expect("`has_room` has seen to it");
        let frame = &record[RECORD_HEADER_LEN..len - 1];
        let mut claim = writer.claim(frame).expect("`has_room` has seen to it");
        claim
            .header_mut()
            .copy_from_slice(&record[..RECORD_HEADER_LEN]);
        let frame = claim.commit();
        self.parts.to_scheduler.send(FromReplay::Fetched {
            slot: wanted.slot,
            frame,
        });
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
        let mut read_len = 0;
        while read_len < len {
            let into = &mut self.buffer[read_len..len];
            match self
                .parts
                .storage
                .read_at(file, offset + read_len as u64, into)?
            {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read_len += more,
            }
        }
        Ok(())
    }
}

/// Whether these bytes are the record that was asked for.
fn holds(record: &[u8], wanted: &Fetch) -> bool {
    let Some((header, rest)) = record.split_first_chunk() else {
        return false;
    };
    let header = RecordHeader::decode(header);
    header.sequence_low == wanted.sequence as u32
        && header.frame_len as usize + 1 == rest.len()
        && rest.last() == Some(&b'\n')
}

impl<S: Storage> Agent for ReplayAgent<S> {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn do_work(&mut self, _now: Now) -> Result<usize, Fatal> {
        let mut work_count = 0;
        while work_count < FETCHES_PER_CYCLE {
            let next = self
                .waiting
                .take()
                .or_else(|| self.parts.from_scheduler.poll());
            let Some(wanted) = next else { break };
            if !self.has_room(&wanted) {
                self.waiting = Some(wanted);
                break;
            }
            self.fetch(wanted)?;
            work_count += 1;
        }
        self.parts.to_scheduler.flush();
        Ok(work_count)
    }
}
