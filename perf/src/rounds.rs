//! Rounds of several contestants, interleaved: what the machine does to one, it does to the others.

use std::path::Path;

use anyhow::Result;

use crate::curve::Curve;
use crate::engine::{Settings, Threads, name_of};
use crate::figure::{Figure, Of};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::Aim;
use crate::round::Outcome;
use crate::spread::{Spread, Unit, time};
use crate::testbed::{Subject, Testbed};

/// Behind the name of an engine whose peers speak TLS.
const BY_TLS: &str = ", TLS";

/// How a contestant plays a round: its outcomes, each under a name of its own where there are more.
type Play<'a> = Box<dyn Fn(&Contestant<'_>) -> Result<Vec<(String, Outcome)>> + 'a>;

/// One side of a comparison.
pub(crate) struct Contestant<'a> {
    /// What sets its case apart, a cell each.
    pub(crate) case: Vec<String>,
    /// Its name in tables and pictures.
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    play: Option<Play<'a>>,
}

/// A contestant's rounds, in the order they were played.
#[derive(Debug, Clone)]
pub(crate) struct Played {
    pub(crate) case: Vec<String>,
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) outcomes: Vec<Outcome>,
}

impl<'a> Contestant<'a> {
    /// A subject under its own name.
    pub(crate) fn new(subject: Subject, plan: &Plan, settings: &Settings) -> Self {
        let name = match subject {
            Subject::Engine => "engine",
            Subject::Relay => "relay",
            Subject::Nats => "nats-server",
        };
        Self {
            case: Vec::new(),
            name: name.into(),
            subject,
            plan: plan.clone(),
            settings: settings.clone(),
            play: None,
        }
    }

    /// The engine in each of these threading modes, plain and, with a certificate in this folder, by TLS;
    /// and beside it the relay with the same plan, plain.
    pub(crate) fn engines_and_relay(
        plan: &Plan,
        settings: &Settings,
        modes: &[Threads],
        tls: Option<&Path>,
    ) -> Vec<Self> {
        let engine = |&threads: &Threads| {
            let settings = Settings {
                threads,
                ..settings.clone()
            };
            let mut engine = Self::new(Subject::Engine, plan, &settings);
            if modes.len() > 1 {
                engine.name = format!("engine, {}", name_of(threads));
            }
            engine
        };
        let relay = Self::new(Subject::Relay, plan, settings);
        let by_tls = modes.iter().zip(tls.into_iter().cycle());
        let by_tls = by_tls.map(|(mode, folder)| engine(mode).by_tls(folder));
        let plain = modes.iter().map(engine);
        plain.chain(by_tls).chain([relay]).collect()
    }

    /// The same with TLS at both ends.
    fn by_tls(mut self, folder: &Path) -> Self {
        self.name.push_str(BY_TLS);
        self.plan.tls = Some(folder.to_owned());
        self.settings.tls = Some(folder.to_owned());
        self
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, ..self }
    }

    pub(crate) fn of_case(self, case: impl IntoIterator<Item = String>) -> Self {
        let case = case.into_iter().collect();
        Self { case, ..self }
    }

    /// Playing its rounds in a way of its own.
    pub(crate) fn playing(self, play: impl Fn(&Contestant<'_>) -> Result<Outcome> + 'a) -> Self {
        self.playing_lanes(move |it| Ok(vec![(it.name.clone(), play(it)?)]))
    }

    /// The same, with several outcomes a round.
    pub(crate) fn playing_lanes(
        self,
        play: impl Fn(&Contestant<'_>) -> Result<Vec<(String, Outcome)>> + 'a,
    ) -> Self {
        let play: Option<Play<'a>> = Some(Box::new(play));
        Self { play, ..self }
    }

    fn round(&self, testbed: &Testbed) -> Result<Vec<(String, Outcome)>> {
        match &self.play {
            Some(play) => play(self),
            None => {
                let outcome = testbed.play(self.subject, &self.plan, &self.settings)?;
                Ok(vec![(self.name.clone(), outcome)])
            }
        }
    }
}

impl Played {
    /// A figure over its rounds; of latencies the middle is that of all rounds' values together.
    pub(crate) fn spread(&self, figure: &Figure) -> Spread {
        let spread = Spread::of(self.outcomes.iter().map(|it| figure.of(it)));
        match figure.of {
            Of::Latency(_, of) | Of::Late(_, of) => Spread {
                mid: of(&self.merged(figure)) as f64,
                ..spread
            },
            _ => spread,
        }
    }

    /// Whether its sources and subscribers speak TLS.
    pub(crate) fn is_by_tls(&self) -> bool {
        self.outcomes.iter().any(|it| it.plan.tls.is_some())
    }

    /// The same engine in the same case whose peers speak plain TCP.
    pub(crate) fn plain<'a>(&self, all: &'a [Self]) -> Option<&'a Self> {
        let name = self.name.strip_suffix(BY_TLS)?;
        all.iter()
            .find(|it| it.name == name && it.case == self.case)
    }

    /// The design's aim for a figure.
    pub(crate) fn aim_at_most(&self, what: &str, figure: &Figure, limit: f64) -> Aim {
        Aim::at_most(what, limit, figure.unit, self.spread(figure))
    }

    /// A figure over another contestant's of the same round.
    pub(crate) fn ratio(&self, to: &Self, figure: &Figure) -> Spread {
        let pairs = self.outcomes.iter().zip(&to.outcomes);
        let ratio = |(mine, theirs)| figure.of(mine) / figure.of(theirs).max(f64::MIN_POSITIVE);
        Spread::of(pairs.map(ratio))
    }

    /// Whether a party of its kind has the figure.
    pub(crate) fn has(&self, figure: &Figure) -> bool {
        self.outcomes.iter().any(|it| figure.find(it).is_some())
    }

    /// A figure as a cell: percentiles with fewer than ten values beyond them have a star.
    pub(crate) fn cell(&self, figure: &Figure) -> String {
        if !self.has(figure) {
            return String::new();
        }
        let text = self.spread(figure).show(figure.unit);
        let is_thin = match figure.of {
            Of::Latency(quantile, _) | Of::Late(quantile, _) => {
                self.merged(figure).is_thin_at(quantile)
            }
            _ => false,
        };
        if is_thin { text + "*" } else { text }
    }

    /// The latencies of all rounds.
    pub(crate) fn latency(&self) -> Curve {
        let curves: Vec<Curve> = self
            .outcomes
            .iter()
            .map(|it| it.received.latency())
            .collect();
        Curve::merged(&curves)
    }

    fn merged(&self, figure: &Figure) -> Curve {
        match figure.of {
            Of::Late(..) => {
                let curves: Vec<Curve> = self.outcomes.iter().map(Outcome::late).collect();
                Curve::merged(&curves)
            }
            _ => self.latency(),
        }
    }

    /// The same rounds, of their frames of one level alone.
    pub(crate) fn of_level(&self, level: usize) -> Self {
        let mut played = self.clone();
        for outcome in &mut played.outcomes {
            let arrivals = &mut outcome.received.arrivals;
            arrivals.latency = arrivals.by_level.get(level).cloned();
        }
        played.name = format!("{}, level {}", self.name, level + 1);
        played
    }

    fn is_of(&self, contestant: &Contestant<'_>, name: &str) -> bool {
        self.case == contestant.case && self.name == name
    }
}

/// Plays them in turn; every other round in the opposite order, so that none always finds the
/// machine as the same other one left it.
pub(crate) fn play(
    testbed: &Testbed,
    contestants: &[Contestant<'_>],
    rounds: u32,
    progress: &Progress,
) -> Result<Vec<Played>> {
    let mut all: Vec<Played> = Vec::new();
    progress.begin_case(contestants.len() * rounds as usize);
    for round in 0..rounds {
        let mut order: Vec<&Contestant<'_>> = contestants.iter().collect();
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        for it in order {
            let outcomes = it.round(testbed)?;
            let shown: Vec<String> = outcomes.iter().map(shown).collect();
            let what = format!("{} {}", it.case.join(", "), shown.join("; "));
            progress.step(round + 1, rounds, what.trim());
            for (name, outcome) in outcomes {
                match all.iter_mut().find(|played| played.is_of(it, &name)) {
                    Some(played) => played.outcomes.push(outcome),
                    None => all.push(Played {
                        case: it.case.clone(),
                        subject: it.subject,
                        outcomes: vec![outcome],
                        name,
                    }),
                }
            }
        }
    }
    Ok(all)
}

/// A round in a line.
fn shown((name, outcome): &(String, Outcome)) -> String {
    let latency = &outcome.received.arrivals.latency;
    let figures = match latency {
        Some(it) if it.count > 0 => {
            let [p50, p99, max] = [it.p50, it.p99, it.max].map(|ns| time(ns as f64));
            format!("p50 {p50}, p99 {p99}, max {max}")
        }
        _ => format!("{} msg/s", Unit::Count.show(outcome.rate)),
    };
    format!("{name}: {figures}, {}", outcome.verdict())
}

/// Everybody's latencies, by name, of all rounds.
pub(crate) fn curves(played: &[Played]) -> Vec<(String, Curve)> {
    let curve = |it: &Played| (it.name.clone(), it.latency());
    played.iter().map(curve).collect()
}
