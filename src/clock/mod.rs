//! Time: monotonic nanoseconds for latencies and time-outs, the engine's own time, which no step of
//! the system's clock moves, and the wall clock for what is told to people.
//!
//! An agent reads the clock once a duty cycle. The engine's own time decides what is forgotten and
//! what has waited long: the dedup window, ageing, buckets, retention. It goes on across restarts:
//! see [`boot`].
//!
//! ```text
//! ns         0 ------------------------->   monotonic, without suspend; from 0 in each life
//! steady_us  .... last life | next life ->  the same with suspend, and never back
//! epoch_us   ------| set |--------------->  the wall clock, which may be set either way
//! ```

pub mod boot;
mod local;
mod system;
#[cfg(test)]
pub(crate) mod testing;
mod walls;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

pub use boot::{Boot, BootTie};
pub use local::{LocalMinute, zone};
pub use system::{Noticed, SystemClock};
pub use walls::Walls;

/// One reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Nanoseconds since the clock was made; never goes back.
    pub ns: u64,
    /// The engine's own time in microseconds; never goes back, and has no origin that means
    /// anything.
    pub steady_us: u64,
    /// The wall clock: microseconds since the epoch; goes back when the clock is set back.
    pub epoch_us: u64,
}

impl Now {
    /// Milliseconds since the epoch.
    #[must_use]
    pub fn epoch_ms(&self) -> u64 {
        self.epoch_us / 1_000
    }

    /// The engine's own time in milliseconds.
    #[must_use]
    pub fn steady_ms(&self) -> u64 {
        self.steady_us / 1_000
    }

    /// The engine's own time of a moment of the wall clock, both in ms, as the clocks stand now.
    #[must_use]
    pub fn steady_ms_of(&self, epoch_ms: u64) -> u64 {
        let ahead_us = self.steady_us.wrapping_sub(self.epoch_us).cast_signed();
        epoch_ms.saturating_add_signed(ahead_us.div_euclid(1_000))
    }

    /// The reading `later` after this one.
    #[must_use]
    pub fn after(&self, later: Duration) -> Self {
        let ns = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ns: self.ns.saturating_add(ns),
            steady_us: self.steady_us.saturating_add(ns / 1_000),
            epoch_us: self.epoch_us.saturating_add(ns / 1_000),
        }
    }
}

/// Where agents get their time.
pub trait Clock: Clone + Send {
    /// Reads the clock.
    fn now(&self) -> Now;

    /// What ties the engine's own time to the machine's; for the journal.
    fn boot_tie(&self) -> BootTie {
        BootTie::default()
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

/// A time of the wall clock as people read it: UTC, to the second.
pub(crate) fn utc(epoch_us: u64) -> String {
    let time = i64::try_from(epoch_us).map(Timestamp::from_microsecond);
    let time = time.map_or(Timestamp::MAX, |it| it.unwrap_or(Timestamp::MAX));
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_to_the_second() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_700_000_000_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(utc(u64::MAX), "9999-12-30T22:00:00Z", "the last one");
    }
}
