//! Whether frames are welcome, and what does not work as it should meanwhile: what `/readyz`, `/stats` and
//! the page say alike.

use super::degraded::{Shortage, degraded};
use super::health::has_journal;
use super::{AdminState, destinations, lock};
use crate::cluster::status::Snapshot;
use crate::counters::Counter;
use crate::engine::tls::Certificate;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Why frames are not welcome; `None`: they are.
    pub(super) unready: Option<String>,
    /// Sentences; they name destinations.
    pub(super) degraded: Vec<String>,
}

impl Readiness {
    /// `member`: the one that this is, as [`AdminState::member`] gives it.
    pub(super) fn of(state: &AdminState, member: Option<&Snapshot>) -> Self {
        let unready = unready(state, member);
        let namesake = member.and_then(Snapshot::namesake_words);
        let degraded = [
            shortages(state),
            state.health.late(),
            alarms(state),
            certificates(state),
            namesake.into_iter().collect(),
        ]
        .concat();
        Self { unready, degraded }
    }

    /// The word or the sentence of `/readyz`.
    pub(super) fn reason(&self) -> &str {
        self.unready.as_deref().unwrap_or("running")
    }
}

/// Why frames are not welcome; `None`: they are.
fn unready(state: &AdminState, member: Option<&Snapshot>) -> Option<String> {
    let of_group = member.and_then(Snapshot::unready);
    if member.is_some_and(|it| !it.is_active()) {
        return of_group;
    }
    let ready = state.health.ready();
    let own = ready.err().or_else(|| journal(state));
    own.or(of_group)
}

/// Why the journal takes no frames, and what takes its disk where that is why.
fn journal(state: &AdminState) -> Option<String> {
    let why = has_journal(&state.counters).err()?;
    let is_full = state.counters.get(Counter::JournalWaiting) != 0
        && (state.counters.faults().journal_waits()).is_some_and(|(it, _)| it.is_of_room());
    let sizes = lock(&state.shown).disk.map(|it| it.sizes);
    Some(match sizes.filter(|_| is_full) {
        Some(sizes) => format!("{why}. On its disk: {}", sizes.words()),
        None => why,
    })
}

/// What does not work as it should now, with its beginning where that is known.
fn shortages(state: &AdminState) -> Vec<String> {
    let shown = lock(&state.shown);
    let with_beginning = |Shortage { kind, words }| match shown.alarms.since_us(kind) {
        Some(since_us) if !words.contains(" since ") => {
            format!("{words}, since {}", destinations::time(since_us))
        }
        _ => words,
    };
    let all = degraded(&state.counters).into_iter();
    all.map(with_beginning).collect()
}

/// Certificates that no peer believes, or soon none will.
fn certificates(state: &AdminState) -> Vec<String> {
    let all = state.certificates.get();
    all.iter().filter_map(Certificate::trouble).collect()
}

fn alarms(state: &AdminState) -> Vec<String> {
    lock(&state.shown).alarms.words()
}
