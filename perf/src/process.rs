//! What the kernel knows of a process: its memory, its processor time, its wake-ups.

use std::fs;

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
    /// How often its threads gave up their core to wait.
    pub(crate) waits: u64,
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
    Ok(Usage {
        resident_kib: field(&status, "VmRSS:"),
        resident_max_kib: field(&status, "VmHWM:"),
        cpu_seconds: cpu_seconds(&read("stat")?),
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
fn cpu_seconds(stat: &str) -> f64 {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = behind_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|it| it.parse::<u64>().ok()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
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
        let ticks = cpu_seconds(stat) * rustix::param::clock_ticks_per_second() as f64;
        assert!((ticks - 500.0).abs() < 1e-6, "{ticks}");
    }

    #[test]
    fn our_own_process_has_memory() {
        let usage = usage(std::process::id()).expect("it runs");
        assert!(usage.resident_kib > 0 && usage.resident_max_kib >= usage.resident_kib);
    }
}
