//! What the kernel knows of a process: its memory, its processor time, its wake-ups.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Context, PerfError};

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
///
/// # Errors
/// The process is gone.
pub(crate) fn usage(pid: u32) -> Result<Usage, PerfError> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).context(format!("reading {path}"))
    };
    let status = read("status")?;
    let [user_seconds, system_seconds] = cpu_seconds(&read("stat")?);
    Ok(Usage {
        resident_kib: field(&status, "VmRSS:"),
        resident_max_kib: field(&status, "VmHWM:"),
        cpu_seconds: user_seconds + system_seconds,
        system_seconds,
        // Another user's process does not show it: then it is 0.
        written_bytes: read("io").map_or(0, |io| field(&io, "write_bytes:")),
        waits: waits(pid),
    })
}

/// A number of a `status` file; zero when it is not there.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|it| it.split_whitespace().next());
    word.and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// User and system time: the 14th and 15th field, counted behind the name's parenthesis because
/// the name may hold anything.
#[expect(clippy::cast_precision_loss, reason = "ticks of a process fit 52 bits")]
fn cpu_seconds(stat: &str) -> [f64; 2] {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut seconds = || {
        let ticks = fields.next().and_then(|it| it.parse::<u64>().ok());
        ticks.unwrap_or(0) as f64 / rustix::param::clock_ticks_per_second() as f64
    };
    [seconds(), seconds()]
}

/// The sum over its threads; those that have ended are not in it.
fn waits(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let statuses = threads.filter_map(|it| fs::read_to_string(it.path().join("status")).ok());
    statuses
        .map(|it| field(&it, "voluntary_ctxt_switches:"))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_moves_no_field() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 300 200 13 14";
        let ticks = cpu_seconds(stat).map(|it| it * rustix::param::clock_ticks_per_second() as f64);
        assert!((ticks[0] - 300.0).abs() < 1e-6, "{ticks:?}");
        assert!((ticks[1] - 200.0).abs() < 1e-6, "{ticks:?}");
    }

    #[test]
    fn our_own_process_has_memory() {
        let usage = usage(std::process::id()).expect("it runs");
        assert!(usage.resident_kib > 0 && usage.resident_max_kib >= usage.resident_kib);
        let looks = Watch::begin(std::process::id()).end();
        assert!(looks.iter().all(|(_, resident_kib)| *resident_kib > 0));
    }
}
