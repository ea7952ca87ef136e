//! An aim of the design, beside what was found: met, not met, or too close for the rounds to tell.

use serde::Serialize;

use super::Table;
use crate::spread::{Spread, Unit};

/// What was wanted, what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Aim {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) found: String,
    pub(crate) verdict: Verdict,
}

/// Whether the figure meets the aim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Its whole interval does.
    Met,
    /// The limit lies within its interval.
    Inconclusive,
    /// Nothing of its interval does.
    NotMet,
}

impl Aim {
    pub(crate) fn at_most(what: impl Into<String>, limit: f64, unit: Unit, found: Spread) -> Self {
        let is_met = [found.low, found.mid, found.high].map(|it| it <= limit);
        let wanted = format!("{} at most", unit.show(limit));
        Self::of(what, wanted, found.show_interval(unit), is_met)
    }

    pub(crate) fn at_least(what: impl Into<String>, limit: f64, unit: Unit, found: Spread) -> Self {
        let is_met = [found.low, found.mid, found.high].map(|it| it >= limit);
        let wanted = format!("{} at least", unit.show(limit));
        Self::of(what, wanted, found.show_interval(unit), is_met)
    }

    /// What holds or does not.
    pub(crate) fn holds(
        what: impl Into<String>,
        wanted: impl Into<String>,
        found: impl Into<String>,
        is_met: bool,
    ) -> Self {
        Self::of(what, wanted, found, [is_met; 3])
    }

    fn of(
        what: impl Into<String>,
        wanted: impl Into<String>,
        found: impl Into<String>,
        is_met: [bool; 3],
    ) -> Self {
        Self {
            what: what.into(),
            wanted: wanted.into(),
            found: found.into(),
            verdict: match is_met {
                [true, true, true] => Verdict::Met,
                [false, false, false] => Verdict::NotMet,
                _ => Verdict::Inconclusive,
            },
        }
    }
}

impl Verdict {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "**not met**",
            Self::Inconclusive => "inconclusive: more rounds",
        }
    }
}

/// The aims as a table.
pub(super) fn table(aims: &[Aim]) -> Table {
    let mut table = Table::new(["aim", "wanted", "found (95 % interval)", "verdict"]);
    for aim in aims {
        let cells = [&aim.what, &aim.wanted, &aim.found].map(String::clone);
        table.push(cells.into_iter().chain([aim.verdict.words().to_owned()]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_or_not_by_its_whole_interval() {
        let verdict = |rounds: &[f64]| {
            let found = Spread::of(rounds.iter().copied());
            let [most, least] = [Aim::at_most, Aim::at_least];
            let aims = [
                most("p99", 1.0, Unit::Ratio, found),
                least("p99", 1.0, Unit::Ratio, found),
            ];
            aims.map(|it| it.verdict)
        };
        assert_eq!(verdict(&[0.9, 0.95, 0.8]), [Verdict::Met, Verdict::NotMet]);
        assert_eq!(verdict(&[1.1, 1.2, 1.004]), [Verdict::NotMet, Verdict::Met]);
        assert_eq!(verdict(&[0.9, 1.0, 1.3]), [Verdict::Inconclusive; 2]);
        assert_eq!(
            verdict(&[1.004]),
            [Verdict::NotMet, Verdict::Met],
            "one round has no interval"
        );
        let near = Aim::at_most("p99", 1.0, Unit::Ratio, Spread::of([1.004]));
        assert_eq!((&*near.wanted, &*near.found), ("1.000 at most", "1.004"));
    }
}
