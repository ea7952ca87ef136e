//! A program beside an engine without a store: it only writes to the disk and syncs, as much and as
//! often as the embedded store does. What delivery notices of that, the machine's disk costs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;

use crate::error::{Context, PerfError};

/// Between two syncs: the store's `batch_time`.
const PERIOD: Duration = Duration::from_millis(100);
/// Where the file is written from the beginning again.
const FILE_LEN: u64 = 64 << 20;
/// The priority that the store's thread has.
const NICE_MAX: i32 = 19;

/// Bytes a period of so many a second; none of a difference that is noise.
pub(super) fn bytes(a_second: f64) -> usize {
    (a_second.max(0.0) * PERIOD.as_secs_f64()) as usize
}

/// Writes `bytes` a period to a file of `folder`, and syncs each time, until it is over.
pub(super) fn write_and_sync(
    folder: &Path,
    bytes: usize,
    is_over: &AtomicBool,
) -> Result<(), PerfError> {
    // Refused, it is as good a thread as any.
    let _ = setpriority_process(None, NICE_MAX);
    let path = folder.join("bystander");
    let doing = || format!("writing {}", path.display());
    let file = File::create(&path).context(doing())?;
    let block = vec![b'x'; bytes];
    let (mut place, mut due) = (0, Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        file.write_all_at(&block, place).context(doing())?;
        file.sync_all().context(doing())?;
        place = (place + bytes as u64) % FILE_LEN;
        due += PERIOD;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
