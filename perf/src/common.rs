//! What all benchmarks share: their options, and what they are.
//!
//! A benchmark's `--help` lists its options, and it refuses others: hence three ways to choose an engine.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::compare;
use crate::engine::{Durability, Settings, Threads};
use crate::progress::Progress;
use crate::report::{Format, Section};
use crate::rounds::{Contestant, Played, play};
use crate::testbed::Testbed;

/// A benchmark's own options, and those that it shares.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options<E: Args, B: Args> {
    #[command(flatten)]
    own: B,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    engine: E,
}

/// What every benchmark takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Where the report, the data and the pictures go [default: perf/results/BENCHMARK-DATE].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Rounds of each case, engine and baseline in turn [default: 1 to 5, as the benchmark needs].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// Seconds a benchmark, to see that all works: its figures are rough.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the engine's data lives while it runs: on the disk that is to be measured [default:
    /// the system's temporary directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The engine [default: the one beside this program, built first under cargo].
    #[arg(long, value_name = "FILE")]
    pub(crate) engine: Option<PathBuf>,
    /// An earlier report's folder to compare with: exit status 1 where a figure is worse.
    #[arg(long, value_name = "DIR")]
    pub(crate) baseline: Option<PathBuf>,
    /// How much worse than the baseline a figure may be.
    #[arg(
        long, value_name = "PERCENT", default_value = "5%", requires = "baseline",
        value_parser = compare::tolerance
    )]
    pub(crate) tolerance: f64,
    /// How the result stands on standard output.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "md")]
    pub(crate) format: Format,
}

/// How safe a message is before it is delivered.
#[derive(Debug, Clone, Args)]
pub(crate) struct Safety {
    /// The engine's durability.
    #[arg(long, value_enum, default_value = "written")]
    durability: Durability,
    /// nats-server: `latency` plays it beside the engine, `--durability replicated` needs it [default: the
    /// one on PATH].
    #[arg(long, value_name = "FILE")]
    nats_server: Option<PathBuf>,
}

/// An engine in one threading mode.
#[derive(Debug, Clone, Args)]
pub(crate) struct Engine {
    #[command(flatten)]
    safety: Safety,
    #[command(flatten)]
    mode: Mode,
}

/// An engine in several threading modes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Engines {
    #[command(flatten)]
    safety: Safety,
    /// The engine's threading modes: `throughput` and `latency` play each, the others the first.
    #[arg(
        long, value_enum, value_name = "MODE", value_delimiter = ',', default_values = ["auto"]
    )]
    threads: Vec<Threads>,
}

/// An engine whose durability the benchmark chooses.
#[derive(Debug, Clone, Args)]
pub(crate) struct Mode {
    /// The engine's threading mode.
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto")]
    threads: Threads,
}

/// The engine that was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// `None`: the benchmark plays several.
    pub(crate) durability: Option<Durability>,
    pub(crate) nats_server: Option<PathBuf>,
    pub(crate) threads: Vec<Threads>,
}

impl Choice {
    /// Whether a nats-server is started for this benchmark.
    pub(crate) fn plays_nats(&self, bench: &dyn Bench) -> bool {
        self.durability == Some(Durability::Replicated) || bench.plays_nats()
    }
}

impl From<Engines> for Choice {
    fn from(Engines { safety, threads }: Engines) -> Self {
        Self {
            durability: Some(safety.durability),
            nats_server: safety.nats_server,
            threads,
        }
    }
}

impl From<Engine> for Choice {
    fn from(Engine { safety, mode }: Engine) -> Self {
        let threads = vec![mode.threads];
        Engines { safety, threads }.into()
    }
}

impl From<Mode> for Choice {
    fn from(mode: Mode) -> Self {
        Self {
            durability: None,
            nats_server: None,
            threads: vec![mode.threads],
        }
    }
}

/// A benchmark as it was asked for on the command line.
pub(crate) trait Asked {
    fn bench(&self) -> &dyn Bench;
    fn common(&self) -> &Common;
    fn choice(&self) -> Choice;

    /// Refuses an option that the others leave without effect.
    fn check(&self) -> Result<()> {
        let choice = self.choice();
        let is_obeyed = choice.nats_server.is_none() || choice.plays_nats(self.bench());
        ensure!(is_obeyed, "--nats-server needs --durability replicated");
        self.bench().check()
    }
}

impl<E: Args + Clone + Into<Choice>, B: Args + Bench> Asked for Options<E, B> {
    fn bench(&self) -> &dyn Bench {
        &self.own
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn choice(&self) -> Choice {
        self.engine.clone().into()
    }
}

/// Bytes of a frame where nothing else is said: a typical order.
pub(crate) const FRAME_LEN: usize = 390;

/// Messages of a round at most: what it sends is the journal's size on disk, too.
pub(crate) fn messages_max(frame_len: usize) -> u64 {
    (1 << 30) / frame_len.max(1) as u64
}

/// What all benchmarks of a run share.
pub(crate) struct Stage<'a> {
    pub(crate) testbed: &'a Testbed,
    pub(crate) common: &'a Common,
    pub(crate) choice: &'a Choice,
    pub(crate) progress: &'a Progress,
}

impl Stage<'_> {
    /// Rounds of each case: as many as asked for, else so many, or one to see that it works.
    pub(crate) fn rounds(&self, default: u32) -> u32 {
        let default = if self.common.quick { 1 } else { default };
        self.common.rounds.unwrap_or(default)
    }

    /// A number that was asked for, else the full one, or the quick one to see that it works.
    pub(crate) fn pick(&self, asked: Option<u64>, [full, quick]: [u64; 2]) -> u64 {
        asked.unwrap_or(if self.common.quick { quick } else { full })
    }

    /// The engine's settings as asked for, all else as by default.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            threads: self.choice.threads[0],
            ..Settings::new(self.choice.durability.unwrap_or(Durability::Written))
        }
    }

    /// Plays rounds of these: as many as asked for, else as many as this.
    pub(crate) fn play(&self, sides: &[Contestant<'_>], rounds: u32) -> Result<Vec<Played>> {
        play(self.testbed, sides, self.rounds(rounds), self.progress)
    }
}

/// A benchmark, with its own options.
pub(crate) trait Bench {
    /// Refuses one of its own options that the others leave without effect.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether it plays nats-server beside the engine.
    fn plays_nats(&self) -> bool {
        false
    }

    /// Plays it. What was measured is no error, however bad.
    fn run(&self, stage: &Stage<'_>) -> Result<Section>;
}
