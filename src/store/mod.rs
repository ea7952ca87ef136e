//! The store: the SQL database that follows the journal, off the path.
//!
//! ```text
//! JOURNAL files -> reader -> FOLLOWER -> rows -> Store -> messages, store_position
//!                            gathers, retries    rows and position in one transaction
//! ```
//!
//! There are two: SQLite, embedded, and a server, MySQL or MariaDB. `open.rs` picks.
//!
//! The database owns its position: rows and position commit together, so that a crash anywhere
//! gives each message exactly one row. Nothing waits for the store; a store that is down or slow
//! lags behind, on disk.

pub(crate) mod core_wait;
pub mod follower;
mod id_base;
mod keep;
pub(crate) mod lag;
pub(crate) mod mysql;
pub(crate) mod node;
mod open;
pub(crate) mod own;
mod ownership;
pub(crate) mod pace;
pub(crate) mod reader;
mod refusals;
mod repeats;
pub mod rows;
pub(crate) mod schema;
pub(crate) mod sqlite;
pub(crate) mod tenure;
pub(crate) mod thread;
pub(crate) mod unstored;

mod backoff;
mod text_time;

#[cfg(test)]
mod speed;
#[cfg(test)]
pub(crate) mod testing;

use crate::journal::format::Position;
use crate::message::Sequence;
pub(crate) use open::{
    OpenError, SQLITE_FILE, dialect, is_shared, open, open_reader, place, schema_of,
};
use rows::Rows;

pub use keep::{Removal, Removed};
pub use rows::Applied;

/// A database that follows the journal.
pub trait Store: Send {
    /// How far it has followed; zero when it has nothing.
    ///
    /// # Errors
    /// The database cannot be asked.
    fn position(&mut self) -> Result<Position, StoreError>;

    /// Writes the rows and moves the position to `upto`, in one transaction.
    ///
    /// # Errors
    /// Nothing was written; or, after a lost connection, perhaps all: [`Store::position`] tells.
    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError>;

    /// The highest sequence that has a row, zero when there is none: new messages get higher ones.
    /// `None`: it cannot tell.
    ///
    /// # Errors
    /// The database cannot be asked.
    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        Ok(None)
    }

    /// Removes rows of this engine that were settled long enough ago: one piece, in a transaction of
    /// its own. The row with the highest sequence stays.
    ///
    /// # Errors
    /// Nothing was removed; or, after a lost connection, perhaps all of the piece.
    fn remove(&mut self, removal: &Removal) -> Result<Removed, StoreError> {
        let _ = removal;
        Ok(Removed::default())
    }

    /// Bytes that are free on the database's disk; `None`: it is on another machine, or nobody can tell.
    fn free_len(&self) -> Option<u64> {
        None
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// The database cannot be asked.
    fn totals(&mut self) -> Result<Totals, StoreError>;

    /// Leaves the database tidy: called once, when nothing more comes.
    ///
    /// # Errors
    /// It could not be tidied; all rows are in it nevertheless.
    fn close(&mut self) -> Result<(), StoreError>;
}

/// What the database holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// Rows that say DELIVERED.
    pub delivered: u64,
}

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may work later: the same is tried again.
    #[error("the store cannot be written: {0}; it is tried again, and catches up from the journal")]
    Transient(String),
    /// Its disk has no room: the same rows are tried again, fewer at a time.
    #[error(
        "the store cannot be written: {0}; fewer rows at a time are tried, and it catches up from the journal"
    )]
    NoRoom(String),
    /// Another member of the group writes now, as it should: the store stops.
    #[error("the store has stopped: {0}")]
    TermOver(String),
    /// It will not work by itself: the store stops.
    #[error("the store has stopped: {0}")]
    Permanent(String),
}

impl StoreError {
    /// What happened and what to do, without what the follower does about it.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Transient(words)
            | Self::NoRoom(words)
            | Self::TermOver(words)
            | Self::Permanent(words) => words,
        }
    }
}

impl Store for Box<dyn Store> {
    fn position(&mut self) -> Result<Position, StoreError> {
        (**self).position()
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        (**self).apply(rows, upto)
    }

    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        (**self).last_sequence()
    }

    fn remove(&mut self, removal: &Removal) -> Result<Removed, StoreError> {
        (**self).remove(removal)
    }

    fn free_len(&self) -> Option<u64> {
        (**self).free_len()
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        (**self).totals()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        (**self).close()
    }
}
