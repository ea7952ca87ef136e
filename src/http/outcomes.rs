//! What became of the lines of one request: ingest's answers in, a line for each out.
//!
//! ```text
//! {"ack":3,"rejected":[[3,"bad_json"]],"duplicates":[2]}    ingest's, see `ingest::outcomes`
//! {"line":1,"outcome":"accepted"}
//! {"line":2,"outcome":"duplicate"}
//! {"line":3,"outcome":"rejected","reason":"bad_json"}
//! ```
//! A byte a line is kept until the answer is written. Values only.

use std::io::Write as _;

use super::lines::BlankLines;
use crate::ingest::answer::ProducerAnswer;
use crate::limits::HTTP_OUTCOMES_LEN;
use crate::message::Reason;

const ACCEPTED: u8 = 0;
const DUPLICATE: u8 = 1;
/// And the reason's number.
const REJECTED: u8 = 2;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    Duplicate,
    Rejected(Reason),
}

impl Outcome {
    fn of(code: u8) -> Self {
        match code {
            ACCEPTED => Self::Accepted,
            DUPLICATE => Self::Duplicate,
            code => Self::Rejected(Reason::ALL[usize::from(code - REJECTED)]),
        }
    }

    /// The members of its line.
    pub(super) fn members(self) -> String {
        match self {
            Self::Accepted => "\"outcome\":\"accepted\"".to_owned(),
            Self::Duplicate => "\"outcome\":\"duplicate\"".to_owned(),
            Self::Rejected(reason) => {
                let reason = reason.label();
                format!("\"outcome\":\"rejected\",\"reason\":\"{reason}\"")
            }
        }
    }
}

/// The lines of one request that were answered.
#[derive(Debug)]
pub(super) struct Outcomes {
    /// Lines of the connection to ingest before those of the request.
    before: u64,
    codes: Vec<u8>,
    /// Lines of the body that ingest does not answer.
    blank: BlankLines,
}

impl Outcomes {
    pub(super) fn new(before: u64) -> Self {
        Self {
            before,
            codes: Vec::new(),
            blank: BlankLines::default(),
        }
    }

    /// Lines are told by their number in the body, which has these blank ones.
    pub(super) fn among(self, blank: BlankLines) -> Self {
        Self { blank, ..self }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// Ingest takes no more lines, and says why.
    pub(super) fn take(&mut self, answer: &[u8]) -> Result<(), String> {
        let answer: ProducerAnswer = serde_json::from_slice(answer)
            .map_err(|error| format!("ingest's answer is not understood: {error}"))?;
        if let Some(error) = answer.error {
            return Err(error);
        }
        let through = answer.ack.unwrap_or_default().saturating_sub(self.before) as usize;
        if through > self.codes.len() {
            self.codes.resize(through, ACCEPTED);
        }
        for line in answer.duplicates {
            self.note(line, DUPLICATE);
        }
        for (line, label) in answer.rejected {
            let reason = Reason::ALL.iter().position(|it| it.label() == label);
            let reason = reason.ok_or_else(|| format!("unknown reason {label}"))?;
            self.note(line, REJECTED + reason as u8);
        }
        Ok(())
    }

    fn note(&mut self, line: u64, code: u8) {
        let at = line.checked_sub(self.before + 1);
        if let Some(it) = at.and_then(|at| self.codes.get_mut(at as usize)) {
            *it = code;
        }
    }

    /// Lines that were answered.
    pub(super) fn len(&self) -> u64 {
        self.codes.len() as u64
    }

    /// What became of the only line.
    pub(super) fn single(&self) -> Option<Outcome> {
        match self.codes.as_slice() {
            [code] => Some(Outcome::of(*code)),
            _ => None,
        }
    }

    /// The lines of the answer, in pieces of some [`HTTP_OUTCOMES_LEN`] bytes.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = Vec<u8>> {
        let (mut at, mut line) = (0, 0);
        std::iter::from_fn(move || {
            let mut piece = Vec::with_capacity(HTTP_OUTCOMES_LEN + 128);
            while piece.len() < HTTP_OUTCOMES_LEN
                && let Some(code) = self.codes.get(at)
            {
                while self.blank.has(line) {
                    line += 1;
                }
                (at, line) = (at + 1, line + 1);
                let members = Outcome::of(*code).members();
                writeln!(piece, "{{\"line\":{line},{members}}}").expect("a vector takes all");
            }
            (!piece.is_empty()).then_some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::LineCounter;
    use super::*;

    fn text(outcomes: Outcomes) -> String {
        let pieces: Vec<_> = outcomes.into_pieces().collect();
        String::from_utf8(pieces.concat()).expect("text")
    }

    #[test]
    fn each_line_is_told_by_its_number_within_the_request() {
        let mut outcomes = Outcomes::new(10);
        for answer in [
            "{\"ack\":10}",
            "{\"ack\":12,\"duplicates\":[12]}",
            "{\"ack\":14,\"rejected\":[[13,\"queue_full\"]]}",
        ] {
            outcomes.take(answer.as_bytes()).expect("an answer");
        }
        assert_eq!(outcomes.len(), 4);
        assert_eq!(
            text(outcomes),
            "{\"line\":1,\"outcome\":\"accepted\"}\n{\"line\":2,\"outcome\":\"duplicate\"}\n\
             {\"line\":3,\"outcome\":\"rejected\",\"reason\":\"queue_full\"}\n\
             {\"line\":4,\"outcome\":\"accepted\"}\n"
        );
    }

    #[test]
    fn blank_lines_of_the_body_count_and_are_not_told() {
        let mut counter = LineCounter::new(100);
        counter.take(b"\n{}\n  \n\r\n{}\n");
        counter.take(&b"\n".repeat(200));
        counter.take(b"{}");
        counter.finish();
        let mut outcomes = Outcomes::new(0).among(counter.into_blank());
        outcomes.take(b"{\"ack\":3}").expect("an answer");
        assert_eq!(
            text(outcomes),
            "{\"line\":2,\"outcome\":\"accepted\"}\n{\"line\":5,\"outcome\":\"accepted\"}\n\
             {\"line\":206,\"outcome\":\"accepted\"}\n"
        );
    }

    #[test]
    fn every_reason_is_known_and_an_error_ends_it() {
        let mut outcomes = Outcomes::new(0);
        for (line, reason) in (1..).zip(Reason::ALL) {
            let label = reason.label();
            let answer = format!("{{\"ack\":{line},\"rejected\":[[{line},\"{label}\"]]}}");
            outcomes.take(answer.as_bytes()).expect("an answer");
        }
        assert!(outcomes.single().is_none());
        assert_eq!(outcomes.take(b"{\"error\":\"no\"}"), Err("no".to_owned()));
        assert!(outcomes.take(b"x").is_err());
        assert_eq!(outcomes.len(), Reason::ALL.len() as u64);
        let text = text(outcomes);
        assert!(Reason::ALL.iter().all(|it| text.contains(it.label())));
    }

    #[test]
    fn many_lines_are_written_in_pieces() {
        let mut outcomes = Outcomes::new(0);
        outcomes.take(b"{\"ack\":100000}").expect("an answer");
        let pieces: Vec<_> = outcomes.into_pieces().collect();
        assert!(pieces.iter().all(|it| it.len() < HTTP_OUTCOMES_LEN + 128));
        let lines: usize = pieces
            .iter()
            .map(|it| memchr::memchr_iter(b'\n', it).count())
            .sum();
        assert_eq!(lines, 100_000);
    }
}
