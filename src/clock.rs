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
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let started_us = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        Self {
            started: Instant::now(),
            started_us,
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
