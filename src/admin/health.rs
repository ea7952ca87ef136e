//! Whether the engine is well, and whether it takes work.
//!
//! The engine sets the phase; each agent's thread holds an [`AgentGuard`], whose drop is noticed
//! even when the thread panics. The HTTP server reads. It restarts nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::stalls::{Stalls, Waits};
use crate::agent::heartbeat::Heartbeat;
use crate::clock::utc;
use crate::counters::{Counter, Counters};
use crate::faults::{Fault, Part};
use crate::plural::several;

/// Where the engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Settings, recovery, listeners: not ready yet.
    Starting,
    /// Listeners are bound and agents run.
    Running,
    /// No new frames; what was accepted is being settled.
    Draining,
    /// The agents have ended.
    Stopped,
}

impl Phase {
    /// The name that users see.
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Draining => "draining",
            Phase::Stopped => "stopped",
        }
    }

    fn from_u8(value: u8) -> Self {
        match value {
            0 => Phase::Starting,
            1 => Phase::Running,
            2 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }
}

const NOT_STARTED: u8 = 0;
const ALIVE: u8 = 1;
const ENDED: u8 = 2;
const DIED: u8 = 3;

#[derive(Debug)]
struct Agent {
    name: String,
    state: AtomicU8,
}

/// The phase, and each agent's state. All relaxed: each value speaks for itself alone.
#[derive(Debug)]
pub(crate) struct Health {
    phase: AtomicU8,
    agents: Vec<Agent>,
    stalls: Stalls,
}

/// An agent's thread is alive as long as it holds this.
#[derive(Debug)]
pub(crate) struct AgentGuard {
    health: Arc<Health>,
    agent: usize,
}

impl Health {
    /// Of an engine that starts, with the names of the agents that it will have.
    #[must_use]
    pub(crate) fn new<N: Into<String>>(agents: impl IntoIterator<Item = N>) -> Self {
        let agents = agents.into_iter().map(|name| Agent {
            name: name.into(),
            state: AtomicU8::new(NOT_STARTED),
        });
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            agents: agents.collect(),
            stalls: Stalls::default(),
        }
    }

    /// The engine moves on.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Where the engine is.
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }

    /// The calling thread runs this agent until the guard is dropped. If that happens in a panic,
    /// or before the engine drains, the agent has died. `None`: no agent has that name.
    #[must_use]
    pub(crate) fn alive(self: &Arc<Self>, name: &str) -> Option<AgentGuard> {
        let agent = self.agents.iter().position(|it| it.name == name)?;
        self.agents[agent].state.store(ALIVE, Ordering::Relaxed);
        Some(AgentGuard {
            health: Arc::clone(self),
            agent,
        })
    }

    /// The heartbeat of a thread that is about to start, and is looked at from now on.
    pub(crate) fn watch(&self, thread: &'static str, waits: Waits) -> Arc<Heartbeat> {
        self.stalls.watch(thread, waits)
    }

    /// Looks whether all threads go on, so long after the last look.
    pub(super) fn look(&self, elapsed: Duration) {
        self.stalls.look(elapsed);
    }

    /// What is wrong for good, a line each; empty: all is well.
    #[must_use]
    pub(crate) fn unwell(&self) -> Vec<String> {
        let died = self.died();
        let died = (!died.is_empty()).then(|| format!("died: {}", died.join(", ")));
        died.into_iter().chain(self.stalls.found().unwell).collect()
    }

    /// Threads that wait for the disk while frames are welcome nevertheless.
    #[must_use]
    pub(crate) fn late(&self) -> Vec<String> {
        self.stalls.found().degraded
    }

    /// The agents that died, by name; empty: none.
    #[must_use]
    pub(crate) fn died(&self) -> Vec<&str> {
        let died = |agent: &&Agent| agent.state.load(Ordering::Relaxed) == DIED;
        let agents = self.agents.iter().filter(died);
        agents.map(|agent| agent.name.as_str()).collect()
    }

    /// Whether frames are welcome; otherwise why not.
    ///
    /// # Errors
    /// The reason, in a word or two.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let wrong = [self.unwell(), self.stalls.found().unready].concat();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        match self.phase() {
            Phase::Running => Ok(()),
            phase => Err(phase.label().to_owned()),
        }
    }
}

/// Whether the journal takes frames; otherwise why not.
///
/// # Errors
/// The reason, in a few words.
pub(crate) fn has_journal(counters: &Counters) -> Result<(), String> {
    if let Some(Fault { since_us, reason }) = counters.faults().get(Part::JournalLimit) {
        return Err(format!("{reason}; since {}", utc(since_us)));
    }
    if counters.get(Counter::JournalWaiting) == 0 {
        return Ok(());
    }
    let mut why = match counters.faults().journal_waits() {
        Some((waits, since_us)) => format!("{}; since {}", waits.words(), utc(since_us)),
        None => String::from("the journal takes no messages: sources wait"),
    };
    if counters.get(Counter::JournalStuck) != 0 {
        why.push_str(
            ". Not even settlements find room: nothing is delivered, and only room from outside helps",
        );
    } else {
        why.push_str(". What is recorded is delivered and settled");
    }
    let behind = counters.get(Counter::StoreLagMessages);
    let is_failing = counters.get(Counter::StoreFailing) != 0;
    if is_failing || behind > 0 {
        let fails = if is_failing { "fails, and " } else { "" };
        let behind = several(behind, "message");
        why.push_str(&format!(
            ". The store {fails}is {behind} behind: no segment goes before it has followed"
        ));
    }
    Err(why)
}

impl Drop for AgentGuard {
    fn drop(&mut self) {
        let expected = self.health.phase() >= Phase::Draining && !std::thread::panicking();
        let state = if expected { ENDED } else { DIED };
        self.health.agents[self.agent]
            .state
            .store(state, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::JournalWaits;

    #[test]
    fn ready_means_running_with_all_agents_alive() {
        let health = Arc::new(Health::new(["ingest", "scheduler"]));
        assert_eq!(health.ready(), Err("starting".to_owned()));
        let ingest = health.alive("ingest").unwrap();
        let scheduler = health.alive("scheduler").unwrap();
        health.set_phase(Phase::Running);
        assert_eq!(health.ready(), Ok(()));
        drop(scheduler);
        assert_eq!(health.ready(), Err("died: scheduler".to_owned()));
        health.set_phase(Phase::Draining);
        drop(ingest);
        assert_eq!(health.died(), ["scheduler"]);
        assert!(health.alive("delivery").is_none());
    }

    #[test]
    fn a_journal_that_waits_says_for_what_and_since_when() {
        let counters = Counters::default();
        assert_eq!(has_journal(&counters), Ok(()));
        counters.set(Counter::JournalWaiting, 1);
        let since_us = 1_700_000_000_000_000;
        counters
            .faults()
            .set_journal_waits(JournalWaits::DatabaseRoom, Some(since_us));
        let why = has_journal(&counters).expect_err("it waits");
        let begin = "the journal's disk has no more room than the store needs to follow: sources wait \
                     until it has followed and old segments go; since 2023-11-14T22:13:20Z.";
        assert!(why.starts_with(begin), "{why}");
        assert!(!why.contains("The store"), "{why}");
        counters.set(Counter::StoreLagMessages, 7);
        counters.set(Counter::StoreFailing, 1);
        let why = has_journal(&counters).expect_err("it waits");
        let end =
            "The store fails, and is 7 messages behind: no segment goes before it has followed";
        assert!(why.ends_with(end), "{why}");
        counters
            .faults()
            .set_journal_waits(JournalWaits::Descriptors, None);
        let why = has_journal(&counters).expect_err("it waits");
        assert!(why.contains("descriptor"), "{why}");
    }

    #[test]
    fn a_journal_at_its_limit_is_well_and_not_ready() {
        let counters = Counters::default();
        let faults = counters.faults();
        faults.set(Part::JournalLimit, 1_700_000_000_000_000, "it is full");
        let why = has_journal(&counters).expect_err("it may not grow");
        assert_eq!(why, "it is full; since 2023-11-14T22:13:20Z");
        faults.clear(Part::JournalLimit);
        assert_eq!(has_journal(&counters), Ok(()));
    }

    #[test]
    fn an_end_is_expected_while_draining() {
        let health = Arc::new(Health::new(["ingest"]));
        let guard = health.alive("ingest").unwrap();
        health.set_phase(Phase::Draining);
        drop(guard);
        assert!(health.died().is_empty());
        assert_eq!(health.ready(), Err("draining".to_owned()));
    }

    #[test]
    fn a_panic_is_noticed_in_any_phase() {
        let health = Arc::new(Health::new(["journal"]));
        health.set_phase(Phase::Draining);
        let guard = health.alive("journal").unwrap();
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("a test's panic");
        });
        assert!(thread.join().is_err());
        assert_eq!(health.died(), ["journal"]);
    }
}
