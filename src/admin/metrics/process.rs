//! What the kernel knows of this process, under the names that all exporters use: `process_*`.
//!
//! Read from `/proc` at each scrape; what it does not say is left out.

use std::fmt;
use std::fs::{read_dir, read_to_string};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::process::{Resource, getrlimit};

use super::families::Families;

/// Clock ticks a second in `/proc`: the kernel's USER_HZ, which is 100 on all that Debian runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process {
    /// When the machine began, in seconds since the epoch. Read once: it moves when the clock is set,
    /// and a start time that moves is a restart to whoever watches it.
    booted: Option<f64>,
}

impl Process {
    pub(super) fn new() -> Self {
        let system = read_to_string("/proc/stat").unwrap_or_default();
        Self {
            booted: boot_seconds(&system),
        }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let file = |name| read_to_string(name).unwrap_or_default();
        times(&mut families, &file("/proc/self/stat"), self.booted)?;
        memory(&mut families, &file("/proc/self/status"))?;
        descriptors(&mut families)
    }
}

fn times(families: &mut Families<'_>, stat: &str, booted: Option<f64>) -> fmt::Result {
    let Some(stat) = Stat::parse(stat) else {
        return Ok(());
    };
    let help = "Seconds that the process's threads have run, in user and kernel mode.";
    families.counter("process_cpu_seconds", help, stat.cpu_seconds)?;
    let Some(booted) = booted else {
        return Ok(());
    };
    let help = "When the process began, in seconds since the epoch.";
    families.gauge(
        "process_start_time_seconds",
        help,
        booted + stat.started_seconds,
    )
}

fn memory(families: &mut Families<'_>, status: &str) -> fmt::Result {
    let of = |key: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    if let Some(kib) = of("VmRSS:") {
        let help = "Bytes of memory in use.";
        families.gauge("process_resident_memory_bytes", help, kib * 1024)?;
    }
    if let Some(kib) = of("VmSize:") {
        let help = "Bytes of addresses in use, most of them never touched.";
        families.gauge("process_virtual_memory_bytes", help, kib * 1024)?;
    }
    match of("Threads:") {
        Some(count) => families.gauge("process_threads", "Threads of the process.", count),
        None => Ok(()),
    }
}

fn descriptors(families: &mut Families<'_>) -> fmt::Result {
    if let Ok(open) = read_dir("/proc/self/fd") {
        // One is the folder itself.
        let count = open.count().saturating_sub(1);
        families.gauge("process_open_fds", "Open file descriptors.", count as u64)?;
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) => families.gauge("process_max_fds", "How many there may be.", limit),
        None => Ok(()),
    }
}

/// Of `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    /// Since the machine began.
    started_seconds: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name stands in brackets, and may have any in it.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        // Fields are numbered from 1 in proc(5), and `rest` begins with the third.
        let seconds = |number: usize| {
            let ticks: u64 = fields.get(number - 3)?.parse().ok()?;
            Some(ticks as f64 / TICKS_PER_SECOND)
        };
        Some(Self {
            cpu_seconds: seconds(14)? + seconds(15)?,
            started_seconds: seconds(22)?,
        })
    }
}

/// When the machine began, in seconds since the epoch, by `/proc/stat`.
fn boot_seconds(system: &str) -> Option<f64> {
    let line = system.lines().find_map(|it| it.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 12 0 4200 99 3 18";
        let expected = Stat {
            cpu_seconds: 2.0,
            started_seconds: 42.0,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn the_machine_began_at_btime() {
        let text = "cpu  1 2 3\nctxt 9\nbtime 1700000000\nprocesses 4\n";
        assert_eq!(boot_seconds(text), Some(1_700_000_000.0));
        assert_eq!(boot_seconds("cpu 1\n"), None);
    }
}
