//! `--slo p99.9=1ms`: what latencies should be, and whether they are.
//!
//! A percentile is told by the messages beyond it: with fewer than [`BEYOND_MIN`] of them it is left
//! open how the next as many messages would do, and that is said.

use std::str::FromStr;

use serde_json::{Value, json};

use super::Named;
use super::unit::{Unit, shown};
use crate::cli::Failure;
use crate::latency::Stage;
use crate::latency::curve::Curve;
use crate::latency::plot::Limit;

/// Messages beyond a percentile that make it a figure and no accident.
const BEYOND_MIN: f64 = 10.0;

/// What latencies should be: a percentile, and the most that it may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Objective(Limit);

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || {
            "write a percentile and the most that it may be, as in p99.9=1ms, or max=250us; units \
             are ns, us, ms and s"
                .to_owned()
        };
        let (what, most) = text.split_once('=').ok_or_else(hint)?;
        let percent = match what.trim() {
            "max" => 100.0,
            percent => {
                let percent = percent.strip_prefix('p').ok_or_else(hint)?;
                percent.parse::<f64>().map_err(|_| hint())?
            }
        };
        let us = latency_us(most.trim()).ok_or_else(hint)?;
        if !(percent > 0.0 && percent <= 100.0) {
            return Err(hint());
        }
        let text = text.trim().to_owned();
        Ok(Self(Limit { text, percent, us }))
    }
}

fn latency_us(text: &str) -> Option<f64> {
    let end = text.find(|it: char| it.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(end);
    let unit = [Unit::Ns, Unit::Us, Unit::Ms, Unit::S]
        .into_iter()
        .find(|it| it.label() == unit)?;
    let us = number.trim().parse::<f64>().ok()? * unit.us();
    (us.is_finite() && us > 0.0).then_some(us)
}

/// How a curve did.
#[derive(Debug)]
pub(super) struct Verdict<'a> {
    objective: &'a Limit,
    name: &'a str,
    /// `None`: there are no messages.
    value_us: Option<f64>,
    count: u64,
    over: u64,
}

impl Verdict<'_> {
    pub(super) fn is_met(&self) -> bool {
        self.value_us.is_some_and(|it| it <= self.objective.us)
    }

    /// How many messages make the percentile a figure, where there are fewer.
    fn needed(&self) -> Option<u64> {
        let beyond = 1.0 - self.objective.percent / 100.0;
        // The largest of all is what it is.
        let needed = (BEYOND_MIN / beyond - 1e-6).ceil();
        (beyond > 1e-12 && (self.count as f64) < needed).then_some(needed as u64)
    }

    /// One line, without its end.
    pub(super) fn words(&self, unit: Option<Unit>) -> String {
        let (text, name) = (&self.objective.text, self.name);
        let Some(us) = self.value_us else {
            return format!("SLO {text}: {name} has no messages: not met");
        };
        let value = match unit {
            Some(unit) => shown(us, Some(unit)) + unit.label(),
            None => shown(us, None),
        };
        let (count, over) = (self.count, self.over);
        let met = match self.is_met() {
            true => "met".to_owned(),
            false => format!("not met, {over} of {count} took longer"),
        };
        let few = match self.needed().filter(|_| self.is_met()) {
            Some(needed) => format!("; {count} are too few to be sure, it takes {needed}"),
            None => String::new(),
        };
        format!("SLO {text}: {name} has {value}: {met}{few}")
    }

    pub(super) fn json(&self, unit: Unit) -> Value {
        json!({
            "slo": self.objective.text,
            "name": self.name,
            "value": self.value_us.map(|it| unit.of_us(it)),
            "met": self.is_met(),
            "enough_samples": self.count > 0 && self.needed().is_none(),
            "over": self.over,
            "count": self.count,
        })
    }
}

/// Holds each curve against each objective; where the user chose no tags, only the whole way, if it is
/// there.
pub(super) fn judge<'a>(
    objectives: &'a [Objective],
    curves: &'a [Named],
    is_chosen: bool,
) -> Vec<Verdict<'a>> {
    let total = curves.iter().find(|(name, _)| name == Stage::Total.label());
    let held: Vec<&Named> = match total.filter(|_| !is_chosen) {
        Some(total) => vec![total],
        None => curves.iter().collect(),
    };
    let pairs = objectives
        .iter()
        .flat_map(|it| held.iter().map(move |curve| (it, *curve)));
    pairs
        .map(|(it, (name, curve))| of(it, name, curve))
        .collect()
}

fn of<'a>(Objective(objective): &'a Objective, name: &'a str, curve: &Curve) -> Verdict<'a> {
    let value_us = match objective.percent {
        100.0.. if curve.count() > 0 => Some(curve.max_us()),
        percent => curve.percentile_us(percent),
    };
    Verdict {
        objective,
        name,
        value_us,
        count: curve.count(),
        over: curve.count_over(objective.us),
    }
}

/// An error if one is not met.
pub(super) fn demand(verdicts: &[Verdict<'_>]) -> Result<(), Failure> {
    let missed = verdicts.iter().filter(|it| !it.is_met()).count();
    match missed {
        0 => Ok(()),
        missed => Err(Failure::Failed(format!(
            "{missed} of {} objectives (--slo) not met",
            verdicts.len()
        ))),
    }
}

/// What is drawn of them.
pub(super) fn limits(objectives: &[Objective]) -> Vec<Limit> {
    objectives.iter().map(|it| it.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    fn named(values_us: impl Iterator<Item = u64>) -> [Named; 1] {
        let mut histogram = Histogram::<u64>::new(3).expect("three digits");
        values_us.for_each(|it| histogram.record(it).expect("it resizes"));
        [("total".to_owned(), Curve::of(&histogram, 1.0))]
    }

    fn words(objective: &str, curves: &[Named]) -> (String, bool) {
        let objectives = [objective.parse().expect("an objective")];
        let verdicts = judge(&objectives, curves, false);
        let is_met = demand(&verdicts).is_ok();
        (verdicts[0].words(None), is_met)
    }

    #[test]
    fn objectives_are_a_percentile_and_a_latency() {
        let Objective(limit) = "p99.9=1.5ms".parse().expect("an objective");
        assert_eq!((limit.percent, limit.us), (99.9, 1_500.0));
        let Objective(limit) = "max=2s".parse().expect("an objective");
        assert_eq!((limit.percent, limit.us), (100.0, 2e6));
        for wrong in [
            "", "p99", "99=1ms", "p0=1ms", "p101=1ms", "p99=1", "p99=-1ms", "p99=1h",
        ] {
            let why = wrong.parse::<Objective>().expect_err(wrong);
            assert!(why.contains("p99.9=1ms"), "{why}");
        }
    }

    #[test]
    fn what_is_met_and_what_is_not_is_said_with_the_figures() {
        let curves = named(1..=10_000);
        let (met, not) = (words("p99=9.95ms", &curves), words("p99.9=5ms", &curves));
        assert_eq!(
            met,
            ("SLO p99=9.95ms: total has 9.90ms: met".to_owned(), true)
        );
        let text = "SLO p99.9=5ms: total has 9.99ms: not met, 5001 of 10000 took longer";
        assert_eq!(not, (text.to_owned(), false));
        assert!(words("max=10.1ms", &curves).1);
    }

    #[test]
    fn the_whole_way_is_held_unless_tags_were_chosen() {
        let [total] = named(1..=10);
        let curves = [("queue".to_owned(), total.1.clone()), total];
        let objectives = ["max=1s".parse().expect("an objective")];
        let held = |is_chosen| judge(&objectives, &curves, is_chosen).len();
        assert_eq!((held(false), held(true)), (1, 2));
        assert_eq!(
            judge(&objectives, &curves[..1], false).len(),
            1,
            "there is no total"
        );
    }

    #[test]
    fn too_few_messages_are_told_as_such() {
        let (text, is_met) = words("p99.9=1ms", &named(1..=300));
        let expected =
            "SLO p99.9=1ms: total has 300us: met; 300 are too few to be sure, it takes 10000";
        assert_eq!((text.as_str(), is_met), (expected, true));
        let (text, is_met) = words("p50=1ms", &named(1..1));
        assert!(
            text.ends_with("total has no messages: not met") && !is_met,
            "{text}"
        );
    }
}
