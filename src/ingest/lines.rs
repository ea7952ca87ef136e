//! How far a connection's lines are: how many came, which of them went to the scheduler, and up to
//! where they are recorded, so that they may be acknowledged.
//!
//! A turn says what became of each line, the scheduler and the rejects agent how far they are.
//! Values only.

use std::io::{self, Write};

use super::outcomes::Outcomes;
use crate::message::{Reason, SourceIndex};

/// The lines of one connection, numbered from 1; blank ones and the greeting have no number.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Which source it is; one that dialled in has an index of its own.
    pub(super) source: SourceIndex,
    /// Told apart from earlier connections of the source.
    pub(super) connection: u32,
    /// Whether the source wants acknowledgements.
    pub(super) ack: bool,
    /// The next line may be a greeting.
    pub(super) may_greet: bool,
    /// No line has come yet.
    pub(super) is_new: bool,
    /// No message may be put before this time, in ms: its predecessors must stay in front.
    pub(super) floor_ms: u64,
    /// The last line that was accepted or rejected.
    last: u64,
    rejected: u64,
    /// The last one was cut off by the connection's end.
    is_cut_off: bool,
    /// The last one that went to the scheduler.
    forwarded: u64,
    /// The scheduler's lines up to here are recorded as `durability` asks, or duplicates.
    recorded: u64,
    /// Lines up to here were acknowledged.
    acknowledged: u64,
    /// An answer to the greeting is due.
    greets: bool,
    /// What became of the lines, where the producer wants to know.
    outcomes: Option<Outcomes>,
    pending_rejects: PendingRejects,
}

impl Lines {
    /// The lines of a new connection.
    pub(super) fn new(source: SourceIndex, connection: u32, ack: bool, floor_ms: u64) -> Self {
        Self {
            source,
            connection,
            ack,
            is_new: true,
            floor_ms,
            ..Self::default()
        }
    }

    /// The number of the last line.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// How many were rejected.
    pub(super) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The next line goes to the scheduler. Returns the number by which it is to answer; zero: it
    /// need not.
    #[inline]
    pub(super) fn forward(&mut self) -> u64 {
        self.last += 1;
        self.forwarded = self.last;
        match self.ack {
            true => self.last,
            false => 0,
        }
    }

    /// The next line was rejected, and is taken care of when the log is durable up to `end`.
    pub(super) fn reject(&mut self, reason: Reason, end: u64) {
        self.last += 1;
        self.rejected += 1;
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.note_rejected(self.last, reason);
        }
        if self.ack {
            self.pending_rejects.add(self.last, end);
        }
    }

    /// The next line, the connection's last, was cut off by its end. It counts as rejected, and is not acknowledged:
    /// its source has all of it, and sends it again.
    pub(super) fn cut_off(&mut self) {
        self.last += 1;
        self.rejected += 1;
        self.is_cut_off = true;
    }

    /// The last line that is to be acknowledged.
    fn last_answered(&self) -> u64 {
        self.last - u64::from(self.is_cut_off)
    }

    /// The scheduler's lines up to this one are recorded, or duplicates.
    pub(super) fn note_recorded(&mut self, line: u64) {
        self.recorded = line;
    }

    /// The producer wants to know what became of its lines, from the next one on: it is answered at
    /// once, so that it knows that this is understood.
    pub(super) fn tell_outcomes(&mut self) {
        self.outcomes = Some(Outcomes::new(self.last));
        self.greets = true;
    }

    /// Nobody is told any more.
    pub(super) fn forget_outcomes(&mut self) {
        self.outcomes = None;
        self.greets = false;
    }

    #[inline]
    pub(super) fn wants_outcomes(&self) -> bool {
        self.outcomes.is_some()
    }

    /// How many more lines may be taken before others were answered.
    pub(super) fn room(&self) -> usize {
        let outcomes = self.outcomes.as_ref();
        outcomes.map_or(usize::MAX, |outcomes| outcomes.room(self.last))
    }

    /// So many of the scheduler's lines from `first` on are duplicates.
    pub(super) fn note_duplicates(&mut self, first: u64, count: u32) {
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.note_duplicates(first, count);
        }
    }

    /// The log of rejected lines is durable up to here.
    pub(super) fn note_durable(&mut self, end: u64) {
        self.pending_rejects.advance(end);
    }

    /// Whether more can be acknowledged only once more rejected lines are durable.
    pub(super) fn awaits_rejects(&self) -> bool {
        self.pending_rejects.is_waiting()
    }

    /// How many lines can be acknowledged now: rejected lines behind the last one that the
    /// scheduler answered for count once they are durable, and an oversize one once it has ended
    /// (`is_skipping`: it has not).
    pub(super) fn acknowledgeable(&self, is_skipping: bool) -> u64 {
        let line = match self.recorded == self.forwarded {
            true => self.last_answered() - u64::from(is_skipping),
            false => self.recorded,
        };
        self.pending_rejects.bound(line)
    }

    /// Writes the acknowledgement that is due, which then counts as sent. `false`: none is.
    pub(super) fn acknowledge(
        &mut self,
        is_skipping: bool,
        into: &mut Vec<u8>,
    ) -> io::Result<bool> {
        if !self.ack || !self.owes_acknowledgement(is_skipping) {
            return Ok(false);
        }
        let line = self.acknowledgeable(is_skipping);
        self.greets = false;
        match &mut self.outcomes {
            Some(outcomes) => {
                self.acknowledged = outcomes.bound(line);
                outcomes.write_answer(self.acknowledged, into)?;
            }
            None => {
                self.acknowledged = line;
                writeln!(into, "{{\"ack\":{line}}}")?;
            }
        }
        Ok(true)
    }

    /// Whether something can be acknowledged that is not yet.
    pub(super) fn owes_acknowledgement(&self, is_skipping: bool) -> bool {
        self.greets || self.acknowledgeable(is_skipping) > self.acknowledged
    }

    /// Whether all lines were acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        !self.greets && self.acknowledged == self.last_answered()
    }
}

/// Rejected lines of a connection that are not durable yet: an acknowledgement covers all lines
/// before it, so none may go past the first of them. They are waited for in two groups: what comes
/// while the first group waits does not put off its end.
#[derive(Debug, Default)]
struct PendingRejects {
    waiting: Option<Group>,
    gathering: Option<Group>,
}

#[derive(Debug)]
struct Group {
    first_line: u64,
    /// Where in the log its last line ends.
    end: u64,
}

impl PendingRejects {
    fn add(&mut self, line: u64, end: u64) {
        let group = match self.waiting {
            None => &mut self.waiting,
            Some(_) => &mut self.gathering,
        };
        let first_line = group.as_ref().map_or(line, |group| group.first_line);
        *group = Some(Group { first_line, end });
    }

    fn advance(&mut self, durable: u64) {
        while self
            .waiting
            .as_ref()
            .is_some_and(|group| group.end <= durable)
        {
            self.waiting = self.gathering.take();
        }
    }

    fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    fn bound(&self, line: u64) -> u64 {
        let before = self.waiting.as_ref().map(|group| group.first_line - 1);
        before.map_or(line, |before| line.min(before))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acknowledged(lines: &mut Lines, is_skipping: bool) -> String {
        let mut answer = Vec::new();
        let written = lines.acknowledge(is_skipping, &mut answer);
        assert_eq!(written.expect("a vector takes all"), !answer.is_empty());
        String::from_utf8(answer).expect("text")
    }

    #[test]
    fn a_producer_that_wants_outcomes_is_answered_at_once_and_then_told_what_each_line_was() {
        let mut lines = Lines::new(0, 1, true, 0);
        lines.tell_outcomes();
        assert!(!lines.is_acknowledged() && lines.owes_acknowledgement(false));
        assert_eq!(acknowledged(&mut lines, false), "{\"ack\":0}\n");
        assert_eq!(acknowledged(&mut lines, false), "");
        assert_eq!((lines.forward(), lines.forward()), (1, 2));
        lines.reject(Reason::BadJson, 10);
        assert_eq!(lines.room(), crate::limits::OUTCOME_LINES_MAX - 3);
        lines.note_duplicates(2, 1);
        lines.note_recorded(2);
        lines.note_durable(10);
        assert_eq!(
            acknowledged(&mut lines, false),
            "{\"ack\":3,\"rejected\":[[3,\"bad_json\"]],\"duplicates\":[2]}\n"
        );
        assert!(lines.is_acknowledged());
    }

    #[test]
    fn lines_that_are_rejected_without_end_do_not_put_off_those_before_them() {
        let mut pending = PendingRejects::default();
        let (mut written, mut bound) = (0, 0);
        for line in 1..=100 {
            written += 10;
            pending.add(line, written);
            // Each sync covers what was written three lines ago.
            pending.advance(written - 30.min(written));
            assert!(pending.bound(line) < line, "line {line} is not durable");
            bound = pending.bound(line);
        }
        assert!(bound > 90, "{bound}");
        pending.advance(written);
        assert_eq!((pending.bound(100), pending.is_waiting()), (100, false));
    }

    #[test]
    fn an_oversize_line_counts_once_it_has_ended() {
        let mut lines = Lines::new(0, 1, true, 0);
        assert_eq!(lines.forward(), 1);
        lines.note_recorded(1);
        lines.reject(Reason::BadJson, 10);
        lines.note_durable(10);
        assert_eq!(acknowledged(&mut lines, true), "{\"ack\":1}\n");
        assert!(!lines.owes_acknowledgement(true) && lines.owes_acknowledgement(false));
        assert_eq!(acknowledged(&mut lines, false), "{\"ack\":2}\n");
        assert_eq!(acknowledged(&mut lines, false), "");
        assert!(lines.is_acknowledged());
    }

    #[test]
    fn nobody_is_acknowledged_who_does_not_wish_it() {
        let mut lines = Lines::new(0, 1, false, 0);
        assert_eq!(lines.forward(), 0);
        lines.reject(Reason::BadJson, 10);
        assert_eq!(acknowledged(&mut lines, false), "");
        assert_eq!(lines.last(), 2);
        assert!(!lines.awaits_rejects());
    }

    /// What happens to lines.
    #[derive(Debug, Clone)]
    enum Step {
        Forward,
        Reject,
        /// The scheduler answers for so many more.
        Answer(usize),
        /// So many more rejected lines are kept.
        Keep(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Forward),
            1 => Just(Step::Reject),
            1 => (1_usize..4).prop_map(Step::Answer),
            1 => (1_usize..4).prop_map(Step::Keep),
        ]
    }

    proptest! {
        /// The naive model has a flag for each line: it is taken care of.
        #[test]
        fn no_acknowledgement_covers_a_line_that_is_not_taken_care_of(
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let mut lines = Lines::new(0, 1, true, 0);
            let mut done: Vec<bool> = Vec::new();
            let (mut forwarded, mut rejected) = (Vec::new(), Vec::new());
            let (mut answered, mut kept) = (0, 0);
            for step in steps {
                match step {
                    Step::Forward => {
                        done.push(false);
                        prop_assert_eq!(lines.forward(), done.len() as u64);
                        forwarded.push(done.len());
                    }
                    Step::Reject => {
                        done.push(false);
                        rejected.push(done.len());
                        lines.reject(Reason::BadJson, 10 * rejected.len() as u64);
                    }
                    Step::Answer(count) => {
                        answered = forwarded.len().min(answered + count);
                        if let Some(&last) = forwarded[..answered].last() {
                            forwarded[..answered].iter().for_each(|line| done[line - 1] = true);
                            lines.note_recorded(last as u64);
                        }
                    }
                    Step::Keep(count) => {
                        kept = rejected.len().min(kept + count);
                        rejected[..kept].iter().for_each(|line| done[line - 1] = true);
                        lines.note_durable(10 * kept as u64);
                    }
                }
                let first_open = done.iter().take_while(|is_done| **is_done).count() as u64;
                prop_assert!(lines.acknowledgeable(false) <= first_open);
                if done.iter().all(|is_done| *is_done) {
                    prop_assert_eq!(lines.acknowledgeable(false), done.len() as u64);
                }
            }
        }
    }
}
