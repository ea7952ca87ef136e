//! Two reports side by side: each figure's ratio with its bootstrap interval over both sides' rounds,
//! and whether it is worse by more than a tolerance.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::figure::Better;
use crate::report::{Format, Measure, Table, csv_lines};
use crate::spread::{Spread, Unit};

/// Sides with fewer rounds have no interval that says anything.
const ROUNDS_MIN: usize = 2;
/// What is no engine of ours: shown, for it tells whether the machine was the same, but not judged.
const REFERENCES: &[&str] = &[
    "relay",
    "nats-server",
    "bare load",
    "no store",
    "disk writer",
];
/// Facts that must be alike for figures to be comparable.
const ALIKE: [&str; 8] = [
    "host",
    "machine",
    "cores",
    "memory",
    "kernel",
    "governor",
    "engine's data on",
    "profile",
];

/// An earlier or a later report.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    quick: bool,
    facts: serde_json::Map<String, Value>,
    sections: Vec<Measured>,
}

#[derive(Debug, Clone, Deserialize)]
struct Measured {
    name: String,
    measures: Vec<Measure>,
}

/// A figure of both.
#[derive(Debug, Clone, Serialize)]
struct Compared {
    benchmark: String,
    case: String,
    party: String,
    figure: String,
    unit: Unit,
    a: f64,
    b: f64,
    /// B over A.
    ratio: Spread,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Better,
    Same,
    Worse,
    /// The interval reaches beyond the tolerance and back.
    Inconclusive,
    /// Nobody's aim.
    Shown,
}

/// Both reports, compared.
#[derive(Debug)]
pub(crate) struct Comparison {
    tolerance: f64,
    notes: Vec<String>,
    figures: Vec<Compared>,
}

/// A percentage as a part.
pub(crate) fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim().parse::<f64>();
    let percent = number.map_err(|_| format!("{text} is no percentage like 5%"))?;
    match percent.is_finite() && percent >= 0.0 {
        true => Ok(percent / 100.0),
        false => Err("a tolerance is 0% or more".into()),
    }
}

impl Report {
    /// The one in this folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("raw.json");
        let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is no report that can be compared", path.display()))
    }

    /// B beside this one, A.
    pub(crate) fn compare(&self, b: &Self, tolerance: f64) -> Comparison {
        let mut figures = Vec::new();
        for section in &b.sections {
            let same = self.sections.iter().find(|it| it.name == section.name);
            let known = same.map_or(&[][..], |it| &it.measures);
            for theirs in &section.measures {
                if let Some(mine) = known.iter().find(|it| it.is_same_as(theirs)) {
                    figures.push(Compared::new(&section.name, mine, theirs, tolerance));
                }
            }
        }
        Comparison {
            tolerance,
            notes: self.differences(b),
            figures,
        }
    }

    fn differences(&self, b: &Self) -> Vec<String> {
        let fact = |report: &Self, name: &str| {
            let value = report.facts.get(name).and_then(Value::as_str);
            value.unwrap_or("unknown").to_owned()
        };
        let mut notes = vec![format!(
            "A: engine {}, {}. B: engine {}, {}.",
            fact(self, "commit"),
            fact(self, "date"),
            fact(b, "commit"),
            fact(b, "date")
        )];
        let other = ALIKE
            .iter()
            .map(|name| (name, fact(self, name), fact(b, name)));
        let other = other.filter(|(_, a, b)| a != b);
        notes.extend(other.map(|(name, a, b)| format!("**The {name} differs: {a}; {b}.**")));
        if self.quick || b.quick {
            notes.push("**A quick run is among them: its figures mean nothing.**".into());
        }
        notes
    }
}

impl Compared {
    fn new(benchmark: &str, a: &Measure, b: &Measure, tolerance: f64) -> Self {
        let ratio = Spread {
            mid: b.value / a.value.max(f64::MIN_POSITIVE),
            ..Spread::of_ratio(&b.rounds, &a.rounds)
        };
        let is_judged = !REFERENCES.contains(&b.party.as_str());
        let few = a.rounds.len().min(b.rounds.len()) < ROUNDS_MIN;
        let verdict = match b.better {
            Better::Neither => Verdict::Shown,
            _ if !is_judged => Verdict::Shown,
            _ if few => Verdict::Inconclusive,
            Better::Less => judged(ratio.low, ratio.high, tolerance),
            Better::More => judged(1.0 / ratio.high, 1.0 / ratio.low, tolerance),
        };
        Self {
            benchmark: benchmark.to_owned(),
            case: b.case.clone(),
            party: b.party.clone(),
            figure: b.figure.clone(),
            unit: b.unit,
            a: a.value,
            b: b.value,
            ratio,
            verdict,
        }
    }

    fn words(&self) -> [String; 4] {
        [&self.benchmark, &self.case, &self.party, &self.figure].map(String::clone)
    }
}

/// Of a ratio that is better when it is less.
fn judged(low: f64, high: f64, tolerance: f64) -> Verdict {
    let (most, least) = (1.0 + tolerance, 1.0 / (1.0 + tolerance));
    if low > most {
        Verdict::Worse
    } else if high < least {
        Verdict::Better
    } else if low >= least && high <= most {
        Verdict::Same
    } else {
        Verdict::Inconclusive
    }
}

impl Comparison {
    /// Whether no figure is worse than the tolerance allows.
    pub(crate) fn is_good(&self) -> bool {
        self.figures.iter().all(|it| it.verdict != Verdict::Worse)
    }

    pub(crate) fn show(&self, format: Format) -> String {
        match format {
            Format::Md => self.markdown(),
            Format::Json => format!(
                "{:#}\n",
                json!({ "good": self.is_good(), "notes": self.notes, "figures": self.figures })
            ),
            Format::Csv => {
                let columns = "benchmark,case,party,figure,a,b,ratio,low,high,verdict";
                let columns = columns.split(',').map(str::to_owned).collect();
                let cells = |it: &Compared| {
                    let numbers = [it.a, it.b, it.ratio.mid, it.ratio.low, it.ratio.high];
                    let numbers = numbers.map(|it| it.to_string());
                    let verdict = it.verdict.word().to_owned();
                    it.words()
                        .into_iter()
                        .chain(numbers)
                        .chain([verdict])
                        .collect()
                };
                csv_lines([columns].into_iter().chain(self.figures.iter().map(cells)))
            }
        }
    }

    fn markdown(&self) -> String {
        let columns = "benchmark,case,party,figure,A,B,B over A (95 % interval),verdict";
        let mut table = Table::new(columns.split(','));
        for it in &self.figures {
            let [a, b] = [it.a, it.b].map(|value| it.unit.show(value));
            let ratio = it.ratio.show_interval(Unit::Ratio);
            let verdict = match it.verdict {
                Verdict::Worse => "**worse**".to_owned(),
                other => other.word().to_owned(),
            };
            table.push(it.words().into_iter().chain([a, b, ratio, verdict]));
        }
        let count = |verdict| {
            let those = self.figures.iter().filter(|it| it.verdict == verdict);
            those.count()
        };
        let percent = Unit::Percent.show(self.tolerance * 100.0);
        let [worse, better] = [Verdict::Worse, Verdict::Better].map(count);
        let [same, unknown] = [Verdict::Same, Verdict::Inconclusive].map(count);
        format!(
            "## Comparison, tolerance {percent}\n\n{worse} worse, {better} better, {same} the same, \
             {unknown} inconclusive: more rounds would tell.\n\n{}\n\n{}",
            self.notes.join("\n\n"),
            table.render()
        )
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Inconclusive => "inconclusive",
            Self::Shown => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(figure: &str, better: &str, party: &str, rounds: &[f64]) -> Report {
        let measure = json!({
            "case": "390 B", "party": party, "figure": figure, "unit": "count",
            "better": better, "value": rounds[0], "rounds": rounds,
        });
        let sections = json!([{ "name": "throughput", "measures": [measure] }]);
        let report = json!({ "facts": { "kernel": "Linux 6" }, "sections": sections });
        serde_json::from_value(report).expect("a report")
    }

    fn verdict(better: &str, party: &str, a: &[f64], b: &[f64]) -> Verdict {
        let [a, b] = [a, b].map(|rounds| report("msg/s", better, party, rounds));
        let comparison = a.compare(&b, 0.05);
        assert_eq!(
            comparison.is_good(),
            comparison.figures[0].verdict != Verdict::Worse
        );
        comparison.figures[0].verdict
    }

    #[test]
    fn a_figure_is_worse_or_better_only_with_its_whole_interval() {
        let steady = [100.0, 101.0, 99.0];
        for (better, b, expected) in [
            ("more", [80.0, 81.0, 79.0], Verdict::Worse),
            ("less", [80.0, 81.0, 79.0], Verdict::Better),
            ("less", [120.0, 121.0, 119.0], Verdict::Worse),
            ("more", steady, Verdict::Same),
            ("more", [70.0, 100.0, 130.0], Verdict::Inconclusive),
        ] {
            assert_eq!(verdict(better, "engine", &steady, &b), expected, "{b:?}");
        }
    }

    #[test]
    fn the_relay_and_single_rounds_decide_nothing() {
        let (steady, half) = ([100.0, 101.0, 99.0], [50.0, 51.0, 49.0]);
        for (better, party, b, expected) in [
            ("more", "relay", &half[..], Verdict::Shown),
            ("neither", "engine", &half[..], Verdict::Shown),
            ("more", "engine", &half[..1], Verdict::Inconclusive),
        ] {
            assert_eq!(
                verdict(better, party, &steady, b),
                expected,
                "{better}, {party}"
            );
        }
    }

    #[test]
    fn every_format_has_the_verdict_and_other_machines_are_named() {
        let a = report("p99", "less", "engine", &[10.0, 10.0, 10.1]);
        let mut b = report("p99", "less", "engine", &[20.0, 20.1, 20.0]);
        b.facts["kernel"] = json!("Linux 7");
        let comparison = a.compare(&b, 0.05);
        for format in [Format::Md, Format::Json, Format::Csv] {
            let text = comparison.show(format);
            assert!(text.contains("worse"), "{text}");
        }
        let text = comparison.show(Format::Md);
        assert!(text.contains("kernel differs: Linux 6; Linux 7"), "{text}");
    }

    #[test]
    fn a_tolerance_is_a_percentage() {
        assert_eq!(tolerance("5%"), Ok(0.05));
        assert_eq!(tolerance("0"), Ok(0.0));
        assert!(tolerance("a lot").is_err() && tolerance("-1%").is_err());
    }
}
