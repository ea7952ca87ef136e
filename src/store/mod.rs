//! The store: the SQL database that follows the journal, off the path.
//!
//! ```text
//! JOURNAL files -> reader -> FOLLOWER -> rows -> Store -> messages, store_position
//!                            gathers, retries    rows and position in one transaction
//! ```
//!
//! There are two: SQLite, embedded, and a server, MySQL or MariaDB. `open` picks.
//!
//! The database owns its position: rows and position commit together, so that a crash anywhere
//! gives each message exactly one row. Nothing waits for the store; a store that is down or slow
//! lags behind, on disk.

pub mod follower;
pub mod lag;
mod marks;
pub mod mysql;
pub mod node;
pub mod pace;
pub mod reader;
mod refusals;
pub mod rows;
pub mod schema;
pub mod sqlite;
pub mod thread;
pub mod unstored;

mod backoff;
mod text_time;

#[cfg(test)]
mod speed;
#[cfg(test)]
mod testing;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, StoreUrl};
use crate::counters::Counters;
use crate::journal::record::Position;
use crate::message::Sequence;
use mysql::{Access, MySqlStore};
use rows::{Row, Rows};
use sqlite::SqliteStore;
use unstored::UnstoredLog;

/// The embedded database's file in the data directory.
pub const SQLITE_FILE: &str = "messages.db";

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

/// What a transaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows that now say DELIVERED: inserted so, or updated.
    pub settled: u64,
    /// Rows that the database refused for good; they were kept aside.
    pub unstored: u64,
}

impl Applied {
    /// This row was not inserted.
    fn pass_over(&mut self, row: &Row<'_>) {
        self.inserted -= 1;
        self.settled -= u64::from(row.settled_us.is_some());
    }
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
    /// It will not work by itself: the store stops.
    #[error("the store has stopped: {0}")]
    Permanent(String),
}

impl StoreError {
    /// What happened and what to do, without what the follower does about it.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Transient(words) | Self::Permanent(words) => words,
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

    fn totals(&mut self) -> Result<Totals, StoreError> {
        (**self).totals()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        (**self).close()
    }
}

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file with the engine's name in the database.
    #[error("store_node in the data directory cannot be used: {0}; or set [store] node")]
    Node(#[from] io::Error),
}

/// The store that the settings name; `None`: they name none. A server may be down, and a file may be
/// damaged: they are opened when they are first needed, and again after each failure.
///
/// # Errors
/// The data directory cannot be written.
pub fn open(
    config: &Config,
    counters: &Arc<Counters>,
) -> Result<Option<Box<dyn Store>>, OpenError> {
    let settings = &config.store;
    let unstored = UnstoredLog::new(&config.data_dir, Arc::clone(counters))
        .limited(settings.unstored_max_total);
    Ok(match &settings.url {
        StoreUrl::None => None,
        StoreUrl::Sqlite(path) => {
            let node = node::node(&config.data_dir, settings)?;
            let store = SqliteStore::new(&sqlite_path(config, path.as_ref()), &node);
            Some(Box::new(store.keeping(unstored)))
        }
        StoreUrl::MySql(server) => {
            let node = node::node(&config.data_dir, settings)?;
            let access = Access::new(server, settings);
            let store = MySqlStore::new(access, &node, settings.create, unstored);
            Some(Box::new(store))
        }
    })
}

/// Where the embedded database is.
fn sqlite_path(config: &Config, path: Option<&PathBuf>) -> PathBuf {
    let at_home = || config.data_dir.join(SQLITE_FILE);
    path.cloned().unwrap_or_else(at_home)
}
