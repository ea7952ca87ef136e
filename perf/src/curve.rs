//! Latencies of a round: recorded into an HdrHistogram, handed on as the figures and the curve.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Two significant digits in three: a value is off by at most one in a thousand.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Ten minutes: later than that counts as ten minutes.
const MAX_NS: u64 = 600_000_000_000;
/// Points of the curve for each halving of the distance to 100 %.
const TICKS_PER_HALF: u32 = 4;

/// An empty histogram of ns.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NS, SIGNIFICANT_DIGITS).expect("sensible bounds")
}

/// Figures and curve of a round, in ns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    /// 90 % are this or less.
    pub(crate) p90: u64,
    /// 99 %.
    pub(crate) p99: u64,
    /// 99.9 %.
    pub(crate) p999: u64,
    /// 99.99 %.
    pub(crate) p9999: u64,
    pub(crate) max: u64,
    /// The curve: quantile (0 to 1) and value, for pictures.
    pub(crate) points: Vec<(f64, u64)>,
}

impl Curve {
    pub(crate) fn new(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        let points = histogram.iter_quantiles(TICKS_PER_HALF);
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
            points: points
                .map(|it| (it.quantile_iterated_to(), it.value_iterated_to()))
                .collect(),
        }
    }

    /// The points that can be drawn: 100 % lies infinitely far to the right and stands where the
    /// last value is, at one in so many.
    #[expect(clippy::cast_precision_loss, reason = "counts and ns fit 52 bits")]
    pub(crate) fn drawable(&self) -> Vec<(f64, f64)> {
        let last = 1.0 - 1.0 / (self.count.max(1) as f64);
        let point = |&(quantile, ns): &(f64, u64)| (quantile.min(last), ns as f64);
        self.points.iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_values_within_a_thousandth() {
        let mut histogram = histogram();
        (1..=100_000_u64).for_each(|it| histogram.saturating_record(it * 1_000));
        let curve = Curve::new(&histogram);
        let near = |value: u64, want: u64| value.abs_diff(want) <= want / 1_000 + 1;
        assert!(near(curve.p50, 50_000_000) && near(curve.p9999, 99_990_000));
        assert!(near(curve.max, 100_000_000));
        assert_eq!(curve.count, 100_000);
        assert!(curve.points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    #[test]
    fn nothing_recorded_is_all_zeros_and_too_much_is_ten_minutes() {
        assert_eq!(Curve::new(&histogram()).max, 0);
        let mut histogram = histogram();
        histogram.saturating_record(u64::MAX);
        assert!(Curve::new(&histogram).max.abs_diff(MAX_NS) < MAX_NS / 500);
    }
}
