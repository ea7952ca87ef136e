//! Whether the kernel keeps its own work and other processes off the agents' cores.

use super::finding::Finding;
use super::machine::{Context, Machine};
use crate::agent::core_list::{cores_without, parse_cores, show_cores};

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let machine = &context.machine;
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
    .map(|(parameter, cores, what)| assess(context, parameter, cores, what))
    .into()
}

fn assess(
    context: &Context<'_>,
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
    if !context.is_dedicated() {
        return Finding::ok(parameter, format!("{shown}; shared mode asks for none"));
    }
    let named = context.named_cores();
    if named.is_empty() {
        let advice = format!(
            "name the agents' cores in [threads], then start the kernel with {parameter}=CORES"
        );
        return Finding::warn(parameter, shown, advice);
    }
    match cores_without(&named, &cores).as_slice() {
        [] => Finding::ok(parameter, shown),
        gone => Finding::warn(
            parameter,
            format!("{shown}: {what} the agents' {}", show_cores(gone)),
            advice(context, parameter, &named),
        ),
    }
}

/// Never to isolate all cores: one at least is left to the kernel and everything else.
fn advice(context: &Context<'_>, parameter: &str, named: &[usize]) -> String {
    let present = context.machine.cores("sys/devices/system/cpu/present");
    let all = present.or_else(|| context.allowed.clone());
    let rest = all.map(|all| cores_without(&all, named));
    match rest.is_none_or(|rest| rest.is_empty()) {
        true => "the agents are on all cores: give them fewer, so that core 0 at least is left to \
                 the kernel, and isolate those then"
            .to_owned(),
        false => format!("start the kernel with {parameter}={}", show_cores(named)),
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
