//! Curves for programs: JSON, CSV, and the percentiles of one as `.hgrm`. Pure: curves in, text out.
//!
//! Values are in the unit that the user chose, else in microseconds; the text says which.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Named;
use super::over_time::Series;
use super::pairs::Pair;
use super::slo::Verdict;
use super::table::{STEP_PERCENTILES, change, figures, step_figures};
use super::unit::Unit;
use crate::cli::Failure;
use crate::latency::curve::{Curve, PERCENTILES};
use crate::latency::{readable_time, write_curve};

/// The names of [`figures`].
fn columns() -> Vec<String> {
    let percentiles = PERCENTILES.iter().map(|it| format!("p{it}"));
    let others = ["max", "mean", "count"].map(str::to_owned);
    percentiles.chain(others).collect()
}

/// The names of [`step_figures`].
fn step_columns() -> Vec<String> {
    let percentiles = STEP_PERCENTILES.iter().map(|it| format!("p{it}"));
    percentiles.chain(["max".to_owned()]).collect()
}

/// In the unit; the last one is the count.
fn scaled(curve: &Curve, unit: Unit) -> Vec<Value> {
    let mut values = figures(curve);
    values.pop();
    let latencies = values
        .into_iter()
        .map(|it| json!(it.map(|us| unit.of_us(us))));
    latencies.chain([curve.count().into()]).collect()
}

fn object(curve: &Curve, unit: Unit) -> Map<String, Value> {
    columns().into_iter().zip(scaled(curve, unit)).collect()
}

fn verdicts_json(verdicts: &[Verdict<'_>], unit: Unit) -> Vec<Value> {
    verdicts.iter().map(|it| it.json(unit)).collect()
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

pub(super) fn curves_json(curves: &[Named], verdicts: &[Verdict<'_>], unit: Unit) -> String {
    let list = curves.iter().map(|(name, curve)| {
        let mut it = Map::from_iter([("name".to_owned(), name.as_str().into())]);
        it.extend(object(curve, unit));
        it
    });
    text(&json!({
        "unit": unit.label(),
        "histograms": list.collect::<Vec<_>>(),
        "slo": verdicts_json(verdicts, unit),
    }))
}

pub(super) fn pairs_json(pairs: &[Pair], verdicts: &[Verdict<'_>], unit: Unit) -> String {
    let list = pairs.iter().map(|Pair { file, other }| {
        let changes = figures(&file.1).into_iter().zip(figures(&other.1));
        let changes = changes.map(|(now, then)| json!(change(now, then)));
        json!({
            "name": file.0,
            "compared_with": other.0,
            "file": object(&file.1, unit),
            "other": object(&other.1, unit),
            "change_percent": columns().into_iter().zip(changes).collect::<Map<_, _>>(),
        })
    });
    text(&json!({
        "unit": unit.label(),
        "compared": list.collect::<Vec<_>>(),
        "slo": verdicts_json(verdicts, unit),
    }))
}

pub(super) fn series_json(series: &[Series], verdicts: &[Verdict<'_>], unit: Unit) -> String {
    let list = series.iter().map(|it| {
        let steps = it.steps.iter().map(|step| {
            let curve = it.curve_of(step);
            let mut object = Map::new();
            object.insert(
                "start".to_owned(),
                readable_time(step.start_us, false).into(),
            );
            object.insert("seconds".to_owned(), (step.length_us as f64 / 1e6).into());
            let values = step_figures(curve.as_ref()).into_iter();
            let values = values.map(|it| json!(it.map(|us| unit.of_us(us))));
            object.extend(step_columns().into_iter().zip(values));
            object.insert("count".to_owned(), curve.map_or(0, |it| it.count()).into());
            object
        });
        json!({ "name": it.name, "steps": steps.collect::<Vec<_>>() })
    });
    text(&json!({
        "unit": unit.label(),
        "over_time": list.collect::<Vec<_>>(),
        "slo": verdicts_json(verdicts, unit),
    }))
}

/// A line with the names of the columns; all but the count have their unit.
fn heading(first: &[&str], columns: Vec<String>, unit: Unit) -> String {
    let with_unit = |it: String| match it.as_str() {
        "count" => it,
        _ => format!("{it}_{}", unit.label()),
    };
    let first = first.iter().map(|&it| it.to_owned());
    let all: Vec<_> = first.chain(columns.into_iter().map(with_unit)).collect();
    all.join(",") + "\n"
}

/// Nothing where there is no value.
fn cells(values: impl IntoIterator<Item = Value>) -> String {
    let cells = values.into_iter().map(|it| match it {
        Value::Null => String::new(),
        value => value.to_string(),
    });
    cells.collect::<Vec<_>>().join(",")
}

fn quoted(name: &str) -> String {
    match name.contains([',', '"', '\n']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_owned(),
    }
}

pub(super) fn curves_csv(curves: &[Named], unit: Unit) -> String {
    let mut text = heading(&["name"], columns(), unit);
    for (name, curve) in curves {
        let _ = writeln!(text, "{},{}", quoted(name), cells(scaled(curve, unit)));
    }
    text
}

pub(super) fn pairs_csv(pairs: &[Pair], unit: Unit) -> String {
    let mut text = heading(&["pair", "name"], columns(), unit);
    for (number, Pair { file, other }) in (1..).zip(pairs) {
        for (name, curve) in [file, other] {
            let cells = cells(scaled(curve, unit));
            let _ = writeln!(text, "{number},{},{cells}", quoted(name));
        }
    }
    text
}

pub(super) fn series_csv(series: &[Series], unit: Unit) -> String {
    let mut columns = step_columns();
    columns.push("count".to_owned());
    let mut text = heading(&["name", "start", "seconds"], columns, unit);
    for it in series {
        for step in &it.steps {
            let curve = it.curve_of(step);
            let values = step_figures(curve.as_ref()).into_iter();
            let values = values.map(|it| json!(it.map(|us| unit.of_us(us))));
            let count = curve.map_or(0, |it| it.count()).into();
            let (name, start) = (quoted(&it.name), readable_time(step.start_us, false));
            let (seconds, cells) = (step.length_us as f64 / 1e6, cells(values.chain([count])));
            let _ = writeln!(text, "{name},{start},{seconds},{cells}");
        }
    }
    text
}

/// The percentiles of the only curve.
pub(super) fn hgrm(curves: &[Named], unit: Unit) -> Result<String, Failure> {
    let [(_, curve)] = curves else {
        let names: Vec<_> = curves.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Failure::Usage(format!(
            "--format hgrm writes one histogram, and here are {}: {}; choose it by its file or by \
             --tag",
            names.len(),
            names.join(", ")
        )));
    };
    let mut bytes = Vec::new();
    write_curve(curve, unit.us(), &mut bytes).map_err(Failure::because)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
