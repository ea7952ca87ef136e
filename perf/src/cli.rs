//! The command line: which benchmark, how long, against what; and the exit status.
//!
//! 0: measured, and good. 1: measured, but frames were not delivered exactly once or a target was
//! missed. 2: not measured.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::Benchmark;
use crate::common::{Common, Stage};
use crate::compare::Report;
use crate::engine;
use crate::error::PerfError;
use crate::machine::{self, Afterwards};
use crate::parts::{self, Part};
use crate::progress::{Progress, say};
use crate::report::{self, Chapter, Format, Header, Section};
use crate::testbed::{Testbed, on_path};

/// Whole-system benchmarks of the Flipped Load Balancer, beside a bare relay in the same run.
#[derive(Debug, Parser)]
#[command(version, long_version = crate::build_info::lines(), max_term_width = 100)]
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
    /// Compare two reports: exit status 1 where a figure of B is worse by more than --tolerance.
    Compare {
        /// The folder of the earlier report.
        a: PathBuf,
        /// The folder of the later one.
        b: PathBuf,
    },
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
        Command::Compare { a, b } => compare(&a, &b, &cli.common),
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

fn compare(a: &Path, b: &Path, common: &Common) -> Result<bool, PerfError> {
    let comparison = Report::read(a)?.compare(&Report::read(b)?, common.tolerance);
    print!("{}", comparison.show(common.format));
    Ok(comparison.is_good())
}

/// Measures, reports, and says whether all was good.
fn measure(name: &str, benchmarks: &[Benchmark], common: &Common) -> Result<bool, PerfError> {
    let out = common.out.clone().unwrap_or_else(|| default_out(name));
    report::check_new(&out)?;
    let baseline = common.baseline.as_deref().map(Report::read).transpose()?;
    if cfg!(debug_assertions) {
        say("a debug build: its figures mean nothing, add --release");
    }
    let testbed = Testbed {
        engine: engine::program(common.engine.as_deref())?,
        data: common.data.clone().unwrap_or_else(std::env::temp_dir),
        nats: (common.nats_server.clone()).or_else(|| on_path("nats-server")),
    };
    let afterwards = Afterwards::begin();
    let mut header = Header {
        title: format!("Benchmark: {name}"),
        is_quick: common.quick,
        facts: machine::facts(&testbed.data, &testbed.engine),
    };
    header
        .facts
        .push(("durability".into(), engine::name_of(common.durability)));
    let known = header.facts.len();
    crate::cleanup::on_signals()?;
    let progress = Progress::new(benchmarks.len());
    let stage = Stage {
        testbed: &testbed,
        common,
        progress: &progress,
    };
    let mut chapters = Vec::new();
    let mut failed = None;
    for benchmark in benchmarks {
        progress.begin_benchmark();
        let section = match benchmark.run(&stage) {
            Ok(section) => section,
            Err(error) => {
                say(&format!("{}: {error}", benchmark.name()));
                let section = Section::not_measured(&benchmark.name(), &error);
                failed = Some(error);
                section
            }
        };
        chapters.push(Chapter {
            name: benchmark.name(),
            section,
            command: machine::command(&benchmark.name()),
        });
        // After each: an hour's run that is cut short has not measured in vain.
        header.facts.truncate(known);
        header.facts.extend(afterwards.facts());
        let path = report::write(&out, &header, &chapters)?;
        say(&format!("report: {}", path.display()));
    }
    print!("{}", report::show(common.format, &header, &chapters));
    let is_no_worse = match baseline {
        None => true,
        Some(baseline) => {
            let comparison = baseline.compare(&Report::read(&out)?, common.tolerance);
            report::append(&out, &comparison.show(Format::Md))?;
            say(&comparison.show(Format::Md));
            comparison.is_good()
        }
    };
    match failed {
        Some(error) => Err(error),
        None => Ok(is_no_worse && chapters.iter().all(|it| it.section.is_good)),
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
