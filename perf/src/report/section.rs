//! What one benchmark has to say: tables of its parties' figures, and all rounds for other programs.

use anyhow::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Aim, Table};
use crate::curve::Curve;
use crate::figure::{Better, CPU, Figure};
use crate::picture::Picture;
use crate::round::Outcome;
use crate::rounds::Played;
use crate::spread::{Spread, Unit};
use crate::testbed::Subject;

const THIN: &str = "\\* Fewer than ten values lie beyond this percentile: chance decides it.";

/// A party, and what stands as a ratio to it.
pub(crate) type Over<'a> = (&'a str, &'a [Figure]);

/// No ratios.
pub(crate) const ALONE: Over<'_> = ("", &[]);

#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// The result in a sentence, for who reads no further.
    pub(crate) summary: String,
    /// What is measured, how, and what it is to be compared with.
    pub(crate) text: String,
    pub(crate) tables: Vec<Table>,
    /// The design's aims, beside what was found.
    pub(crate) aims: Vec<Aim>,
    pub(crate) pictures: Vec<Picture>,
    /// What follows from them, or what to keep in mind.
    pub(crate) notes: Vec<String>,
    /// Every round, for other programs.
    pub(crate) raw: Vec<Value>,
    /// Every figure of every party, for comparisons.
    pub(crate) measures: Vec<Measure>,
    /// Every round's latencies, by party.
    pub(crate) latencies: Vec<(String, Vec<Curve>)>,
    /// False when frames were lost or the target was missed.
    pub(crate) is_good: bool,
}

/// A figure of a party, round by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) case: String,
    pub(crate) party: String,
    pub(crate) figure: String,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
    /// The median of the rounds; of a percentile that of all values together.
    pub(crate) value: f64,
    pub(crate) rounds: Vec<f64>,
}

impl Section {
    /// A table of these parties' figures and processor time; `labels` name the cells of their case.
    /// The figures of `over` also stand as a ratio to its party's in the same case.
    pub(crate) fn of_rounds(
        labels: &[&str],
        played: &[Played],
        figures: &[Figure],
        over: Over<'_>,
    ) -> Self {
        let wrong = played.iter().flat_map(|it| &it.outcomes);
        let wrong: Vec<_> = wrong.filter(|it| !it.is_exact()).collect();
        let note = |it: &&Outcome| format!("**{:?}: {}**", it.subject, it.verdict());
        let mut section = Self {
            // nats-server may lose what its subscribers do not take in time; that is said, too.
            is_good: wrong.iter().all(|it| it.subject == Subject::Nats),
            notes: wrong.iter().map(note).collect(),
            ..Self::default()
        };
        section.add_rounds(labels, played, figures, over);
        for it in played {
            let case = it.case.join(", ");
            let raw = |outcome| {
                let mut raw = json!(outcome);
                raw["case"] = json!(case);
                raw["party"] = json!(it.name);
                raw
            };
            section.raw.extend(it.outcomes.iter().map(raw));
        }
        section
    }

    /// One more table, of rounds that are in the raw data already.
    pub(crate) fn add_rounds(
        &mut self,
        labels: &[&str],
        played: &[Played],
        figures: &[Figure],
        over: Over<'_>,
    ) {
        let figures = [figures, &CPU].concat();
        let (base, over) = over;
        let ratios = over.iter().map(|it| format!("{} over {base}", it.name));
        let columns = labels
            .iter()
            .map(|&it| it.to_owned())
            .chain(["party".to_owned()]);
        let columns = columns.chain(figures.iter().map(|it| it.name.to_owned()));
        let mut table = Table::new(columns.chain(ratios));
        for it in played {
            let cells = it.case.iter().cloned().chain([it.name.clone()]);
            let cells = cells.chain(figures.iter().map(|figure| it.cell(figure)));
            let base = base_of(played, it, base);
            let ratio = |figure: &Figure| match base {
                Some(base) => it.ratio(base, figure).show(Unit::Ratio),
                None => String::new(),
            };
            table.push(cells.chain(over.iter().map(ratio)));
            self.add_measures(it, &figures);
            self.add_latencies(it);
        }
        let text = table.render();
        if text.contains('*') && !self.notes.iter().any(|it| it == THIN) {
            self.notes.push(THIN.into());
        }
        self.tables.push(table);
    }

    /// What was shown in an earlier table is there already.
    fn add_measures(&mut self, played: &Played, figures: &[Figure]) {
        for figure in figures.iter().filter(|figure| played.has(figure)) {
            let rounds = played.outcomes.iter().map(|it| figure.of(it));
            let measure = Measure {
                case: played.case.join(", "),
                party: played.name.clone(),
                figure: figure.name.to_owned(),
                unit: figure.unit,
                better: figure.better,
                value: played.spread(figure).mid,
                rounds: rounds.collect(),
            };
            if !self.measures.iter().any(|it| it.is_same_as(&measure)) {
                self.measures.push(measure);
            }
        }
    }

    /// Each party's once, however many tables it stands in: readers add them up.
    fn add_latencies(&mut self, played: &Played) {
        let tag = tag(played);
        let curves = played.outcomes.iter().map(|it| it.received.latency());
        let curves: Vec<Curve> = curves.collect();
        let is_known = self.latencies.iter().any(|(known, _)| *known == tag);
        if !is_known && curves.iter().any(|it| it.count > 0) {
            self.latencies.push((tag, curves));
        }
    }

    /// With all that another one has but its title, its words behind these.
    pub(crate) fn join(&mut self, other: Self) {
        for (words, more, between) in [
            (&mut self.summary, other.summary, " "),
            (&mut self.text, other.text, "\n\n"),
        ] {
            if !words.is_empty() && !more.is_empty() {
                words.push_str(between);
            }
            words.push_str(&more);
        }
        self.is_good &= other.is_good;
        self.tables.extend(other.tables);
        self.aims.extend(other.aims);
        self.pictures.extend(other.pictures);
        let known = |it: &String| self.notes.contains(it);
        let notes: Vec<String> = other.notes.into_iter().filter(|it| !known(it)).collect();
        self.notes.extend(notes);
        self.raw.extend(other.raw);
        self.measures.extend(other.measures);
        self.latencies.extend(other.latencies);
    }

    /// Of a benchmark that could not be taken: what stopped it.
    pub(crate) fn not_measured(name: &str, error: &Error) -> Self {
        Self {
            title: format!("Not measured: {name}"),
            summary: format!("{name} could not be measured."),
            notes: vec![format!("{error:#}")],
            ..Self::default()
        }
    }
}

impl Measure {
    /// Whether it is the same figure of the same party, in another report.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.case == other.case && self.party == other.party && self.figure == other.figure
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread {
            mid: self.value,
            ..Spread::of(self.rounds.iter().copied())
        }
    }
}

/// The party of that name in the same case, for all others of it.
pub(crate) fn base_of<'a>(all: &'a [Played], of: &Played, name: &str) -> Option<&'a Played> {
    let is_base = |it: &&Played| it.name == name && it.case == of.case;
    all.iter().find(is_base).filter(|_| of.name != name)
}

/// A party's name in an interval log, where commas and blanks divide.
fn tag(played: &Played) -> String {
    let words = [&played.case[..], std::slice::from_ref(&played.name)].concat();
    let kept = |it: char| it.is_ascii_alphanumeric() || "._/".contains(it);
    let words = words.join("-").replace(|it| !kept(it), "-");
    let words: Vec<&str> = words.split('-').filter(|it| !it.is_empty()).collect();
    words.join("-")
}
