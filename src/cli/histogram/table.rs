//! Curves to tables. Pure: curves in, text out.

use std::fmt::Write as _;

use super::Named;
use super::pairs::Pair;
use crate::latency::curve::{Curve, PERCENTILES};

/// In the table's first column, over the names.
const UNIT: &str = "us";

/// In the first column of what differs.
const CHANGE: &str = "  change";

/// A line a curve, in microseconds.
pub(super) fn table(curves: &[Named]) -> String {
    let width = width(curves.iter().map(|(name, _)| name.as_str()));
    let mut text = heading(width);
    curves.iter().for_each(|it| push(&mut text, width, it));
    text
}

/// Three lines a pair: the file, what it is compared with, and how they differ.
pub(super) fn comparison(pairs: &[Pair]) -> String {
    let names = pairs.iter().flat_map(|it| [&it.file.0, &it.other.0]);
    let width = width(names.map(String::as_str).chain([CHANGE]));
    let mut text = heading(width);
    for Pair { file, other } in pairs {
        push(&mut text, width, file);
        push(&mut text, width, other);
        let _ = write!(text, "{CHANGE:<width$}");
        for (now, then) in figures(&file.1).into_iter().zip(figures(&other.1)) {
            let _ = write!(text, " {:>11}", change(now, then));
        }
        text.push('\n');
    }
    text
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let lengths = names.map(|it| it.chars().count());
    lengths.max().unwrap_or(0).max(UNIT.len())
}

fn heading(width: usize) -> String {
    let mut text = format!("{UNIT:<width$}");
    for percent in PERCENTILES {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, " {:>11}", format!("p{percent}"));
    }
    let _ = writeln!(text, " {:>11} {:>11} {:>11}", "max", "mean", "count");
    text
}

fn push(text: &mut String, width: usize, (name, curve): &Named) {
    let _ = write!(text, "{name:<width$}");
    for percent in PERCENTILES {
        let value = curve.percentile_us(percent);
        let value = value.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
        let _ = write!(text, " {value:>11}");
    }
    let (max, mean, count) = (curve.max_us(), curve.mean_us(), curve.count());
    let _ = writeln!(text, " {max:>11.1} {mean:>11.1} {count:>11}");
}

/// The columns; none where there is nothing to show.
fn figures(curve: &Curve) -> Vec<Option<f64>> {
    let mut figures: Vec<_> = PERCENTILES.map(|it| curve.percentile_us(it)).into();
    let others = [curve.max_us(), curve.mean_us(), curve.count() as f64];
    figures.extend(others.map(|it| (it > 0.0).then_some(it)));
    figures
}

fn change(now: Option<f64>, then: Option<f64>) -> String {
    match (now, then) {
        (Some(now), Some(then)) if then > 0.0 => {
            let tenths = ((now / then - 1.0) * 1_000.0).round();
            // Adding nothing makes a zero of a negative one.
            format!("{:+.1}%", tenths / 10.0 + 0.0)
        }
        _ => "-".to_owned(),
    }
}
