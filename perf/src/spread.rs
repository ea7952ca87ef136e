//! A figure over several rounds: its middle, its ends, and a bootstrap interval of the middle; and
//! how a figure is written, in tables and on axes alike.

use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap: the ends of a 95 % interval then rest on 50 values each.
const RESAMPLES: usize = 2_000;
/// The same resamples in every run: a report can be computed again.
const SEED: u64 = 1;
/// Part of the resamples beyond each end of an interval.
const TAIL: f64 = 0.025;

/// What a figure counts, hence how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// A count, or a count a second: `1.25 M`.
    Count,
    /// ns, written as us, ms or s.
    Time,
    /// ns of processor time.
    Cpu,
    /// Seconds.
    Seconds,
    Ratio,
    Percent,
    /// Bytes of memory, written in MiB.
    Bytes,
    /// Bytes a second, written in MB/s.
    Bandwidth,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Count => count(value),
            Self::Time => time(value),
            Self::Cpu => format!("{value:.0} ns"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Ratio => format!("{value:.3}"),
            Self::Percent => format!("{value:.2} %"),
            Self::Bytes => format!("{:.0} MiB", value / 1_048_576.0),
            Self::Bandwidth => format!("{:.0} MB/s", value / 1e6),
        }
    }

    /// The same on an axis: without the zeros that a round figure ends with.
    pub(crate) fn tick(self, value: f64) -> String {
        let shown = self.show(value);
        let (number, unit) = shown.split_once(' ').unwrap_or((&shown, ""));
        let number = match number.contains('.') {
            true => number.trim_end_matches('0').trim_end_matches('.'),
            false => number,
        };
        format!("{number} {unit}").trim_end().to_owned()
    }
}

/// `1.25 M`, `10.0 k`, `12`.
fn count(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2} M", value / 1e6),
        1e3.. => format!("{:.1} k", value / 1e3),
        0.0 | 10.0.. => format!("{value:.0}"),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// ns as us, ms or s.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        1e10.. => format!("{:.1} s", ns / 1e9),
        1e9.. => format!("{:.2} s", ns / 1e9),
        1e7.. => format!("{:.1} ms", ns / 1e6),
        1e6.. => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.0} us", ns / 1e3),
    }
}

/// A figure over some rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The median of the rounds; of a percentile that of all rounds' values together.
    pub(crate) mid: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// A 95 % bootstrap interval of the median, from `low` to `high`; of one round the point alone.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of these values, which are numbers; of none it is zero.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        if values.is_empty() {
            return Self::default();
        }
        let resamples = if values.len() > 1 { RESAMPLES } else { 1 };
        let [low, high] = bootstrap(resamples, |rng| resample(rng, &values));
        Self {
            mid: median(values.clone()),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            low,
            high,
        }
    }

    /// One value.
    pub(crate) fn at(value: f64) -> Self {
        Self::of([value])
    }

    /// The ratio of two medians, each over its own rounds.
    pub(crate) fn of_ratio(upper: &[f64], lower: &[f64]) -> Self {
        if upper.is_empty() || lower.is_empty() {
            return Self::default();
        }
        let over = |(a, b): (f64, f64)| a / b.max(f64::MIN_POSITIVE);
        let [low, high] = bootstrap(RESAMPLES, |rng| {
            over((resample(rng, upper), resample(rng, lower)))
        });
        let mid = over((median(upper.to_vec()), median(lower.to_vec())));
        Self {
            mid,
            min: low,
            max: high,
            low,
            high,
        }
    }

    /// `middle (least to most)`.
    pub(crate) fn show(&self, unit: Unit) -> String {
        with_ends(unit, self.mid, self.min, self.max)
    }

    /// `middle (low to high)`.
    pub(crate) fn show_interval(&self, unit: Unit) -> String {
        with_ends(unit, self.mid, self.low, self.high)
    }
}

fn with_ends(unit: Unit, mid: f64, from: f64, to: f64) -> String {
    let shown = unit.show(mid);
    match [unit.show(from), unit.show(to)] {
        [from, to] if from == to => shown,
        [from, to] => format!("{shown} ({from} to {to})"),
    }
}

/// The middle one, or the mean of the two middle ones.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn resample(rng: &mut fastrand::Rng, values: &[f64]) -> f64 {
    median((values.iter().map(|_| values[rng.usize(..values.len())])).collect())
}

/// A 95 % interval of what so many resamples give.
pub(crate) fn bootstrap(
    resamples: usize,
    mut resample: impl FnMut(&mut fastrand::Rng) -> f64,
) -> [f64; 2] {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut values: Vec<f64> = (0..resamples).map(|_| resample(&mut rng)).collect();
    values.sort_by(f64::total_cmp);
    [TAIL, 1.0 - TAIL].map(|it| at(&values, it))
}

/// The value at a quantile of values in order.
fn at(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * quantile).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_ends_are_kept() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!((spread.mid, spread.min, spread.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).mid, 2.5);
        assert_eq!(Spread::of([]).mid, 0.0);
        assert_eq!(spread.show(Unit::Count), "2 (1 to 3)");
        assert_eq!(Spread::of([2.0]).show(Unit::Count), "2");
    }

    #[test]
    fn an_interval_narrows_with_the_rounds_and_holds_the_median() {
        let of = |rounds: usize| Spread::of((0..rounds).map(|it| f64::from(it as u8 % 10)));
        let (few, many) = (of(10), of(100));
        for it in [few, many] {
            assert!(it.low <= it.mid && it.mid <= it.high, "{it:?}");
        }
        assert!(many.high - many.low < few.high - few.low);
        let one = Spread::of([7.0]);
        assert_eq!((one.low, one.high), (7.0, 7.0));
    }

    #[test]
    fn a_ratio_of_equal_rounds_is_one_and_its_interval_has_both_sides_noise() {
        let rounds = [9.0, 10.0, 11.0, 10.0, 10.0];
        let same = Spread::of_ratio(&rounds, &rounds);
        assert_eq!(same.mid, 1.0);
        assert!(same.low < 1.0 && same.high > 1.0, "{same:?}");
        let half = Spread::of_ratio(&[5.0, 5.1, 4.9], &rounds);
        assert!(half.high < 0.6, "{half:?}");
    }

    #[test]
    fn figures_have_units_that_fit() {
        for (unit, value, text) in [
            (Unit::Count, 1_254_000.0, "1.25 M"),
            (Unit::Count, 9_999.0, "10.0 k"),
            (Unit::Count, 12.0, "12"),
            (Unit::Count, 0.5, "0.50"),
            (Unit::Time, 123_400.0, "123 us"),
            (Unit::Time, 1_234_000.0, "1.23 ms"),
            (Unit::Time, 52_000_000.0, "52.0 ms"),
            (Unit::Time, 1_500_000_000.0, "1.50 s"),
            (Unit::Time, 21_000_000_000.0, "21.0 s"),
            (Unit::Ratio, 1.0042, "1.004"),
            (Unit::Bytes, 67_108_864.0, "64 MiB"),
            (Unit::Bandwidth, 355e6, "355 MB/s"),
        ] {
            assert_eq!(unit.show(value), text);
        }
        for (unit, value, text) in [
            (Unit::Count, 2e6, "2 M"),
            (Unit::Count, 1.5e6, "1.5 M"),
            (Unit::Count, 100.0, "100"),
            (Unit::Time, 1e7, "10 ms"),
            (Unit::Time, 1e9, "1 s"),
        ] {
            assert_eq!(unit.tick(value), text);
        }
    }
}
