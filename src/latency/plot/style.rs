//! How the pictures look: sizes, colours, dashes, letters.

use std::error::Error;

use plotters::backend::SVGBackend;
use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::Ranged;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color as _, IntoFont as _, RGBAColor, RGBColor, TextStyle};

/// Of a picture, in pixels: what is drawn, the box beside it, and the least height.
pub(super) const PLOT_WIDTH: u32 = 900;
pub(super) const BOX_WIDTH: u32 = 610;
pub(super) const HEIGHT_MIN: u32 = 560;

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

/// Pixels of a dash, and of the gap behind it; `None`: a whole line.
const DASHES: [Option<(u32, u32)>; 8] = [
    None,
    Some((9, 5)),
    Some((3, 3)),
    Some((18, 4)),
    Some((2, 7)),
    Some((14, 12)),
    Some((6, 2)),
    Some((28, 10)),
];

/// Limits are drawn in this colour, which no curve has.
pub(super) const LIMIT_COLOR: RGBColor = RGBColor(190, 0, 30);

/// How a curve looks: colours first, then dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(super) color: usize,
    pub(super) dash: usize,
}

impl Look {
    /// So many curves are told apart in one picture.
    pub(crate) const COUNT: usize = COLORS.len() * DASHES.len();

    /// Of the curve of this place.
    pub(crate) fn of(place: usize) -> Self {
        Self {
            color: place % COLORS.len(),
            dash: place / COLORS.len() % DASHES.len(),
        }
    }

    /// Of a pair of this place: one colour, two dashes.
    pub(crate) fn of_pair(place: usize) -> [Self; 2] {
        let color = place % COLORS.len();
        let dash = place / COLORS.len() * 2 % DASHES.len();
        [dash, dash + 1].map(|dash| Self { color, dash })
    }

    pub(super) fn color(self) -> RGBColor {
        COLORS[self.color]
    }

    fn dash(self) -> Option<(u32, u32)> {
        DASHES[self.dash]
    }
}

pub(super) type Drawing<'a> =
    plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(super) type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;
pub(super) type Done = Result<(), Box<dyn Error>>;

/// A line through points, dashed as it looks.
pub(super) fn line<X, Y>(
    chart: &mut Chart<'_, '_, X, Y>,
    points: Vec<(f64, f64)>,
    look: Look,
    width: u32,
) -> Done
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    // What has no length cannot be stroked.
    if points.iter().all(|it| Some(it) == points.first()) {
        return Ok(());
    }
    let style = look.color().stroke_width(width);
    match look.dash() {
        None => chart.draw_series(LineSeries::new(points, style))?,
        Some((dash, gap)) => chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?,
    };
    Ok(())
}

/// The same in pixels, for legends.
pub(super) fn sample(area: &Drawing<'_>, from: (i32, i32), length: i32, look: Look) -> Done {
    let (x, y) = from;
    let style = look.color().stroke_width(2);
    let (dash, gap) = look.dash().unwrap_or((length as u32, 0));
    let mut at = 0;
    while at < length {
        let end = (at + dash as i32).min(length);
        let points = [(x + at, y), (x + end, y)];
        area.draw(&plotters::element::PathElement::new(points, style))?;
        at = end + gap.max(1) as i32;
    }
    Ok(())
}

/// Letters of a size, in their place: left or right of it, in the middle of its height.
pub(super) fn text(size: f64, right: bool) -> TextStyle<'static> {
    colored(size, right, BLACK.to_rgba())
}

pub(super) fn colored(size: f64, right: bool, color: RGBAColor) -> TextStyle<'static> {
    let side = if right { HPos::Right } else { HPos::Left };
    let style = TextStyle::from(("sans-serif", size).into_font());
    TextStyle {
        color: color.to_backend_color(),
        pos: Pos::new(side, VPos::Center),
        ..style
    }
}

/// A name, cut where it is too long to be written.
pub(super) fn short(name: &str, chars_max: usize) -> String {
    match name.char_indices().nth(chars_max) {
        Some(_) => name.chars().take(chars_max - 1).chain(['…']).collect(),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_curves_as_it_says_are_told_apart() {
        let looks: Vec<_> = (0..Look::COUNT).map(Look::of).collect();
        let pairs: Vec<_> = (0..Look::COUNT / 2).flat_map(Look::of_pair).collect();
        for looks in [looks, pairs] {
            let different = |it: &Look| looks.iter().filter(|other| *other == it).count() == 1;
            assert!(looks.iter().all(different));
        }
        let [file, other] = Look::of_pair(8);
        assert!(file.color == other.color && file.dash != other.dash);
        assert_ne!(Look::of_pair(1)[0], file);
    }

    #[test]
    fn long_names_are_cut_by_letters() {
        assert_eq!(short("küche", 5), "küche");
        assert_eq!(short("küchentisch", 5), "küch…");
    }
}
