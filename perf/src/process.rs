//! What the kernel knows of a process: its memory, its processor time, its wake-ups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use procfs::ProcError;
use procfs::process::Process;
use serde::Serialize;

use crate::error::PerfError;

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// Resident memory now, in KiB.
    pub(crate) resident_kib: u64,
    /// ... and at most since its start.
    pub(crate) resident_max_kib: u64,
    /// Processor time of all its threads, in seconds.
    pub(crate) cpu_seconds: f64,
    /// The kernel's part of it.
    pub(crate) system_seconds: f64,
    /// Bytes that it had the system write to disks.
    pub(crate) written_bytes: u64,
    /// How often its threads gave up their core to wait.
    pub(crate) waits: u64,
}

impl Usage {
    /// What was used between two looks; memory is that of the second.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            system_seconds: self.system_seconds - before.system_seconds,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            waits: self.waits.saturating_sub(before.waits),
            ..self
        }
    }
}

/// Looks at a process's memory again and again until it is asked for what it saw.
#[derive(Debug)]
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    looker: JoinHandle<Vec<(f64, u64)>>,
}

const LOOK: Duration = Duration::from_millis(100);

impl Watch {
    pub(crate) fn begin(pid: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let begun = Instant::now();
        let look = move || {
            let mut looks = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                // Gone: its end is noticed elsewhere.
                let Ok(usage) = usage(pid) else { break };
                looks.push((begun.elapsed().as_secs_f64(), usage.resident_kib));
                thread::sleep(LOOK);
            }
            looks
        };
        Self {
            is_over,
            looker: thread::spawn(look),
        }
    }

    /// Seconds since it began, and KiB resident then.
    pub(crate) fn end(self) -> Vec<(f64, u64)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.looker.join().expect("it does not panic")
    }
}

/// Reads them.
pub(crate) fn usage(pid: u32) -> Result<Usage, PerfError> {
    let pid = i32::try_from(pid).expect("a process has a number");
    let read = || {
        let process = Process::new(pid)?;
        let (status, stat) = (process.status()?, process.stat()?);
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let waits = process.tasks()?.flatten().filter_map(|it| it.status().ok());
        Ok(Usage {
            resident_kib: status.vmrss.unwrap_or_default(),
            resident_max_kib: status.vmhwm.unwrap_or_default(),
            cpu_seconds: seconds(stat.utime + stat.stime),
            system_seconds: seconds(stat.stime),
            // Another user's process does not show it: then it is 0.
            written_bytes: process.io().map_or(0, |io| io.write_bytes),
            // Those of threads that have ended are not in it.
            waits: waits.filter_map(|it| it.voluntary_ctxt_switches).sum(),
        })
    };
    read().map_err(|error: ProcError| PerfError::Usage(format!("reading /proc/{pid}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_has_memory() {
        let usage = usage(std::process::id()).expect("it runs");
        assert!(usage.resident_kib > 0 && usage.resident_max_kib >= usage.resident_kib);
        let looks = Watch::begin(std::process::id()).end();
        assert!(looks.iter().all(|(_, resident_kib)| *resident_kib > 0));
    }
}
