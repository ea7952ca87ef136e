//! What was seen, over what varies.

use super::super::latency::{p50, p99};
use super::dimension::{Dimension, Seen};
use crate::error::PerfError;
use crate::picture::{Axis, LATENCY, LINEAR_LATENCY, Picture, Scale, bars, lines};

#[expect(clippy::cast_precision_loss, reason = "values fit 52 bits")]
pub(super) fn drawn(dimension: Dimension, seen: &[Seen]) -> Result<[Picture; 2], PerfError> {
    let name = dimension.name();
    let file = name.replace(' ', "-");
    let at = |it: &Seen| match dimension {
        Dimension::Frame => it.flat_out[0].frame_len as f64,
        _ => it.value as f64,
    };
    let curve = |name: &str, figure: &dyn Fn(&Seen) -> f64| {
        let points = seen.iter().map(|it| (at(it), figure(it)));
        (name.to_owned(), points.collect())
    };
    let x = Axis {
        label: name,
        // A backlog may be none, and levels and agents are few.
        scale: match dimension {
            Dimension::Levels | Dimension::Agents | Dimension::Backlog => Scale::Count,
            _ => Scale::Logarithm,
        },
    };
    let y = Axis {
        label: "messages a second",
        scale: Scale::Count,
    };
    if dimension == Dimension::Durability {
        return bars_of(&file, dimension, seen, y);
    }
    let rates = [curve("flat out", &|it| it.rate().median)];
    let latencies = [
        curve("p50", &|it| it.latency(p50).median),
        curve("p99", &|it| it.latency(p99).median),
    ];
    Ok([
        lines(
            &format!("{file}-rate"),
            &format!("Throughput by {name}"),
            [x, y],
            &rates,
        )?,
        lines(
            &format!("{file}-latency"),
            &format!("Latency by {name}"),
            [x, LATENCY],
            &latencies,
        )?,
    ])
}

/// For values that are no numbers.
fn bars_of(
    file: &str,
    dimension: Dimension,
    seen: &[Seen],
    y: Axis,
) -> Result<[Picture; 2], PerfError> {
    let names: Vec<String> = seen.iter().map(|it| dimension.shown(it)).collect();
    let series = |name: &str, figure: &dyn Fn(&Seen) -> f64| {
        (name.to_owned(), seen.iter().map(figure).collect())
    };
    let rates = [series("engine, flat out", &|it| it.rate().median)];
    let latencies = [
        series("p50", &|it| it.latency(p50).median),
        series("p99", &|it| it.latency(p99).median),
    ];
    let title = |what: &str| format!("{what} by {}", dimension.name());
    Ok([
        bars(
            &format!("{file}-rate"),
            &title("Throughput"),
            y,
            &names,
            &rates,
        )?,
        bars(
            &format!("{file}-latency"),
            &title("Latency"),
            LINEAR_LATENCY,
            &names,
            &latencies,
        )?,
    ])
}
