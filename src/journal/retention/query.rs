//! A query: retention's question to the scheduler, which messages are not settled.
//!
//! ```text
//! RETENTION --UnsettledQuery--> SCHEDULER --UnsettledQuery--> JOURNAL --UnsettledQuery--> RETENTION
//!            asks        answers    behind the settlements,
//!                                   which are recorded when it arrives
//! ```
//! It goes the way that settlements go: whoever holds the answer knows that the settlement of each
//! message that it does not name is in the journal, so nothing that a crash would bring back is
//! thrown away.

use super::needed::Word;
use crate::journal::carried::Body;
use crate::journal::format::Position;
use crate::limits::QUERY_WORDS;
use crate::message::Sequence;

/// What becomes of messages that are to be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They are to become a record, those of them that are unsettled when it is made.
    Wanted,
    /// Their record stands in the journal at this position, or none of them was unsettled.
    Recorded(Position),
    /// No record was made: the disk is full, or they do not fit into one any more.
    Refused,
}

/// The question, and its answer: one goes round and round.
#[derive(Debug)]
pub(crate) struct UnsettledQuery {
    /// Asked for sequences from here on...
    pub(crate) from: Sequence,
    /// ... up to, not including, this one.
    pub(crate) to: Sequence,
    /// The words that hold an unsettled one of them; `QUERY_WORDS` at most.
    pub(crate) words: Vec<Word>,
    /// The answer is complete for the sequences before this one.
    pub(crate) reached: Sequence,
    /// The first sequence of all that is not settled, or else the next one.
    pub(crate) first_unsettled: Sequence,
    /// The sequence of the next message.
    pub(crate) next_sequence: Sequence,
    /// The journal has reached what was granted: nothing more is accepted.
    pub(crate) is_at_limit: bool,
    /// In a group: messages to be carried, all of them among the sequences that are asked for.
    pub(crate) carry: Option<(Body, Fate)>,
    /// In a group: bytes that a record's batches may have, as the journal agent was told last.
    pub(crate) len_max: usize,
}

impl UnsettledQuery {
    /// One to begin with.
    #[must_use]
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self {
            from: 0,
            to: 0,
            words: Vec::with_capacity(QUERY_WORDS),
            reached: 0,
            first_unsettled: 0,
            next_sequence: 0,
            is_at_limit: false,
            carry: None,
            len_max: 0,
        })
    }
}
