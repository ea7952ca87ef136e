//! Whether a figure grows: the later half of a soak against the earlier one. Pure.

use super::sample::{FIGURES, Sample, Slack};
use crate::bench::prelude::*;

/// Looks that are not judged: what is to stay flat fills up meanwhile.
const FILLING: f64 = 0.3;
/// Looks in each half at least.
const HALF_MIN: usize = 3;
/// What is no growth, of the earlier half.
const PART: f64 = 0.05;

/// A figure's two halves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trend {
    pub(super) name: &'static str,
    unit: Unit,
    earlier: f64,
    later: f64,
    most: f64,
    /// `None`: there were too few looks.
    pub(super) is_growing: Option<bool>,
}

/// How the figure at this place went.
pub(super) fn trend(at: usize, samples: &[(f64, Sample)], rate: u64) -> Trend {
    let figure = &FIGURES[at];
    let values: Vec<f64> = samples.iter().map(|(_, it)| it[at] as f64).collect();
    let filling = (values.len() as f64 * FILLING).ceil() as usize;
    let judged = values.get(filling..).unwrap_or_default();
    let (early, late) = judged.split_at(judged.len() / 2);
    let [earlier, later] = [early, late].map(|it| Spread::of(it.iter().copied()).mid);
    let slack = match figure.slack {
        Slack::Amount(amount) => amount,
        Slack::Seconds(seconds) => seconds * rate as f64,
    };
    Trend {
        name: figure.name,
        unit: figure.unit,
        earlier,
        later,
        most: values.iter().copied().fold(0.0, f64::max),
        is_growing: (early.len() >= HALF_MIN).then_some(later > earlier * (1.0 + PART) + slack),
    }
}

/// All of them.
pub(super) fn table(store: &str, trends: &[Trend]) -> Table {
    let columns = "store,figure,earlier half,later half,most,verdict";
    let mut table = Table::new(columns.split(','));
    for it in trends {
        let verdict = match it.is_growing {
            Some(true) => "GROWING",
            Some(false) => "flat",
            None => "too short to judge",
        };
        let cells = [it.earlier, it.later, it.most].map(|value| it.unit.show(value));
        let first = [store.to_owned(), it.name.to_owned()];
        table.push(first.into_iter().chain(cells).chain([verdict.to_owned()]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_growing(count: u64, resident_mib: impl Fn(u64) -> u64) -> Option<bool> {
        let sample = |at| {
            let mut sample = Sample::default();
            sample[0] = resident_mib(at) << 20;
            (at as f64, sample)
        };
        let samples: Vec<_> = (0..count).map(sample).collect();
        trend(0, &samples, 10_000).is_growing
    }

    #[test]
    fn what_fills_up_and_then_moves_about_is_flat_and_what_creeps_is_not() {
        assert_eq!(is_growing(60, |at| 60 + at.min(10)), Some(false));
        assert_eq!(is_growing(60, |at| 60 + at % 7), Some(false));
        assert_eq!(is_growing(60, |at| 60 + at / 2), Some(true));
        assert_eq!(is_growing(6, |at| 60 + at), None);
        assert_eq!(is_growing(0, |at| at), None);
    }
}
