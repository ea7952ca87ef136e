//! Draws p50, p99 and the maximum over time, and how many messages there were.
//!
//! ```text
//!   s  |      . max            a colour a tag; p50 in dots, p99 whole, max in dashes
//!   ms |  ___/\___ p99         where nothing was measured the lines are broken
//!   us |  ........ p50
//!      +-----------
//!  n/s |  |||  |||
//!       22:13  22:14
//! ```

use std::error::Error;
use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement, Text};
use plotters::style::{BLACK, Color as _, WHITE};

use super::axes::{Decades, Times, decade_label, decades, log_us};
use super::figures::{self, Figures};
use super::style::{self, Chart, Done, Drawing, HEIGHT_MIN, LIMIT_COLOR, Look};
use super::{Limit, PlotError};
use crate::latency::curve::Curve;
use crate::latency::timeline::Step;

/// Pixels of the counts below the latencies.
const COUNTS_HEIGHT: u32 = 150;

/// The figures drawn, in per cent, with their dash and the width of their line.
const LINES: [(&str, f64, usize, u32); 3] = [
    ("p50", 50.0, 2, 1),
    ("p99", 99.0, 0, 2),
    ("max", 100.0, 1, 1),
];

/// The steps of a tag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn<'a> {
    pub(crate) name: &'a str,
    pub(crate) steps: &'a [Step],
    /// Of all steps together.
    pub(crate) curve: &'a Curve,
    /// Microseconds of a value's unit.
    pub(crate) unit_us: f64,
}

/// Draws the steps of tags, each in its colour.
///
/// # Errors
/// There is nothing to draw.
pub(crate) fn plot_over_time(
    title: &str,
    tags: &[Drawn<'_>],
    limits: &[Limit],
) -> Result<String, PlotError> {
    let tags: Vec<_> = tags.iter().filter(|it| it.curve.count() > 0).collect();
    let times = times(tags.iter().flat_map(|it| it.steps)).ok_or(PlotError::Empty)?;
    figures::page(HEIGHT_MIN + COUNTS_HEIGHT, &rows(&tags), |area, _| {
        let (_, height) = area.dim_in_pixel();
        let (above, below) = area.split_vertically(height - COUNTS_HEIGHT);
        latencies(&above, title, &tags, limits, &times)?;
        counts(&below, &tags, &times)
    })
}

/// From the first step to the last.
pub(super) fn times<'a>(steps: impl Iterator<Item = &'a Step> + Clone) -> Option<Times> {
    let start_us = steps.clone().map(|it| it.start_us).min()?;
    let end_us = steps.map(Step::end_us).max()?.max(start_us + 1);
    Some(Times { start_us, end_us })
}

/// A row a tag, and what the dashes mean.
fn rows<'a>(tags: &[&Drawn<'a>]) -> Vec<Figures<'a>> {
    let lines = LINES.iter().map(|&(name, _, dash, _)| Figures {
        name,
        look: Some(Look { color: 6, dash }),
        curve: None,
    });
    let tags = (0..).zip(tags).map(|(place, it)| Figures {
        name: it.name,
        look: Some(look(place, 0)),
        curve: Some(it.curve),
    });
    tags.chain(lines).collect()
}

fn look(place: usize, dash: usize) -> Look {
    Look {
        dash,
        ..Look::of(place)
    }
}

fn latencies(
    area: &Drawing<'_>,
    title: &str,
    tags: &[&Drawn<'_>],
    limits: &[Limit],
    times: &Times,
) -> Done {
    let lines: Vec<_> = tags.iter().map(|it| Lines::of(it)).collect();
    let values = || {
        let points = lines
            .iter()
            .flat_map(|it| it.runs.iter().flatten().flatten());
        let points = points.map(|(_, us)| *us);
        points.chain(limits.iter().map(|it| it.us))
    };
    let least = values().fold(f64::MAX, f64::min);
    let decades = decades(least, values().fold(0.0, f64::max));
    let mut chart = chart(area, title, times, &decades)?;
    for (place, lines) in (0..).zip(&lines) {
        for ((_, _, dash, width), runs) in LINES.into_iter().zip(&lines.runs) {
            for run in runs {
                let points: Vec<_> = run
                    .iter()
                    .map(|(x, us)| (*x, log_us(*us, &decades)))
                    .collect();
                let look = look(place, dash);
                // A line of one point has no length.
                if let [alone] = points[..] {
                    let dot = Circle::new(alone, 2, look.color().filled());
                    chart.draw_series([dot])?;
                }
                style::line(&mut chart, points, look, width)?;
            }
        }
    }
    for limit in limits {
        mark(&mut chart, limit, times, &decades)?;
    }
    Ok(())
}

fn chart<'a, 'b>(
    area: &'a Drawing<'b>,
    title: &str,
    times: &Times,
    decades: &Range<i32>,
) -> Result<Chart<'a, 'b, Times, Decades>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .margin_bottom(0)
        .margin_right(36)
        .x_label_area_size(24)
        .y_label_area_size(76)
        .build_cartesian_2d(times.clone(), Decades(decades.clone()))?;
    chart
        .configure_mesh()
        .y_desc("latency")
        .x_label_formatter(&|&us| times.label(us))
        .y_label_formatter(&|&decade| decade_label(decade))
        .label_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .draw()?;
    Ok(chart)
}

/// The points of a tag's lines, in runs without a gap.
struct Lines {
    runs: [Vec<Vec<(f64, f64)>>; LINES.len()],
}

impl Lines {
    fn of(tag: &Drawn<'_>) -> Self {
        let mut runs: [Vec<Vec<(f64, f64)>>; LINES.len()] = Default::default();
        let mut is_new = true;
        for step in tag.steps {
            let Some(histogram) = step.histogram.as_ref().filter(|it| !it.is_empty()) else {
                is_new = true;
                continue;
            };
            let curve = Curve::of(histogram, tag.unit_us);
            let x = step.start_us as f64 + step.length_us as f64 / 2.0;
            for ((_, percent, ..), runs) in LINES.into_iter().zip(&mut runs) {
                let value = curve.percentile_us(percent).unwrap_or_default();
                match runs.last_mut() {
                    Some(run) if !is_new => run.push((x, value)),
                    _ => runs.push(vec![(x, value)]),
                }
            }
            is_new = false;
        }
        Self { runs }
    }
}

pub(super) fn mark(
    chart: &mut Chart<'_, '_, Times, Decades>,
    limit: &Limit,
    times: &Times,
    decades: &Range<i32>,
) -> Done {
    let y = log_us(limit.us, decades);
    let (left, right) = (times.start_us as f64, times.end_us as f64);
    let line = PathElement::new([(left, y), (right, y)], LIMIT_COLOR.stroke_width(2));
    chart.draw_series([line])?;
    let letters = style::colored(15.0, false, LIMIT_COLOR.to_rgba());
    let above = 0.02 * f64::from(decades.end - decades.start);
    let place = (left + (right - left) * 0.01, y + above);
    chart.draw_series([Text::new(limit.text.clone(), place, letters)])?;
    Ok(())
}

/// Messages a second in each step.
fn counts(area: &Drawing<'_>, tags: &[&Drawn<'_>], times: &Times) -> Done {
    let rates: Vec<Vec<_>> = tags.iter().map(|it| rates(it.steps)).collect();
    let most = rates.iter().flatten().map(|it| it.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_top(4)
        .margin_right(36)
        .x_label_area_size(40)
        .y_label_area_size(76)
        .build_cartesian_2d(times.clone(), RangedCoordf64::from(0.0..most * 1.1))?;
    chart
        .configure_mesh()
        .x_desc(times.words())
        .y_desc("n a second")
        .x_label_formatter(&|&us| times.label(us))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .y_labels(3)
        .label_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .draw()?;
    for (place, points) in (0..).zip(rates) {
        style::line(&mut chart, points, look(place, 0), 2)?;
    }
    Ok(())
}

/// The outline of the bars.
fn rates(steps: &[Step]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for step in steps {
        let count = step.histogram.as_ref().map_or(0, |it| it.len());
        let rate = count as f64 / (step.length_us.max(1) as f64 / 1e6);
        points.push((step.start_us as f64, rate));
        points.push((step.end_us() as f64, rate));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::bins;

    const START_US: u64 = 1_700_000_000_000_000;

    fn steps(latencies_us: &[Option<u64>]) -> Vec<Step> {
        let steps = (0..).zip(latencies_us).map(|(second, latency_us)| Step {
            start_us: START_US + second * 1_000_000,
            length_us: 1_000_000,
            histogram: latency_us.map(|us| {
                let mut histogram = bins::histogram();
                histogram.record_n(us * 1_000, 10).unwrap();
                histogram
            }),
        });
        steps.collect()
    }

    fn curve(steps: &[Step]) -> Curve {
        let mut sum = bins::histogram();
        for histogram in steps.iter().filter_map(|it| it.histogram.as_ref()) {
            sum.add(histogram).unwrap();
        }
        Curve::of(&sum, 0.001)
    }

    #[test]
    fn the_picture_has_times_figures_and_counts() {
        let steps = steps(&[Some(100), Some(900), None, Some(90_000), Some(110)]);
        let curve = curve(&steps);
        let drawn = [Drawn {
            name: "total",
            steps: &steps,
            curve: &curve,
            unit_us: 0.001,
        }];
        let limit = Limit {
            text: "p99=1ms".to_owned(),
            percent: 99.0,
            us: 1_000.0,
        };
        let svg = plot_over_time("Latency over time", &drawn, &[limit]).unwrap();
        for words in [
            "Latency over time",
            "total",
            "p50",
            "p99=1ms",
            "22:13:22",
            "2023-11-14T22:13:20Z to 2023-11-14T22:13:25Z",
            "100 ms",
            "n a second",
        ] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn lines_are_broken_where_nothing_was_measured() {
        let steps = steps(&[Some(1), Some(2), None, Some(3)]);
        let curve = curve(&steps);
        let lines = Lines::of(&Drawn {
            name: "",
            steps: &steps,
            curve: &curve,
            unit_us: 0.001,
        });
        let lengths: Vec<_> = lines.runs[0].iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn nothing_is_told() {
        assert!(matches!(
            plot_over_time("", &[], &[]),
            Err(PlotError::Empty)
        ));
    }
}
