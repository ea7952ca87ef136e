//! The schema in a file: made, compared, mended.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{configure, explain};
use crate::store::StoreError;
use crate::store::schema::{self, Migration, Problem, Schema, in_words};

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

/// The columns of `store_position`.
const POSITION_COLUMNS: [(&str, &str); 4] = [
    ("node", "TEXT"),
    ("id_base", "INTEGER NOT NULL DEFAULT 0"),
    ("position", "INTEGER NOT NULL DEFAULT 0"),
    ("updated_at", "TEXT NOT NULL DEFAULT ''"),
];

const INDEXES: [(&str, &str); 3] = [
    ("destinationId", "messages_destination"),
    ("priority", "messages_priority"),
    ("timestamp", "messages_timestamp"),
];

/// The schema of a database file.
#[derive(Debug)]
pub(crate) struct SqliteSchema {
    path: PathBuf,
}

impl SqliteSchema {
    #[must_use]
    pub(crate) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path }
    }

    fn try_apply(&self, connection: &mut Connection) -> rusqlite::Result<Vec<String>> {
        let mut done = Vec::new();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for version in migrate(&transaction)? {
            done.push(format!("applied schema/sqlite/{version:04}"));
        }
        for table in make_missing(&transaction)? {
            done.push(format!("made the table {table}"));
        }
        let mut problems = problems(&transaction)?;
        problems.extend(index_problems(&transaction)?);
        for problem in problems {
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
            return Ok(vec![Problem::new(
                format!("there is no file {}", self.path.display()),
                "flipped-lb schema apply, or the engine itself, makes it",
            )]);
        }
        let connection = self.open()?;
        try_check(&connection).map_err(|error| explain(&self.path, &error))
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

fn try_check(connection: &Connection) -> rusqlite::Result<Vec<Problem>> {
    let mut found = problems(connection)?;
    found.extend(stranger_problems(connection)?);
    let version = version(connection)?;
    let unapplied = MIGRATIONS.iter().filter(|it| it.0 > version);
    found.extend(unapplied.map(|(version, sql)| {
        Problem::new(format!("schema/sqlite/{version:04} was not applied"), *sql)
    }));
    if version > 0 {
        for table in missing(connection)? {
            found.push(Problem::no_table(table, MIGRATIONS[0].1));
        }
        found.extend(index_problems(connection)?);
    }
    Ok(found)
}

/// Brings an open database up to date for the engine: what is not there is made. A table that is not
/// the engine's is left alone, and named: it is mended by `flipped-lb schema apply`.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    refuse_newer(connection, path)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(explain)?;
    migrate(&transaction).map_err(explain)?;
    let made = make_missing(&transaction).map_err(explain)?;
    let problems = problems(&transaction).map_err(explain)?;
    if !problems.is_empty() {
        let words = format!("{}: {}", path.display(), in_words(&problems));
        return Err(StoreError::Transient(words));
    }
    transaction.commit().map_err(explain)?;
    for table in made {
        tracing::warn!(
            "{}: there was no table {table}: it was made",
            path.display()
        );
    }
    Ok(())
}

/// The tables that are not there, though the files that make them were applied.
fn missing(connection: &Connection) -> rusqlite::Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    for table in ["messages", "store_position"] {
        if !has_table(connection, table)? {
            missing.push(table);
        }
    }
    Ok(missing)
}

/// Makes tables that were dropped or renamed.
fn make_missing(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<&'static str>> {
    let missing = missing(transaction)?;
    if missing.is_empty() {
        return Ok(missing);
    }
    let [(_, messages), (_, id_base)] = MIGRATIONS;
    transaction.execute_batch(messages)?;
    if missing.contains(&"store_position") {
        transaction.execute_batch(id_base)?;
    }
    Ok(missing)
}

/// The version that this engine makes.
pub(crate) fn schema_version() -> i64 {
    MIGRATIONS.last().map_or(0, |it| it.0)
}

fn refuse_newer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let present = version(connection).map_err(|error| explain(path, &error))?;
    let known = schema_version();
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

/// A column: its name, its place in the primary key, and whether a row must give it a value.
type Column = (String, i64, bool);

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let query =
        "SELECT name, pk, \"notnull\" = 1 AND dflt_value IS NULL FROM pragma_table_info(?1)";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// What the tables lack, where they are there.
fn problems(connection: &Connection) -> rusqlite::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let tables = [
        ("messages", &COLUMNS[..]),
        ("store_position", &POSITION_COLUMNS[..]),
    ];
    for (table, wanted) in tables {
        if has_table(connection, table)? {
            let columns = columns(connection, table)?;
            problems.extend(column_problems(table, wanted, &columns));
        }
    }
    Ok(problems)
}

fn column_problems(table: &str, wanted: &[(&str, &str)], columns: &[Column]) -> Vec<Problem> {
    let found = |name: &str| columns.iter().find(|it| it.0.eq_ignore_ascii_case(name));
    let missing = wanted.iter().filter(|(name, _)| found(name).is_none());
    let mut problems: Vec<_> = missing
        .map(|(name, ty)| {
            Problem::new(
                format!("column {table}.{name} is not there"),
                format!("ALTER TABLE {table} ADD COLUMN {name} {ty}"),
            )
        })
        .collect();
    if table == "messages" && found("id").is_some_and(|it| it.1 != 1) {
        problems.push(Problem::new(
            "column messages.id is not the primary key",
            "CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (id)",
        ));
    }
    problems
}

/// Columns of other programs that want a value of each row, which the engine has not.
pub(super) fn required_strangers(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let columns = columns(connection, "messages")?;
    let is_known = |name: &str| COLUMNS.iter().any(|it| it.0.eq_ignore_ascii_case(name));
    let strangers = columns.into_iter().filter(|it| it.2 && !is_known(&it.0));
    Ok(strangers.map(|it| it.0).collect())
}

/// No statement mends them.
fn stranger_problems(connection: &Connection) -> rusqlite::Result<Vec<Problem>> {
    let problem = |name: String| {
        Problem::new(
            format!("column messages.{name} is not the engine's, and rows need a value for it"),
            format!("-- make the table anew with a default for {name}: SQLite alters no column"),
        )
    };
    Ok(required_strangers(connection)?
        .into_iter()
        .map(problem)
        .collect())
}

/// Columns that questions ask by, and that have no index.
fn index_problems(connection: &Connection) -> rusqlite::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    if !has_table(connection, "messages")? {
        return Ok(problems);
    }
    let query = "SELECT COUNT(*) FROM pragma_index_list('messages') l, pragma_index_info(l.name) i
        WHERE i.seqno = 0 AND i.name = ?1 COLLATE NOCASE";
    let taken = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'index' AND name = ?1";
    for (column, name) in INDEXES {
        let count: i64 = connection.query_row(query, [column], |row| row.get(0))?;
        // An index keeps its name when its table is renamed.
        let is_taken: i64 = connection.query_row(taken, [name], |row| row.get(0))?;
        let name = if is_taken > 0 {
            format!("{name}_2")
        } else {
            name.to_owned()
        };
        if count == 0 {
            problems.push(Problem::new(
                format!("column messages.{column} has no index"),
                format!("CREATE INDEX {name} ON messages ({column})"),
            ));
        }
    }
    Ok(problems)
}
