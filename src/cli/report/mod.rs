//! `flipped-lb report`: the usual questions to the store, answered beside the engine that runs.
//!
//! Fed by the command line and the settings; `questions` has the statements, [`crate::store::reader`]
//! asks them without writing or locking, `table` makes words of the answers.

mod export;
mod questions;
mod table;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::output::{print, print_json};
use super::{Failure, moment};
use crate::config::{self, Config, Secret};
use crate::store;
use crate::store::reader::{Answer, Dialect, ReadError};
use export::ExportArgs;
pub(crate) use questions::Question;
use questions::{Bounds, Statement};

const EXAMPLES: &str = "Examples:
  flipped-lb report
  flipped-lb report --by slowest --limit 10 --since 2h
  flipped-lb report --by customer,hour --since 2026-11-22 --until 2026-11-23 --json
  flipped-lb report --url mysql://reader@db.example/flipped_lb --by lag
  flipped-lb report export --until 29d --out rows.ndjson.gz
  flipped-lb report --by hour --sql | sqlite3 flipped-lb-data/messages.db

It only reads, also while the engine runs; the store follows the engine, so that the last messages
may be missing (--by lag). FLIPPED_LB_STORE_PASSWORD has the password. Times are UTC.";

/// Answer the usual questions from the store: by priority, customer, hour; slowest; lag.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Which questions; without it all of them.
    #[arg(long, value_name = "QUESTION", value_delimiter = ',')]
    pub(crate) by: Vec<Question>,
    /// Rows of each table at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Only messages that the engine read at this time or later: 2026-11-22, "2026-11-22 07:00", or
    /// so long ago: 2h.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only messages that the engine read before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Print JSON instead of tables.
    #[arg(long, conflicts_with = "sql")]
    pub(crate) json: bool,
    /// Print the statements instead, for any client of the database.
    #[arg(long)]
    pub(crate) sql: bool,
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The database, written as `store.url` is, instead of that of the settings.
    #[arg(long, value_name = "URL", conflicts_with = "config", value_parser = secret)]
    pub(crate) url: Option<Secret>,
}

/// What else there is to do with the rows.
#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Write settled rows out, as NDJSON or CSV, compressed if wanted.
    Export(ExportArgs),
}

/// There is no store to ask.
const NO_STORE: &str = "[store] url is none: no messages are stored, so there is nothing to report; \
                        name a database there or by --url";

/// A database's address may hold a password.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

/// A statement and what it brought.
type Answered = (Statement, Answer);

/// Asks, and prints the answers.
///
/// # Errors
/// The settings or a time are wrong or name no database; or it cannot be asked.
pub(crate) fn run(args: ReportArgs) -> Result<(), Failure> {
    if let Some(Action::Export(args)) = &args.action {
        return export::run(args);
    }
    let config = settings_of(args.config.as_deref(), args.url.as_ref())?;
    let Some(dialect) = store::dialect(&config) else {
        return Err(Failure::Usage(NO_STORE.to_owned()));
    };
    let bounds = bounds(&args)?;
    let statements = statements(&args.by, dialect, &bounds);
    if args.sql {
        let statements: Vec<_> = statements.into_iter().map(|it| it.sql).collect();
        return print(&statements.join("\n"));
    }
    let answered = ask(&config, statements).map_err(Failure::because)?;
    match args.json {
        true => print_json(&in_json(&config, &bounds, &answered)),
        false => print(&in_tables(&config, &bounds, &answered)),
    }
}

fn settings_of(file: Option<&Path>, url: Option<&Secret>) -> Result<Config, Failure> {
    let Some(url) = url else {
        return Ok(config::load(file)?);
    };
    let url = config::store_url(url.reveal());
    let url = url.map_err(|why| Failure::Usage(format!("--url: {why}")))?;
    let mut config = Config::default();
    config.store.url = url;
    Ok(config)
}

fn bounds(args: &ReportArgs) -> Result<Bounds, Failure> {
    let now = Timestamp::now();
    let moment = |name: &str, text: &Option<String>| {
        let moment = text
            .as_deref()
            .map(|it| moment::parse(it, now).map(moment::show));
        let wrong = |why| Failure::Usage(format!("--{name}: {why}"));
        moment.transpose().map_err(wrong)
    };
    let (since, until) = (moment("since", &args.since)?, moment("until", &args.until)?);
    if since.is_some() && until.is_some() && since >= until {
        let words = "--since is not before --until: no message can be between them";
        return Err(Failure::Usage(words.to_owned()));
    }
    Ok(Bounds {
        since,
        until,
        limit: args.limit,
    })
}

fn statements(picked: &[Question], dialect: Dialect, bounds: &Bounds) -> Vec<Statement> {
    let all = Question::value_variants().iter();
    let asked = all.filter(|it| picked.is_empty() || picked.contains(it));
    asked
        .flat_map(|it| it.statements(dialect, bounds))
        .collect()
}

fn ask(config: &Config, statements: Vec<Statement>) -> Result<Vec<Answered>, ReadError> {
    let Some(mut reader) = store::open_reader(config)? else {
        return Ok(Vec::new());
    };
    let answers = statements.into_iter().map(|statement| {
        let answer = reader.ask(&statement.sql)?;
        Ok((statement, answer))
    });
    answers.collect()
}

fn in_tables(config: &Config, bounds: &Bounds, answered: &[Answered]) -> String {
    let mut tables = vec![heading(config, bounds)];
    let text = |it: &Answered| table::table(&it.0, &it.1, bounds.limit);
    tables.extend(answered.iter().map(text));
    tables.join("\n")
}

/// Which database, and which of its messages.
fn heading(config: &Config, bounds: &Bounds) -> String {
    let since = bounds.since.as_ref().map(|it| format!(", since {it} UTC"));
    let until = bounds.until.as_ref().map(|it| format!(", until {it} UTC"));
    format!(
        "{}{}{}\n",
        store::place(config),
        since.unwrap_or_default(),
        until.unwrap_or_default()
    )
}

/// An object with an array for each statement, of an object for each row.
fn in_json(config: &Config, bounds: &Bounds, answered: &[Answered]) -> String {
    let mut report = Map::new();
    report.insert("store".to_owned(), json!(store::place(config)));
    report.insert("since".to_owned(), json!(bounds.since));
    report.insert("until".to_owned(), json!(bounds.until));
    report.insert("limit".to_owned(), json!(bounds.limit));
    for (statement, answer) in answered {
        let rows = answer.rows.iter().map(|row| {
            let cells = answer.columns.iter().cloned().zip(row);
            Json::Object(cells.map(|(name, cell)| (name, json!(cell))).collect())
        });
        report.insert(statement.name.to_owned(), rows.collect());
    }
    format!("{:#}\n", Json::Object(report))
}
