//! The box beside a plot: a line a curve, with its look and its figures.
//!
//! ```text
//!                     p50      p99    p99.9      max         n
//! ---- total      19.7 us   229 us  1.83 ms  9.57 ms    197997
//! ```

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{PathElement, Rectangle};
use plotters::style::{BLACK, Color as _, WHITE};

use super::PlotError;
use super::style::{self, BOX_WIDTH, Done, Drawing, Look, PLOT_WIDTH};
use crate::latency::curve::Curve;
use crate::latency::readable;

/// Pixels of a line.
const ROW: i32 = 22;
/// Where the box begins, and its first line.
const TOP: i32 = 52;
/// Right ends of the columns.
const COLUMNS: [(&str, i32); 5] = [
    ("p50", 310),
    ("p99", 382),
    ("p99.9", 454),
    ("max", 526),
    ("n", 592),
];
const NAME_CHARS_MAX: usize = 26;
const LETTERS: f64 = 15.0;

/// A line of the box; without a curve it explains how something looks.
pub(super) struct Figures<'a> {
    pub(super) name: &'a str,
    pub(super) look: Option<Look>,
    pub(super) curve: Option<&'a Curve>,
}

/// A picture of this height at least: what `plot` draws, and the box beside it.
pub(super) fn page(
    height_min: u32,
    rows: &[Figures<'_>],
    plot: impl FnOnce(&Drawing<'_>, &Drawing<'_>) -> Done,
) -> Result<String, PlotError> {
    let mut svg = String::new();
    let height = height_min.max(height(rows.len()));
    let size = (PLOT_WIDTH + BOX_WIDTH, height);
    draw_page(SVGBackend::with_string(&mut svg, size), rows, plot).map_err(PlotError::draw)?;
    Ok(svg)
}

fn draw_page(
    svg: SVGBackend<'_>,
    rows: &[Figures<'_>],
    plot: impl FnOnce(&Drawing<'_>, &Drawing<'_>) -> Done,
) -> Done {
    let area = svg.into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(PLOT_WIDTH);
    plot(&left, &right)?;
    draw(&right, rows)?;
    area.present()?;
    Ok(())
}

/// The height that so many lines need.
pub(super) fn height(rows: usize) -> u32 {
    (TOP + ROW * (rows as i32 + 2) + 24) as u32
}

fn draw(area: &Drawing<'_>, rows: &[Figures<'_>]) -> Done {
    let bottom = TOP + ROW * (rows.len() as i32 + 1) + 8;
    let corners = [(0, TOP - 8), (BOX_WIDTH as i32 - 10, bottom)];
    area.draw(&Rectangle::new(corners, BLACK.mix(0.3)))?;
    for (name, right) in COLUMNS {
        area.draw_text(name, &style::text(LETTERS, true), (right, TOP + ROW / 2))?;
    }
    let under = TOP + ROW + 1;
    let rule = [(8, under), (BOX_WIDTH as i32 - 18, under)];
    area.draw(&PathElement::new(rule, BLACK.mix(0.3)))?;
    for (place, row) in (1..).zip(rows) {
        let y = TOP + ROW * place + ROW / 2 + 3;
        if let Some(look) = row.look {
            style::sample(area, (8, y), 36, look)?;
        }
        let name = style::short(row.name, NAME_CHARS_MAX);
        area.draw_text(&name, &style::text(LETTERS, false), (50, y))?;
        let cells = row.curve.map(cells).unwrap_or_default();
        for ((_, right), cell) in COLUMNS.into_iter().zip(cells) {
            area.draw_text(&cell, &style::text(LETTERS, true), (right, y))?;
        }
    }
    Ok(())
}

fn cells(curve: &Curve) -> Vec<String> {
    let latency = |us: Option<f64>| {
        us.map_or_else(
            || "-".to_owned(),
            |us| {
                let (value, unit) = readable(us);
                format!("{value} {unit}")
            },
        )
    };
    let percentiles = [50.0, 99.0, 99.9].map(|it| curve.percentile_us(it));
    let max = (curve.count() > 0).then(|| curve.max_us());
    let mut cells: Vec<_> = percentiles.into_iter().chain([max]).map(latency).collect();
    cells.push(curve.count().to_string());
    cells
}
