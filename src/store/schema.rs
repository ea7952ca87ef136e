//! The schema of a store: what it is, what a database lacks of it, and how it gets there.
//!
//! Used by `flipped-lb schema` and by the stores when they open a database. The numbered files of
//! `schema/` make the tables; what stands there already, such as the table of an older engine, is
//! compared column by column, and each [`Problem`] has the statement that mends it.

use super::StoreError;

/// The columns of `messages`, in their order.
pub(crate) const MESSAGE_COLUMNS: [&str; 12] = [
    "id",
    "messageId",
    "sourceServerId",
    "destinationId",
    "messageType",
    "priority",
    "timestamp",
    "payload",
    "status",
    "created_at",
    "sequence",
    "delivered_at",
];

/// A numbered file of `schema/`: version and SQL.
pub(crate) type Migration = (i64, &'static str);

/// Something that is not as the engine needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What kind it is.
    pub(super) kind: ProblemKind,
    /// Which table and column, what it is and what it should be.
    pub(crate) what: String,
    /// The statement that mends it.
    pub(crate) mend: String,
}

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProblemKind {
    /// A table is missing.
    NoTable,
    /// Something is there, and is not as it should be.
    Differs,
}

impl Problem {
    /// Something is not as it should be.
    pub(super) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            kind: ProblemKind::Differs,
            what: what.into(),
            mend: mend.into(),
        }
    }

    /// A table is missing.
    pub(super) fn no_table(table: &str, mend: &str) -> Self {
        Self {
            kind: ProblemKind::NoTable,
            ..Self::new(format!("there is no table {table}"), mend)
        }
    }
}

/// The schema of one database.
pub(crate) trait Schema {
    /// The SQL of the numbered files.
    fn show(&self) -> String;

    /// What is wrong with the database's schema; it changes nothing.
    ///
    /// # Errors
    /// The database cannot be asked.
    fn check(&self) -> Result<Vec<Problem>, StoreError>;

    /// What is right as it is, and could be better: of the statements none is needed.
    ///
    /// # Errors
    /// The database cannot be asked.
    fn notes(&self) -> Result<Vec<Problem>, StoreError> {
        Ok(Vec::new())
    }

    /// Makes database and tables, and mends those that are there; rows are kept. Returns what was
    /// done, a line each; nothing if all was right.
    ///
    /// # Errors
    /// The database refuses, or cannot be asked.
    fn apply(&self) -> Result<Vec<String>, StoreError>;

    /// Divides `messages` into partitions, one a day, and keeps its rows. Returns what was done, a line
    /// each; nothing if it was so.
    ///
    /// # Errors
    /// The database has no partitions, refuses, or cannot be asked.
    fn partition_by_day(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::Permanent(format!(
            "{}: SQLite has no partitions; [store] keep removes rows there without them",
            self.place()
        )))
    }

    fn place(&self) -> String;
}

/// Whether a table is not there.
pub(super) fn lacks_table(problems: &[Problem]) -> bool {
    problems.iter().any(|it| it.kind == ProblemKind::NoTable)
}

/// All problems in a sentence, with what to do.
pub(super) fn in_words(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems
        .iter()
        .map(|it| format!("{}: {};", it.what, it.mend))
        .collect();
    format!(
        "the schema is not the engine's: {} flipped-lb schema apply does it",
        problems.join(" ")
    )
}

/// Says that a newer engine was here.
pub(super) fn too_new(place: &str, present: i64, known: i64) -> StoreError {
    StoreError::Permanent(format!(
        "{place} has schema version {present}, this engine knows {known}: use the engine that made \
         it, or set store.url to another database"
    ))
}

/// The SQL of numbered files, one after the other.
pub(super) fn text(migrations: &[Migration]) -> String {
    let files: Vec<_> = migrations.iter().map(|(_, sql)| *sql).collect();
    files.join("\n")
}
