//! Where a journal goes on when the store has more than it: behind what the store has.
//!
//! Asked at start, between recovery and the first write. A store that fails or does not answer soon is
//! no reason not to start: its thread asks again, and stops if it is ahead.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::journal::continuation::{self, Reached};
use crate::journal::error::JournalError;
use crate::journal::recovery::Recovered;
use crate::journal::storage::Storage;
use crate::store::{Store, StoreError};

/// How long the start waits for a database that accepts connections and says nothing.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Lets the journal go on behind what `store` has, where that is more than was recovered.
///
/// # Errors
/// The segments that say so cannot be written.
pub(super) fn behind_store<S: Storage>(
    segments: &mut S,
    segment_len: u64,
    store: Box<dyn Store>,
    recovered: Recovered,
    counters: &Counters,
    now: Now,
) -> Result<Recovered, JournalError> {
    let reached = match query_within(store, TIMEOUT) {
        Ok(Some(reached)) => reached,
        Ok(None) => return Ok(recovered),
        Err(error) => {
            warn!(
                %error,
                "the store was not asked whether it has more than the journal: the engine starts \
                 all the same"
            );
            return Ok(recovered);
        }
    };
    let origin = recovered.origin;
    if !reached.is_ahead_of(&origin) {
        return Ok(recovered);
    }
    let behind = continuation::continue_behind(segments, segment_len, origin, reached, now)?;
    let Some(behind) = behind else {
        return Ok(recovered);
    };
    let bytes = reached.position.saturating_sub(origin.position);
    counters.add(Counter::StoreAheadBytes, bytes);
    warn!(
        bytes,
        lost_from = origin.next_sequence,
        next_sequence = behind.origin.next_sequence,
        "the store has more than the journal, whose end was lost or moved away: rows from lost_from \
         on that say INGESTED were not delivered; new messages begin at next_sequence"
    );
    let mut all = recovered;
    all.origin = behind.origin;
    all.segments.extend(behind.segments);
    Ok(all)
}

/// Asks on a thread of its own, which is abandoned if there is no answer.
fn query_within(
    mut store: Box<dyn Store>,
    timeout: Duration,
) -> Result<Option<Reached>, StoreError> {
    let (sender, receiver) = sync_channel(1);
    let querying = move || {
        let answer = query(&mut store);
        drop(store);
        // The receiver is gone if it took too long.
        let _ = sender.send(answer);
    };
    let late = |_| Err(StoreError::Transient("it does not answer".to_owned()));
    match thread::Builder::new()
        .name("store".to_owned())
        .spawn(querying)
    {
        Ok(_) => receiver.recv_timeout(timeout).unwrap_or_else(late),
        Err(error) => Err(StoreError::Transient(error.to_string())),
    }
}

/// How far the store has come; `None`: it cannot tell.
fn query(store: &mut impl Store) -> Result<Option<Reached>, StoreError> {
    let position = store.position()?;
    let last_sequence = store.last_sequence()?;
    Ok(last_sequence.map(|last_sequence| Reached {
        position,
        last_sequence,
    }))
}
