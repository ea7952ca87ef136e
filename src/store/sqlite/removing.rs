//! Removes a piece of the old rows: looks at some by primary key, and deletes those that are settled long
//! enough.
//!
//! A deleted row leaves its place in the file to later ones: the file stops growing, and need not be made
//! anew (VACUUM). Rows go one by one, with rests, as they came.

use std::time::Instant;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior};

use super::session::Session;
use crate::store::keep::{Removal, Removed};
use crate::store::pace::{Pace, Pacer};
use crate::store::text_time::TextTime;

/// Some rows: whether each came too lately for any behind it to be old, and whether it is old.
const LOOK: &str = "
    SELECT id, created_at >= ?3,
        status <> 'INGESTED' AND COALESCE(delivered_at, created_at) < ?3
    FROM messages WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?4";

const DELETE: &str = "DELETE FROM messages WHERE id = ?1";

const OLDEST: &str = "
    SELECT CAST(strftime('%s', created_at) AS INTEGER)
    FROM messages WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT 1";

/// What a look found.
struct Looked {
    /// Rows to delete.
    old: Vec<i64>,
    /// Rows that were looked at.
    count: usize,
    /// Where the pass goes on.
    next: Option<i64>,
}

impl Session {
    /// Removes one piece. The last row stays: by it, the engine knows its highest sequence.
    pub(super) fn remove(&mut self, removal: &Removal) -> rusqlite::Result<Removed> {
        let begun = Instant::now();
        let mut removed = Removed::default();
        let Some(last) = self.last_id()?.filter(|_| removal.before_us > 0) else {
            return Ok(removed);
        };
        let last = last.cast_signed();
        let from = (self.id_base() + removal.from).cast_signed();
        if removal.from == 0 {
            removed.oldest_us = oldest_us(&self.connection, from, last)?;
        }
        let looked = look(&self.connection, (from, last), removal)?;
        let base = self.id_base().cast_signed();
        removed.next = looked.next.map(|it| (it - base).cast_unsigned());
        if !looked.old.is_empty() {
            let behavior = TransactionBehavior::Immediate;
            let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
            let is_whole = delete(&transaction, &looked.old, &mut removed)?;
            if is_whole {
                transaction.commit()?;
            }
        }
        removed.stayed = looked.count as u64 - removed.rows;
        removed.took = begun.elapsed();
        Ok(removed)
    }
}

fn oldest_us(connection: &Connection, from: i64, last: i64) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached(OLDEST)?;
    let seconds: Option<Option<i64>> = statement
        .query_row((from, last), |row| row.get(0))
        .optional()?;
    let seconds = seconds.flatten().and_then(|it| u64::try_from(it).ok());
    Ok(seconds.map(|it| it * 1_000_000))
}

fn look(
    connection: &Connection,
    (from, last): (i64, i64),
    removal: &Removal,
) -> rusqlite::Result<Looked> {
    let mut text = TextTime::new();
    let before = String::from_utf8_lossy(text.format(removal.before_us));
    let limit = i64::try_from(removal.rows_max).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(LOOK)?;
    let mut rows = statement.query((from, last, &*before, limit))?;
    let (mut old, mut count, mut recent) = (Vec::new(), 0, 0);
    let mut next = None;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        count += 1;
        recent += usize::from(row.get::<_, bool>(1)?);
        if row.get::<_, Option<bool>>(2)? == Some(true) {
            old.push(id);
        }
        next = Some(id + 1);
    }
    let is_through = count < removal.rows_max || recent == count;
    Ok(Looked {
        old,
        count,
        next: next.filter(|_| !is_through),
    })
}

/// Deletes the rows; false: a trigger has rolled all of it back.
fn delete(
    transaction: &Transaction<'_>,
    ids: &[i64],
    removed: &mut Removed,
) -> rusqlite::Result<bool> {
    let mut pacer = Pacer::begin(Pace::Paced);
    let mut statement = transaction.prepare_cached(DELETE)?;
    for id in ids {
        pacer.row();
        let refused = match statement.execute([id]) {
            Ok(0) => "a trigger passes it over: RAISE(IGNORE)".to_owned(),
            Ok(_) => {
                removed.rows += 1;
                continue;
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                error.to_string()
            }
            Err(error) => return Err(error),
        };
        removed.refused = Some(format!("row {id}: {refused}"));
        if transaction.is_autocommit() {
            removed.rows = 0;
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
