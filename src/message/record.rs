//! A message's record, as it is read: the one place that decodes it.
//!
//! The scheduler's rules, recovery, replay, the store, the `journal` commands and tests ask here. The
//! header says where a field's JSON spelling begins; its value comes out of the frame. The payload is
//! handed on as the JSON that it is.

use super::layout::{RECORD_HEADER_LEN, RecordHeader, Span, record_len};
use super::text::{Text, spelling_len};
use super::{Level, Sequence};

/// A message's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    header: RecordHeader,
    frame: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record of a frame, whose header this is; every span must lie in the frame.
    #[must_use]
    pub fn new(header: RecordHeader, frame: &'a [u8]) -> Self {
        Self { header, frame }
    }

    /// Reads a whole record: header, frame, newline, and nothing behind.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (record, rest) = Self::split_first(bytes)?;
        rest.is_empty().then_some(record)
    }

    /// Takes a record off the front of some.
    #[inline]
    pub(crate) fn split_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER_LEN>()?;
        let header = RecordHeader::decode(header);
        let (frame, rest) = rest.split_at_checked(header.frame_len as usize)?;
        let (newline, rest) = rest.split_first()?;
        (*newline == b'\n').then_some((Self { header, frame }, rest))
    }

    /// Whether every field lies in the frame: of bytes that may be anybody's.
    pub(crate) fn is_sound(&self) -> bool {
        self.header.spans_fit()
    }

    /// Writes the record; `into` has its length.
    pub(crate) fn encode(&self, into: &mut [u8]) {
        let (header, rest) = into.split_first_chunk_mut().expect("a record's bytes");
        self.header.encode(header);
        let (newline, frame) = rest.split_last_mut().expect("a record's bytes");
        frame.copy_from_slice(self.frame);
        *newline = b'\n';
    }

    /// Bytes of the whole record.
    #[must_use]
    pub fn record_len(&self) -> usize {
        record_len(self.frame.len())
    }

    pub(crate) fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// The frame verbatim, without its newline.
    #[must_use]
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// `messageId`.
    #[must_use]
    pub fn message_id(&self) -> Text<'a> {
        self.text(self.header.id)
    }

    /// `sourceServerId`.
    #[must_use]
    pub fn source_id(&self) -> Text<'a> {
        self.text(self.header.source)
    }

    /// `destinationId`.
    #[must_use]
    pub fn destination(&self) -> Text<'a> {
        self.text(self.header.destination)
    }

    /// `messageType`.
    #[must_use]
    pub fn message_type(&self) -> Text<'a> {
        self.text(self.header.message_type)
    }

    /// `payload`, as the JSON object that came; `None`: there is none.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        (self.header.payload.len > 0).then(|| self.header.payload.of(self.frame))
    }

    /// `priority`.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.header.priority
    }

    /// `timestamp`, or the arrival where there was none: ms since the epoch.
    #[must_use]
    pub fn timestamp_ms(&self) -> i64 {
        self.header.timestamp_ms
    }

    /// Effective priority when it was accepted, 1 = most urgent.
    #[must_use]
    pub fn level(&self) -> Level {
        self.header.level
    }

    /// When the frame was read: us since the epoch, by the wall clock.
    #[must_use]
    pub fn arrival_us(&self) -> u64 {
        self.header.arrival_us
    }

    /// The sequence, of which the header has the low 32 bits: the first one at or behind `first`.
    pub(crate) fn sequence_from(&self, first: Sequence) -> Sequence {
        let low = self.header.sequence_low;
        first.wrapping_add(u64::from(low.wrapping_sub(first as u32)))
    }

    fn text(&self, span: Span) -> Text<'a> {
        if !self.header.escaped {
            return Text::plain(span.of(self.frame));
        }
        let rest = &self.frame[usize::from(span.offset)..];
        Text::spelled(&rest[..spelling_len(rest)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_widened_across_the_wrap_of_its_low_half() {
        let widen = |first, sequence_low| {
            let header = RecordHeader {
                sequence_low,
                ..RecordHeader::default()
            };
            Record::new(header, b"").sequence_from(first)
        };
        assert_eq!(widen(5, 5), 5);
        assert_eq!(widen(0x1_ffff_ffff, 0xffff_ffff), 0x1_ffff_ffff);
        assert_eq!(widen(0x1_ffff_ffff, 3), 0x2_0000_0003);
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_only_whole() {
        let header = RecordHeader {
            frame_len: 7,
            sequence_low: 9,
            ..RecordHeader::default()
        };
        let record = Record::new(header, b"a frame");
        let mut bytes = vec![0; record.record_len()];
        record.encode(&mut bytes);
        assert_eq!(Record::parse(&bytes), Some(record));
        assert_eq!(Record::parse(&[&bytes[..], b"x"].concat()), None);
        for len in 0..bytes.len() {
            assert_eq!(Record::parse(&bytes[..len]), None);
        }
        *bytes.last_mut().expect("a newline") = b'x';
        assert_eq!(Record::parse(&bytes), None);
    }

    #[test]
    fn a_field_of_a_record_ends_where_its_string_ends_however_long_its_spelling() {
        let id = "\u{3042}".repeat(85);
        let spelled: String = (0..85).map(|_| "\\u3042").collect();
        let frame = format!(r#"{{"messageId":"{spelled}","destinationId":"a\/b"}}"#);
        let destination_at = frame.find("a\\").expect("it is there") as u16;
        let span = |offset| Span { offset, len: 255 };
        let header = RecordHeader {
            escaped: true,
            id: span(14),
            destination: span(destination_at),
            ..RecordHeader::default()
        };
        let record = Record::new(header, frame.as_bytes());
        assert_eq!(record.message_id().value(), id);
        assert!(record.destination() == *"a/b");
        assert_eq!(record.payload(), None);
    }
}
