//! Questions to a server. Rows are versioned there: the engine writes on meanwhile.

use std::time::Duration;

use mysql::consts::ColumnType;
use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use super::connection::{Access, Refusal};
use super::fault;
use crate::store::reader::{Answer, ReadError, Reader, Value};

/// A question may read a large table, and the server says nothing until it has.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// All questions see the rows of one moment, and nothing is written.
const BEGIN: [&str; 2] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/// A database at a server that is asked.
pub(crate) struct MySqlReader {
    place: String,
    connection: Conn,
}

impl MySqlReader {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or has no such database.
    pub(crate) fn open(access: Access) -> Result<Self, ReadError> {
        let place = access.place();
        let access = access.patient(ANSWER_TIMEOUT);
        let connection = begun(&access).map_err(|refusal| match refusal {
            Refusal::Password(words) => ReadError(words),
            Refusal::Server(error) => explain(&place, &error),
        })?;
        Ok(Self { place, connection })
    }

    fn try_ask(&mut self, query: &str) -> Result<Answer, Error> {
        let mut result = self.connection.query_iter(query)?;
        let described = result.columns();
        let columns = described.as_ref().iter();
        let columns: Vec<_> = columns
            .map(|it| (it.name_str().into_owned(), it.column_type()))
            .collect();
        let mut rows = Vec::new();
        for row in result.by_ref() {
            let cells = row?.unwrap_raw().into_iter().zip(&columns);
            rows.push(
                cells
                    .map(|(cell, (_, ty))| value(cell.unwrap_or(mysql::Value::NULL), *ty))
                    .collect(),
            );
        }
        let columns = columns.into_iter().map(|(name, _)| name).collect();
        Ok(Answer { columns, rows })
    }
}

impl Reader for MySqlReader {
    fn ask(&mut self, query: &str) -> Result<Answer, ReadError> {
        self.try_ask(query)
            .map_err(|error| explain(&self.place, &error))
    }

    fn renew(&mut self) -> Result<(), ReadError> {
        // It ends the transaction before.
        let [_, begin] = BEGIN;
        self.connection
            .query_drop(begin)
            .map_err(|error| explain(&self.place, &error))
    }
}

fn begun(access: &Access) -> Result<Conn, Refusal> {
    let mut connection = access.connect(true)?;
    for statement in BEGIN {
        connection.query_drop(statement)?;
    }
    Ok(connection)
}

/// The protocol has all cells as text, and their types beside them.
fn value(cell: mysql::Value, ty: ColumnType) -> Value {
    let mysql::Value::Bytes(bytes) = cell else {
        return Value::Null;
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_integer = ty.is_numeric_type() && !text.contains(['.', 'e']);
    match (is_integer, ty.is_numeric_type()) {
        (true, _) if ty != ColumnType::MYSQL_TYPE_NEWDECIMAL => {
            text.parse().map_or(Value::Text(text), Value::Integer)
        }
        (_, true) => text.parse().map_or(Value::Text(text), Value::Real),
        (_, false) => Value::Text(text),
    }
}

fn explain(place: &str, error: &Error) -> ReadError {
    ReadError(format!("{place}: {}", fault::words(error)))
}
