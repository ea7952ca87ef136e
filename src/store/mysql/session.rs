//! One connection's work: the statements of a transaction.
//!
//! Used by [`super::MySqlStore`], which drops it after any error.

use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use super::connection::{Facts, facts};
use super::fault;
use super::load::{Lines, Loads};
use super::text::{COLUMNS, Form, SETTLED_COLUMNS, Writer};
use super::{Failed, REST};
use crate::journal::record::{Position, Settlement};
use crate::limits::{
    STORE_STATEMENT_LEN_MAX, STORE_STATEMENT_PIECE_LEN, STORE_UPDATES_PIECE,
    STORE_UPDATES_STATEMENT,
};
use crate::message::Sequence;
use crate::store::pace::Pace;
use crate::store::rows::{Row, Rows};
use crate::store::unstored::{Refused, UnstoredLog};
use crate::store::{Applied, Totals};

/// Ids of one engine: as many messages as it may ever have.
const ID_BASE_STEP: u32 = 48;

/// Of this connection alone; InnoDB, for other engines are not allowed in transactions everywhere.
const CREATE_SETTLED: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS flipped_lb_settled (
    id           BIGINT      NOT NULL PRIMARY KEY,
    delivered_at DATETIME(6) NOT NULL
) ENGINE = InnoDB";

/// The first settlement counts, in the database as in the journal.
const SETTLE: &str = "UPDATE flipped_lb_settled s STRAIGHT_JOIN messages m ON m.id = s.id
    SET m.status = 'DELIVERED', m.delivered_at = s.delivered_at
    WHERE m.status = 'INGESTED'";

const MOVE: &str = "UPDATE store_position SET position = ?, updated_at = UTC_TIMESTAMP(6)
    WHERE node = ?";

const LOAD_FORM: &str = r"CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\'
    LINES TERMINATED BY '\n'";

/// A connection whose tables are as they should be.
pub(super) struct Session {
    connection: Conn,
    node: String,
    facts: Facts,
    id_base: u64,
    loads: Loads,
    has_settled_table: bool,
}

impl Session {
    /// Begins to work for a node; gives it a base for its ids if it has none.
    pub(super) fn begin(mut connection: Conn, node: &str) -> Result<Self, Error> {
        let facts = facts(&mut connection)?;
        let id_base = match id_base(&mut connection, node)? {
            Some(id_base) => id_base,
            None => register(&mut connection, node)?,
        };
        let loads = Loads::of(&mut connection);
        Ok(Self {
            connection,
            node: node.to_owned(),
            facts,
            id_base,
            loads,
            has_settled_table: false,
        })
    }

    /// Whether rows go by bulk load.
    pub(super) fn loads(&self) -> bool {
        self.facts.local_infile
    }

    /// How far the node has followed.
    pub(super) fn position(&mut self) -> Result<Position, Error> {
        let query = "SELECT position FROM store_position WHERE node = ?";
        let position = self.connection.exec_first(query, (&self.node,))?;
        Ok(position.unwrap_or(0))
    }

    /// Begins a transaction, if the position is where it is known to be, and writes the rows.
    pub(super) fn write(
        &mut self,
        rows: &Rows,
        known: Option<Position>,
        unstored: &mut UnstoredLog,
    ) -> Result<Applied, Failed> {
        self.lock(known)?;
        if self.facts.local_infile {
            if self.load_rows(rows)? {
                return Ok(rows.as_applied_rows());
            }
            self.connection.query_drop("ROLLBACK")?;
            self.lock(known)?;
        }
        self.insert_rows(rows, unstored)
    }

    fn lock(&mut self, known: Option<Position>) -> Result<(), Failed> {
        self.connection.query_drop("START TRANSACTION")?;
        let query = "SELECT position FROM store_position WHERE node = ? FOR UPDATE";
        let found: Option<Position> = self.connection.exec_first(query, (&self.node,))?;
        let found = found.unwrap_or(0);
        match known {
            Some(known) if known != found => Err(Failed::Moved(found)),
            _ => Ok(()),
        }
    }

    /// Loads all rows at once. A load is generous: it cuts what is too long and leaves out what is
    /// there twice, with a warning. So it counts only if all rows arrived without one; otherwise the
    /// answer is false, and what it wrote must be rolled back.
    fn load_rows(&mut self, rows: &Rows) -> Result<bool, Error> {
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
            Err(error) if fault::is_of_row(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn insert_rows(&mut self, rows: &Rows, unstored: &mut UnstoredLog) -> Result<Applied, Failed> {
        let all: Vec<Row<'_>> = rows.iter().collect();
        let mut refused = Vec::new();
        for statement in self.statements_of(&all, rows.pace()) {
            rows.pace().rest(REST);
            self.insert(statement, &mut refused)?;
        }
        let kept: Vec<_> = refused
            .iter()
            .map(|(row, reason)| Refused { row: *row, reason })
            .collect();
        // Before the commit that passes them over.
        unstored.keep(&kept).map_err(Failed::Unstored)?;
        let mut applied = rows.as_applied_rows();
        applied.refuse(refused.iter().map(|(row, _)| row));
        Ok(applied)
    }

    /// Cuts the rows where a statement would become too long.
    fn statements_of<'a, 'r>(&self, rows: &'a [Row<'r>], pace: Pace) -> Vec<&'a [Row<'r>]> {
        // Escapes may double a frame, and the packet has room for other things as well.
        let wanted = pace.pick(STORE_STATEMENT_LEN_MAX, STORE_STATEMENT_PIECE_LEN);
        let len_max = (self.facts.packet_len_max / 3).min(wanted);
        let mut statements = Vec::new();
        let (mut start, mut len) = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            if len > 0 && len + row.frame.len() > len_max {
                statements.push(&rows[start..at]);
                (start, len) = (at, 0);
            }
            len += row.frame.len();
        }
        if start < rows.len() {
            statements.push(&rows[start..]);
        }
        statements
    }

    /// Inserts the rows; those that the server refuses are found by halving.
    fn insert<'r>(
        &mut self,
        rows: &[Row<'r>],
        refused: &mut Vec<(Row<'r>, String)>,
    ) -> Result<(), Error> {
        let head = format!("INSERT INTO messages ({COLUMNS}) VALUES ");
        let mut writer = Writer::new(Form::Tuple, head.into_bytes(), self.id_base);
        rows.iter().for_each(|it| writer.row(it));
        let statement = writer.finish();
        let result = match statement.len() < self.facts.packet_len_max {
            true => self
                .connection
                .query_drop(String::from_utf8_lossy(&statement)),
            false => Err(Error::DriverError(mysql::DriverError::PacketTooLarge)),
        };
        match result {
            Err(error) if fault::is_of_row(&error) => match rows {
                [row] => refused.push((*row, fault::words(&error))),
                rows => {
                    let (left, right) = rows.split_at(rows.len() / 2);
                    self.insert(left, refused)?;
                    self.insert(right, refused)?;
                }
            },
            result => return result,
        }
        Ok(())
    }

    /// Settles rows that were written earlier. Returns how many.
    pub(super) fn settle(&mut self, settlements: &[Settlement], pace: Pace) -> Result<u64, Error> {
        let count = pace.pick(STORE_UPDATES_STATEMENT, STORE_UPDATES_PIECE);
        let statements = settlements.chunks(count);
        let settle = |it| {
            pace.rest(REST);
            self.settle_some(it)
        };
        statements.map(settle).sum()
    }

    fn settle_some(&mut self, settlements: &[Settlement]) -> Result<u64, Error> {
        if !self.has_settled_table {
            self.connection.query_drop(CREATE_SETTLED)?;
            self.has_settled_table = true;
        }
        match self.facts.local_infile {
            true => self.load_settlements(settlements)?,
            false => self.insert_settlements(settlements)?,
        }
        self.connection.query_drop(SETTLE)?;
        let settled = self.connection.affected_rows();
        self.connection
            .query_drop("DELETE FROM flipped_lb_settled")?;
        Ok(settled)
    }

    fn load_settlements(&mut self, settlements: &[Settlement]) -> Result<(), Error> {
        let statement = format!(
            "LOAD DATA LOCAL INFILE 'settlements' IGNORE INTO TABLE flipped_lb_settled {LOAD_FORM} \
             ({SETTLED_COLUMNS})"
        );
        let lines = Lines {
            things: settlements.iter(),
            line: Writer::settlement,
            id_base: self.id_base,
            pace: Pace::AtAStretch,
        };
        self.loads.run(&mut self.connection, &statement, lines)
    }

    fn insert_settlements(&mut self, settlements: &[Settlement]) -> Result<(), Error> {
        let tuple_len = "(9223372036854775807,'2023-11-14 22:13:20.000001'),".len();
        let len_max = (self.facts.packet_len_max / 2).min(STORE_STATEMENT_LEN_MAX);
        for settlements in settlements.chunks((len_max / tuple_len).max(1)) {
            let head = format!("INSERT IGNORE INTO flipped_lb_settled ({SETTLED_COLUMNS}) VALUES ");
            let mut writer = Writer::new(Form::Tuple, head.into_bytes(), self.id_base);
            settlements.iter().for_each(|it| writer.settlement(it));
            let statement = writer.finish();
            self.connection
                .query_drop(String::from_utf8_lossy(&statement))?;
        }
        Ok(())
    }

    /// Moves the position, and commits.
    pub(super) fn commit(&mut self, upto: Position) -> Result<(), Error> {
        self.connection.exec_drop(MOVE, (upto, &self.node))?;
        self.connection.query_drop("COMMIT")
    }

    /// The highest sequence of this node that has a row, zero when there is none.
    pub(super) fn last_sequence(&mut self) -> Result<Sequence, Error> {
        let query = "SELECT MAX(id) FROM messages WHERE id >= ? AND id < ?";
        let ids = (self.id_base, self.id_base + (1 << ID_BASE_STEP));
        let last: Option<Option<u64>> = self.connection.exec_first(query, ids)?;
        Ok(last.flatten().map_or(0, |id| id - self.id_base))
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

fn id_base(connection: &mut Conn, node: &str) -> Result<Option<u64>, Error> {
    connection.exec_first("SELECT id_base FROM store_position WHERE node = ?", (node,))
}

/// Gives a node the next free base. Of two that come at once, one loses at the unique key, and takes
/// the base after it.
fn register(connection: &mut Conn, node: &str) -> Result<u64, Error> {
    let query = "SELECT (SELECT MAX(id) FROM messages), (SELECT MAX(id_base) FROM store_position)";
    let highest: Option<(Option<u64>, Option<u64>)> = connection.query_first(query)?;
    let (id, base) = highest.unwrap_or_default();
    let id_base = match id.max(base) {
        Some(highest) => ((highest >> ID_BASE_STEP) + 1) << ID_BASE_STEP,
        None => 0,
    };
    let note = "INSERT IGNORE INTO store_position (node, id_base, position, updated_at)
        VALUES (?, ?, 0, UTC_TIMESTAMP(6))";
    connection.exec_drop(note, (node, id_base))?;
    match self::id_base(connection, node)? {
        Some(id_base) => Ok(id_base),
        None => register(connection, node),
    }
}
