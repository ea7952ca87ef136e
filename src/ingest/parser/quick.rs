//! The quick way to judge a line: it accepts the lines that are usual, and has no opinion on others.
//!
//! The parser asks it first. It copies nothing, changes nothing and keeps nothing: one pass over
//! the line for the outline, one for UTF-8, a look at each top-level member.
//!
//! ```text
//! frame    {"messageId": "m1", "payload": {"items": [1, 2]}}
//! 1st stage: 64 bytes a step, no branches      `blocks` or `simd`, then `grammar`
//! marks    {.................,............{.........[1,.2]}}   brackets, commas, numbers, words
//! 2nd stage: mark by mark                      `outline`, `scalars`
//! joints   {.................,.............................}   where members of the top level meet
//! then the fields, member by member            here
//! ```
//! It knows lines whose keys and texts at the top level have no escapes, with each field in range
//! and there once. All that is wrong, and what is rare, is left to the long way, which says why. So
//! a line that is accepted here must be good, and no more: tests and `fuzz` hold it to that.
//! A processor without AVX2 goes the long way only.

use super::outline::{MEMBERS_MAX, Outline};
use super::scalars::{are_escapes_good, natural, skip_spaces, skip_spaces_back};
#[cfg(target_arch = "x86_64")]
use super::simd::Avx2;
use super::{FIELDS, Field, Parsed};
use crate::journal::record::Span;
use crate::limits::{MESSAGE_ID_LEN_MAX, NAME_LEN_MAX};

/// Judges usual lines.
pub(super) struct Quick {
    levels: u8,
    outline: Outline,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<Avx2>,
}

impl Quick {
    /// For priorities from 1 to `levels`.
    pub(super) fn new(levels: u8) -> Self {
        Self {
            levels,
            outline: Outline::default(),
            #[cfg(target_arch = "x86_64")]
            avx2: Avx2::detect(),
        }
    }

    /// The same without vector instructions.
    #[cfg(test)]
    pub(super) fn portable(levels: u8) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: None,
            ..Self::new(levels)
        }
    }

    /// The number of levels.
    #[cfg(test)]
    pub(super) fn levels(&self) -> u8 {
        self.levels
    }

    /// Judges a line; `None`: it is wrong, or unusual.
    #[inline]
    pub(super) fn parse<'a>(&mut self, frame: &'a [u8]) -> Option<Parsed<'a>> {
        if !self.draw(frame) || self.outline.has_backslash && !are_escapes_good(frame) {
            return None;
        }
        self.read(simdutf8::basic::from_utf8(frame).ok()?)
    }

    /// Without vector instructions this would take longer than the long way: 780 ns a frame of 390
    /// bytes, where simd-json's tape takes 410.
    #[inline]
    fn draw(&mut self, frame: &[u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.draw(&mut self.outline, frame);
        }
        #[cfg(test)]
        return self.outline.draw(frame, super::blocks::Block::of);
        #[cfg(not(test))]
        false
    }

    /// Reads the top level of a line whose outline is drawn.
    #[inline]
    fn read<'a>(&self, text: &'a str) -> Option<Parsed<'a>> {
        let values = find_values(text.as_bytes(), &self.outline)?;
        let top = Top {
            text,
            values,
            has_backslash: self.outline.has_backslash,
        };
        let (id, id_span) = top.text(Field::Id, MESSAGE_ID_LEN_MAX)?;
        let (source, source_span) = top.text(Field::Source, NAME_LEN_MAX)?;
        let (destination, destination_span) = top.text(Field::Destination, NAME_LEN_MAX)?;
        let (message_type, message_type_span) = top.text(Field::MessageType, NAME_LEN_MAX)?;
        Some(Parsed {
            id,
            source,
            destination,
            message_type,
            priority: top.priority(self.levels)?,
            timestamp_ms: top.timestamp()?,
            escaped: false,
            id_span,
            source_span,
            destination_span,
            message_type_span,
            payload_span: top.payload()?,
            frame_len: text.len() as u32,
        })
    }
}

/// Where a field's value stands in the line; empty: the field is absent.
#[derive(Debug, Clone, Copy, Default)]
struct Value {
    start: u32,
    end: u32,
}

/// Finds the known fields; `None`: a key stands there twice, or has escapes.
#[inline]
fn find_values(line: &[u8], outline: &Outline) -> Option<[Value; FIELDS]> {
    let mut values = [Value::default(); FIELDS];
    let mut unknown: [&[u8]; MEMBERS_MAX] = [&[]; MEMBERS_MAX];
    let mut unknown_count = 0;
    for (start, end) in outline.members() {
        let key_start = skip_spaces(line, start) + 1;
        let from_key = line.get(key_start..end)?;
        let (field, key_len) = match Field::at_start(from_key) {
            Some((field, key_len)) => (Some(field), key_len),
            None => (None, memchr::memchr(b'"', from_key)?),
        };
        let colon = skip_spaces(from_key, key_len + 1);
        let value = Value {
            start: (key_start + skip_spaces(from_key, colon + 1)) as u32,
            end: skip_spaces_back(line, end) as u32,
        };
        if let Some(field) = field {
            let place = &mut values[field as usize];
            if place.end != 0 {
                return None;
            }
            *place = value;
            continue;
        }
        let key = &from_key[..key_len];
        if key.contains(&b'\\') || unknown[..unknown_count].contains(&key) {
            return None;
        }
        unknown[unknown_count] = key;
        unknown_count += 1;
    }
    Some(values)
}

/// The top level of a line, with its known fields found.
struct Top<'a> {
    text: &'a str,
    values: [Value; FIELDS],
    has_backslash: bool,
}

impl<'a> Top<'a> {
    #[inline(always)]
    fn value(&self, field: Field) -> Option<(usize, &'a [u8])> {
        let Value { start, end } = self.values[field as usize];
        let value = self.text.as_bytes().get(start as usize..end as usize)?;
        (!value.is_empty()).then_some((start as usize, value))
    }

    #[inline(always)]
    fn text(&self, field: Field, len_max: usize) -> Option<(&'a str, Span)> {
        let (start, value) = self.value(field)?;
        let is_text = value[0] == b'"';
        let len = value.len().checked_sub(2)?;
        let is_known = is_text && (1..=len_max).contains(&len);
        if !is_known || self.has_backslash && value.contains(&b'\\') {
            return None;
        }
        let text = self.text.get(start + 1..start + 1 + len)?;
        Some((text, span(start + 1, len)))
    }

    #[inline(always)]
    fn priority(&self, levels: u8) -> Option<u8> {
        match self.value(Field::Priority)? {
            (_, &[digit @ b'1'..=b'9']) if digit - b'0' <= levels => Some(digit - b'0'),
            _ => None,
        }
    }

    #[inline(always)]
    fn timestamp(&self) -> Option<Option<i64>> {
        let Some((_, digits)) = self.value(Field::Timestamp) else {
            return Some(None);
        };
        natural(digits).map(Some)
    }

    #[inline(always)]
    fn payload(&self) -> Option<Span> {
        match self.value(Field::Payload) {
            None => Some(Span::default()),
            Some((start, object)) => (object[0] == b'{').then(|| span(start, object.len())),
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
