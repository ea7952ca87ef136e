//! The one clock of all processes: CLOCK_MONOTONIC, which every process of a machine reads alike.
//!
//! Sources plan and sleep by it, the sink stamps arrivals with it; their difference is a latency.

use std::num::NonZeroU64;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};

const SECOND_NS: u64 = 1_000_000_000;
/// How late the kernel may wake a source on purpose: not at all. Unless told otherwise it takes
/// 50 us, which would be half of what is measured at 10,000 msg/s.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// ns since some moment before this process, the same for all processes of the machine.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).expect("this clock starts at zero");
    part(now.tv_sec) * SECOND_NS + part(now.tv_nsec)
}

/// ms since the epoch, for the timestamps of frames.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

/// Asks for wake-ups on time, for this thread. A kernel that refuses wakes it late: the latency of
/// both sides then contains that.
pub(crate) fn sleep_sharply() {
    let _ = rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS));
}

/// Sleeps until then; at once back when that is past.
pub(crate) fn sleep_until(due_ns: u64) {
    let part = |value: u64| i64::try_from(value).expect("the machine is younger than 292 years");
    let request = Timespec {
        tv_sec: part(due_ns / SECOND_NS),
        tv_nsec: part(due_ns % SECOND_NS),
    };
    while now_ns() < due_ns {
        // Interrupted: the loop looks at the clock again.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &request);
    }
}
