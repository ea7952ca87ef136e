//! Whether the kernel keeps its own work and other processes off the agents' cores.

use super::finding::Finding;
use super::machine::{Machine, Patient, missing, parse_cores, show_cores};

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let machine = &patient.machine;
    let isolated = machine.cores("sys/devices/system/cpu/isolated");
    let tickless = machine.cores("sys/devices/system/cpu/nohz_full");
    // The kernel writes "(null)" where there are none.
    let tickless = tickless.or_else(|| from_command_line(machine, "nohz_full"));
    let offloaded = from_command_line(machine, "rcu_nocbs");
    [
        ("isolcpus", isolated, "other processes may be put on"),
        ("nohz_full", tickless, "the timer interrupts"),
        ("rcu_nocbs", offloaded, "the kernel frees memory on"),
    ]
    .map(|(parameter, cores, what)| assess(patient, parameter, cores, what))
    .into()
}

fn assess(
    patient: &Patient<'_>,
    parameter: &'static str,
    cores: Option<Vec<usize>>,
    what: &str,
) -> Finding {
    let Some(cores) = cores else {
        return Finding::unknown(parameter, "the kernel's command line");
    };
    let shown = match cores.is_empty() {
        true => "no core".to_owned(),
        false => format!("cores {}", show_cores(&cores)),
    };
    if !patient.is_dedicated() {
        return Finding::ok(parameter, format!("{shown}; shared mode asks for none"));
    }
    let named = patient.named_cores();
    if named.is_empty() {
        let advice = format!(
            "name the agents' cores in [threads], then start the kernel with {parameter}=CORES"
        );
        return Finding::warn(parameter, shown, advice);
    }
    match missing(&named, &cores).as_slice() {
        [] => Finding::ok(parameter, shown),
        gone => Finding::warn(
            parameter,
            format!("{shown}: {what} the agents' {}", show_cores(gone)),
            format!("start the kernel with {parameter}={}", show_cores(&named)),
        ),
    }
}

/// The kernel's parameter; no cores where it is not set.
fn from_command_line(machine: &Machine, parameter: &str) -> Option<Vec<usize>> {
    let line = machine.read("proc/cmdline")?;
    let value = line
        .split_whitespace()
        .find_map(|it| it.strip_prefix(parameter)?.strip_prefix('='));
    match value {
        None => Some(Vec::new()),
        Some("all") => machine.cores("sys/devices/system/cpu/present"),
        Some(value) => parse_cores(value),
    }
}
