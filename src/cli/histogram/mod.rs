//! `flipped-lb histogram`: latency files as a table and as a picture, also over time.
//!
//! Fed by the command line with `.hgrm` and `.hlog` files, of the engine or of any HdrHistogram tool;
//! `input` and `over_time` make curves of them, `table` and `export` words, `picture` files, and `slo`
//! the exit code. It needs no running engine.

mod export;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod input;
mod over_time;
mod pairs;
mod period;
mod picture;
mod slo;
mod table;
mod tags;
mod unit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::Failure;
use super::output::{print, print_json};
use crate::config::parse_duration;
use crate::latency::curve::Curve;
use crate::log::say;
use input::{Input, Wanted};
use pairs::pair;
use period::Period;
use slo::{Objective, Verdict};
use unit::Unit;

const EXAMPLES: &str = "Examples:
  flipped-lb histogram flipped-lb-data/histograms/total.hgrm
  flipped-lb histogram flipped-lb-data/histograms/*.hgrm --out stages.png
  flipped-lb histogram flipped-lb-data/histograms --tag 'total-level*' --out levels.svg
  flipped-lb histogram flipped-lb-data/histograms --over-time --since 10m
  flipped-lb histogram flipped-lb-data/histograms --heat-map --tag total --out heat.png
  flipped-lb histogram flipped-lb-data/histograms --slo p99=500us --slo p99.9=5ms
  flipped-lb histogram new/histograms --compare old/histograms --out both.svg

Which files? The engine writes .hlog files while it runs and .hgrm files when it stops in good order;
meanwhile both are at http://127.0.0.1:9100/histograms. Interval logs may be of encoding V0, V1 or V2,
of any HdrHistogram library; percentiles as its libraries and wrk2 print them (values of wrk2 are
milliseconds: --input-unit ms). Not read: histograms of doubles, the libraries' CSV, compressed files.

Which tags? total is the whole way through the engine; ingest, journal, queue and delivery are its
stages; total-level1 is one level of it, total-table1 one destination, total-level1-table1 both. The
intervals of all logs are added up by tag.

Which times? --since and --until are UTC (2026-11-22T07:00), have an offset (2026-11-22T09:00+02:00), or
are so long ago (10m, 2h). They choose whole intervals, of FILE and not of --compare.

Exit codes: 0 fine, 1 failure or an objective (--slo) that is not met, 2 wrong usage.";

/// Show latency files as a table, draw them, compare them.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HistogramArgs {
    /// Latency files: percentiles (.hgrm) or interval logs (.hlog), of any HdrHistogram tool; a folder
    /// stands for the interval logs in it.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Show these tags of the logs, * standing for anything; without it those that are no part of
    /// another one, such as total, not total-level1.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Only intervals that end later than this.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only intervals that begin before this.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// A line for each interval of the logs, or for each step: p50, p99, max and count. Without --tag
    /// of total and waiting.
    #[arg(long)]
    pub(crate) over_time: bool,
    /// How long a step is, such as 1m; without it the intervals as they are, or steps that make 60 lines
    /// and 300 points of a picture at most.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) step: Option<Duration>,
    /// As --over-time, and the picture shows how many messages took how long: a map a tag, eight at most.
    #[arg(long, requires = "out")]
    pub(crate) heat_map: bool,
    /// Show how the files differ from this one, by name or tag.
    #[arg(long, value_name = "OTHER", conflicts_with_all = ["over_time", "heat_map"])]
    pub(crate) compare: Vec<PathBuf>,
    /// What latencies should be, such as p99.9=1ms or max=20ms. Each is held against total, or against
    /// each tag that --tag chooses, and drawn. One that is not met makes the exit code 1.
    #[arg(long, value_name = "PERCENTILE=LATENCY")]
    pub(crate) slo: Vec<Objective>,
    /// The unit of the values in the files; without it nanoseconds in logs and microseconds in
    /// percentiles, as the engine writes them.
    #[arg(long, value_name = "UNIT")]
    pub(crate) input_unit: Option<Unit>,
    /// The unit of what is shown; without it the one that suits each value, and microseconds in JSON,
    /// CSV and percentiles.
    #[arg(long, value_name = "UNIT")]
    pub(crate) unit: Option<Unit>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Draw all of it into this file: .svg or .png.
    #[arg(long, alias = "svg", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The picture's title.
    #[arg(long, value_name = "TEXT", requires = "out")]
    pub(crate) title: Option<String>,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One object.
    Json,
    /// With a first line that names the columns.
    Csv,
    /// The percentiles of one histogram, as HdrHistogram's tools read them.
    Hgrm,
}

/// A curve and what it is called.
type Named = (String, Curve);

/// Prints the table, and draws the picture if there shall be one.
///
/// # Errors
/// A file cannot be read or is of another kind, nothing in it is called like that, the picture
/// cannot be written, or an objective is not met.
pub(crate) fn run(args: HistogramArgs) -> Result<(), Failure> {
    picture::check(&args)?;
    let period = Period::parse(
        args.since.as_deref(),
        args.until.as_deref(),
        Timestamp::now(),
    )?;
    let wanted = Wanted {
        tags: args.tags.clone(),
        period,
        unit: args.input_unit,
    };
    if args.over_time || args.heat_map {
        over_time(&args, &wanted)
    } else if args.step.is_some() {
        let words = "--step is for --over-time or --heat-map; add one of them";
        Err(Failure::Usage(words.to_owned()))
    } else if args.compare.is_empty() {
        curves(&args, &wanted)
    } else {
        compare(&args, wanted)
    }
}

fn curves(args: &HistogramArgs, wanted: &Wanted) -> Result<(), Failure> {
    let input = Input::read(&args.files, wanted)?;
    let verdicts = slo::judge(&args.slo, &input.curves, is_chosen(args));
    let (curves, unit) = (&input.curves, args.unit.unwrap_or(Unit::Us));
    match args.format {
        Format::Table => print(&table::table(curves, args.unit))?,
        Format::Json => print_json(&export::curves_json(curves, &verdicts, unit))?,
        Format::Csv => print(&export::curves_csv(curves, unit))?,
        Format::Hgrm => print(&export::hgrm(curves, unit)?)?,
    }
    input.remarks().iter().for_each(say);
    tell(args, &verdicts)?;
    picture::curves(args, curves)?;
    slo::demand(&verdicts)
}

fn compare(args: &HistogramArgs, wanted: Wanted) -> Result<(), Failure> {
    let input = Input::read(&args.files, &wanted)?;
    let period = Period::default();
    let other = Input::read(&args.compare, &Wanted { period, ..wanted })?;
    let paired = pair(input, other)?;
    let (pairs, unit) = (&paired.pairs, args.unit.unwrap_or(Unit::Us));
    let curves: Vec<Named> = pairs.iter().map(|it| it.file.clone()).collect();
    let verdicts = slo::judge(&args.slo, &curves, is_chosen(args));
    match args.format {
        Format::Table => print(&table::comparison(pairs, args.unit))?,
        Format::Json => print_json(&export::pairs_json(pairs, &verdicts, unit))?,
        Format::Csv => print(&export::pairs_csv(pairs, unit))?,
        Format::Hgrm => return Err(no_percentiles("--compare")),
    }
    paired.remarks().iter().for_each(say);
    tell(args, &verdicts)?;
    picture::pairs(args, pairs)?;
    slo::demand(&verdicts)
}

fn over_time(args: &HistogramArgs, wanted: &Wanted) -> Result<(), Failure> {
    let step_us = args.step.map(|it| it.as_micros() as u64);
    let found = over_time::read(&args.files, wanted, step_us)?;
    let series = found.table.iter();
    let curves: Vec<Named> = series
        .map(|it| (it.name.clone(), it.curve.clone()))
        .collect();
    let verdicts = slo::judge(&args.slo, &curves, is_chosen(args));
    let (series, unit) = (&found.table, args.unit.unwrap_or(Unit::Us));
    match args.format {
        Format::Table => print(&table::over_time(series, args.unit))?,
        Format::Json => print_json(&export::series_json(series, &verdicts, unit))?,
        Format::Csv => print(&export::series_csv(series, unit))?,
        Format::Hgrm => return Err(no_percentiles("--over-time")),
    }
    found.remarks.iter().for_each(say);
    tell(args, &verdicts)?;
    picture::series(args, &found.picture)?;
    slo::demand(&verdicts)
}

/// Whether the user chose what is shown.
fn is_chosen(args: &HistogramArgs) -> bool {
    !args.tags.is_empty()
}

fn no_percentiles(option: &str) -> Failure {
    Failure::Usage(format!(
        "--format hgrm has no place for {option}; take json or csv"
    ))
}

/// Says how the objectives were met: below the table, or beside what programs read.
fn tell(args: &HistogramArgs, verdicts: &[Verdict<'_>]) -> Result<(), Failure> {
    let lines: Vec<_> = verdicts.iter().map(|it| it.words(args.unit)).collect();
    match args.format {
        _ if lines.is_empty() => Ok(()),
        Format::Table => print(&format!("\n{}\n", lines.join("\n"))),
        Format::Json => Ok(()),
        Format::Csv | Format::Hgrm => {
            lines.iter().for_each(say);
            Ok(())
        }
    }
}

/// What a file is called in table and picture: as short as tells it from the others.
fn name(file: &Path, files: &[PathBuf]) -> String {
    let alike = files.iter().filter(|it| it.file_stem() == file.file_stem());
    match file.file_stem() {
        Some(stem) if alike.count() == 1 => stem.to_string_lossy().into_owned(),
        _ => file.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
