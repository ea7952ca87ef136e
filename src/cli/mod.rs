//! The commands: what the user typed, and which file carries it out.
//!
//! Fed by `main`; each command is a file of its own that takes its arguments and gives `Ok` or a
//! `Failure`. Here are only the list of commands, the exit code and the last words.
//!
//! Exit codes: 0 fine, 1 failure, 2 wrong usage or wrong settings.

pub(crate) mod check;
mod cluster;
mod completions;
mod demo;
mod doctor;
mod health;
mod help;
mod histogram;
mod journal;
mod man;
mod publish;
mod reload;
mod report;
mod run;
mod run_group;
mod running;
mod schema;
mod subscribe;
mod top;
mod user;

mod client;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod log;
mod moment;
mod output;
mod publish_answers;
mod publish_journal;
mod service;
mod settings;
mod signals;
#[cfg(test)]
mod testing;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub(crate) use failure::Failure;

const EXAMPLES: &str = "Examples:
  flipped-lb demo                         the whole system on this machine, for ten seconds
  flipped-lb check                        what the settings mean, or what is wrong with them
  flipped-lb run --config my.toml         the engine
  flipped-lb top                          who waits for what, live
  flipped-lb reload                       a running engine takes its changed settings
  flipped-lb cluster status               who serves the group, and how far the others are
  flipped-lb subscribe table1 table2      read the messages of two customers
  flipped-lb publish --address 127.0.0.1:9001 --destination table1 --count 10
  flipped-lb schema apply                 the tables of the store's database
  flipped-lb report --by slowest          the usual questions to the store
  flipped-lb histogram flipped-lb-data/histograms --over-time --since 10m
  flipped-lb journal verify               is the journal whole

Settings come from flipped-lb.toml in the current directory, or from --config FILE; environment
variables FLIPPED_LB_<SECTION>_<KEY> override them. FLIPPED_LB_LOG is off, error, warn, info, debug
or trace. Exit codes: 0 fine, 1 failure, 2 wrong usage or settings.";

/// Merges the messages of many servers into one stream, orders it by priority, and hands each
/// message to the customer it is for: fast, once, and with nothing lost.
#[derive(Debug, Parser)]
#[command(name = "flipped-lb", version, long_version = crate::formats::version_lines(),
    after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the engine in the foreground.
    Run(run::RunArgs),
    /// Run the whole system on this machine: simulated servers, engine, customers.
    Demo(demo::DemoArgs),
    /// Say what the settings mean, or what is wrong with them.
    Check(check::CheckArgs),
    /// Say whether this machine is fit and quiet, and what mends what is found.
    Doctor(doctor::DoctorArgs),
    /// Read the messages of destinations.
    Subscribe(subscribe::SubscribeArgs),
    /// Send messages to the engine.
    Publish(publish::PublishArgs),
    /// Show latency files as a table, draw them, compare them.
    Histogram(histogram::HistogramArgs),
    /// Watch an engine live: rates, troubles, and what each customer waits for.
    Top(top::TopArgs),
    /// Have a running engine read its settings anew, and say what changed.
    Reload(reload::ReloadArgs),
    /// Ask a running engine whether it is well.
    Health(health::HealthArgs),
    /// Say who serves a group of engines, or have another member serve.
    Cluster(cluster::ClusterArgs),
    /// Look at the journal, or mend it.
    Journal(journal::JournalArgs),
    /// Make the store's tables, show their SQL, or say what is wrong with them.
    Schema(schema::SchemaArgs),
    /// Answer the usual questions from the store: by priority, customer, hour; slowest; lag.
    Report(report::ReportArgs),
    /// Print a shell's completions.
    Completions(completions::CompletionsArgs),
    /// Print a manual page, or write them all.
    Man(man::ManArgs),
    /// Make tokens of users, and their settings.
    User(user::UserArgs),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let command = std::env::args_os().nth(1);
    if command.is_some_and(|it| it == "run" || it == "demo") {
        signals::endure();
    }
    ExitCode::from(run_args(std::env::args_os()))
}

/// Runs the command line `args` (the first one is the program's name) and gives its exit code.
pub(crate) fn run_args(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let mut command = help::flowing(Cli::command());
    let matches = command.try_get_matches_from_mut(args);
    let parsed = matches.and_then(|it| Cli::from_arg_matches(&it));
    let cli = match parsed.map_err(|it| it.format(&mut command)) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers too; a reader that has gone is no failure.
            if let Err(error) = answer.print()
                && error.kind() != std::io::ErrorKind::BrokenPipe
            {
                return 1;
            }
            return u8::try_from(answer.exit_code()).unwrap_or(2);
        }
    };
    let runs_engine = cli.command.runs_engine();
    let done = log::start(runs_engine).and_then(|()| cli.command.run());
    let exit_code = match done {
        Ok(()) => 0,
        Err(failure) => {
            if let Some(words) = failure.words() {
                crate::log::say_last(words);
            }
            failure.exit_code()
        }
    };
    crate::log::finish();
    exit_code
}

impl Command {
    /// Whether an engine runs in this process: then nothing waits for the reader of its output.
    fn runs_engine(&self) -> bool {
        matches!(self, Command::Run(_) | Command::Demo(_))
    }

    fn run(self) -> Result<(), Failure> {
        match self {
            Command::Run(args) => run::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Check(args) => check::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Subscribe(args) => subscribe::run(args),
            Command::Publish(args) => publish::run(args),
            Command::Histogram(args) => histogram::run(args),
            Command::Top(args) => top::run(args),
            Command::Reload(args) => reload::run(args),
            Command::Health(args) => health::run(args),
            Command::Cluster(args) => cluster::run(args),
            Command::Journal(args) => journal::run(args),
            Command::Schema(args) => schema::run(args),
            Command::Report(args) => report::run(args),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => man::run(args),
            Command::User(args) => user::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_exits_2_and_help_exits_0() {
        assert_eq!(run_args(["flipped-lb", "--help"]), 0);
        assert_eq!(run_args(["flipped-lb", "--version"]), 0);
        assert_eq!(run_args(["flipped-lb"]), 2);
        assert_eq!(run_args(["flipped-lb", "subscribe"]), 2);
        assert_eq!(run_args(["flipped-lb", "chekc"]), 2);
    }

    #[test]
    fn a_settings_file_that_is_not_there_exits_2() {
        assert_eq!(
            run_args(["flipped-lb", "check", "--config", "/no/such.toml"]),
            2
        );
    }
}
