//! What an engine begins with: the journal is read, the engine's own time goes on from it, and the store
//! follows it. Used by [`super::start`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::info;

use super::behind::behind_store;
use super::error::{StartError, files, system};
use super::group_store::Followed;
use super::names::Names;
use super::pipeline;
use super::resources::journal_folder;
use super::services::Services;
use super::term::TermStart;
use crate::clock::{Boot, Clock, SystemClock, wall_us};
use crate::cluster::run::member::Activation;
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::journal::recovery::Recovered;
use crate::journal::storage::Directory as Segments;
use crate::scheduler::recovered::RecoveredState;
use crate::store;
use crate::store::tenure::Tenure;
use crate::store::thread::StoreThread;

impl TermStart {
    fn tenure(&self, config: &Config) -> Tenure {
        Tenure {
            group_id: self.activation.group_id,
            term: self.activation.term,
            silence: config.cluster.take_over_after,
        }
    }
}

/// What the journal says at the start.
pub(super) struct Past {
    pub(super) segments: Segments,
    pub(super) recovered: Recovered,
    pub(super) state: RecoveredState,
    pub(super) clock: SystemClock,
    pub(super) store: Option<StoreThread>,
}

impl Past {
    pub(super) fn read(
        config: &Config,
        names: &Names,
        services: &Services<'_>,
        term: Option<&mut TermStart>,
    ) -> Result<Self, StartError> {
        let mut segments = Segments::at(&journal_folder(config)?).map_err(files("journal/"))?;
        let (counters, signals) = (&services.counters, &services.signals);
        let (mut recovered, state, clock) = match &term {
            Some(term) => recover_term(config, &mut segments, names, &term.activation)?,
            None => {
                let (recovered, state, clock) = recover(config, &mut segments, names, counters)?;
                let end = recovered.origin.position;
                signals.recorded.store(end, Ordering::Release);
                (recovered, state, clock)
            }
        };
        // The store is behind by what is counted from here.
        let recorded = recovered.origin.next_sequence.saturating_sub(1);
        counters.set(Counter::JournalRecorded, recorded);
        let followed = Followed {
            config,
            clock: clock.clone(),
            segments: &segments,
            recorded: &signals.recorded,
            counters,
        };
        let store = match term {
            Some(term) => {
                let shared = followed.in_term(&term.tenure(config), &mut recovered)?;
                shared.or_else(|| term.store.take())
            }
            None => followed.alone()?,
        };
        Ok(Self {
            segments,
            recovered,
            state,
            clock,
            store,
        })
    }
}

/// Reads what a term begins with. The engine's own time goes on from its claim's: so all members forget
/// and age alike, whatever their clocks say.
fn recover_term(
    config: &Config,
    segments: &mut Segments,
    names: &Names,
    activation: &Activation,
) -> Result<(Recovered, RecoveredState, SystemClock), StartError> {
    let begun = Instant::now();
    let keys = random_keys()?;
    let part = (activation.low, activation.end);
    let (recovered, state) = pipeline::recover_term(config, segments, names, keys, part)?;
    announce_recovered(config, &recovered, &state, begun.elapsed());
    let boot = Boot::read();
    let passed_us = boot.age_us.saturating_sub(activation.at_us);
    let clock = SystemClock::starting_at(activation.time_us + passed_us, boot);
    Ok((recovered, state, clock))
}

/// Reads the journal, and begins behind what the store has seen of it.
fn recover(
    config: &Config,
    segments: &mut Segments,
    names: &Names,
    counters: &Arc<Counters>,
) -> Result<(Recovered, RecoveredState, SystemClock), StartError> {
    let begun = Instant::now();
    let (mut recovered, state) =
        pipeline::recover(config, segments, names, random_keys()?, wall_us())?;
    announce_recovered(config, &recovered, &state, begun.elapsed());
    let boot = Boot::read();
    let clock = SystemClock::starting_at(recovered.past.goes_on_at(boot, wall_us()), boot);
    // One of its own: if it does not answer, it is left behind.
    if let Some(asked) = store::open(config, counters, None)? {
        let (len, now) = (config.journal.segment, clock.now());
        recovered = behind_store(segments, len, asked, recovered, counters, now)?;
    }
    Ok((recovered, state, clock))
}

/// Says what an earlier run has left.
fn announce_recovered(
    config: &Config,
    recovered: &Recovered,
    state: &RecoveredState,
    took: Duration,
) {
    let segments = recovered.segments.len() + recovered.compacted.len();
    if segments == 0 {
        return;
    }
    let levels = usize::from(config.scheduler.levels);
    let waiting = state.waiting.len_by_destination(levels);
    info!(
        messages = state.waiting.len(),
        destinations = waiting.iter().filter(|len| **len > 0).count(),
        segments,
        ms = took.as_millis() as u64,
        "recovered what was not settled"
    );
}

/// Random keys for the dedup window: with known keys, ids could be made that are taken for each other.
pub(super) fn random_keys() -> Result<[u64; 8], StartError> {
    let mut keys = [0; 8];
    for key in &mut keys {
        let random = getrandom::u64().map_err(|it| io::Error::other(it.to_string()));
        *key = random.map_err(system("randomness"))?;
    }
    Ok(keys)
}
