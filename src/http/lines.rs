//! Counts the lines of a body as ingest does, so that the end of the answers is known.
//!
//! Bytes in, numbers out. What a line is, [`crate::net::framer`] says: ingest does not count blank ones, and
//! an oversize one does count, whatever is in it. Clients count all.

use memchr::memchr;

/// Which lines of a body are blank: a bit for each, up to the last blank one.
#[derive(Debug, Default)]
pub(super) struct BlankLines(Vec<u64>);

impl BlankLines {
    fn note(&mut self, index: u64) {
        let word = (index / 64) as usize;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (index % 64);
    }

    /// Whether the line with this index is one.
    pub(super) fn has(&self, index: u64) -> bool {
        let word = self.0.get((index / 64) as usize);
        word.is_some_and(|it| (it >> (index % 64)) & 1 == 1)
    }
}

/// The lines of a body so far.
#[derive(Debug)]
pub(super) struct LineCounter {
    line_len_max: usize,
    count: u64,
    /// With the blank ones.
    all: u64,
    blank: BlankLines,
    /// Bytes of the unfinished line.
    len: usize,
    /// It has a byte that is no space.
    has_content: bool,
    /// Its last byte is a carriage return.
    ends_with_return: bool,
}

impl LineCounter {
    pub(super) fn new(line_len_max: usize) -> Self {
        Self {
            line_len_max,
            count: 0,
            all: 0,
            blank: BlankLines::default(),
            len: 0,
            has_content: false,
            ends_with_return: false,
        }
    }

    /// Takes some more bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while let Some(at) = memchr(b'\n', bytes) {
            self.extend(&bytes[..at]);
            self.end_line();
            bytes = &bytes[at + 1..];
        }
        self.extend(bytes);
    }

    /// The last line ends here, if there is one. Returns whether it wants a newline.
    pub(super) fn finish(&mut self) -> bool {
        let is_open = self.len > 0;
        if is_open {
            self.end_line();
        }
        is_open
    }

    fn end_line(&mut self) {
        let len = self.len - usize::from(self.ends_with_return);
        if self.has_content || len > self.line_len_max {
            self.count += 1;
        } else {
            self.blank.note(self.all);
        }
        self.all += 1;
        (self.len, self.has_content, self.ends_with_return) = (0, false, false);
    }

    /// Whole lines that are not blank.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whole lines.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    pub(super) fn into_blank(self) -> BlankLines {
        self.blank
    }

    fn extend(&mut self, bytes: &[u8]) {
        let is_space = |it: &u8| matches!(it, b' ' | b'\t' | b'\r');
        self.has_content = self.has_content || !bytes.iter().all(is_space);
        self.len += bytes.len();
        if let Some(last) = bytes.last() {
            self.ends_with_return = *last == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::framer::model;

    proptest! {
        /// The naive framer has all bytes at once; the counter gets them in pieces.
        #[test]
        fn lines_are_counted_as_they_are_framed(
            bytes in prop::collection::vec(prop::sample::select(b"\n\n\r \t{x".to_vec()), 0..80),
            piece in 1..20_usize,
        ) {
            let mut counter = LineCounter::new(6);
            bytes.chunks(piece).for_each(|it| counter.take(it));
            counter.finish();
            let newlines = bytes.iter().filter(|it| **it == b'\n').count() as u64;
            let all = newlines + u64::from(bytes.last().is_some_and(|it| *it != b'\n'));
            let whole = [bytes, b"\n".to_vec()].concat();
            let (lines, rest) = model::lines(&whole, 6);
            prop_assert!(rest.is_empty());
            prop_assert_eq!(counter.count(), lines.len() as u64);
            prop_assert_eq!(counter.all(), all);
            let blank = counter.into_blank();
            let numbered = (0..all).filter(|it| !blank.has(*it)).count();
            prop_assert_eq!(numbered, lines.len());
        }
    }

    #[test]
    fn a_newline_is_wanted_where_a_line_is_open() {
        let mut counter = LineCounter::new(100);
        assert!(!counter.finish());
        counter.take(b"{}\n");
        assert!(!counter.finish());
        counter.take(b"{}\r");
        assert!(counter.finish());
        assert_eq!(counter.count(), 2);
    }
}
