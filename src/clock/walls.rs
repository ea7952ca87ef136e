//! The wall clock's steps in this life: which of the engine's own times a wall time was.
//!
//! Records keep the wall time of their arrival. When a message is read again from the journal, how
//! long it waited is asked here. Remembers the last [`STEPS`] steps; a message from before them
//! counts as one of the oldest.

use std::collections::VecDeque;

use super::Now;

/// Steps that are remembered: some bytes each, and more than a clock is set in a day.
const STEPS: usize = 16;

/// Less than this is no step, in us: the clock follows the wall clock in such steps.
const STEP_US_MIN: u64 = 1_000;

/// How far the wall clock was ahead of the engine's own time, from when on.
#[derive(Debug, Clone, Copy)]
struct Offset {
    from_us: u64,
    ahead_us: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Walls(VecDeque<Offset>);

impl Walls {
    /// Takes note of a reading; costs a comparison where the clock was not set.
    #[inline]
    pub fn note(&mut self, now: Now) {
        let ahead_us = now.epoch_us.wrapping_sub(now.steady_us).cast_signed();
        let is_known = self
            .0
            .back()
            .is_some_and(|it| it.ahead_us.abs_diff(ahead_us) < STEP_US_MIN);
        if !is_known {
            self.add(now.steady_us, ahead_us);
        }
    }

    #[cold]
    fn add(&mut self, from_us: u64, ahead_us: i64) {
        if self.0.len() == STEPS
            && let Some(first) = self.0.pop_front()
            && let Some(second) = self.0.front_mut()
        {
            second.from_us = first.from_us;
        }
        self.0.push_back(Offset { from_us, ahead_us });
    }

    /// The engine's own time of a wall time of this life that has passed `now`, the latest that it may
    /// have been; `None`: it was before this life.
    #[must_use]
    pub fn steady_us(&self, wall_us: u64, now: Now) -> Option<u64> {
        let mut end_us = now.steady_us + STEP_US_MIN;
        for offset in self.0.iter().rev() {
            let steady_us = wall_us.checked_add_signed(offset.ahead_us.checked_neg()?);
            if steady_us.is_some_and(|it| (offset.from_us..end_us).contains(&it)) {
                return steady_us;
            }
            end_us = offset.from_us;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: u64 = 3_600_000_000;

    fn now(steady_us: u64, epoch_us: u64) -> Now {
        Now {
            ns: 0,
            steady_us,
            epoch_us,
        }
    }

    #[test]
    fn a_wall_time_is_found_across_steps_both_ways() {
        let mut walls = Walls::default();
        walls.note(now(1_000, 100 * HOUR_US));
        walls.note(now(2_000_000, 100 * HOUR_US + 1_999_500));
        walls.note(now(5_000_000, 103 * HOUR_US));
        walls.note(now(9_000_000, 50 * HOUR_US));
        let last = now(10_000_000, 50 * HOUR_US + 1_000_000);
        let of = |wall_us| walls.steady_us(wall_us, last);
        assert_eq!(of(100 * HOUR_US + 1_000_000), Some(1_001_000));
        assert_eq!(of(103 * HOUR_US + 1_000_000), Some(6_000_000));
        assert_eq!(of(50 * HOUR_US + 7), Some(9_000_007));
        assert_eq!(of(99 * HOUR_US), None, "an earlier life's");
        assert_eq!(of(51 * HOUR_US), None);
        assert_eq!((of(0), of(u64::MAX)), (None, None));
    }

    #[test]
    fn a_clock_that_is_set_all_the_time_costs_no_memory() {
        let mut walls = Walls::default();
        for step in 0..1_000 {
            walls.note(now(step * 10, step * HOUR_US));
        }
        assert_eq!(walls.0.len(), STEPS);
        let last = now(9_999, 999 * HOUR_US + 9);
        assert_eq!(walls.steady_us(999 * HOUR_US + 3, last), Some(9_993));
    }
}
