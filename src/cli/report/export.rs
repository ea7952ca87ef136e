//! `flipped-lb report export`: writes settled rows to a file, so that they are kept when `[store] keep`
//! removes them.
//!
//! Fed by the command line and the settings; reads pages of rows by primary key ([`page`]), spells them
//! ([`format`]) and writes them ([`file`]). A settled row does not change any more: so pages that are read
//! one after the other, each in a transaction of its own, have what one long transaction would have, and
//! hold up neither the engine nor its log.

mod file;
mod format;
mod page;

use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::cli::Failure;
use crate::cli::moment;
use crate::config::{self, Config, Secret, StoreUrl};
use crate::engine::directory;
use crate::plural::several;
use crate::store;
use crate::store::reader::Reader;
use file::Target;
use page::Pages;

const EXAMPLES: &str = "Examples:
  flipped-lb report export --until 29d --out rows.ndjson.gz
  flipped-lb report export --since 2026-11-22 --until 2026-11-23 --format csv --out 22.csv
  flipped-lb report export --until 1h | jq .messageId

It writes rows that were settled in this time, by delivered_at, in the order of id. With [store] keep =
\"30d\" and this every night with --until 29d, each row is in a file before it is removed. A file that is
there is not written over. Exit code 0: all rows are written; 1: it failed, and there is no file.";

/// How often the line of progress is renewed.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Write settled rows out, as NDJSON or CSV, compressed if wanted.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Only rows that were settled before this time: 2026-11-22, "2026-11-22 07:00", or so long ago: 29d.
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Only rows that were settled at this time or later.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// A line of JSON a row, or of comma-separated values.
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// The file, compressed where its name ends in .gz; without it standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long, requires = "out")]
    force: bool,
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database, written as `store.url` is, instead of that of the settings.
    #[arg(long, value_name = "URL", conflicts_with = "config", value_parser = super::secret)]
    url: Option<Secret>,
}

/// How rows are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line.
    Ndjson,
    /// Comma-separated values, RFC 4180.
    Csv,
}

/// Writes the rows.
///
/// # Errors
/// The settings, a time or the file's name are wrong; it cannot be read or written.
pub(crate) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let config = super::settings_of(args.config.as_deref(), args.url.as_ref())?;
    let (since, until) = times(args)?;
    if let Some(words) = removed_before(&config, &until) {
        say(&format!("note: {words}\n"));
    }
    directory::private_files();
    let mut target = Target::open(args.out.as_deref(), args.force)?;
    let Some(mut reader) = store::open_reader(&config).map_err(Failure::because)? else {
        return Err(Failure::Usage(super::NO_STORE.to_owned()));
    };
    let rows = write_rows(
        &mut *reader,
        Pages::new(since, until.clone()),
        args.format,
        &mut target,
    )?;
    let written = target.finish()?;
    if args.out.is_some() {
        let place = store::place(&config);
        say(&format!(
            "{} of {place}, settled before {until} UTC, in {written}\n",
            several(rows, "row")
        ));
    }
    Ok(())
}

fn times(args: &ExportArgs) -> Result<(Option<String>, String), Failure> {
    let now = Timestamp::now();
    let parse = |name: &str, text: &str| {
        let parsed = moment::parse(text, now).map(moment::show);
        parsed.map_err(|why| Failure::Usage(format!("--{name}: {why}")))
    };
    let until = parse("until", &args.until)?;
    let since = args.since.as_deref().map(|it| parse("since", it));
    let since = since.transpose()?;
    let present = moment::show(now);
    if until > present {
        let words = "--until is in the future: rows are still settled before it";
        return Err(Failure::Usage(words.to_owned()));
    }
    if since.as_ref().is_some_and(|it| *it >= until) {
        let words = "--since is not before --until: no row can be between them";
        return Err(Failure::Usage(words.to_owned()));
    }
    Ok((since, until))
}

/// What is removed before it is exported, by the settings.
fn removed_before(config: &Config, until: &str) -> Option<String> {
    let keep = config
        .store
        .keep
        .filter(|_| config.store.url != StoreUrl::None)?;
    let kept = Timestamp::now().checked_sub(keep).ok().map(moment::show)?;
    (kept.as_str() > until).then(|| {
        format!(
            "[store] keep is {}: rows settled before {kept} may be gone already",
            config::show_duration(keep)
        )
    })
}

fn write_rows(
    reader: &mut dyn Reader,
    mut pages: Pages,
    format: Format,
    target: &mut Target,
) -> Result<u64, Failure> {
    let mut progress = Progress::new();
    let mut line = Vec::new();
    let mut rows = 0;
    if format == Format::Csv {
        format::csv_head(&mut line);
    }
    while let Some(page) = pages.next(reader).map_err(Failure::because)? {
        for row in &page {
            match format {
                Format::Ndjson => format::ndjson(row, &mut line),
                Format::Csv => format::csv(row, &mut line),
            }
        }
        target.write(&line)?;
        line.clear();
        rows += page.len() as u64;
        progress.show(rows);
    }
    target.write(&line)?;
    Ok(rows)
}

/// Standard error may be gone.
fn say(words: &str) {
    let _ = stderr().write_all(words.as_bytes());
}

/// A line on the terminal that is written over, and gone at the end.
struct Progress {
    begun: Instant,
    due: Instant,
    is_watched: bool,
    has_shown: bool,
}

impl Progress {
    fn new() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            due: begun + PROGRESS_INTERVAL,
            is_watched: stderr().is_terminal(),
            has_shown: false,
        }
    }

    fn show(&mut self, rows: u64) {
        if self.is_watched && Instant::now() >= self.due {
            self.due = Instant::now() + PROGRESS_INTERVAL;
            self.has_shown = true;
            let rate = rows as f64 / self.begun.elapsed().as_secs_f64();
            say(&format!("\r{rows} rows, {rate:.0} a second "));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.has_shown {
            say(&format!("\r{:50}\r", ""));
        }
    }
}
