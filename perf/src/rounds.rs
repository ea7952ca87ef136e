//! Rounds of several contestants, interleaved: what the machine does to one, it does to the others.

use crate::engine::{Settings, Threads, name_of};
use crate::error::PerfError;
use crate::plan::Plan;
use crate::round::Outcome;
use crate::screen::say;
use crate::spread::Spread;
use crate::testbed::{Subject, Testbed};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    /// Its name in tables and pictures.
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
}

/// A contestant's rounds, in the order they were played.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Contestant {
    /// The engine in each of these threading modes, and beside it the relay with the same plan.
    pub(crate) fn engines_and_relay(
        plan: &Plan,
        settings: &Settings,
        modes: &[Threads],
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
        modes.iter().map(engine).chain([relay]).collect()
    }

    /// A subject under its own name.
    pub(crate) fn new(subject: Subject, plan: &Plan, settings: &Settings) -> Self {
        let name = match subject {
            Subject::Engine => "engine",
            Subject::Relay => "relay",
            Subject::Nats => "nats-server",
        };
        Self {
            name: name.into(),
            subject,
            plan: plan.clone(),
            settings: settings.clone(),
        }
    }
}

impl Played {
    /// A figure over its rounds.
    pub(crate) fn spread(&self, figure: impl Fn(&Outcome) -> f64) -> Spread {
        Spread::of(self.outcomes.iter().map(figure))
    }

    /// A figure over another contestant's of the same round.
    pub(crate) fn ratio(&self, to: &Self, figure: impl Fn(&Outcome) -> f64) -> Spread {
        let pairs = self.outcomes.iter().zip(&to.outcomes);
        let ratio = |(mine, theirs)| figure(mine) / figure(theirs).max(f64::MIN_POSITIVE);
        Spread::of(pairs.map(ratio))
    }

    /// The round whose figure is the median, or just above it.
    pub(crate) fn middle(&self, figure: impl Fn(&Outcome) -> f64) -> &Outcome {
        let mut outcomes: Vec<&Outcome> = self.outcomes.iter().collect();
        outcomes.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
        outcomes[outcomes.len() / 2]
    }
}

/// Plays them in turn; every other round in the opposite order, so that none always finds the
/// machine as the same other one left it.
///
/// # Errors
/// A process failed.
pub(crate) fn play(
    testbed: &Testbed,
    contestants: &[Contestant],
    rounds: u32,
    show: impl Fn(&Outcome) -> String,
) -> Result<Vec<Played>, PerfError> {
    let played = |it: &Contestant| Played {
        name: it.name.clone(),
        subject: it.subject,
        outcomes: Vec::new(),
    };
    let mut all: Vec<Played> = contestants.iter().map(played).collect();
    let width = contestants.iter().map(|it| it.name.len()).max();
    let width = width.unwrap_or(0);
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        for index in order {
            let it = &contestants[index];
            let outcome = testbed.play(it.subject, &it.plan, &it.settings)?;
            let (shown, verdict) = (show(&outcome), outcome.verdict());
            say(&format!(
                "  {} of {rounds} {:width$} {shown}, {verdict}",
                round + 1,
                it.name
            ));
            all[index].outcomes.push(outcome);
        }
    }
    Ok(all)
}

/// All outcomes of all contestants.
pub(crate) fn outcomes(played: &[Played]) -> impl Iterator<Item = &Outcome> + Clone {
    played.iter().flat_map(|it| &it.outcomes)
}

/// A note for every round that was not exact. nats-server may lose what its subscribers do not
/// take in time; that is said, too.
pub(crate) fn faults<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<String> {
    let bad = outcomes.into_iter().filter(|it| !it.is_exact());
    bad.map(|it| format!("**{:?}: {}**", it.subject, it.verdict()))
        .collect()
}

/// Whether engine and relay delivered exactly.
pub(crate) fn are_exact<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> bool {
    let mut ours = outcomes
        .into_iter()
        .filter(|it| it.subject != Subject::Nats);
    ours.all(Outcome::is_exact)
}
