//! Outcomes: which lines of a connection were not accepted, and why, until its producer was told.
//!
//! A turn notes rejected lines and the scheduler's answers duplicates; an answer takes them. It
//! knows no socket: whoever answers by line can use it.
//!
//! ```text
//! lines     told          last noted      told + OUTCOME_LINES_MAX
//! ----------|-------------|----------------|----------->
//!  answered   one code each  not read yet
//! ```
//! A producer that does not read its answers is not read beyond the window, so a byte a line is all.

use std::io::Write;

use crate::limits::{OUTCOME_LINES_MAX, OUTCOMES_PER_ANSWER};
use crate::message::Reason;

/// The line was accepted, or it is not known yet what it is.
const ACCEPTED: u8 = 0;
const DUPLICATE: u8 = 1;
/// And the reason's number.
const REJECTED: u8 = 2;

/// The outcomes of one connection. Invariant: the codes of lines that were answered are
/// [`ACCEPTED`].
#[derive(Debug)]
pub(super) struct Outcomes {
    /// By line, modulo its length.
    codes: Box<[u8; OUTCOME_LINES_MAX]>,
    /// Lines up to here were answered.
    told: u64,
}

impl Outcomes {
    /// Those of a connection whose lines up to `told` need no answer.
    pub(super) fn new(told: u64) -> Self {
        Self {
            codes: Box::new([ACCEPTED; OUTCOME_LINES_MAX]),
            told,
        }
    }

    /// How many lines may follow the last one.
    pub(super) fn room(&self, last: u64) -> usize {
        let open = last.saturating_sub(self.told) as usize;
        OUTCOME_LINES_MAX.saturating_sub(open)
    }

    pub(super) fn note_rejected(&mut self, line: u64, reason: Reason) {
        self.note(line, REJECTED + reason as u8);
    }

    /// So many lines from `first` on are duplicates.
    pub(super) fn note_duplicates(&mut self, first: u64, count: u32) {
        for line in first..first + u64::from(count) {
            self.note(line, DUPLICATE);
        }
    }

    fn note(&mut self, line: u64, code: u8) {
        debug_assert!(line > self.told && line - self.told <= OUTCOME_LINES_MAX as u64);
        self.codes[line as usize % OUTCOME_LINES_MAX] = code;
    }

    /// The last line at or before `through` that one answer can cover.
    pub(super) fn bound(&self, through: u64) -> u64 {
        let mut others = self.others(through).skip(OUTCOMES_PER_ANSWER);
        others.next().map_or(through, |(line, _)| line - 1)
    }

    /// Writes the answer for the lines up to `through`, which are known and one answer can cover.
    pub(super) fn write_answer(&mut self, through: u64, into: &mut Vec<u8>) -> std::io::Result<()> {
        write!(into, "{{\"ack\":{through}")?;
        let rejected = self.others(through).filter(|(_, code)| *code >= REJECTED);
        let rejected =
            rejected.map(|(line, code)| (line, Reason::ALL[usize::from(code - REJECTED)]));
        write_list(into, "rejected", rejected, |into, (line, reason)| {
            write!(into, "[{line},\"{}\"]", reason.label())
        })?;
        let duplicates = self.others(through).filter(|(_, code)| *code == DUPLICATE);
        write_list(into, "duplicates", duplicates, |into, (line, _)| {
            write!(into, "{line}")
        })?;
        into.extend_from_slice(b"}\n");
        for line in self.told + 1..=through {
            self.codes[line as usize % OUTCOME_LINES_MAX] = ACCEPTED;
        }
        self.told = self.told.max(through);
        Ok(())
    }

    /// Lines up to `through` that were not accepted, with their codes.
    fn others(&self, through: u64) -> impl Iterator<Item = (u64, u8)> {
        let lines = self.told + 1..=through;
        let all = lines.map(|line| (line, self.codes[line as usize % OUTCOME_LINES_MAX]));
        all.filter(|(_, code)| *code != ACCEPTED)
    }
}

/// Writes `,"name":[...]`, or nothing where the list is empty.
fn write_list<T>(
    into: &mut Vec<u8>,
    name: &str,
    entries: impl Iterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    write!(into, ",\"{name}\":[")?;
    for (at, entry) in entries.enumerate() {
        if at > 0 {
            into.push(b',');
        }
        write(into, entry)?;
    }
    into.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn answer(outcomes: &mut Outcomes, through: u64) -> String {
        let mut answer = Vec::new();
        let written = outcomes.write_answer(through, &mut answer);
        written.expect("a vector takes all");
        String::from_utf8(answer).expect("text")
    }

    #[test]
    fn an_answer_names_the_lines_since_the_last_one_that_were_not_accepted() {
        let mut outcomes = Outcomes::new(0);
        assert_eq!(answer(&mut outcomes, 0), "{\"ack\":0}\n");
        outcomes.note_rejected(3, Reason::UnknownDestination);
        outcomes.note_rejected(9, Reason::BadJson);
        outcomes.note_duplicates(5, 2);
        assert_eq!(
            answer(&mut outcomes, 7),
            "{\"ack\":7,\"rejected\":[[3,\"unknown_destination\"]],\"duplicates\":[5,6]}\n"
        );
        assert_eq!(answer(&mut outcomes, 8), "{\"ack\":8}\n");
        let last = answer(&mut outcomes, 10);
        assert_eq!(last, "{\"ack\":10,\"rejected\":[[9,\"bad_json\"]]}\n");
    }

    #[test]
    fn an_answer_has_an_end_and_the_next_one_goes_on() {
        let mut outcomes = Outcomes::new(0);
        let all = OUTCOME_LINES_MAX as u64;
        outcomes.note_duplicates(1, OUTCOME_LINES_MAX as u32);
        assert_eq!(outcomes.room(all), 0);
        let mut through = 0;
        while through < all {
            let next = outcomes.bound(all);
            assert_eq!(next, (through + OUTCOMES_PER_ANSWER as u64).min(all));
            let len = answer(&mut outcomes, next).len();
            assert!(len < 8 * OUTCOMES_PER_ANSWER + 100, "{len} bytes");
            through = next;
        }
        assert_eq!(outcomes.room(all), OUTCOME_LINES_MAX);
    }

    proptest! {
        /// The naive model is a map of the lines that were not accepted. Each step brings so many
        /// lines of a kind, or an answer.
        #[test]
        fn each_line_is_told_once_and_as_what_it_was(
            steps in proptest::collection::vec((0..6_usize, 1..700_u64), 0..60),
        ) {
            let mut outcomes = Outcomes::new(0);
            let (mut last, mut told, mut model) = (0, 0, BTreeMap::new());
            for (kind, count) in steps {
                let count = count.min(outcomes.room(last) as u64);
                match kind {
                    0 => {
                        outcomes.note_duplicates(last + 1, count as u32);
                        model.extend((last + 1..=last + count).map(|line| (line, None)));
                        last += count;
                    }
                    1 | 2 => {
                        let reason = Reason::ALL[kind * 4];
                        for line in last + 1..=last + count {
                            outcomes.note_rejected(line, reason);
                            model.insert(line, Some(reason.label()));
                        }
                        last += count;
                    }
                    3 => last += count,
                    _ => {
                        let through = outcomes.bound(last);
                        prop_assert!(through > told || last == told);
                        let answer: Value =
                            serde_json::from_str(&answer(&mut outcomes, through)).expect("JSON");
                        prop_assert_eq!(answer["ack"].as_u64(), Some(through));
                        let later = model.split_off(&(through + 1));
                        let named = named(&answer);
                        prop_assert!(named.len() <= OUTCOMES_PER_ANSWER);
                        let expected = std::mem::replace(&mut model, later);
                        let expected = expected.into_iter();
                        let expected = expected.map(|(line, why)| (line, why.map(str::to_owned)));
                        prop_assert_eq!(named, expected.collect());
                        told = through;
                    }
                }
            }
        }
    }

    /// The lines that an answer names, with the reason if there is one.
    fn named(answer: &Value) -> BTreeMap<u64, Option<String>> {
        let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
        let number = |value: &Value| value.as_u64().expect("a line");
        let rejected = list("rejected").into_iter().map(|it| {
            let why = it[1].as_str().expect("a reason").to_owned();
            (number(&it[0]), Some(why))
        });
        let duplicates = list("duplicates").into_iter().map(|it| (number(&it), None));
        rejected.chain(duplicates).collect()
    }
}
