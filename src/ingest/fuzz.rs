//! Fuzzing of what sources send: a stream is cut into lines and these are parsed, beside naive
//! models and other readers of JSON.
//!
//! ```text
//! input   | lines a turn | hold each nth | lengths of reads ... \n | stream |
//! ```
//! The first line says how the stream comes in; its bytes are numbers, and none of them is needed.

use std::convert::Infallible;

use super::greeting::{self, Greeting};
use super::parser::Parser;
use super::parser::verdict::{LEVELS, agreed, agrees_with_others};
use crate::net::framer::model::{self, Seen, is_blank};
use crate::net::framer::{Framer, Line, ReadBuffer};

/// Longer than an id with all its characters as `\uXXXX`, and short enough to be passed.
const LINE_LEN_MAX: usize = 2_048;

/// The first line without its newline, and what stands behind it.
fn split_line(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', input) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&[], input),
    }
}

/// Cuts and parses a stream.
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
    for (line, in_stream) in reading.parsed {
        let verdict = agreed(&mut experienced, &line);
        agrees_with_others(&line, &verdict);
        let id = verdict.map(|it| it.texts[0].clone());
        assert_eq!(
            id.map_err(|it| it as usize),
            in_stream,
            "parsed in the stream"
        );
    }
}

/// A connection as ingest has it.
struct Reading {
    framer: Framer,
    parser: Parser,
    lines_per_turn: usize,
    /// Each of so many lines is put off once; zero: none is.
    hold_each: usize,
    has_held: bool,
    seen: Vec<Seen>,
    /// Each line as it came, with its id or the number of the reason against it.
    parsed: Vec<(Vec<u8>, Result<String, usize>)>,
}

impl Reading {
    fn new(plan: &[u8]) -> Self {
        let number = |at: usize| plan.get(at).map_or(0, |byte| usize::from(*byte));
        Self {
            framer: Framer::new(LINE_LEN_MAX),
            parser: Parser::new(LEVELS),
            lines_per_turn: number(0).max(1),
            hold_each: number(1),
            has_held: false,
            seen: Vec::new(),
            parsed: Vec::new(),
        }
    }

    /// Reads the stream in pieces of these lengths, in turn, and its end.
    fn read_all(&mut self, stream: &[u8], lens: &[u8]) {
        let mut buffer = ReadBuffer::new(stream.len(), LINE_LEN_MAX);
        let mut lens = lens.iter().cycle();
        let mut rest = stream;
        while !rest.is_empty() {
            let len = lens
                .next()
                .map_or(rest.len(), |len| usize::from(*len).max(1));
            let (read, behind) = rest.split_at(len.min(rest.len()));
            rest = behind;
            self.turns(&mut buffer, read, false);
        }
        self.turns(&mut buffer, &[], true);
        assert_eq!(self.framer.clear(), 0, "nothing is left behind the end");
    }

    /// A read, and what was left of it.
    fn turns(&mut self, buffer: &mut ReadBuffer, read: &[u8], is_end: bool) {
        self.turn(buffer, read, is_end);
        let mut turns_max = 4 * (self.framer.partial_len() + 2);
        while self.framer.is_suspended() {
            assert!(turns_max > 0, "each turn gets on");
            turns_max -= 1;
            self.turn(buffer, &[], is_end);
        }
    }

    fn turn(&mut self, buffer: &mut ReadBuffer, read: &[u8], is_end: bool) {
        let mut framer = std::mem::replace(&mut self.framer, Framer::new(0));
        let mut turn = framer.turn(buffer);
        let taken = turn.read(read.len(), |into| {
            into.copy_from_slice(read);
            Ok::<_, Infallible>(read.len())
        });
        assert_eq!(taken.map(Option::unwrap_or_default), Ok(read.len()));
        if is_end {
            turn.finish();
        }
        for _ in 0..self.lines_per_turn {
            match turn.next_line() {
                Some(line) if self.takes(line) => turn.consume(),
                _ => break,
            }
        }
        turn.suspend();
        self.framer = framer;
    }

    /// Returns whether the line was taken, and not put off.
    fn takes(&mut self, line: Line<'_>) -> bool {
        match line {
            Line::Blank => {}
            Line::Oversize(line) => self.seen.push(Seen::Oversize(line.to_vec())),
            Line::Whole(line) | Line::Unterminated(line) => {
                let number = self.seen.len() + 1;
                let holds = self.hold_each > 0 && number.is_multiple_of(self.hold_each);
                if holds && !std::mem::replace(&mut self.has_held, true) {
                    return false;
                }
                self.has_held = false;
                let parsed = self.parser.parse(line).map(|it| it.id.to_owned());
                let parsed = parsed.map_err(|reason| reason as usize);
                self.parsed.push((line.to_vec(), parsed));
                self.seen.push(Seen::Whole(line.to_vec()));
            }
        }
        true
    }
}

/// A producer's first line is a greeting or a message, never both.
pub(crate) fn greeting(line: &[u8]) {
    let Some(Greeting::Wishes(wishes)) = greeting::parse(line) else {
        return;
    };
    let value: serde_json::Value = serde_json::from_slice(line).expect("it was understood");
    let members = value.as_object().expect("an object, as all lines are");
    assert!(
        members.len() == 1 && members["producer"].is_object(),
        "{value}"
    );
    let says = |name| members["producer"].get(name) == Some(&serde_json::Value::Bool(true));
    assert_eq!(
        (says("ack"), says("outcomes")),
        (wishes.ack, wishes.outcomes)
    );
    assert!(wishes.ack || !wishes.outcomes);
    let token = members["producer"]["token"].as_str();
    let token = token.filter(|it| !it.is_empty());
    assert_eq!(token, wishes.token.as_ref().map(|it| it.reveal()));
    assert!(Parser::new(LEVELS).parse(line).is_err());
}
