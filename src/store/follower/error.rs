//! Why following the journal ends, or is tried again.

use crate::journal::error::JournalError;
use crate::journal::format::Position;
use crate::store::StoreError;

/// What ends the following. Delivery goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The database said no, or does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal cannot be read where the database's position stands.
    #[error(
        "the store has stopped at journal position {position}: {source}; if the journal is whole, \
         the database followed another one: move it away, and a new one is made"
    )]
    Journal {
        /// Where reading stood.
        position: Position,
        /// What was wrong there.
        source: JournalError,
    },
    /// The database has what the journal has not.
    #[error(
        "the store has stopped: the database has followed to position {stored}, but the journal \
         ends at {recorded}: a power loss cut the journal, or it is another one, or another engine \
         runs with a copy of this data directory; start the engine again while the database can be \
         reached, and the journal goes on behind it; or move the database away (its rows are \
         whole), and a new one is made from what the journal has; or give one of two engines a name \
         of its own ([store] node)"
    )]
    Ahead {
        /// The database's position.
        stored: Position,
        /// Where the journal ends.
        recorded: Position,
    },
    /// Two engines write the same database under one name.
    #[error(
        "the store has stopped: the database's position moved from {expected} to {found} by \
         itself; see that no other engine writes to it under the same name"
    )]
    Moved {
        /// What this follower had left there.
        expected: Position,
        /// What it found.
        found: Position,
    },
}

impl FollowError {
    /// Whether the group goes on without this engine, as it should.
    pub(in crate::store) fn is_term_over(&self) -> bool {
        matches!(self, Self::Store(StoreError::TermOver(_)))
    }

    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Transient(_) | StoreError::NoRoom(_)),
            Self::Journal { source, .. } => source.is_transient(),
            Self::Ahead { .. } | Self::Moved { .. } => false,
        }
    }
}
