//! Draws percentile curves into one SVG.
//!
//! The `histogram` command feeds it with curves and writes the text to a file; the HTTP rooms send it.
//! Pure: curves in, text out.
//!
//! ```text
//!   ms |                                x: 1/(1-percentile), so each nine takes the same room
//!      |                     ___.---'   y: latency, logarithmic: a median of 20 us and a maximum
//!   us |________________.---'              of 10 ms are both to be read
//!      0%       90%       99%     99.9%
//! ```

use std::error::Error;
use std::fmt;
use std::ops::Range;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::PathElement;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{BLACK, Color as _, RGBColor, WHITE};

use super::curve::{Curve, Point};

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (960, 540);

/// Decades of 1/(1-percentile) at most: one message in a thousand million.
const NINES_MAX: i32 = 9;

/// Shorter latencies are drawn here: below it the engine's histograms tell nothing apart.
const VALUE_US_MIN: f64 = 0.1;

/// Okabe and Ito's colours, which most people can tell apart; yellow, pale on white, is left out.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Pixels of a dash, and of the gap behind it.
const DASH: (u32, u32) = (6, 5);

/// A curve, and how it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// What is drawn; nothing, if it is empty.
    pub curve: &'a Curve,
    /// Curves of one number have one colour.
    pub color: usize,
    /// What the others are compared with.
    pub dashed: bool,
}

/// The picture could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlotError {
    /// Only empty histograms.
    #[error("there is nothing to draw: all these histograms are empty")]
    Empty,
    /// The drawing library refused.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
}

/// Draws curves with their names, each in its colour; empty ones are left out.
///
/// # Errors
/// There is nothing to draw.
pub(crate) fn plot(title: &str, curves: &[(String, Curve)]) -> Result<String, PlotError> {
    let drawn: Vec<_> = curves
        .iter()
        .enumerate()
        .map(|(color, (name, curve))| Drawn {
            name,
            curve,
            color,
            dashed: false,
        })
        .collect();
    plot_drawn(title, &drawn)
}

/// Draws curves as they are told; empty ones are left out.
///
/// # Errors
/// There is nothing to draw.
pub(crate) fn plot_drawn(title: &str, curves: &[Drawn<'_>]) -> Result<String, PlotError> {
    let drawn: Vec<_> = curves.iter().filter(|it| it.curve.count() > 0).collect();
    let all = || drawn.iter().map(|it| it.curve);
    let count = all().map(Curve::count).max().ok_or(PlotError::Empty)?;
    let nines = nines(count);
    let decades = decades(all());
    let mut svg = String::new();
    draw(&mut svg, title, &drawn, nines, decades).map_err(|it| PlotError::Draw(it.to_string()))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    curves: &[&Drawn<'_>],
    nines: i32,
    decades: Range<i32>,
) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .margin_right(36)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(Decades(0..nines), Decades(decades.clone()))?;
    chart
        .configure_mesh()
        .x_desc("percentile")
        .y_desc("latency")
        .x_label_formatter(&|&nines| percent_label(nines))
        .y_label_formatter(&|&decade| time_label(10_f64.powf(decade)))
        .label_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .draw()?;
    for it in curves {
        let line = COLORS[it.color % COLORS.len()].stroke_width(2);
        let points = points(it.curve, nines, &decades);
        let drawn = match it.dashed {
            false => chart.draw_series(LineSeries::new(points, line))?,
            true => chart.draw_series(DashedLineSeries::new(points, DASH.0, DASH.1, line))?,
        };
        let len = if it.dashed { 8 } else { 20 };
        drawn
            .label(it.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + len, y)], line));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

/// An axis of whole decades, with a label and a line at each; its coordinates are logarithms.
#[derive(Debug, Clone)]
struct Decades(Range<i32>);

impl Ranged for Decades {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - f64::from(self.0.start)) / f64::from(self.0.end - self.0.start);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        (self.0.start..=self.0.end).map(f64::from).collect()
    }

    fn range(&self) -> Range<f64> {
        f64::from(self.0.start)..f64::from(self.0.end)
    }
}

/// The curve in the picture's coordinates. Its end, 100 %, lies infinitely far to the right; it is
/// drawn where its last message is: one in `count`.
fn points(curve: &Curve, nines: i32, decades: &Range<i32>) -> Vec<(f64, f64)> {
    let right = (curve.count() as f64).log10().min(f64::from(nines));
    let (low, high) = (f64::from(decades.start), f64::from(decades.end));
    let place = |it: &Point| {
        let x = -(1.0 - it.quantile).log10();
        (x.clamp(0.0, right), it.value_us.log10().clamp(low, high))
    };
    curve.points().iter().map(place).collect()
}

/// Decades of 1/(1-percentile) that this many messages fill.
fn nines(count: u64) -> i32 {
    ((count as f64).log10().ceil() as i32).clamp(1, NINES_MAX)
}

/// From the decade below the shortest to the decade above the longest.
fn decades<'a>(curves: impl Iterator<Item = &'a Curve>) -> Range<i32> {
    let (mut least, mut most) = (f64::MAX, VALUE_US_MIN);
    for curve in curves {
        least = least.min(curve.points().first().map_or(f64::MAX, |it| it.value_us));
        most = most.max(curve.points().last().map_or(0.0, |it| it.value_us));
    }
    let low = least.max(VALUE_US_MIN).log10().floor() as i32;
    let high = most.log10().ceil() as i32;
    low..high.max(low + 1)
}

/// `0%`, `90%`, `99%`, `99.9%` ...
fn percent_label(nines: f64) -> String {
    let nines = nines.round().max(0.0) as usize;
    match nines {
        0 => "0%".to_owned(),
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        more => format!("99.{}%", "9".repeat(more - 2)),
    }
}

fn time_label(value_us: f64) -> String {
    struct Rounded(f64);
    impl fmt::Display for Rounded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            // Powers of ten come out of logarithms a little off.
            write!(f, "{}", (self.0 * 1_000.0).round() / 1_000.0)
        }
    }
    match value_us {
        it if it < 999.0 => format!("{} µs", Rounded(it)),
        it if it < 999_000.0 => format!("{} ms", Rounded(it / 1_000.0)),
        it => format!("{} s", Rounded(it / 1_000_000.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{bins, write_hgrm};

    fn curve(values_us: impl IntoIterator<Item = u64>) -> Curve {
        let mut histogram = bins::histogram();
        for value in values_us {
            histogram.record(value * 1_000).unwrap();
        }
        let mut bytes = Vec::new();
        write_hgrm(&histogram, &mut bytes).unwrap();
        Curve::parse(&String::from_utf8(bytes).unwrap()).unwrap()
    }

    #[test]
    fn the_picture_has_curves_names_and_both_scales() {
        let curves = [
            ("level 1".to_owned(), curve(20..=5_000)),
            ("<level & 2>".to_owned(), curve(40..=9_000)),
            ("nothing".to_owned(), curve([])),
        ];
        let svg = plot("Latency", &curves).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for label in [
            "Latency",
            "level 1",
            "&lt;level &amp; 2&gt;",
            "99.9%",
            "0%",
            "µs",
            "ms",
        ] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(!svg.contains("nothing") && !svg.contains("<level"));
        let long = svg
            .lines()
            .filter(|it| it.contains("<polyline") && it.len() > 300);
        assert_eq!(long.count(), 2, "a curve each");
        assert!(svg.len() < 100_000);
    }

    #[test]
    fn what_is_compared_has_one_colour_and_dashes() {
        let (one, other) = (curve(20..=5_000), curve(40..=9_000));
        let drawn = |name, curve, dashed| Drawn {
            name,
            curve,
            color: 1,
            dashed,
        };
        let both = [drawn("now", &one, false), drawn("then", &other, true)];
        let svg = plot_drawn("Latency", &both).unwrap();
        let (long, short): (Vec<_>, Vec<_>) = svg
            .lines()
            .filter(|it| it.contains("<polyline") && it.contains("#D55E00"))
            .partition(|it| it.len() > 300);
        assert_eq!(long.len(), 1, "the one that is whole");
        assert!(short.len() > 20, "the one in dashes");
    }

    #[test]
    fn any_histogram_can_be_drawn() {
        for values in [
            vec![0],
            vec![1],
            vec![3_600_000_000],
            vec![0, 3_600_000_000],
        ] {
            let svg = plot("", &[("x".to_owned(), curve(values.clone()))]).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}");
        }
        assert!(matches!(plot("", &[]), Err(PlotError::Empty)));
        assert!(matches!(
            plot("", &[("x".to_owned(), curve([]))]),
            Err(PlotError::Empty)
        ));
    }

    #[test]
    fn labels_say_nines_and_units() {
        let percents: Vec<_> = (0..5).map(|it| percent_label(f64::from(it))).collect();
        assert_eq!(percents, ["0%", "90%", "99%", "99.9%", "99.99%"]);
        let times: Vec<_> = [0.1, 1.0, 100.0, 999.999_9, 1e6]
            .into_iter()
            .map(time_label)
            .collect();
        assert_eq!(times, ["0.1 µs", "1 µs", "100 µs", "1 ms", "1 s"]);
    }
}
