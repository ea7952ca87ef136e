//! Draws how many messages took how long, over time, as a heat map of each tag.
//!
//! ```text
//!   ms | . .:.  .      dark: most of the fullest cell; a cell is a step and a tenth of a decade
//!   us | ##@##@@##     black lines: p50 and p99
//!       22:13  22:14
//! ```

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::element::Rectangle;
use plotters::style::{BLACK, Color as _, RGBColor};

use super::axes::{Decades, Times, decade_label, decades, log_us};
use super::figures::{self, Figures};
use super::over_time::{Drawn, times};
use super::style::{self, Chart, Done, Drawing, Look};
use super::{Limit, PlotError};
use crate::latency::curve::Curve;

/// Rows of cells in a decade.
const ROWS_PER_DECADE: f64 = 10.0;

/// Pixels of the map of one tag, and maps at most.
const MAP_HEIGHT: u32 = 380;
pub(crate) const MAPS_MAX: usize = 8;

/// From few to many: viridis without its darkest end, on which the lines were not seen.
const SHADES: [RGBColor; 6] = [
    RGBColor(253, 231, 37),
    RGBColor(149, 216, 64),
    RGBColor(60, 187, 117),
    RGBColor(31, 150, 139),
    RGBColor(45, 112, 142),
    RGBColor(64, 67, 135),
];

/// The darkest stands for ten times the lightest at least, as a natural logarithm: where each cell has one
/// message or two, all are light.
const LOG_RANGE_MIN: f64 = std::f64::consts::LN_10;

/// Draws a map of each tag, of the first [`MAPS_MAX`].
///
/// # Errors
/// There is nothing to draw.
pub(crate) fn plot_heat_map(
    title: &str,
    tags: &[Drawn<'_>],
    limits: &[Limit],
) -> Result<String, PlotError> {
    let tags = tags.iter().filter(|it| it.curve.count() > 0);
    let tags: Vec<_> = tags.take(MAPS_MAX).collect();
    let times = times(tags.iter().flat_map(|it| it.steps)).ok_or(PlotError::Empty)?;
    let rows: Vec<_> = tags
        .iter()
        .map(|it| Figures {
            name: it.name,
            look: None,
            curve: Some(it.curve),
        })
        .collect();
    let below_box = figures::height(rows.len());
    let height = (MAP_HEIGHT * rows.len() as u32).max(below_box + 100);
    figures::page(height, &rows, |left, right| {
        for (map, tag) in left.split_evenly((tags.len(), 1)).iter().zip(&tags) {
            one(map, &format!("{title}: {}", tag.name), tag, limits, &times)?;
        }
        scale(right, below_box as i32)
    })
}

/// What the shades mean.
fn scale(area: &Drawing<'_>, top: i32) -> Done {
    let (width, letters) = (40, style::text(15.0, false));
    area.draw_text("few", &letters, (8, top + 10))?;
    for (place, shade) in (0..).zip(SHADES) {
        let left = 50 + place * width;
        let cell = [(left, top), (left + width, top + 20)];
        area.draw(&Rectangle::new(cell, shade.filled()))?;
    }
    let right = 58 + width * SHADES.len() as i32;
    area.draw_text("many messages (logarithmic)", &letters, (right, top + 10))?;
    area.draw_text("black: p50 (dots) and p99", &letters, (8, top + 34))?;
    Ok(())
}

fn one(area: &Drawing<'_>, title: &str, tag: &Drawn<'_>, limits: &[Limit], times: &Times) -> Done {
    let values = || tag.curve.points().iter().map(|it| it.value_us);
    let values = || values().chain(limits.iter().map(|it| it.us));
    let least = values().fold(f64::MAX, f64::min);
    let decades = decades(least, values().fold(0.0, f64::max));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .margin_right(36)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(times.clone(), Decades(decades.clone()))?;
    cells(&mut chart, tag, &decades)?;
    lines(&mut chart, tag, &decades)?;
    for limit in limits {
        super::over_time::mark(&mut chart, limit, times, &decades)?;
    }
    chart
        .configure_mesh()
        .x_desc(times.words())
        .y_desc("latency")
        .x_label_formatter(&|&us| times.label(us))
        .y_label_formatter(&|&decade| decade_label(decade))
        .label_style(("sans-serif", 15))
        .light_line_style(BLACK.mix(0.0))
        .bold_line_style(BLACK.mix(0.08))
        .draw()?;
    Ok(())
}

type Map<'a, 'b> = Chart<'a, 'b, Times, Decades>;

fn cells(chart: &mut Map<'_, '_>, tag: &Drawn<'_>, decades: &Range<i32>) -> Done {
    let columns: Vec<_> = tag
        .steps
        .iter()
        .map(|step| column(step.histogram.as_ref(), tag.unit_us, decades))
        .collect();
    let rates =
        |column: usize, count: u64| count as f64 / tag.steps[column].length_us.max(1) as f64;
    let most = (0..columns.len())
        .flat_map(|it| columns[it].iter().map(move |cell| rates(it, cell.1)))
        .fold(f64::MIN_POSITIVE, f64::max);
    let least = 1.0 / tag.steps.iter().map(|it| it.length_us).max().unwrap_or(1) as f64;
    for (place, column) in columns.iter().enumerate() {
        let step = &tag.steps[place];
        let (left, right) = (step.start_us as f64, step.end_us() as f64);
        for &(row, count) in column {
            let part = (rates(place, count) / least).ln() / (most / least).ln().max(LOG_RANGE_MIN);
            let low = row as f64 / ROWS_PER_DECADE;
            let corners = [(left, low), (right, low + 1.0 / ROWS_PER_DECADE)];
            chart.draw_series([Rectangle::new(corners, shade(part).filled())])?;
        }
    }
    Ok(())
}

/// The rows of a step in which there is something, and how much, in the order of the rows.
fn column(
    histogram: Option<&hdrhistogram::Histogram<u64>>,
    unit_us: f64,
    decades: &Range<i32>,
) -> Vec<(i64, u64)> {
    let mut column: Vec<(i64, u64)> = Vec::new();
    for bin in histogram.into_iter().flat_map(|it| it.iter_recorded()) {
        let us = bin.value_iterated_to() as f64 * unit_us;
        let highest = i64::from(decades.end) * ROWS_PER_DECADE as i64 - 1;
        let row = ((log_us(us, decades) * ROWS_PER_DECADE).floor() as i64).min(highest);
        match column.last_mut() {
            Some((last, count)) if *last == row => *count += bin.count_at_value(),
            _ => column.push((row, bin.count_at_value())),
        }
    }
    column
}

/// 0: the lightest, 1: the darkest.
fn shade(part: f64) -> RGBColor {
    let place = part.clamp(0.0, 1.0) * (SHADES.len() - 1) as f64;
    let (low, between) = (place.floor() as usize, place.fract());
    let (from, to) = (SHADES[low], SHADES[(low + 1).min(SHADES.len() - 1)]);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * between).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

fn lines(chart: &mut Map<'_, '_>, tag: &Drawn<'_>, decades: &Range<i32>) -> Done {
    for (percent, dash) in [(50.0, 2), (99.0, 0)] {
        let mut run = Vec::new();
        for step in tag.steps {
            let curve = step.histogram.as_ref().map(|it| Curve::of(it, tag.unit_us));
            let value = curve.and_then(|it| it.percentile_us(percent));
            match value {
                Some(us) => {
                    let x = step.start_us as f64 + step.length_us as f64 / 2.0;
                    run.push((x, log_us(us, decades)));
                }
                None => {
                    let look = Look { color: 6, dash };
                    style::line(chart, std::mem::take(&mut run), look, 1)?;
                }
            }
        }
        style::line(chart, run, Look { color: 6, dash }, 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::bins;
    use crate::latency::timeline::Step;

    #[test]
    fn cells_are_dark_where_there_is_much() {
        assert_eq!(shade(0.0), SHADES[0]);
        assert_eq!(shade(1.0), SHADES[5]);
    }

    #[test]
    fn a_map_a_tag_with_cells_and_a_scale() {
        let mut histogram = bins::histogram();
        histogram.record_n(100_000, 1_000).unwrap();
        histogram.record(50_000_000).unwrap();
        let curve = Curve::of(&histogram, 0.001);
        let step = |second: u64| Step {
            start_us: second * 1_000_000,
            length_us: 1_000_000,
            histogram: (second != 2).then(|| histogram.clone()),
        };
        let steps: Vec<_> = (0..4).map(step).collect();
        let drawn = |name| Drawn {
            name,
            steps: &steps,
            curve: &curve,
            unit_us: 0.001,
        };
        let svg = plot_heat_map("Latency", &[drawn("total"), drawn("queue")], &[]).unwrap();
        for words in [
            "Latency: total",
            "Latency: queue",
            "many",
            "0s to 4s",
            "100 ms",
        ] {
            assert!(svg.contains(words), "{words}");
        }
        let darkest = svg.matches("#404387").count();
        assert!(
            darkest > 2 * 3,
            "cells of both maps, and the scale: {darkest}"
        );
        assert!(matches!(plot_heat_map("", &[], &[]), Err(PlotError::Empty)));
    }
}
