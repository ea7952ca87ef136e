//! Latencies of a round: recorded into an `HdrHistogram`, handed on packed, with the usual figures
//! beside it. Packed, rounds can be merged, and written to interval logs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::spread::bootstrap;

/// Two significant digits in three: a value is off by at most one in a thousand.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Ten minutes: later than that counts as ten minutes.
const MAX_NS: u64 = 600_000_000_000;
/// Points of the curve for each halving of the distance to 100 %.
const TICKS_PER_HALF: u32 = 4;
/// Values beyond a percentile below which it says little.
const BEYOND_MIN: f64 = 10.0;

/// Resamples of a bootstrap over histograms, which cost some 10 us a piece.
const RESAMPLES: usize = 200;

/// An empty histogram of ns.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NS, SIGNIFICANT_DIGITS).expect("sensible bounds")
}

/// Figures and histogram of a round, in ns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) p9999: u64,
    pub(crate) max: u64,
    /// In the V2 encoding, deflated, base64, as in interval logs; empty: nothing was recorded.
    histogram: String,
}

impl Curve {
    pub(crate) fn new(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        let mut packed = Vec::new();
        if !histogram.is_empty() {
            let written = V2DeflateSerializer::new().serialize(histogram, &mut packed);
            written.expect("a Vec takes everything");
        }
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
            histogram: BASE64.encode(packed),
        }
    }

    /// All values of some rounds together.
    pub(crate) fn merged<'a>(curves: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = histogram();
        for it in curves {
            all.add(it.histogram()).expect("equal bounds");
        }
        Self::new(&all)
    }

    /// What was recorded.
    pub(crate) fn histogram(&self) -> Histogram<u64> {
        let unpacked = BASE64.decode(&self.histogram).ok();
        let unpacked = unpacked.and_then(|it| Deserializer::new().deserialize(&mut &it[..]).ok());
        unpacked.unwrap_or_else(histogram)
    }

    /// Whether so few values lie beyond a percentile that chance decides it.
    pub(crate) fn is_thin_at(&self, quantile: f64) -> bool {
        (self.count as f64) * (1.0 - quantile) < BEYOND_MIN
    }

    /// Quantiles and values to be drawn: 100 % lies infinitely far to the right and stands where
    /// the last value is, at one in so many.
    pub(crate) fn points(&self) -> Vec<(f64, f64)> {
        let last = 1.0 - 1.0 / (self.count.max(1) as f64);
        let histogram = self.histogram();
        let points = histogram.iter_quantiles(TICKS_PER_HALF);
        points
            .map(|it| {
                let quantile = it.quantile_iterated_to().min(last);
                (quantile, it.value_iterated_to() as f64)
            })
            .collect()
    }
}

/// A 95 % bootstrap interval of a percentile over the pieces of a run.
pub(crate) fn interval(pieces: &[Histogram<u64>], quantile: f64) -> [f64; 2] {
    bootstrap(RESAMPLES, |rng| {
        let mut all = histogram();
        for _ in pieces {
            let piece = &pieces[rng.usize(..pieces.len())];
            all.add(piece).expect("equal bounds");
        }
        all.value_at_quantile(quantile) as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: impl IntoIterator<Item = u64>) -> Curve {
        let mut histogram = histogram();
        (values.into_iter()).for_each(|it| histogram.saturating_record(it));
        Curve::new(&histogram)
    }

    #[test]
    fn the_figures_are_those_of_the_values_within_a_thousandth() {
        let curve = curve((1..=100_000).map(|it| it * 1_000));
        let near = |value: u64, want: u64| value.abs_diff(want) <= want / 1_000 + 1;
        assert!(near(curve.p50, 50_000_000) && near(curve.p9999, 99_990_000));
        assert!(near(curve.max, 100_000_000));
        assert_eq!(curve.count, 100_000);
        let points = curve.points();
        assert!(points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    #[test]
    fn nothing_recorded_is_all_zeros_and_too_much_is_ten_minutes() {
        assert_eq!(curve([]), Curve::default());
        assert!(Curve::default().points().is_empty());
        assert!(curve([u64::MAX]).max.abs_diff(MAX_NS) < MAX_NS / 500);
    }

    #[test]
    fn rounds_merged_are_all_values_together_and_the_max_is_the_max() {
        let rounds = [curve(vec![1_000; 98]), curve([2_000_000, 5_000_000])];
        let json = serde_json::to_string(&rounds).expect("JSON");
        let rounds: Vec<Curve> = serde_json::from_str(&json).expect("the same");
        let all = Curve::merged(&rounds);
        assert_eq!((all.count, all.p50, all.max), (100, 1_000, rounds[1].max));
        // The median of both rounds' p99 would be 2.5 ms.
        assert!(all.p99.abs_diff(2_000_000) < 2_000, "{all:?}");
        assert_eq!(Curve::merged([&all, &Curve::default()]), all);
    }

    #[test]
    fn a_percentile_with_fewer_than_ten_values_beyond_it_is_thin() {
        let curve = curve(0..1_000);
        assert!(!curve.is_thin_at(0.99) && curve.is_thin_at(0.999));
    }

    #[test]
    fn an_interval_over_equal_pieces_is_narrow_and_one_slow_piece_widens_it() {
        let equal: Vec<_> = (0..12).map(|_| curve(0..1_000).histogram()).collect();
        let [low, high] = interval(&equal, 0.99);
        assert_eq!(low, high);
        let slow = curve((0..1_000).map(|it| it * 100)).histogram();
        let uneven = [&equal[1..], &[slow]].concat();
        let [low, high] = interval(&uneven, 0.99);
        assert!(low < 1_100.0 && high > 10_000.0, "{low} {high}");
        assert_eq!(interval(&[], 0.99), [0.0, 0.0]);
    }
}
