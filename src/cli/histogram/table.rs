//! Curves to tables. Pure: curves in, text out.

use std::fmt::Write as _;

use super::Named;
use super::over_time::Series;
use super::pairs::Pair;
use super::unit::{Unit, shown};
use crate::latency::curve::{Curve, PERCENTILES};
use crate::latency::readable_time;

/// In the first column of what differs.
const CHANGE: &str = "  change";

/// The percentiles of a step; beside them stand the maximum and the count.
pub(super) const STEP_PERCENTILES: [f64; 2] = [50.0, 99.0];

/// A line a curve, all in one unit or each value in its own.
pub(super) fn table(curves: &[Named], unit: Option<Unit>) -> String {
    let width = width(curves.iter().map(|(name, _)| name.as_str()));
    let mut text = heading(width, unit);
    curves
        .iter()
        .for_each(|it| push(&mut text, width, it, unit));
    text
}

/// Three lines a pair: the file, what it is compared with, and how they differ.
pub(super) fn comparison(pairs: &[Pair], unit: Option<Unit>) -> String {
    let names = pairs.iter().flat_map(|it| [&it.file.0, &it.other.0]);
    let width = width(names.map(String::as_str).chain([CHANGE]));
    let mut text = heading(width, unit);
    for Pair { file, other } in pairs {
        push(&mut text, width, file, unit);
        push(&mut text, width, other, unit);
        let _ = write!(text, "{CHANGE:<width$}");
        for (now, then) in figures(&file.1).into_iter().zip(figures(&other.1)) {
            let change = change(now, then).map_or_else(|| "-".to_owned(), change_shown);
            let _ = write!(text, " {change:>11}");
        }
        text.push('\n');
    }
    text
}

/// A line a step, a block a tag.
pub(super) fn over_time(series: &[Series], unit: Option<Unit>) -> String {
    let mut text = String::new();
    for it in series {
        if !text.is_empty() {
            text.push('\n');
        }
        let times = times(it);
        let width = width(
            [it.name.as_str()]
                .into_iter()
                .chain(times.iter().map(String::as_str)),
        );
        let _ = write!(text, "{:<width$}", it.name);
        let percents = STEP_PERCENTILES.map(|it| format!("p{it}"));
        for column in percents.iter().map(String::as_str).chain(["max"]) {
            let _ = write!(text, " {:>11}", with_unit(column, unit));
        }
        let _ = writeln!(text, " {:>11}", "count");
        for (time, step) in times.iter().zip(&it.steps) {
            let curve = it.curve_of(step);
            let _ = write!(text, "{time:<width$}");
            for value in step_figures(curve.as_ref()) {
                let value = value.map_or_else(|| "-".to_owned(), |it| shown(it, unit));
                let _ = write!(text, " {value:>11}");
            }
            let _ = writeln!(text, " {:>11}", curve.map_or(0, |it| it.count()));
        }
    }
    text
}

/// The percentiles of a step and its maximum, in us.
pub(super) fn step_figures(curve: Option<&Curve>) -> Vec<Option<f64>> {
    let percentile = |it: f64| curve.and_then(|curve| curve.percentile_us(it));
    let max = curve.filter(|it| it.count() > 0).map(Curve::max_us);
    let percentiles = STEP_PERCENTILES.into_iter().map(percentile);
    percentiles.chain([max]).collect()
}

/// When each step begins.
fn times(series: &Series) -> Vec<String> {
    let is_whole = |us: u64| us.is_multiple_of(1_000_000);
    let to_the_second = series.steps.iter().all(|it| it.length_us >= 5_000_000)
        || series.steps.iter().all(|it| is_whole(it.start_us));
    let times = series.steps.iter().map(|it| it.start_us);
    times.map(|it| readable_time(it, to_the_second)).collect()
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let lengths = names.map(|it| it.chars().count());
    lengths.max().unwrap_or(0).max(2)
}

fn heading(width: usize, unit: Option<Unit>) -> String {
    let mut text = format!("{:<width$}", unit.map_or("", Unit::label));
    for percent in PERCENTILES {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, " {:>11}", format!("p{percent}"));
    }
    let _ = writeln!(text, " {:>11} {:>11} {:>11}", "max", "mean", "count");
    text
}

/// The name of a column of latencies.
fn with_unit(name: &str, unit: Option<Unit>) -> String {
    match unit {
        Some(unit) => format!("{name}/{}", unit.label()),
        None => name.to_owned(),
    }
}

fn push(text: &mut String, width: usize, (name, curve): &Named, unit: Option<Unit>) {
    let _ = write!(text, "{name:<width$}");
    for percent in PERCENTILES {
        let value = curve.percentile_us(percent);
        let value = value.map_or_else(|| "-".to_owned(), |it| shown(it, unit));
        let _ = write!(text, " {value:>11}");
    }
    let [max, mean] = [curve.max_us(), curve.mean_us()].map(|it| shown(it, unit));
    let _ = writeln!(text, " {max:>11} {mean:>11} {:>11}", curve.count());
}

/// The columns; none where there is nothing to show.
pub(super) fn figures(curve: &Curve) -> Vec<Option<f64>> {
    let mut figures: Vec<_> = PERCENTILES.map(|it| curve.percentile_us(it)).into();
    let others = [curve.max_us(), curve.mean_us(), curve.count() as f64];
    figures.extend(others.map(|it| (it > 0.0).then_some(it)));
    figures
}

/// Per cent, or how many times as much where nobody reads those any more.
pub(super) fn change_shown(percent: f64) -> String {
    match percent / 100.0 + 1.0 {
        times if times >= 1_000.0 => format!("x{times:.0}"),
        times if times >= 10.0 => format!("x{times:.1}"),
        _ => format!("{percent:+.1}%"),
    }
}

/// By how many per cent it changed, to a tenth.
pub(super) fn change(now: Option<f64>, then: Option<f64>) -> Option<f64> {
    let (now, then) = (now?, then.filter(|&it| it > 0.0)?);
    let tenths = ((now / then - 1.0) * 1_000.0).round();
    // Adding nothing makes a zero of a negative one.
    Some(tenths / 10.0 + 0.0)
}
