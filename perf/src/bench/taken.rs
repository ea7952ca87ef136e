//! Waiting until the engine has taken what its sources sent, though nobody takes it from the engine.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::PerfError;
use crate::progress::say;
use crate::testbed::Running;

const LOOK: Duration = Duration::from_millis(100);
/// Without one more message for so long it has stopped reading.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two lines on the screen.
const TELL: Duration = Duration::from_secs(10);

/// Waits until the engine's journal has so many; returns how many it has: fewer where the engine
/// stopped reading, as it does at its bound.
pub(super) fn wait_until_taken(engine: &Running, messages: u64) -> Result<u64, PerfError> {
    let (mut last, mut since, mut told) = (0, Instant::now(), Instant::now());
    loop {
        let recorded = engine.counter("journal_recorded")?;
        if recorded >= messages {
            return Ok(recorded);
        }
        if recorded > last {
            (last, since) = (recorded, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Ok(recorded);
        }
        if told.elapsed() > TELL {
            say(&format!("  {recorded} of {messages} taken"));
            told = Instant::now();
        }
        thread::sleep(LOOK);
    }
}
