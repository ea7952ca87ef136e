//! Which ids are an engine's: from its base in `store_position` on.
//!
//! Asked when a connection begins. A position that was lost is made again: with what this process
//! knows of it, or else by finding the rows of this journal among those that no engine has.

use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use crate::journal::record::Position;
use crate::limits::STORE_SAMPLE_ROWS;
use crate::store::marks::{Mark, Marks};
use crate::store::rows::Rows;

/// Ids of one engine: as many messages as it may ever have.
const ID_BASE_STEP: u32 = 48;

/// Of two engines that come at once, one loses at the unique key.
const REGISTER: &str = "INSERT IGNORE INTO store_position (node, id_base, position, updated_at)
    VALUES (?, ?, ?, ?)";

const NOW: &str = "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)";

/// The base of a node; `None`: it has no row.
pub(super) fn base_of(connection: &mut Conn, node: &str) -> Result<Option<u64>, Error> {
    connection.exec_first("SELECT id_base FROM store_position WHERE node = ?", (node,))
}

/// The last id of an engine.
pub(super) fn last(connection: &mut Conn, id_base: u64) -> Result<Option<u64>, Error> {
    let query = "SELECT MAX(id) FROM messages WHERE id >= ? AND id < ?";
    let ids = (id_base, id_base + (1 << ID_BASE_STEP));
    let last: Option<Option<u64>> = connection.exec_first(query, ids)?;
    Ok(last.flatten())
}

fn has_owner(connection: &mut Conn, id_base: u64) -> Result<bool, Error> {
    let query = "SELECT 1 FROM store_position WHERE id_base = ?";
    let found: Option<u8> = connection.exec_first(query, (id_base,))?;
    Ok(found.is_some())
}

/// Gives a node its row: where this engine's rows are still there, as it was, else with the next free
/// base and nothing followed. Returns the base.
pub(super) fn register(
    connection: &mut Conn,
    node: &str,
    known_base: Option<u64>,
    marks: &mut Marks,
) -> Result<u64, Error> {
    let stamp: Option<String> = connection.query_first(NOW)?;
    let stamp = stamp.unwrap_or_default();
    let kept = kept(connection, known_base, marks.position())?;
    let (id_base, position) = match kept {
        Some(kept) => kept,
        None => (free_base(connection)?, 0),
    };
    let row = (node, id_base, position, &stamp);
    connection.exec_drop(REGISTER, row)?;
    if connection.affected_rows() == 0 {
        return match base_of(connection, node)? {
            Some(id_base) => Ok(id_base),
            None => register(connection, node, known_base, marks),
        };
    }
    if kept.is_some() {
        tracing::warn!(
            node,
            position,
            "the position was gone from store_position, and is made again: the rows are there"
        );
    }
    marks.made(Mark { position, stamp });
    Ok(id_base)
}

/// What this process knows of its rows, if they are still there.
fn kept(
    connection: &mut Conn,
    known_base: Option<u64>,
    position: Option<Position>,
) -> Result<Option<(u64, Position)>, Error> {
    let (Some(base), Some(position)) = (known_base, position) else {
        return Ok(None);
    };
    let is_there = last(connection, base)?.is_some() && !has_owner(connection, base)?;
    Ok(is_there.then_some((base, position)))
}

fn free_base(connection: &mut Conn) -> Result<u64, Error> {
    let query = "SELECT (SELECT MAX(id) FROM messages), (SELECT MAX(id_base) FROM store_position)";
    let highest: Option<(Option<u64>, Option<u64>)> = connection.query_first(query)?;
    let (id, base) = highest.unwrap_or_default();
    let next = |highest: u64| ((highest >> ID_BASE_STEP) + 1) << ID_BASE_STEP;
    Ok(id.max(base).map_or(0, next))
}

/// The bases of rows that no engine has, for a node that has followed nothing and has no row.
pub(super) fn orphans(connection: &mut Conn, node: &str, id_base: u64) -> Result<Vec<u64>, Error> {
    let position = "SELECT position FROM store_position WHERE node = ?";
    let position: Option<Position> = connection.exec_first(position, (node,))?;
    let mut orphans = Vec::new();
    if position.unwrap_or(0) > 0 || last(connection, id_base)?.is_some() {
        return Ok(orphans);
    }
    let mut from = Some(0_i64);
    while let Some(at) = from {
        let next = "SELECT MIN(id) FROM messages WHERE id >= ?";
        let next: Option<Option<i64>> = connection.exec_first(next, (at,))?;
        let Some(id) = next.flatten() else { break };
        let base = id >> ID_BASE_STEP << ID_BASE_STEP;
        if !has_owner(connection, base.cast_unsigned())? {
            orphans.push(base.cast_unsigned());
        }
        from = base.checked_add(1 << ID_BASE_STEP);
    }
    Ok(orphans)
}

/// Finds which rows that no engine has are this journal's, and takes their base for the node.
pub(super) fn adopt(
    connection: &mut Conn,
    node: &str,
    orphans: &[u64],
    rows: &Rows,
) -> Result<Option<u64>, Error> {
    let same = "SELECT 1 FROM messages WHERE id = ? AND messageId = ?";
    for &base in orphans {
        for row in rows.sample(STORE_SAMPLE_ROWS) {
            let message_id = row.fields().message_id().value().into_owned();
            let found: Option<u8> =
                connection.exec_first(same, (base + row.sequence, message_id))?;
            if found.is_some() {
                let take = "UPDATE store_position SET id_base = ? WHERE node = ?";
                connection.exec_drop(take, (base, node))?;
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
