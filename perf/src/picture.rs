//! Pictures: lines over numbers, bars over names; figures in, SVG out.
//!
//! ```text
//!   ms |              ___.--          lines: latency over percentiles, rates over numbers of
//!      |      ___.---'                sources, messages a second over time
//!   us |_____'                        bars: engine beside relay, case by case
//!      0%    90%    99%    99.9%
//! ```
//! A scale turns figures into coordinates and coordinates into labels; all drawing is linear.

mod scale;

use std::error::Error;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, SeriesLabelPosition};
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color as _, RGBColor, WHITE};

use crate::curve::Curve;
use crate::error::PerfError;
use scale::Ruler;
pub(crate) use scale::Scale;

/// Of a picture, in pixels.
const SIZE: (u32, u32) = (960, 480);
/// A line with fewer points shows them, too.
const DOTTED_MAX: usize = 24;
/// Part of a case's room that its bars fill.
const BARS_WIDTH: f64 = 0.7;

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// A part of its file's name.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) svg: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    /// What it shows, with its unit.
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

/// A name and its figures: x and y, or one for each case.
pub(crate) type Series<T> = (String, Vec<T>);

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Ruler, Ruler>>;

/// Draws lines. Points that the scales cannot show, such as zero on a logarithm, are left out.
///
/// # Errors
/// The drawing library refuses.
pub(crate) fn lines(
    name: &str,
    title: &str,
    [x, y]: [Axis; 2],
    series: &[Series<(f64, f64)>],
) -> Result<Picture, PerfError> {
    let placed: Vec<Series<(f64, f64)>> = (series.iter())
        .map(|(name, points)| {
            let place = |&(a, b): &(f64, f64)| Some((x.scale.place(a)?, y.scale.place(b)?));
            (name.clone(), points.iter().filter_map(place).collect())
        })
        .collect();
    let all = || placed.iter().flat_map(|(_, points)| points);
    let rulers = [
        x.scale.ruler(all().map(|it| it.0)),
        y.scale.ruler(all().map(|it| it.1)),
    ];
    picture(name, title, rulers, [x.label, y.label], |chart| {
        for ((name, points), color) in placed.iter().zip(COLORS.iter().cycle()) {
            let line = color.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), line))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], line));
            if points.len() <= DOTTED_MAX {
                let dot = |&at: &(f64, f64)| Circle::new(at, 4, color.filled());
                chart.draw_series(points.iter().map(dot))?;
            }
        }
        Ok(())
    })
}

/// Draws the percentile curves of latencies, in ns; empty ones are left out.
///
/// # Errors
/// The drawing library refuses.
pub(crate) fn percentiles(
    name: &str,
    title: &str,
    curves: &[(String, Curve)],
) -> Result<Picture, PerfError> {
    let drawn = curves.iter().filter(|(_, curve)| curve.count > 0);
    let series: Vec<Series<(f64, f64)>> = drawn
        .map(|(name, curve)| (name.clone(), curve.drawable()))
        .collect();
    let axes = [
        Axis {
            label: "percentile",
            scale: Scale::Percentile,
        },
        LATENCY,
    ];
    lines(name, title, axes, &series)
}

/// The axis of latencies in ns.
pub(crate) const LATENCY: Axis = Axis {
    label: "latency",
    scale: Scale::Time,
};

/// The axis of latencies in ns that bars have: it begins at zero.
pub(crate) const LINEAR_LATENCY: Axis = Axis {
    label: "latency",
    scale: Scale::LinearTime,
};

/// Draws a group of bars for each case, a bar for each series. The axis is linear, from zero.
///
/// # Errors
/// The drawing library refuses.
pub(crate) fn bars(
    name: &str,
    title: &str,
    y: Axis,
    cases: &[String],
    series: &[Series<f64>],
) -> Result<Picture, PerfError> {
    assert!(
        matches!(y.scale, Scale::Count | Scale::LinearTime),
        "bars begin at zero"
    );
    let values = series.iter().flat_map(|(_, values)| values.iter().copied());
    let rulers = [Ruler::names(cases), y.scale.ruler(values)];
    let width = BARS_WIDTH / series.len().max(1) as f64;
    picture(name, title, rulers, ["", y.label], |chart| {
        for (index, (name, values)) in series.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let left = |case: usize| case as f64 - BARS_WIDTH / 2.0 + width * index as f64;
            let bar = |(case, &value): (usize, &f64)| {
                let corners = [(left(case), 0.0), (left(case) + width, value)];
                Rectangle::new(corners, color.filled())
            };
            chart
                .draw_series(values.iter().enumerate().map(bar))?
                .label(name)
                .legend(move |(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 20, y + 5)], color.filled())
                });
        }
        Ok(())
    })
}

fn picture(
    name: &str,
    title: &str,
    rulers: [Ruler; 2],
    labels: [&str; 2],
    draw: impl FnOnce(&mut Chart<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<Picture, PerfError> {
    let mut svg = String::new();
    frame(&mut svg, title, rulers, labels, draw).map_err(|error| {
        PerfError::Usage(format!("the picture {name} cannot be drawn: {error}"))
    })?;
    Ok(Picture {
        name: name.to_owned(),
        title: title.to_owned(),
        svg,
    })
}

fn frame(
    svg: &mut String,
    title: &str,
    [x, y]: [Ruler; 2],
    [x_label, y_label]: [&str; 2],
    draw: impl FnOnce(&mut Chart<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (show_x, show_y) = (x.clone(), y.clone());
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .margin_right(40)
        .x_label_area_size(48)
        .y_label_area_size(80)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(x_label)
        .y_desc(y_label)
        .x_label_formatter(&|&at| show_x.show(at))
        .y_label_formatter(&|&at| show_y.show(at))
        .label_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .draw()?;
    draw(&mut chart)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Axis = Axis {
        label: "msg/s",
        scale: Scale::Count,
    };

    #[test]
    fn lines_have_their_names_scales_and_points() {
        let series = [("engine & co".to_owned(), vec![(1.0, 10.0), (256.0, 2e6)])];
        let x = Axis {
            label: "sources",
            scale: Scale::Logarithm,
        };
        let picture = lines("sources", "Growth", [x, COUNT], &series).expect("a picture");
        for text in [
            "Growth",
            "engine &amp; co",
            "sources",
            "msg/s",
            "100",
            "2.00 M",
        ] {
            assert!(picture.svg.contains(text), "{text}\n{}", picture.svg);
        }
        assert_eq!(picture.svg.matches("<circle").count(), 2);
    }

    #[test]
    fn bars_stand_in_groups_under_their_names() {
        let series = ["engine", "relay"].map(|name| (name.to_owned(), vec![1.0, 2.0]));
        let cases = ["390 B".to_owned(), "8 KiB".to_owned()];
        let picture = bars("rate", "Rates", COUNT, &cases, &series).expect("a picture");
        for text in ["engine", "relay", "390 B", "8 KiB"] {
            assert!(picture.svg.contains(text), "{text}");
        }
    }

    #[test]
    fn nothing_and_zeros_can_be_drawn() {
        let axes = [LATENCY, COUNT];
        for points in [vec![], vec![(0.0, 0.0)], vec![(5.0, 5.0)]] {
            let picture = lines("x", "", axes, &[("x".into(), points)]).expect("a picture");
            assert!(!picture.svg.contains("NaN") && !picture.svg.contains("inf"));
        }
        assert!(percentiles("x", "", &[("none".into(), Curve::default())]).is_ok());
        assert!(bars("x", "", COUNT, &[], &[]).is_ok());
    }
}
