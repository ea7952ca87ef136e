//! What a database refuses of one transaction, with its reasons.
//!
//! Filled by a [`super::Store`] while it writes; kept aside by [`super::unstored::UnstoredLog`]
//! before the transaction commits.

use std::collections::BTreeMap;

use super::rows::Row;
use crate::journal::format::Settlement;

/// Refused rows and settlements, by sequence.
#[derive(Debug, Default)]
pub(super) struct Refusals<'r> {
    rows: BTreeMap<u64, (Row<'r>, String)>,
    settlements: BTreeMap<u64, (Settlement, String)>,
}

impl<'r> Refusals<'r> {
    /// A row is not stored.
    pub(super) fn row(&mut self, row: Row<'r>, reason: String) {
        self.rows.insert(row.sequence, (row, reason));
    }

    /// A row stays as it is, though its message is settled.
    pub(super) fn settlement(&mut self, settlement: Settlement, reason: String) {
        let refused = (settlement, reason);
        self.settlements.insert(settlement.sequence, refused);
    }

    /// Whether this row was refused.
    pub(super) fn has_row(&self, sequence: u64) -> bool {
        !self.rows.is_empty() && self.rows.contains_key(&sequence)
    }

    /// Whether this settlement was refused.
    pub(super) fn has_settlement(&self, sequence: u64) -> bool {
        !self.settlements.is_empty() && self.settlements.contains_key(&sequence)
    }

    /// The rows, sequences ascending.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Row<'r>, &str)> {
        self.rows.values().map(|(row, reason)| (row, &**reason))
    }

    /// The settlements, sequences ascending.
    pub(super) fn settlements(&self) -> impl Iterator<Item = (&Settlement, &str)> {
        let all = self.settlements.values();
        all.map(|(settlement, reason)| (settlement, &**reason))
    }

    /// The first of all reasons.
    pub(super) fn words(&self) -> Option<&str> {
        let rows = self.rows().map(|it| it.1);
        rows.chain(self.settlements().map(|it| it.1)).next()
    }

    /// How many rows and settlements.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.settlements.len()
    }
}
