//! One open file: the position's row, and what is asked of the rows.
//!
//! Used by [`super::SqliteStore`], which closes it after any error. What a transaction writes is in
//! [`super::transaction`].

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::Failed;
use super::transaction::{Transacted, Writing};
use crate::journal::record::Position;
use crate::limits::STORE_SAMPLE_ROWS;
use crate::message::Sequence;
use crate::store::marks::{Mark, Marks};
use crate::store::refusals::Refusals;
use crate::store::rows::Rows;
use crate::store::text_time::TextTime;
use crate::store::unstored::UnstoredLog;
use crate::store::{Applied, Totals};

/// Ids of one engine: as many messages as it may ever have.
const ID_BASE_STEP: u32 = 48;

const LOOK: &str = "SELECT position, updated_at FROM store_position WHERE node = ?1";

const MOVE: &str = "UPDATE store_position SET position = ?2, updated_at = ?3 WHERE node = ?1";

/// An engine's row here, with a base for its ids.
const REGISTER: &str =
    "INSERT INTO store_position (node, id_base, position, updated_at) VALUES (?1, ?2, ?3, ?4)";

/// A base that nobody has: 0 for the first engine, else the next multiple of 2^48.
const FREE_BASE: &str = "
    SELECT ((MAX(COALESCE((SELECT MAX(id) FROM messages), -1),
                 COALESCE((SELECT MAX(id_base) FROM store_position), -1)) >> 48) + 1) << 48";

/// The last one of an engine's ids, from its base.
const LAST_ID: &str = "SELECT MAX(id) FROM messages WHERE id >= ?1 AND id < ?1 + (1 << 48)";

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
        marks: &mut Marks,
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
            None => session.register(known_base, marks)?,
        }
        let position = look(&session.connection, &session.node)?.map_or(0, |it| it.position);
        if position == 0 && session.last_id()?.is_none() {
            session.orphans = session.find_orphans()?;
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
    pub(super) fn position(&mut self, marks: &mut Marks) -> Result<Position, Failed> {
        let found = look(&self.connection, &self.node)?.ok_or(Failed::Lost)?;
        Ok(marks.see(found)?)
    }

    /// Writes rows and settlements, and moves the position. A trigger may roll the whole transaction
    /// back: then it is written again, without what the trigger refuses.
    pub(super) fn write(
        &mut self,
        rows: &Rows,
        upto: Position,
        marks: &mut Marks,
        mut unstored: Option<&mut UnstoredLog>,
    ) -> Result<Applied, Failed> {
        let mut refused = Refusals::default();
        loop {
            let written = self.try_write(rows, upto, marks, &mut unstored, &mut refused)?;
            if let Some(applied) = written {
                return Ok(applied);
            }
        }
    }

    /// `None`: it was rolled back, and what did so is among the refused.
    fn try_write<'r>(
        &mut self,
        rows: &'r Rows,
        upto: Position,
        marks: &mut Marks,
        unstored: &mut Option<&mut UnstoredLog>,
        refused: &mut Refusals<'r>,
    ) -> Result<Option<Applied>, Failed> {
        let known = marks.position();
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
        let found = look(&transaction, &self.node)?.ok_or(Failed::Lost)?;
        let position = marks.see(found)?;
        if known.is_some_and(|it| it != position) {
            return Err(Failed::Back(position));
        }
        if !self.orphans.is_empty() && rows.rows_len() > 0 {
            let orphans = std::mem::take(&mut self.orphans);
            if let Some(id_base) = adopt(&transaction, &self.node, &orphans, rows)? {
                self.id_base = id_base;
            }
        }
        let times = (&mut self.created, &mut self.delivered);
        let mut writing = Writing::begin(&transaction, self.id_base, times, refused, marks);
        if writing.all(rows)? == Transacted::RolledBack {
            return Ok(None);
        }
        let applied = writing.applied;
        match unstored {
            // Before the commit that passes them over.
            Some(unstored) => unstored.keep(refused).map_err(Failed::Unstored)?,
            None => refuse(refused)?,
        }
        let mark = Mark {
            position: upto,
            stamp: now(&mut self.created),
        };
        let place = (&self.node, upto.cast_signed(), &mark.stamp);
        transaction.prepare_cached(MOVE)?.execute(place)?;
        marks.send(mark);
        transaction.commit()?;
        marks.arrived(applied.inserted);
        Ok(Some(applied))
    }

    /// The highest sequence of this node that has a row, zero when there is none; `None`: it is not
    /// known yet which rows are its own.
    pub(super) fn last_sequence(&self) -> rusqlite::Result<Option<Sequence>> {
        let last = self.last_id()?.map_or(0, |id| id - self.id_base);
        Ok(self.orphans.is_empty().then_some(last))
    }

    fn last_id(&self) -> rusqlite::Result<Option<u64>> {
        let base = self.id_base.cast_signed();
        let last: Option<i64> = self
            .connection
            .query_row(LAST_ID, [base], |row| row.get(0))?;
        Ok(last.map(i64::cast_unsigned))
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
    fn register(&mut self, known_base: Option<u64>, marks: &mut Marks) -> Result<(), Failed> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
        let mut place = None;
        if let (Some(base), Some(position)) = (known_base, marks.position()) {
            let is_taken = "SELECT 1 FROM store_position WHERE id_base = ?1";
            let mut is_taken = transaction.prepare(is_taken)?;
            let last = transaction.query_row(LAST_ID, [base.cast_signed()], |row| {
                row.get::<_, Option<i64>>(0)
            })?;
            if last.is_some() && !is_taken.exists([base.cast_signed()])? {
                place = Some((base, position));
                tracing::warn!(
                    node = self.node,
                    position,
                    "the position was gone from store_position, and is made again: the rows are there"
                );
            }
        }
        let (id_base, position) = match place {
            Some(place) => place,
            None => {
                let free: i64 = transaction.query_row(FREE_BASE, [], |row| row.get(0))?;
                (free.cast_unsigned(), 0)
            }
        };
        let stamp = now(&mut self.created);
        let row = (
            &self.node,
            id_base.cast_signed(),
            position.cast_signed(),
            &stamp,
        );
        transaction.execute(REGISTER, row)?;
        transaction.commit()?;
        self.id_base = id_base;
        marks.made(Mark { position, stamp });
        Ok(())
    }

    /// The bases of rows that no engine has.
    fn find_orphans(&self) -> rusqlite::Result<Vec<u64>> {
        let next = "SELECT MIN(id) FROM messages WHERE id >= ?1";
        let mut next = self.connection.prepare(next)?;
        let mut taken = self
            .connection
            .prepare("SELECT 1 FROM store_position WHERE id_base = ?1")?;
        let mut orphans = Vec::new();
        let mut from = Some(0_i64);
        while let Some(at) = from {
            let id: Option<i64> = next.query_row([at], |row| row.get(0))?;
            let Some(id) = id else { break };
            let base = id >> ID_BASE_STEP << ID_BASE_STEP;
            if !taken.exists([base])? {
                orphans.push(base.cast_unsigned());
            }
            from = base.checked_add(1 << ID_BASE_STEP);
        }
        Ok(orphans)
    }
}

/// What stands in the position's row.
fn look(connection: &Connection, node: &str) -> rusqlite::Result<Option<Mark>> {
    let mut statement = connection.prepare_cached(LOOK)?;
    let mark = statement.query_row([node], |row| {
        let position: i64 = row.get(0)?;
        Ok(Mark {
            position: position.cast_unsigned(),
            stamp: row.get(1)?,
        })
    });
    mark.optional()
}

/// Finds which rows that no engine has are this journal's, and takes their base for the node.
fn adopt(
    transaction: &Transaction<'_>,
    node: &str,
    orphans: &[u64],
    rows: &Rows,
) -> rusqlite::Result<Option<u64>> {
    let mut same =
        transaction.prepare("SELECT 1 FROM messages WHERE id = ?1 AND messageId = ?2")?;
    for &base in orphans {
        for row in rows.sample(STORE_SAMPLE_ROWS) {
            let id = (base + row.sequence).cast_signed();
            if same.exists((id, &*row.fields().message_id().value()))? {
                let take = "UPDATE store_position SET id_base = ?2 WHERE node = ?1";
                transaction.execute(take, (node, base.cast_signed()))?;
                tracing::warn!(
                    node,
                    "the position was gone from store_position: the rows of this journal are known \
                     again, and what is there stays as it is"
                );
                return Ok(Some(base));
            }
        }
    }
    Ok(None)
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
