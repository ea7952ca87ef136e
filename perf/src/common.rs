//! What all benchmarks share: their arguments, and what they are.

use std::path::PathBuf;

use clap::Args;

use crate::compare;
use crate::engine::{Durability, Settings, Threads};
use crate::error::PerfError;
use crate::progress::Progress;
use crate::report::{Format, Section};
use crate::rounds::{Contestant, Played, play};
use crate::testbed::Testbed;

/// What every benchmark takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where the report, the data and the pictures go [default: perf/results/BENCHMARK-DATE].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Rounds of each case, engine and baseline in turn [default: 5 for throughput, 3 elsewhere].
    #[arg(
        long, global = true, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) rounds: Option<u32>,
    /// Seconds a benchmark, to see that all works: its figures are rough.
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    /// The engine's durability.
    #[arg(long, global = true, value_enum, default_value = "written")]
    pub(crate) durability: Durability,
    /// The engine's threading modes: `throughput` and `latency` play each, the others the first.
    #[arg(
        long, global = true, value_enum, value_name = "MODE", value_delimiter = ',',
        default_values = ["auto"]
    )]
    pub(crate) threads: Vec<Threads>,
    /// Where the engine's data lives while it runs: on the disk that is to be measured [default:
    /// the system's temporary directory].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// nats-server: `latency` plays it beside the engine, `--durability replicated` needs it [default: the
    /// one on PATH].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) nats_server: Option<PathBuf>,
    /// How the result stands on standard output.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "md"
    )]
    pub(crate) format: Format,
    /// An earlier report's folder to compare with: exit status 1 where a figure is worse.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) baseline: Option<PathBuf>,
    /// How much worse than the baseline a figure may be.
    #[arg(
        long, global = true, value_name = "PERCENT", default_value = "5%",
        value_parser = compare::tolerance
    )]
    pub(crate) tolerance: f64,
    /// The engine [default: the one beside this program, built first under cargo].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) engine: Option<PathBuf>,
}

impl Common {
    /// Rounds of each case: as asked for, else so many, or one to see that it works.
    pub(crate) fn rounds(&self, default: u32) -> u32 {
        let default = if self.quick { 1 } else { default };
        self.rounds.unwrap_or(default)
    }

    /// The engine's settings as asked for, all else as by default.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            threads: self.threads[0],
            ..Settings::new(self.durability)
        }
    }

    /// A number that was asked for, else the full or the quick one.
    pub(crate) fn pick(&self, asked: Option<u64>, full: u64, quick: u64) -> u64 {
        asked.unwrap_or(if self.quick { quick } else { full })
    }
}

/// Bytes of a frame where nothing else is said: a typical order.
pub(crate) const FRAME_LEN: usize = 390;

/// What all benchmarks of a run share.
pub(crate) struct Stage<'a> {
    pub(crate) testbed: &'a Testbed,
    pub(crate) common: &'a Common,
    pub(crate) progress: &'a Progress,
}

impl Stage<'_> {
    /// Plays rounds of these: as many as asked for, else as many as this.
    pub(crate) fn play(
        &self,
        contestants: &[Contestant<'_>],
        rounds: u32,
    ) -> Result<Vec<Played>, PerfError> {
        play(
            self.testbed,
            contestants,
            self.common.rounds(rounds),
            self.progress,
        )
    }
}

/// A benchmark, with its arguments.
pub(crate) trait Bench {
    /// Plays it. What was measured is no error, however bad.
    fn run(&self, stage: &Stage<'_>) -> Result<Section, PerfError>;
}
