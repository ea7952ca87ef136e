//! How many cores there are, how many this process may use, and what it may use of their time.

use super::finding::Finding;
use super::machine::{Machine, Patient, missing, show_cores};

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    vec![allowed(patient), named(patient), quota(patient)]
}

fn allowed(patient: &Patient<'_>) -> Finding {
    const SUBJECT: &str = "cores";
    let Some(allowed) = &patient.allowed else {
        return Finding::unknown(SUBJECT, "Cpus_allowed_list in /proc/self/status");
    };
    let installed = patient.machine.cores("sys/devices/system/cpu/present");
    let of = installed
        .as_ref()
        .map_or_else(String::new, |it| format!(" of the {} installed", it.len()));
    let (count, needed) = (allowed.len(), patient.config.dedicated_cores());
    let found = format!(
        "{count}{of} may be used ({}); the engine runs {}, dedicated needs {needed}",
        show_cores(allowed),
        if patient.is_dedicated() {
            "dedicated"
        } else {
            "shared"
        },
    );
    if patient.is_dedicated() && count < needed {
        return Finding::warn(
            SUBJECT,
            found,
            "agents share cores: allow more by taskset or cpuset, or set [threads] mode = \"shared\"",
        );
    }
    let hidden = installed.map_or(0, |it| it.len().saturating_sub(count));
    if hidden > 0 && !patient.is_dedicated() {
        return Finding::warn(
            SUBJECT,
            found,
            format!(
                "{hidden} cores are kept from this process: by taskset, a cpuset or isolcpus; \
                     `taskset -c 0-N flipped-lb run` takes isolated ones"
            ),
        );
    }
    Finding::ok(SUBJECT, found)
}

fn named(patient: &Patient<'_>) -> Finding {
    const SUBJECT: &str = "named cores";
    let named = patient.named();
    if named.is_empty() {
        let found = "the settings name none";
        return match patient.is_dedicated() {
            false => Finding::ok(SUBJECT, format!("{found}, and shared mode needs none")),
            true => Finding::warn(
                SUBJECT,
                format!("{found}: agents take the highest ones allowed"),
                "set [threads] ingest_core, scheduler_core, journal_core and delivery_cores to \
                 cores that nothing else uses",
            ),
        };
    }
    let words: Vec<_> = named
        .iter()
        .map(|(agent, core)| format!("{agent} {core}"))
        .collect();
    let found = words.join(", ");
    let cores = patient.named_cores();
    let mut twice = cores.clone();
    twice.sort_unstable();
    if twice.windows(2).any(|pair| pair[0] == pair[1]) {
        return Finding::warn(
            SUBJECT,
            found,
            "two agents share a core: give each one its own",
        );
    }
    let Some(allowed) = &patient.allowed else {
        return Finding::unknown(SUBJECT, "whether these cores may be used");
    };
    match missing(&cores, allowed).as_slice() {
        [] => Finding::ok(SUBJECT, found),
        gone => Finding::bad(
            SUBJECT,
            format!(
                "{found}; {} may not be used, and `run` refuses that",
                show_cores(gone)
            ),
            "change the [threads] *_core settings, or start it with `taskset -c` or a cpuset that \
             has these cores (isolated ones are in none by themselves)",
        ),
    }
}

/// The part of the cores' time that a container may have.
fn quota(patient: &Patient<'_>) -> Finding {
    const SUBJECT: &str = "cpu quota";
    let machine = &patient.machine;
    if !machine.exists("sys/fs/cgroup") {
        return Finding::unknown(SUBJECT, "/sys/fs/cgroup");
    }
    let Some(cores) = smallest_quota(machine) else {
        return Finding::ok(SUBJECT, "none: cores are not taken away within a period");
    };
    let found = format!("{cores:.2} cores' time in each period");
    let wanted = patient.allowed.as_ref().map_or(1, Vec::len) as f64;
    let advice = "past it all threads stop until the period ends, some 100 ms: give whole cores \
                  by cpuset instead (docker --cpuset-cpus; Kubernetes: the static CPU manager)";
    match cores {
        it if it < 1.0 => Finding::bad(SUBJECT, found, advice),
        it if it < wanted => Finding::warn(SUBJECT, found, advice),
        _ => Finding::ok(SUBJECT, found),
    }
}

/// Of the process's control group and those above it, of either version.
fn smallest_quota(machine: &Machine) -> Option<f64> {
    let groups = machine.read("proc/self/cgroup").unwrap_or_default();
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        match controllers {
            "" => folders.extend(upwards("sys/fs/cgroup", path)),
            it if it.split(',').any(|it| it == "cpu") => {
                folders.extend(upwards("sys/fs/cgroup/cpu", path));
            }
            _ => {}
        }
    }
    let quotas = folders
        .iter()
        .filter_map(|folder| quota_of(machine, folder));
    quotas.reduce(f64::min)
}

/// A group's folder and all above it. Inside a container the path may be the host's, and only the
/// topmost one is there.
fn upwards(top: &str, path: &str) -> Vec<String> {
    let mut folders = vec![top.to_owned()];
    for part in path.split('/').filter(|it| !it.is_empty() && *it != "..") {
        let below = format!("{}/{part}", folders[folders.len() - 1]);
        folders.push(below);
    }
    folders
}

fn quota_of(machine: &Machine, folder: &str) -> Option<f64> {
    let (quota, period) = match machine.read(&format!("{folder}/cpu.max")) {
        Some(text) => {
            let (quota, period) = text.split_once(' ')?;
            (
                quota.parse::<f64>().ok()?,
                period.trim().parse::<f64>().ok()?,
            )
        }
        None => {
            // -1 is none.
            let quota = machine.number(&format!("{folder}/cpu.cfs_quota_us"))?;
            let period = machine.number(&format!("{folder}/cpu.cfs_period_us"))?;
            (quota as f64, period as f64)
        }
    };
    (period > 0.0).then(|| quota / period)
}
