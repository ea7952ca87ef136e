//! How much of the time the duplicates of a connection may take: its own budget, and one of all
//! connections together.
//!
//! The scheduler finds duplicates, some turns after they were read. A connection that has spent half of its
//! budget gets turns of as many lines as there is time for. Once its budget is spent it *repeats*: it is
//! read no further until both budgets are refilled, and it stays within both, until it has had no duplicate
//! for [`REPEATING_NS`] in which it was read. Who does not repeat does not wait for the others. What a line
//! costs depends on the path by which it was parsed. Values only.

use super::budget::Budget;
use super::pace::Share;
use super::parser::PathCounts;
use crate::limits::{DUPLICATE_FULL_NS, DUPLICATE_NS, DUPLICATES_BURST_NS, REPEATING_NS};

/// See the module.
#[derive(Debug)]
pub(super) struct Duplicates {
    budget: Budget,
    /// What one costs, in ns, as the lines of the last turn were parsed.
    line_ns: u64,
    /// It repeats until then, in ns, unless it has further duplicates.
    repeats_until_ns: u64,
    /// It has had some since it last began to wait.
    was_charged: bool,
}

impl Duplicates {
    /// Of a connection that has had none.
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            budget: Budget::for_duplicates(now_ns),
            line_ns: DUPLICATE_NS,
            repeats_until_ns: 0,
            was_charged: false,
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
        self.was_charged = true;
        if self.repeats(now_ns) {
            self.repeats_until_ns = now_ns.saturating_add(REPEATING_NS);
        }
    }

    /// What the next turn may take; `None`: as much as any.
    ///
    /// # Errors
    /// Nothing before this time, in ns.
    #[inline]
    pub(super) fn share(&mut self, shared: Budget, now_ns: u64) -> Result<Option<Share>, u64> {
        let own_ns = self.budget.left_ns(now_ns);
        let repeats = self.repeats(now_ns);
        if !repeats && own_ns.is_none_or(|own_ns| own_ns >= DUPLICATES_BURST_NS / 2) {
            return Ok(None);
        }
        self.bounded(
            own_ns.unwrap_or(DUPLICATES_BURST_NS),
            repeats,
            shared,
            now_ns,
        )
    }

    #[cold]
    fn bounded(
        &mut self,
        own_ns: u64,
        repeats: bool,
        mut shared: Budget,
        now_ns: u64,
    ) -> Result<Option<Share>, u64> {
        let left_ns = if repeats {
            own_ns.min(shared.left_ns(now_ns).unwrap_or(own_ns))
        } else {
            own_ns
        };
        if left_ns >= self.line_ns {
            return Ok(Some(Share {
                lines: (left_ns / self.line_ns) as usize,
                bytes: usize::MAX,
            }));
        }
        let own_ns = self.budget.refilled_at_ns(now_ns);
        let until_ns = own_ns.max(shared.refilled_at_ns(now_ns));
        // Who has had none since then waits for the others' duplicates, and does not begin anew.
        if std::mem::take(&mut self.was_charged) {
            self.repeats_until_ns = until_ns.saturating_add(REPEATING_NS);
        }
        Err(until_ns)
    }

    fn repeats(&self, now_ns: u64) -> bool {
        now_ns < self.repeats_until_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DUPLICATES_SHARE;

    const SECOND: u64 = 1_000_000_000;
    const FAST: PathCounts = PathCounts { fast: 9, full: 0 };
    const FULL: PathCounts = PathCounts { fast: 0, full: 9 };
    /// Lines of a turn that nothing bounds.
    const TURN: usize = 650;

    /// Connections that are read one after the other, and send one message again and again.
    struct Readers {
        connections: Vec<Duplicates>,
        shared: Budget,
        until_ns: Vec<u64>,
        now_ns: u64,
        /// What the duplicates took of each, in ns.
        taken_ns: Vec<u64>,
    }

    impl Readers {
        fn new(count: usize, paths: PathCounts) -> Self {
            let connection = || {
                let mut it = Duplicates::new(0);
                it.note_paths(paths);
                it
            };
            Self {
                connections: (0..count).map(|_| connection()).collect(),
                shared: Budget::for_duplicates(0),
                until_ns: vec![0; count],
                now_ns: 0,
                taken_ns: vec![0; count],
            }
        }

        /// A turn of each that does not wait, each as long as its lines take; the scheduler tells of them
        /// behind it.
        fn cycle(&mut self) {
            self.now_ns += 2_000;
            let mut found = Vec::new();
            for (index, it) in self.connections.iter_mut().enumerate() {
                if self.now_ns < self.until_ns[index] {
                    continue;
                }
                match it.share(self.shared, self.now_ns) {
                    Ok(share) => {
                        let lines = share.map_or(TURN, |it| it.lines.min(TURN));
                        let taken_ns = lines as u64 * it.line_ns;
                        self.taken_ns[index] += taken_ns;
                        self.now_ns += taken_ns;
                        found.push((index, lines as u32));
                    }
                    Err(until_ns) => {
                        assert!(until_ns > self.now_ns, "or it would never go on");
                        self.until_ns[index] = until_ns;
                    }
                }
            }
            for (index, count) in found {
                self.connections[index].charge(count, &mut self.shared, self.now_ns);
            }
        }
    }

    #[test]
    fn they_get_their_share_of_the_time_by_whichever_path_and_however_many_send_them() {
        for count in [1, 2, 3, 4, 16, 100] {
            for paths in [FAST, FULL, PathCounts { fast: 1, full: 2 }] {
                let mut readers = Readers::new(count, paths);
                while readers.now_ns < SECOND {
                    readers.cycle();
                }
                let spent_ns: u64 = readers.taken_ns.iter().sum();
                let share_ns = SECOND / DUPLICATES_SHARE;
                // Each has its first turn.
                let slack_ns = (count * TURN) as u64 * DUPLICATE_FULL_NS + 2 * DUPLICATES_BURST_NS;
                assert!(
                    (share_ns * 9 / 10..share_ns + slack_ns).contains(&spent_ns),
                    "{count} connections: {spent_ns} ns"
                );
                let least_ns = readers.taken_ns.iter().min().expect("there are some");
                let most_ns = readers.taken_ns.iter().max().expect("there are some");
                assert!(least_ns * 3 > *most_ns, "{:?}", readers.taken_ns);
            }
        }
    }

    #[test]
    fn turns_are_as_long_as_there_is_time_for_and_who_has_none_waits() {
        let (mut own, mut shared) = (Duplicates::new(7), Budget::for_duplicates(7));
        own.note_paths(FULL);
        own.note_paths(PathCounts::default());
        assert_eq!(own.share(shared, 7), Ok(None), "it has had none");
        own.charge(10, &mut shared, 7);
        assert_eq!(own.share(shared, 7), Ok(None), "it has had few");
        let most = (DUPLICATES_BURST_NS / DUPLICATE_FULL_NS) as usize;
        own.charge(most as u32 - 15, &mut shared, 7);
        let (lines, bytes) = (5, usize::MAX);
        assert_eq!(own.share(shared, 7), Ok(Some(Share { lines, bytes })));
        own.charge(u32::MAX, &mut shared, 7);
        let until_ns = own.share(shared, 7).expect_err("it is spent");
        assert_eq!(own.share(shared, 8), Err(until_ns));
        assert!(own.share(shared, until_ns).is_ok_and(|it| it.is_some()));
        assert_eq!(own.share(shared, u64::MAX), Ok(None), "all is back");
    }

    #[test]
    fn one_now_and_then_does_not_wait_for_the_others() {
        let (mut own, mut shared) = (Duplicates::new(0), Budget::for_duplicates(0));
        Duplicates::new(0).charge(u32::MAX, &mut shared, 0);
        for ms in 0..1_000 {
            own.charge(20, &mut shared, ms * 1_000_000);
            assert_eq!(own.share(shared, ms * 1_000_000), Ok(None));
        }
    }

    #[test]
    fn who_repeats_no_more_is_soon_free_of_those_who_do() {
        let mut readers = Readers::new(9, FAST);
        while readers.now_ns < SECOND / 10 {
            readers.cycle();
        }
        let mut reformed = readers.connections.pop().expect("there are nine");
        let mut until_ns = readers.until_ns.pop().expect("there are nine");
        let mut free_ns = readers.now_ns;
        while readers.now_ns < SECOND / 5 {
            readers.cycle();
            if readers.now_ns >= until_ns {
                match reformed.share(readers.shared, readers.now_ns) {
                    Ok(None) => {}
                    Ok(Some(_)) => free_ns = readers.now_ns,
                    Err(until) => (until_ns, free_ns) = (until, until),
                }
            }
        }
        let after_ns = free_ns - SECOND / 10;
        assert!(after_ns < 5 * REPEATING_NS, "{after_ns} ns");
    }
}
