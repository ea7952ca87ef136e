//! Whether the kernel keeps its own work and other processes off the agents' cores.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::{Context, Machine};
use crate::agent::core_list::{cores_without, parse_cores, show_cores};

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![
        isolated(context),
        managed_interrupts(context),
        tickless(context),
        callbacks(context),
        partition(context),
    ]
}

fn show(cores: &[usize]) -> String {
    match cores.is_empty() {
        true => "no core".to_owned(),
        false => format!("cores {}", show_cores(cores)),
    }
}

/// By `isolcpus`, or by a partition of a cpuset, which needs no reboot.
fn isolated(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "isolcpus";
    let machine = &context.machine;
    let boot = machine.cores("sys/devices/system/cpu/isolated");
    let partitions = machine.cores("sys/fs/cgroup/cpuset.cpus.isolated");
    let Some(mut cores) = boot.or_else(|| partitions.clone()) else {
        return Finding::unknown(SUBJECT, "/sys/devices/system/cpu/isolated");
    };
    cores.extend(partitions.unwrap_or_default());
    cores.sort_unstable();
    cores.dedup();
    assess(
        context,
        SUBJECT,
        "isolcpus=managed_irq,domain,",
        &cores,
        "other processes may be put on",
    )
    .because(
        "a process that is put on an agent's core keeps it for a time slice, some 3 ms; a cpuset \
         partition isolates as well, and needs no reboot",
    )
}

/// Interrupts of disks and cards with a queue for each core obey no affinity: only this flag.
fn managed_interrupts(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "managed irqs";
    let Some(line) = context.machine.read("proc/cmdline") else {
        return Finding::unknown(SUBJECT, "the kernel's command line");
    };
    let value = parameter(&line, "isolcpus").unwrap_or_default();
    let has_flag = value.split(',').any(|it| it == "managed_irq");
    let cores = flagged_cores(value);
    let managed = if has_flag { cores } else { Vec::new() };
    let named = context.named_cores();
    if !context.is_dedicated() || named.is_empty() {
        return Finding::good(SUBJECT, format!("{}; none is asked for", show(&managed)));
    }
    match cores_without(&named, &managed).as_slice() {
        [] => Finding::good(SUBJECT, show(&managed)),
        gone => Finding::fair(
            SUBJECT,
            format!(
                "kept off {}; the agents' {} take them",
                show(&managed),
                show_cores(gone)
            ),
            advice(context, "isolcpus=managed_irq,domain,", &named),
        ),
    }
    .because(
        "an NVMe disk or a card with a queue for each core has interrupts that the kernel places \
         itself: /proc/irq has no say, only this flag",
    )
}

/// What `nohz_full` stops, and what it costs.
fn tickless(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "nohz_full";
    let machine = &context.machine;
    let cores = machine.cores("sys/devices/system/cpu/nohz_full");
    // The kernel writes "(null)" where there are none.
    let Some(cores) = cores.or_else(|| from_command_line(machine, "nohz_full")) else {
        return Finding::unknown(SUBJECT, "the kernel's command line");
    };
    let named = context.named_cores();
    let is_tickless = !named.is_empty() && cores_without(&named, &cores).is_empty();
    let found = match is_tickless {
        true => "no tick, but each system call costs some 300 ns more",
        false => "the tick stays; without it each system call would cost some 300 ns more",
    };
    Finding::good(SUBJECT, format!("{}: {found}", show(&cores))).because(
        "a tick costs 1 to 3 us, 100 to 1,000 times a second, and agents make a system call for \
         each \
         read, write and poll: it pays where a thread computes and calls nobody; measure both",
    )
}

/// Freed memory of the kernel: `nohz_full` implies it.
fn callbacks(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "rcu_nocbs";
    let machine = &context.machine;
    let Some(mut cores) = from_command_line(machine, SUBJECT) else {
        return Finding::unknown(SUBJECT, "the kernel's command line");
    };
    let tickless = machine.cores("sys/devices/system/cpu/nohz_full");
    cores.extend(tickless.unwrap_or_default());
    assess(
        context,
        SUBJECT,
        "rcu_nocbs=",
        &cores,
        "the kernel frees memory on",
    )
    .because(
        "callbacks of the kernel run on the core that queued them, in bursts; another \
                  core can do it",
    )
}

fn assess(
    context: &Context<'_>,
    subject: &'static str,
    parameter: &str,
    cores: &[usize],
    what: &str,
) -> Finding {
    let shown = show(cores);
    if !context.is_dedicated() {
        return Finding::good(subject, format!("{shown}; shared mode asks for none"));
    }
    let named = context.named_cores();
    if named.is_empty() {
        let advice = format!(
            "name the agents' cores in [threads], then start the kernel with {parameter}CORES"
        );
        return Finding::fair(subject, shown, advice);
    }
    match cores_without(&named, cores).as_slice() {
        [] => Finding::good(subject, shown),
        gone => Finding::fair(
            subject,
            format!("{shown}: {what} the agents' {}", show_cores(gone)),
            advice(context, parameter, &named),
        )
        .fixed_by(kernel_parameter(context, parameter, &named)),
    }
}

/// Never to isolate all cores: one at least is left to the kernel and everything else.
fn leaves_cores(context: &Context<'_>, named: &[usize]) -> bool {
    let present = context.machine.cores("sys/devices/system/cpu/present");
    let all = present.or_else(|| context.allowed.clone());
    all.is_some_and(|all| !cores_without(&all, named).is_empty())
}

fn advice(context: &Context<'_>, parameter: &str, named: &[usize]) -> String {
    match leaves_cores(context, named) {
        true => format!("start the kernel with {parameter}{}", show_cores(named)),
        false => {
            "the agents are on all cores: give them fewer, so that core 0 at least is left to \
                  the kernel, and isolate those then"
                .to_owned()
        }
    }
}

fn kernel_parameter(context: &Context<'_>, parameter: &str, named: &[usize]) -> Option<Fix> {
    leaves_cores(context, named).then(|| {
        let parameter = format!("{parameter}{}", show_cores(named));
        Fix::by_hand(format!(
            "add {parameter} to GRUB_CMDLINE_LINUX in /etc/default/grub; update-grub; reboot"
        ))
    })
}

/// The cpuset that the process is in.
fn partition(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "cpuset";
    let machine = &context.machine;
    let groups = machine.read("proc/self/cgroup").unwrap_or_default();
    let path = groups.lines().find_map(|it| it.strip_prefix("0::/"));
    let Some(path) = path else {
        return Finding::unknown(SUBJECT, "the control group (version 2) of this process");
    };
    let folder = format!("sys/fs/cgroup/{path}");
    let folder = folder.trim_end_matches('/');
    let Some(kind) = machine.read(&format!("{folder}/cpuset.cpus.partition")) else {
        return Finding::good(SUBJECT, "none: all cores are in one group");
    };
    let cores = machine.read(&format!("{folder}/cpuset.cpus.effective"));
    let cores = cores.unwrap_or_default();
    let found = format!("{kind}, cores {cores}");
    match kind.contains("invalid") {
        true => Finding::bad(
            SUBJECT,
            found,
            "the kernel did not make the partition: its cores overlap another group's, or the \
             group \
             above is none; see cpuset.cpus.exclusive",
        ),
        false => Finding::good(SUBJECT, found),
    }
    .because(
        "a partition of type isolated does at run time what isolcpus does at boot; type \
              member shares its cores with the groups above",
    )
}

/// The cores of `isolcpus`, behind its flags.
fn flagged_cores(value: &str) -> Vec<usize> {
    let parts = value.split(',');
    let cores: Vec<&str> = parts
        .filter(|it| it.starts_with(|it: char| it.is_ascii_digit()))
        .collect();
    parse_cores(&cores.join(",")).unwrap_or_default()
}

fn parameter<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
}

/// The kernel's parameter; no cores where it is not set.
fn from_command_line(machine: &Machine, name: &str) -> Option<Vec<usize>> {
    let line = machine.read("proc/cmdline")?;
    match parameter(&line, name) {
        None => Some(Vec::new()),
        Some("all") => machine.cores("sys/devices/system/cpu/present"),
        Some(value) => parse_cores(value),
    }
}
