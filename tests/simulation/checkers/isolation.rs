//! "Isolation. A slow, dead or absent subscriber [...] hurts only itself: other destinations keep
//! their latency."
//!
//! So: while one delivery agent stands still, the destinations of the others are served. What was
//! read for them is handed over within [`SERVED_NS`], for their subscribers read all the time.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Facts, Verdict};
use crate::history::{Event, LineId, MessageId};
use crate::script::Kind;

/// A message is through within this time, in ns, where nothing goes wrong.
const SERVED_NS: u64 = 2_000_000_000;

/// See the module.
pub struct Isolation {
    facts: Facts,
    /// Messages that were read and not handed over: when, and for which destination.
    waiting: BTreeMap<MessageId, (u64, usize)>,
    /// Messages that were read at any time: their copies are dropped.
    known: BTreeSet<MessageId>,
}

impl Isolation {
    /// Nothing was read.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            waiting: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    fn message(&self, line: LineId) -> Option<(MessageId, usize)> {
        match self.facts.script.line(line).kind {
            Kind::Message {
                id, destination, ..
            } => Some((id, destination)),
            _ => None,
        }
    }
}

impl Checker for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn note(&mut self, event: &Event, now_ns: u64) -> Verdict {
        if self.facts.plan.standstill.is_none() {
            return Ok(());
        }
        match event {
            Event::Read(line) => {
                if let Some((id, destination)) = self.message(*line)
                    && self.known.insert(id)
                {
                    self.waiting.insert(id, (now_ns, destination));
                }
            }
            Event::Handed { line, .. } => {
                if let Some((id, _)) = self.message(*line) {
                    self.waiting.remove(&id);
                }
            }
            Event::StoodStill { spared } => {
                let is_late = |&&(read_ns, destination): &&(u64, usize)| {
                    read_ns + SERVED_NS < now_ns && spared.contains(&destination)
                };
                let late = self.waiting.values().filter(is_late).count();
                if late > 0 {
                    return Err(format!(
                        "{late} messages for {spared:?} waited for an agent that has none of them"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
