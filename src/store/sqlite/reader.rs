//! Questions to a database file. In WAL mode the engine writes on meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Row};

use crate::store::reader::{Answer, ReadError, Reader, Value};

/// How long a lock is waited for: one is held for moments, while the database is made or closed.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A database file that is asked.
#[derive(Debug)]
pub(in crate::store) struct SqliteReader {
    path: PathBuf,
    connection: Connection,
}

impl SqliteReader {
    /// Opens it; a file that is not there is not made.
    pub(in crate::store) fn open(path: &Path) -> Result<Self, ReadError> {
        if !path.exists() {
            return Err(ReadError(format!(
                "there is no file {}: the engine makes it when it runs; or name the store's \
                 settings by --config, or the database by --url",
                path.display()
            )));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let explain = |error: Error| explain(path, &error);
        let connection = Connection::open_with_flags(path, flags).map_err(explain)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
        connection.execute_batch("BEGIN").map_err(explain)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    fn try_ask(&self, query: &str) -> rusqlite::Result<Answer> {
        let mut statement = self.connection.prepare(query)?;
        let columns: Vec<_> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let count = columns.len();
        let rows = statement
            .query_map([], |row| (0..count).map(|at| value(row, at)).collect())?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Answer { columns, rows })
    }
}

impl Reader for SqliteReader {
    fn ask(&mut self, query: &str) -> Result<Answer, ReadError> {
        self.try_ask(query)
            .map_err(|error| explain(&self.path, &error))
    }

    fn renew(&mut self) -> Result<(), ReadError> {
        self.connection
            .execute_batch("COMMIT; BEGIN")
            .map_err(|error| explain(&self.path, &error))
    }
}

fn value(row: &Row<'_>, at: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Value::Text(String::from_utf8_lossy(text).into_owned())
        }
    })
}

fn explain(path: &Path, error: &Error) -> ReadError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it; try again"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "it is not a whole database of SQLite; name another one by --url"
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "it has to be readable, and its folder writable: SQLite keeps an index of its log there"
        }
        _ if error.to_string().contains("no such") => {
            "flipped-lb schema check says what is missing, and schema apply makes it"
        }
        _ => "check the disk and permissions",
    };
    ReadError(format!("{}: {error}; {advice}", path.display()))
}
