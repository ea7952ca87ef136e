//! `flipped-lb histogram`: latency files as a table and as a picture.
//!
//! Fed by the command line with `.hgrm` and `.hlog` files, of the engine or of any HdrHistogram tool;
//! `input` makes curves of them, `table` words, and the table goes to standard output. It needs
//! no running engine.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod input;
mod pairs;
mod table;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use super::output::print;
use crate::latency::curve::Curve;
use crate::latency::plot::{Drawn, PlotError, plot, plot_drawn};
use crate::log::say;
use input::Input;
use pairs::Pair;

const EXAMPLES: &str = "Examples:
  flipped-lb histogram flipped-lb-data/histograms/total.hgrm
  flipped-lb histogram flipped-lb-data/histograms/total-level?.hgrm --svg levels.svg
  flipped-lb histogram flipped-lb-data/histograms/*.hlog --tag 'total-level*' --svg levels.svg
  flipped-lb histogram new/latency-*.hlog --compare old/latency-000001.hlog --svg both.svg

Interval logs may be of encoding V0, V1 or V2, of any HdrHistogram library; percentiles as its libraries
and wrk2 print them (values of wrk2 are milliseconds: --unit ms). Not read: histograms of doubles, the
libraries' CSV, compressed files.

The engine writes .hlog files while it runs and .hgrm files when it stops; meanwhile both are at
http://127.0.0.1:9100/histograms. The intervals of all logs are added up by tag. The table is in
microseconds.";

/// Show latency files as a table, draw them, compare them.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HistogramArgs {
    /// Latency files: percentiles (.hgrm) or interval logs (.hlog), of any HdrHistogram tool.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Show these tags of the logs, * standing for anything; without it those that are no part of
    /// another one, such as total, not total-level1.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Show how the files differ from this one, by name or tag.
    #[arg(long, value_name = "OTHER")]
    pub(crate) compare: Vec<PathBuf>,
    /// The unit of the values in the files; without it nanoseconds in logs and microseconds in
    /// percentiles, as the engine writes them.
    #[arg(long, value_name = "UNIT")]
    pub(crate) unit: Option<Unit>,
    /// Draw the curves of all of them into this file.
    #[arg(long, value_name = "OUT")]
    pub(crate) svg: Option<PathBuf>,
    /// The picture's title.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "Latency by percentile",
        requires = "svg"
    )]
    pub(crate) title: String,
}

/// What a value in a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

impl Unit {
    fn us(self) -> f64 {
        match self {
            Unit::Ns => 0.001,
            Unit::Us => 1.0,
            Unit::Ms => 1_000.0,
            Unit::S => 1_000_000.0,
        }
    }
}

/// A curve and what it is called.
type Named = (String, Curve);

/// Prints the table, and draws the picture if there shall be one.
///
/// # Errors
/// A file cannot be read or is of another kind, nothing in it is called like that, or the picture
/// cannot be written.
pub(crate) fn run(args: HistogramArgs) -> Result<(), Failure> {
    refuse_overwriting(&args)?;
    let input = Input::read(&args.files, &args.tags, args.unit)?;
    if args.compare.is_empty() {
        print(&table::table(&input.curves))?;
        input.remarks().iter().for_each(say);
        return save(&args, || plot(&args.title, &input.curves));
    }
    let other = Input::read(&args.compare, &args.tags, args.unit)?;
    let pairs = pairs::pair(input, other)?;
    print(&table::comparison(&pairs))?;
    save(&args, || plot_drawn(&args.title, &drawn(&pairs)))
}

/// Both of a pair in one colour, the one that is compared with in dashes.
fn drawn(pairs: &[Pair]) -> Vec<Drawn<'_>> {
    let mut drawn = Vec::new();
    for (color, pair) in pairs.iter().enumerate() {
        for ((name, curve), dashed) in [(&pair.file, false), (&pair.other, true)] {
            drawn.push(Drawn {
                name,
                curve,
                color,
                dashed,
            });
        }
    }
    drawn
}

fn refuse_overwriting(args: &HistogramArgs) -> Result<(), Failure> {
    let mut read = args.files.iter().chain(&args.compare);
    match &args.svg {
        Some(svg) if read.any(|it| it == svg) => Err(Failure::Usage(format!(
            "--svg {} is one of the files to read; name another",
            svg.display()
        ))),
        _ => Ok(()),
    }
}

fn save(
    args: &HistogramArgs,
    draw: impl FnOnce() -> Result<String, PlotError>,
) -> Result<(), Failure> {
    let Some(svg) = &args.svg else { return Ok(()) };
    let picture = draw().map_err(|it| Failure::Failed(it.to_string()))?;
    std::fs::write(svg, picture).map_err(|error| {
        Failure::Failed(format!(
            "cannot write {}: {error}; name another file",
            svg.display()
        ))
    })
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
