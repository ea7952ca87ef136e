//! "Order. For one source, destination and level: first in, first out, redelivery included."
//!
//! So: on one connection, and among first deliveries over all of them, the lines of one source for
//! one destination and level only ascend. A copy of what was delivered as another line is no first
//! delivery: with `memory`, it may come after a crash in which the engine forgot that one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Facts, Verdict};
use crate::history::{Event, MessageId};
use crate::script::Kind;

/// A source, a destination, a level.
type Stream = (usize, usize, u8);

/// See the module.
pub struct Order {
    facts: Facts,
    seen: BTreeSet<MessageId>,
    first: BTreeMap<Stream, usize>,
    by_link: BTreeMap<(usize, Stream), usize>,
}

impl Order {
    /// Nothing was delivered.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            seen: BTreeSet::new(),
            first: BTreeMap::new(),
            by_link: BTreeMap::new(),
        }
    }
}

impl Checker for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        let Event::Handed { link, line, .. } = event else {
            return Ok(());
        };
        let Kind::Message {
            id,
            destination,
            level,
        } = self.facts.script.line(*line).kind
        else {
            return Err(format!("{line:?} is wrong, and was delivered"));
        };
        let stream = (line.source, destination, level);
        let last = self.by_link.insert((*link, stream), line.line);
        if let Some(last) = last.filter(|&it| it >= line.line) {
            return Err(format!("{line:?} came behind line {last} on link {link}"));
        }
        if !self.seen.insert(id) {
            return Ok(());
        }
        match self.first.insert(stream, line.line) {
            Some(last) if last >= line.line => Err(format!(
                "{line:?} came, for the first time, behind line {last}"
            )),
            _ => Ok(()),
        }
    }
}
