//! "Rows and position commit in one transaction, so a crash anywhere gives each message exactly one
//! row." "`status` is INGESTED, then DELIVERED." "Down, slow or restarted: the lag grows on disk ...
//! and all of it arrives later." (Section 8.)

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Facts, Remains, Verdict};
use crate::history::{End, Event, MessageId};

/// See the module.
pub struct Rows {
    facts: Facts,
    rows: BTreeMap<u64, MessageId>,
    with_row: BTreeSet<MessageId>,
    /// They were delivered, so they must have a row in the end.
    delivered: BTreeSet<MessageId>,
}

impl Rows {
    /// An empty database.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            rows: BTreeMap::new(),
            with_row: BTreeSet::new(),
            delivered: BTreeSet::new(),
        }
    }
}

impl Checker for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Row { sequence, message } => {
                if let Some(other) = self.rows.insert(*sequence, *message) {
                    return Err(format!(
                        "sequence {sequence} is m{other}, and now m{message}"
                    ));
                }
                if !self.with_row.insert(*message) {
                    return Err(format!("m{message} has a second row, {sequence}"));
                }
            }
            Event::RowDelivered { sequence } if !self.rows.contains_key(sequence) => {
                return Err(format!("row {sequence} is delivered, and is not there"));
            }
            Event::Handed { line, .. } => self.delivered.extend(self.facts.script.message(*line)),
            Event::Ended { how, surviving, .. }
                if *how != End::Orderly && self.facts.is_memory() =>
            {
                self.delivered.retain(|it| surviving.recorded.contains(it));
            }
            Event::StoreStopped(error) => return Err(error.clone()),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, remains: &Remains) -> Verdict {
        if let Some(message) = self.delivered.difference(&self.with_row).next() {
            return Err(format!("m{message} was delivered, and has no row"));
        }
        match remains.rows.iter().find(|it| !it.is_delivered) {
            Some(row) => Err(format!(
                "the row of m{} does not say DELIVERED",
                row.message
            )),
            None => Ok(()),
        }
    }
}
