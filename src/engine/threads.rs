//! Which agent runs on which thread, by threading mode and cores.

use crate::agent::affinity::{PinError, allowed_cores, check_cores};
use crate::config::{Config, ThreadingMode};

/// Where the agents run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `Shared` or `Dedicated`, never `Auto`.
    pub mode: ThreadingMode,
    /// `auto` shares one thread among the path's agents, and there is a core for a second one:
    /// under load ingest moves there.
    pub relief: bool,
    /// Ingest's core; in `shared` that of the one thread.
    pub ingest: Option<usize>,
    /// The scheduler's core.
    pub scheduler: Option<usize>,
    /// The journal's core.
    pub journal: Option<usize>,
    /// The delivery agents' cores.
    pub deliveries: Vec<Option<usize>>,
}

/// Makes the plan, and refuses cores that cannot be had. In `dedicated` mode agents whose core is
/// not set get the allowed ones from the top down, as far as they reach: interrupts and the rest of
/// the system prefer the low ones.
///
/// # Errors
/// A core is not available to this process.
pub fn plan(config: &Config) -> Result<Plan, PinError> {
    let allowed = allowed_cores();
    let (threads, agents) = (&config.threads, config.delivery.agents);
    let mode = config.threading(allowed.len());
    let named = [
        threads.ingest_core,
        threads.scheduler_core,
        threads.journal_core,
    ];
    let set: Vec<usize> = named
        .iter()
        .flatten()
        .chain(&threads.delivery_cores)
        .copied()
        .collect();
    check_cores(set.iter().copied())?;
    let mut spare: Vec<usize> = match mode {
        ThreadingMode::Dedicated if allowed.len() >= config.dedicated_cores() => allowed[1..]
            .iter()
            .copied()
            .filter(|core| !set.contains(core))
            .collect(),
        _ => Vec::new(),
    };
    let mut pick = |core: Option<usize>| core.or_else(|| spare.pop());
    let delivery_core = |index: usize| threads.delivery_cores.get(index).copied();
    Ok(Plan {
        mode,
        relief: config.has_relief(allowed.len()),
        ingest: pick(threads.ingest_core),
        scheduler: pick(threads.scheduler_core),
        deliveries: (0..agents)
            .map(|index| pick(delivery_core(index)))
            .collect(),
        journal: pick(threads.journal_core),
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn auto_shares_a_small_machine() {
        let config = Config::default();
        assert_eq!(config.threading(2), ThreadingMode::Shared);
        assert_eq!(config.threading(16), ThreadingMode::Dedicated);
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let wanted = Threads {
            scheduler_core: Some(4_000),
            ..Threads::default()
        };
        let error = plan(&config(wanted, 1)).expect_err("no machine of ours has it");
        assert!(error.to_string().contains("4000"), "{error}");
    }

    #[test]
    fn no_two_agents_share_a_core_that_was_picked_for_them() {
        let dedicated = Threads {
            mode: ThreadingMode::Dedicated,
            ..Threads::default()
        };
        let plan = plan(&config(dedicated, 2)).expect("nothing is refused");
        let mut cores: Vec<usize> = [plan.ingest, plan.scheduler, plan.journal]
            .into_iter()
            .chain(plan.deliveries)
            .flatten()
            .collect();
        let count = cores.len();
        cores.sort_unstable();
        cores.dedup();
        assert_eq!(cores.len(), count);
    }
}
