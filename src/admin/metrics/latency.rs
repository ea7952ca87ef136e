//! Latencies: a summary by stage, a histogram by stage and level, and what was delivered by level.
//!
//! Fed by the monitor's totals, whose bins are 1 % wide; a bucket takes the bins that end below its
//! bound.

use std::fmt;

use hdrhistogram::Histogram;

use super::families::{Buckets, Families};
use crate::latency::{Stage, Totals, View};

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

/// Upper bounds in seconds: a message takes some 20 us, and may wait for a subscriber for hours. With
/// 5 stages, 8 levels, sum and count these are 1,040 series, and 390 at 3 levels.
const BOUNDS: [f64; 23] = [
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0,
];

pub(super) fn encode(families: &mut Families<'_>, totals: &Totals) -> fmt::Result {
    let levels = 1..=totals.levels();
    let delivered = levels.clone().zip(totals.delivered_by_level());
    families.counters(
        "delivered_by_level",
        "Messages delivered, by effective priority.",
        delivered.map(|(level, count)| ([("level", level.to_string())], count)),
    )?;
    let mut buckets = Vec::new();
    for stage in Stage::ALL {
        let mut whole = None::<Histogram<u64>>;
        for level in levels.clone() {
            let histogram = totals.histogram(View::Level(stage, level));
            let labels = [
                ("stage", stage.label().to_owned()),
                ("level", level.to_string()),
            ];
            buckets.push((labels, bucketed(&histogram)));
            whole = Some(match whole {
                Some(sum) => sum + &histogram,
                None => histogram,
            });
        }
        if let Some(whole) = whole {
            summary(families, stage, &whole)?;
        }
    }
    families.histograms(
        "stage_latency_seconds",
        "Time that messages took in each stage, by effective priority, since the start.",
        buckets,
    )
}

/// Three families, which `exposition` makes one.
fn summary(families: &mut Families<'_>, stage: Stage, whole: &Histogram<u64>) -> fmt::Result {
    let help = "Time that messages took in each stage, since the start.";
    let stage = ("stage", stage.label().to_owned());
    let quantiles = QUANTILES.map(|quantile| {
        let seconds = match whole.is_empty() {
            true => f64::NAN,
            false => whole.value_at_quantile(quantile) as f64 / 1e9,
        };
        ([stage.clone(), ("quantile", quantile.to_string())], seconds)
    });
    families.gauges("latency_seconds", help, quantiles)?;
    let labels = [stage];
    families.gauges("latency_seconds_sum", help, [(&labels[..], sum(whole))])?;
    families.gauges("latency_seconds_count", help, [(&labels[..], whole.len())])
}

/// In seconds.
fn sum(histogram: &Histogram<u64>) -> f64 {
    histogram.mean() * histogram.len() as f64 / 1e9
}

fn bucketed(histogram: &Histogram<u64>) -> Buckets {
    let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
    let mut counts: Vec<_> = bounds.map(|it| (it, 0)).collect();
    let mut at = 0;
    for bin in histogram.iter_recorded() {
        let seconds = bin.value_iterated_to() as f64 / 1e9;
        while seconds > counts[at].0 {
            at += 1;
        }
        counts[at].1 += bin.count_since_last_iteration();
    }
    Buckets {
        sum: sum(histogram),
        count: histogram.len(),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{LATENCY_DIGITS, LATENCY_NS_MAX, LATENCY_NS_MIN};

    fn histogram(ns: &[u64]) -> Histogram<u64> {
        let new = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, LATENCY_DIGITS);
        let mut histogram = new.unwrap();
        for &ns in ns {
            histogram.record(ns).unwrap();
        }
        histogram
    }

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn each_latency_is_in_the_first_bucket_that_reaches_it() {
        let buckets = bucketed(&histogram(&[128, 120_000, 121_000, LATENCY_NS_MAX]));
        let filled: Vec<_> = buckets.counts.iter().filter(|it| it.1 > 0).collect();
        assert_eq!(filled, [&(10e-6, 1), &(250e-6, 2), &(f64::INFINITY, 1)]);
        assert_eq!(buckets.count, 4);
        assert!((buckets.sum - 3_600.0).abs() < 36.0, "{}", buckets.sum);
        assert_eq!(bucketed(&histogram(&[])).sum, 0.0);
    }

    proptest! {
        #[test]
        fn counts_below_a_bound_are_those_of_a_plain_list_but_for_its_own_bin(
            all in prop::collection::vec(1..LATENCY_NS_MAX, 0..100)
        ) {
            let buckets = bucketed(&histogram(&all));
            let mut below = 0;
            for (bound, count) in buckets.counts {
                below += count;
                let counted = |bound: f64| all.iter().filter(|&&ns| ns as f64 / 1e9 <= bound).count() as u64;
                prop_assert!(below <= counted(bound));
                prop_assert!(below >= counted(bound * 0.98 - 128e-9), "{} below {}", below, bound);
            }
            prop_assert_eq!(below, all.len() as u64);
        }
    }
}
