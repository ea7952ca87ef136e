//! "A rejected line ... is kept whole in `rejected.ndjson`, so that nothing is lost." "Every file set
//! has a limit": at it the oldest go, and are counted, where the settings say so.
//!
//! So: a wrong line that its source was told of is in the files, or was, before they were taken away or
//! dropped; and so is, at the end, every one that the last life has read. Its counters say how many it
//! dropped, and that none waits.

use std::collections::BTreeSet;

use flipped_lb::counters::Counter;

use super::{Checker, Facts, Remains, Verdict};
use crate::history::{Event, LineId};
use crate::script::LINE_LEN_MAX;

/// See the module.
pub struct Kept {
    facts: Facts,
    /// Wrong lines whose source was told that they were taken.
    told: BTreeSet<LineId>,
    /// Wrong lines that the present life has read.
    read: BTreeSet<LineId>,
}

impl Kept {
    /// Nothing was read.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            told: BTreeSet::new(),
            read: BTreeSet::new(),
        }
    }

    fn is_wrong(&self, line: LineId) -> bool {
        self.facts.script.message(line).is_none()
    }
}

impl Checker for Kept {
    fn name(&self) -> &'static str {
        "kept"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Acknowledged(line) if self.is_wrong(*line) => drop(self.told.insert(*line)),
            Event::Read(line) if self.is_wrong(*line) => drop(self.read.insert(*line)),
            Event::Started => self.read.clear(),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, remains: &Remains) -> Verdict {
        let kept: BTreeSet<&[u8]> = remains.rejected.iter().map(Vec::as_slice).collect();
        let is_kept = |it: &&LineId| {
            let text = &self.facts.script.line(**it).text;
            kept.contains(&text[..text.len().min(LINE_LEN_MAX)])
        };
        if let Some(line) = self.told.union(&self.read).find(|it| !is_kept(it)) {
            return Err(format!("{line:?} was rejected, and is kept nowhere"));
        }
        let of = |counter| remains.counters.get(counter);
        let told = (of(Counter::RejectedDropped), of(Counter::RejectedWaiting));
        match told == (remains.rejected_dropped, 0) {
            true => Ok(()),
            false => Err(format!(
                "{} rejected lines were dropped; the counters say {told:?} dropped and waiting",
                remains.rejected_dropped
            )),
        }
    }
}
