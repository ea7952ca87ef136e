//! One connection's work: the position, and the frame of a transaction.
//!
//! Used by [`super::MySqlStore`], which drops it after any error. How rows are written is in
//! [`super::inserting`], how they are settled in [`super::settling`], how an engine finds its ids in
//! [`super::ids`].

use jiff::civil::Date;
use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use super::connection::{Facts, facts};
use super::ids::{self, Ids};
use super::load::Loads;
use super::partitions::Days;
use super::{Failed, fault};
use crate::cluster::record::Term;
use crate::journal::format::{Position, Settlement};
use crate::message::Sequence;
use crate::store::id_base;
use crate::store::ownership::{Ownership, PositionError, PositionRow};
use crate::store::refusals::Refusals;
use crate::store::repeats::Repeats;
use crate::store::rows::Rows;
use crate::store::unstored::UnstoredLog;
use crate::store::{Applied, Totals};

const LOOK: &str = "SELECT position, CAST(updated_at AS CHAR), CAST(UTC_TIMESTAMP(6) AS CHAR)
    FROM store_position WHERE node = ? FOR UPDATE";

/// The same in a group that shares the database.
const LOOK_TERM: &str =
    "SELECT position, CAST(updated_at AS CHAR), CAST(UTC_TIMESTAMP(6) AS CHAR), epoch, term
    FROM store_position WHERE node = ? FOR UPDATE";

const TAKE: &str = "UPDATE store_position SET epoch = ?, term = ? WHERE node = ?";

/// Behind it stands one statement whose error may be a trigger's.
const SAVE: &str = "SAVEPOINT flipped_lb";
const UNDO: &str = "ROLLBACK TO SAVEPOINT flipped_lb";

const MOVE: &str = "UPDATE store_position SET position = ?, updated_at = ? WHERE node = ?";

/// A connection whose tables are as they should be.
pub(super) struct Session {
    pub(super) connection: Conn,
    pub(super) node: String,
    pub(super) facts: Facts,
    pub(super) id_base: u64,
    pub(super) loads: Loads,
    pub(super) settled_table: SettledTable,
    /// `messages` has the column that keeps a row's length.
    pub(super) has_room: bool,
    /// `messages` is partitioned by day.
    pub(super) is_partitioned: bool,
    /// Of a partitioned table: rows before this day are removed one by one, in this pass.
    pub(super) old_before: Option<Date>,
    /// Bases of rows that no engine has: one of them may be this engine's, whose position was lost.
    orphans: Vec<u64>,
}

/// The table of this connection through which settlements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettledTable {
    /// It was not needed yet.
    Unknown,
    Made,
    /// It may not be made: settlements are written into the statements.
    Refused,
}

/// What one transaction came to.
pub(super) struct Outcome<'r> {
    pub(super) applied: Applied,
    pub(super) repeats: &'r mut Repeats,
    pub(super) refused: Refusals<'r>,
    /// Rows that were there already, and are settled.
    pub(super) late: Vec<Settlement>,
    /// Statements that were taken.
    pub(super) taken: u64,
    /// The first refusal that need not be the row's fault.
    pub(super) doubt: Option<Error>,
}

impl Session {
    /// Begins to work for a node: finds the position's row, or makes it, with the base for ids that
    /// this engine has had, if it is known.
    pub(super) fn begin(
        mut connection: Conn,
        node: &str,
        known_base: Option<u64>,
        ownership: &mut Ownership,
    ) -> Result<Self, Failed> {
        let facts = facts(&mut connection)?;
        let id_base = match ids::base_of(&mut connection, node)? {
            Some(id_base) => id_base,
            None => ids::register(&mut connection, node, known_base, ownership)?,
        };
        let orphans = ids::orphans(&mut connection, node, id_base)?;
        let has_room = "SELECT COUNT(*) FROM information_schema.columns WHERE \
                        table_schema = DATABASE() AND table_name = 'messages' AND \
                        column_name = 'room'";
        let has_room: Option<u64> = connection.query_first(has_room)?;
        let is_partitioned = Days::of(&mut connection, None)?.is_partitioned();
        let loads = Loads::of(&mut connection);
        Ok(Self {
            connection,
            node: node.to_owned(),
            facts,
            id_base,
            loads,
            settled_table: SettledTable::Unknown,
            has_room: has_room == Some(1),
            is_partitioned,
            old_before: None,
            orphans,
        })
    }

    /// Whether rows go by bulk load.
    pub(super) fn loads(&self) -> bool {
        self.facts.local_infile && !self.facts.logs_statements
    }

    /// How far the node has progress: what an earlier connection left under way has ended before.
    pub(super) fn position(&mut self, ownership: &mut Ownership) -> Result<Position, Failed> {
        self.connection.query_drop("START TRANSACTION")?;
        let (found, _) = self.look(ownership)?.ok_or(PositionError::Missing)?;
        self.connection.query_drop("COMMIT")?;
        ownership.taken();
        Ok(ownership.observe(found)?)
    }

    /// What the position's row holds, and the time, under the row's lock. In a group the own term is written
    /// there, if it is not yet.
    fn look(&mut self, ownership: &Ownership) -> Result<Option<(PositionRow, String)>, Failed> {
        if ownership.has_term() {
            return self.look_at_term(ownership);
        }
        let row: Option<(Position, String, String)> =
            self.connection.exec_first(LOOK, (&self.node,))?;
        Ok(row.map(|(position, stamp, now)| (PositionRow { position, stamp }, now)))
    }

    fn look_at_term(
        &mut self,
        ownership: &Ownership,
    ) -> Result<Option<(PositionRow, String)>, Failed> {
        let row: Option<(Position, String, String, u64, u64)> =
            self.connection.exec_first(LOOK_TERM, (&self.node,))?;
        let Some((position, stamp, now, epoch, random)) = row else {
            return Ok(None);
        };
        let found = Term { epoch, random };
        if let Some(own) = ownership.look(found).map_err(PositionError::from)? {
            let values = (own.epoch, own.random, &self.node);
            self.connection.exec_drop(TAKE, values)?;
            tracing::info!("the store is written in term {own}: before it was in {found}");
        }
        Ok(Some((PositionRow { position, stamp }, now)))
    }

    /// Writes rows and settlements, and moves the position.
    pub(super) fn write(
        &mut self,
        rows: &Rows,
        upto: Position,
        ownership: &mut Ownership,
        unstored: &mut UnstoredLog,
        repeats: &mut Repeats,
    ) -> Result<Applied, Failed> {
        if !rows.updates().is_empty() {
            self.make_settled_table()?;
        }
        self.adopt(rows, ownership)?;
        let mut now = self.lock(ownership)?;
        let mut outcome = Outcome {
            applied: rows.as_applied_rows(),
            repeats,
            refused: Refusals::default(),
            late: Vec::new(),
            taken: 0,
            doubt: None,
        };
        if !self.loads() {
            self.insert_rows(rows, ownership, &mut outcome)?;
        } else if !self.load_rows(rows, outcome.repeats)? {
            self.connection.query_drop("ROLLBACK")?;
            now = self.lock(ownership)?;
            self.insert_rows(rows, ownership, &mut outcome)?;
        } else {
            outcome.taken += 1;
        }
        let late = std::mem::take(&mut outcome.late);
        for settlements in [&late, rows.updates()] {
            let settled = self.settle(settlements, rows.pace(), &mut outcome)?;
            outcome.applied.settled += settled;
        }
        if let (Some(error), 0) = (outcome.doubt, outcome.taken) {
            // It takes nothing: that is no row's fault.
            outcome.repeats.clear();
            return Err(error.into());
        }
        // Before the commit that passes them over.
        unstored.keep(&outcome.refused).map_err(Failed::Unstored)?;
        self.commit(upto, now, ownership, outcome.applied.inserted)?;
        outcome.repeats.note_success();
        Ok(outcome.applied)
    }

    /// Before a statement that may be undone alone.
    pub(super) fn save(&mut self, repeats: &Repeats) -> Result<(), Error> {
        match repeats.are_any() {
            true => self.connection.query_drop(SAVE),
            false => Ok(()),
        }
    }

    /// Whether an error is a trigger's that will not pass, and the statement alone is undone. A deadlock
    /// of the server's own has undone the transaction, and with it the savepoint.
    pub(super) fn is_repeated(&mut self, error: &Error, repeats: &mut Repeats) -> bool {
        fault::may_be_a_triggers(error)
            && repeats.note(&error.to_string())
            && self.connection.query_drop(UNDO).is_ok()
    }

    /// Begins a transaction, if the position is where it is known to be.
    pub(super) fn lock(&mut self, ownership: &mut Ownership) -> Result<String, Failed> {
        self.connection.query_drop("START TRANSACTION")?;
        let known = ownership.position();
        let (found, now) = self.look(ownership)?.ok_or(PositionError::Missing)?;
        let position = ownership.observe(found)?;
        match known {
            Some(known) if known != position => Err(PositionError::WentBack(position).into()),
            _ => Ok(now),
        }
    }

    /// In a transaction of its own: that of the rows may be begun twice.
    fn adopt(&mut self, rows: &Rows, ownership: &mut Ownership) -> Result<(), Failed> {
        if self.orphans.is_empty() || rows.rows_len() == 0 {
            return Ok(());
        }
        self.lock(ownership)?;
        let adopted = {
            let mut ids = Ids(&mut self.connection);
            id_base::adopt(&mut ids, &self.node, &self.orphans, rows)?
        };
        self.connection.query_drop("COMMIT")?;
        self.orphans.clear();
        self.id_base = adopted.unwrap_or(self.id_base);
        Ok(())
    }

    fn commit(
        &mut self,
        upto: Position,
        now: String,
        ownership: &mut Ownership,
        inserted: u64,
    ) -> Result<(), Error> {
        self.connection.exec_drop(MOVE, (upto, &now, &self.node))?;
        ownership.writing(PositionRow {
            position: upto,
            stamp: now,
        });
        self.connection.query_drop("COMMIT")?;
        ownership.committed(inserted);
        Ok(())
    }

    /// The highest sequence of this node that has a row, zero when there is none; `None`: it is not
    /// known yet which rows are its own.
    pub(super) fn last_sequence(&mut self) -> Result<Option<Sequence>, Error> {
        let last = id_base::last_id(&mut Ids(&mut self.connection), self.id_base)?;
        let last = last.map_or(0, |id| id - self.id_base);
        Ok(self.orphans.is_empty().then_some(last))
    }

    /// Rows of all engines.
    pub(super) fn totals(&mut self) -> Result<Totals, Error> {
        let query =
            "SELECT COUNT(*), COUNT(CASE WHEN status = 'DELIVERED' THEN 1 END) FROM messages";
        let totals: Option<(u64, u64)> = self.connection.query_first(query)?;
        let (rows, delivered) = totals.unwrap_or_default();
        Ok(Totals { rows, delivered })
    }
}
