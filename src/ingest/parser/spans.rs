//! Where the fields of a valid line stand in its verbatim copy.
//!
//! The parser asks with the strings of the tape, which begin where their text begins in the line.
//! Ends are found from behind: between a value and the next key stand only space and one comma, so
//! neither an escape nor a deep payload needs a scan. None of this validates: the line is valid
//! JSON.

use crate::message::layout::Span;

/// A line, by the address at which it was parsed and by its verbatim copy.
#[derive(Clone, Copy)]
pub(super) struct Spans<'f> {
    /// Address of the parsed line's first byte.
    pub(super) base: usize,
    /// The same line, verbatim.
    pub(super) frame: &'f [u8],
}

impl Spans<'_> {
    /// Where a string of the tape begins: behind its opening quote.
    #[inline]
    fn offset(&self, text: &str) -> usize {
        let offset = text.as_ptr() as usize - self.base;
        debug_assert_eq!(self.frame[offset - 1], b'"');
        offset
    }

    /// Where a top-level value ends: before the separator, and the space around it, that precedes
    /// the next key, or the end of the line.
    #[inline]
    pub(super) fn value_end(&self, next_key: Option<&str>) -> usize {
        let behind = next_key.map_or(self.frame.len(), |key| self.offset(key) - 1);
        let separator = self.skip_space_back(behind) - 1;
        debug_assert!(matches!(self.frame[separator], b',' | b'}'));
        self.skip_space_back(separator)
    }

    /// The raw text of a string whose value ends, quote included, at `end`.
    #[inline]
    pub(super) fn of_text(&self, text: &str, end: usize) -> Span {
        debug_assert_eq!(self.frame[end - 1], b'"');
        span(self.offset(text), end - 1)
    }

    /// The object that is the value of `key` and ends at `end`.
    #[inline]
    pub(super) fn of_object(&self, key: &str, end: usize) -> Span {
        let offset = self.offset(key);
        let plain = &self.frame[offset..offset + key.len()] == key.as_bytes();
        let quote = if plain && self.frame[offset + key.len()] == b'"' {
            offset + key.len()
        } else {
            closing_quote(self.frame, offset)
        };
        let colon = self.skip_space(quote + 1);
        let start = self.skip_space(colon + 1);
        debug_assert_eq!((self.frame[start], self.frame[end - 1]), (b'{', b'}'));
        span(start, end)
    }

    #[inline]
    fn skip_space(&self, mut at: usize) -> usize {
        while is_space(self.frame[at]) {
            at += 1;
        }
        at
    }

    #[inline]
    fn skip_space_back(&self, mut end: usize) -> usize {
        while is_space(self.frame[end - 1]) {
            end -= 1;
        }
        end
    }
}

/// Where the string ends whose text begins at `at`.
#[cold]
pub(super) fn closing_quote(frame: &[u8], mut at: usize) -> usize {
    while frame[at] != b'"' {
        at += if frame[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[inline]
fn span(start: usize, end: usize) -> Span {
    Span {
        offset: start as u16,
        len: (end - start) as u16,
    }
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
