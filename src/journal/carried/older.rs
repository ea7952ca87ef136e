//! Carried messages for whoever reads a journal from its first segment on: those that came nowhere else.

use std::collections::BTreeSet;

use crate::journal::batch::{Batch, JournalRecord};
use crate::message::Sequence;

/// What was met so far.
#[derive(Debug, Default)]
pub(crate) struct Older {
    /// The first message that came in its own place: all behind it did.
    first: Option<Sequence>,
    met: BTreeSet<Sequence>,
}

impl Older {
    /// The messages that a batch carries and that were not met before.
    pub(crate) fn of<'a>(&mut self, batch: &Batch<'a>) -> Vec<JournalRecord<'a>> {
        if self.first.is_none() {
            self.first = batch.records().next().map(|it| it.sequence);
        }
        let first = self.first.unwrap_or(Sequence::MAX);
        let carried = batch.carried().map(|it| it.record);
        carried
            .filter(|it| it.sequence < first && self.met.insert(it.sequence))
            .collect()
    }
}
