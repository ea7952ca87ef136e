//! The axes of the pictures: logarithmic ones, and time. Pure: numbers in, places and labels out.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::latency::readable_time;

/// Shorter latencies are drawn here: below it the engine's histograms tell nothing apart.
pub(super) const VALUE_US_MIN: f64 = 0.1;

/// Lengths between two labels of the axis of time, in seconds.
const LABEL_STEPS: [u64; 18] = [
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400,
    604_800,
];

/// Labels of the axis of time at most.
const TIME_LABELS_MAX: u64 = 8;

/// An axis of whole decades, with a label and a line at each; its coordinates are logarithms.
#[derive(Debug, Clone)]
pub(super) struct Decades(pub(super) Range<i32>);

impl Ranged for Decades {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - f64::from(self.0.start)) / f64::from(self.0.end - self.0.start);
        place(part, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        (self.0.start..=self.0.end).map(f64::from).collect()
    }

    fn range(&self) -> Range<f64> {
        f64::from(self.0.start)..f64::from(self.0.end)
    }
}

/// An axis of time, in us, with labels at round times.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) start_us: u64,
    /// Later than the start.
    pub(super) end_us: u64,
}

impl Times {
    /// The label of a time.
    pub(super) fn label(&self, us: f64) -> String {
        let time = readable_time(us as u64, true);
        match time.split_once('T') {
            // Days are in the picture's last line.
            Some((_, time)) => time.trim_end_matches('Z').to_owned(),
            None => time,
        }
    }

    /// From when to when, in words.
    pub(super) fn words(&self) -> String {
        let [from, to] = [self.start_us, self.end_us].map(|it| readable_time(it, true));
        format!("{from} to {to}")
    }

    fn label_step_us(&self) -> u64 {
        let seconds = (self.end_us - self.start_us) / 1_000_000;
        let mut steps = LABEL_STEPS.into_iter();
        let step = steps.find(|it| seconds / it <= TIME_LABELS_MAX);
        step.unwrap_or(seconds / TIME_LABELS_MAX) * 1_000_000
    }
}

impl Ranged for Times {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.start_us as f64) / (self.end_us - self.start_us) as f64;
        place(part, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        let step = self.label_step_us();
        let first = self.start_us.next_multiple_of(step);
        let points = (first..=self.end_us).step_by(step as usize);
        points.map(|it| it as f64).collect()
    }

    fn range(&self) -> Range<f64> {
        self.start_us as f64..self.end_us as f64
    }
}

fn place(part: f64, limit: (i32, i32)) -> i32 {
    limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
}

/// From the decade below the shortest to the decade above the longest, in us.
pub(crate) fn decades(least_us: f64, most_us: f64) -> Range<i32> {
    let low = least_us.max(VALUE_US_MIN).log10().floor() as i32;
    let high = most_us.max(VALUE_US_MIN).log10().ceil() as i32;
    low..high.max(low + 1)
}

/// Where a latency is drawn.
pub(crate) fn log_us(value_us: f64, decades: &Range<i32>) -> f64 {
    let (low, high) = (f64::from(decades.start), f64::from(decades.end));
    value_us.max(VALUE_US_MIN).log10().clamp(low, high)
}

/// `0%`, `90%`, `99%`, `99.9%` ...
pub(crate) fn percent_label(nines: f64) -> String {
    let nines = nines.round().max(0.0) as usize;
    match nines {
        0 => "0%".to_owned(),
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        more => format!("99.{}%", "9".repeat(more - 2)),
    }
}

/// `100 ns`, `1 us`, `10 ms`, `1 s`: of a logarithm of us.
pub(crate) fn decade_label(decade: f64) -> String {
    let value_us = 10_f64.powf(decade);
    // Powers of ten come out of logarithms a little off.
    let rounded = |it: f64| (it * 1_000.0).round() / 1_000.0;
    match value_us {
        it if it < 0.999 => format!("{} ns", rounded(it * 1_000.0)),
        it if it < 999.0 => format!("{} us", rounded(it)),
        it if it < 999_000.0 => format!("{} ms", rounded(it / 1_000.0)),
        it => format!("{} s", rounded(it / 1_000_000.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::coord::ranged1d::BoldPoints;

    #[test]
    fn labels_say_nines_and_units() {
        let percents: Vec<_> = (0..5).map(|it| percent_label(f64::from(it))).collect();
        assert_eq!(percents, ["0%", "90%", "99%", "99.9%", "99.99%"]);
        let times: Vec<_> = [-1.0, 0.0, 2.0, 3.0, 6.0].map(decade_label).into();
        assert_eq!(times, ["100 ns", "1 us", "100 us", "1 ms", "1 s"]);
    }

    #[test]
    fn times_have_round_labels() {
        let start_us = 1_700_000_003_000_000;
        let times = Times {
            start_us,
            end_us: start_us + 100_000_000,
        };
        let points = times.key_points(BoldPoints(10));
        let labels: Vec<_> = points.iter().map(|&it| times.label(it)).collect();
        let expected = ["22:13:40", "22:14:00", "22:14:20", "22:14:40", "22:15:00"];
        assert_eq!(labels, expected);
        assert_eq!(times.map(&(start_us as f64), (10, 110)), 10);
        assert_eq!(times.map(&(times.end_us as f64), (10, 110)), 110);
        let second = Times {
            start_us: 0,
            end_us: 1,
        };
        assert_eq!(second.key_points(BoldPoints(10)).len(), 1);
    }
}
