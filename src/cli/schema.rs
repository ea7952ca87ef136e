//! `flipped-lb schema`: makes the store's tables, shows their SQL, or says what is wrong with them.
//!
//! Fed by the command line and the settings; the work is [`crate::store::schema`]'s.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::output::print;
use crate::config;
use crate::engine::directory;
use crate::escape::Escaped;
use crate::store;
use crate::store::schema::{Problem, Schema};

const EXAMPLES: &str = "Examples:
  flipped-lb schema apply --config my.toml      make database and tables, mend older ones
  flipped-lb schema apply --partition-by day    the same, and [store] keep drops whole days
  flipped-lb schema check                       is the schema as the engine needs it?
  flipped-lb schema show > schema.sql           the SQL, for hands and reviews

The database is [store] url of the settings. Exit code 1 if check finds a problem.";

/// Make the store's tables, show their SQL, or say what is wrong with them.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) action: Action,
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// What to do with the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Action {
    /// Make database and tables, and mend what is there; rows are kept.
    Apply {
        /// Divide a server's table into partitions, one a day, so that old days are dropped whole; its
        /// rows are written anew.
        #[arg(long, value_enum, value_name = "PERIOD")]
        partition_by: Option<Period>,
    },
    /// Print the SQL.
    Show,
    /// Say what is wrong, and which statement mends it; change nothing.
    Check,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Period {
    /// The rows that came on one day, UTC.
    Day,
}

/// Does it.
///
/// # Errors
/// The settings name no database; it cannot be asked; or `check` has found a problem.
pub(crate) fn run(args: SchemaArgs) -> Result<(), Failure> {
    let config = config::load(args.config.as_deref())?;
    let Some(schema) = store::schema_of(&config) else {
        let words = "[store] url is none: there is no schema; name a database";
        return Err(Failure::Usage(words.to_owned()));
    };
    match args.action {
        Action::Show => print(&schema.show()),
        Action::Check => check(&*schema),
        Action::Apply { partition_by } => {
            directory::private_files();
            std::fs::create_dir_all(&config.data_dir).map_err(|error| {
                Failure::Failed(format!("{}: {error}", config.data_dir.display()))
            })?;
            apply(&*schema, partition_by)
        }
    }
}

fn apply(schema: &dyn Schema, partition_by: Option<Period>) -> Result<(), Failure> {
    let mut done = schema.apply().map_err(|it| Failure::because(it.words()))?;
    if partition_by == Some(Period::Day) {
        let divided = schema.partition_by_day();
        done.extend(divided.map_err(|it| Failure::because(it.words()))?);
    }
    let mut text = format!("{}\n", schema.place());
    for line in &done {
        let _ = writeln!(text, "  {line}");
    }
    if done.is_empty() {
        text.push_str("  the schema is as the engine needs it\n");
    }
    print(&text)
}

fn check(schema: &dyn Schema) -> Result<(), Failure> {
    let problems = schema.check().map_err(|it| Failure::because(it.words()))?;
    if problems.is_empty() {
        let notes = schema.notes().map_err(|it| Failure::because(it.words()))?;
        let mut text = format!("{}: the schema is as the engine needs it\n", schema.place());
        for Problem { what, mend, .. } in &notes {
            let _ = writeln!(text, "  note: {what}\n    {mend}");
        }
        return print(&text);
    }
    let place = schema.place();
    let mut text = format!("{place}: the schema is not as the engine needs it\n");
    for Problem { what, mend, .. } in &problems {
        let _ = writeln!(
            text,
            "  {}\n    {}",
            Escaped(what),
            mend.replace('\n', "\n    ")
        );
    }
    text.push_str("flipped-lb schema apply does all of it, and keeps the rows");
    Err(Failure::Failed(text))
}
