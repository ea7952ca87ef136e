//! Which ids are an engine's: the 2^48 from its base in `store_position` on.
//!
//! Both stores ask here when a connection begins, under the lock of the position's row; the queries are
//! theirs ([`IdTable`]). A position that was lost is made again: with the base that this process knows,
//! or, after a restart, by finding the journal's rows among those whose base no engine has.

use super::rows::Rows;
use crate::journal::format::Position;
use crate::limits::STORE_SAMPLE_ROWS;

/// Ids of one engine: as many messages as it may ever have.
const ID_BASE_BITS: u32 = 48;

/// Ids of one engine.
pub(super) const ID_BASE_STEP: u64 = 1 << ID_BASE_BITS;

/// The queries about ids.
pub(super) trait IdTable {
    type Error;

    /// The highest id in `[from, to)`.
    fn last_id(&mut self, from: u64, to: u64) -> Result<Option<u64>, Self::Error>;

    /// The lowest id from `from` on.
    fn first_id(&mut self, from: u64) -> Result<Option<u64>, Self::Error>;

    /// Whether an engine has this base.
    fn has_owner(&mut self, id_base: u64) -> Result<bool, Self::Error>;

    /// The highest base that an engine has.
    fn last_base(&mut self) -> Result<Option<u64>, Self::Error>;

    /// Whether this message has this id.
    fn has_row(&mut self, id: u64, message_id: &str) -> Result<bool, Self::Error>;

    /// Gives a node another base.
    fn set_base(&mut self, node: &str, id_base: u64) -> Result<(), Self::Error>;
}

/// What a node is registered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) id_base: u64,
    pub(super) position: Position,
    /// The node was registered before, and its rows are there.
    pub(super) is_known: bool,
}

impl Registration {
    /// Says that a lost position was made again.
    pub(super) fn tell(&self, node: &str) {
        if self.is_known {
            tracing::warn!(
                node,
                position = self.position,
                "the position was gone from store_position, and is made again: the rows are there"
            );
        }
    }
}

/// The highest id of an engine.
pub(super) fn last_id<T: IdTable>(table: &mut T, id_base: u64) -> Result<Option<u64>, T::Error> {
    table.last_id(id_base, id_base + ID_BASE_STEP)
}

/// What a node without a row is registered with: what this process knows of it, if its rows are still
/// there; else a base that nobody has, and nothing followed.
pub(super) fn registration<T: IdTable>(
    table: &mut T,
    known_base: Option<u64>,
    known_position: Option<Position>,
) -> Result<Registration, T::Error> {
    if let (Some(id_base), Some(position)) = (known_base, known_position) {
        let is_known = last_id(table, id_base)?.is_some() && !table.has_owner(id_base)?;
        if is_known {
            return Ok(Registration {
                id_base,
                position,
                is_known,
            });
        }
    }
    Ok(Registration {
        id_base: free_base(table)?,
        position: 0,
        is_known: false,
    })
}

/// Zero for the first engine, else the next multiple of 2^48 behind all ids and bases.
fn free_base<T: IdTable>(table: &mut T) -> Result<u64, T::Error> {
    let id = table.last_id(0, 1 << 63)?;
    let highest = id.max(table.last_base()?);
    Ok(highest.map_or(0, |it| (it / ID_BASE_STEP + 1) * ID_BASE_STEP))
}

/// The bases of rows that no engine has.
pub(super) fn orphans<T: IdTable>(table: &mut T) -> Result<Vec<u64>, T::Error> {
    let mut orphans = Vec::new();
    let mut from = 0;
    while from < 1 << 63 {
        let Some(id) = table.first_id(from)? else {
            break;
        };
        let id_base = id / ID_BASE_STEP * ID_BASE_STEP;
        if !table.has_owner(id_base)? {
            orphans.push(id_base);
        }
        from = id_base + ID_BASE_STEP;
    }
    Ok(orphans)
}

/// Finds which of the orphans' rows are this journal's, and gives their base to the node.
pub(super) fn adopt<T: IdTable>(
    table: &mut T,
    node: &str,
    orphans: &[u64],
    rows: &Rows,
) -> Result<Option<u64>, T::Error> {
    for &id_base in orphans {
        for row in rows.sample(STORE_SAMPLE_ROWS) {
            let message_id = row.record.message_id().value();
            if table.has_row(id_base + row.sequence, &message_id)? {
                table.set_base(node, id_base)?;
                tracing::warn!(
                    node,
                    "the position was gone from store_position: the rows of this journal are known \
                     again, and what is there stays as it is"
                );
                return Ok(Some(id_base));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;
    use crate::journal::testing::{Memory, TestMessage, TestWriter};
    use crate::store::testing::{SEGMENT, gather};

    /// Tables in memory: ids with their messages, nodes with their bases.
    #[derive(Default)]
    struct Tables {
        rows: BTreeMap<u64, String>,
        bases: BTreeMap<String, u64>,
    }

    impl IdTable for Tables {
        type Error = Infallible;

        fn last_id(&mut self, from: u64, to: u64) -> Result<Option<u64>, Infallible> {
            Ok(self.rows.range(from..to).next_back().map(|it| *it.0))
        }

        fn first_id(&mut self, from: u64) -> Result<Option<u64>, Infallible> {
            Ok(self.rows.range(from..).next().map(|it| *it.0))
        }

        fn has_owner(&mut self, id_base: u64) -> Result<bool, Infallible> {
            Ok(self.bases.values().any(|it| *it == id_base))
        }

        fn last_base(&mut self) -> Result<Option<u64>, Infallible> {
            Ok(self.bases.values().max().copied())
        }

        fn has_row(&mut self, id: u64, message_id: &str) -> Result<bool, Infallible> {
            Ok(self.rows.get(&id).is_some_and(|it| it == message_id))
        }

        fn set_base(&mut self, node: &str, id_base: u64) -> Result<(), Infallible> {
            self.bases.insert(node.to_owned(), id_base);
            Ok(())
        }
    }

    fn tables(ids: &[u64], bases: &[u64]) -> Tables {
        let rows = ids.iter().map(|id| (*id, format!("m{id}")));
        let bases = bases.iter().map(|it| (format!("node {it}"), *it));
        Tables {
            rows: rows.collect(),
            bases: bases.collect(),
        }
    }

    fn base(tables: &mut Tables, known: Option<(u64, Position)>) -> (u64, Position) {
        let (known_base, position) = (known.map(|it| it.0), known.map(|it| it.1));
        let Ok(it) = registration(tables, known_base, position);
        (it.id_base, it.position)
    }

    #[test]
    fn a_new_engine_begins_behind_all_ids_and_bases() {
        assert_eq!(base(&mut tables(&[], &[]), None).0, 0);
        assert_eq!(base(&mut tables(&[1, 7], &[]), None).0, ID_BASE_STEP);
        assert_eq!(base(&mut tables(&[], &[0]), None).0, ID_BASE_STEP);
        let mut tables = tables(&[ID_BASE_STEP - 1], &[0, 4 * ID_BASE_STEP]);
        assert_eq!(base(&mut tables, None).0, 5 * ID_BASE_STEP);
    }

    #[test]
    fn a_lost_position_is_made_again_while_its_rows_are_there_and_nobody_has_its_base() {
        let known = Some((ID_BASE_STEP, 900));
        let mut there = tables(&[1, ID_BASE_STEP + 3], &[0]);
        assert_eq!(base(&mut there, known), (ID_BASE_STEP, 900));
        let mut gone = tables(&[1], &[0]);
        assert_eq!(base(&mut gone, known), (ID_BASE_STEP, 0));
        let mut taken = tables(&[1, ID_BASE_STEP + 3], &[0, ID_BASE_STEP]);
        assert_eq!(base(&mut taken, known), (2 * ID_BASE_STEP, 0));
    }

    #[test]
    fn orphans_are_the_bases_with_rows_and_without_an_engine() {
        let top = (1 << 63) - ID_BASE_STEP;
        let ids = [3, 9, ID_BASE_STEP, 7 * ID_BASE_STEP + 1, top + 5];
        let Ok(orphans) = orphans(&mut tables(&ids, &[ID_BASE_STEP]));
        assert_eq!(orphans, [0, 7 * ID_BASE_STEP, top]);
    }

    #[test]
    fn the_orphans_that_hold_a_message_of_this_journal_are_adopted() {
        let memory = Memory::default();
        let mut writer = TestWriter::new(memory.clone(), SEGMENT);
        writer.messages(&[TestMessage::new(1), TestMessage::new(2)]);
        let (rows, _) = gather(&memory, 0);
        let message_id = |sequence: usize| {
            let row = rows.iter().nth(sequence - 1).expect("it is there");
            row.record.message_id().value().into_owned()
        };
        let orphans = [0, ID_BASE_STEP];
        let mut tables = tables(&[1, 2], &[]);
        assert_eq!(adopt(&mut tables, "east", &orphans, &rows), Ok(None));
        tables.rows.insert(ID_BASE_STEP + 2, message_id(2));
        let adopted = adopt(&mut tables, "east", &orphans, &rows);
        assert_eq!(adopted, Ok(Some(ID_BASE_STEP)));
        assert_eq!(tables.bases["east"], ID_BASE_STEP);
    }
}
