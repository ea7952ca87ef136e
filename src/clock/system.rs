//! The machine's clock, as the agents read it: one look at the monotonic clock, and two offsets.
//!
//! [`SystemClock::follow`] is called now and then, off the path, and keeps the offsets true: of the
//! wall clock, when it is set, and of the time that the machine was suspended.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::boot::micros;
use super::{Boot, BootTie, Clock, Now, wall_us};

/// Readings of two clocks that took longer than this, in ns, were interrupted.
const READING_NS_MAX: u64 = 100_000;
/// Readings of which the best one counts.
const READINGS: usize = 5;
/// The wall clock is followed when it is off by this, in us; it drifts with the monotonic one.
const FOLLOWED_US_MIN: u64 = 1_000;
/// Steps and suspends of at least this, in us, are told.
const TOLD_US_MIN: u64 = 1_000_000;

/// The clock; its clones share the offsets.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: Instant,
    steady_us: u64,
    boot: Boot,
    offsets: Arc<Offsets>,
}

/// What is added to the monotonic clock. Each stands for itself, so `Relaxed` is enough.
#[derive(Debug)]
struct Offsets {
    /// Suspended since the clock was made, in us.
    suspended_us: AtomicU64,
    /// The wall clock less the engine's own time, in us.
    wall_us: AtomicI64,
    /// The clock since boot less the monotonic one when the clock was made, in us.
    boot_ahead_us: u64,
}

/// What [`SystemClock::follow`] found, if it is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// The wall clock was set by so many us.
    Step(i64),
    /// The machine was suspended for so many us.
    Suspend(u64),
}

impl SystemClock {
    /// A clock whose own time begins at the wall clock.
    #[must_use]
    pub fn start() -> Self {
        Self::starting_at(wall_us(), Boot::read())
    }

    /// A clock whose own time was `steady_us` when `boot` was read.
    #[must_use]
    pub fn starting_at(steady_us: u64, boot: Boot) -> Self {
        let clock = Self {
            started: Instant::now(),
            steady_us,
            boot,
            offsets: Arc::new(Offsets {
                suspended_us: AtomicU64::new(0),
                wall_us: AtomicI64::new(0),
                boot_ahead_us: boot_ahead_us(),
            }),
        };
        clock.follow();
        clock
    }

    /// Follows the wall clock and the time that the machine was suspended.
    pub fn follow(&self) -> Option<Noticed> {
        let ahead_us = boot_ahead_us().saturating_sub(self.offsets.boot_ahead_us);
        let before_us = self
            .offsets
            .suspended_us
            .fetch_max(ahead_us, Ordering::Relaxed);
        let (now, wall_us) = self.read_both();
        let step_us = self.step_to(now, wall_us);
        let suspended_us = ahead_us.saturating_sub(before_us);
        if step_us.unsigned_abs() >= TOLD_US_MIN {
            return Some(Noticed::Step(step_us));
        }
        (suspended_us >= TOLD_US_MIN).then_some(Noticed::Suspend(suspended_us))
    }

    /// Takes over the wall clock's `wall_us` of the moment `now`; returns how far it was off, in us.
    fn step_to(&self, now: Now, wall_us: u64) -> i64 {
        let step_us = wall_us.wrapping_sub(now.epoch_us).cast_signed();
        if step_us.unsigned_abs() >= FOLLOWED_US_MIN {
            let ahead_us = wall_us.wrapping_sub(now.steady_us).cast_signed();
            self.offsets.wall_us.store(ahead_us, Ordering::Relaxed);
        }
        step_us
    }

    /// Both clocks at the same moment.
    fn read_both(&self) -> (Now, u64) {
        let mut read = (self.now(), wall_us());
        for _ in 0..READINGS {
            if self.now().ns - read.0.ns <= READING_NS_MAX {
                break;
            }
            read = (self.now(), wall_us());
        }
        read
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Now {
        let ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let suspended_us = self.offsets.suspended_us.load(Ordering::Relaxed);
        let wall_us = self.offsets.wall_us.load(Ordering::Relaxed);
        let steady_us = self.steady_us + ns / 1_000 + suspended_us;
        Now {
            ns,
            steady_us,
            epoch_us: steady_us.saturating_add_signed(wall_us),
        }
    }

    fn boot_tie(&self) -> BootTie {
        BootTie::new(self.boot, self.steady_us)
    }
}

/// How far the clock since boot is ahead of the monotonic one: all suspends, in us. What interrupts
/// a reading makes it less, so the most of some is right.
fn boot_ahead_us() -> u64 {
    let read = |_| {
        let boot_us = micros(clock_gettime(ClockId::Boottime));
        boot_us.saturating_sub(micros(clock_gettime(ClockId::Monotonic)))
    };
    (0..READINGS).map(read).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    #[test]
    fn the_clock_s_own_time_goes_on_and_its_wall_time_is_the_system_s() {
        let before_us = wall_us();
        let clock = SystemClock::starting_at(7_000_000, Boot::read());
        let now = clock.now();
        assert!((7_000_000..60_000_000).contains(&now.steady_us), "{now:?}");
        assert!(now.epoch_us.abs_diff(before_us) < 60_000_000, "{now:?}");
        assert!(clock.boot_tie() == clock.clone().boot_tie());
    }

    #[test]
    fn each_step_of_the_wall_clock_is_followed_and_told_once_and_moves_nothing_else() {
        let clock = SystemClock::start();
        let other = clock.clone();
        for step_us in [HOUR_US, -2 * HOUR_US, 5 * HOUR_US] {
            let now = clock.now();
            let wall_us = now.epoch_us.saturating_add_signed(step_us);
            assert_eq!(clock.step_to(now, wall_us), step_us);
            assert_eq!(clock.step_to(now, wall_us), step_us, "of the old reading");
            let later = other.now();
            assert!(later.steady_us.abs_diff(now.steady_us) < HOUR_US as u64);
            assert!(later.epoch_us.abs_diff(wall_us) < 60_000_000);
        }
        let now = clock.now();
        assert_eq!(clock.step_to(now, now.epoch_us + 900), 900);
        assert!(
            clock.now().epoch_us - now.epoch_us < HOUR_US as u64,
            "drift"
        );
        let back = clock.follow().expect("it is wrong");
        assert!(matches!(back, Noticed::Step(it) if it.abs_diff(-4 * HOUR_US) < 60_000_000));
        assert_eq!(clock.follow(), None);
    }
}
