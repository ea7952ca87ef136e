//! The parser: judges one line by the rules of the design, and finds its fields.
//!
//! The ingest agent feeds it the framer's lines; an accepted line's fields go to the scheduler, and
//! where they stand in the frame goes into the journal's record, so that nobody parses twice.
//! It does not know which destinations exist: that is checked after it.
//!
//! ```text
//! line --> quick ----- accepted ----------------------------------> fields
//!            | wrong, or unusual                                      ^
//!            v                                                        |
//!          by tape --- refused by simd-json --> exact --> reason      |
//!            +-------- accepted --------------------------------------+
//! ```
//! Nearly all lines are accepted by the quick way; every reason is found by the long way.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "the quick way needs AVX2")
)]

use crate::message::Reason;
use crate::message::layout::{RecordHeader, Span};

use quick::Quick;
use tape::ByTape;

mod blocks;
mod exact;
#[cfg(test)]
mod fuzz;
mod members;
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
mod quick;
mod scalars;
mod shapes;
#[cfg(target_arch = "x86_64")]
mod simd;
mod spans;
mod tape;
#[cfg(test)]
mod tests;
mod tokens;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "some of it is for tests"))]
pub(crate) mod verdict;

/// Bytes behind a line, of any content, that spare the parser a copy of it.
pub const PADDING: usize = crate::limits::LINE_PADDING;

const _: () = assert!(PADDING >= simd_json::INPUT_PADDING);

/// What is known of a line that obeys every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// `messageId`, escapes resolved, as all strings here.
    pub id: &'a str,
    /// `sourceServerId`.
    pub source: &'a str,
    /// `destinationId`.
    pub destination: &'a str,
    /// `messageType`.
    pub message_type: &'a str,
    /// `priority`, from 1 to the number of levels.
    pub priority: u8,
    /// `timestamp`: ms since the epoch, never negative.
    pub timestamp_ms: Option<i64>,
    /// One of the four strings contains escapes: its span is longer than its value.
    pub escaped: bool,
    /// Where `messageId` stands in the frame.
    pub id_span: Span,
    /// Where `sourceServerId` stands in the frame.
    pub source_span: Span,
    /// Where `destinationId` stands in the frame.
    pub destination_span: Span,
    /// Where `messageType` stands in the frame.
    pub message_type_span: Span,
    /// Where `payload` stands in the frame, braces included; length zero: absent.
    pub payload_span: Span,
    /// Bytes of the frame.
    pub frame_len: u32,
}

impl Parsed<'_> {
    /// The header of this message's record; sequence and level are the scheduler's to set.
    ///
    /// A record has 8 bits for the length of a string, and escapes may need more: there the length
    /// saturates, and [`crate::message::Record`] finds the end by the closing quote.
    #[must_use]
    pub fn header(&self, arrival_us: u64) -> RecordHeader {
        let arrival_ms = i64::try_from(arrival_us / 1_000).unwrap_or(i64::MAX);
        let short = |span: Span| Span {
            len: span.len.min(u16::from(u8::MAX)),
            ..span
        };
        RecordHeader {
            frame_len: self.frame_len,
            sequence_low: 0,
            level: 0,
            priority: self.priority,
            escaped: self.escaped,
            timestamp_ms: self.timestamp_ms.unwrap_or(arrival_ms),
            arrival_us,
            id: short(self.id_span),
            source: short(self.source_span),
            destination: short(self.destination_span),
            message_type: short(self.message_type_span),
            payload: self.payload_span,
        }
    }
}

/// Judges lines, one at a time.
pub struct Parser {
    quick: Quick,
    by_tape: ByTape,
}

impl Parser {
    /// A parser for priorities from 1 to `levels`.
    #[must_use]
    pub fn new(levels: u8) -> Self {
        Self {
            quick: Quick::new(levels),
            by_tape: ByTape::new(levels),
        }
    }

    /// Judges a line. `frame` is its verbatim copy; `line` begins with the same bytes, which may be
    /// changed, and may go on: [`PADDING`] bytes more, which are left as they are, spare a copy.
    ///
    /// # Errors
    /// The first reason, in the order of [`Reason::ALL`], for which the line is rejected.
    #[inline]
    pub fn parse<'a>(
        &'a mut self,
        line: &'a mut [u8],
        frame: &'a [u8],
    ) -> Result<Parsed<'a>, Reason> {
        match self.quick.parse(frame) {
            Some(parsed) => Ok(parsed),
            None => self.parse_by_tape(line, frame),
        }
    }

    /// The same by the long way alone, for benches and tests to compare with.
    ///
    /// # Errors
    /// As [`Parser::parse`].
    #[cold]
    pub fn parse_by_tape<'a>(
        &'a mut self,
        line: &'a mut [u8],
        frame: &[u8],
    ) -> Result<Parsed<'a>, Reason> {
        self.by_tape.parse(line, frame)
    }
}

/// The fields that the engine knows, in the order in which they are usually sent; those before
/// `Timestamp` are required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Source,
    Destination,
    MessageType,
    Priority,
    Timestamp,
    Payload,
}

const FIELDS: usize = Field::Payload as usize + 1;
const REQUIRED: usize = Field::Priority as usize + 1;

/// Bytes of the longest key.
const KEY_LEN_MAX: usize = "sourceServerId".len();

impl Field {
    #[inline]
    fn of_key(key: &str) -> Option<Self> {
        match key {
            "messageId" => Some(Field::Id),
            "sourceServerId" => Some(Field::Source),
            "destinationId" => Some(Field::Destination),
            "messageType" => Some(Field::MessageType),
            "priority" => Some(Field::Priority),
            "timestamp" => Some(Field::Timestamp),
            "payload" => Some(Field::Payload),
            _ => None,
        }
    }

    /// The field whose key, and the quote that ends it, begin these bytes.
    fn at_start(bytes: &[u8]) -> Option<Self> {
        let len = bytes
            .iter()
            .take(KEY_LEN_MAX + 1)
            .position(|it| *it == b'"')?;
        Self::of_key(std::str::from_utf8(&bytes[..len]).ok()?)
    }
}
