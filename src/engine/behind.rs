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
use crate::message::Sequence;
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
    let origin = recovered.origin;
    let Some(reached) = reached(store).filter(|it| it.is_ahead_of(&origin)) else {
        return Ok(recovered);
    };
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

/// How long a take-over waits for it: nobody is served meanwhile.
const TERM_TIMEOUT: Duration = Duration::from_millis(500);

/// Lets the messages of a group's term begin behind those that `store` has, where these are more than was
/// recovered: the group lost the end of its journal. Positions are the group's, and stay. A store that fails or
/// does not answer at once delays no take-over, nor does a transaction that a stopped member has left open: rows
/// are looked at, and no lock is taken. Returns the last sequence that it has, if it has said so.
pub(super) fn next_sequence_behind(
    store: Box<dyn Store>,
    recovered: &mut Recovered,
) -> Option<Sequence> {
    let last_sequence = |mut store: Box<dyn Store>| store.last_sequence();
    let last_sequence = known(query_within(store, TERM_TIMEOUT, last_sequence));
    let origin = &mut recovered.origin;
    let lost_from = origin.next_sequence;
    let Some(last_sequence) = last_sequence.filter(|it| *it >= lost_from) else {
        return last_sequence;
    };
    let messages = last_sequence + 1 - lost_from;
    origin.next_sequence = last_sequence + 1;
    warn!(
        messages,
        lost_from,
        next_sequence = origin.next_sequence,
        "the store has more than the group's journal, whose end was lost: rows from lost_from on that say \
         INGESTED are of messages that the group does not have; new ones begin at next_sequence"
    );
    Some(last_sequence)
}

/// How far the store has come; `None`: it cannot tell, or was not asked.
fn reached(store: Box<dyn Store>) -> Option<Reached> {
    known(query_within(store, TIMEOUT, query))
}

/// What was answered; a store that was not asked is told.
fn known<T>(answer: Result<Option<T>, StoreError>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        warn!(
            %error,
            "the store was not asked whether it has more than the journal: the engine starts all the same"
        );
        None
    })
}

/// Asks on a thread of its own, which is abandoned if there is no answer.
fn query_within<T: Send + 'static>(
    store: Box<dyn Store>,
    timeout: Duration,
    query: impl FnOnce(Box<dyn Store>) -> Result<Option<T>, StoreError> + Send + 'static,
) -> Result<Option<T>, StoreError> {
    let (sender, receiver) = sync_channel(1);
    let querying = move || {
        let answer = query(store);
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
fn query(mut store: Box<dyn Store>) -> Result<Option<Reached>, StoreError> {
    let position = store.position()?;
    let last_sequence = store.last_sequence()?;
    Ok(last_sequence.map(|last_sequence| Reached {
        position,
        last_sequence,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::recovery::Origin;
    use crate::journal::testing::{Memory, TestWriter};
    use crate::store::sqlite::SqliteStore;
    use crate::store::testing::{SEGMENT, gather};

    #[test]
    fn a_terms_messages_begin_behind_those_of_a_database_that_is_ahead() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("messages.db");
        let memory = Memory::default();
        TestWriter::new(memory.clone(), SEGMENT).plain(1..=9);
        let (rows, upto) = gather(&memory, 0);
        let open = || SqliteStore::new(&path, "here");
        open().apply(&rows, upto).expect("it is written");
        let behind = |position, next_sequence| {
            let mut recovered = Recovered {
                origin: Origin {
                    position,
                    next_sequence,
                },
                ..Recovered::default()
            };
            let last = next_sequence_behind(Box::new(open()), &mut recovered);
            assert_eq!(last, Some(9));
            assert_eq!(recovered.origin.position, position, "it is the group's");
            recovered.origin.next_sequence
        };
        assert_eq!(behind(upto, 10), 10);
        assert_eq!(behind(upto, 40), 40, "it has not followed yet");
        assert_eq!(behind(upto - 100, 7), 10);
    }
}
