//! What one transaction writes: rows and settlements, a statement each, so that a refused one is known.
//!
//! ```text
//! inserted | the usual case
//! present  | the same message has its row: the position was lost or went back
//! foreign  | another message has its id: another program wrote here
//! refused  | a constraint or a trigger
//! ```
//!
//! A foreign key that is `DEFERRABLE INITIALLY DEFERRED` is checked when the transaction commits: then the
//! rows that fail are looked up, and all others are written again without them.
//!
//! A trigger refuses in four ways: `ABORT` undoes the row, `FAIL` leaves what the row has done, `IGNORE`
//! skips the row without an error, `ROLLBACK` undoes the transaction.

use std::collections::BTreeMap;

use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_NOTNULL};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OptionalExtension, Statement, ToSql, Transaction};

use super::Failed;
use super::schema::required_strangers;
use crate::journal::format::Settlement;
use crate::store::Applied;
use crate::store::id_base::ID_BASE_STEP;
use crate::store::ownership::Ownership;
use crate::store::pace::Pacer;
use crate::store::refusals::Refusals;
use crate::store::repeats::Repeats;
use crate::store::rows::{Row, Rows};
use crate::store::text_time::{MOMENT_LEN, TextTime};

const INSERT: &str = "
    INSERT INTO messages (id, messageId, sourceServerId, destinationId, messageType, priority,
        timestamp, payload, status, created_at, delivered_at, sequence)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const UPDATE: &str = "
    UPDATE messages SET status = 'DELIVERED', delivered_at = ?2
    WHERE id = ?1 AND status = 'INGESTED'";

/// Rows of one engine whose foreign keys fail now, and the table that lacks what they refer to.
const ORPHANED: &str = "
    SELECT m.id, c.parent FROM pragma_foreign_key_check('messages') c
    JOIN messages m ON m.rowid = c.rowid WHERE m.id >= ?1 AND m.id <= ?2";

const THERE: &str = "SELECT messageId FROM messages WHERE id = ?1";

/// How writing went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transacted {
    Stands,
    /// A trigger took all of it back; what it refuses is noted.
    RolledBack,
}

/// The writing of one transaction.
pub(super) struct Writing<'a, 'r> {
    transaction: &'a Transaction<'a>,
    id_base: u64,
    created: &'a mut TextTime,
    delivered: &'a mut TextTime,
    refused: &'a mut Refusals<'r>,
    ownership: &'a mut Ownership,
    repeats: &'a mut Repeats,
    pub(super) applied: Applied,
}

impl<'a, 'r> Writing<'a, 'r> {
    pub(super) fn begin(
        transaction: &'a Transaction<'a>,
        id_base: u64,
        (created, delivered): (&'a mut TextTime, &'a mut TextTime),
        refused: &'a mut Refusals<'r>,
        (ownership, repeats): (&'a mut Ownership, &'a mut Repeats),
    ) -> Self {
        Self {
            transaction,
            id_base,
            created,
            delivered,
            refused,
            ownership,
            repeats,
            applied: Applied::default(),
        }
    }

    /// Writes the rows, then the settlements.
    pub(super) fn all(&mut self, rows: &'r Rows) -> Result<Transacted, Failed> {
        let transaction = self.transaction;
        let mut pacer = Pacer::begin(rows.pace());
        let mut insert = transaction.prepare_cached(INSERT)?;
        for row in rows.iter() {
            pacer.row();
            if self.row(row, &mut insert)? == Transacted::RolledBack {
                return Ok(Transacted::RolledBack);
            }
        }
        for settlement in rows.updates() {
            pacer.row();
            if self.settlement(*settlement)? == Transacted::RolledBack {
                return Ok(Transacted::RolledBack);
            }
        }
        self.applied.unstored = self.refused.rows().count() as u64;
        Ok(Transacted::Stands)
    }

    fn row(&mut self, row: Row<'r>, insert: &mut Statement<'_>) -> Result<Transacted, Failed> {
        if self.refused.has_row(row.sequence) {
            return Ok(Transacted::Stands);
        }
        let delivered_at = row.settled_us.map(|it| *self.delivered.format(it));
        let created_at = self.created.format(row.record.arrival_us());
        let id = self.id_base + row.sequence;
        match insert_row(insert, &row, id, created_at, delivered_at.as_ref()) {
            Ok(0) => {
                let reason = "a trigger passes it over: RAISE(IGNORE)".to_owned();
                self.refused.row(row, reason);
                Ok(Transacted::Stands)
            }
            Ok(_) => {
                self.applied.inserted += 1;
                self.applied.settled += u64::from(row.settled_us.is_some());
                Ok(Transacted::Stands)
            }
            Err(error) => self.not_inserted(row, error),
        }
    }

    fn not_inserted(&mut self, row: Row<'r>, error: rusqlite::Error) -> Result<Transacted, Failed> {
        if !self.is_of_row(&error)? {
            return Err(error.into());
        }
        if self.transaction.is_autocommit() {
            self.refused.row(row, error.to_string());
            return Ok(Transacted::RolledBack);
        }
        let id = (self.id_base + row.sequence).cast_signed();
        let mut there = self.transaction.prepare_cached(THERE)?;
        let there: Option<Vec<u8>> = there
            .query_row([id], |it| {
                Ok(it
                    .get_ref(0)?
                    .as_bytes_or_null()?
                    .map_or_else(Vec::new, <[u8]>::to_vec))
            })
            .optional()?;
        match there {
            Some(message_id) if *message_id == *row.record.message_id().value().as_bytes() => {
                let Some(settled_us) = row.settled_us else {
                    return Ok(Transacted::Stands);
                };
                let sequence = row.sequence;
                self.settlement(Settlement {
                    sequence,
                    settled_us,
                })
            }
            Some(_) => {
                self.ownership.found_other_row()?;
                self.refused
                    .row(row, format!("another message has its id, {id}"));
                Ok(Transacted::Stands)
            }
            None => {
                self.refused.row(row, error.to_string());
                Ok(Transacted::Stands)
            }
        }
    }

    fn settlement(&mut self, settlement: Settlement) -> Result<Transacted, Failed> {
        if self.refused.has_settlement(settlement.sequence) {
            return Ok(Transacted::Stands);
        }
        let id = (self.id_base + settlement.sequence).cast_signed();
        let delivered_at = Text(self.delivered.format(settlement.settled_us));
        // With a trigger that lacks something the statement cannot even be made.
        let update = self.transaction.prepare_cached(UPDATE);
        match update.and_then(|mut it| it.execute((id, delivered_at))) {
            Ok(count) => {
                self.applied.settled += count as u64;
                Ok(Transacted::Stands)
            }
            Err(error) if self.is_of_row(&error)? || self.is_repeated(&error) => {
                self.refused.settlement(settlement, error.to_string());
                Ok(match self.transaction.is_autocommit() {
                    true => Transacted::RolledBack,
                    false => Transacted::Stands,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether one row is to blame: it breaks a constraint or a trigger that somebody added, or it is
    /// too large. A column of another program that needs a value needs it of all rows.
    fn is_of_row(&self, error: &rusqlite::Error) -> rusqlite::Result<bool> {
        Ok(match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) if is_not_null(error) => {
                required_strangers(self.transaction)?.is_empty()
            }
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                true
            }
            _ => false,
        })
    }

    /// Whether it is a trigger's, and has come so often that it will not pass.
    fn is_repeated(&mut self, error: &rusqlite::Error) -> bool {
        is_a_triggers(error) && self.repeats.note(&error.to_string())
    }
}

/// Whether it names a table or a function that only a trigger can need.
pub(super) fn lacks_a_triggers(error: &rusqlite::Error) -> bool {
    let words = error.to_string();
    let kinds = ["no such table: ", "no such function: "];
    is_a_triggers(error) && kinds.iter().any(|it| words.contains(it))
}

/// Whether something is not there that the engine's own statements do not ask for: its tables were
/// looked at when the file was opened.
fn is_a_triggers(error: &rusqlite::Error) -> bool {
    let words = error.to_string();
    let lacking = words.split_once("no such table: ").map(|it| it.1);
    let table = lacking.and_then(|it| it.split_whitespace().next());
    let table = table.map(|it| it.trim_start_matches("main."));
    let is_own = match table {
        Some(table) => ["messages", "store_position", "schema_version"].contains(&table),
        None => words.contains("has no column named"),
    };
    error.sqlite_error_code() == Some(ErrorCode::Unknown) && !is_own
}

fn insert_row(
    statement: &mut Statement<'_>,
    row: &Row<'_>,
    id: u64,
    created_at: &[u8],
    delivered_at: Option<&[u8; MOMENT_LEN]>,
) -> rusqlite::Result<usize> {
    let record = row.record;
    let status: &[u8] = match delivered_at {
        Some(_) => b"DELIVERED",
        None => b"INGESTED",
    };
    statement.execute((
        id.cast_signed(),
        &*record.message_id().value(),
        &*record.source_id().value(),
        &*record.destination().value(),
        &*record.message_type().value(),
        record.priority(),
        record.timestamp_ms(),
        record.payload().map(Text),
        Text(status),
        Text(created_at),
        delivered_at.map(|it| Text(it)),
        row.sequence.cast_signed(),
    ))
}

/// Text that ingest has found to be UTF-8.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// After a commit that failed, while the transaction stands: refuses the rows and settlements whose
/// deferred foreign keys fail. Returns whether there are any.
pub(super) fn refuse_orphaned<'r>(
    transaction: &Transaction<'_>,
    id_base: u64,
    rows: &'r Rows,
    refused: &mut Refusals<'r>,
) -> rusqlite::Result<bool> {
    let ids = [id_base, id_base + ID_BASE_STEP - 1].map(u64::cast_signed);
    let mut statement = transaction.prepare(ORPHANED)?;
    let found = statement.query_map(ids, |row| {
        let id: i64 = row.get(0)?;
        Ok((id.cast_unsigned() - id_base, row.get(1)?))
    })?;
    let orphaned: BTreeMap<u64, String> = found.collect::<rusqlite::Result<_>>()?;
    let reason = |sequence: u64| {
        let parent = orphaned.get(&sequence)?;
        Some(format!("foreign key: it refers to no row of {parent}"))
    };
    let before = refused.len();
    for row in rows.iter() {
        if let Some(reason) = reason(row.sequence) {
            refused.row(row, reason);
        }
    }
    for settlement in rows.updates() {
        if let Some(reason) = reason(settlement.sequence) {
            refused.settlement(*settlement, reason);
        }
    }
    Ok(refused.len() > before)
}

/// Whether a transaction did not commit because of a deferred foreign key.
pub(super) fn is_foreign_key(error: &rusqlite::Error) -> bool {
    extended_code(error) == Some(SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// Whether a column has no value that needs one.
pub(super) fn is_not_null(error: &rusqlite::Error) -> bool {
    extended_code(error) == Some(SQLITE_CONSTRAINT_NOTNULL)
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|it| it.extended_code)
}

#[cfg(test)]
pub(super) fn write_without_commit(
    connection: &rusqlite::Connection,
    rows: &Rows,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for row in rows.iter() {
        let created_at = *TextTime::new().format(row.record.arrival_us());
        insert_row(&mut insert, &row, row.sequence, &created_at, None)?;
    }
    Ok(())
}
