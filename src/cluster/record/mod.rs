//! A record: what one message of the group's stream holds, and what one write of a member's journal is.
//!
//! The active makes them; each member checks them and writes the same bytes at the same position. A record
//! is a *place*, in the shape of a journal's batch, then the batches of one write, or none. So a journal is a sequence of records, and a member can publish one again as it was. Who may make which record, and which
//! of those in the stream count, is not decided here.
//!
//! ```text
//! record  | place: header of a batch 48, fields 96, announcement 0.. | batch | batch ... |
//!
//! place: the header is that of a batch (see `crate::journal::format`) of kind 6 with 0 entries, 0 bytes
//! behind its write, the record's position, the sequence of the next message, the engine's own time
//! fields, little-endian
//!  0 format u16   2 kind u8   3 zero   4 crc u32 (of all behind the place)
//!  8 announcement length u32   12 batches length u32   16 lease ms u32   20 zeros u32
//! 24 group u128   40 sequence u64 that the stream must give it   48 epoch u64   56 random u64
//! 64 the record before: sequence u64, 72 epoch u64, 80 random u64   88 low u64
//! announcement (beat, claim, goodbye)
//!  0 segment length u64   8 count of addresses u8   9 node: length u16, bytes   then each address alike
//! ```
//!
//! The batches stand behind the place: each names its position and how far it is behind the place. Those of
//! a carried record name the positions that their entries had.

mod announcement;
mod batches;
mod codec;
mod error;
mod place;
#[cfg(test)]
mod tests;

pub use announcement::Announcement;
pub(crate) use codec::len_of;
pub use codec::{Record, encode};
pub use error::RecordError;
pub use place::{Before, Kind, Place, Term};

use crate::journal::batch::Batch;
use crate::journal::format::{BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN};

/// Bytes of a place without an announcement.
pub const PLACE_LEN: usize = crate::journal::format::BATCH_HEADER_LEN + place::FIELDS_LEN;

/// The format of records that this engine writes.
pub const RECORD_FORMAT: u16 = 1;

/// What the stream gave the record whose place this batch is; `None`: it is no place.
pub(crate) fn sequence_of(batch: &Batch<'_>) -> Option<u64> {
    place::sequence_in(batch.place()?)
}

/// The segment below which nobody needs anything, as the place says that this batch is; `None`: it is no place.
pub(crate) fn low_of(batch: &Batch<'_>) -> Option<u64> {
    place::low_in(batch.place()?)
}

/// Bytes of the batches behind this batch's header and body, if it is the place of a carried record: they name
/// positions of long ago, and are no batches of the journal.
pub(crate) fn carried_len(header: &BatchHeader, body: &[u8]) -> Option<usize> {
    let is_place = header.kind == BatchKind::Place;
    is_place.then(|| place::carried_len_in(body)).flatten()
}

/// Where a record of so many bytes stands in a journal that ends at `end`: records never cross segments.
#[must_use]
pub fn position_of(end: Position, len: usize, segment_len: u64) -> Position {
    let offset = end % segment_len;
    if offset == 0 {
        return end + SEGMENT_HEADER_LEN as u64;
    }
    if offset + len as u64 > segment_len {
        return next_segment(end, segment_len);
    }
    end
}

/// Where the first record of the next segment stands.
#[must_use]
pub fn next_segment(end: Position, segment_len: u64) -> Position {
    end.next_multiple_of(segment_len) + SEGMENT_HEADER_LEN as u64
}
