//! The verdict on cores: whether the agents' cores can be had, and who may spin on them.
//!
//! One function for `run`, which refuses what is bad, and for `check` and `doctor`, which say all
//! of
//! it. Fed with the settings and the cores of a machine; it asks the system for nothing.

use std::collections::BTreeMap;

use super::threads::{Plan, ThreadPlan, named_agents, plan_on};
use crate::agent::affinity::allowed_cores;
use crate::agent::core_list::{cores_without, parse_cores, show_cores};
use crate::config::{Config, IdleKind, ThreadingMode};

/// The cores of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Those that this process may use, ascending.
    pub(crate) allowed: Vec<usize>,
    /// Those that are switched on; `None`: the system does not say.
    pub(crate) online: Option<Vec<usize>>,
}

impl Cores {
    /// Those of the machine that this runs on.
    pub(crate) fn here() -> Self {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online");
        Self {
            allowed: allowed_cores(),
            online: online.ok().and_then(|text| parse_cores(&text)),
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CoreGrade {
    /// It works, and could be faster or steadier.
    Fair,
    /// The engine does not start.
    Bad,
}

/// What is wrong with the cores, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoreFinding {
    pub(crate) grade: CoreGrade,
    pub(crate) found: String,
    pub(crate) advice: String,
}

/// The plan of threads on these cores, and all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoreAssessment {
    pub(crate) plan: Plan,
    pub(crate) findings: Vec<CoreFinding>,
}

impl CoreAssessment {
    /// Why the engine cannot run so, if it cannot.
    pub(crate) fn refusal(&self) -> Option<String> {
        let bad = self.findings.iter().filter(|it| it.grade == CoreGrade::Bad);
        let words: Vec<_> = bad
            .map(|it| format!("{}; {}", it.found, it.advice))
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// What could be better.
    pub(crate) fn fair(&self) -> impl Iterator<Item = &CoreFinding> {
        let findings = self.findings.iter();
        findings.filter(|it| it.grade == CoreGrade::Fair)
    }
}

/// Assesses the settings on these cores.
pub(crate) fn assess(config: &Config, cores: &Cores) -> CoreAssessment {
    let plan = plan_on(config, &cores.allowed);
    let findings = [
        unavailable(config, cores),
        too_many_spinners(config, cores, &plan),
        shortage(config, cores, &plan),
        shared_cores(config, &plan),
        unused_settings(config, &plan),
        no_core_left(config, cores, &plan),
    ];
    let findings = findings.into_iter().flatten().collect();
    CoreAssessment { plan, findings }
}

fn bad(found: String, advice: &str) -> Option<CoreFinding> {
    let (grade, advice) = (CoreGrade::Bad, advice.to_owned());
    Some(CoreFinding {
        grade,
        found,
        advice,
    })
}

fn fair(found: String, advice: &str) -> Option<CoreFinding> {
    let grade = CoreGrade::Fair;
    bad(found, advice).map(|it| CoreFinding { grade, ..it })
}

fn unavailable(config: &Config, cores: &Cores) -> Option<CoreFinding> {
    let agents = named_agents(config).into_iter();
    let named: Vec<usize> = agents.map(|(_, core)| core).collect();
    let missing = cores_without(&named, &cores.allowed);
    let [first, more @ ..] = missing.as_slice() else {
        return None;
    };
    let which = match more {
        [] => format!("core {first} is"),
        _ => format!("cores {} are", show_cores(&missing)),
    };
    let online = cores.online.as_deref().map_or_else(String::new, |online| {
        match cores_without(&missing, online).is_empty() {
            true => String::new(),
            false => format!(" of the machine's {}", show_cores(online)),
        }
    });
    bad(
        format!(
            "{which} not available to this process, which may use cores [{}]{online}",
            show_cores(&cores.allowed)
        ),
        "change the [threads] *_core settings, or start it by `taskset -c` or in a cpuset that has \
         them (isolated cores are in none by themselves)",
    )
}

fn too_many_spinners(config: &Config, cores: &Cores, plan: &Plan) -> Option<CoreFinding> {
    let wants = plan.threads.iter().filter(|it| it.may_spin(config));
    let (spinners, allowed) = (wants.count(), cores.allowed.len());
    if config.threads.idle != IdleKind::Spin || spinners < allowed {
        return None;
    }
    bad(
        format!(
            "idle = \"spin\": threads that spin: {spinners}, cores that this process may use: \
             {allowed}; no core is left for the store, HTTP and the kernel"
        ),
        "allow it one core more than threads that spin, or set [threads] idle = \"backoff\"",
    )
}

fn shortage(config: &Config, cores: &Cores, plan: &Plan) -> Option<CoreFinding> {
    let wanted = config.dedicated_cores();
    let is_short = plan.mode == ThreadingMode::Dedicated
        && plan.threads.len() < wanted - 1
        && cores.allowed.len() < wanted;
    if !is_short {
        return None;
    }
    fair(
        format!("dedicated needs {wanted} cores; agents share threads: {plan}"),
        "allow more by taskset or cpuset, or set [threads] mode = \"shared\"",
    )
}

/// Agents that the settings put on one core: on one thread, but for a journal that syncs.
fn shared_cores(config: &Config, plan: &Plan) -> Option<CoreFinding> {
    if plan.mode != ThreadingMode::Dedicated {
        return None;
    }
    let mut by_core: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (agent, core) in named_agents(config) {
        by_core.entry(core).or_default().push(agent);
    }
    by_core.retain(|_, agents| agents.len() > 1);
    let words: Vec<String> = by_core
        .iter()
        .map(|(core, agents)| format!("{} on core {core}", agents.join(" and ")))
        .collect();
    if words.is_empty() {
        return None;
    }
    fair(
        format!("two agents share a core: {}", words.join(", ")),
        "give each one its own",
    )
}

fn unused_settings(config: &Config, plan: &Plan) -> Option<CoreFinding> {
    let agents = named_agents(config).into_iter();
    let mut unused: Vec<&str> = agents.map(|(agent, _)| agent).collect();
    unused.retain(|agent| *agent != "ingest");
    unused.dedup();
    if plan.mode == ThreadingMode::Dedicated || unused.is_empty() {
        return None;
    }
    fair(
        format!(
            "the cores of {} are not used: the engine runs shared, on the thread of ingest",
            unused.join(", ")
        ),
        "set [threads] mode = \"dedicated\", or remove these settings",
    )
}

/// Threads on every core, without spinning: each of them waits for the rest of the machine.
fn no_core_left(config: &Config, cores: &Cores, plan: &Plan) -> Option<CoreFinding> {
    let pinned: Vec<usize> = plan.threads.iter().filter_map(|it| it.core).collect();
    let is_spin = config.threads.idle == IdleKind::Spin;
    let has_rest = !cores_without(&cores.allowed, &pinned).is_empty();
    if is_spin || has_rest || pinned.is_empty() || cores.allowed.len() < 2 {
        return None;
    }
    fair(
        "agents are pinned to every core; the store, HTTP and the kernel delay them".to_owned(),
        "leave at least core 0 to the rest",
    )
}

/// The threads that spin, by their agents.
pub(crate) fn spinners(plan: &Plan) -> Vec<&ThreadPlan> {
    let threads = plan.threads.iter();
    threads.filter(|it| it.idle == IdleKind::Spin).collect()
}

#[cfg(test)]
mod tests {
    use super::CoreGrade::{Bad, Fair};
    use super::*;
    use crate::config::parse;

    fn assess_on(settings: &str, allowed: usize) -> CoreAssessment {
        let config = parse("flipped-lb.toml", settings, &[]).expect("right");
        let cores = Cores {
            allowed: (0..allowed).collect(),
            online: Some((0..8).collect()),
        };
        assess(&config, &cores)
    }

    fn findings(settings: &str, allowed: usize) -> Vec<(CoreGrade, String)> {
        let findings = assess_on(settings, allowed).findings.into_iter();
        findings.map(|it| (it.grade, it.found)).collect()
    }

    #[track_caller]
    fn finds(settings: &str, allowed: usize, grade: CoreGrade, words: &str) {
        let found = findings(settings, allowed);
        let is_there = found
            .iter()
            .any(|(of, text)| *of == grade && text.contains(words));
        assert!(is_there, "{words:?} is not in {found:?}");
    }

    const SPIN: &str = "[threads]\nidle = 'spin'\nmode = 'dedicated'\n";

    #[test]
    fn the_defaults_are_fine_on_every_machine() {
        for cores in 1..9 {
            assert_eq!(findings("", cores), []);
        }
    }

    #[test]
    fn a_core_that_is_absent_or_not_allowed_is_bad_in_every_mode() {
        for mode in ["auto", "shared", "dedicated"] {
            let threads = format!("[threads]\nmode = '{mode}'\n");
            let absent = format!("{threads}ingest_core = 9");
            finds(&absent, 2, Bad, "core 9 is not available to this process");
            finds(&absent, 2, Bad, "cores [0-1] of the machine's 0-7");
            let taken = format!("{threads}ingest_core = 3");
            finds(&taken, 2, Bad, "core 3 is not available to this process");
            let many = format!("{threads}ingest_core = 9\ndelivery_cores = [10]");
            finds(&many, 2, Bad, "cores 9-10 are not available");
        }
        let refusal = assess_on("[threads]\ningest_core = 3", 2).refusal();
        assert!(refusal.is_some_and(|it| it.contains("taskset")));
    }

    #[test]
    fn spinners_that_reach_the_number_of_cores_are_bad() {
        let both = format!(
            "{SPIN}ingest_core = 0\nscheduler_core = 1\njournal_core = 1\ndelivery_cores = [1]"
        );
        finds(&both, 2, Bad, "threads that spin: 2, cores");
        let refused = assess_on(&both, 3).refusal();
        assert_eq!(refused, None, "one core is left");
        finds("[threads]\nidle = 'spin'", 1, Bad, "no core is left");
        for cores in 2..9 {
            assert_eq!(assess_on(SPIN, cores).refusal(), None, "{cores}");
        }
    }

    #[test]
    fn each_spinner_has_a_core_of_its_own_and_one_is_left() {
        let settings = [SPIN, "[threads]\nidle = 'spin'", "durability = 'synced'"];
        let synced = format!("durability = 'synced'\n{SPIN}");
        for settings in settings.into_iter().chain([synced.as_str()]) {
            for cores in 2..9 {
                let plan = assess_on(settings, cores).plan;
                let mut own: Vec<_> = spinners(&plan).iter().map(|it| it.core).collect();
                let count = own.len();
                own.sort_unstable();
                own.dedup();
                assert_eq!(own.len(), count, "{settings}");
                assert!(own.iter().all(Option::is_some) && count < cores);
                assert_eq!(count > 0, settings.contains("spin"), "{settings}");
            }
        }
    }

    #[test]
    fn a_journal_that_syncs_parks() {
        let plan = assess_on(&format!("durability = 'synced'\n{SPIN}"), 8).plan;
        let last = plan.threads.last().expect("there are threads");
        assert_eq!((last.name, last.idle), ("journal", IdleKind::Backoff));
        let plan = assess_on(SPIN, 8).plan;
        assert_eq!(spinners(&plan).len(), 4, "one that does not spins");
    }

    #[test]
    fn a_shortage_of_cores_is_told() {
        let two = "[threads]\nmode = 'dedicated'\n[delivery]\nagents = 2";
        let words = "dedicated needs 6 cores; agents share threads: \
                     ingest | scheduler, journal | delivery";
        finds(two, 4, Fair, words);
        assert_eq!(findings(two, 6), []);
    }

    #[test]
    fn agents_that_share_a_core_are_named() {
        let twice = "[threads]\nmode = 'dedicated'\ningest_core = 2\nscheduler_core = 3\n\
                     journal_core = 3\ndelivery_cores = [4]";
        finds(twice, 8, Fair, "scheduler and journal on core 3");
    }

    #[test]
    fn cores_that_nobody_uses_are_named() {
        let shared = "[threads]\nmode = 'shared'\nscheduler_core = 1\ndelivery_cores = [0]";
        finds(shared, 2, Fair, "scheduler, delivery are not used");
    }

    #[test]
    fn agents_on_every_core_are_named() {
        let all = "[threads]\nmode = 'dedicated'\ningest_core = 0\nscheduler_core = 1\n\
                   journal_core = 2\ndelivery_cores = [3]";
        finds(all, 4, Fair, "pinned to every core");
        assert_eq!(findings(all, 5), []);
    }
}
