//! Fuzzing of what sources send: a stream is cut into lines and these are judged, beside naive models
//! and other readers of JSON.
//!
//! ```text
//! input   | lines a turn | hold each nth | lengths of reads ... \n | stream |
//! ```
//! The first line says how the stream comes in; its bytes are numbers, and none of them is needed.

use std::ops::Range;

use super::judge;
use super::parser::verdict::{LEVELS, agreed, agrees_with_others};
use super::parser::{PADDING, Parser};
use crate::net::framer::model::{self, Seen, is_blank};
use crate::net::framer::{Framer, Line, buffer_len};

/// Longer than an id with all its characters as `\uXXXX`, and short enough to be passed.
const LINE_LEN_MAX: usize = 2_048;

/// The first line without its newline, and what stands behind it.
fn split_line(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', input) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&[], input),
    }
}

/// Cuts and judges a stream.
pub fn lines(input: &[u8]) {
    let (plan, stream) = split_line(input);
    let (mut expected, rest) = model::lines(stream, LINE_LEN_MAX);
    let last = rest.strip_suffix(b"\r").unwrap_or(rest);
    if !is_blank(last) {
        expected.push(Seen::Whole(last.to_vec()));
    }
    let mut reading = Reading::new(plan);
    reading.read_all(stream, plan.get(2..).unwrap_or_default());
    assert!(reading.seen == expected, "the lines are those of the model");
    let mut experienced = Parser::new(LEVELS);
    for (line, in_place) in reading.judged {
        let verdict = agreed(&mut experienced, &line);
        agrees_with_others(&line, &verdict);
        let id = verdict.map(|it| it.texts[0].clone());
        assert_eq!(
            id.map_err(|it| it as usize),
            in_place,
            "judged in its place"
        );
    }
}

/// A connection as ingest has it.
struct Reading {
    framer: Framer,
    parser: Parser,
    buffer: Vec<u8>,
    lines_per_turn: usize,
    /// Each of so many lines is put off once; zero: none is.
    hold_each: usize,
    has_held: bool,
    seen: Vec<Seen>,
    /// Each line as it came, with its id or the number of the reason against it.
    judged: Vec<(Vec<u8>, Result<String, usize>)>,
}

impl Reading {
    fn new(plan: &[u8]) -> Self {
        let number = |at: usize| plan.get(at).map_or(0, |it| usize::from(*it));
        Self {
            framer: Framer::new(LINE_LEN_MAX),
            parser: Parser::new(LEVELS),
            buffer: Vec::new(),
            lines_per_turn: number(0).max(1),
            hold_each: number(1),
            has_held: false,
            seen: Vec::new(),
            judged: Vec::new(),
        }
    }

    /// Reads the stream in pieces of these lengths, in turn, and its end.
    fn read_all(&mut self, stream: &[u8], lens: &[u8]) {
        let mut lens = lens.iter().cycle();
        let mut rest = stream;
        while !rest.is_empty() {
            let len = lens.next().map_or(rest.len(), |it| usize::from(*it).max(1));
            let (read, behind) = rest.split_at(len.min(rest.len()));
            rest = behind;
            self.turns(read, false);
        }
        self.turns(&[], true);
        assert_eq!(self.framer.end(), 0, "nothing is left behind the end");
    }

    /// A read, and what was left of it.
    fn turns(&mut self, read: &[u8], is_end: bool) {
        self.turn(read, is_end);
        let mut turns_max = 4 * (self.framer.partial_len() + 2);
        while self.framer.is_holding() {
            assert!(turns_max > 0, "each turn gets on");
            turns_max -= 1;
            self.turn(&[], is_end);
        }
    }

    fn turn(&mut self, read: &[u8], is_end: bool) {
        // Of arbitrary content, as the bytes behind a read are.
        let len = buffer_len(read.len(), LINE_LEN_MAX).max(self.framer.partial_len() + PADDING);
        self.buffer.resize(len, b'"');
        let kept = self.framer.restore(&mut self.buffer);
        self.framer.resume();
        let filled = kept + read.len();
        self.buffer[kept..filled].copy_from_slice(read);
        let mut lines = 0;
        let mut is_cut_short = false;
        while let Some(line) = self.framer.next_line(&self.buffer[..filled]) {
            lines += 1;
            is_cut_short = self.take(line) || lines == self.lines_per_turn;
            if is_cut_short {
                break;
            }
        }
        match is_cut_short {
            true if !self.framer.is_holding() => self.framer.suspend(),
            false if is_end && !self.framer.has_more() => {
                if let Some(line) = self.framer.finish(&self.buffer[..filled]) {
                    let _ = self.take(line);
                }
            }
            _ => {}
        }
        self.framer.keep(&self.buffer[..filled]);
    }

    /// Returns whether the line was put off.
    fn take(&mut self, line: Line) -> bool {
        match line {
            Line::Blank => {}
            Line::Oversize(range) => {
                let bytes = self.buffer[range].to_vec();
                self.seen.push(Seen::Oversize(bytes));
            }
            Line::Whole(range) => {
                let number = self.seen.len() + 1;
                let holds = self.hold_each > 0 && number.is_multiple_of(self.hold_each);
                if holds && !std::mem::replace(&mut self.has_held, true) {
                    self.framer.hold(&range);
                    return true;
                }
                self.has_held = false;
                self.judge(range);
            }
        }
        false
    }

    fn judge(&mut self, range: Range<usize>) {
        let line = self.buffer[range.clone()].to_vec();
        let behind = self.buffer[range.end..range.end + PADDING].to_vec();
        let padded = &mut self.buffer[range.start..range.end + PADDING];
        let judged = self.parser.parse(padded, &line);
        let judged = judged.map(|it| it.id.to_owned()).map_err(|it| it as usize);
        assert_eq!(self.buffer[range.end..range.end + PADDING], behind);
        self.seen.push(Seen::Whole(line.clone()));
        self.judged.push((line, judged));
    }
}

/// A producer's first line is a greeting or a message, never both.
pub(crate) fn greeting(line: &[u8]) {
    let Some(wants) = judge::hello(line) else {
        return;
    };
    let value: serde_json::Value = serde_json::from_slice(line).expect("it was understood");
    let members = value.as_object().expect("an object, as all lines are");
    assert!(
        members.len() == 1 && members["producer"].is_object(),
        "{value}"
    );
    let ack = members["producer"].get("ack").cloned();
    assert_eq!(ack.unwrap_or_default().as_bool().unwrap_or_default(), wants);
    assert!(Parser::new(LEVELS).parse(&mut line.to_vec(), line).is_err());
}
