//! A compacted file's header and its name: the segments that it stands for.

use std::ops::Range;

use crate::journal::format::{FORMAT_VERSION, SegmentHeaderError};
use crate::journal::storage::Name;
use crate::message::Sequence;
use crate::message::layout::{u32_at, u64_at};

/// Bytes of a compacted file's header.
pub(in crate::journal) const HEADER_LEN: usize = 64;
const MAGIC: [u8; 8] = *b"FLBKEPT1";

/// What a compacted file stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedHeader {
    /// The numbers of the segments.
    pub segments: Range<u64>,
    /// Bytes of a segment.
    pub segment_len: u64,
    /// The sequences that were accepted in their course.
    pub sequences: Range<Sequence>,
    /// Nothing in it is younger: ms of the engine's own time.
    pub end_ms: u64,
}

impl CompactedHeader {
    /// The file's name.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::Compacted(self.segments.start, self.segments.end)
    }

    pub(in crate::journal) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let fields = [
            self.segments.start,
            self.segments.end,
            self.segment_len,
            self.sequences.start,
            self.sequences.end,
            self.end_ms,
        ];
        for (index, field) in fields.iter().enumerate() {
            out[16 + 8 * index..24 + 8 * index].copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[16..]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks a header.
    pub(super) fn decode(from: &[u8; HEADER_LEN]) -> Result<Self, SegmentHeaderError> {
        if from[0..8] != MAGIC {
            return Err(SegmentHeaderError::NotASegment);
        }
        if u32_at(from, 8) != FORMAT_VERSION {
            return Err(SegmentHeaderError::Version(u32_at(from, 8)));
        }
        let is_whole = u32_at(from, 12) == crc32fast::hash(&from[16..]);
        let header = Self {
            segments: u64_at(from, 16)..u64_at(from, 24),
            segment_len: u64_at(from, 32),
            sequences: u64_at(from, 40)..u64_at(from, 48),
            end_ms: u64_at(from, 56),
        };
        let end = header.segments.end.checked_mul(header.segment_len);
        let fits = header.segments.start < header.segments.end
            && end.is_some_and(|it| it < u64::MAX)
            && header.end_ms <= u64::MAX / 1_000;
        match is_whole && fits {
            true => Ok(header),
            false => Err(SegmentHeaderError::Damaged),
        }
    }
}

/// The name of a compacted file that is being written.
pub(in crate::journal) fn unfinished(header: &CompactedHeader) -> Name {
    Name::Unfinished(header.segments.start, header.segments.end)
}

/// The segments of the compacted file that stands for segment `number`, if one of these names does.
pub(in crate::journal) fn covering(names: &[Name], number: u64) -> Option<Range<u64>> {
    let compacted = names.iter().filter_map(|name| match *name {
        Name::Compacted(from, to) if (from..to).contains(&number) => Some(from..to),
        _ => None,
    });
    // One that was merged into a longer one may be there still.
    compacted.max_by_key(|it| it.end - it.start)
}
