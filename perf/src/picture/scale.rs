//! From a figure to its place on an axis, and from a place to its label.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::spread::Unit;

/// Lines of a linear axis, about.
const LINES: f64 = 5.0;

/// What kind of figures an axis shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Figures from 0.
    Linear(Unit),
    Logarithm(Unit),
    /// Quantiles from 0 to 1, each nine with the same room.
    Percentile,
}

/// An axis with its ends and its lines.
#[derive(Debug, Clone)]
pub(crate) struct Ruler {
    ends: Range<f64>,
    marks: Vec<(f64, String)>,
}

impl Scale {
    /// Where a figure stands; `None` where it cannot.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        let place = match self {
            Self::Linear(_) => value,
            Self::Logarithm(_) => value.log10(),
            Self::Percentile => -(1.0 - value).log10(),
        };
        place.is_finite().then_some(place)
    }

    /// An axis for all of these places.
    pub(super) fn ruler(self, places: impl Iterator<Item = f64> + Clone) -> Ruler {
        let least = places.clone().fold(f64::MAX, f64::min);
        let most = places.fold(f64::MIN, f64::max);
        let is_empty = least > most;
        match self {
            Self::Linear(_) => {
                let most = if is_empty || most <= 0.0 { 1.0 } else { most };
                let step = round_step(most / LINES);
                let lines = (most / step).ceil();
                self.marked(0.0..lines * step, step)
            }
            _ if is_empty => self.marked(0.0..1.0, 1.0),
            _ => {
                let from = least.floor();
                self.marked(from..most.ceil().max(from + 1.0), 1.0)
            }
        }
    }

    fn marked(self, ends: Range<f64>, step: f64) -> Ruler {
        let count = ((ends.end - ends.start) / step).round() as usize;
        let at = |index: usize| ends.start + step * index as f64;
        let marks = (0..=count).map(|it| (at(it), self.label(at(it)))).collect();
        Ruler { ends, marks }
    }

    fn label(self, place: f64) -> String {
        match self {
            Self::Linear(unit) => unit.tick(place),
            Self::Logarithm(unit) => unit.tick(10_f64.powf(place)),
            Self::Percentile => percent(place),
        }
    }
}

/// 1, 2 or 5 times a power of ten, at least this.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fits = factors
        .into_iter()
        .find(|it| it * power >= step * 0.999_999);
    fits.unwrap_or(10.0) * power
}

/// `0%`, `90%`, `99%`, `99.9%` ...
fn percent(nines: f64) -> String {
    match nines.round().max(0.0) as usize {
        0 => "0%".to_owned(),
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        more => format!("99.{}%", "9".repeat(more - 2)),
    }
}

impl Ruler {
    /// An axis of names, at 0, 1, 2 ...
    pub(super) fn names(names: &[String]) -> Self {
        let marks = names.iter().enumerate();
        Self {
            ends: -0.5..names.len().max(1) as f64 - 0.5,
            marks: marks.map(|(at, name)| (at as f64, name.clone())).collect(),
        }
    }

    /// Its first and its last place.
    pub(super) fn ends(&self) -> [f64; 2] {
        [self.ends.start, self.ends.end]
    }

    /// The label at a place.
    pub(super) fn show(&self, place: f64) -> String {
        let near = |(at, _): &&(f64, String)| (at - place).abs() < 1e-9;
        let mark = self.marks.iter().find(near);
        mark.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

impl Ranged for Ruler {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.ends.start) / (self.ends.end - self.ends.start);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.marks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Scale = Scale::Logarithm(Unit::Time);

    fn labels(ruler: &Ruler) -> Vec<&str> {
        ruler
            .marks
            .iter()
            .map(|(_, label)| label.as_str())
            .collect()
    }

    #[test]
    fn linear_axes_begin_at_zero_and_have_round_steps() {
        let ruler = Scale::Linear(Unit::Count).ruler([800_000.0, 1_730_000.0].into_iter());
        assert_eq!(labels(&ruler), ["0", "500 k", "1 M", "1.5 M", "2 M"]);
        assert_eq!(ruler.ends(), [0.0, 2e6]);
        assert_eq!(round_step(0.3), 0.5);
        assert_eq!(round_step(10.0), 10.0);
    }

    #[test]
    fn logarithms_have_a_line_a_decade_and_percentiles_one_a_nine() {
        let places = [90_000.0, 3e6].map(|it| LATENCY.place(it).expect("a place"));
        let ruler = LATENCY.ruler(places.into_iter());
        assert_eq!(labels(&ruler), ["10 us", "100 us", "1 ms", "10 ms"]);
        let places = [0.0, 0.9995].map(|it| Scale::Percentile.place(it).expect("a place"));
        let ruler = Scale::Percentile.ruler(places.into_iter());
        assert_eq!(labels(&ruler), ["0%", "90%", "99%", "99.9%", "99.99%"]);
        assert_eq!(Scale::Percentile.place(1.0), None, "infinitely far");
        assert_eq!(LATENCY.place(0.0), None);
    }

    #[test]
    fn places_reach_from_end_to_end() {
        let ruler = Scale::Linear(Unit::Count).ruler([10.0].into_iter());
        assert_eq!(ruler.map(&0.0, (100, 0)), 100);
        assert_eq!(ruler.map(&10.0, (100, 0)), 0);
    }
}
