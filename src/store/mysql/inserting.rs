//! How rows get into the table: by one load, or by statements that are halved until what the server
//! refuses stands alone.
//!
//! A duplicate says little: the key may be the table's own or one that a trigger writes to, and
//! servers name it differently. So the row is looked for: the same message is there (the position was
//! lost or went back), another one is (somebody else wrote here), or none is (the key is a trigger's).

use std::collections::HashMap;

use mysql::prelude::Queryable;
use mysql::{DriverError, Error};

use super::fault::{self, Blame};
use super::load::Lines;
use super::session::{Outcome, Session};
use super::text::{COLUMNS, Form, Writer};
use super::{Failed, LOAD_FORM, REST};
use crate::journal::format::Settlement;
use crate::limits::{STORE_STATEMENT_LEN_MAX, STORE_STATEMENT_PIECE_LEN};
use crate::store::ownership::Ownership;
use crate::store::pace::Pace;
use crate::store::repeats::Repeats;
use crate::store::rows::{Row, Rows};

impl Session {
    /// Loads all rows at once. A load is generous: it cuts what is too long and leaves out what is
    /// there twice, with a warning. So it counts only if all rows arrived without one; otherwise the
    /// answer is false, and what it wrote must be rolled back.
    pub(super) fn load_rows(&mut self, rows: &Rows, repeats: &mut Repeats) -> Result<bool, Error> {
        if rows.rows_len() == 0 {
            return Ok(true);
        }
        let statement =
            format!("LOAD DATA LOCAL INFILE 'rows' INTO TABLE messages {LOAD_FORM} ({COLUMNS})");
        let lines = Lines {
            things: rows.iter(),
            line: |writer, it| writer.row(&it),
            id_base: self.id_base,
            pace: rows.pace(),
        };
        match self.loads.run(&mut self.connection, &statement, lines) {
            Ok(()) => Ok(self.connection.affected_rows() == rows.rows_len() as u64
                && self.connection.warnings() == 0),
            Err(error) if fault::is_local_refused(&error) => {
                self.facts.local_infile = false;
                Ok(false)
            }
            Err(error) if fault::blame(&error) != Blame::All => Ok(false),
            Err(error) if fault::may_be_a_triggers(&error) && repeats.note(&error.to_string()) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn insert_rows<'r>(
        &mut self,
        rows: &'r Rows,
        ownership: &mut Ownership,
        outcome: &mut Outcome<'r>,
    ) -> Result<(), Failed> {
        let all: Vec<Row<'_>> = rows.iter().collect();
        for statement in self.statements_of(&all, rows.pace()) {
            rows.pace().rest(REST);
            self.insert(statement, ownership, outcome)?;
        }
        Ok(())
    }

    /// Cuts the rows where a statement would become too long.
    fn statements_of<'a, 'r>(&self, rows: &'a [Row<'r>], pace: Pace) -> Vec<&'a [Row<'r>]> {
        // Escapes may double a frame, and the packet has room for other things as well.
        let wanted = pace.pick(STORE_STATEMENT_LEN_MAX, STORE_STATEMENT_PIECE_LEN);
        let len_max = (self.facts.packet_len_max / 3).min(wanted);
        let mut statements = Vec::new();
        let (mut start, mut len) = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            if len > 0 && len + row.record.frame().len() > len_max {
                statements.push(&rows[start..at]);
                (start, len) = (at, 0);
            }
            len += row.record.frame().len();
        }
        if start < rows.len() {
            statements.push(&rows[start..]);
        }
        statements
    }

    fn insert<'r>(
        &mut self,
        rows: &[Row<'r>],
        ownership: &mut Ownership,
        outcome: &mut Outcome<'r>,
    ) -> Result<(), Failed> {
        if rows.is_empty() {
            return Ok(());
        }
        self.save(outcome.repeats)?;
        let Err(error) = self.insert_all(rows) else {
            outcome.taken += 1;
            return Ok(());
        };
        let blame = match fault::blame(&error) {
            Blame::All if self.is_repeated(&error, outcome.repeats) => Blame::Perhaps,
            blame => blame,
        };
        if blame == Blame::All {
            return Err(error.into());
        }
        if fault::is_duplicate(&error) {
            let rest = self.without_existing(rows, ownership, outcome)?;
            if rest.len() < rows.len() {
                return self.insert(&rest, ownership, outcome);
            }
        }
        if let [row] = rows {
            outcome.applied.pass_over(row);
            outcome.applied.unstored += 1;
            outcome.refused.row(*row, fault::words(&error));
            if blame == Blame::Perhaps {
                outcome.doubt.get_or_insert(error);
            }
            return Ok(());
        }
        let (left, right) = rows.split_at(rows.len() / 2);
        self.insert(left, ownership, outcome)?;
        self.insert(right, ownership, outcome)
    }

    fn insert_all(&mut self, rows: &[Row<'_>]) -> Result<(), Error> {
        let head = format!("INSERT INTO messages ({COLUMNS}) VALUES ");
        let mut writer = Writer::new(Form::Tuple, head.into_bytes(), self.id_base);
        rows.iter().for_each(|it| writer.row(it));
        let statement = writer.finish();
        if statement.len() >= self.facts.packet_len_max {
            return Err(Error::DriverError(DriverError::PacketTooLarge));
        }
        self.connection
            .query_drop(String::from_utf8_lossy(&statement))
    }

    /// The rows without those whose ids are in the table.
    fn without_existing<'r>(
        &mut self,
        rows: &[Row<'r>],
        ownership: &mut Ownership,
        outcome: &mut Outcome<'r>,
    ) -> Result<Vec<Row<'r>>, Failed> {
        let ids: Vec<_> = rows
            .iter()
            .map(|it| (self.id_base + it.sequence).to_string())
            .collect();
        let query = format!(
            "SELECT id, messageId FROM messages WHERE id IN ({})",
            ids.join(",")
        );
        let there: Vec<(u64, Vec<u8>)> = self.connection.query(query)?;
        let there: HashMap<_, _> = there.into_iter().collect();
        let mut rest = Vec::new();
        for row in rows {
            let id = self.id_base + row.sequence;
            let Some(message_id) = there.get(&id) else {
                rest.push(*row);
                continue;
            };
            outcome.applied.pass_over(row);
            if **message_id == *row.record.message_id().value().as_bytes() {
                outcome.taken += 1;
                outcome
                    .late
                    .extend(row.settled_us.map(|settled_us| Settlement {
                        sequence: row.sequence,
                        settled_us,
                    }));
            } else {
                ownership.found_other_row()?;
                outcome.applied.unstored += 1;
                let reason = format!("another message has its id, {id}");
                outcome.refused.row(*row, reason);
            }
        }
        Ok(rest)
    }
}
