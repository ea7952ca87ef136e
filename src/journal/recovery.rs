//! Recovery: reads the journal forward at start, and makes its end ready to be written behind.
//!
//! The engine calls it before any agent runs. A torn tail is cut by marking the segment's end before
//! it; damage in the middle is refused, with the place named.

use std::io;

use super::batch::{Batch, Record};
use super::error::{Damage, JournalError};
use super::reader::{Reader, Tail};
use super::record::{BATCH_HEADER_LEN, BatchHeader, Position, Settlement};
use super::segment::Begun;
use super::storage::{Name, Storage, write_whole};
use crate::message::Sequence;

/// Where the journal goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The segment boundary at which it begins to write.
    pub position: Position,
    /// The sequence of the next message.
    pub next_sequence: Sequence,
}

impl Default for Origin {
    /// An empty journal.
    fn default() -> Self {
        Self {
            position: 0,
            next_sequence: 1,
        }
    }
}

/// Takes what the journal holds, in its order.
pub trait Sink {
    /// A message was accepted.
    fn message(&mut self, record: &Record<'_>);
    /// A message was settled.
    fn settled(&mut self, settlement: &Settlement);
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Where to go on.
    pub origin: Origin,
    /// The segments that are there, in their order.
    pub segments: Vec<Begun>,
    /// Bytes of a batch that was not whole, and is cut.
    pub torn_len: u64,
}

/// Reads the journal and closes its last segment.
///
/// # Errors
/// It cannot be read or written, or is damaged before its end.
pub fn recover<S: Storage + Clone>(
    storage: &mut S,
    segment_len: u64,
    now_us: u64,
    sink: &mut impl Sink,
) -> Result<Recovered, JournalError> {
    let first = storage
        .segments()
        .map_err(JournalError::List)?
        .first()
        .copied();
    let Some(first) = first else {
        return Ok(Recovered::default());
    };
    let mut reader = Reader::new(storage.clone(), segment_len, first * segment_len);
    let (mut next_sequence, mut segments) = (1, Vec::new());
    while let Some(batch) = reader.next(Position::MAX)? {
        // What was settled may be gone, its records and all: the settlements know how far it went.
        next_sequence = next_sequence.max(batch.header().first_sequence);
        note_segment(&mut segments, &batch, segment_len, next_sequence);
        for record in batch.records() {
            sink.message(&record);
            next_sequence = record.sequence + 1;
        }
        batch
            .settlements()
            .for_each(|settlement| sink.settled(&settlement));
    }
    let tail = reader.tail()?;
    if tail.whole_beyond.is_some() {
        let (segment, offset) = (tail.position / segment_len, tail.position % segment_len);
        return Err(JournalError::Corrupt {
            segment,
            offset,
            damage: Damage::Torn,
        });
    }
    let position = close(storage, segment_len, tail, now_us)?;
    let end = Begun {
        number: position / segment_len,
        first_sequence: next_sequence,
        time_ms: now_us / 1_000,
        taken: 0,
    };
    let numbers = storage.segments().map_err(JournalError::List)?;
    Ok(Recovered {
        origin: Origin {
            position,
            next_sequence,
        },
        segments: with_empty_ones(&numbers, &segments, end),
        torn_len: tail.torn_len,
    })
}

/// Enters the batch's segment, if it is the first of that.
fn note_segment(
    segments: &mut Vec<Begun>,
    batch: &Batch<'_>,
    segment_len: u64,
    first_sequence: Sequence,
) {
    let number = batch.position() / segment_len;
    if segments.last().is_none_or(|it| it.number != number) {
        segments.push(Begun {
            number,
            first_sequence,
            time_ms: batch.header().time_us / 1_000,
            taken: 0,
        });
    }
}

/// All segments that are there: one without a batch has begun when the next one did.
fn with_empty_ones(numbers: &[u64], with_batches: &[Begun], end: Begun) -> Vec<Begun> {
    let (mut rest, mut later) = (with_batches, end);
    let mut segments: Vec<Begun> = numbers
        .iter()
        .rev()
        .map(|&number| {
            later = match rest.split_last() {
                Some((last, before)) if last.number == number => {
                    rest = before;
                    *last
                }
                _ => Begun { number, ..later },
            };
            later
        })
        .collect();
    segments.reverse();
    segments
}

/// Closes the last segment; returns where the next one begins.
fn close<S: Storage>(
    storage: &mut S,
    segment_len: u64,
    tail: Tail,
    now_us: u64,
) -> Result<Position, JournalError> {
    let (number, offset) = (tail.position / segment_len, tail.position % segment_len);
    let at = |source: io::Error| JournalError::Read {
        segment: number,
        offset,
        source,
    };
    if offset == 0 {
        // The crash came while it was being made: it holds nothing.
        let exists = storage
            .segments()
            .map_err(JournalError::List)?
            .contains(&number);
        if exists {
            storage.remove(Name::Segment(number)).map_err(at)?;
        }
        if let Some(last) = number.checked_sub(1) {
            // Its end, too, may never have been synced: an earlier recovery may have died over it.
            match storage.resume(Name::Segment(last)) {
                Ok(segment) => storage.sync(&segment).map_err(at)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(error)),
            }
        }
        return Ok(tail.position);
    }
    if segment_len - offset >= BATCH_HEADER_LEN as u64 {
        let segment = storage.resume(Name::Segment(number)).map_err(at)?;
        let end = BatchHeader::end_mark(tail.position, now_us);
        write_whole(storage, &segment, offset, &end).map_err(at)?;
        storage.sync(&segment).map_err(at)?;
    }
    Ok((number + 1) * segment_len)
}

#[cfg(test)]
mod tests;
