//! The command line: which benchmark, how long, against what; and the exit status.
//!
//! 0: measured, and good. 1: measured, but frames were not delivered exactly once or a target was
//! missed. 2: not measured.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bench::{self, idle, latency, target, throughput};
use crate::engine::{self, Durability};
use crate::error::PerfError;
use crate::machine;
use crate::parts::{self, Part};
use crate::report::{self, Section};
use crate::round::Lab;

/// Whole-system benchmarks of the Flipped Load Balancer, beside a bare relay in the same run.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every benchmark takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where report.md and raw.json go [default: perf/results/BENCHMARK-DATE].
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Rounds of each case, engine and relay in turn [default: 5 for throughput, 3 for latency].
    #[arg(
        long, global = true, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) rounds: Option<u32>,
    /// A minute at most, to see that all works: its figures are rough.
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    /// The engine's durability.
    #[arg(long, global = true, value_enum, default_value = "written")]
    pub(crate) durability: Durability,
    /// Where the engine's data lives while it runs: on the disk that is to be measured [default:
    /// the system's temporary directory].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The engine [default: the one beside this program, built first under cargo].
    #[arg(long, global = true, value_name = "FILE")]
    engine: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Flat out: messages a second, engine against relay.
    Throughput(throughput::ThroughputArgs),
    /// On schedule at several rates: p50 to p99.99, engine against relay.
    Latency(latency::LatencyArgs),
    /// 10,000 msg/s for a minute: PASS or FAIL, and the exit status to match.
    Target(target::TargetArgs),
    /// The processor time of an engine with nothing to do, by idle strategy.
    Idle(idle::IdleArgs),
    /// All of them, as by default, into one report.
    All,
    /// A part of a round.
    #[command(hide = true)]
    Part {
        #[command(subcommand)]
        part: Part,
    },
}

/// Runs what was asked for.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Part { part } => parts::play(part).map(|()| true),
        command => measure(&command, &cli.common),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("flipped-lb-perf: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures, reports, and says whether all was good.
fn measure(command: &Command, common: &Common) -> Result<bool, PerfError> {
    if cfg!(debug_assertions) {
        bench::say(&format!("build: {}", machine::build()));
    }
    let data = common.data.clone().unwrap_or_else(std::env::temp_dir);
    let mut facts = machine::facts(&data);
    let durability = engine::name_of(common.durability);
    facts.push(("durability".into(), durability));
    let engine = engine::program(common.engine.as_deref())?;
    crate::cleanup::on_signals()?;
    let sections = sections(command, common, &Lab { engine, data })?;
    for section in &sections {
        println!("{}", section.render());
    }
    let name = name(command);
    let out = common.out.clone().unwrap_or_else(|| default_out(name));
    let path = report::write(&out, &format!("Benchmark: {name}"), &facts, &sections)?;
    bench::say(&format!("report: {}", path.display()));
    Ok(sections.iter().all(|it| it.is_good))
}

fn sections(command: &Command, common: &Common, lab: &Lab) -> Result<Vec<Section>, PerfError> {
    match command {
        Command::Throughput(args) => throughput::run(lab, common, args).map(|it| vec![it]),
        Command::Latency(args) => latency::run(lab, common, args).map(|it| vec![it]),
        Command::Target(args) => target::run(lab, common, args).map(|it| vec![it]),
        Command::Idle(args) => idle::run(lab, common, args).map(|it| vec![it]),
        Command::All => Ok(vec![
            throughput::run(lab, common, &throughput::ThroughputArgs::full())?,
            latency::run(lab, common, &latency::LatencyArgs::default())?,
            target::run(lab, common, &target::TargetArgs::default())?,
            idle::run(lab, common, &idle::IdleArgs::default())?,
        ]),
        // `main` has taken it.
        Command::Part { .. } => Ok(Vec::new()),
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Throughput(_) => "throughput",
        Command::Latency(_) => "latency",
        Command::Target(_) => "target",
        Command::Idle(_) => "idle",
        Command::All | Command::Part { .. } => "all",
    }
}

fn default_out(name: &str) -> PathBuf {
    let date = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S");
    Path::new("perf/results").join(format!("{name}-{date}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let line = [
            "x",
            "latency",
            "--rate",
            "1000,2000",
            "--rounds",
            "2",
            "--quick",
        ];
        let cli = Cli::try_parse_from(line).expect("a good line");
        assert!(matches!(cli.command, Command::Latency(it) if it.rate == [1_000, 2_000]));
        assert!(Cli::try_parse_from(["x", "all", "--rounds", "0"]).is_err());
    }
}
