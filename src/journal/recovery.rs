//! Recovery: reads the journal forward at start, and makes its end ready to be written behind.
//!
//! The engine calls it before any agent runs. A torn tail is cut by marking the segment's end before
//! it; damage in the middle is refused, with the place named.

use std::io;

use super::batch::Record;
use super::error::{Damage, JournalError};
use super::gauge::Gauge;
use super::reader::{Reader, Tail};
use super::record::{BATCH_HEADER_LEN, BatchHeader, Position, Settlement};
use super::storage::Storage;
use super::writer::write_whole;
use crate::message::Sequence;

/// Where the journal goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The segment boundary at which it begins to write.
    pub position: Position,
    /// The sequence of the next message.
    pub next_sequence: Sequence,
}

/// Takes what the journal holds, in its order.
pub trait Sink {
    /// A message was accepted.
    fn message(&mut self, record: &Record<'_>);
    /// A message was settled.
    fn settled(&mut self, settlement: &Settlement);
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Where to go on.
    pub origin: Origin,
    /// Bytes of batches that were not whole, and are cut.
    pub torn_len: u64,
    /// Where they stood.
    pub torn_at: Position,
}

/// Reads the journal and closes its last segment.
///
/// Of a last segment that has whole batches behind a damaged place, nothing is cut: they hold what
/// was accepted, and perhaps acknowledged, and a repair keeps them. But where each write was
/// `synced` before the next one, a power loss may have left the last one in parts, and nobody was
/// promised anything of it.
///
/// # Errors
/// It cannot be read or written, or is damaged before its end.
pub fn recover<S: Storage + Clone>(
    storage: &mut S,
    segment_len: u64,
    synced: bool,
    now_us: u64,
    sink: &mut impl Sink,
) -> Result<Recovered, JournalError> {
    let segments = storage.segments().map_err(JournalError::List)?;
    let (Some(&first), Some(&last)) = (segments.first(), segments.last()) else {
        let origin = Origin {
            position: 0,
            next_sequence: 1,
        };
        return Ok(Recovered {
            origin,
            torn_len: 0,
            torn_at: 0,
        });
    };
    let mut reader = Reader::new(storage.clone(), segment_len, first * segment_len);
    let mut gauge = Gauge::new(first * segment_len, (last + 1) * segment_len);
    let mut next_sequence = 1;
    while let Some(batch) = reader.next(Position::MAX)? {
        // A batch may tell what the next message gets, beyond the last one that is there.
        next_sequence = next_sequence.max(batch.header().first_sequence);
        for record in batch.records() {
            sink.message(&record);
            next_sequence = record.sequence + 1;
        }
        batch
            .settlements()
            .for_each(|settlement| sink.settled(&settlement));
        gauge.at(batch.end(), batch.header().entries);
    }
    gauge.finish(reader.position());
    let mut tail = reader.tail()?;
    if let Some(beyond) = tail.whole_beyond {
        let written = if synced {
            reader.last_write(&tail)?
        } else {
            None
        };
        let Some(end) = written else {
            return Err(damaged(tail.position, segment_len));
        };
        debug_assert!(end > beyond, "it ends behind what is whole");
        tail.torn_len = end - tail.position;
    }
    let position = close(storage, segment_len, tail, now_us)?;
    Ok(Recovered {
        origin: Origin {
            position,
            next_sequence,
        },
        torn_len: tail.torn_len,
        torn_at: tail.position,
    })
}

fn damaged(position: Position, segment_len: u64) -> JournalError {
    JournalError::Corrupt {
        segment: position / segment_len,
        offset: position % segment_len,
        damage: Damage::Torn,
    }
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
            storage.remove(number).map_err(at)?;
        }
        return Ok(tail.position);
    }
    if segment_len - offset >= BATCH_HEADER_LEN as u64 {
        let segment = storage.resume(number).map_err(at)?;
        let end = BatchHeader::end_mark(tail.position, now_us);
        write_whole(storage, &segment, offset, &end).map_err(at)?;
        storage.sync(&segment).map_err(at)?;
    }
    Ok((number + 1) * segment_len)
}

#[cfg(test)]
mod tests;
