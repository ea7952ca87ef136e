//! How much of the time the duplicates of a connection may take: its own budget, and one of all
//! connections together.
//!
//! The scheduler finds duplicates, some turns after they were read. A connection that had some gets turns
//! of as many lines as its own budget has time for; once that is spent it is read no further until both
//! are refilled. What a line costs depends on the path by which it was parsed. Values only.

use super::budget::Budget;
use super::pace::Share;
use super::parser::PathCounts;
use crate::limits::{DUPLICATE_FULL_NS, DUPLICATE_NS};

/// See the module.
#[derive(Debug)]
pub(super) struct Duplicates {
    budget: Budget,
    /// What one costs, in ns, as the lines of the last turn were parsed.
    line_ns: u64,
}

impl Duplicates {
    /// Of a connection that has had none.
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            budget: Budget::for_duplicates(now_ns),
            line_ns: DUPLICATE_NS,
        }
    }

    /// The lines of a turn were parsed by these paths.
    #[inline]
    pub(super) fn note_paths(&mut self, PathCounts { fast, full }: PathCounts) {
        let sum_ns = fast * DUPLICATE_NS + full * DUPLICATE_FULL_NS;
        self.line_ns = sum_ns.checked_div(fast + full).unwrap_or(self.line_ns);
    }

    /// So many were found.
    pub(super) fn charge(&mut self, count: u32, shared: &mut Budget, now_ns: u64) {
        let cost_ns = self.line_ns * u64::from(count);
        self.budget.charge(cost_ns, now_ns);
        shared.charge(cost_ns, now_ns);
    }

    /// What the next turn may take; `None`: as much as any.
    ///
    /// # Errors
    /// Nothing before this time, in ns.
    #[inline]
    pub(super) fn share(&mut self, mut shared: Budget, now_ns: u64) -> Result<Option<Share>, u64> {
        // First of all: once it is spent it stays so until it is refilled.
        if self.budget.is_spent() && !self.budget.is_refilled(now_ns) {
            let own_ns = self.budget.refilled_at_ns(now_ns);
            return Err(own_ns.max(shared.refilled_at_ns(now_ns)));
        }
        Ok(self.budget.left_ns(now_ns).map(|left_ns| Share {
            lines: (left_ns / self.line_ns).max(1) as usize,
            bytes: usize::MAX,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DUPLICATES_BURST_NS, DUPLICATES_SHARE};

    const SECOND: u64 = 1_000_000_000;
    const FAST: PathCounts = PathCounts { fast: 9, full: 0 };
    const FULL: PathCounts = PathCounts { fast: 0, full: 9 };

    /// How many get through in a second where nothing else comes, in turns of 500 lines at most.
    fn in_a_second(paths: PathCounts) -> u64 {
        let (mut own, mut shared) = (Duplicates::new(0), Budget::for_duplicates(0));
        own.note_paths(paths);
        let (mut now_ns, mut count, mut longest) = (0, 0, 0);
        while now_ns < SECOND {
            match own.share(shared, now_ns) {
                Ok(share) => {
                    let lines = share.map_or(500, |it| it.lines.min(500));
                    longest = longest.max(if count > 0 { lines } else { 0 });
                    own.charge(lines as u32, &mut shared, now_ns);
                    count += lines as u64;
                }
                Err(until_ns) => {
                    assert!(until_ns > now_ns, "or it would never go on");
                    now_ns = until_ns;
                }
            }
        }
        assert!(longest as u64 * own.line_ns <= DUPLICATES_BURST_NS);
        count * own.line_ns
    }

    #[test]
    fn they_get_their_share_of_the_time_by_whichever_path() {
        for paths in [FAST, FULL, PathCounts { fast: 1, full: 2 }] {
            let spent_ns = in_a_second(paths);
            let share_ns = SECOND / DUPLICATES_SHARE;
            let slack_ns = 2 * DUPLICATES_BURST_NS + 500 * DUPLICATE_FULL_NS;
            assert!(
                (share_ns..share_ns + slack_ns).contains(&spent_ns),
                "{spent_ns} ns"
            );
        }
    }

    #[test]
    fn turns_are_as_long_as_there_is_time_for_and_who_has_none_waits() {
        let (mut own, mut shared) = (Duplicates::new(7), Budget::for_duplicates(7));
        own.note_paths(FULL);
        own.note_paths(PathCounts::default());
        assert_eq!(own.share(shared, 7), Ok(None), "it has had none");
        own.charge(10, &mut shared, 7);
        let lines = (DUPLICATES_BURST_NS / DUPLICATE_FULL_NS) as usize - 10;
        let bytes = usize::MAX;
        assert_eq!(own.share(shared, 7), Ok(Some(Share { lines, bytes })));
        own.charge(u32::MAX, &mut shared, 7);
        let until_ns = own.share(shared, 7).expect_err("it is spent");
        assert_eq!(own.share(shared, until_ns - 1), Err(until_ns));
        assert!(own.share(shared, until_ns).is_ok_and(|it| it.is_some()));
        assert_eq!(own.share(shared, u64::MAX), Ok(None), "all is back");
    }

    #[test]
    fn one_now_and_then_does_not_wait_for_the_others() {
        let (mut own, mut shared) = (Duplicates::new(0), Budget::for_duplicates(0));
        Duplicates::new(0).charge(u32::MAX, &mut shared, 0);
        for ms in 0..1_000 {
            own.charge(20, &mut shared, ms * 1_000_000);
            assert!(own.share(shared, ms * 1_000_000).is_ok());
        }
    }
}
