//! What the kernel knows of a process: its memory, its processor time, its wake-ups.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use procfs::ProcError;
use procfs::process::Process;
use serde::Serialize;

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

/// Looks again and again, in this interval, while the work is done; returns what came of both, each look with its
/// seconds since the begin.
pub(crate) fn watched<T, L: Send>(
    interval: Duration,
    mut look: impl FnMut() -> Result<L> + Send,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Vec<(f64, L)>)> {
    // Nothing is sent: the work is over, or has panicked, when the sender is gone.
    let (working, is_over) = channel::<()>();
    thread::scope(|scope| {
        let looker = scope.spawn(move || {
            let (begun, mut looks) = (Instant::now(), Vec::new());
            let mut due = begun + interval;
            while let Err(RecvTimeoutError::Timeout) =
                is_over.recv_timeout(due.saturating_duration_since(Instant::now()))
            {
                due += interval;
                looks.push((begun.elapsed().as_secs_f64(), look()?));
            }
            anyhow::Ok(looks)
        });
        let done = work();
        drop(working);
        let looks = looker.join().expect("it does not panic");
        Ok((done?, looks?))
    })
}

/// Reads them.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let pid = i32::try_from(pid).expect("a process has a number");
    let read = || -> Result<Usage, ProcError> {
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
    read().with_context(|| format!("reading /proc/{pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn our_own_process_has_memory() {
        let usage = usage(std::process::id()).expect("it runs");
        assert!(usage.resident_kib > 0 && usage.resident_max_kib >= usage.resident_kib);
    }

    #[test]
    fn what_is_watched_is_looked_at_until_it_is_over() {
        let (looked, looks) = channel();
        let look = || Ok(looked.send(())?);
        let work = || Ok((0..3).map(|_| looks.recv()).all(|it| it.is_ok()));
        let (done, looks) = watched(Duration::from_millis(1), look, work).expect("no error");
        assert!(done && looks.len() >= 3);
        let failed = watched(Duration::ZERO, || Ok(()), || -> Result<()> { bail!("no") });
        assert!(failed.is_err());
    }
}
