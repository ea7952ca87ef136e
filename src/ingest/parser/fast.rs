//! The fast path: parses lines whose shape the full path has accepted before, and falls back on
//! others.
//!
//! The parser asks it first. It copies nothing and changes nothing; of a line it keeps no more than
//! its shape, and that only once the full path has accepted it. It has no grammar of its own.
//!
//! ```text
//! frame    {"messageId": "m1", "payload": {"items": [1, 2]}}
//! 1st layer: 64 bytes a step, no branches          `tokens`, by `vectors`
//! tokens   {" : ", " : {" : [0, 0]}}               texts, numbers and words are one token each
//! 2nd layer: was a line of these tokens accepted?  `shapes`
//! 3rd layer: do the same keys stand before its     `layout`; numbers and words by `scalars`
//!            values?
//! then the fields' values, one by one              here
//! ```
//! It falls back on lines that are wrong, of a new shape, with a long key or a very many tokens, or
//! with escapes in a field. So a line that is accepted here must be good, and no more: tests and
//! `fuzz` hold it to that. A processor without AVX2, or with a slow BMI2, has no fast path.

use std::ops::Range;

use super::avx2::Avx2;
use super::layout::{Layout, Value, Values};
use super::scalars::{are_escapes_good, natural};
use super::shapes::Shapes;
use super::tokens::{Tokens, unquoted};
#[cfg(any(test, fuzzing))]
use super::vectors::BitByBit;
use super::vectors::{Vectors, Work};
use super::{Field, Parsed};
use crate::limits::{MESSAGE_ID_LEN_MAX, NAME_LEN_MAX, SHAPE_TOKENS_MAX};
use crate::message::layout::Span;

/// What the fast path makes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt<'a> {
    /// It obeys every rule.
    Parsed(Parsed<'a>),
    /// It is wrong, or unusual.
    FallBack,
    /// Its shape is new: if the full path accepts it, [`FastPath::learn`] may follow.
    NewShape,
}

/// Parses lines of known shapes.
pub(super) struct FastPath {
    levels: u8,
    tokens: Tokens,
    shapes: Shapes<Layout>,
    vectors: Option<Avx2>,
}

impl FastPath {
    /// For priorities from 1 to `levels`; `None`: this processor has none.
    pub(super) fn detect(levels: u8) -> Option<Self> {
        let vectors = Avx2::detect();
        // Tests have vectors without instructions.
        let has_any = vectors.is_some() || cfg!(any(test, fuzzing));
        has_any.then(|| Self {
            levels,
            tokens: Tokens::default(),
            shapes: Shapes::default(),
            vectors,
        })
    }

    /// Parses a line.
    #[inline]
    pub(super) fn parse<'a>(&mut self, frame: &'a [u8]) -> Attempt<'a> {
        match self.vectors {
            Some(vectors) => vectors.run(Parse { fast: self, frame }),
            #[cfg(any(test, fuzzing))]
            None => self.parse_by(BitByBit, frame),
            #[cfg(not(any(test, fuzzing)))]
            None => Attempt::FallBack,
        }
    }

    /// The full path has accepted the line that was parsed last, whose shape is new.
    #[cold]
    pub(super) fn learn(&mut self, frame: &[u8]) {
        if let Some(layout) = Layout::learn(&mut self.tokens, frame) {
            self.shapes.insert(&self.tokens, layout);
        }
    }

    /// Parses a line by these vectors.
    #[inline(always)]
    pub(super) fn parse_by<'a>(&mut self, vectors: impl Vectors, frame: &'a [u8]) -> Attempt<'a> {
        let Some(scanned) = self.tokens.scan(frame, vectors) else {
            return Attempt::FallBack;
        };
        let mut values = Values::default();
        let layout = self.shapes.find(&mut self.tokens, |tokens, layout| {
            layout.find_values(tokens, frame, vectors, &mut values)
        });
        let Some(layout) = layout else {
            // Tokens are what they seem where control characters are none of them.
            let may_learn = self.tokens.count() <= SHAPE_TOKENS_MAX && !scanned.has_control;
            return match may_learn {
                true => Attempt::NewShape,
                false => Attempt::FallBack,
            };
        };
        let has_backslash = scanned.has_backslash;
        if !layout.are_scalars_good(&self.tokens, frame, vectors)
            || has_backslash && !are_escapes_good(frame)
        {
            return Attempt::FallBack;
        }
        let parsed = scanned.text().and_then(|line| {
            let top = Top {
                line,
                values: &values,
                has_backslash,
            };
            top.read(self.levels)
        });
        parsed.map_or(Attempt::FallBack, Attempt::Parsed)
    }
}

/// [`FastPath::parse_by`], compiled for its vectors.
struct Parse<'p, 'a> {
    fast: &'p mut FastPath,
    frame: &'a [u8],
}

impl<'a> Work for Parse<'_, 'a> {
    type Output = Attempt<'a>;

    #[inline(always)]
    fn run(self, vectors: impl Vectors) -> Attempt<'a> {
        self.fast.parse_by(vectors, self.frame)
    }
}

/// The top level of a line, with its known fields found.
struct Top<'a, 'v> {
    line: &'a str,
    values: &'v Values,
    has_backslash: bool,
}

impl<'a> Top<'a, '_> {
    #[inline(always)]
    fn read(&self, levels: u8) -> Option<Parsed<'a>> {
        let (id, id_span) = self.text(Field::Id, MESSAGE_ID_LEN_MAX)?;
        let (source, source_span) = self.text(Field::Source, NAME_LEN_MAX)?;
        let (destination, destination_span) = self.text(Field::Destination, NAME_LEN_MAX)?;
        let (message_type, message_type_span) = self.text(Field::MessageType, NAME_LEN_MAX)?;
        Some(Parsed {
            id,
            source,
            destination,
            message_type,
            priority: self.priority(levels)?,
            timestamp_ms: self.timestamp()?,
            escaped: false,
            id_span,
            source_span,
            destination_span,
            message_type_span,
            payload_span: self.payload()?,
            frame_len: self.line.len() as u32,
        })
    }

    /// Where a field's value stands; empty: it is absent.
    #[inline(always)]
    fn place(&self, field: Field) -> Range<usize> {
        let Value { start, end } = self.values[field as usize];
        start..end
    }

    /// A field's value; empty: it is absent.
    #[inline(always)]
    fn value(&self, field: Field) -> &'a [u8] {
        let value = self.line.as_bytes().get(self.place(field));
        value.unwrap_or_default()
    }

    #[inline(always)]
    fn text(&self, field: Field, len_max: usize) -> Option<(&'a str, Span)> {
        let place = self.place(field);
        let start = place.start + 1;
        let text = unquoted(self.line, place)?;
        let is_known = (1..=len_max).contains(&text.len());
        if !is_known || self.has_backslash && text.contains('\\') {
            return None;
        }
        Some((text, span(start, text.len())))
    }

    #[inline(always)]
    fn priority(&self, levels: u8) -> Option<u8> {
        match self.value(Field::Priority) {
            &[digit @ b'1'..=b'9'] if digit - b'0' <= levels => Some(digit - b'0'),
            _ => None,
        }
    }

    #[inline(always)]
    fn timestamp(&self) -> Option<Option<i64>> {
        match self.value(Field::Timestamp) {
            [] => Some(None),
            digits => natural(digits).map(Some),
        }
    }

    #[inline(always)]
    fn payload(&self) -> Option<Span> {
        let value = self.value(Field::Payload);
        match value.first() {
            None => Some(Span::default()),
            Some(b'{') => Some(span(self.place(Field::Payload).start, value.len())),
            Some(_) => None,
        }
    }
}

#[inline]
fn span(start: usize, len: usize) -> Span {
    Span {
        offset: start as u16,
        len: len as u16,
    }
}
