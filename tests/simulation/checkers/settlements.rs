//! "Bounded. Every buffer, queue, file set ... has a limit." "Disk full: the engine ... goes on
//! delivering and settling".
//!
//! So: while not even settlements find room, nothing more is handed out than what was on its way
//! already: each frame would be one more settlement that waits in memory, and comes again after a
//! crash.

use flipped_lb::counters::{Counter, Snapshot};

use super::{Checker, Verdict};
use crate::history::Event;

/// See the module.
#[derive(Default)]
pub struct Settlements {
    handed: u64,
    /// Frames that may have been handed over at most, while settlements wait.
    limit: Option<u64>,
}

impl Checker for Settlements {
    fn name(&self) -> &'static str {
        "settlements"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Handed { .. } => self.handed += 1,
            Event::Started => *self = Self::default(),
            _ => {}
        }
        match self.limit {
            Some(limit) if self.handed > limit => {
                Err("a frame was handed out while settlements found no room".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, counters: &Snapshot) -> Verdict {
        match counters.get(Counter::JournalStuck) {
            0 => self.limit = None,
            _ => {
                let in_flight = counters.get(Counter::InFlight);
                self.limit.get_or_insert(self.handed + in_flight);
            }
        }
        Ok(())
    }
}
