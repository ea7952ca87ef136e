//! How many cores there are, how many this process may use, and what it may use of their time.

use super::finding::Finding;
use super::machine::{Context, Machine};
use crate::agent::core_list::show_cores;
use crate::engine::cores::{CoreFinding, CoreGrade};
use crate::plural::counted;

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = vec![allowed(context)];
    findings.extend(agents(context));
    findings.push(quota(context));
    findings
}

fn allowed(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "cores";
    let Some(allowed) = &context.allowed else {
        return Finding::unknown(SUBJECT, "Cpus_allowed_list in /proc/self/status");
    };
    let installed = context.machine.cores("sys/devices/system/cpu/present");
    let of = installed
        .as_ref()
        .map_or_else(String::new, |it| format!(" of the {} installed", it.len()));
    let (count, needed) = (allowed.len(), context.config.dedicated_cores());
    let found = format!(
        "{count}{of} may be used ({}); the engine runs {}, dedicated needs {needed}",
        show_cores(allowed),
        context.assessment.plan.mode.name(),
    );
    let hidden = installed.map_or(0, |it| it.len().saturating_sub(count));
    if hidden > 0 && !context.is_dedicated() {
        return Finding::fair(
            SUBJECT,
            found,
            format!(
                "{} kept from this process: by taskset, a cpuset or isolcpus; \
                     `taskset -c 0-N flipped-lb run` takes isolated ones",
                counted(hidden as u64, "core is", "cores are")
            ),
        );
    }
    Finding::good(SUBJECT, found)
}

/// What `check` and `run` say of the agents' cores, too.
fn agents(context: &Context<'_>) -> Vec<Finding> {
    const SUBJECT: &str = "named cores";
    let named = context.named();
    let words: Vec<_> = named
        .iter()
        .map(|(agent, core)| format!("{agent} {core}"))
        .collect();
    if context.allowed.is_none() && (!named.is_empty() || context.is_dedicated()) {
        return vec![Finding::unknown(SUBJECT, "whether these cores may be used")];
    }
    let findings = context.assessment.findings.iter();
    let findings: Vec<Finding> = findings
        .map(
            |CoreFinding {
                 grade,
                 found,
                 advice,
             }| match grade {
                CoreGrade::Bad => {
                    let found = format!("{found}: `run` refuses that");
                    Finding::bad(SUBJECT, found, advice)
                }
                CoreGrade::Fair => Finding::fair(SUBJECT, found, advice),
            },
        )
        .collect();
    match findings.is_empty() {
        false => findings,
        true if !named.is_empty() => vec![Finding::good(SUBJECT, words.join(", "))],
        true if context.is_dedicated() => vec![Finding::fair(
            SUBJECT,
            "the settings name none: agents take the highest ones allowed",
            "set [threads] ingest_core, scheduler_core, journal_core and delivery_cores to \
             cores that nothing else uses",
        )],
        true => vec![Finding::good(
            SUBJECT,
            "the settings name none, and shared mode needs none",
        )],
    }
}

/// The part of the cores' time that a container may have.
fn quota(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "cpu quota";
    let machine = &context.machine;
    if !machine.exists("sys/fs/cgroup") {
        return Finding::unknown(SUBJECT, "/sys/fs/cgroup");
    }
    let Some(cores) = smallest_quota(machine) else {
        return Finding::good(SUBJECT, "none: cores are not taken away within a period");
    };
    let found = format!("{cores:.2} cores' time in each period");
    let wanted = context.allowed.as_ref().map_or(1, Vec::len) as f64;
    let why = "past it all threads stop until the period ends, some 100 ms";
    let advice = "give whole cores by cpuset instead (docker --cpuset-cpus; Kubernetes: the \
                  static CPU \
                  manager)";
    let finding = match cores {
        it if it < 1.0 => Finding::bad(SUBJECT, found, advice),
        it if it < wanted => Finding::fair(SUBJECT, found, advice),
        _ => Finding::good(SUBJECT, found),
    };
    finding.because(why)
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
