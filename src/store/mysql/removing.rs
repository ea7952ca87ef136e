//! Removes a piece of the old rows: looks at some by primary key, and deletes those that are settled long
//! enough.
//!
//! In one transaction, by small statements with rests between them, as settlements go. What the server
//! refuses is found by halving: a foreign key or a trigger that somebody added keeps its own rows only.

use std::time::Instant;

use jiff::civil::Date;
use mysql::Error;
use mysql::prelude::Queryable;

use super::connection::{LOCKS_SHORT, LOCKS_USUAL};
use super::fault::{self, Blame};
use super::ids::Ids;
use super::session::Session;
use super::{Failed, REST};
use crate::limits::STORE_REMOVE_STATEMENT;
use crate::store::id_base;
use crate::store::keep::{Removal, Removed};
use crate::store::ownership::Ownership;
use crate::store::text_time::TextTime;

impl Session {
    /// Removes one piece. The last row stays: by it, the engine knows its highest sequence.
    pub(super) fn remove(
        &mut self,
        removal: &Removal,
        ownership: &mut Ownership,
    ) -> Result<Removed, Failed> {
        let begun = Instant::now();
        if removal.from == 0
            && let Some(mut dropped) = self.tend_partitions(removal)?
        {
            dropped.took = begun.elapsed();
            return Ok(dropped);
        }
        let mut removed = Removed::default();
        if removal.before_us == 0 {
            return Ok(removed);
        }
        let last = id_base::last_id(&mut Ids(&mut self.connection), self.id_base)?;
        let Some(last) = last else {
            return Ok(removed);
        };
        let from = self.id_base + removal.from;
        if removal.from == 0 {
            removed.oldest_us = self.oldest_us(from, last)?;
        }
        if self.is_partitioned && self.old_before.is_none() {
            // Younger days are dropped whole, later.
            removed.took = begun.elapsed();
            return Ok(removed);
        }
        let old = self.old_rows(from, last, removal, &mut removed)?;
        if !old.is_empty() {
            self.connection.query_drop(LOCKS_SHORT)?;
            if ownership.has_term() {
                self.lock(ownership)?;
            } else {
                self.connection.query_drop("START TRANSACTION")?;
            }
            for ids in old.chunks(STORE_REMOVE_STATEMENT) {
                std::thread::sleep(REST);
                self.delete(ids, &mut removed)?;
            }
            self.connection.query_drop("COMMIT")?;
            self.connection.query_drop(LOCKS_USUAL)?;
        }
        removed.took = begun.elapsed();
        Ok(removed)
    }

    fn oldest_us(&mut self, from: u64, last: u64) -> Result<Option<u64>, Error> {
        let query = format!(
            "SELECT CAST(UNIX_TIMESTAMP(created_at) AS UNSIGNED) FROM messages \
             WHERE id >= {from} AND id <= {last} ORDER BY id LIMIT 1"
        );
        let seconds: Option<Option<u64>> = self.connection.query_first(query)?;
        Ok(seconds.flatten().map(|it| it * 1_000_000))
    }

    /// The rows to delete among the next ones; notes where the pass goes on.
    fn old_rows(
        &mut self,
        from: u64,
        last: u64,
        removal: &Removal,
        removed: &mut Removed,
    ) -> Result<Vec<u64>, Error> {
        let query = look_query(from, last, removal, self.old_before);
        let rows: Vec<(u64, Option<bool>, Option<bool>)> = self.connection.query(query)?;
        let all_recent = rows.iter().all(|it| it.1 == Some(true));
        if rows.len() == removal.rows_max && !all_recent {
            removed.next = rows.last().map(|it| it.0 + 1 - self.id_base);
        }
        let old = rows.iter().filter(|it| it.2 == Some(true));
        let old: Vec<_> = old.map(|it| it.0).collect();
        removed.stayed = (rows.len() - old.len()) as u64;
        Ok(old)
    }

    fn delete(&mut self, ids: &[u64], removed: &mut Removed) -> Result<(), Error> {
        let error = match self
            .connection
            .query_drop(delete_statement(ids, self.old_before))
        {
            Ok(()) => {
                removed.rows += self.connection.affected_rows();
                return Ok(());
            }
            Err(error) if fault::blame(&error) == Blame::All => return Err(error),
            Err(error) => error,
        };
        if let [id] = ids {
            removed.refused = Some(format!("row {id}: {}", fault::words(&error)));
            return Ok(());
        }
        let (left, right) = ids.split_at(ids.len() / 2);
        self.delete(left, removed)?;
        self.delete(right, removed)
    }
}

/// Some rows: whether each came too lately for any behind it to be old, and whether it is old.
fn look_query(from: u64, last: u64, removal: &Removal, old_before: Option<Date>) -> String {
    let mut text = TextTime::new();
    let before = String::from_utf8_lossy(text.format(removal.before_us));
    format!(
        "SELECT id, created_at >= '{before}', \
         status <> 'INGESTED' AND COALESCE(delivered_at, created_at) < '{before}' \
         FROM messages FORCE INDEX (PRIMARY) WHERE id >= {from} AND id < {last}{} \
         ORDER BY id LIMIT {}",
        of_old_days(old_before),
        removal.rows_max
    )
}

fn delete_statement(ids: &[u64], old_before: Option<Date>) -> String {
    let ids: Vec<_> = ids.iter().map(u64::to_string).collect();
    format!(
        "DELETE FROM messages WHERE id IN ({}){}",
        ids.join(","),
        of_old_days(old_before)
    )
}

/// So that the server looks into old partitions only.
fn of_old_days(before: Option<Date>) -> String {
    before.map_or_else(String::new, |it| format!(" AND created_at < '{it}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_rows_by_the_primary_key() {
        let removal = Removal {
            from: 7,
            before_us: 1_700_000_000_000_000,
            rows_max: 500,
        };
        assert_eq!(
            look_query(107, 900, &removal, None),
            "SELECT id, created_at >= '2023-11-14 22:13:20.000000', \
             status <> 'INGESTED' AND \
             COALESCE(delivered_at, created_at) < '2023-11-14 22:13:20.000000' \
             FROM messages FORCE INDEX (PRIMARY) WHERE id >= 107 AND id < 900 \
             ORDER BY id LIMIT 500"
        );
        assert_eq!(
            delete_statement(&[107, 109], None),
            "DELETE FROM messages WHERE id IN (107,109)"
        );
        assert_eq!(
            delete_statement(&[107], Some(jiff::civil::date(2026, 11, 3))),
            "DELETE FROM messages WHERE id IN (107) AND created_at < '2026-11-03'"
        );
    }
}
