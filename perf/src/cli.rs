//! The command line: which benchmark, how long, against what; and the exit status.
//!
//! 0: measured, and good. 1: measured, but frames were not delivered exactly once or a target was
//! missed. 2: not measured.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::bench::Benchmark;
use crate::common::{Asked, Choice, Common, Engines, Stage};
use crate::compare::{self, Report};
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
        /// How the result stands on standard output.
        #[arg(long, value_enum, value_name = "FORMAT", default_value = "md")]
        format: Format,
        /// How much worse a figure of B may be.
        #[arg(
            long, value_name = "PERCENT", default_value = "5%", value_parser = compare::tolerance
        )]
        tolerance: f64,
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
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let (_, given) = matches.subcommand().expect("clap asks for a command");
    let result = match cli.command {
        Command::Part { part } => parts::play(part).map(|()| true),
        Command::Compare {
            a,
            b,
            format,
            tolerance,
        } => compare(&a, &b, format, tolerance),
        Command::One(benchmark) => {
            let (name, asked) = benchmark.named();
            let (common, choice) = (asked.common(), asked.choice());
            let checked = asked.check();
            checked.and_then(|()| measure(name, &[&benchmark], common, &choice, given))
        }
        Command::All { common, engines } => {
            let all = Benchmark::all();
            let all: Vec<&Benchmark> = all.iter().collect();
            measure("all", &all, &common, &engines.into(), given)
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

fn compare(a: &Path, b: &Path, format: Format, tolerance: f64) -> Result<bool> {
    let comparison = Report::read(a)?.compare(&Report::read(b)?, tolerance);
    print!("{}", comparison.show(format));
    Ok(comparison.is_good())
}

/// Measures, reports, and says whether all was good.
fn measure(
    name: &str,
    benchmarks: &[&Benchmark],
    common: &Common,
    choice: &Choice,
    given: &ArgMatches,
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
    facts.push(("durability".into(), durability(choice, benchmarks)));
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
            command: machine::command(again(given, name, asked, choice)),
        });
        // After each: an hour's run that is cut short has not measured in vain.
        header.facts.truncate(known);
        header.facts.extend(afterwards.facts());
        let path = report::write(&out, &header, &chapters)?;
        say(format!("report: {}", path.display()));
    }
    print!("{}", report::show(common.format, &header, &chapters));
    let mut is_good = chapters.iter().all(|it| it.section.is_good);
    if let Some(baseline) = baseline {
        let comparison = baseline.compare(&Report::read(&out)?, common.tolerance);
        report::append(&out, &comparison.show(Format::Md))?;
        say(comparison.show(Format::Md));
        is_good &= comparison.is_good();
    }
    failed.map_or(Ok(is_good), Err)
}

/// The durability that is played; one benchmark plays several.
fn durability(choice: &Choice, benchmarks: &[&Benchmark]) -> String {
    const EACH: &str = "each in turn";
    let Some(played) = choice.durability.map(engine::name_of) else {
        return EACH.into();
    };
    match benchmarks {
        [_] => played,
        _ => format!("{played}; in `durability` {EACH}"),
    }
}

/// The arguments that play a benchmark again: of those that were given the ones that it takes. Without `--out`, for
/// that folder has a report now.
fn again(given: &ArgMatches, name: &str, asked: &dyn Asked, choice: &Choice) -> Vec<String> {
    let cli = Cli::command();
    let benchmark = cli.find_subcommand(name).expect("it has its command");
    let mut words = vec![name.to_owned()];
    for id in given.ids().map(|it| it.as_str()) {
        let is_given = given.value_source(id) == Some(ValueSource::CommandLine);
        let is_obeyed = match id {
            "out" => false,
            "nats_server" => choice.plays_nats(asked.bench()),
            _ => true,
        };
        let option = benchmark.get_arguments().find(|it| it.get_id() == id);
        let (true, true, Some(option)) = (is_given, is_obeyed, option) else {
            continue;
        };
        let long = option.get_long().expect("a benchmark has options alone");
        words.push(format!("--{long}"));
        if option.get_action().takes_values() {
            let values = given.get_raw(id).into_iter().flatten();
            let values: Vec<_> = values.map(|it| it.to_string_lossy()).collect();
            // Where one is taken, the first was played.
            words.push(match option.get_value_delimiter() {
                Some(_) => values.join(","),
                None => values.into_iter().take(1).collect(),
            });
        }
    }
    words
}

fn default_out(name: &str) -> PathBuf {
    let date = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S");
    Path::new("perf/results").join(format!("{name}-{date}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Durability, Threads};

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
            "growth --of durability",
            "latency --tolerance 1%",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        for right in [
            "compare a b --tolerance 1%",
            "latency --tolerance 1% --baseline a",
            "all --threads auto,shared",
        ] {
            assert!(parsed(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn what_others_leave_without_effect_is_refused() {
        let checked = |line: &str| match parsed(line) {
            Ok(Command::One(it)) => it.named().1.check(),
            other => panic!("{line}: {other:?}"),
        };
        for wrong in [
            "soak --mysql-url mysql://u@h:1",
            "store --into sqlite --mysql-url mysql://u@h:1",
            "throughput --nats-server x",
            "target --durability synced --nats-server x",
            "growth --values 1",
            "growth --of sources,levels --values 1",
        ] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
        for right in [
            "soak --into sqlite,server --mysql-url mysql://u@h:1",
            "store --mysql-url mysql://u@h:1",
            "latency --nats-server x",
            "target --durability replicated --nats-server x",
            "growth --of levels --values 1",
        ] {
            assert!(checked(right).is_ok(), "{right}");
        }
    }

    /// The lines that play each benchmark of this one again.
    fn lines_of(all: &str) -> Vec<String> {
        let words = ["flipped-lb-perf"].into_iter().chain(all.split(' '));
        let matches = Cli::command().try_get_matches_from(words).expect(all);
        let Ok(Command::All { engines, .. }) = parsed(all) else {
            panic!("{all}")
        };
        let (_, given) = matches.subcommand().expect(all);
        let (choice, benchmarks) = (engines.into(), Benchmark::all());
        let named = benchmarks.iter().map(Benchmark::named);
        let again = named.map(|(name, asked)| again(given, name, asked, &choice).join(" "));
        again.collect()
    }

    #[test]
    fn each_benchmark_of_all_is_played_again_with_what_it_takes_of_the_options() {
        let spaced =
            "all --threads auto,shared --out o --durability synced --nats-server x --quick";
        let joined =
            "all --threads=auto,shared --out=o --durability=synced --nats-server=x --quick";
        let lines = lines_of(spaced);
        assert_eq!(lines, lines_of(joined));
        for (line, benchmark) in lines.iter().zip(Benchmark::all()) {
            let again = match parsed(line) {
                Ok(Command::One(it)) => it,
                other => panic!("{line}: {other:?}"),
            };
            let (name, asked) = again.named();
            asked.check().expect(line);
            assert_eq!(name, benchmark.named().0);
            assert!(
                asked.common().quick && asked.common().out.is_none(),
                "{line}"
            );
            let choice = asked.choice();
            let durability = (name != "durability").then_some(Durability::Synced);
            assert_eq!(choice.durability, durability, "{line}");
            assert_eq!(choice.nats_server.is_some(), name == "latency", "{line}");
            let modes = match name {
                "throughput" | "latency" => vec![Threads::Auto, Threads::Shared],
                _ => vec![Threads::Auto],
            };
            assert_eq!(choice.threads, modes, "{line}");
        }
        let replicated = lines_of("all --durability replicated --nats-server x");
        let needs = |line: &&String| line.ends_with(" --durability replicated --nats-server x");
        assert_eq!(replicated.iter().filter(needs).count(), lines.len() - 1);
    }

    #[test]
    fn the_header_says_of_each_benchmark_which_durability_it_played() {
        let said = |line: &str| match parsed(line) {
            Ok(Command::One(it)) => durability(&it.named().1.choice(), &[&it]),
            Ok(Command::All { engines, .. }) => {
                let all = Benchmark::all();
                durability(&engines.into(), &all.iter().collect::<Vec<_>>())
            }
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(said("growth --durability synced"), "synced");
        assert_eq!(said("durability"), "each in turn");
        assert_eq!(said("all"), "written; in `durability` each in turn");
    }
}
