//! A difference of one table, as a part of the one statement that mends the table.

use crate::store::schema::Problem;

/// What is wrong with a table, and the part of an ALTER TABLE that mends it.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) what: String,
    pub(super) sql: String,
}

impl Clause {
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn into_problem(self, table: &str) -> Problem {
        let mend = format!("ALTER TABLE {table} {}", self.sql);
        Problem::new(self.what, mend)
    }
}
