//! The benchmarks: what is played, how often, and what the report says of it.

pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod target;
pub(crate) mod throughput;

use crate::engine::Settings;
use crate::error::PerfError;
use crate::plan::Plan;
use crate::round::{Lab, Outcome, Subject};

/// Rounds of both, one of each in turn: what the machine does to one, it does to the other.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The engine's round.
    pub(crate) engine: Outcome,
    /// The relay's, at once after it.
    pub(crate) relay: Outcome,
}

impl Pair {
    /// The engine's figure over the relay's.
    pub(crate) fn ratio(&self, figure: impl Fn(&Outcome) -> f64) -> f64 {
        figure(&self.engine) / figure(&self.relay).max(f64::MIN_POSITIVE)
    }
}

/// Progress, to the screen.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Plays engine and relay in turn; the order changes from pair to pair, so that neither always
/// finds the machine as the other left it.
pub(crate) fn pairs(
    lab: &Lab,
    plan: &Plan,
    settings: &Settings,
    rounds: u32,
    show: impl Fn(&Outcome) -> String,
) -> Result<Vec<Pair>, PerfError> {
    let play = |subject: Subject, round: u32| {
        let outcome = lab.play(subject, plan, settings)?;
        let name = format!("{subject:?}").to_lowercase();
        let (shown, verdict) = (show(&outcome), outcome.verdict());
        say(&format!(
            "  {} of {rounds} {name:6} {shown}, {verdict}",
            round + 1
        ));
        Ok::<_, PerfError>(outcome)
    };
    let pair = |round: u32| {
        if round.is_multiple_of(2) {
            let engine = play(Subject::Engine, round)?;
            let relay = play(Subject::Relay, round)?;
            Ok(Pair { engine, relay })
        } else {
            let relay = play(Subject::Relay, round)?;
            let engine = play(Subject::Engine, round)?;
            Ok(Pair { engine, relay })
        }
    };
    (0..rounds).map(pair).collect()
}

/// A note for every round that was not exact.
pub(crate) fn faults<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<String> {
    let bad = outcomes.into_iter().filter(|it| !it.is_exact());
    bad.map(|it| format!("**{:?}: {}**", it.subject, it.verdict()))
        .collect()
}

/// Both outcomes of every pair.
pub(crate) fn outcomes(pairs: &[Pair]) -> impl Iterator<Item = &Outcome> {
    pairs.iter().flat_map(|it| [&it.engine, &it.relay])
}
