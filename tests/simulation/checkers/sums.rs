//! "Nothing vanishes. received = accepted + duplicates + rejected, and accepted = settled + queued +
//! in flight, at every moment, in the counters."
//!
//! And they are true: at the end, when all is read, as many lines were received as the sources saw
//! the engine read, and as many rejected as were wrong.

use flipped_lb::counters::{Counter, Snapshot};

use super::{Checker, Facts, Remains, Verdict};
use crate::history::Event;

/// See the module.
pub struct Sums {
    facts: Facts,
    /// Lines that the present life has read.
    read: u64,
    wrong: u64,
}

impl Sums {
    /// No life yet.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            read: 0,
            wrong: 0,
        }
    }
}

impl Checker for Sums {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Started => (self.read, self.wrong) = (0, 0),
            Event::Read(line) => {
                self.read += 1;
                self.wrong += u64::from(self.facts.script.message(*line).is_none());
            }
            // Nobody knows what it would have been, and it is kept.
            Event::CutOff(_) => (self.read, self.wrong) = (self.read + 1, self.wrong + 1),
            _ => {}
        }
        Ok(())
    }

    fn look(&mut self, counters: &Snapshot) -> Verdict {
        let of = |counter| counters.get(counter);
        let fates = of(Counter::Accepted) + of(Counter::Duplicates) + of(Counter::Rejected);
        if of(Counter::Received) != fates {
            return Err(format!(
                "received {}, but {fates} fates",
                of(Counter::Received)
            ));
        }
        let places = of(Counter::Settled) + of(Counter::Queued) + of(Counter::InFlight);
        if of(Counter::Accepted) != places {
            return Err(format!(
                "accepted {}, but {places} places",
                of(Counter::Accepted)
            ));
        }
        Ok(())
    }

    fn end(&mut self, remains: &Remains) -> Verdict {
        self.look(&remains.counters)?;
        let of = |counter| remains.counters.get(counter);
        let read = of(Counter::Received) - of(Counter::Recovered);
        if (read, of(Counter::Rejected)) != (self.read, self.wrong) {
            return Err(format!(
                "{read} received and {} rejected, but {} lines were read and {} of them wrong",
                of(Counter::Rejected),
                self.read,
                self.wrong,
            ));
        }
        Ok(())
    }
}
