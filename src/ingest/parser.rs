//! The parser: validates one line by the rules of the design, and finds its fields.
//!
//! The intake feeds it the framer's lines; an accepted line's fields go to the scheduler, and where
//! they stand in the frame goes into the journal's record, so that nobody parses twice. It does not
//! know which destinations exist: that is checked after it.
//!
//! ```text
//! line --> fast path --- accepted -----------------------------------> fields
//!            | falls back  ^                                             ^
//!            v             | learns the line's shape                     |
//!          full path ------+-- accepted ---------------------------------+
//!            | refused by simd-json
//!            v
//!          exact --> reason
//! ```
//! Nearly all lines have a known shape, and are accepted by the fast path. simd-json validates
//! every line of a new shape, and every reason is found by the full path.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "the fast path needs AVX2")
)]

use crate::config::LineParser;
use crate::message::Reason;
use crate::message::layout::{RecordHeader, Span};

use self::fast::{Attempt, FastPath};
use self::full::FullPath;

mod fast;

mod layout;
mod scalars;
mod shapes;
mod tokens;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(not(target_arch = "x86_64"))]
#[path = "parser/no_avx2.rs"]
mod avx2;
mod vectors;

mod full;

mod exact;
mod spans;

#[cfg(test)]
mod fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "some of it is for tests"))]
pub(crate) mod verdict;

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

/// Parses lines, one at a time.
pub struct Parser {
    fast: Option<FastPath>,
    full: FullPath,
    counts: PathCounts,
}

/// How many lines were parsed by which path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// By the fast path.
    pub fast: u64,
    /// By the full path.
    pub full: u64,
}

impl PathCounts {
    /// Those that came since then.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            fast: self.fast - before.fast,
            full: self.full - before.full,
        }
    }
}

impl Parser {
    /// A parser for priorities from 1 to `levels`.
    #[must_use]
    pub fn new(levels: u8) -> Self {
        Self {
            fast: FastPath::detect(levels),
            full: FullPath::new(levels),
            counts: PathCounts::default(),
        }
    }

    /// The same, as the settings say.
    #[must_use]
    pub fn configured(levels: u8, setting: LineParser) -> Self {
        let mut parser = Self::new(levels);
        if setting == LineParser::SimdJson {
            parser.fast = None;
        }
        parser
    }

    /// Parses a line.
    ///
    /// # Errors
    /// The first reason, in the order of [`Reason::ALL`], for which the line is rejected.
    #[inline]
    pub fn parse<'a>(&'a mut self, frame: &'a [u8]) -> Result<Parsed<'a>, Reason> {
        let attempt = match &mut self.fast {
            Some(fast) => fast.parse(frame),
            None => Attempt::FallBack,
        };
        match attempt {
            Attempt::Parsed(parsed) => {
                self.counts.fast += 1;
                Ok(parsed)
            }
            Attempt::FallBack => self.parse_full(frame),
            Attempt::NewShape => self.parse_new(frame),
        }
    }

    /// The same by the full path alone, for benches and tests to compare with.
    ///
    /// # Errors
    /// As [`Parser::parse`].
    #[cold]
    pub fn parse_full(&mut self, frame: &[u8]) -> Result<Parsed<'_>, Reason> {
        self.counts.full += 1;
        self.full.parse(frame)
    }

    #[cold]
    fn parse_new(&mut self, frame: &[u8]) -> Result<Parsed<'_>, Reason> {
        self.counts.full += 1;
        let parsed = self.full.parse(frame)?;
        if let Some(fast) = &mut self.fast {
            fast.learn(frame);
        }
        Ok(parsed)
    }

    /// How many lines were parsed since they were taken last.
    #[must_use]
    pub fn counts(&self) -> PathCounts {
        self.counts
    }

    /// The same, and they are taken.
    pub fn take_counts(&mut self) -> PathCounts {
        std::mem::take(&mut self.counts)
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
