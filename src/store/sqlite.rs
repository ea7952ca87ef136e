//! The embedded database: `data_dir/messages.db`, WAL mode.
//!
//! Fed by the follower, through [`Store`]; read by anybody with SQLite. It does not retry: it says
//! that something failed, drops the connection after any error, and opens the file anew when it is
//! asked again. A file that is damaged, locked or missing delays its rows only; once it is moved away, a
//! new one is made.
//!
//! `id` is the engine's own base (0 for the first one) plus the sequence, so that settlements find
//! their row by primary key. Every transaction is on the disk when it counts as written.

mod ids;
mod reader;
mod removing;
mod schema;
mod session;
mod transaction;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::keep::{Removal, Removed};
use super::ownership::{ForeignWrite, Ownership, PositionError};
use super::repeats::Repeats;
use super::rows::Rows;
use super::unstored::{UnstoredLog, unwritable};
use super::{Applied, Store, StoreError, Totals};
use crate::journal::format::Position;
use crate::message::Sequence;
use crate::space::Space;

pub(super) use reader::SqliteReader;
pub(crate) use schema::{SqliteSchema, schema_version};
use session::Session;

/// How long a lock that a reader holds is waited for, before it counts as a failure.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Measured with `store::speed`, 200,000 rows, 5,000 a transaction, the other core busy: with pages
/// of 4 KiB and the default cache 107,000 rows a second, with a cache and a WAL of 16 MiB 130,000
/// to 155,000, with pages of 8 KiB besides 175,000 to 205,000. Still larger pages gain a fifth with
/// a hundred destinations and write more with thousands of them; `mmap_size` gains nothing that
/// repeats.
///
/// Much is never synced at once, for a long write to the disk shows in the path's latency where the
/// machine is small or virtual: at 10,000 messages a second beside this store the p99 was 3.6 ms,
/// and p99.9 20 ms, with WALs of 4,000 pages that were synced at their end, and is 1.4 and 3.7 ms
/// with a sync for each transaction and a checkpoint every 500 pages. A store that is behind writes
/// more than that in a transaction, so its pace is the same.
const SETTINGS: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 500;
    PRAGMA journal_size_limit = 67108864;
";

#[derive(Debug)]
pub(crate) struct SqliteStore {
    path: PathBuf,
    /// Whose position this store keeps.
    node: String,
    /// Keeps what the database refuses; `None`: a refused row is an error.
    unstored: Option<UnstoredLog>,
    ownership: Ownership,
    repeats: Repeats,
    session: Option<Session>,
    /// What the ids of this engine count from, once it is known.
    id_base: Option<u64>,
}

/// Why a piece of work was not done.
#[derive(Debug)]
enum Failed {
    Database(rusqlite::Error),
    /// The tables are not as they should be.
    Schema(StoreError),
    /// The position's row is not this store's.
    Position(PositionError),
    /// It refuses a row, and there is nowhere to keep that.
    Refused(String),
    /// What it refuses cannot be kept aside.
    Unstored(std::io::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<PositionError> for Failed {
    fn from(error: PositionError) -> Self {
        Self::Position(error)
    }
}

impl From<ForeignWrite> for Failed {
    fn from(foreign: ForeignWrite) -> Self {
        Self::Position(foreign.into())
    }
}

impl SqliteStore {
    /// The database of a file. It is opened, or made, and its schema brought up to date, when it is
    /// first needed.
    #[must_use]
    pub(crate) fn new(path: &Path, node: &str) -> Self {
        Self {
            path: path.to_owned(),
            node: node.to_owned(),
            unstored: None,
            ownership: Ownership::default(),
            repeats: Repeats::default(),
            session: None,
            id_base: None,
        }
    }

    #[cfg(test)]
    /// The same, opened at once.
    ///
    /// # Errors
    /// It cannot be opened, is no database, or was made by a newer engine.
    pub(crate) fn open(path: &Path, node: &str) -> Result<Self, StoreError> {
        let mut store = Self::new(path, node);
        store.with(|_| Ok(()))?;
        Ok(store)
    }

    /// From now on what the database refuses is kept there, and the rest goes on.
    #[must_use]
    pub(crate) fn keeping(mut self, unstored: UnstoredLog) -> Self {
        self.unstored = Some(unstored);
        self
    }

    /// Does a piece of work on an open file; after an error that is closed, and with it the
    /// transaction.
    fn with<T>(
        &mut self,
        work: impl FnOnce(Work<'_>) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        // A file that was moved away would still be written, where nobody looks for it.
        let open = self.session.take().filter(|it| it.is_at(&self.path));
        let mut session = match open {
            Some(session) => session,
            None => self.begin().map_err(|it| self.explain(it))?,
        };
        let done = work(Work {
            session: &mut session,
            ownership: &mut self.ownership,
            repeats: &mut self.repeats,
            unstored: self.unstored.as_mut(),
        });
        let done = done.map_err(|it| self.explain(it))?;
        self.id_base = Some(session.id_base());
        self.session = Some(session);
        Ok(done)
    }

    fn begin(&mut self) -> Result<Session, Failed> {
        let mut connection = Connection::open(&self.path)?;
        configure(&connection)?;
        schema::prepare(&mut connection, &self.path).map_err(Failed::Schema)?;
        Session::begin(
            connection,
            &self.path,
            &self.node,
            self.id_base,
            &mut self.ownership,
        )
    }

    fn explain(&self, failed: Failed) -> StoreError {
        let place = self.path.display();
        match failed {
            Failed::Database(error) => explain(&self.path, &error),
            Failed::Schema(error) => error,
            Failed::Position(error) => error.explain(&place.to_string(), &self.node),
            Failed::Refused(reason) => StoreError::Permanent(format!("{place}: {reason}")),
            Failed::Unstored(error) => StoreError::Transient(unwritable(&error)),
        }
    }
}

/// What a piece of work has.
struct Work<'a> {
    session: &'a mut Session,
    ownership: &'a mut Ownership,
    repeats: &'a mut Repeats,
    unstored: Option<&'a mut UnstoredLog>,
}

impl Store for SqliteStore {
    fn position(&mut self) -> Result<Position, StoreError> {
        self.with(|it| it.session.position(it.ownership))
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        let known = self.ownership.position();
        self.with(|it| {
            let found = it.ownership.position();
            match (known, found) {
                (Some(known), Some(found)) if known != found => {
                    Err(PositionError::WentBack(found).into())
                }
                _ => {
                    let kept = (it.repeats, it.unstored);
                    it.session.write(rows, upto, it.ownership, kept)
                }
            }
        })
    }

    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        self.with(|it| Ok(it.session.last_sequence()?))
    }

    fn remove(&mut self, removal: &Removal) -> Result<Removed, StoreError> {
        self.with(|it| Ok(it.session.remove(removal)?))
    }

    fn free_len(&self) -> Option<u64> {
        let folder = self.path.parent()?;
        Some(Space::at(folder).ok()?.free)
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        self.with(|it| Ok(it.session.totals()?))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        match self.session.take() {
            Some(session) => session.close().map_err(|error| explain(&self.path, &error)),
            None => Ok(()),
        }
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(SETTINGS)
}

/// Says which file it was and what to do. All of it may pass: the file is opened anew each time.
fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let place = path.display();
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program is writing to it"
        }
        Some(ErrorCode::DiskFull) => "make room on its disk",
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "move it away, with its -wal and -shm: a new one is made, and filled with what the \
             journal still has"
        }
        _ if path.is_dir() => "it is a directory: move it away, and a new database is made",
        _ if transaction::is_not_null(error) => {
            "give the column a default, or let it be NULL: the engine has no value for it"
        }
        Some(ErrorCode::ConstraintViolation) => {
            "a constraint that was added to its tables refuses the transaction as a whole: drop it, \
             or have it checked row by row"
        }
        Some(ErrorCode::Unknown) if transaction::lacks_a_triggers(error) => {
            "a trigger of the tables needs it: make it, or drop the trigger"
        }
        Some(ErrorCode::Unknown) => {
            "flipped-lb schema check says what is missing, and schema apply makes it"
        }
        _ => "check the disk and permissions",
    };
    let words = format!("{place}: {error}; {advice}");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::NoRoom(words),
        _ => StoreError::Transient(words),
    }
}

#[cfg(test)]
mod tests;
