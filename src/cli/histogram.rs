//! `flipped-lb histogram`: latency files as a table and as a picture.
//!
//! Fed by the command line with `.hgrm` files, of the engine or of any HdrHistogram tool; the table
//! goes to standard output. It needs no running engine.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::latency::curve::{Curve, PERCENTILES};
use crate::latency::plot::plot;

const EXAMPLES: &str = "Examples:
  flipped-lb histogram flipped-lb-data/histograms/total.hgrm
  flipped-lb histogram flipped-lb-data/histograms/total-level?.hgrm --svg levels.svg

The engine writes the files when it stops; while it runs they are at
http://127.0.0.1:9100/histograms/. Latencies are in microseconds.";

/// Largest file that is read: a hundred rows are 5 KB, and other tools may write finer steps.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Show latency files as a table, and draw them.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct HistogramArgs {
    /// Latency files (.hgrm).
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Draw the curves of all of them into this file.
    #[arg(long, value_name = "OUT")]
    pub svg: Option<PathBuf>,
    /// The picture's title.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "Latency by percentile",
        requires = "svg"
    )]
    pub title: String,
}

/// Prints the table, and draws the picture if there shall be one.
///
/// # Errors
/// A file cannot be read or is of another kind, or the picture cannot be written.
pub fn run(args: HistogramArgs) -> Result<(), Failure> {
    let curves = args
        .files
        .iter()
        .map(|file| Ok((name(file, &args.files), read(file)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut out = std::io::stdout().lock();
    out.write_all(table(&curves).as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::output)?;
    match &args.svg {
        Some(svg) => draw(svg, &args, &curves),
        None => Ok(()),
    }
}

fn draw(svg: &Path, args: &HistogramArgs, curves: &[(String, Curve)]) -> Result<(), Failure> {
    if args.files.iter().any(|it| it == svg) {
        let words = format!(
            "--svg {} is one of the files to read; name another",
            svg.display()
        );
        return Err(Failure::Usage(words));
    }
    let picture = plot(&args.title, curves).map_err(|it| Failure::Failed(it.to_string()))?;
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

fn read(path: &Path) -> Result<Curve, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::Failed(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|it| failed(&it))?;
    let mut bytes = Vec::new();
    let len = file
        .take(FILE_LEN_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|it| failed(&it))?;
    if len as u64 > FILE_LEN_MAX {
        return Err(failed(
            &"this is too long for a percentile file; take a .hgrm file",
        ));
    }
    let text = String::from_utf8_lossy(&bytes);
    Curve::parse(&text).map_err(|it| failed(&it))
}

/// A line a file, in microseconds.
fn table(curves: &[(String, Curve)]) -> String {
    let lengths = curves.iter().map(|(name, _)| name.chars().count());
    let width = lengths.max().unwrap_or(0).max("us".len());
    let mut text = format!("{:<width$}", "us");
    for percent in PERCENTILES {
        // Writing to a String cannot fail.
        let _ = write!(text, " {:>11}", format!("p{percent}"));
    }
    let _ = writeln!(text, " {:>11} {:>11} {:>11}", "max", "mean", "count");
    for (name, curve) in curves {
        let _ = write!(text, "{name:<width$}");
        for percent in PERCENTILES {
            let value = curve.percentile_us(percent);
            let value = value.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
            let _ = write!(text, " {value:>11}");
        }
        let (max, mean, count) = (curve.max_us(), curve.mean_us(), curve.count());
        let _ = writeln!(text, " {max:>11.1} {mean:>11.1} {count:>11}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{Interval, Stage, Totals, View, write_hgrm};

    fn hgrm(latencies_us: &[u64]) -> Vec<u8> {
        let mut interval = Interval::new(1, 1);
        for value in latencies_us {
            interval.record(Stage::Total, 1, 0, value * 1_000, 1);
        }
        let mut totals = Totals::new(1, 1);
        totals.merge(&interval);
        let mut bytes = Vec::new();
        write_hgrm(&totals.histogram(View::Stage(Stage::Total)), &mut bytes).expect("a Vec");
        bytes
    }

    fn args(files: &[&Path], svg: Option<&Path>) -> HistogramArgs {
        HistogramArgs {
            files: files.iter().map(|&it| it.to_owned()).collect(),
            svg: svg.map(Path::to_owned),
            title: "Latency".to_owned(),
        }
    }

    #[test]
    fn the_table_has_a_line_a_file_and_says_nothing_of_nothing() {
        let parse = |bytes: Vec<u8>| Curve::parse(&String::from_utf8(bytes).expect("text"));
        let curves = [
            (
                "total-level1".to_owned(),
                parse(hgrm(&[1, 2, 3, 1_000])).expect("a curve"),
            ),
            ("idle".to_owned(), parse(hgrm(&[])).expect("a curve")),
        ];
        let table = table(&curves);
        let lines: Vec<Vec<_>> = table
            .lines()
            .map(|it| it.split_whitespace().collect())
            .collect();
        let heading = [
            "us", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "count",
        ];
        assert_eq!(lines[0], heading);
        assert_eq!(lines[1][..3], ["total-level1", "2.0", "1003.5"]);
        assert_eq!(lines[1][8], "4");
        assert_eq!(
            lines[2],
            ["idle", "-", "-", "-", "-", "-", "0.0", "0.0", "0"]
        );
        let widths: Vec<_> = table.lines().map(str::len).collect();
        assert!(widths.iter().all(|it| *it == widths[0]), "{table}");
    }

    #[test]
    fn files_become_a_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, svg) = (
            folder.path().join("total.hgrm"),
            folder.path().join("out.svg"),
        );
        std::fs::write(&file, hgrm(&[5, 6, 7, 900])).expect("written");
        run(args(&[&file], Some(&svg))).expect("it is drawn");
        let picture = std::fs::read_to_string(&svg).expect("a picture");
        assert!(
            picture.contains("<polyline") && picture.contains("total"),
            "{picture}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let said = |args| run(args).expect_err("it is wrong").to_string();
        std::fs::write(at("a.txt"), "hello").expect("written");
        let wrong = said(args(&[&at("a.txt")], None));
        assert!(wrong.contains("a.txt: this is no HdrHistogram"), "{wrong}");
        assert!(said(args(&[&at("gone.hgrm")], None)).contains("gone.hgrm: No such file"));
        std::fs::write(at("empty.hgrm"), hgrm(&[])).expect("written");
        let (empty, svg) = (at("empty.hgrm"), at("x.svg"));
        assert!(said(args(&[&empty], Some(&svg))).contains("nothing to draw"));
        assert!(said(args(&[&empty], Some(&empty))).contains("name another"));
        assert!(!svg.exists() && empty.exists());
    }

    #[test]
    fn names_are_short_unless_two_are_the_same() {
        let files = ["a/total.hgrm", "b/total.hgrm", "a/queue.hgrm"].map(PathBuf::from);
        let names = files.each_ref().map(|it| name(it, &files));
        assert_eq!(names, ["a/total.hgrm", "b/total.hgrm", "queue"]);
    }
}
