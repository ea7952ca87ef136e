//! Percentile curves: each nine takes the same room, latency is logarithmic.

use std::fmt::Write as _;
use std::ops::Range;

use maud::{Markup, html};

use super::frame::{Frame, HEIGHT, WIDTH};
use crate::latency::curve::Curve;
use crate::latency::plot::{decade_label, decades, log_us, percent_label};

/// Nines at most: one message in a million.
const NINES_MAX: i32 = 6;

/// Points that are closer to each other are one, in the picture's coordinates.
const NEAR: f64 = 1.0;

/// A curve and its name.
#[derive(Debug)]
pub(in crate::admin::page) struct Line {
    pub(in crate::admin::page) label: String,
    pub(in crate::admin::page) curve: Curve,
}

/// Draws the curves that are not empty; `None`: all are.
pub(in crate::admin::page) fn curves(words: &str, lines: &[Line]) -> Option<Markup> {
    let drawn: Vec<_> = (0..)
        .zip(lines)
        .filter(|(_, it)| it.curve.count() > 0)
        .collect();
    let most = drawn.iter().map(|(_, it)| it.curve.count()).max()?;
    let nines = ((most as f64).log10().ceil() as i32).clamp(1, NINES_MAX);
    let points = || drawn.iter().flat_map(|(_, it)| it.curve.points());
    let least_us = points().map(|it| it.value_us).fold(f64::MAX, f64::min);
    let most_us = points().map(|it| it.value_us).fold(0.0, f64::max);
    let decades = decades(least_us, most_us);
    let frame = Frame {
        words,
        y_labels: decades
            .clone()
            .chain([decades.end])
            .map(|it| label(f64::from(it)))
            .collect(),
        x_labels: (0..=nines).map(|it| percent_label(f64::from(it))).collect(),
        x_title: "messages that took no longer",
    };
    let picture = html! {
        @for (place, line) in &drawn {
            path .curve .(class(*place)) d=(path(&line.curve, nines, &decades)) {}
        }
    };
    let figure = html! {
        (frame.around(&picture))
        ul .legend {
            @for (place, line) in &drawn {
                li { span .swatch .(class(*place)) {} (line.label) }
            }
        }
    };
    Some(figure)
}

/// What the stylesheet calls a curve.
fn class(place: usize) -> String {
    format!("c{}", place % 9)
}

pub(super) fn label(decade: f64) -> String {
    decade_label(decade).replace("us", "µs")
}

fn path(curve: &Curve, nines: i32, decades: &Range<i32>) -> String {
    let right = (curve.count() as f64).log10().min(f64::from(nines));
    let height = f64::from(decades.end - decades.start);
    let mut path = String::new();
    let mut last = None;
    for point in curve.points() {
        let nine = (-(1.0 - point.quantile).log10()).clamp(0.0, right);
        let x = nine / f64::from(nines) * WIDTH;
        let above = log_us(point.value_us, decades) - f64::from(decades.start);
        let y = HEIGHT * (1.0 - above / height);
        let is_near = |(a, b): (f64, f64)| (a - x).abs() < NEAR && (b - y).abs() < NEAR;
        if last.is_some_and(is_near) {
            continue;
        }
        let word = if last.is_some() { 'L' } else { 'M' };
        write!(path, "{word}{x:.1} {y:.1}").expect("a string takes everything");
        last = Some((x, y));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{Interval, Stage, Totals, View};

    fn line(values_ns: impl IntoIterator<Item = u64>) -> Line {
        let mut interval = Interval::new(1, 1);
        for ns in values_ns {
            interval.record(Stage::Total, 1, 0, ns, 1);
        }
        let mut totals = Totals::new(1, 1);
        totals.merge(&interval);
        let histogram = totals.histogram(View::Stage(Stage::Total));
        Line {
            label: "all".to_owned(),
            curve: Curve::of(&histogram, 0.001),
        }
    }

    #[test]
    fn a_curve_goes_from_left_to_right_and_up() {
        let line = line((1..=1_000).map(|it| it * 1_000));
        let path = path(&line.curve, 3, &(0..3));
        let numbers: Vec<f64> = path
            .split(['M', 'L', ' '])
            .filter_map(|it| it.parse().ok())
            .collect();
        let points: Vec<_> = numbers.chunks(2).collect();
        assert!(points.len() > 50 && points.len() < 1_000);
        assert_eq!(points[0][0], 0.0);
        assert_eq!(points.last().map(|it| it[0]), Some(WIDTH));
        for pair in points.windows(2) {
            assert!(
                pair[0][0] <= pair[1][0] && pair[0][1] >= pair[1][1],
                "{pair:?}"
            );
        }
    }

    #[test]
    fn nothing_is_no_picture() {
        assert!(curves("", &[line([])]).is_none());
        let one = curves("words", &[line([]), line([5_000])]).expect("one message");
        let text = one.into_string();
        assert!(
            text.contains("aria-label=\"words\"") && text.contains("curve c1"),
            "{text}"
        );
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
