//! The benchmarks: what is played, how often, and what the report says of it.
//!
//! A new one is a file here, and three lines below: its `mod`, its variant, and its name.

mod backlog;
mod footprint;
mod growth;
mod isolation;
mod latency;
mod overload;
mod prelude;
mod recovery;
mod soak;
mod store;
mod sustained;
mod target;
mod throughput;

use clap::{FromArgMatches, Subcommand};

use crate::common::{Asked, Engine, Engines, Mode, Options};

/// All benchmarks, in the order in which `all` plays them.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Benchmark {
    /// 10,000 msg/s for a minute, each with its row: PASS or FAIL, and the exit status to match.
    Target(Options<Engine, target::TargetArgs>),
    /// Flat out: messages a second, engine against relay.
    Throughput(Options<Engines, throughput::ThroughputArgs>),
    /// Flat out for a minute, against the disk's own rate.
    Sustained(Options<Engine, sustained::SustainedArgs>),
    /// On schedule at several rates: p50 to p99.99, against the relay and nats-server.
    Latency(Options<Engines, latency::LatencyArgs>),
    /// One customer reads at half its input: what its levels and the other customers notice.
    Overload(Options<Engine, overload::OverloadArgs>),
    /// One bad source beside good ones: what the customers of the good ones notice.
    Isolation(Options<Engine, isolation::IsolationArgs>),
    /// Ten million messages for an absent customer: memory, the others' latency, how fast they go.
    Backlog(Options<Engine, backlog::BacklogArgs>),
    /// Memory, written, synced: throughput and latency side by side.
    Durability(Options<Mode, growth::DurabilityArgs>),
    /// Rows a second into SQLite and a server against a bare load, and latency beside a store that fails.
    Store(Options<Engine, store::StoreArgs>),
    /// A killed engine with a long journal: time until it is ready, and its memory.
    Recovery(Options<Engine, recovery::RecoveryArgs>),
    /// System calls for a thousand messages (needs strace).
    Syscalls(Options<Engine, footprint::SyscallsArgs>),
    /// The processor time of an engine with nothing to do, by idle strategy.
    Idle(Options<Engine, footprint::IdleArgs>),
    /// Throughput and latency over sources, destinations, levels, frame size, backlog, agents.
    Growth(Options<Engine, growth::GrowthArgs>),
    /// An hour at 10,000 msg/s with a store that keeps rows for minutes: what grows? Not in `all`.
    Soak(Options<Engine, soak::SoakArgs>),
}

/// It takes an hour by itself.
const NOT_IN_ALL: &str = "soak";

impl Benchmark {
    /// Its name on the command line, and what was asked for.
    pub(crate) fn named(&self) -> (&'static str, &dyn Asked) {
        match self {
            Self::Target(it) => ("target", it),
            Self::Throughput(it) => ("throughput", it),
            Self::Sustained(it) => ("sustained", it),
            Self::Latency(it) => ("latency", it),
            Self::Overload(it) => ("overload", it),
            Self::Isolation(it) => ("isolation", it),
            Self::Backlog(it) => ("backlog", it),
            Self::Durability(it) => ("durability", it),
            Self::Store(it) => ("store", it),
            Self::Recovery(it) => ("recovery", it),
            Self::Syscalls(it) => ("syscalls", it),
            Self::Idle(it) => ("idle", it),
            Self::Growth(it) => ("growth", it),
            Self::Soak(it) => ("soak", it),
        }
    }

    /// All of them but [`NOT_IN_ALL`], with the arguments that they have by default.
    pub(crate) fn all() -> Vec<Self> {
        let command = Self::augment_subcommands(clap::Command::new("all"));
        let names = command.get_subcommands().map(|it| it.get_name().to_owned());
        let by_name = |name: String| {
            let matches = command.clone().get_matches_from(["all", &name]);
            Self::from_arg_matches(&matches).expect("a benchmark's name is one")
        };
        let names = names.filter(|it| it != NOT_IN_ALL);
        names.collect::<Vec<_>>().into_iter().map(by_name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_all_under_the_names_they_are_called_by() {
        let all = Benchmark::all();
        let names: Vec<&str> = all.iter().map(|it| it.named().0).collect();
        let command = Benchmark::augment_subcommands(clap::Command::new("all"));
        let known = command.get_subcommands().map(|it| it.get_name());
        let known: Vec<&str> = known.filter(|it| *it != NOT_IN_ALL).collect();
        assert_eq!(names, known);
    }
}
