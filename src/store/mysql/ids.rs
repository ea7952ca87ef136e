//! The queries about ids ([`IdTable`]), and the row of a node in `store_position`.

use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use crate::store::id_base::{self, IdTable};
use crate::store::ownership::{Ownership, PositionRow};

/// Of two engines that come at once, one loses at the unique key.
const REGISTER: &str = "INSERT IGNORE INTO store_position (node, id_base, position, updated_at)
    VALUES (?, ?, ?, ?)";

const NOW: &str = "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)";

/// The tables of one connection.
pub(super) struct Ids<'a>(pub(super) &'a mut Conn);

impl IdTable for Ids<'_> {
    type Error = Error;

    fn last_id(&mut self, from: u64, to: u64) -> Result<Option<u64>, Error> {
        let query = "SELECT MAX(id) FROM messages WHERE id >= ? AND id < ?";
        let last: Option<Option<u64>> = self.0.exec_first(query, (from, to))?;
        Ok(last.flatten())
    }

    fn first_id(&mut self, from: u64) -> Result<Option<u64>, Error> {
        let query = "SELECT MIN(id) FROM messages WHERE id >= ?";
        let first: Option<Option<u64>> = self.0.exec_first(query, (from,))?;
        Ok(first.flatten())
    }

    fn has_owner(&mut self, id_base: u64) -> Result<bool, Error> {
        let query = "SELECT 1 FROM store_position WHERE id_base = ?";
        let found: Option<u8> = self.0.exec_first(query, (id_base,))?;
        Ok(found.is_some())
    }

    fn last_base(&mut self) -> Result<Option<u64>, Error> {
        let query = "SELECT MAX(id_base) FROM store_position";
        Ok(self.0.query_first::<Option<u64>, _>(query)?.flatten())
    }

    fn has_row(&mut self, id: u64, message_id: &str) -> Result<bool, Error> {
        let query = "SELECT 1 FROM messages WHERE id = ? AND messageId = ?";
        let found: Option<u8> = self.0.exec_first(query, (id, message_id))?;
        Ok(found.is_some())
    }

    fn set_base(&mut self, node: &str, id_base: u64) -> Result<(), Error> {
        let update = "UPDATE store_position SET id_base = ? WHERE node = ?";
        self.0.exec_drop(update, (id_base, node))
    }
}

/// The base of a node; `None`: it has no row.
pub(super) fn base_of(connection: &mut Conn, node: &str) -> Result<Option<u64>, Error> {
    connection.exec_first("SELECT id_base FROM store_position WHERE node = ?", (node,))
}

/// Gives a node its row. Returns the base.
pub(super) fn register(
    connection: &mut Conn,
    node: &str,
    known_base: Option<u64>,
    ownership: &mut Ownership,
) -> Result<u64, Error> {
    let stamp: Option<String> = connection.query_first(NOW)?;
    let stamp = stamp.unwrap_or_default();
    let position = ownership.position();
    let registration = id_base::registration(&mut Ids(connection), known_base, position)?;
    let (id_base, position) = (registration.id_base, registration.position);
    connection.exec_drop(REGISTER, (node, id_base, position, &stamp))?;
    if connection.affected_rows() == 0 {
        return match base_of(connection, node)? {
            Some(id_base) => Ok(id_base),
            None => register(connection, node, known_base, ownership),
        };
    }
    registration.tell(node);
    ownership.registered(PositionRow { position, stamp });
    Ok(id_base)
}

/// The bases of rows that no engine has, for a node that has followed nothing and has no row.
pub(super) fn orphans(connection: &mut Conn, node: &str, id_base: u64) -> Result<Vec<u64>, Error> {
    let query = "SELECT position FROM store_position WHERE node = ?";
    let position: Option<u64> = connection.exec_first(query, (node,))?;
    let mut ids = Ids(connection);
    if position.unwrap_or(0) > 0 || id_base::last_id(&mut ids, id_base)?.is_some() {
        return Ok(Vec::new());
    }
    id_base::orphans(&mut ids)
}
