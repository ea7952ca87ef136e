//! The embedded database: `data_dir/messages.db`, WAL mode.
//!
//! Fed by the follower, through [`Store`]; read by anybody with SQLite. It does not retry: it says
//! whether an error may pass.
//!
//! `id` is the engine's own base (0 for the first one) plus the sequence, so that settlements find
//! their row by primary key. Every transaction is on the disk when it counts as written.

mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ToSql, Transaction, TransactionBehavior};

use super::fields::Fields;
use super::pace::Pieces;
use super::rows::{Row, Rows};
use super::text_time::{MOMENT_LEN, TextTime};
use super::unstored::{Refused, UNSTORED_FILE, UnstoredLog};
use super::{Applied, Store, StoreError, Totals};
use crate::journal::record::{Position, Settlement};
use crate::message::Sequence;

pub use schema::SqliteSchema;

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

const INSERT: &str = "
    INSERT INTO messages (id, messageId, sourceServerId, destinationId, messageType, priority,
        timestamp, payload, status, created_at, delivered_at, sequence)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const UPDATE: &str = "
    UPDATE messages SET status = 'DELIVERED', delivered_at = ?2
    WHERE id = ?1 AND status = 'INGESTED'";

const MOVE: &str = "
    UPDATE store_position SET position = ?2, updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE node = ?1";

/// An engine's first row here, with a base for its ids: 0 for the first engine, else the next
/// multiple of 2^48.
const REGISTER: &str = "
    INSERT INTO store_position (node, id_base, position, updated_at)
    SELECT ?1, ((highest >> 48) + 1) << 48, 0, strftime('%Y-%m-%d %H:%M:%f', 'now')
    FROM (SELECT MAX(COALESCE((SELECT MAX(id) FROM messages), -1),
                     COALESCE((SELECT MAX(id_base) FROM store_position), -1)) AS highest)
    WHERE true
    ON CONFLICT (node) DO NOTHING";

/// The last one of an engine's ids, from its base.
const LAST_ID: &str = "SELECT MAX(id) FROM messages WHERE id >= ?1 AND id < ?1 + (1 << 48)";

/// A SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    /// Whose position this store keeps.
    node: String,
    /// What the ids of this engine count from.
    id_base: u64,
    /// Keeps the rows that the database refuses; `None`: a refused row is an error.
    unstored: Option<UnstoredLog>,
    /// Neighbouring rows were created, and settled, in the same seconds.
    created: TextTime,
    delivered: TextTime,
}

impl SqliteStore {
    /// Opens the database of a file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be opened, is no database, or was made by a newer engine.
    pub fn open(path: &Path, node: &str) -> Result<Self, StoreError> {
        let explain = |error: rusqlite::Error| explain(path, &error);
        let mut connection = Connection::open(path).map_err(explain)?;
        configure(&connection).map_err(explain)?;
        schema::prepare(&mut connection, path)?;
        let id_base = register(&connection, node).map_err(explain)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            node: node.to_owned(),
            id_base,
            unstored: None,
            created: TextTime::new(),
            delivered: TextTime::new(),
        })
    }

    /// From now on a row that the database refuses is kept there, and the rest goes on.
    #[must_use]
    pub fn keeping(mut self, unstored: UnstoredLog) -> Self {
        self.unstored = Some(unstored);
        self
    }

    fn write(&mut self, rows: &Rows, upto: i64) -> Result<Applied, Failed> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let times = (&mut self.created, &mut self.delivered);
        let mut refused = Vec::new();
        let keeps = self.unstored.is_some();
        let mut pieces = Pieces::begin(rows.pace());
        let each = rows.iter().inspect(|_| pieces.row());
        insert(&transaction, each, self.id_base, times, |row, error| {
            let is_split_out = keeps && is_of_row(&error) && !transaction.is_autocommit();
            is_split_out
                .then(|| refused.push((row, error.to_string())))
                .ok_or(error)
        })?;
        let mut applied = rows.as_applied_rows();
        applied.refuse(refused.iter().map(|(row, _)| row));
        let updates = rows.updates().iter().inspect(|_| pieces.row());
        applied.settled += settle(&transaction, updates, self.id_base, &mut self.delivered)?;
        if let Some(unstored) = &mut self.unstored {
            let refused: Vec<_> = refused
                .iter()
                .map(|(row, reason)| Refused { row: *row, reason })
                .collect();
            // Before the commit that passes them over.
            unstored.keep(&refused).map_err(Failed::Unstored)?;
        }
        transaction
            .prepare_cached(MOVE)?
            .execute((&self.node, upto))?;
        transaction.commit()?;
        Ok(applied)
    }
}

/// Why a transaction was not done.
#[derive(Debug)]
enum Failed {
    /// The database.
    Database(rusqlite::Error),
    /// What it refuses cannot be kept aside.
    Unstored(std::io::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl Store for SqliteStore {
    fn position(&mut self) -> Result<Position, StoreError> {
        let query = "SELECT position FROM store_position WHERE node = ?1";
        let position: Option<i64> = self
            .connection
            .prepare_cached(query)
            .and_then(|mut it| it.query_row([&self.node], |row| row.get(0)).optional())
            .map_err(|error| explain(&self.path, &error))?;
        Ok(position.map_or(0, i64::cast_unsigned))
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        let written = self.write(rows, upto.cast_signed());
        written.map_err(|failed| match failed {
            Failed::Database(error) => explain(&self.path, &error),
            Failed::Unstored(error) => StoreError::Transient(format!(
                "{UNSTORED_FILE} in the data directory cannot be written: {error}; check its disk"
            )),
        })
    }

    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        let last: Option<i64> = self
            .connection
            .query_row(LAST_ID, [self.id_base as i64], |row| row.get(0))
            .map_err(|error| explain(&self.path, &error))?;
        Ok(Some(last.map_or(0, |id| id.cast_unsigned() - self.id_base)))
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        let query = "SELECT COUNT(*), COUNT(*) FILTER (WHERE status = 'DELIVERED') FROM messages";
        let totals = self.connection.query_row(query, [], |row| {
            let (rows, delivered): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Totals {
                rows: rows.cast_unsigned(),
                delivered: delivered.cast_unsigned(),
            })
        });
        totals.map_err(|error| explain(&self.path, &error))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| explain(&self.path, &error))
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(SETTINGS)
}

/// Gives a node a base for its ids, if it has none, and returns it.
fn register(connection: &Connection, node: &str) -> rusqlite::Result<u64> {
    connection.execute(REGISTER, [node])?;
    let query = "SELECT id_base FROM store_position WHERE node = ?1";
    let id_base: i64 = connection.query_row(query, [node], |row| row.get(0))?;
    Ok(id_base.cast_unsigned())
}

/// Inserts the rows; `refused` is told of each that is not taken, and says whether that is an error.
fn insert<'r>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = Row<'r>>,
    id_base: u64,
    (created, delivered): (&mut TextTime, &mut TextTime),
    mut refused: impl FnMut(Row<'r>, rusqlite::Error) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    for row in rows {
        let delivered_at = row.settled_us.map(|it| *delivered.format(it));
        let created_at = created.format(row.header.arrival_us);
        let id = id_base + row.sequence;
        let inserted = insert_row(&mut statement, &row, id, created_at, delivered_at.as_ref());
        if let Err(error) = inserted {
            refused(row, error)?;
        }
    }
    Ok(())
}

fn insert_row(
    statement: &mut rusqlite::Statement<'_>,
    row: &Row<'_>,
    id: u64,
    created_at: &[u8],
    delivered_at: Option<&[u8; MOMENT_LEN]>,
) -> rusqlite::Result<usize> {
    let fields = Fields::of(row);
    let status: &[u8] = match delivered_at {
        Some(_) => b"DELIVERED",
        None => b"INGESTED",
    };
    statement.execute((
        id.cast_signed(),
        Text(&fields.id),
        Text(&fields.source),
        Text(&fields.destination),
        Text(&fields.message_type),
        row.header.priority,
        row.header.timestamp_ms,
        fields.payload.map(Text),
        Text(status),
        Text(created_at),
        delivered_at.map(|it| Text(it)),
        row.sequence.cast_signed(),
    ))
}

fn settle<'r>(
    transaction: &Transaction<'_>,
    updates: impl Iterator<Item = &'r Settlement>,
    id_base: u64,
    delivered: &mut TextTime,
) -> rusqlite::Result<u64> {
    let mut statement = transaction.prepare_cached(UPDATE)?;
    let mut settled = 0;
    for update in updates {
        let delivered_at = Text(delivered.format(update.settled_us));
        settled +=
            statement.execute(((id_base + update.sequence).cast_signed(), delivered_at))? as u64;
    }
    Ok(settled)
}

/// Text that ingest has found to be UTF-8.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// Whether one row is to blame: it breaks a constraint or a trigger that somebody added, or it is too
/// large. A row that is there already is another matter.
fn is_of_row(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|it| it.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => code != Some(SQLITE_CONSTRAINT_PRIMARYKEY),
        Some(ErrorCode::TooBig | ErrorCode::TypeMismatch) => true,
        _ => false,
    }
}

/// Says which file it was, what to do, and whether waiting helps.
fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let place = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Transient(
            format!("{place}: {error}; another program is writing to it"),
        ),
        Some(ErrorCode::DiskFull) => {
            StoreError::Transient(format!("{place}: {error}; make room on its disk"))
        }
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::SchemaChanged,
        ) => StoreError::Transient(format!("{place}: {error}; check the disk and permissions")),
        Some(ErrorCode::ConstraintViolation) => StoreError::Permanent(format!(
            "{place}: {error}; it holds other messages under these sequences, so it followed \
             another journal: move it away, and a new one is made"
        )),
        _ => StoreError::Permanent(format!(
            "{place}: {error}; move it away, and a new one is made from what the journal has"
        )),
    }
}

#[cfg(test)]
mod tests;
