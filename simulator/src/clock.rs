//! The time: ns since the epoch that never goes back.
//!
//! Read by `server` once a turn; everything below takes the value.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock at the start, and monotonic time since: a wall clock that is set while the
/// simulator runs moves no schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_ns: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            started: Instant::now(),
            started_ns: as_ns(since_epoch),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.started_ns + as_ns(self.started.elapsed())
    }
}

fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("ns fit 64 bits until the year 2554")
}
