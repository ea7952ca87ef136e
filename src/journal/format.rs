//! The journal's format on disk: segment header, batch header, settlement.
//!
//! Pure functions between bytes and values; who writes and reads files is the business of
//! `segment` and `reader`. All integers are little-endian.
//!
//! ```text
//! segment file (fixed length)
//! +----------------+-------------+-------------+-----+--------------------------------+
//! | segment header | batch       | batch       | ... | zeros, or a former life's tail |
//! +----------------+-------------+-------------+-----+--------------------------------+
//! A segment that is followed by another one was closed: by a batch of kind `End` without entries,
//! or by having no room left for a batch header.
//!
//! segment header, 64 bytes
//!  0 magic "FLBJRNL1"   8 version u32   12 crc u32 (of all the rest)
//! 16 segment number u64   24 segment length u64   32 created, ms since the epoch u64
//! 40 the engine's own time less the time since boot, us i64   48 id of the boot u128, or zero
//!
//! batch header, 48 bytes: nothing of a segment's former life can pass for this one's, for number
//! and position stand under the CRC
//!  0 magic "FLBB"   4 crc u32 (of the rest of the header, then of the body)
//!  8 body length u32   12 kind u8   13 zeros   16 entries u32
//! 20 bytes since the beginning of its write u32 (what was written in one piece is torn in any order)
//! 24 position u64 (of this header in the whole journal)   32 first sequence u64
//! 40 time, us u64: of messages the engine's own (see [`crate::clock`]), else since the epoch
//!
//! message record: see [`crate::message::layout`]
//!
//! compacted file: what is still needed of some closed segments; once under its name it never changes
//! +------------------+----------------------+-------+-----+----------+
//! | compacted header | batch (carried, ids) | batch | ... | end mark |
//! +------------------+----------------------+-------+-----+----------+
//! It stands for the segments `from..to`, whose files are gone, or about to go: where both are
//! there, the compacted file counts. Batches have the headers drawn above, but name the position at
//! which their first entry stood in the journal: positions ascend, and are no offsets.
//!
//! compacted header, 64 bytes
//!  0 magic "FLBKEPT1"   8 version u32   12 crc u32 (of all the rest)
//! 16 from u64   24 to u64   32 segment length u64
//! 40 first sequence u64, 48 next sequence u64 (of the messages accepted in their course)
//! 56 end of the last one, ms of the engine's own time u64
//!
//! entry of a carried batch: the record's position u64, then the message record as it was
//!
//! entry of a batch of ids: the messageId, whole or as its digest; see [`crate::message::CompactId`].
//! The messages were settled; their sequences follow each other, the batch's time is the latest of theirs
//!
//! free file: named by the segment that it was, or one of two reserves; what it holds means nothing
//!
//! settlement, 12 bytes
//!  0 sequence u64   8 settled, us before the batch's time u32 (saturating)
//! ```

use crate::clock::BootTie;
use crate::message::layout::{u32_at, u64_at};

/// Bytes of a segment's header.
pub const SEGMENT_HEADER_LEN: usize = 64;
/// Bytes of a batch's header.
pub const BATCH_HEADER_LEN: usize = 48;
/// Bytes of a settlement.
pub const SETTLEMENT_LEN: usize = 12;
/// The format that this engine writes.
pub const FORMAT_VERSION: u32 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"FLBJRNL1";
/// How a batch begins.
pub(crate) const BATCH_MAGIC: [u8; 4] = *b"FLBB";

/// A place in the journal: segment number times segment length, plus the offset in the segment.
/// Positions only grow, over all segments.
pub type Position = u64;

/// What a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Message records, sequences ascending; gaps are possible between records, never inside.
    Messages,
    /// Settlements, in the order they happened.
    Settlements,
    /// Message records carried forward, each behind its position; sequences and positions ascend.
    Carried = 3,
    /// Nothing: no further batch stands in this segment. Without it a reader could not tell a
    /// segment that was closed from one whose next batch was damaged.
    End = 2,
    /// Nothing any more: what stood here was damaged, and a repair kept the places behind it.
    Void = 4,
    /// Ids of settled messages that the dedup window remembers, and whose records are gone; sequences
    /// ascend by one.
    Ids = 5,
    /// The place of a record of a replicated journal, before the batches of its write; see
    /// [`crate::cluster::record`].
    Place = 6,
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// CRC-32 of the rest of the header and of the body.
    pub crc: u32,
    /// Bytes of the body.
    pub body_len: u32,
    /// What the body holds.
    pub kind: BatchKind,
    /// How many records or settlements.
    pub entries: u32,
    /// Where this header stands.
    pub position: Position,
    /// Sequence of the first record; with settlements, of the next message; zero in end marks.
    pub first_sequence: u64,
    /// When the batch was made, in us. Of messages by the engine's own time, by which they are
    /// remembered and age after a restart; else by the wall clock, which people are told.
    pub time_us: u64,
}

impl BatchHeader {
    /// Writes the header; `body` is hashed in pieces, in their order, and becomes part of the CRC.
    pub fn encode<'a>(
        &self,
        body: impl Iterator<Item = &'a [u8]>,
        out: &mut [u8; BATCH_HEADER_LEN],
    ) {
        self.encode_behind(0, body, out);
    }

    /// Writes the header of a batch that stands so many bytes behind the beginning of its write.
    pub fn encode_behind<'a>(
        &self,
        behind: u32,
        body: impl Iterator<Item = &'a [u8]>,
        out: &mut [u8; BATCH_HEADER_LEN],
    ) {
        out[0..4].copy_from_slice(&BATCH_MAGIC);
        out[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        out[12..16].copy_from_slice(&[self.kind as u8, 0, 0, 0]);
        out[16..20].copy_from_slice(&self.entries.to_le_bytes());
        out[20..24].copy_from_slice(&behind.to_le_bytes());
        out[24..32].copy_from_slice(&self.position.to_le_bytes());
        out[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[40..48].copy_from_slice(&self.time_us.to_le_bytes());
        let crc = crc_of(&out[8..], body);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The bytes that close a segment, for the place where they will stand.
    #[must_use]
    pub fn end_mark(position: Position, time_us: u64) -> [u8; BATCH_HEADER_LEN] {
        let mut bytes = [0; BATCH_HEADER_LEN];
        let end = Self {
            crc: 0,
            body_len: 0,
            kind: BatchKind::End,
            entries: 0,
            position,
            first_sequence: 0,
            time_us,
        };
        end.encode(std::iter::empty(), &mut bytes);
        bytes
    }

    /// Reads a header, if these bytes look like one; [`BatchHeader::matches`] tells whether it is.
    #[must_use]
    pub fn decode(from: &[u8; BATCH_HEADER_LEN]) -> Option<Self> {
        let kind = match from[12] {
            0 => BatchKind::Messages,
            1 => BatchKind::Settlements,
            2 => BatchKind::End,
            3 => BatchKind::Carried,
            4 => BatchKind::Void,
            5 => BatchKind::Ids,
            6 => BatchKind::Place,
            _ => return None,
        };
        (from[0..4] == BATCH_MAGIC).then(|| Self {
            crc: u32_at(from, 4),
            body_len: u32_at(from, 8),
            kind,
            entries: u32_at(from, 16),
            position: u64_at(from, 24),
            first_sequence: u64_at(from, 32),
            time_us: u64_at(from, 40),
        })
    }

    /// How many bytes behind the beginning of its write the batch of this header stands.
    #[must_use]
    pub fn behind(from: &[u8; BATCH_HEADER_LEN]) -> u32 {
        u32_at(from, 20)
    }

    /// Whether header bytes and body are whole, and stand where they were written.
    #[must_use]
    pub fn matches(
        &self,
        header: &[u8; BATCH_HEADER_LEN],
        body: &[u8],
        position: Position,
    ) -> bool {
        self.position == position && self.crc == crc_of(&header[8..], std::iter::once(body))
    }
}

fn crc_of<'a>(header_rest: &[u8], body: impl Iterator<Item = &'a [u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header_rest);
    body.for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

/// Bytes that a body takes as a batch.
pub(crate) fn batch_len(body_len: usize) -> usize {
    match body_len {
        0 => 0,
        _ => BATCH_HEADER_LEN + body_len,
    }
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Its number, from 0.
    pub number: u64,
    /// Bytes of the file.
    pub segment_len: u64,
    /// When this life of the file began: ms since the epoch.
    pub created_ms: u64,
    /// What ties the engine's own time in it to the machine's.
    pub tie: BootTie,
}

/// Why a segment's header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentHeaderError {
    /// The file does not begin as a segment does.
    #[error("it is not a journal segment (wrong magic)")]
    NotASegment,
    /// Another engine wrote it.
    #[error("it has format version {0}; this engine reads version {FORMAT_VERSION}")]
    Version(u32),
    /// The header was damaged.
    #[error("its header is damaged (wrong CRC)")]
    Damaged,
}

impl SegmentHeader {
    /// Writes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        out[0..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.segment_len.to_le_bytes());
        out[32..40].copy_from_slice(&self.created_ms.to_le_bytes());
        out[40..48].copy_from_slice(&self.tie.offset_us.to_le_bytes());
        out[48..64].copy_from_slice(&self.tie.boot.to_le_bytes());
        let crc = crc32fast::hash(&out[16..]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// Wrong magic, another format version, a wrong CRC.
    pub fn decode(from: &[u8; SEGMENT_HEADER_LEN]) -> Result<Self, SegmentHeaderError> {
        if from[0..8] != SEGMENT_MAGIC {
            return Err(SegmentHeaderError::NotASegment);
        }
        if u32_at(from, 8) != FORMAT_VERSION {
            return Err(SegmentHeaderError::Version(u32_at(from, 8)));
        }
        if u32_at(from, 12) != crc32fast::hash(&from[16..]) {
            return Err(SegmentHeaderError::Damaged);
        }
        Ok(Self {
            number: u64_at(from, 16),
            segment_len: u64_at(from, 24),
            created_ms: u64_at(from, 32),
            tie: BootTie {
                offset_us: u64_at(from, 40).cast_signed(),
                boot: u128::from(u64_at(from, 48)) | u128::from(u64_at(from, 56)) << 64,
            },
        })
    }
}

/// One message that needs no more work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Whose.
    pub sequence: u64,
    /// When it was settled: us since the epoch.
    pub settled_us: u64,
}

impl Settlement {
    /// Writes the settlement into a batch of time `batch_time_us`.
    pub fn encode(&self, batch_time_us: u64, out: &mut [u8; SETTLEMENT_LEN]) {
        let before_us = batch_time_us.saturating_sub(self.settled_us);
        out[0..8].copy_from_slice(&self.sequence.to_le_bytes());
        out[8..12].copy_from_slice(&u32::try_from(before_us).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Reads a settlement of a batch of time `batch_time_us`.
    #[must_use]
    pub fn decode(batch_time_us: u64, from: &[u8; SETTLEMENT_LEN]) -> Self {
        let settled_us = batch_time_us.saturating_sub(u64::from(u32_at(from, 8)));
        Self {
            sequence: u64_at(from, 0),
            settled_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_recognised_only_whole_and_in_its_place() {
        let batch = BatchHeader {
            crc: 0,
            body_len: 6,
            kind: BatchKind::Settlements,
            entries: 1,
            position: 64,
            first_sequence: 9,
            time_us: 1,
        };
        let mut bytes = [0; BATCH_HEADER_LEN];
        batch.encode([&b"abc"[..], &b"def"[..]].into_iter(), &mut bytes);
        let read = BatchHeader::decode(&bytes).expect("it is one");
        assert!(read.matches(&bytes, b"abcdef", 64));
        assert!(!read.matches(&bytes, b"abcdeF", 64));
        assert!(!read.matches(&bytes, b"abcdef", 128));
        for at in 0..BATCH_HEADER_LEN {
            let mut torn = bytes;
            torn[at] ^= 1;
            let whole =
                BatchHeader::decode(&torn).is_some_and(|it| it.matches(&torn, b"abcdef", 64));
            assert!(!whole, "a flipped bit in byte {at} went unnoticed");
        }
    }

    #[test]
    fn a_segment_header_says_what_is_wrong_with_it() {
        let segment = SegmentHeader {
            number: 3,
            segment_len: 1 << 26,
            created_ms: 5,
            tie: BootTie {
                boot: 1 << 100 | 7,
                offset_us: -9,
            },
        };
        let bytes = segment.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(segment));
        let with = |at: usize, value: u8| {
            let mut changed = bytes;
            changed[at] = value;
            SegmentHeader::decode(&changed)
        };
        assert_eq!(with(0, b'X'), Err(SegmentHeaderError::NotASegment));
        assert_eq!(with(8, 9), Err(SegmentHeaderError::Version(9)));
        assert_eq!(with(16, 9), Err(SegmentHeaderError::Damaged));
    }

    #[test]
    fn a_settlement_keeps_its_time_relative_to_the_batch() {
        let settlement = Settlement {
            sequence: 1 << 40,
            settled_us: 1_000_000,
        };
        let mut bytes = [0; SETTLEMENT_LEN];
        settlement.encode(1_000_250, &mut bytes);
        assert_eq!(Settlement::decode(1_000_250, &bytes), settlement);
    }
}
