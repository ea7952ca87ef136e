//! Latencies as JSON, in microseconds: for `/stats` and `/history`.

use serde_json::{Map, Value, json};

use crate::latency::{RecentStep, Stage, Summary};
use crate::message::Level;

/// The figures of each stage.
pub(super) fn stages(step: &RecentStep) -> Value {
    let stages = Stage::ALL.map(|it| (it.label().to_owned(), figures(step.stage(it))));
    Value::Object(stages.into_iter().collect())
}

/// The figures of each level, of the whole way.
pub(super) fn by_level(step: &RecentStep, levels: Level) -> Value {
    let levels = (1..=levels).map(|level| {
        let summary = step.level(Stage::Total, level);
        (level.to_string(), figures(summary))
    });
    Value::Object(levels.collect::<Map<_, _>>())
}

/// The figures of one histogram.
pub(super) fn figures(summary: Summary) -> Value {
    json!({
        "count": summary.count,
        "mean": microseconds(summary.mean_ns),
        "p50": microseconds(summary.p50_ns as f64),
        "p99": microseconds(summary.p99_ns as f64),
        "p999": microseconds(summary.p999_ns as f64),
        "max": microseconds(summary.max_ns as f64),
    })
}

/// To three digits after the point: nanoseconds.
pub(super) fn microseconds(ns: f64) -> f64 {
    ns.round() / 1_000.0
}
