//! The messages of a stream that went to ingest and are not acknowledged to the stream.
//!
//! The source's session feeds it what it takes and what the engine answers; it gives what the stream
//! is to be told. Values only.
//!
//! ```text
//! stream   17   18   20   21        sequences; 19 is another subject's
//! lines     1    2    -    3        20 is blank, and no line
//! {"ack":2} from ingest: 17, 18 and 20 go; the stream is told 20
//! ```

use std::collections::VecDeque;

/// See the module. `R` is where a message's answer goes.
#[derive(Debug)]
pub(super) struct Window<R> {
    taken: VecDeque<Taken<R>>,
    /// Lines so far.
    lines: u64,
    /// Lines that the engine has answered for.
    answered: u64,
    /// The sequence of the last message that was taken.
    last_sequence: u64,
    /// The sequence up to which the engine is responsible; zero: of none yet.
    floor: u64,
}

#[derive(Debug)]
struct Taken<R> {
    sequence: u64,
    /// The last line at or before it.
    line: u64,
    is_line: bool,
    reply: R,
}

/// What the stream is told of a message, and of all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled<R> {
    /// The engine has it.
    Acknowledged(R),
    /// It was rejected and kept: it is not to come again.
    Terminated(R, String),
}

impl<R> Default for Window<R> {
    fn default() -> Self {
        Self {
            taken: VecDeque::new(),
            lines: 0,
            answered: 0,
            last_sequence: 0,
            floor: 0,
        }
    }
}

impl<R> Window<R> {
    /// Takes a message; `false`: it has come before, and is nothing new.
    #[must_use]
    pub(super) fn take(&mut self, sequence: u64, is_line: bool, reply: R) -> bool {
        if sequence <= self.last_sequence {
            return false;
        }
        self.last_sequence = sequence;
        self.lines += u64::from(is_line);
        let line = self.lines;
        self.taken.push_back(Taken {
            sequence,
            line,
            is_line,
            reply,
        });
        true
    }

    /// The engine answers for the lines up to `through`, of which some were rejected, in order.
    ///
    /// # Errors
    /// There are not so many.
    pub(super) fn answer(
        &mut self,
        through: u64,
        rejected: &[(u64, String)],
    ) -> Result<Vec<Settled<R>>, String> {
        if through > self.lines {
            let lines = self.lines;
            return Err(format!("the engine answers for {through} lines of {lines}"));
        }
        self.answered = self.answered.max(through);
        Ok(self.settle(rejected))
    }

    /// Blank messages behind the last answered line need no answer.
    pub(super) fn settle_blank(&mut self) -> Vec<Settled<R>> {
        self.settle(&[])
    }

    fn settle(&mut self, rejected: &[(u64, String)]) -> Vec<Settled<R>> {
        let mut told = Vec::new();
        let mut last = None;
        while self
            .taken
            .front()
            .is_some_and(|it| it.line <= self.answered)
            && let Some(taken) = self.taken.pop_front()
        {
            self.floor = taken.sequence;
            let reason = rejected
                .iter()
                .find(|(line, _)| taken.is_line && *line == taken.line);
            match reason {
                Some((_, reason)) => {
                    // What is told of it is told of those before it.
                    last = None;
                    told.push(Settled::Terminated(taken.reply, reason.clone()));
                }
                None => last = Some(taken.reply),
            }
        }
        told.extend(last.map(Settled::Acknowledged));
        told
    }

    /// Up to where the engine is responsible; `None`: nothing was answered.
    pub(super) fn floor(&self) -> Option<u64> {
        (self.floor > 0).then_some(self.floor)
    }

    /// Whether the engine has answered for all.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_of_what_is_answered_for_is_told_and_stands_for_those_before() {
        let mut window = Window::default();
        for (sequence, is_line) in [(17, true), (18, true), (20, false), (21, true)] {
            assert!(window.take(sequence, is_line, sequence));
        }
        assert!(!window.take(18, true, 18), "it has come before");
        assert_eq!(window.floor(), None);
        assert_eq!(window.answer(2, &[]), Ok(vec![Settled::Acknowledged(20)]));
        assert_eq!(window.floor(), Some(20));
        assert_eq!(window.answer(1, &[]), Ok(Vec::new()), "it is cumulative");
        assert_eq!(window.answer(3, &[]), Ok(vec![Settled::Acknowledged(21)]));
        assert!(window.is_empty());
        assert!(window.answer(4, &[]).is_err());
    }

    #[test]
    fn rejected_ones_are_told_by_themselves_with_the_reason() {
        let mut window = Window::default();
        for sequence in 1..=4 {
            assert!(window.take(sequence, true, sequence));
        }
        let rejected = [(2, "bad_json".to_owned()), (4, "oversize".to_owned())];
        let told = window.answer(4, &rejected).expect("there are four");
        let terminated = |at: u64, why: &str| Settled::Terminated(at, why.to_owned());
        assert_eq!(told, [terminated(2, "bad_json"), terminated(4, "oversize")]);
        assert!(window.take(5, true, 5) && window.take(6, true, 6));
        let told = window.answer(6, &[(5, "oversize".to_owned())]);
        assert_eq!(
            told,
            Ok(vec![terminated(5, "oversize"), Settled::Acknowledged(6)])
        );
    }

    #[test]
    fn blank_messages_wait_for_those_before_them_alone() {
        let mut window = Window::default();
        assert!(window.take(1, false, 1));
        assert_eq!(window.settle_blank(), [Settled::Acknowledged(1)]);
        assert!(window.take(2, true, 2) && window.take(3, false, 3));
        assert_eq!(window.settle_blank(), []);
        assert_eq!(window.answer(1, &[]), Ok(vec![Settled::Acknowledged(3)]));
    }

    proptest! {
        /// What the stream is told covers what the engine has answered for, and never more.
        #[test]
        fn the_floor_is_that_of_the_lines_that_were_answered_for(
            lines in prop::collection::vec(any::<bool>(), 0..40),
            answers in prop::collection::vec(0_u64..45, 0..10),
        ) {
            let mut window = Window::default();
            for (at, &is_line) in lines.iter().enumerate() {
                prop_assert!(window.take(at as u64 + 1, is_line, ()));
            }
            let count = lines.iter().filter(|it| **it).count() as u64;
            let mut most = 0;
            for through in answers {
                prop_assert_eq!(window.answer(through, &[]).is_ok(), through <= count);
                most = if through <= count { most.max(through) } else { most };
                let mut seen = 0;
                let covered = lines.iter().take_while(|is_line| {
                    seen += u64::from(**is_line);
                    seen <= most
                });
                let answered = most > 0 || through == 0;
                if answered && through <= count {
                    prop_assert_eq!(window.floor().unwrap_or(0), covered.count() as u64);
                }
            }
        }
    }
}
