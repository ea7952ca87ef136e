//! Waiting until a counter of the engine has come so far.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::PerfError;
use crate::progress::say;
use crate::testbed::Running;

/// Between two looks where the time does not count: each takes the engine a millisecond.
const LOOK: Duration = Duration::from_millis(100);
/// Without one more message for so long the engine has stopped reading.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two lines on the screen.
const TELL: Duration = Duration::from_secs(10);

/// Waits until the engine's journal has so many messages, though nobody takes them from it; returns how many it has: fewer
/// where the engine stopped reading, as it does at its bound.
pub(super) fn wait_until_taken(engine: &Running, messages: u64) -> Result<u64, PerfError> {
    wait_for(engine, "journal_recorded", messages, (LOOK, PATIENCE))
}

/// Waits until a counter has come so far, and looks each `look`; returns how far it is: less where it has stood still
/// for `patience`.
pub(super) fn wait_for(
    engine: &Running,
    name: &str,
    count: u64,
    (look, patience): (Duration, Duration),
) -> Result<u64, PerfError> {
    let (mut last, mut since, mut told) = (0, Instant::now(), Instant::now());
    loop {
        let found = engine.counter(name)?;
        if found > last {
            (last, since) = (found, Instant::now());
        }
        if found >= count || since.elapsed() > patience {
            return Ok(found);
        }
        if told.elapsed() > TELL {
            say(&format!("  {found} of {count} {name}"));
            told = Instant::now();
        }
        thread::sleep(look);
    }
}
