//! The command line: which benchmark, how long, against what; and the exit status.
//!
//! 0: measured, and good. 1: measured, but frames were not delivered exactly once or a target was
//! missed. 2: not measured.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench::Benchmark;
use crate::common::{Choice, Common, Engines, Showing, Stage};
use crate::compare::Report;
use crate::engine;
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
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    One(Benchmark),
    /// All of them, as by default, into one report: an hour.
    All {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        engines: Engines,
    },
    /// Compare two reports: exit status 1 where a figure of B is worse by more than --tolerance.
    Compare {
        /// The folder of the earlier report.
        a: PathBuf,
        /// The folder of the later one.
        b: PathBuf,
        #[command(flatten)]
        showing: Showing,
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
    let result = match Cli::parse().command {
        Command::Part { part } => parts::play(part).map(|()| true),
        Command::Compare { a, b, showing } => compare(&a, &b, &showing),
        Command::One(benchmark) => {
            let (name, asked) = benchmark.named();
            measure(name, &[&benchmark], asked.common(), &asked.choice())
        }
        Command::All { common, engines } => {
            let all = Benchmark::all();
            let all: Vec<&Benchmark> = all.iter().collect();
            measure("all", &all, &common, &engines.into())
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("flipped-lb-perf: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn compare(a: &Path, b: &Path, showing: &Showing) -> Result<bool> {
    let comparison = Report::read(a)?.compare(&Report::read(b)?, showing.tolerance);
    print!("{}", comparison.show(showing.format));
    Ok(comparison.is_good())
}

/// Measures, reports, and says whether all was good.
fn measure(
    name: &str,
    benchmarks: &[&Benchmark],
    common: &Common,
    choice: &Choice,
) -> Result<bool> {
    let out = common.out.clone().unwrap_or_else(|| default_out(name));
    report::check_new(&out)?;
    let baseline = common.baseline.as_deref().map(Report::read).transpose()?;
    if cfg!(debug_assertions) {
        say("a debug build: its figures mean nothing, add --release");
    }
    let testbed = Testbed {
        engine: engine::program(common.engine.as_deref())?,
        data: common.data.clone().unwrap_or_else(std::env::temp_dir),
        nats: (choice.nats_server.clone()).or_else(|| on_path("nats-server")),
    };
    let afterwards = Afterwards::begin();
    let mut facts = machine::facts(&testbed.data, &testbed.engine);
    let durability = choice.durability.map(engine::name_of);
    let durability = durability.unwrap_or_else(|| "each in turn".into());
    facts.push(("durability".into(), durability));
    let known = facts.len();
    let mut header = Header {
        title: format!("Benchmark: {name}"),
        is_quick: common.quick,
        facts,
    };
    crate::cleanup::on_signals()?;
    let progress = Progress::new(benchmarks.len());
    let stage = Stage {
        testbed: &testbed,
        common,
        choice,
        progress: &progress,
    };
    let (mut chapters, mut failed) = (Vec::new(), None);
    for benchmark in benchmarks {
        progress.begin_benchmark();
        let (name, asked) = benchmark.named();
        let section = asked.bench().run(&stage).unwrap_or_else(|error| {
            say(format!("{name}: {error:#}"));
            let section = Section::not_measured(name, &error);
            failed = Some(error);
            section
        });
        chapters.push(Chapter {
            name,
            section,
            command: machine::command(name),
        });
        // After each: an hour's run that is cut short has not measured in vain.
        header.facts.truncate(known);
        header.facts.extend(afterwards.facts());
        let path = report::write(&out, &header, &chapters)?;
        say(format!("report: {}", path.display()));
    }
    let showing = &common.showing;
    print!("{}", report::show(showing.format, &header, &chapters));
    let mut is_good = chapters.iter().all(|it| it.section.is_good);
    if let Some(baseline) = baseline {
        let comparison = baseline.compare(&Report::read(&out)?, showing.tolerance);
        report::append(&out, &comparison.show(Format::Md))?;
        say(comparison.show(Format::Md));
        is_good &= comparison.is_good();
    }
    failed.map_or(Ok(is_good), Err)
}

fn default_out(name: &str) -> PathBuf {
    let date = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S");
    Path::new("perf/results").join(format!("{name}-{date}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        let words = ["flipped-lb-perf"].into_iter().chain(line.split(' '));
        Cli::try_parse_from(words).map(|it| it.command)
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let line = "latency --rate 1000,2000 --rounds 2 --quick --threads auto,shared";
        let Ok(Command::One(latency)) = parsed(line) else {
            panic!("{line}")
        };
        let (name, asked) = latency.named();
        assert_eq!((name, asked.common().rounds), ("latency", Some(2)));
        assert_eq!(asked.choice().threads.len(), 2);
    }

    #[test]
    fn no_command_takes_what_it_would_not_obey() {
        for wrong in [
            "all --rounds 0",
            "compare a b --rounds 2",
            "compare a b --durability synced",
            "durability --durability synced",
            "durability --nats-server x",
            "soak --threads auto,shared",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        for right in ["compare a b --tolerance 1%", "all --threads auto,shared"] {
            assert!(parsed(right).is_ok(), "{right}");
        }
    }
}
