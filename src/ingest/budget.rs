//! A budget of time for wrong lines: a token bucket. Each line takes some, and time refills it at a
//! fixed rate.
//!
//! A connection has one, and all connections together have one. A connection whose own budget is
//! spent is read no further until both are refilled; one that has a wrong line now and then never
//! spends its own, and does not wait for the others. Values only; a turn asks after each wrong
//! line.

use crate::limits::{REJECTED_BURST_NS, REJECTED_BYTE_NS, REJECTED_LINE_NS, REJECTED_SHARE};

/// Time that is saved up; below zero: spent in advance, by one line at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    left_ns: i64,
    at_ns: u64,
}

impl Budget {
    /// A full one.
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            left_ns: REJECTED_BURST_NS as i64,
            at_ns: now_ns,
        }
    }

    /// A wrong line of `len` bytes takes its time.
    pub(super) fn charge(&mut self, len: usize, now_ns: u64) {
        self.refill(now_ns);
        let cost_ns = REJECTED_LINE_NS + REJECTED_BYTE_NS * len as u64;
        self.left_ns -= cost_ns as i64;
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.left_ns < 0
    }

    /// Whether so much is there that going on is worth a turn.
    pub(super) fn is_refilled(&mut self, now_ns: u64) -> bool {
        self.refill(now_ns);
        self.left_ns >= REJECTED_BURST_NS as i64 / 4
    }

    fn refill(&mut self, now_ns: u64) {
        let refill_ns = now_ns.saturating_sub(self.at_ns) / REJECTED_SHARE;
        let sum_ns = self
            .left_ns
            .saturating_add(i64::try_from(refill_ns).unwrap_or(i64::MAX));
        self.left_ns = sum_ns.min(REJECTED_BURST_NS as i64);
        // What the division left over counts the next time.
        self.at_ns += refill_ns * REJECTED_SHARE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many lines of this length get through in a second, looked at every `step_ns`.
    fn lines_a_second(len: usize, step_ns: u64) -> u64 {
        let mut budget = Budget::new(0);
        let mut lines = 0;
        for now_ns in (0..1_000_000_000).step_by(step_ns as usize) {
            if budget.is_refilled(now_ns) {
                while !budget.is_spent() {
                    budget.charge(len, now_ns);
                    lines += 1;
                }
            }
        }
        lines
    }

    #[test]
    fn wrong_lines_get_their_budget_of_time_and_no_more() {
        for (len, step_ns) in [(1, 1_000), (1, 999_999), (400, 50_000), (65_536, 10_000)] {
            let cost_ns = REJECTED_LINE_NS + REJECTED_BYTE_NS * len as u64;
            let spent_ns = lines_a_second(len, step_ns) * cost_ns;
            let budget_ns = 1_000_000_000 / REJECTED_SHARE;
            assert!(
                (budget_ns * 9 / 10..budget_ns + REJECTED_BURST_NS + cost_ns).contains(&spent_ns),
                "{len} bytes every {step_ns} ns: {spent_ns} ns"
            );
        }
    }

    #[test]
    fn one_wrong_line_now_and_then_never_spends_it() {
        let mut budget = Budget::new(0);
        for number in 0..1_000 {
            budget.charge(400, number * 1_000_000);
            assert!(!budget.is_spent());
        }
    }

    #[test]
    fn a_line_in_advance_is_paid_back_and_a_clock_that_stands_gives_nothing() {
        let mut budget = Budget::new(7);
        while !budget.is_spent() {
            budget.charge(65_536, 7);
        }
        assert!(!budget.is_refilled(7) && !budget.is_refilled(0));
        assert!(budget.is_refilled(u64::MAX) && !budget.is_spent());
    }
}
