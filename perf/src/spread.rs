//! Rounds summed up: the median, and how far the rounds lie apart.

use serde::Serialize;

/// The median of some rounds, with the least and the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The middle one, or the mean of the two middle ones.
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of these values, which are numbers; of none it is zero.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let Some((&min, &max)) = values.first().zip(values.last()) else {
            return Self {
                median: 0.0,
                min: 0.0,
                max: 0.0,
            };
        };
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Self { median, min, max }
    }

    /// `median (min to max)`, each shown like this.
    pub(crate) fn show(&self, show: impl Fn(f64) -> String) -> String {
        let Self { median, min, max } = *self;
        match min < max {
            true => format!("{} ({} to {})", show(median), show(min), show(max)),
            false => show(median),
        }
    }
}

/// A count a second: `1.25 M`, `10.0 k`.
pub(crate) fn rate(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2} M", value / 1e6),
        1e3.. => format!("{:.1} k", value / 1e3),
        _ => format!("{value:.0}"),
    }
}

/// Nanoseconds as microseconds or milliseconds.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        1e7.. => format!("{:.1} ms", ns / 1e6),
        1e6.. => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.0} us", ns / 1e3),
    }
}

/// The same of whole ones.
#[expect(clippy::cast_precision_loss, reason = "ns of ten minutes fit 52 bits")]
pub(crate) fn shown(ns: u64) -> String {
    time(ns as f64)
}

/// A ratio, to two places.
pub(crate) fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_ends_are_kept() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of([]).median, 0.0);
        assert_eq!(spread.show(|it| format!("{it}")), "2 (1 to 3)");
        assert_eq!(Spread::of([2.0]).show(|it| format!("{it}")), "2");
    }

    #[test]
    fn figures_have_units_that_fit() {
        assert_eq!(rate(1_254_000.0), "1.25 M");
        assert_eq!(rate(9_999.0), "10.0 k");
        assert_eq!(rate(12.0), "12");
        assert_eq!(time(123_400.0), "123 us");
        assert_eq!(time(1_234_000.0), "1.23 ms");
        assert_eq!(time(52_000_000.0), "52.0 ms");
    }
}
