//! The quick way to judge a line: it accepts the lines that are usual, and has no opinion on others.
//!
//! The parser asks it first. It copies nothing and changes nothing; of a line it keeps no more than
//! its shape.
//!
//! ```text
//! frame    {"messageId": "m1", "payload": {"items": [1, 2]}}
//! 1st stage: 64 bytes a step, no branches      `tokens`, with `blocks` and `simd`
//! tokens   {" : ", " : {" : [0, 0]}}           texts, numbers and words are one token each
//! 2nd stage: has a line of these been judged?  `shapes`
//! members  {.................,.............................}
//! 3rd stage: are they the known fields?        `members`; numbers and words by `scalars`
//! then the fields' values, one by one          here
//! ```
//! It knows lines whose keys and texts at the top level have no escapes, with each field in range
//! and there once. All that is wrong, and what is rare, is left to the long way, which says why. So
//! a line that is accepted here must be good, and no more: tests and `fuzz` hold it to that.
//! A processor without AVX2, or with a slow BMI2, goes the long way only.

use std::ops::Range;

use super::blocks::Vectors;
use super::members::{self, Order, Value, Values};
use super::scalars::{are_escapes_good, natural};
use super::shapes::Shapes;
#[cfg(target_arch = "x86_64")]
use super::simd::Avx2;
use super::tokens::{Tokens, unquoted};
use super::{Field, Parsed};
use crate::limits::{MESSAGE_ID_LEN_MAX, NAME_LEN_MAX};
use crate::message::layout::Span;

/// Judges usual lines.
pub(super) struct Quick {
    levels: u8,
    tokens: Tokens,
    shapes: Shapes<Option<Order>>,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<Avx2>,
}

impl Quick {
    /// For priorities from 1 to `levels`.
    pub(super) fn new(levels: u8) -> Self {
        Self {
            levels,
            tokens: Tokens::default(),
            shapes: Shapes::default(),
            #[cfg(target_arch = "x86_64")]
            avx2: Avx2::detect(),
        }
    }

    /// The number of levels.
    #[cfg(test)]
    pub(super) fn levels(&self) -> u8 {
        self.levels
    }

    /// Judges a line; `None`: it is wrong, or unusual; or the processor is.
    #[inline]
    pub(super) fn parse<'a>(&mut self, frame: &'a [u8]) -> Option<Parsed<'a>> {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.parse(self, frame);
        }
        #[cfg(test)]
        return self.parse_by(super::blocks::BitByBit, frame);
        #[cfg(not(test))]
        None
    }

    /// Judges a line by these vectors.
    #[inline(always)]
    pub(super) fn parse_by<'a>(
        &mut self,
        vectors: impl Vectors,
        frame: &'a [u8],
    ) -> Option<Parsed<'a>> {
        let drawn = self.tokens.draw(frame, vectors)?;
        let shape = self.shapes.find(&self.tokens);
        let mut values = Values::default();
        members::find(&mut self.tokens, shape, frame, vectors, &mut values)?;
        if drawn.has_backslash && !are_escapes_good(frame) {
            return None;
        }
        let top = Top {
            line: drawn.text()?,
            values: &values,
            has_backslash: drawn.has_backslash,
        };
        top.read(self.levels)
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
