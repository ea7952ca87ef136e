//! The command line: which benchmark, how long, against what; and the exit status.
//!
//! 0: measured, and good. 1: measured, but frames were not delivered exactly once or a target was
//! missed. 2: not measured.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::Benchmark;
use crate::common::Common;
use crate::engine;
use crate::error::PerfError;
use crate::machine::{self, Steal};
use crate::parts::{self, Part};
use crate::report::{self, Chapter, Section};
use crate::screen::say;
use crate::testbed::{Testbed, on_path};

/// Whole-system benchmarks of the Flipped Load Balancer, beside a bare relay in the same run.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    One(Benchmark),
    /// All of them, as by default, into one report: an hour.
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
        Command::One(benchmark) => measure(&benchmark.name(), &[benchmark], &cli.common),
        Command::All => measure("all", &Benchmark::all(), &cli.common),
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
fn measure(name: &str, benchmarks: &[Benchmark], common: &Common) -> Result<bool, PerfError> {
    if cfg!(debug_assertions) {
        say(&format!("build: {}", machine::build()));
    }
    let testbed = Testbed {
        engine: engine::program(common.engine.as_deref())?,
        data: common.data.clone().unwrap_or_else(std::env::temp_dir),
        nats: on_path("nats-server"),
    };
    let (mut facts, steal) = (machine::facts(&testbed.data), Steal::begin());
    facts.push(("durability".into(), engine::name_of(common.durability)));
    crate::cleanup::on_signals()?;
    let out = common.out.clone().unwrap_or_else(|| default_out(name));
    let title = format!("Benchmark: {name}");
    let mut chapters = Vec::new();
    let mut failed = None;
    for benchmark in benchmarks {
        let section = match benchmark.run(&testbed, common) {
            Ok(section) => section,
            Err(error) => {
                say(&format!("{}: {error}", benchmark.name()));
                let section = Section::not_measured(&benchmark.name(), &error);
                failed = Some(error);
                section
            }
        };
        let chapter = Chapter {
            name: benchmark.name(),
            section,
            command: machine::command(&benchmark.name()),
        };
        println!("{}", chapter.render());
        chapters.push(chapter);
        // After each: an hour's run that is cut short has not measured in vain.
        let facts = [&facts[..], &[steal.fact()]].concat();
        let path = report::write(&out, &title, &facts, &chapters)?;
        say(&format!("report: {}", path.display()));
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(chapters.iter().all(|it| it.section.is_good)),
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
        assert_eq!((cli.common.rounds(3), cli.common.quick), (2, true));
        assert_eq!(cli.common.pick(None, 60, 2), 2);
        assert!(Cli::try_parse_from(["x", "all", "--rounds", "0"]).is_err());
    }
}
