//! Whether a figure grows: the later half of a soak against the earlier one. Pure.

use super::sample::Sample;
use crate::report::Table;
use crate::spread::Unit;

/// Looks that are not judged: what is to stay flat fills up meanwhile.
const FILLING: f64 = 0.3;
/// Looks in each half at least.
const HALF_MIN: usize = 3;
/// What is no growth, of the earlier half.
const PART: f64 = 0.05;
const MIB: f64 = 1_048_576.0;

/// A figure of a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoakFigure {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) of: fn(&Sample) -> f64,
    /// What is no growth besides: what the figure moves by.
    slack: Slack,
}

/// How far a figure moves without growing.
#[derive(Debug, Clone, Copy)]
enum Slack {
    Amount(f64),
    /// What comes in so many seconds.
    Seconds(f64),
}

const fn figure(
    name: &'static str,
    unit: Unit,
    slack: Slack,
    of: fn(&Sample) -> f64,
) -> SoakFigure {
    SoakFigure {
        name,
        unit,
        of,
        slack,
    }
}

/// What must not grow.
pub(super) const FIGURES: [SoakFigure; 7] = [
    figure("resident", Unit::Bytes, Slack::Amount(2.0 * MIB), |it| {
        it.resident_bytes as f64
    }),
    figure("descriptors", Unit::Count, Slack::Amount(2.0), |it| {
        it.descriptors as f64
    }),
    figure("journal", Unit::Bytes, Slack::Amount(128.0 * MIB), |it| {
        it.journal_bytes as f64
    }),
    figure("store", Unit::Bytes, Slack::Amount(16.0 * MIB), |it| {
        it.store_bytes as f64
    }),
    figure("other files", Unit::Bytes, Slack::Amount(MIB), |it| {
        it.kept_bytes as f64
    }),
    figure("lag", Unit::Count, Slack::Seconds(2.0), |it| {
        it.lag_messages as f64
    }),
    figure("rows", Unit::Count, Slack::Seconds(2.0), |it| {
        it.rows as f64
    }),
];

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

/// How a figure went.
pub(super) fn trend(figure: SoakFigure, samples: &[Sample], rate: u64) -> Trend {
    let filling = (samples.len() as f64 * FILLING).ceil() as usize;
    let judged = samples.get(filling..).unwrap_or_default();
    let (early, late) = judged.split_at(judged.len() / 2);
    let median = |samples: &[Sample]| {
        let mut values: Vec<f64> = samples.iter().map(figure.of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let (earlier, later) = (median(early), median(late));
    let slack = match figure.slack {
        Slack::Amount(amount) => amount,
        Slack::Seconds(seconds) => seconds * rate as f64,
    };
    let most = samples.iter().map(figure.of).fold(0.0, f64::max);
    Trend {
        name: figure.name,
        unit: figure.unit,
        earlier,
        later,
        most,
        is_growing: (early.len() >= HALF_MIN).then_some(later > earlier * (1.0 + PART) + slack),
    }
}

/// All of them.
pub(super) fn table(store: &str, trends: &[Trend]) -> Table {
    let columns = [
        "store",
        "figure",
        "earlier half",
        "later half",
        "most",
        "verdict",
    ];
    let mut table = Table::new(columns);
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

    fn samples(count: u64, resident_mib: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |at| Sample {
            resident_bytes: resident_mib(at) << 20,
            ..Sample::default()
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn what_fills_up_and_then_moves_about_is_flat_and_what_creeps_is_not() {
        let of = |samples: &[Sample]| trend(FIGURES[0], samples, 10_000).is_growing;
        assert_eq!(of(&samples(60, |at| 60 + at.min(10))), Some(false));
        assert_eq!(of(&samples(60, |at| 60 + at % 7)), Some(false));
        assert_eq!(of(&samples(60, |at| 60 + at / 2)), Some(true));
        assert_eq!(of(&samples(6, |at| 60 + at)), None);
        assert_eq!(of(&[]), None);
    }
}
