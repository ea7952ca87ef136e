//! One open file: the position's row, and queries of the rows.
//!
//! Used by [`super::SqliteStore`], which closes it after any error. What a transaction writes is in
//! [`super::transaction`].

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::Failed;
use super::ids::Ids;
use super::transaction::{Transacted, Writing, is_foreign_key, refuse_orphaned};
use crate::journal::format::Position;
use crate::message::Sequence;
use crate::store::id_base;
use crate::store::ownership::{Ownership, PositionError, PositionRow};
use crate::store::refusals::Refusals;
use crate::store::repeats::Repeats;
use crate::store::rows::Rows;
use crate::store::text_time::TextTime;
use crate::store::unstored::UnstoredLog;
use crate::store::{Applied, Totals};

const LOOK: &str = "SELECT position, updated_at FROM store_position WHERE node = ?1";

const MOVE: &str = "UPDATE store_position SET position = ?2, updated_at = ?3 WHERE node = ?1";

/// An engine's row here, with a base for its ids.
const REGISTER: &str =
    "INSERT INTO store_position (node, id_base, position, updated_at) VALUES (?1, ?2, ?3, ?4)";

/// An open database whose tables are as they should be.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    node: String,
    /// What the ids of this engine count from.
    id_base: u64,
    /// Bases of rows that no engine has: one of them may be this engine's, whose position was lost.
    orphans: Vec<u64>,
    /// Which file it is: device and number.
    file: Option<(u64, u64)>,
    /// Neighbouring rows were created, and settled, in the same seconds.
    pub(super) created: TextTime,
    pub(super) delivered: TextTime,
}

impl Session {
    /// Finds the position's row, or makes it: with the base that this engine has had, if it is known.
    pub(super) fn begin(
        connection: Connection,
        path: &Path,
        node: &str,
        known_base: Option<u64>,
        ownership: &mut Ownership,
    ) -> Result<Self, Failed> {
        let mut session = Self {
            connection,
            node: node.to_owned(),
            id_base: 0,
            orphans: Vec::new(),
            file: file_at(path),
            created: TextTime::new(),
            delivered: TextTime::new(),
        };
        match session.found_base()? {
            Some(id_base) => session.id_base = id_base,
            None => session.register(known_base, ownership)?,
        }
        let position = look(&session.connection, &session.node)?.map_or(0, |it| it.position);
        if position == 0 && session.last_id()?.is_none() {
            session.orphans = id_base::orphans(&mut Ids(&session.connection))?;
        }
        Ok(session)
    }

    /// Whether the path still leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.file.is_some() && self.file == file_at(path)
    }

    pub(super) fn id_base(&self) -> u64 {
        self.id_base
    }

    /// How far the node has followed.
    pub(super) fn position(&mut self, ownership: &mut Ownership) -> Result<Position, Failed> {
        let found = look(&self.connection, &self.node)?.ok_or(PositionError::Missing)?;
        Ok(ownership.observe(found)?)
    }

    /// Writes rows and settlements, and moves the position. A trigger or a deferred foreign key may
    /// roll the whole transaction back: then it is written again, without what they refuse.
    pub(super) fn write(
        &mut self,
        rows: &Rows,
        upto: Position,
        ownership: &mut Ownership,
        (repeats, mut unstored): (&mut Repeats, Option<&mut UnstoredLog>),
    ) -> Result<Applied, Failed> {
        let mut refused = Refusals::default();
        loop {
            let kept = (&mut *repeats, &mut unstored);
            if let Some(applied) = self.try_write(rows, upto, ownership, kept, &mut refused)? {
                repeats.note_success();
                return Ok(applied);
            }
        }
    }

    /// `None`: it was rolled back, and what did so is among the refused.
    fn try_write<'r>(
        &mut self,
        rows: &'r Rows,
        upto: Position,
        ownership: &mut Ownership,
        (repeats, unstored): (&mut Repeats, &mut Option<&mut UnstoredLog>),
        refused: &mut Refusals<'r>,
    ) -> Result<Option<Applied>, Failed> {
        let known = ownership.position();
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
        let found = look(&transaction, &self.node)?.ok_or(PositionError::Missing)?;
        let position = ownership.observe(found)?;
        if known.is_some_and(|it| it != position) {
            return Err(PositionError::WentBack(position).into());
        }
        if !self.orphans.is_empty() && rows.rows_len() > 0 {
            let orphans = std::mem::take(&mut self.orphans);
            let mut ids = Ids(&transaction);
            if let Some(id_base) = id_base::adopt(&mut ids, &self.node, &orphans, rows)? {
                self.id_base = id_base;
            }
        }
        let times = (&mut self.created, &mut self.delivered);
        let kept = (&mut *ownership, repeats);
        let mut writing = Writing::begin(&transaction, self.id_base, times, refused, kept);
        if writing.all(rows)? == Transacted::RolledBack {
            return Ok(None);
        }
        let applied = writing.applied;
        match unstored {
            // Before the commit that passes them over.
            Some(unstored) => unstored.keep(refused).map_err(Failed::Unstored)?,
            None => refuse(refused)?,
        }
        let row = PositionRow {
            position: upto,
            stamp: now(&mut self.created),
        };
        let place = (&self.node, upto.cast_signed(), &row.stamp);
        transaction.prepare_cached(MOVE)?.execute(place)?;
        ownership.writing(row);
        // Not `commit`, which rolls back when it fails: the rows that fail are looked up before.
        match transaction.execute_batch("COMMIT") {
            Ok(()) => {}
            Err(error)
                if is_foreign_key(&error)
                    && refuse_orphaned(&transaction, self.id_base, rows, refused)? =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        ownership.committed(applied.inserted);
        Ok(Some(applied))
    }

    /// The highest sequence of this node that has a row, zero when there is none; `None`: it is not
    /// known yet which rows are its own.
    pub(super) fn last_sequence(&self) -> rusqlite::Result<Option<Sequence>> {
        let last = self.last_id()?.map_or(0, |id| id - self.id_base);
        Ok(self.orphans.is_empty().then_some(last))
    }

    pub(super) fn last_id(&self) -> rusqlite::Result<Option<u64>> {
        id_base::last_id(&mut Ids(&self.connection), self.id_base)
    }

    /// Rows of all engines.
    pub(super) fn totals(&self) -> rusqlite::Result<Totals> {
        let query = "SELECT COUNT(*), COUNT(*) FILTER (WHERE status = 'DELIVERED') FROM messages";
        self.connection.query_row(query, [], |row| {
            let (rows, delivered): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Totals {
                rows: rows.cast_unsigned(),
                delivered: delivered.cast_unsigned(),
            })
        })
    }

    /// Moves what the log of the database has into its file.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    fn found_base(&self) -> rusqlite::Result<Option<u64>> {
        let query = "SELECT id_base FROM store_position WHERE node = ?1";
        let base: Option<i64> = self
            .connection
            .query_row(query, [&self.node], |row| row.get(0))
            .optional()?;
        Ok(base.map(i64::cast_unsigned))
    }

    /// Makes the position's row. Where this engine's rows are still there, it goes on as it was.
    fn register(
        &mut self,
        known_base: Option<u64>,
        ownership: &mut Ownership,
    ) -> Result<(), Failed> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
        let mut ids = Ids(&transaction);
        let registration = id_base::registration(&mut ids, known_base, ownership.position())?;
        let (id_base, position) = (registration.id_base, registration.position);
        let stamp = now(&mut self.created);
        let row = (
            &self.node,
            id_base.cast_signed(),
            position.cast_signed(),
            &stamp,
        );
        transaction.execute(REGISTER, row)?;
        transaction.commit()?;
        registration.tell(&self.node);
        self.id_base = id_base;
        ownership.registered(PositionRow { position, stamp });
        Ok(())
    }
}

/// What the position's row holds.
fn look(connection: &Connection, node: &str) -> rusqlite::Result<Option<PositionRow>> {
    let mut statement = connection.prepare_cached(LOOK)?;
    let row = statement.query_row([node], |row| {
        let position: i64 = row.get(0)?;
        Ok(PositionRow {
            position: position.cast_unsigned(),
            stamp: row.get(1)?,
        })
    });
    row.optional()
}

/// There is nowhere to keep what was refused.
fn refuse(refused: &Refusals<'_>) -> Result<(), Failed> {
    let words = refused.words();
    words.map_or(Ok(()), |it| Err(Failed::Refused(it.to_owned())))
}

/// The moment, as the database's text.
fn now(text: &mut TextTime) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_us = now.map_or(0, |it| it.as_micros() as u64);
    String::from_utf8_lossy(text.format(now_us)).into_owned()
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
