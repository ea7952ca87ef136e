//! The embedded database: `data_dir/messages.db`, WAL mode.
//!
//! Fed by the follower, through [`Store`]; read by anybody with SQLite. It does not retry: it says
//! whether an error may pass.
//!
//! `id` is the sequence, so that settlements find their row by primary key. What a power loss may
//! cost (`synchronous = NORMAL`) is the last transactions, rows and position together: they are
//! written again from the journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ToSql, Transaction, TransactionBehavior};

use super::fields::Fields;
use super::rows::{Row, Rows};
use super::text_time::TextTime;
use super::{Applied, Store, StoreError, Totals};
use crate::journal::record::Position;
use crate::message::Sequence;

/// The schema, in the order in which it is applied: version and SQL.
pub const SCHEMA: &[(i64, &str)] = &[(1, include_str!("../../schema/sqlite/0001_messages.sql"))];

/// How long a lock that a reader holds is waited for, before it counts as a failure.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Measured with `store::speed`, 200,000 rows, 5,000 a transaction, the other core busy: with pages
/// of 4 KiB and the default cache 107,000 rows a second, with a cache and a WAL of 16 MiB 130,000
/// to 155,000, with pages of 8 KiB besides 175,000 to 205,000. Still larger pages gain a fifth with
/// a hundred destinations and write more with thousands of them; `mmap_size` gains nothing that
/// repeats.
const SETTINGS: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
";

const CREATE_VERSIONS: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (
        -- Number of the file in schema/sqlite.
        version    INTEGER PRIMARY KEY,
        -- UTC.
        applied_at TEXT NOT NULL
    )";

const INSERT: &str = "
    INSERT INTO messages (id, messageId, sourceServerId, destinationId, messageType, priority,
        timestamp, payload, status, created_at, delivered_at, sequence)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?1)";

const UPDATE: &str = "
    UPDATE messages SET status = 'DELIVERED', delivered_at = ?2
    WHERE id = ?1 AND status = 'INGESTED'";

const MOVE: &str = "
    INSERT INTO store_position (node, position, updated_at)
    VALUES (?1, ?2, strftime('%Y-%m-%d %H:%M:%f', 'now'))
    ON CONFLICT (node)
    DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at";

/// A SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    /// Whose position this store keeps.
    node: String,
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
        let mut connection = Connection::open(path).map_err(|error| explain(path, &error))?;
        prepare(&mut connection, path)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            node: node.to_owned(),
            created: TextTime::new(),
            delivered: TextTime::new(),
        })
    }

    fn write(&mut self, rows: &Rows, upto: i64) -> rusqlite::Result<Applied> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let mut applied = insert(&transaction, rows, &mut self.created, &mut self.delivered)?;
        applied.settled += settle(&transaction, rows, &mut self.delivered)?;
        transaction
            .prepare_cached(MOVE)?
            .execute((&self.node, upto))?;
        transaction.commit()?;
        Ok(applied)
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
        self.write(rows, upto.cast_signed())
            .map_err(|error| explain(&self.path, &error))
    }

    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        let last: Option<i64> = self
            .connection
            .query_row("SELECT MAX(id) FROM messages", [], |row| row.get(0))
            .map_err(|error| explain(&self.path, &error))?;
        Ok(Some(last.map_or(0, i64::cast_unsigned)))
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

/// Settings, then the steps of the schema that are not there yet, each with its version.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    connection.execute_batch(SETTINGS).map_err(explain)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(explain)?;
    let present = schema_version(&transaction).map_err(explain)?;
    let known = SCHEMA.last().map_or(0, |it| it.0);
    if present > known {
        let message = format!(
            "{} has schema version {present}, this engine knows {known}: use the engine that made \
             it, or set store.url to another file",
            path.display()
        );
        return Err(StoreError::Permanent(message));
    }
    for (version, sql) in SCHEMA.iter().filter(|it| it.0 > present) {
        transaction.execute_batch(sql).map_err(explain)?;
        let note = "INSERT INTO schema_version VALUES (?1, datetime('now'))";
        transaction.execute(note, [version]).map_err(explain)?;
    }
    transaction.commit().map_err(explain)
}

fn schema_version(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.execute_batch(CREATE_VERSIONS)?;
    let query = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
    transaction.query_row(query, [], |row| row.get(0))
}

fn insert(
    transaction: &Transaction<'_>,
    rows: &Rows,
    created: &mut TextTime,
    delivered: &mut TextTime,
) -> rusqlite::Result<Applied> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    let mut applied = Applied::default();
    for row in rows.iter() {
        let delivered_at = row.settled_us.map(|it| delivered.format(it));
        insert_row(
            &mut statement,
            &row,
            created.format(row.header.arrival_us),
            delivered_at,
        )?;
        applied.inserted += 1;
        applied.settled += u64::from(row.settled_us.is_some());
    }
    Ok(applied)
}

fn insert_row(
    statement: &mut rusqlite::Statement<'_>,
    row: &Row<'_>,
    created_at: &[u8],
    delivered_at: Option<&[u8]>,
) -> rusqlite::Result<usize> {
    let fields = Fields::of(row);
    let status: &[u8] = match delivered_at {
        Some(_) => b"DELIVERED",
        None => b"INGESTED",
    };
    statement.execute((
        row.sequence.cast_signed(),
        Text(&fields.id),
        Text(&fields.source),
        Text(&fields.destination),
        Text(&fields.message_type),
        row.header.priority,
        row.header.timestamp_ms,
        fields.payload.map(Text),
        Text(status),
        Text(created_at),
        delivered_at.map(Text),
    ))
}

fn settle(
    transaction: &Transaction<'_>,
    rows: &Rows,
    delivered: &mut TextTime,
) -> rusqlite::Result<u64> {
    let mut statement = transaction.prepare_cached(UPDATE)?;
    let mut settled = 0;
    for update in rows.updates() {
        let delivered_at = Text(delivered.format(update.settled_us));
        settled += statement.execute((update.sequence.cast_signed(), delivered_at))? as u64;
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
