//! Which agent runs on which thread, by threading mode and cores.
//!
//! ```text
//!  shared           [ ingest, scheduler, journal, delivery... ]
//!  dedicated        [ ingest ] [ scheduler ] [ journal ] [ delivery ] ...
//!   with 4 cores    [ ingest ] [ scheduler, journal ] [ delivery... ]
//!   with 3          [ ingest ] [ scheduler, journal, delivery... ]
//!   with 2          as shared
//! ```
//!
//! One core is left for the rest of the machine: a thread that waits for a core is later than one
//! that has more to do. A journal that syncs waits for the disk, and so has a thread of its own.

use std::fmt;

use crate::config::{Config, Durability, IdleKind, ThreadingMode};

/// An agent of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads sources.
    Ingest,
    /// Decides what goes next.
    Scheduler,
    /// Writes the journal.
    Journal,
    /// Writes to subscribers; by index.
    Delivery(usize),
}

/// One thread of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThreadPlan {
    /// As health, logs and the system call it.
    pub(crate) name: &'static str,
    /// The core that it is pinned to.
    pub(crate) core: Option<usize>,
    /// What it does without work: spins only where no other thread of the path has its core.
    pub(crate) idle: IdleKind,
    /// Its agents, in the order of the data.
    pub(crate) roles: Vec<Role>,
}

/// Where the agents of the path run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// `Shared` or `Dedicated`, never `Auto`.
    pub(crate) mode: ThreadingMode,
    /// `auto` shares one thread among the path's agents, and there is a core for a second one:
    /// ingest moves there while input piles up.
    pub(crate) relief: bool,
    /// In the order in which they are stopped: from the sources on, a journal of its own last.
    pub(crate) threads: Vec<ThreadPlan>,
}

impl fmt::Display for ThreadPlan {
    /// As in `scheduler, journal`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<&str> = self.roles.iter().map(|role| role.word()).collect();
        words.dedup();
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for Plan {
    /// As in `ingest | scheduler, journal | delivery`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, thread) in self.threads.iter().enumerate() {
            write!(f, "{}{thread}", if index > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Scheduler => "scheduler",
            Self::Journal => "journal",
            Self::Delivery(_) => "delivery",
        }
    }
}

/// The plan on a machine that allows these cores, in ascending order.
///
/// In `dedicated` mode agents whose core is not set get the allowed ones from the top down, where
/// there are enough: interrupts and the rest of the system prefer the low ones. Agents that are
/// set to one core share a thread. With `idle = "spin"` each thread that may spin gets a core, in
/// any mode.
#[must_use]
pub(crate) fn plan_on(config: &Config, allowed: &[usize]) -> Plan {
    let mode = config.threading(allowed.len());
    let mut threads: Vec<ThreadPlan> = groups(config, mode, allowed.len())
        .into_iter()
        .map(|roles| ThreadPlan::new(config, mode, roles))
        .collect();
    let is_wide = mode == ThreadingMode::Dedicated && allowed.len() >= config.dedicated_cores();
    let gets_one =
        |it: &ThreadPlan| is_wide || (config.threads.idle == IdleKind::Spin && it.may_spin(config));
    let without = threads.iter_mut().filter(|it| gets_one(it));
    give_cores(without, &named_cores(config), allowed);
    let mut threads = one_a_core(threads, syncs(config));
    set_idle(&mut threads, config);
    Plan {
        mode,
        relief: config.has_relief(allowed.len()),
        threads,
    }
}

/// Whether the journal waits for the disk.
#[must_use]
pub(crate) fn syncs(config: &Config) -> bool {
    config.durability == Durability::Synced
}

fn groups(config: &Config, mode: ThreadingMode, cores: usize) -> Vec<Vec<Role>> {
    use Role::{Delivery, Ingest, Journal, Scheduler};
    let deliveries: Vec<Role> = (0..config.delivery.agents).map(Delivery).collect();
    let mut scheduler = vec![Scheduler];
    let mut own_journal = Vec::new();
    let is_apart = config.threads.journal_core.is_some() && mode == ThreadingMode::Dedicated;
    let count = threads_at_most(config, mode, cores);
    if syncs(config) || is_apart || count >= 4 {
        own_journal.push(vec![Journal]);
    } else {
        scheduler.push(Journal);
    }
    let mut groups = match count {
        1 => vec![[vec![Ingest], scheduler, deliveries].concat()],
        2 => vec![vec![Ingest], [scheduler, deliveries].concat()],
        _ => {
            let few = deliveries.len().min(count.saturating_sub(3).max(1));
            let nth = |n| deliveries.iter().copied().skip(n).step_by(few).collect();
            let mut groups = vec![vec![Ingest], scheduler];
            groups.extend((0..few).map(nth));
            groups
        }
    };
    groups.extend(own_journal);
    groups
}

/// How many threads the path gets: as many as it has agents if their cores are all set.
fn threads_at_most(config: &Config, mode: ThreadingMode, cores: usize) -> usize {
    let agents = config.dedicated_cores() - 1;
    if mode == ThreadingMode::Shared {
        return 1;
    }
    match named_cores(config).len() >= agents {
        true => agents,
        false => agents.min(cores.saturating_sub(1).max(1)),
    }
}

impl ThreadPlan {
    fn new(config: &Config, mode: ThreadingMode, roles: Vec<Role>) -> Self {
        let asked = match mode {
            ThreadingMode::Shared => &roles[..1],
            _ => &roles,
        };
        Self {
            name: name(&roles),
            core: asked.iter().find_map(|&role| named_core(config, role)),
            idle: IdleKind::Backoff,
            roles,
        }
    }

    /// Whether it spins if it has a core of its own: a journal that syncs waits for the disk
    /// instead.
    pub(super) fn may_spin(&self, config: &Config) -> bool {
        !(syncs(config) && self.roles == [Role::Journal])
    }
}

/// Has each thread spin or yield where the settings say so and it may.
fn set_idle(threads: &mut [ThreadPlan], config: &Config) {
    let cores: Vec<Option<usize>> = threads.iter().map(|it| it.core).collect();
    for thread in threads.iter_mut().filter(|it| it.may_spin(config)) {
        let same = cores.iter().filter(|&&core| core == thread.core).count();
        let is_own = thread.core.is_some() && same == 1;
        thread.idle = match config.threads.idle {
            IdleKind::Spin if !is_own => IdleKind::Backoff,
            idle => idle,
        };
    }
}

fn name(roles: &[Role]) -> &'static str {
    match roles {
        [Role::Ingest] => "ingest",
        [Role::Ingest, ..] => "path",
        [Role::Scheduler, ..] => "scheduler",
        [Role::Journal, ..] => "journal",
        _ => "delivery",
    }
}

/// The core that the settings name for an agent. In `shared` mode ingest's is that of the one
/// thread.
fn named_core(config: &Config, role: Role) -> Option<usize> {
    let threads = &config.threads;
    match role {
        Role::Ingest => threads.ingest_core,
        Role::Scheduler => threads.scheduler_core,
        Role::Journal => threads.journal_core,
        Role::Delivery(index) => threads.delivery_cores.get(index).copied(),
    }
}

/// The agents that the settings give a core, with that core.
pub(crate) fn named_agents(config: &Config) -> Vec<(&'static str, usize)> {
    let agents = [Role::Ingest, Role::Scheduler, Role::Journal];
    let deliveries = (0..config.threads.delivery_cores.len()).map(Role::Delivery);
    let roles = agents.into_iter().chain(deliveries);
    roles
        .filter_map(|role| Some((role.word(), named_core(config, role)?)))
        .collect()
}

/// All cores that the settings name.
#[must_use]
pub(crate) fn named_cores(config: &Config) -> Vec<usize> {
    let agents = named_agents(config).into_iter();
    agents.map(|(_, core)| core).collect()
}

/// Gives each of these threads without a core one that no setting names. The lowest is left to the
/// system.
fn give_cores<'a>(
    threads: impl Iterator<Item = &'a mut ThreadPlan>,
    named: &[usize],
    allowed: &[usize],
) {
    let spare = allowed.iter().skip(1).rev().copied();
    let mut spare = spare.filter(|core| !named.contains(core));
    for thread in threads.filter(|it| it.core.is_none()) {
        thread.core = spare.next();
    }
}

/// Has threads with one core become one: two that spin there would take it from each other. A
/// journal
/// that syncs stays apart.
fn one_a_core(threads: Vec<ThreadPlan>, syncs: bool) -> Vec<ThreadPlan> {
    let mut merged: Vec<ThreadPlan> = Vec::new();
    for thread in threads {
        let is_alone = |it: &ThreadPlan| syncs && it.roles == [Role::Journal];
        let same = merged.iter_mut().find(|it| {
            it.core.is_some() && it.core == thread.core && !is_alone(it) && !is_alone(&thread)
        });
        match same {
            Some(same) => {
                same.roles.extend(thread.roles);
                same.roles.sort_by_key(|role| match role {
                    Role::Ingest => 0,
                    Role::Scheduler => 1,
                    Role::Journal => 2,
                    Role::Delivery(index) => 3 + index,
                });
                same.name = name(&same.roles);
            }
            None => merged.push(thread),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::Role::{Delivery, Ingest, Journal, Scheduler};
    use super::*;
    use crate::config::Threads;

    fn config(threads: Threads, agents: usize) -> Config {
        let mut config = Config {
            threads,
            ..Config::default()
        };
        config.delivery.agents = agents;
        config
    }

    fn dedicated(agents: usize) -> Config {
        let threads = Threads {
            mode: ThreadingMode::Dedicated,
            ..Threads::default()
        };
        config(threads, agents)
    }

    fn roles(config: &Config, cores: usize) -> Vec<Vec<Role>> {
        let allowed: Vec<usize> = (0..cores).collect();
        let plan = plan_on(config, &allowed);
        plan.threads.into_iter().map(|it| it.roles).collect()
    }

    #[test]
    fn auto_shares_a_small_machine() {
        let config = Config::default();
        assert_eq!(config.threading(2), ThreadingMode::Shared);
        assert_eq!(config.threading(16), ThreadingMode::Dedicated);
        let all = vec![vec![Ingest, Scheduler, Journal, Delivery(0)]];
        assert_eq!(roles(&config, 2), all);
    }

    #[test]
    fn each_agent_has_a_core_where_there_are_enough() {
        let config = dedicated(2);
        let plan = plan_on(&config, &[0, 1, 2, 3, 4, 5]);
        let cores: Vec<_> = plan.threads.iter().map(|it| it.core).collect();
        assert_eq!(cores, [5, 4, 3, 2, 1].map(Some));
        let names: Vec<_> = plan.threads.iter().map(|it| it.name).collect();
        let expected = ["ingest", "scheduler", "delivery", "delivery", "journal"];
        assert_eq!(names, expected);
    }

    #[test]
    fn with_fewer_cores_agents_share_threads_and_one_core_is_left() {
        let one = dedicated(1);
        let shared = vec![vec![Ingest, Scheduler, Journal, Delivery(0)]];
        assert_eq!(roles(&one, 1), shared);
        assert_eq!(roles(&one, 2), shared);
        let two = vec![vec![Ingest], vec![Scheduler, Journal, Delivery(0)]];
        assert_eq!(roles(&one, 3), two);
        let three = vec![vec![Ingest], vec![Scheduler, Journal], vec![Delivery(0)]];
        assert_eq!(roles(&one, 4), three);
        let deliveries = |groups: &[&[usize]]| -> Vec<Vec<Role>> {
            let group = |it: &&[usize]| it.iter().copied().map(Delivery).collect();
            groups.iter().map(group).collect()
        };
        let front = vec![vec![Ingest], vec![Scheduler]];
        let four = dedicated(4);
        let expected = [front, deliveries(&[&[0, 2], &[1, 3]]), vec![vec![Journal]]];
        assert_eq!(roles(&four, 6), expected.concat());
    }

    #[test]
    fn a_journal_that_syncs_is_always_alone() {
        for cores in 1..8 {
            let mut config = dedicated(2);
            config.durability = Durability::Synced;
            assert_eq!(roles(&config, cores).last(), Some(&vec![Journal]));
        }
    }

    #[test]
    fn agents_that_are_set_to_one_core_share_a_thread() {
        let mut config = dedicated(1);
        config.threads.ingest_core = Some(1);
        config.threads.scheduler_core = Some(0);
        config.threads.journal_core = Some(0);
        config.threads.delivery_cores = vec![0];
        let plan = plan_on(&config, &[0, 1]);
        let found: Vec<_> = plan
            .threads
            .into_iter()
            .map(|it| (it.core, it.roles))
            .collect();
        let expected = [
            (Some(1), vec![Ingest]),
            (Some(0), vec![Scheduler, Journal, Delivery(0)]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_agent_has_exactly_one_thread() {
        for (agents, cores) in (1..6).flat_map(|agents| (1..12).map(move |cores| (agents, cores))) {
            let config = dedicated(agents);
            let mut all = roles(&config, cores).concat();
            all.sort_by_key(|role| format!("{role:?}"));
            let deliveries = (0..agents).map(Delivery);
            let mut expected: Vec<Role> = deliveries.chain([Ingest, Scheduler, Journal]).collect();
            expected.sort_by_key(|role| format!("{role:?}"));
            assert_eq!(all, expected, "{agents} agents, {cores} cores");
        }
    }
}
