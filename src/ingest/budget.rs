//! A budget of time for wrong lines, and one for duplicates: a token bucket. Each line takes some, and
//! time refills it at a fixed rate.
//!
//! A connection has one of each, and all connections together have one of each. A connection whose own
//! budget is spent is read no further until both are refilled; one that has a wrong line, or a
//! duplicate, now and then never spends its own, and does not wait for the others. Values only; a
//! turn asks after each wrong line, and [`super::duplicates`] before it begins.

use crate::limits::{
    DUPLICATES_BURST_NS, DUPLICATES_SHARE, REJECTED_BURST_NS, REJECTED_BYTE_NS, REJECTED_LINE_NS,
    REJECTED_SHARE,
};

/// Time that is saved up; below zero: spent in advance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    left_ns: i64,
    at_ns: u64,
    /// What is saved up at most.
    burst_ns: u64,
    /// One part in so many of the time.
    share: u64,
}

impl Budget {
    /// A full one for wrong lines.
    pub(super) fn for_wrong_lines(now_ns: u64) -> Self {
        Self::new(REJECTED_BURST_NS, REJECTED_SHARE, now_ns)
    }

    /// A full one for duplicates.
    pub(super) fn for_duplicates(now_ns: u64) -> Self {
        Self::new(DUPLICATES_BURST_NS, DUPLICATES_SHARE, now_ns)
    }

    fn new(burst_ns: u64, share: u64, now_ns: u64) -> Self {
        Self {
            left_ns: burst_ns as i64,
            at_ns: now_ns,
            burst_ns,
            share,
        }
    }

    /// A wrong line of `len` bytes takes its time.
    pub(super) fn charge_line(&mut self, len: usize, now_ns: u64) {
        self.charge(REJECTED_LINE_NS + REJECTED_BYTE_NS * len as u64, now_ns);
    }

    /// Something takes its time.
    pub(super) fn charge(&mut self, cost_ns: u64, now_ns: u64) {
        self.refill(now_ns);
        self.left_ns -= cost_ns as i64;
    }

    /// What is left where some was taken and is not back; `None`: it is full.
    pub(super) fn left_ns(&mut self, now_ns: u64) -> Option<u64> {
        let burst_ns = self.burst_ns as i64;
        if self.left_ns < burst_ns {
            self.refill(now_ns);
        }
        (self.left_ns < burst_ns).then_some(self.left_ns.max(0) as u64)
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.left_ns < 0
    }

    /// Whether so much is there that going on is worth a turn.
    pub(super) fn is_refilled(&mut self, now_ns: u64) -> bool {
        self.refill(now_ns);
        self.left_ns >= self.worth_ns()
    }

    /// From when on that is so, in ns.
    pub(super) fn refilled_at_ns(&mut self, now_ns: u64) -> u64 {
        self.refill(now_ns);
        let missing_ns = (self.worth_ns() - self.left_ns).max(0) as u64;
        self.at_ns
            .saturating_add(missing_ns.saturating_mul(self.share))
    }

    fn worth_ns(&self) -> i64 {
        self.burst_ns as i64 / 4
    }

    fn refill(&mut self, now_ns: u64) {
        let refill_ns = now_ns.saturating_sub(self.at_ns) / self.share;
        let sum_ns = self
            .left_ns
            .saturating_add(i64::try_from(refill_ns).unwrap_or(i64::MAX));
        self.left_ns = sum_ns.min(self.burst_ns as i64);
        // What the division left over counts the next time.
        self.at_ns += refill_ns * self.share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many lines of this length get through in a second, looked at every `step_ns`.
    fn lines_a_second(len: usize, step_ns: u64) -> u64 {
        let mut budget = Budget::for_wrong_lines(0);
        let mut lines = 0;
        for now_ns in (0..1_000_000_000).step_by(step_ns as usize) {
            if budget.is_refilled(now_ns) {
                while !budget.is_spent() {
                    budget.charge_line(len, now_ns);
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
        let mut budget = Budget::for_wrong_lines(0);
        for number in 0..1_000 {
            budget.charge_line(400, number * 1_000_000);
            assert!(!budget.is_spent());
        }
    }

    #[test]
    fn a_line_in_advance_is_paid_back_and_a_clock_that_stands_gives_nothing() {
        let mut budget = Budget::for_wrong_lines(7);
        while !budget.is_spent() {
            budget.charge_line(65_536, 7);
        }
        assert!(!budget.is_refilled(7) && !budget.is_refilled(0));
        assert!(budget.is_refilled(u64::MAX) && !budget.is_spent());
    }
}
