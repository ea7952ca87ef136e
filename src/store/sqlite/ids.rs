//! The queries about ids ([`IdTable`]).

use rusqlite::Connection;

use crate::store::id_base::IdTable;

/// The tables of an open file.
pub(super) struct Ids<'a>(pub(super) &'a Connection);

impl Ids<'_> {
    fn number(&self, query: &str, values: &[u64]) -> rusqlite::Result<Option<u64>> {
        let values = values.iter().map(|it| it.cast_signed());
        let mut statement = self.0.prepare_cached(query)?;
        let number: Option<i64> =
            statement.query_row(rusqlite::params_from_iter(values), |row| row.get(0))?;
        Ok(number.map(i64::cast_unsigned))
    }
}

impl IdTable for Ids<'_> {
    type Error = rusqlite::Error;

    fn last_id(&mut self, from: u64, to: u64) -> rusqlite::Result<Option<u64>> {
        // The highest id that there can be is 2^63 - 1.
        let query = "SELECT MAX(id) FROM messages WHERE id >= ?1 AND id <= ?2";
        self.number(query, &[from, to - 1])
    }

    fn first_id(&mut self, from: u64) -> rusqlite::Result<Option<u64>> {
        self.number("SELECT MIN(id) FROM messages WHERE id >= ?1", &[from])
    }

    fn has_owner(&mut self, id_base: u64) -> rusqlite::Result<bool> {
        let query = "SELECT 1 FROM store_position WHERE id_base = ?1";
        self.0
            .prepare_cached(query)?
            .exists([id_base.cast_signed()])
    }

    fn last_base(&mut self) -> rusqlite::Result<Option<u64>> {
        self.number("SELECT MAX(id_base) FROM store_position", &[])
    }

    fn has_row(&mut self, id: u64, message_id: &str) -> rusqlite::Result<bool> {
        let query = "SELECT 1 FROM messages WHERE id = ?1 AND messageId = ?2";
        let mut statement = self.0.prepare_cached(query)?;
        statement.exists((id.cast_signed(), message_id))
    }

    fn set_base(&mut self, node: &str, id_base: u64) -> rusqlite::Result<()> {
        let update = "UPDATE store_position SET id_base = ?2 WHERE node = ?1";
        self.0.execute(update, (node, id_base.cast_signed()))?;
        Ok(())
    }
}
