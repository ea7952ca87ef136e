//! Time: monotonic nanoseconds for waits and latencies, tied once to the wall clock.
//!
//! An agent reads the clock once a duty cycle. Wall time is derived from the monotonic clock, so a
//! step of the system's clock neither reorders messages nor ends a wait.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Nanoseconds since the clock was made; never goes back.
    pub ns: u64,
    /// Microseconds since the epoch; never goes back.
    pub epoch_us: u64,
}

impl Now {
    /// Milliseconds since the epoch.
    #[must_use]
    pub fn epoch_ms(&self) -> u64 {
        self.epoch_us / 1_000
    }

    /// The reading `later` after this one.
    #[must_use]
    pub fn after(&self, later: Duration) -> Self {
        let ns = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ns: self.ns.saturating_add(ns),
            epoch_us: self.epoch_us.saturating_add(ns / 1_000),
        }
    }
}

/// Where agents get their time.
pub trait Clock: Clone + Send {
    /// Reads the clock.
    fn now(&self) -> Now;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
    started_us: u64,
}

impl SystemClock {
    /// Ties the monotonic clock to the wall clock as it stands now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            started_us: wall_us(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now {
            ns,
            epoch_us: self.started_us + ns / 1_000,
        }
    }
}

/// Notices when the system's wall clock is set while the engine goes on with its own.
#[derive(Debug, Default)]
pub struct StepWatch {
    /// How far the wall clock is ahead of the engine's, in us, as it is known.
    ahead_us: i64,
}

/// Less than this is no step: clocks drift, and a thread may be interrupted between two readings.
const STEP_US_MIN: u64 = 1_000_000;

impl StepWatch {
    /// Compares a reading with the wall clock's `wall_us` of the same moment, in us since the epoch;
    /// returns by how much the wall clock was set since the last call, in us, if it was.
    pub fn note(&mut self, now: Now, wall_us: u64) -> Option<i64> {
        let ahead_us = wall_us
            .cast_signed()
            .wrapping_sub(now.epoch_us.cast_signed());
        let step_us = ahead_us.wrapping_sub(self.ahead_us);
        let is_step = step_us.unsigned_abs() >= STEP_US_MIN;
        is_step.then(|| {
            self.ahead_us = ahead_us;
            step_us
        })
    }
}

/// The wall clock, in us since the epoch.
#[must_use]
pub fn wall_us() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

/// The local minute of the day, worked out once a minute.
#[derive(Debug, Default)]
pub struct LocalMinute {
    /// The minute since the epoch for which `of_day` holds.
    epoch_minute: u64,
    of_day: u16,
}

impl LocalMinute {
    /// Minutes since local midnight, 0 to 1,439.
    pub fn of_day(&mut self, now: Now) -> u16 {
        let epoch_minute = now.epoch_us / 60_000_000;
        if epoch_minute != self.epoch_minute {
            self.epoch_minute = epoch_minute;
            self.of_day = local_minute(now.epoch_us);
        }
        self.of_day
    }
}

fn local_minute(epoch_us: u64) -> u16 {
    let epoch_us = i64::try_from(epoch_us).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_microsecond(epoch_us).unwrap_or(jiff::Timestamp::MAX);
    let local = timestamp.to_zoned(jiff::tz::TimeZone::system());
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    u16::try_from(minute).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn at(seconds: u64) -> Now {
        Now {
            ns: seconds * 1_000_000_000,
            epoch_us: 1_700_000_000_000_000 + seconds * 1_000_000,
        }
    }

    fn wall(now: Now, ahead_us: i64) -> u64 {
        now.epoch_us.saturating_add_signed(ahead_us)
    }

    #[test]
    fn each_step_of_the_wall_clock_is_noticed_once() {
        let mut watch = StepWatch::default();
        assert_eq!(watch.note(at(0), wall(at(0), 900_000)), None, "drift");
        assert_eq!(watch.note(at(1), wall(at(1), HOUR_US)), Some(HOUR_US));
        assert_eq!(watch.note(at(2), wall(at(2), HOUR_US + 5_000)), None);
        assert_eq!(watch.note(at(3), wall(at(3), 0)), Some(-HOUR_US));
        assert_eq!(watch.note(at(4), 0), Some(-at(4).epoch_us.cast_signed()));
        assert!(watch.note(at(5), u64::MAX).is_some(), "no clock panics it");
    }

    #[test]
    fn the_engine_s_clock_starts_at_the_wall_clock() {
        let clock = SystemClock::start();
        assert_eq!(StepWatch::default().note(clock.now(), wall_us()), None);
    }
}
