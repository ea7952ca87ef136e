//! The framer: cuts one connection's bytes into lines, however they were split on their way.
//!
//! Ingest and delivery feed it what they read, and take its lines. An agent has one [`ReadBuffer`]
//! for all its connections, hot in the cache; a [`Framer`] keeps what its connection has left
//! between two turns: the unfinished line, and lines for which there was no room. It does no IO and
//! knows nothing of JSON.
//!
//! ```text
//! turn       the unfinished line is copied to the front of the buffer
//! read       |rest....|read..................................|
//! next_line  |line.......\n|line.......\n|\r\n|line..........|
//!             ^ start       the line stays the next one ...
//! consume                   ^ start        ... until it is consumed
//! suspend    what was not consumed is kept: the next turn begins with it, and reads nothing
//! ```
//!
//! A turn that is dropped is suspended, wherever it stands. Bytes are never moved back: a line that
//! finds no room was never taken.

use memchr::memchr;

#[cfg(any(test, fuzzing))]
pub(crate) mod model;
#[cfg(test)]
mod tests;

/// What stands between two newlines, without newline and carriage return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'t> {
    /// All of a line.
    Whole(&'t [u8]),
    /// What stands behind the last newline where the stream has ended: a line, or a part of one.
    Unterminated(&'t [u8]),
    /// The first bytes of a line that is longer than allowed; it is reported once.
    Oversize(&'t [u8]),
    /// Nothing but spaces: it counts for nothing but the time that it takes.
    Blank,
}

/// Where an agent reads to: one for all its connections.
#[derive(Debug, Default)]
pub struct ReadBuffer(Box<[u8]>);

impl ReadBuffer {
    /// A buffer for reads of this length, behind an unfinished line, which may end in a carriage
    /// return.
    #[must_use]
    pub fn new(read_len_max: usize, line_len_max: usize) -> Self {
        Self(vec![0; read_len_max + line_len_max + 1].into())
    }
}

/// What one connection has left between two turns.
///
/// Invariant: unless suspended, `consumed` is zero and `rest` has no newline and at most
/// `line_len_max + 1` bytes.
#[derive(Debug)]
pub struct Framer {
    /// Longest line, in bytes without its newline.
    line_len_max: usize,
    /// The unfinished line; or all that a turn did not consume.
    rest: Vec<u8>,
    /// So many bytes of the rest were consumed.
    consumed: usize,
    /// Whole lines may be in the rest.
    is_suspended: bool,
    /// An oversize line was consumed, and its newline has not come yet.
    is_skipping: bool,
}

impl Framer {
    /// A framer for a new connection.
    #[must_use]
    pub fn new(line_len_max: usize) -> Self {
        Self {
            line_len_max,
            rest: Vec::new(),
            consumed: 0,
            is_suspended: false,
            is_skipping: false,
        }
    }

    /// Begins a turn, in which the connection has the buffer.
    pub fn turn<'t>(&'t mut self, buffer: &'t mut ReadBuffer) -> Turn<'t> {
        let (filled, scanned) = match self.is_suspended {
            true => (self.partial_len(), 0),
            false => {
                let len = self.rest.len();
                buffer.0[..len].copy_from_slice(&self.rest);
                (len, len)
            }
        };
        let turn = Turn {
            is_resumed: self.is_suspended,
            framer: self,
            buffer: &mut buffer.0,
            filled,
            start: 0,
            scanned,
            next: None,
            is_last: false,
        };
        turn.invariants();
        turn
    }

    /// Whether the next turn begins with lines that the last one did not consume.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// Whether an oversize line was consumed that has not ended yet.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.is_skipping
    }

    /// The unfinished line, or all that was not consumed.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.rest[self.consumed..]
    }

    /// Bytes of [`Self::partial`].
    #[must_use]
    pub fn partial_len(&self) -> usize {
        self.rest.len() - self.consumed
    }

    /// How many whole lines, blank ones not counted, were not consumed.
    #[must_use]
    pub fn lines_left(&self) -> usize {
        let pieces = self.partial().split_inclusive(|byte| *byte == b'\n');
        let lines = pieces.filter_map(|piece| piece.strip_suffix(b"\n"));
        let skipped = usize::from(self.is_skipping);
        let lines = lines.skip(skipped);
        lines
            .filter(|line| !line.iter().all(|it| is_space(*it)))
            .count()
    }

    /// Gives back the memory of a long line that is over.
    pub fn release(&mut self) {
        self.rest.shrink_to_fit();
    }

    /// Forgets what is left: the connection is over. Returns how many bytes that was.
    pub fn clear(&mut self) -> usize {
        let dropped = self.partial_len();
        *self = Self::new(self.line_len_max);
        dropped
    }
}

/// The line that [`Turn::next_line`] returns until it is consumed.
#[derive(Debug, Clone, Copy)]
struct Next {
    kind: Kind,
    /// Where its bytes end.
    end: usize,
    /// Where the line behind it starts.
    behind: usize,
    /// Its newline has not come.
    is_cut: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Whole,
    Unterminated,
    Oversize,
    Blank,
}

/// A connection's turn: its framer at work in the buffer.
///
/// Invariant: `start <= scanned <= filled`, and no newline stands in `start..scanned`.
#[derive(Debug)]
pub struct Turn<'t> {
    framer: &'t mut Framer,
    buffer: &'t mut [u8],
    /// The turn works on the framer's rest, in its place, and not in the buffer.
    is_resumed: bool,
    /// Bytes to look at.
    filled: usize,
    /// Where the next line starts.
    start: usize,
    /// Up to where no newline was found.
    scanned: usize,
    next: Option<Next>,
    /// The stream ends behind these bytes.
    is_last: bool,
}

impl Turn<'_> {
    /// Has `read` fill some of the buffer, at most `len_max` bytes, and returns how many it says.
    /// `None`: nothing is read, for lines are left, or the buffer is full.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<E>(
        &mut self,
        len_max: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<usize>, E> {
        let end = self.buffer.len().min(self.filled + len_max);
        if self.is_resumed || end == self.filled {
            return Ok(None);
        }
        let len = read(&mut self.buffer[self.filled..end])?;
        assert!(
            len <= end - self.filled,
            "no more is read than there is room"
        );
        self.filled += len;
        self.invariants();
        Ok(Some(len))
    }

    /// The stream has ended in an orderly way: its last line needs no newline.
    pub fn finish(&mut self) {
        self.is_last = true;
    }

    /// The next line, the same until [`Self::consume`]. `None`: more must be read first.
    #[inline]
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        if self.next.is_none() {
            self.next = self.find();
            self.invariants();
        }
        let next = self.next?;
        let line = &self.bytes()[self.start..next.end];
        Some(match next.kind {
            Kind::Whole => Line::Whole(line),
            Kind::Unterminated => Line::Unterminated(line),
            Kind::Oversize => Line::Oversize(line),
            Kind::Blank => Line::Blank,
        })
    }

    /// Takes the line that [`Self::next_line`] returned; nothing where it returned none.
    #[inline]
    pub fn consume(&mut self) {
        if let Some(next) = self.next.take() {
            (self.start, self.scanned) = (next.behind, next.behind);
            self.framer.is_skipping = next.is_cut;
            self.invariants();
        }
    }

    /// Ends the turn. What was not consumed is kept, and the next turn begins with it.
    pub fn suspend(self) {}

    /// Bytes that the turn has consumed.
    #[must_use]
    pub fn consumed_len(&self) -> usize {
        self.start
    }

    /// Bytes that the turn has to work on.
    #[must_use]
    pub fn filled_len(&self) -> usize {
        self.filled
    }

    /// Whether it goes on with lines that the last turn did not consume.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self.is_resumed {
            true => self.framer.partial(),
            false => &self.buffer[..self.filled],
        }
    }

    #[inline]
    fn find(&mut self) -> Option<Next> {
        loop {
            let bytes = self.bytes();
            let Some(distance) = memchr(b'\n', &bytes[self.scanned..]) else {
                break;
            };
            let newline = self.scanned + distance;
            if !self.framer.is_skipping {
                return Some(self.line(&bytes[self.start..newline], newline + 1));
            }
            self.framer.is_skipping = false;
            (self.start, self.scanned) = (newline + 1, newline + 1);
        }
        self.scanned = self.filled;
        self.find_unfinished()
    }

    /// The line from `start`, whose end was found.
    #[inline]
    fn line(&self, line: &[u8], behind: usize) -> Next {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let len_max = self.framer.line_len_max;
        let kind = match line {
            _ if line.len() > len_max => Kind::Oversize,
            _ if line.iter().all(|it| is_space(*it)) => Kind::Blank,
            _ => Kind::Whole,
        };
        Next {
            kind,
            end: self.start + line.len().min(len_max),
            behind,
            is_cut: false,
        }
    }

    /// What the bytes without a newline come to.
    fn find_unfinished(&mut self) -> Option<Next> {
        let (filled, len_max) = (self.filled, self.framer.line_len_max);
        if self.framer.is_skipping {
            self.start = filled;
            self.framer.is_skipping = !self.is_last;
        }
        if self.start == filled {
            return None;
        }
        let line = &self.bytes()[self.start..];
        if self.is_last {
            let mut next = self.line(line, filled);
            if let Kind::Whole = next.kind {
                next.kind = Kind::Unterminated;
            }
            return Some(next);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (line.len() > len_max).then_some(Next {
            kind: Kind::Oversize,
            end: self.start + len_max,
            behind: filled,
            is_cut: true,
        })
    }

    #[inline]
    fn invariants(&self) {
        debug_assert!(self.start <= self.scanned && self.scanned <= self.filled);
        debug_assert!(self.filled <= self.bytes().len());
        let scanned = || &self.bytes()[self.start..self.scanned];
        debug_assert!(!cfg!(test) || memchr(b'\n', scanned()).is_none());
    }

    fn keep_resumed(&mut self) {
        let Framer {
            rest,
            consumed,
            line_len_max,
            is_suspended,
            ..
        } = &mut *self.framer;
        *consumed += self.start;
        if !*is_suspended {
            rest.drain(..*consumed);
            *consumed = 0;
            if rest.capacity() > 2 * (*line_len_max + 1) {
                rest.shrink_to_fit();
            }
        }
    }

    fn keep_read(&mut self) {
        let rest = &mut self.framer.rest;
        if self.start > 0 {
            rest.clear();
        }
        // An unfinished line that goes on is there already.
        let from = self.start + rest.len();
        rest.extend_from_slice(&self.buffer[from..self.filled]);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.framer.is_suspended = self.next.is_some() || self.scanned < self.filled;
        match self.is_resumed {
            true => self.keep_resumed(),
            false => self.keep_read(),
        }
        self.framer.invariants();
    }
}

impl Framer {
    fn invariants(&self) {
        debug_assert!(self.consumed <= self.rest.len());
        let is_plain = self.consumed == 0 && self.rest.len() <= self.line_len_max + 1;
        debug_assert!(self.is_suspended || is_plain);
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}
