//! The framer: cuts one connection's bytes into lines, however they were split on their way.
//!
//! The ingest agent feeds it what it reads, and hands the lines on to the parser. The agent has one
//! big read buffer for all its connections, hot in the cache; a framer keeps only the bytes of the
//! line that its connection has not finished. It does no IO and knows nothing of JSON.
//!
//! ```text
//! restore        the kept line goes to the front of the buffer; the agent reads behind it
//!                |kept.....|read................................|
//! next_line      |line.........\n|line.........\n|\r\n|line.....|
//!                                                     ^ start   ^ scanned, in the end
//! keep           the unfinished line is kept for the connection's next turn
//! ```
//!
//! A turn may end before its lines do: [`Framer::hold`] and [`Framer::suspend`] keep all that is left,
//! and the next turns take it up in windows, a longest line each at most, so that what waits is not
//! copied again and again.
//!
//! ```text
//! kept  |done.......|window copied to the buffer|......|
//! ```

use std::ops::Range;

use memchr::memchr;

use crate::limits::LINE_PADDING;

#[cfg(any(test, fuzzing))]
pub(crate) mod model;

/// What stands between two newlines: where in the buffer, without newline and carriage return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// All of a line.
    Whole(Range<usize>),
    /// The first `max_line` bytes of a line that is longer; it is reported once.
    Oversize(Range<usize>),
    /// Nothing but spaces: it counts for nothing but the time that it takes.
    Blank,
}

/// Bytes of a read buffer: a read, behind the longest kept line (which may end in a carriage
/// return), before the padding that spares the parser a copy.
#[must_use]
pub const fn buffer_len(read_len: usize, line_len_max: usize) -> usize {
    read_len + line_len_max + 1 + LINE_PADDING
}

/// Cuts one connection's bytes into lines.
///
/// Invariant, while the buffer is worked on: `start <= scanned <= filled`, and no newline stands in
/// `start..scanned`.
#[derive(Debug)]
pub struct Framer {
    /// Longest line, in bytes without its newline.
    line_len_max: usize,
    /// The unfinished line of the last turn, at most `line_len_max + 1` bytes; or all that was in the
    /// buffer from a line on that was held.
    kept: Vec<u8>,
    /// So many of its bytes are done with.
    done: usize,
    /// Bytes of it that this turn works on; `None`: it reads the socket.
    window: Option<usize>,
    /// Whole lines may be among what was kept: the next turn begins with them.
    holding: bool,
    /// An oversize line was reported, and its newline has not come yet.
    skipping: bool,
    /// Where the next line starts.
    start: usize,
    /// Up to where no newline was found.
    scanned: usize,
}

impl Framer {
    /// A framer for a new connection.
    #[must_use]
    pub fn new(line_len_max: usize) -> Self {
        Self {
            line_len_max,
            kept: Vec::new(),
            done: 0,
            window: None,
            holding: false,
            skipping: false,
            start: 0,
            scanned: 0,
        }
    }

    /// Copies the unfinished line to the front of `buffer`, and returns its length: the agent reads
    /// the socket behind it, but not behind lines that were held. A turn in which nothing could be
    /// read may end here.
    pub fn restore(&mut self, buffer: &mut [u8]) -> usize {
        // With its line end, and one more: an oversize line is seen to be one.
        let window_len = self.line_len_max + 2;
        let len = match self.holding {
            true => self.partial_len().min(window_len),
            false => self.kept.len(),
        };
        buffer[..len].copy_from_slice(&self.kept[self.done..self.done + len]);
        self.window = self.holding.then_some(len);
        self.start = 0;
        self.scanned = if self.holding { 0 } else { len };
        len
    }

    /// The next line of `buffer`, which ends where the read ended. The bytes of lines that were
    /// returned may be changed; those behind them may not.
    pub fn next_line(&mut self, buffer: &[u8]) -> Option<Line> {
        while let Some(distance) = memchr(b'\n', &buffer[self.scanned..]) {
            let (start, end) = (self.start, self.scanned + distance);
            self.start = end + 1;
            self.scanned = end + 1;
            let skipped = std::mem::take(&mut self.skipping);
            if !skipped {
                return Some(self.finished(buffer, start, end));
            }
        }
        self.unfinished(buffer)
    }

    /// The last line, which has no newline, of a stream that ended in an orderly way: all of `buffer`
    /// behind the lines that [`Framer::next_line`] has returned before it found no more.
    /// [`Framer::hold`] may follow, and [`Framer::keep`] does.
    pub fn finish(&mut self, buffer: &[u8]) -> Option<Line> {
        let start = std::mem::replace(&mut self.start, buffer.len());
        self.scanned = buffer.len();
        match std::mem::take(&mut self.skipping) {
            true => None,
            false => Some(self.finished(buffer, start, buffer.len())),
        }
        .filter(|it| *it != Line::Blank)
    }

    fn finished(&self, buffer: &[u8], start: usize, line_end: usize) -> Line {
        let returned = line_end > start && buffer[line_end - 1] == b'\r';
        let end = line_end - usize::from(returned);
        if end - start > self.line_len_max {
            return Line::Oversize(start..start + self.line_len_max);
        }
        match buffer[start..end].iter().all(|byte| is_space(*byte)) {
            true => Line::Blank,
            false => Line::Whole(start..end),
        }
    }

    fn unfinished(&mut self, buffer: &[u8]) -> Option<Line> {
        self.scanned = buffer.len();
        let start = self.start;
        if self.skipping {
            self.start = buffer.len();
            return None;
        }
        let returned = buffer[start..].last() == Some(&b'\r');
        if buffer.len() - start <= self.line_len_max + usize::from(returned) {
            return None;
        }
        self.skipping = true;
        self.start = buffer.len();
        Some(Line::Oversize(start..start + self.line_len_max))
    }

    /// Holds the line that was returned last, whose bytes are as they were, and all behind it:
    /// [`Framer::keep`] may follow, and the next turn begins with it.
    pub fn hold(&mut self, line: &Range<usize>) {
        self.start = line.start;
        (self.holding, self.skipping) = (true, false);
    }

    /// Keeps all that stands behind the line that was returned last for the next turn.
    pub fn suspend(&mut self) {
        self.holding = true;
    }

    /// Whether the next turn begins with lines that were held.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.holding
    }

    /// Whether lines are left behind those that this turn works on.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.window.is_some_and(|it| it < self.partial_len())
    }

    /// A turn takes up the lines that were held.
    pub fn resume(&mut self) {
        self.holding = false;
    }

    /// Keeps the unfinished line, once [`Framer::next_line`] has found no more in `buffer`, or all
    /// that is left of a turn that was held or suspended.
    pub fn keep(&mut self, buffer: &[u8]) {
        let is_whole = self.holding || self.scanned == buffer.len();
        debug_assert!(is_whole, "lines were left");
        match self.window.take() {
            Some(window) => self.keep_behind_window(window),
            None => self.keep_read(buffer),
        }
        debug_assert!(self.holding || self.kept.len() <= self.line_len_max + 1);
        self.start = 0;
        self.scanned = 0;
    }

    /// More lines may stand behind a window.
    fn keep_behind_window(&mut self, window: usize) {
        self.holding |= window < self.partial_len();
        self.done += self.start;
        // Each byte is moved a few times at most, however small the turns are.
        if !self.holding || self.done > self.kept.len() / 2 {
            self.kept.drain(..self.done);
            self.done = 0;
        }
        if !self.holding && self.kept.capacity() > 2 * (self.line_len_max + 1) {
            self.kept.shrink_to_fit();
        }
    }

    fn keep_read(&mut self, buffer: &[u8]) {
        if self.start == 0 {
            self.kept.extend_from_slice(&buffer[self.kept.len()..]);
        } else {
            self.kept.clear();
            self.kept.extend_from_slice(&buffer[self.start..]);
        }
    }

    /// Gives back the memory of a long line that is over.
    pub fn release(&mut self) {
        self.kept.shrink_to_fit();
    }

    /// The unfinished line, between two turns.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.kept[self.done..]
    }

    /// Bytes of the unfinished line, or of all that is held.
    #[must_use]
    pub fn partial_len(&self) -> usize {
        self.kept.len() - self.done
    }

    /// Whether the last line that was returned is oversize and has not ended yet.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Ends the connection, and makes ready for its successor. Returns how many bytes are dropped:
    /// none behind [`Framer::finish`].
    pub fn end(&mut self) -> usize {
        let dropped = self.partial_len();
        self.kept.clear();
        (self.done, self.window) = (0, None);
        (self.holding, self.skipping) = (false, false);
        dropped
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::model::Seen;
    use super::*;

    const LINE_LEN_MAX: usize = 8;

    fn turn(framer: &mut Framer, read: &[u8], seen: &mut Vec<Seen>) {
        let mut buffer = vec![0; buffer_len(read.len(), LINE_LEN_MAX)];
        let kept = framer.restore(&mut buffer);
        let filled = kept + read.len();
        buffer[kept..filled].copy_from_slice(read);
        while let Some(line) = framer.next_line(&buffer[..filled]) {
            seen.push(match line {
                Line::Whole(range) => {
                    let bytes = buffer[range.clone()].to_vec();
                    buffer[range].fill(b'\n');
                    Seen::Whole(bytes)
                }
                Line::Oversize(range) => Seen::Oversize(buffer[range].to_vec()),
                Line::Blank => continue,
            });
        }
        framer.keep(&buffer[..filled]);
    }

    /// The same in turns of so many lines at most.
    fn short_turns(framer: &mut Framer, read: &[u8], lines_max: usize, seen: &mut Vec<Seen>) {
        let mut buffer = vec![0; buffer_len(read.len(), LINE_LEN_MAX)];
        let kept = framer.restore(&mut buffer);
        let mut filled = kept + read.len();
        buffer[kept..filled].copy_from_slice(read);
        loop {
            let mut lines = 0;
            while let Some(line) = framer.next_line(&buffer[..filled]) {
                match line {
                    Line::Whole(range) => seen.push(Seen::Whole(buffer[range].to_vec())),
                    Line::Oversize(range) => seen.push(Seen::Oversize(buffer[range].to_vec())),
                    Line::Blank => {}
                }
                lines += 1;
                if lines == lines_max {
                    framer.suspend();
                    break;
                }
            }
            framer.keep(&buffer[..filled]);
            if !framer.is_holding() {
                return;
            }
            filled = framer.restore(&mut buffer);
            framer.resume();
        }
    }

    #[test]
    fn a_line_that_is_held_comes_again_with_all_behind_it() {
        for held in 0..4 {
            let mut framer = Framer::new(LINE_LEN_MAX);
            let mut seen = Vec::new();
            turn(&mut framer, b"1\n2", &mut seen);
            let mut buffer = b"2\n3\n\n4\n5\r\n6".to_vec();
            assert_eq!(framer.restore(&mut buffer), 1);
            let mut lines = std::iter::from_fn(|| framer.next_line(&buffer[..11]));
            let line = lines.by_ref().filter(|it| *it != Line::Blank).nth(held);
            let Some(Line::Whole(range)) = line else {
                panic!("a line")
            };
            framer.hold(&range);
            framer.keep(&buffer[..11]);
            assert!(framer.is_holding());
            let mut rest = 0;
            while framer.is_holding() {
                let mut again = vec![0; 11];
                let kept = framer.restore(&mut again);
                framer.resume();
                let lines = std::iter::from_fn(|| framer.next_line(&again[..kept]));
                rest += lines.filter(|it| *it != Line::Blank).count();
                framer.keep(&again[..kept]);
            }
            assert_eq!(rest, 4 - held);
            assert_eq!((framer.partial_len(), framer.is_holding()), (1, false));
        }
    }

    fn lines(reads: &[&[u8]]) -> (Vec<Seen>, usize) {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let mut seen = Vec::new();
        for read in reads {
            turn(&mut framer, read, &mut seen);
            assert!(framer.partial_len() <= LINE_LEN_MAX + 1);
        }
        (seen, framer.end())
    }

    fn model(bytes: &[u8]) -> (Vec<Seen>, usize) {
        let (seen, rest) = model::lines(bytes, LINE_LEN_MAX);
        (seen, rest.len())
    }

    fn whole(text: &str) -> Seen {
        Seen::Whole(text.as_bytes().to_vec())
    }

    fn oversize(text: &str) -> Seen {
        Seen::Oversize(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_lose_their_newline_and_one_carriage_return() {
        let (seen, dropped) = lines(&[b"one\ntwo\r\nthree\r\r\nfo"]);
        assert_eq!(seen, [whole("one"), whole("two"), whole("three\r")]);
        assert_eq!(dropped, 2);
    }

    #[test]
    fn blank_lines_are_passed_over() {
        let (seen, dropped) = lines(&[b"\n\r\n  \n\t \r\n", b"a\n\n", b" \n", b" b \n"]);
        assert_eq!((seen, dropped), (vec![whole("a"), whole(" b ")], 0));
    }

    #[test]
    fn a_line_of_the_greatest_length_is_whole_with_either_line_end() {
        let expected = vec![whole("12345678"), whole("abcdefgh")];
        for cut in 0..19 {
            let bytes = b"12345678\nabcdefgh\r\n";
            assert_eq!(
                lines(&[&bytes[..cut], &bytes[cut..]]),
                (expected.clone(), 0),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn one_byte_more_is_oversize_at_once_and_only_once() {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let mut seen = Vec::new();
        turn(&mut framer, b"123456789", &mut seen);
        assert_eq!(seen, [oversize("12345678")]);
        assert_eq!(framer.partial_len(), 0, "no memory is kept for it");
        for _ in 0..100 {
            turn(&mut framer, b"more of the same", &mut seen);
        }
        turn(&mut framer, b"its end\nnext\n", &mut seen);
        assert_eq!(seen, [oversize("12345678"), whole("next")]);
    }

    #[test]
    fn a_carriage_return_that_ends_no_line_counts_as_a_byte() {
        assert_eq!(lines(&[b"12345678\r"]), (vec![], 9));
        let (seen, _) = lines(&[b"12345678\r", b"x\nok\n"]);
        assert_eq!(seen, [oversize("12345678"), whole("ok")]);
    }

    #[test]
    fn a_connection_that_ends_leaves_nothing_to_the_next() {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let mut seen = Vec::new();
        turn(&mut framer, b"half a l", &mut seen);
        assert_eq!(framer.end(), 8);
        turn(&mut framer, b"whole\nfar too long to keep", &mut seen);
        assert_eq!(framer.end(), 0, "it was reported already");
        turn(&mut framer, b"new\n", &mut seen);
        assert_eq!(seen, [whole("whole"), oversize("far too "), whole("new")]);
    }

    /// Turns for `reads`, then the end of the stream.
    fn finished(reads: &[&[u8]]) -> Vec<Seen> {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let mut seen = Vec::new();
        for read in reads {
            turn(&mut framer, read, &mut seen);
        }
        let mut buffer = vec![0; buffer_len(0, LINE_LEN_MAX)];
        let kept = framer.restore(&mut buffer);
        assert_eq!(framer.next_line(&buffer[..kept]), None);
        match framer.finish(&buffer[..kept]) {
            Some(Line::Whole(range)) => seen.push(Seen::Whole(buffer[range].to_vec())),
            Some(Line::Oversize(range)) => seen.push(Seen::Oversize(buffer[range].to_vec())),
            Some(Line::Blank) | None => {}
        }
        framer.keep(&buffer[..kept]);
        assert!(!framer.is_skipping());
        assert_eq!(framer.end(), 0, "nothing is left");
        seen
    }

    #[test]
    fn the_end_of_a_stream_ends_its_last_line_too() {
        assert_eq!(finished(&[b"one\ntwo"]), [whole("one"), whole("two")]);
        assert_eq!(
            finished(&[b"one\n", b"t", b"wo\r"]),
            [whole("one"), whole("two")]
        );
        assert_eq!(finished(&[b"12345678\r"]), [whole("12345678")]);
        assert_eq!(finished(&[b"123456789"]), [oversize("12345678")]);
        assert_eq!(finished(&[b"123456789", b"more"]), [oversize("12345678")]);
        for nothing in [&b""[..], b" ", b"\r", b" \t\r"] {
            assert_eq!(finished(&[b"one\n", nothing]), [whole("one")]);
        }
    }

    #[test]
    fn a_last_line_that_is_held_comes_again() {
        let mut framer = Framer::new(LINE_LEN_MAX);
        turn(&mut framer, b"1\n23\r", &mut Vec::new());
        for held in [true, true, false] {
            let mut buffer = vec![0; buffer_len(0, LINE_LEN_MAX)];
            let kept = framer.restore(&mut buffer);
            framer.resume();
            assert_eq!(framer.next_line(&buffer[..kept]), None);
            let line = framer.finish(&buffer[..kept]);
            assert_eq!(line, Some(Line::Whole(0..2)));
            if held {
                framer.hold(&(0..2));
            }
            framer.keep(&buffer[..kept]);
        }
        assert_eq!((framer.partial_len(), framer.is_holding()), (0, false));
    }

    #[test]
    fn a_turn_that_reads_nothing_changes_nothing() {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let mut seen = Vec::new();
        turn(&mut framer, b"ab", &mut seen);
        framer.restore(&mut [0; 64]);
        turn(&mut framer, b"", &mut seen);
        turn(&mut framer, b"cd\n", &mut seen);
        assert_eq!(seen, [whole("abcd")]);
    }

    proptest! {
        #[test]
        fn splits_make_no_difference(
            bytes in proptest::collection::vec(
                proptest::sample::select(b"ab \t\r\n\n".to_vec()), 0..80),
            cuts in proptest::collection::vec(0_usize..80, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let reads: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&reads), model(&bytes));
            let (ended, _) = model(&[&bytes[..], b"\n"].concat());
            prop_assert_eq!(finished(&reads), ended);
        }

        #[test]
        fn short_turns_make_no_difference(
            bytes in proptest::collection::vec(
                proptest::sample::select(b"abc \t\r\n".to_vec()), 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..4),
            lines_max in 1_usize..5,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut framer = Framer::new(LINE_LEN_MAX);
            let mut seen = Vec::new();
            for pair in cuts.windows(2) {
                short_turns(&mut framer, &bytes[pair[0]..pair[1]], lines_max, &mut seen);
            }
            prop_assert_eq!((seen, framer.end()), model(&bytes));
        }
    }
}
