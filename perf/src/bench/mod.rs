//! The benchmarks: what is played, how often, and what the report says of it.
//!
//! A new one is a file here and a line below: its arguments, which say how it runs.

mod backlog;
mod footprint;
mod growth;
mod isolation;
mod latency;
mod overload;
mod recovery;
mod soak;
mod store;
mod sustained;
mod target;
mod throughput;
mod waiting;

use clap::{FromArgMatches, Subcommand};

use crate::common::{Bench, Stage};
use crate::error::PerfError;
use crate::report::Section;

macro_rules! benchmarks {
    ($($(#[$doc:meta])* $name:ident($arguments:ty),)*) => {
        /// All benchmarks, in the order in which `all` plays them.
        #[derive(Debug, Clone, Subcommand)]
        pub(crate) enum Benchmark {
            $($(#[$doc])* $name($arguments),)*
        }

        impl Benchmark {
            /// Its name on the command line.
            pub(crate) fn name(&self) -> String {
                match self {
                    $(Self::$name(_) => stringify!($name).to_lowercase(),)*
                }
            }

            fn arguments(&self) -> &dyn Bench {
                match self {
                    $(Self::$name(arguments) => arguments,)*
                }
            }
        }
    };
}

benchmarks! {
    /// 10,000 msg/s for a minute, each with its row: PASS or FAIL, and the exit status to match.
    Target(target::TargetArgs),
    /// Flat out: messages a second, engine against relay.
    Throughput(throughput::ThroughputArgs),
    /// Flat out for a minute, against the disk's own rate.
    Sustained(sustained::SustainedArgs),
    /// On schedule at several rates: p50 to p99.99, against the relay and nats-server.
    Latency(latency::LatencyArgs),
    /// One customer reads at half its input: what its levels and the other customers notice.
    Overload(overload::OverloadArgs),
    /// One bad source beside good ones: what the customers of the good ones notice.
    Isolation(isolation::IsolationArgs),
    /// Ten million messages for an absent customer: memory, the others' latency, how fast they go.
    Backlog(backlog::BacklogArgs),
    /// Memory, written, synced: throughput and latency side by side.
    Durability(growth::DurabilityArgs),
    /// Rows a second into SQLite and a server against a bare load, and latency beside a store that fails.
    Store(store::StoreArgs),
    /// A killed engine with a long journal: time until it is ready, and its memory.
    Recovery(recovery::RecoveryArgs),
    /// System calls for a thousand messages (needs strace).
    Syscalls(footprint::SyscallsArgs),
    /// The processor time of an engine with nothing to do, by idle strategy.
    Idle(footprint::IdleArgs),
    /// Throughput and latency over sources, destinations, levels, frame size, backlog, agents.
    Growth(growth::GrowthArgs),
    /// An hour at 10,000 msg/s with a store that keeps rows for minutes: what grows? Not in `all`.
    Soak(soak::SoakArgs),
}

/// It takes an hour by itself.
const NOT_IN_ALL: &str = "soak";

impl Benchmark {
    /// Plays it.
    pub(crate) fn run(&self, stage: &Stage<'_>) -> Result<Section, PerfError> {
        self.arguments().run(stage)
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
        let names: Vec<String> = Benchmark::all().iter().map(Benchmark::name).collect();
        let command = Benchmark::augment_subcommands(clap::Command::new("all"));
        let known = command.get_subcommands().map(|it| it.get_name());
        let known: Vec<&str> = known.filter(|it| *it != NOT_IN_ALL).collect();
        assert_eq!(names, known);
    }
}
