//! What one transaction writes: rows and settlements, each for itself, so that one that is refused is
//! known.
//!
//! ```text
//! inserted | the usual
//! there    | the same message has its row: the position was lost or went back
//! another  | a row has its id, and another message in it: somebody else wrote here
//! refused  | a constraint or a trigger, by whatever key it was
//! ```
//!
//! A trigger may do it in four ways: `ABORT` leaves the transaction as it was before the row, `FAIL`
//! leaves what the row has done, `IGNORE` passes the row over without a word, `ROLLBACK` takes all back.

use rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OptionalExtension, Statement, ToSql, Transaction};

use super::Failed;
use crate::journal::record::Settlement;
use crate::store::Applied;
use crate::store::ownership::Ownership;
use crate::store::pace::Pieces;
use crate::store::refusals::Refusals;
use crate::store::rows::{Row, Rows};
use crate::store::text_time::{MOMENT_LEN, TextTime};

const INSERT: &str = "
    INSERT INTO messages (id, messageId, sourceServerId, destinationId, messageType, priority,
        timestamp, payload, status, created_at, delivered_at, sequence)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const UPDATE: &str = "
    UPDATE messages SET status = 'DELIVERED', delivered_at = ?2
    WHERE id = ?1 AND status = 'INGESTED'";

const THERE: &str = "SELECT messageId FROM messages WHERE id = ?1";

/// How writing went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transacted {
    /// The transaction stands.
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
    /// What was done.
    pub(super) applied: Applied,
}

impl<'a, 'r> Writing<'a, 'r> {
    pub(super) fn begin(
        transaction: &'a Transaction<'a>,
        id_base: u64,
        (created, delivered): (&'a mut TextTime, &'a mut TextTime),
        refused: &'a mut Refusals<'r>,
        ownership: &'a mut Ownership,
    ) -> Self {
        Self {
            transaction,
            id_base,
            created,
            delivered,
            refused,
            ownership,
            applied: Applied::default(),
        }
    }

    /// Writes the rows, then the settlements.
    pub(super) fn all(&mut self, rows: &'r Rows) -> Result<Transacted, Failed> {
        let transaction = self.transaction;
        let mut pieces = Pieces::begin(rows.pace());
        let mut insert = transaction.prepare_cached(INSERT)?;
        let mut update = transaction.prepare_cached(UPDATE)?;
        for row in rows.iter() {
            pieces.row();
            if self.row(row, &mut insert, &mut update)? == Transacted::RolledBack {
                return Ok(Transacted::RolledBack);
            }
        }
        for settlement in rows.updates() {
            pieces.row();
            if self.settlement(*settlement, &mut update)? == Transacted::RolledBack {
                return Ok(Transacted::RolledBack);
            }
        }
        self.applied.unstored = self.refused.rows().count() as u64;
        Ok(Transacted::Stands)
    }

    fn row(
        &mut self,
        row: Row<'r>,
        insert: &mut Statement<'_>,
        update: &mut Statement<'_>,
    ) -> Result<Transacted, Failed> {
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
            Err(error) => self.not_inserted(row, error, update),
        }
    }

    fn not_inserted(
        &mut self,
        row: Row<'r>,
        error: rusqlite::Error,
        update: &mut Statement<'_>,
    ) -> Result<Transacted, Failed> {
        if !is_of_row(&error) {
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
                self.settlement(
                    Settlement {
                        sequence,
                        settled_us,
                    },
                    update,
                )
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

    fn settlement(
        &mut self,
        settlement: Settlement,
        update: &mut Statement<'_>,
    ) -> Result<Transacted, Failed> {
        if self.refused.has_settlement(settlement.sequence) {
            return Ok(Transacted::Stands);
        }
        let id = (self.id_base + settlement.sequence).cast_signed();
        let delivered_at = Text(self.delivered.format(settlement.settled_us));
        match update.execute((id, delivered_at)) {
            Ok(count) => {
                self.applied.settled += count as u64;
                Ok(Transacted::Stands)
            }
            Err(error) if is_of_row(&error) => {
                self.refused.settlement(settlement, error.to_string());
                Ok(match self.transaction.is_autocommit() {
                    true => Transacted::RolledBack,
                    false => Transacted::Stands,
                })
            }
            Err(error) => Err(error.into()),
        }
    }
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

/// Whether one row is to blame: it breaks a constraint or a trigger that somebody added, or it is too
/// large. A column of somebody else's that wants a value wants it of all rows.
fn is_of_row(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => !wants_value(error),
        Some(ErrorCode::TooBig | ErrorCode::TypeMismatch) => true,
        _ => false,
    }
}

/// Whether a column of the table has no value that no row gives it.
pub(super) fn wants_value(error: &rusqlite::Error) -> bool {
    let is_null = error
        .sqlite_error()
        .is_some_and(|it| it.extended_code == SQLITE_CONSTRAINT_NOTNULL);
    let words = error.to_string();
    let has_column = |column| words.contains(&format!("messages.{column}"));
    is_null && has_column("") && !["payload", "delivered_at"].into_iter().any(has_column)
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
