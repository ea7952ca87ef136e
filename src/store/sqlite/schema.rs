//! The schema in a file: made, compared, mended.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{configure, explain};
use crate::store::StoreError;
use crate::store::schema::{self, Migration, Problem, Schema, in_words};

/// The numbered files.
const MIGRATIONS: [Migration; 2] = [
    (1, include_str!("../../../schema/sqlite/0001_messages.sql")),
    (2, include_str!("../../../schema/sqlite/0002_id_base.sql")),
];

const CREATE_VERSIONS: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (
        -- Number of the file in schema/sqlite.
        version    INTEGER PRIMARY KEY,
        -- UTC.
        applied_at TEXT NOT NULL
    )";

/// The columns of `messages`, and the type that a missing one is given.
const COLUMNS: [(&str, &str); 12] = [
    ("id", "INTEGER"),
    ("messageId", "TEXT"),
    ("sourceServerId", "TEXT"),
    ("destinationId", "TEXT"),
    ("messageType", "TEXT"),
    ("priority", "INTEGER"),
    ("timestamp", "INTEGER"),
    ("payload", "TEXT"),
    ("status", "TEXT"),
    ("created_at", "TEXT"),
    ("sequence", "INTEGER"),
    ("delivered_at", "TEXT"),
];

/// The schema of a database file.
#[derive(Debug)]
pub struct SqliteSchema {
    path: PathBuf,
}

impl SqliteSchema {
    /// Of the file.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path }
    }

    fn try_apply(&self, connection: &mut Connection) -> rusqlite::Result<Vec<String>> {
        let mut done = Vec::new();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for version in migrate(&transaction)? {
            done.push(format!("applied schema/sqlite/{version:04}"));
        }
        for problem in problems(&transaction)? {
            transaction.execute_batch(&problem.mend)?;
            done.push(format!("mended {}", problem.what));
        }
        transaction.commit()?;
        Ok(done)
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let explain = |error: rusqlite::Error| explain(&self.path, &error);
        let connection = Connection::open(&self.path).map_err(explain)?;
        configure(&connection).map_err(explain)?;
        refuse_newer(&connection, &self.path)?;
        Ok(connection)
    }
}

impl Schema for SqliteSchema {
    fn show(&self) -> String {
        schema::text(&MIGRATIONS)
    }

    fn check(&self) -> Result<Vec<Problem>, StoreError> {
        if !self.path.exists() {
            return Ok(vec![Problem {
                what: format!("there is no file {}", self.path.display()),
                mend: "flipped-lb schema apply, or the engine itself, makes it".to_owned(),
            }]);
        }
        let connection = self.open()?;
        let found = problems(&connection).map_err(|error| explain(&self.path, &error))?;
        let version = version(&connection).map_err(|error| explain(&self.path, &error))?;
        let missing = MIGRATIONS.iter().filter(|it| it.0 > version);
        let missing = missing.map(|(version, sql)| Problem {
            what: format!("schema/sqlite/{version:04} was not applied"),
            mend: (*sql).to_owned(),
        });
        Ok(found.into_iter().chain(missing).collect())
    }

    fn apply(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.open()?;
        self.try_apply(&mut connection)
            .map_err(|error| explain(&self.path, &error))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Brings an open database up to date at the engine's start. A table that is not the engine's is
/// left alone, and named: it is mended by `flipped-lb schema apply`.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    refuse_newer(connection, path)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(explain)?;
    migrate(&transaction).map_err(explain)?;
    let problems = problems(&transaction).map_err(explain)?;
    if !problems.is_empty() {
        let words = format!("{}: {}", path.display(), in_words(&problems));
        return Err(StoreError::Permanent(words));
    }
    transaction.commit().map_err(explain)
}

fn refuse_newer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let present = version(connection).map_err(|error| explain(path, &error))?;
    let known = MIGRATIONS.last().map_or(0, |it| it.0);
    match present > known {
        true => Err(schema::too_new(&path.display().to_string(), present, known)),
        false => Ok(()),
    }
}

/// Applies the files that were not applied yet; returns their versions.
fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<i64>> {
    let present = version(transaction)?;
    transaction.execute_batch(CREATE_VERSIONS)?;
    let mut applied = Vec::new();
    for (version, sql) in MIGRATIONS.iter().filter(|it| it.0 > present) {
        transaction.execute_batch(sql)?;
        let note = "INSERT INTO schema_version VALUES (?1, datetime('now'))";
        transaction.execute(note, [version])?;
        applied.push(*version);
    }
    Ok(applied)
}

/// The version that was applied last; 0: none was.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    if !has_table(connection, "schema_version")? {
        return Ok(0);
    }
    let query = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
    connection.query_row(query, [], |row| row.get(0))
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let query = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let count: i64 = connection.query_row(query, [name], |row| row.get(0))?;
    Ok(count > 0)
}

/// What the table `messages` lacks, if there is one.
fn problems(connection: &Connection) -> rusqlite::Result<Vec<Problem>> {
    if !has_table(connection, "messages")? {
        return Ok(Vec::new());
    }
    let query = "SELECT name, pk FROM pragma_table_info('messages')";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let columns: Vec<(String, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    let found = |name: &str| columns.iter().find(|it| it.0.eq_ignore_ascii_case(name));
    let missing = COLUMNS.iter().filter(|(name, _)| found(name).is_none());
    let mut problems: Vec<_> = missing
        .map(|(name, ty)| Problem {
            what: format!("column messages.{name} is not there"),
            mend: format!("ALTER TABLE messages ADD COLUMN {name} {ty}"),
        })
        .collect();
    if found("id").is_some_and(|it| it.1 != 1) {
        problems.push(Problem {
            what: "column messages.id is not the primary key".to_owned(),
            mend: "CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (id)".to_owned(),
        });
    }
    Ok(problems)
}
