//! Pictures: lines over numbers, bars over names; figures in, SVG out.
//!
//! ```text
//!   ms |              ___.--          lines: latency over percentiles, rates over numbers of
//!      |- - - - - -_.-' - - aim       sources, messages a second over time
//!   us |_____.---''                   bars: engine beside relay, case by case
//!      0%    90%    99%    99.9%      both: the rounds' least and most as error bars
//! ```
//! A scale turns figures into coordinates and coordinates into labels; all drawing is linear.

mod scale;

use anyhow::{Context as _, Result};
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, SeriesLabelPosition};
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{ErrorBar, PathElement, Rectangle};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{BLACK, Color as _, RGBColor, WHITE};

use crate::curve::Curve;
use crate::spread::{Spread, Unit};
use scale::Ruler;
pub(crate) use scale::Scale;

/// Of a picture, in pixels.
const SIZE: (u32, u32) = (960, 480);
/// A line with fewer points shows them, too, with their ends.
const DOTTED_MAX: usize = 24;
/// Part of a case's room that its bars fill.
const BARS_WIDTH: f64 = 0.7;
/// Caps of an error bar, in pixels.
const CAP: u32 = 8;
/// Dash and gap of an aim's line, in pixels.
const DASH: (u32, u32) = (6, 4);
const FONT: (&str, u32) = ("sans-serif", 15);
/// Part of the axis above the highest bar for each name in the legend, which would hide it.
const LEGEND_LINE: f64 = 0.07;

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
    /// What it shows.
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

/// A name and its figures: over x, or one for each case.
pub(crate) type Series<T> = (String, Vec<T>);

/// An aim's name and where it lies on the y axis.
pub(crate) type AimLine = (String, f64);

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Ruler, Ruler>>;

/// What is drawn beside title and axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sheet<'a> {
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) aims: &'a [AimLine],
}

impl Axis {
    pub(crate) const fn linear(label: &'static str, unit: Unit) -> Self {
        let scale = Scale::Linear(unit);
        Self { label, scale }
    }

    pub(crate) const fn logarithm(label: &'static str, unit: Unit) -> Self {
        let scale = Scale::Logarithm(unit);
        Self { label, scale }
    }
}

/// How many rounds a picture or a table shows, for its title.
pub(crate) fn together(rounds: usize) -> String {
    match rounds {
        1 => "one round".to_owned(),
        more => format!("{more} rounds together"),
    }
}

/// How many rounds were played, for a title.
pub(crate) fn several_rounds(rounds: usize) -> String {
    match rounds {
        1 => "1 round".to_owned(),
        more => format!("{more} rounds"),
    }
}

/// The axis of latencies in ns.
pub(crate) const LATENCY: Axis = Axis::logarithm("latency", Unit::Time);

impl<'a> Sheet<'a> {
    pub(crate) const fn new(name: &'a str, title: &'a str) -> Self {
        let aims = &[];
        Self { name, title, aims }
    }

    /// With lines where the design wants a figure.
    pub(crate) const fn with_aims(self, aims: &'a [AimLine]) -> Self {
        Self { aims, ..self }
    }

    /// Draws lines. Points that the scales cannot show, such as zero on a logarithm, are left out.
    pub(crate) fn lines(
        self,
        [x, y]: [Axis; 2],
        series: &[Series<(f64, Spread)>],
    ) -> Result<Picture> {
        let placed: Vec<Series<(f64, [f64; 3])>> = (series.iter())
            .map(|(name, points)| {
                let place = |(at, it): &(f64, Spread)| {
                    let mid = y.scale.place(it.mid)?;
                    let end = |value| y.scale.place(value).unwrap_or(mid);
                    Some((x.scale.place(*at)?, [end(it.min), mid, end(it.max)]))
                };
                (name.clone(), points.iter().filter_map(place).collect())
            })
            .collect();
        let all = || placed.iter().flat_map(|(_, points)| points);
        let aims = self.aims.iter().filter_map(|(_, at)| y.scale.place(*at));
        let rulers = [
            x.scale.ruler(all().map(|it| it.0)),
            y.scale.ruler(all().flat_map(|it| it.1).chain(aims)),
        ];
        self.picture(rulers, [x, y], |chart| {
            for (index, (name, points)) in placed.iter().enumerate() {
                let color = COLORS[index % COLORS.len()];
                let line = color.stroke_width(2);
                let middle: Vec<_> = points.iter().map(|it| (it.0, it.1[1])).collect();
                // Lines beyond the colours are dashed; what has no length cannot be.
                let has_length = middle.iter().any(|it| Some(it) != middle.first());
                let is_dashed = index >= COLORS.len() && has_length;
                let sample = if is_dashed { 8 } else { 20 };
                let drawn = match is_dashed {
                    true => chart.draw_series(DashedLineSeries::new(middle, DASH.0, DASH.1, line)),
                    false => chart.draw_series(LineSeries::new(middle, line)),
                };
                drawn?
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + sample, y)], line));
                if points.len() <= DOTTED_MAX {
                    let bar = |&(at, [min, mid, max]): &(f64, [f64; 3])| {
                        ErrorBar::new_vertical(at, min, mid, max, color.filled(), CAP)
                    };
                    chart.draw_series(points.iter().map(bar))?;
                }
            }
            Ok(())
        })
    }

    /// Draws lines of plain values.
    pub(crate) fn plain_lines(
        self,
        axes: [Axis; 2],
        series: &[Series<(f64, f64)>],
    ) -> Result<Picture> {
        let point = |&(x, y): &(f64, f64)| (x, Spread::at(y));
        let series = series
            .iter()
            .map(|(name, it)| (name.clone(), it.iter().map(point).collect()));
        self.lines(axes, &series.collect::<Vec<_>>())
    }

    /// Draws the percentile curves of latencies, in ns; empty ones are left out.
    pub(crate) fn percentiles(self, curves: &[(String, Curve)]) -> Result<Picture> {
        let drawn = curves.iter().filter(|(_, curve)| curve.count > 0);
        let series = drawn.map(|(name, curve)| (name.clone(), curve.points()));
        let scale = Scale::Percentile;
        let percentile = Axis {
            label: "percentile",
            scale,
        };
        self.plain_lines([percentile, LATENCY], &series.collect::<Vec<_>>())
    }

    /// Draws a group of bars for each case, a bar for each series. The axis is linear, from zero.
    pub(crate) fn bars(
        self,
        y: Axis,
        cases: &[String],
        series: &[Series<Spread>],
    ) -> Result<Picture> {
        assert!(matches!(y.scale, Scale::Linear(_)), "bars begin at zero");
        let values = series
            .iter()
            .flat_map(|(_, values)| values.iter().map(|it| it.max));
        let aims = self.aims.iter().map(|(_, at)| *at);
        let above = 1.0 + LEGEND_LINE * (series.len() + self.aims.len() + 1) as f64;
        let heights = values.map(|it| it * above).chain(aims);
        let rulers = [Ruler::names(cases), y.scale.ruler(heights)];
        let width = BARS_WIDTH / series.len().max(1) as f64;
        let x = Axis::linear("", Unit::Count);
        self.picture(rulers, [x, y], |chart| {
            for (index, (name, values)) in series.iter().enumerate() {
                let color = COLORS[index % COLORS.len()];
                let left = |case: usize| case as f64 - BARS_WIDTH / 2.0 + width * index as f64;
                let bar = |(case, it): (usize, &Spread)| {
                    let corners = [(left(case), 0.0), (left(case) + width, it.mid)];
                    Rectangle::new(corners, color.filled())
                };
                chart
                    .draw_series(values.iter().enumerate().map(bar))?
                    .label(name)
                    .legend(move |(x, y)| {
                        Rectangle::new([(x, y - 5), (x + 20, y + 5)], color.filled())
                    });
                let end = |(case, it): (usize, &Spread)| {
                    let at = left(case) + width / 2.0;
                    ErrorBar::new_vertical(at, it.min, it.mid, it.max, BLACK.stroke_width(1), CAP)
                };
                let is_spread = |it: &(usize, &Spread)| it.1.min < it.1.max;
                chart.draw_series(values.iter().enumerate().filter(is_spread).map(end))?;
            }
            Ok(())
        })
    }

    fn picture(
        self,
        rulers: [Ruler; 2],
        axes: [Axis; 2],
        draw: impl FnOnce(&mut Chart<'_>) -> Result<()>,
    ) -> Result<Picture> {
        let mut svg = String::new();
        self.frame(&mut svg, rulers, axes, draw)
            .with_context(|| format!("the picture {} cannot be drawn", self.name))?;
        let [name, title] = [self.name, self.title].map(str::to_owned);
        Ok(Picture { name, title, svg })
    }

    fn frame(
        self,
        svg: &mut String,
        [x, y]: [Ruler; 2],
        axes: [Axis; 2],
        draw: impl FnOnce(&mut Chart<'_>) -> Result<()>,
    ) -> Result<()> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let ends = x.ends();
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 22))
            .margin(16)
            .margin_right(40)
            .x_label_area_size(48)
            .y_label_area_size(80)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .x_desc(axes[0].label)
            .y_desc(axes[1].label)
            .x_label_formatter(&|&at| x.show(at))
            .y_label_formatter(&|&at| y.show(at))
            .label_style(FONT)
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.15))
            .draw()?;
        draw(&mut chart)?;
        for (name, at) in self.aims {
            let Some(at) = axes[1].scale.place(*at) else {
                continue;
            };
            let points = ends.map(|end| (end, at));
            let line = BLACK.mix(0.6).stroke_width(2);
            chart
                .draw_series(DashedLineSeries::new(points, DASH.0, DASH.1, line))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 8, y)], line));
        }
        chart
            .configure_series_labels()
            .position(match axes[0].scale {
                // These curves rise to the right.
                Scale::Percentile => SeriesLabelPosition::LowerRight,
                _ => SeriesLabelPosition::UpperLeft,
            })
            .label_font(FONT)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Axis = Axis::linear("msg/s", Unit::Count);

    #[test]
    fn lines_have_their_names_scales_points_and_ends() {
        let points = [(1.0, [9.0, 10.0, 11.0]), (256.0, [2e6; 3])];
        let points = points.map(|(x, rounds)| (x, Spread::of(rounds)));
        let series = [("engine & co".to_owned(), points.to_vec())];
        let x = Axis::logarithm("sources", Unit::Count);
        let aims = [("aim: 1 M".to_owned(), 1e6)];
        let sheet = Sheet::new("sources", "Growth").with_aims(&aims);
        let picture = sheet.lines([x, COUNT], &series).expect("a picture");
        for text in "Growth,engine &amp; co,sources,msg/s,100,2 M,aim: 1 M".split(',') {
            assert!(picture.svg.contains(text), "{text}\n{}", picture.svg);
        }
        assert_eq!(picture.svg.matches("<circle").count(), 2);
    }

    #[test]
    fn the_eighth_line_is_told_from_the_first_by_its_dashes() {
        let points = |at: f64| vec![(1.0, at), (2.0, at + 1.0)];
        let line = |at: usize| (at.to_string(), points(at as f64));
        let strokes = |count: usize| {
            let series: Vec<_> = (1..=count).map(line).collect();
            let axes = [Axis::linear("x", Unit::Count), COUNT];
            let picture = Sheet::new("many", "Many").plain_lines(axes, &series);
            let svg = picture.expect("a picture").svg;
            svg.matches("stroke=\"#0072B2\"").count()
        };
        assert_eq!(strokes(1), strokes(7));
        assert!(strokes(8) > strokes(7) + 5, "{}", strokes(8));
    }

    #[test]
    fn bars_stand_in_groups_under_their_names_with_their_ends() {
        let values = vec![Spread::of([1.0, 2.0, 3.0]), Spread::at(2.0)];
        let series = ["engine", "relay"].map(|name| (name.to_owned(), values.clone()));
        let cases = ["390 B".to_owned(), "8 KiB".to_owned()];
        let picture = Sheet::new("rate", "Rates").bars(COUNT, &cases, &series);
        let svg = picture.expect("a picture").svg;
        for text in ["engine", "relay", "390 B", "8 KiB"] {
            assert!(svg.contains(text), "{text}");
        }
        let ends = svg.matches("<circle").count();
        assert_eq!(ends, 2, "a bar with one round has no ends");
    }

    #[test]
    fn nothing_and_zeros_can_be_drawn() {
        let sheet = Sheet::new("x", "");
        for points in [vec![], vec![(0.0, 0.0)], vec![(5.0, 5.0)]] {
            let series = [("x".to_owned(), points)];
            let picture = sheet
                .plain_lines([LATENCY, COUNT], &series)
                .expect("a picture");
            assert!(!picture.svg.contains("NaN") && !picture.svg.contains("inf"));
        }
        let none = [("none".into(), Curve::default())];
        assert!(sheet.percentiles(&none).is_ok());
        assert!(sheet.bars(COUNT, &[], &[]).is_ok());
    }
}
