//! Draws percentile curves.
//!
//! ```text
//!   ms |                                x: 1/(1-percentile), so each nine takes the same room
//!      |                     ___.---'   y: latency, logarithmic: a median of 20 us and a maximum
//!   us |________________.---'              of 10 ms are both to be read
//!      0%       90%       99%     99.9%
//! ```

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::element::{Circle, PathElement, Text};
use plotters::style::{BLACK, Color as _, WHITE};

use super::axes::{Decades, decade_label, decades, log_us, percent_label};
use super::figures::{self, Figures};
use super::style::{self, Chart, Done, Drawing, HEIGHT_MIN, LIMIT_COLOR, Look};
use super::{Limit, PlotError};
use crate::latency::curve::{Curve, Point};

/// Decades of 1/(1-percentile) at most: one message in a thousand million.
const NINES_MAX: i32 = 9;

/// A curve, and how it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn<'a> {
    /// Its name in the box.
    pub(crate) name: &'a str,
    /// What is drawn; nothing, if it is empty.
    pub(crate) curve: &'a Curve,
    pub(crate) look: Look,
}

/// Draws curves with their names, each with a look of its own; empty ones are left out.
///
/// # Errors
/// There is nothing to draw.
pub(crate) fn plot(title: &str, curves: &[(String, Curve)]) -> Result<String, PlotError> {
    let drawn = (0..).zip(curves).map(|(place, (name, curve))| Drawn {
        name,
        curve,
        look: Look::of(place),
    });
    plot_drawn(title, &drawn.collect::<Vec<_>>(), &[])
}

/// Draws curves as they are told, and limits; empty curves are left out.
///
/// # Errors
/// There is nothing to draw.
pub(crate) fn plot_drawn(
    title: &str,
    curves: &[Drawn<'_>],
    limits: &[Limit],
) -> Result<String, PlotError> {
    let drawn: Vec<_> = curves.iter().filter(|it| it.curve.count() > 0).collect();
    let axes = axes(&drawn, limits).ok_or(PlotError::Empty)?;
    let rows: Vec<_> = drawn
        .iter()
        .map(|it| Figures {
            name: it.name,
            look: Some(it.look),
            curve: Some(it.curve),
        })
        .collect();
    figures::page(HEIGHT_MIN, &rows, |area, _| {
        draw(area, title, &drawn, limits, axes)
    })
}

/// Decades of 1/(1-percentile), and of latency.
type Axes = (i32, Range<i32>);

fn axes(curves: &[&Drawn<'_>], limits: &[Limit]) -> Option<Axes> {
    let counts = curves.iter().map(|it| it.curve.count());
    let count = counts.max()?;
    let (mut least, mut most) = (f64::MAX, 0.0_f64);
    for point in curves.iter().flat_map(|it| it.curve.points()) {
        (least, most) = (least.min(point.value_us), most.max(point.value_us));
    }
    for limit in limits {
        (least, most) = (least.min(limit.us), most.max(limit.us));
    }
    Some((nines(count), decades(least, most)))
}

fn draw(
    area: &Drawing<'_>,
    title: &str,
    curves: &[&Drawn<'_>],
    limits: &[Limit],
    (nines, decades): Axes,
) -> Done {
    let mut chart = chart(area, title, nines, &decades)?;
    for it in curves {
        style::line(&mut chart, points(it.curve, nines, &decades), it.look, 2)?;
    }
    for limit in limits {
        mark(&mut chart, limit, nines, &decades)?;
    }
    Ok(())
}

fn chart<'a, 'b>(
    area: &'a Drawing<'b>,
    title: &str,
    nines: i32,
    decades: &Range<i32>,
) -> Result<Chart<'a, 'b, Decades, Decades>, Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
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
        .y_label_formatter(&|&decade| decade_label(decade))
        .label_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .draw()?;
    Ok(chart)
}

/// A limit: a line, and the corner that curves must pass below.
fn mark(
    chart: &mut Chart<'_, '_, Decades, Decades>,
    limit: &Limit,
    nines: i32,
    decades: &Range<i32>,
) -> Done {
    let y = log_us(limit.us, decades);
    let x = (-(1.0 - limit.percent / 100.0).log10()).clamp(0.0, f64::from(nines));
    let (right, top) = (f64::from(nines), f64::from(decades.end));
    let (line, faint) = (LIMIT_COLOR.stroke_width(2), LIMIT_COLOR.mix(0.35));
    let corner = [(0.0, y), (x, y), (x, top)];
    if x < right {
        chart.draw_series([PathElement::new([(x, y), (right, y)], faint)])?;
    }
    chart.draw_series([PathElement::new(corner, line)])?;
    chart.draw_series([Circle::new((x, y), 4, LIMIT_COLOR.filled())])?;
    let letters = style::colored(15.0, false, LIMIT_COLOR.to_rgba());
    // Above the line, and off the axis, by a part of a decade that is some pixels everywhere.
    let above = 0.02 * f64::from(decades.end - decades.start);
    let place = (0.01 * right, y + above);
    chart.draw_series([Text::new(limit.text.clone(), place, letters)])?;
    Ok(())
}

/// The curve in the picture's coordinates. Its end, 100 %, lies infinitely far to the right; it is
/// drawn where its last message is: one in `count`.
fn points(curve: &Curve, nines: i32, decades: &Range<i32>) -> Vec<(f64, f64)> {
    let right = (curve.count() as f64).log10().min(f64::from(nines));
    let place = |it: &Point| {
        let x = -(1.0 - it.quantile).log10();
        (x.clamp(0.0, right), log_us(it.value_us, decades))
    };
    curve.points().iter().map(place).collect()
}

/// Decades of 1/(1-percentile) that this many messages fill.
fn nines(count: u64) -> i32 {
    ((count as f64).log10().ceil() as i32).clamp(1, NINES_MAX)
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
            "us",
            "ms",
            "p99.9",
            "4981",
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
        let [whole, dashed] = Look::of_pair(1);
        let drawn = |name, curve, look| Drawn { name, curve, look };
        let both = [drawn("now", &one, whole), drawn("then", &other, dashed)];
        let svg = plot_drawn("Latency", &both, &[]).unwrap();
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
    fn a_limit_is_a_line_with_its_words() {
        let limit = Limit {
            text: "p99.9=20ms".to_owned(),
            percent: 99.9,
            us: 20_000.0,
        };
        let curve = curve(20..=5_000);
        let look = Look::of(0);
        let drawn = [Drawn {
            name: "x",
            curve: &curve,
            look,
        }];
        let svg = plot_drawn("", &drawn, &[limit]).unwrap();
        assert!(
            svg.contains("p99.9=20ms") && svg.contains("<circle"),
            "{svg}"
        );
        assert!(svg.contains("100 ms"), "the axis reaches it");
    }

    #[test]
    fn many_curves_make_the_picture_higher() {
        let curves: Vec<_> = (0..40)
            .map(|it| (format!("table{it}"), curve([it + 1])))
            .collect();
        let svg = plot("", &curves).unwrap();
        let height = figures::height(40);
        assert!(height > HEIGHT_MIN && svg.contains(&format!("height=\"{height}\"")));
    }
}
