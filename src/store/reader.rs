//! Questions to the database, beside the engine that writes it: read only, and never in its way.
//!
//! Asked by `flipped-lb report`. All answers of a reader are of one moment: they are read in one
//! transaction, which holds up neither the engine nor other readers.

use serde::Serialize;

/// What a question is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    MySql,
}

/// A cell of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    /// Text, and moments: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC.
    Text(String),
}

/// What a question brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    /// A cell a column.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Why there is no answer: what happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ReadError(pub(super) String);

/// A database that is asked.
pub(crate) trait Reader {
    /// Runs a query.
    ///
    /// # Errors
    /// The database refuses, or cannot be asked.
    fn ask(&mut self, query: &str) -> Result<Answer, ReadError>;

    /// From here on answers are of a later moment.
    ///
    /// # Errors
    /// The database refuses, or cannot be asked.
    fn renew(&mut self) -> Result<(), ReadError>;
}
