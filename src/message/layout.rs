//! The layout of a message's record: what the engine knows of a frame, and the frame.
//!
//! Ingest encodes the header in front of the frame, in a chunk; the scheduler seals it; the journal
//! writes both as they are. Pure functions between bytes and values; [`super::Record`] reads them.
//! All integers are little-endian.
//!
//! ```text
//! record: header, frame verbatim, newline
//!  0 frame length u32        4 sequence, low 32 bits u32
//!  8 level u8   9 priority u8   10 flags u8   11 zero
//! 12 timestamp, ms i64      20 arrival, us since the epoch u64
//! 28 offsets in the frame, u16 each: id, source, destination, type, payload
//! 38 lengths: id u8, source u8, destination u8, type u8, payload u16
//! ```

/// Bytes of a message record's header.
pub const RECORD_HEADER_LEN: usize = 44;

/// Bytes of a message's record in a chunk and in the journal alike.
#[must_use]
pub const fn record_len(frame_len: usize) -> usize {
    RECORD_HEADER_LEN + frame_len + 1
}

/// What of a record's bytes goes to a subscriber: the frame with its newline.
#[inline]
pub(crate) fn wire(record: &[u8]) -> &[u8] {
    &record[RECORD_HEADER_LEN..]
}

/// Bytes of the frame with its newline, by the record's.
#[inline]
#[must_use]
pub const fn wire_len(record_len: usize) -> usize {
    record_len - RECORD_HEADER_LEN
}

/// Where a field stands in its frame, in bytes; for a string, without its quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub offset: u16,
    /// How many bytes; zero: the field is absent.
    pub len: u16,
}

impl Span {
    /// The bytes of this field, as they stand in `frame`.
    pub(super) fn of<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        &frame[self.offset as usize..self.offset as usize + self.len as usize]
    }
}

/// What the engine knows of a frame besides its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of the frame, without its newline.
    pub frame_len: u32,
    /// Low 32 bits of the sequence; the batch's first sequence has the rest.
    pub sequence_low: u32,
    /// Effective priority when it was accepted, 1 = most urgent.
    pub level: u8,
    /// The frame's own `priority`.
    pub priority: u8,
    /// One of the four strings contains escapes. Lengths are kept in 8 bits, and 255 bytes may be
    /// spelled with 1,530: of all four, only the offset counts then.
    pub escaped: bool,
    /// The frame's own `timestamp`, or its arrival: ms since the epoch.
    pub timestamp_ms: i64,
    /// When the frame was read: us since the epoch, by the wall clock.
    pub arrival_us: u64,
    /// `messageId`.
    pub id: Span,
    /// `sourceServerId`.
    pub source: Span,
    /// `destinationId`.
    pub destination: Span,
    /// `messageType`.
    pub message_type: Span,
    /// `payload`, braces included; length zero: absent.
    pub payload: Span,
}

const FLAG_ESCAPED: u8 = 1;
const SEQUENCE_AT: usize = 4;
const LEVEL_AT: usize = 8;
const ARRIVAL_AT: usize = 20;

impl RecordHeader {
    /// Writes the header.
    pub fn encode(&self, out: &mut [u8; RECORD_HEADER_LEN]) {
        out[0..4].copy_from_slice(&self.frame_len.to_le_bytes());
        out[4..8].copy_from_slice(&self.sequence_low.to_le_bytes());
        out[8] = self.level;
        out[9] = self.priority;
        out[10] = if self.escaped { FLAG_ESCAPED } else { 0 };
        out[11] = 0;
        out[12..20].copy_from_slice(&self.timestamp_ms.to_le_bytes());
        out[20..28].copy_from_slice(&self.arrival_us.to_le_bytes());
        let spans = self.spans();
        for (index, span) in spans.iter().enumerate() {
            out[28 + 2 * index..30 + 2 * index].copy_from_slice(&span.offset.to_le_bytes());
        }
        for (index, span) in spans[..4].iter().enumerate() {
            out[38 + index] = span.len as u8;
        }
        out[42..44].copy_from_slice(&self.payload.len.to_le_bytes());
    }

    /// Reads a header that [`RecordHeader::encode`] wrote; the CRC over it was checked by the caller.
    #[inline]
    #[must_use]
    pub fn decode(from: &[u8; RECORD_HEADER_LEN]) -> Self {
        let u16_at = |at: usize| u16::from_le_bytes([from[at], from[at + 1]]);
        let short = |index: usize| Span {
            offset: u16_at(28 + 2 * index),
            len: u16::from(from[38 + index]),
        };
        Self {
            frame_len: u32_at(from, 0),
            sequence_low: u32_at(from, 4),
            level: from[8],
            priority: from[9],
            escaped: from[10] & FLAG_ESCAPED != 0,
            timestamp_ms: u64_at(from, 12) as i64,
            arrival_us: u64_at(from, ARRIVAL_AT),
            id: short(0),
            source: short(1),
            destination: short(2),
            message_type: short(3),
            payload: Span {
                offset: u16_at(36),
                len: u16_at(42),
            },
        }
    }

    /// When the frame of an encoded header was read: us since the epoch, by the wall clock.
    pub(crate) fn arrival_us_of(header: &[u8; RECORD_HEADER_LEN]) -> u64 {
        u64_at(header, ARRIVAL_AT)
    }

    /// The fields in the order of the layout.
    #[inline(always)]
    fn spans(&self) -> [Span; 5] {
        [
            self.id,
            self.source,
            self.destination,
            self.message_type,
            self.payload,
        ]
    }

    /// Whether all fields lie in the frame.
    pub(super) fn spans_fit(&self) -> bool {
        let spans = self.spans();
        let frame_len = self.frame_len as usize;
        spans
            .iter()
            .all(|it| usize::from(it.offset) + usize::from(it.len) <= frame_len)
    }

    /// Sets what only the scheduler knows, in a header that ingest has encoded.
    pub fn seal(header: &mut [u8; RECORD_HEADER_LEN], sequence: u64, level: u8) {
        header[SEQUENCE_AT..SEQUENCE_AT + 4].copy_from_slice(&(sequence as u32).to_le_bytes());
        header[LEVEL_AT] = level;
    }
}

/// The little-endian integer at this offset.
pub(crate) fn u32_at(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([from[at], from[at + 1], from[at + 2], from[at + 3]])
}

/// The little-endian integer at this offset.
pub(crate) fn u64_at(from: &[u8], at: usize) -> u64 {
    u64::from(u32_at(from, at)) | u64::from(u32_at(from, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> RecordHeader {
        RecordHeader {
            frame_len: 65_536,
            sequence_low: 7,
            level: 3,
            priority: 2,
            escaped: true,
            timestamp_ms: -5,
            arrival_us: u64::MAX,
            id: Span {
                offset: 15,
                len: 255,
            },
            source: Span {
                offset: 65_535,
                len: 50,
            },
            destination: Span { offset: 1, len: 1 },
            message_type: Span { offset: 2, len: 9 },
            payload: Span {
                offset: 90,
                len: 65_000,
            },
        }
    }

    #[test]
    fn a_record_header_survives_its_encoding() {
        let mut bytes = [0; RECORD_HEADER_LEN];
        header().encode(&mut bytes);
        assert_eq!(RecordHeader::decode(&bytes), header());
        assert_eq!(RecordHeader::arrival_us_of(&bytes), u64::MAX);
        RecordHeader::seal(&mut bytes, 0x1_0000_0009, 1);
        let sealed = RecordHeader::decode(&bytes);
        assert_eq!((sealed.sequence_low, sealed.level), (9, 1));
        assert_eq!(
            RecordHeader {
                sequence_low: 7,
                level: 3,
                ..sealed
            },
            header()
        );
    }
}
