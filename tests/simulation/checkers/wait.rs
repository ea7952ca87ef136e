//! "Ageing: a message that has waited `max_wait` of its level moves up one level: low priority is
//! late, never starved, and `check` prints the worst wait." (Section 6.)
//!
//! So: once a message has waited as long as it takes to reach level 1, at most four that became as
//! urgent later go before it for each that was as urgent earlier, besides those that were on their
//! way already.

use std::collections::{BTreeMap, BTreeSet};

use flipped_lb::limits::NATIVE_PER_AGED;

use super::{Checker, Facts, Verdict};
use crate::history::{Event, LineId, MessageId};
use crate::script::Kind;

/// Frames of a subscriber's credit, at most: the shortest has more bytes than this.
const FRAME_LEN_MIN: usize = 100;
/// Agents may stand still for this long, in ns.
const SLACK_NS: u64 = 3_000_000_000;

/// A message that is not delivered yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    destination: usize,
    /// The engine read it at this time.
    read_ns: u64,
    /// From here on it is among the most urgent.
    urgent_ns: u64,
    /// Those that were handed over since, and were as urgent earlier or later.
    earlier: u64,
    later: u64,
}

/// See the module.
pub struct Wait {
    facts: Facts,
    waiting: BTreeMap<MessageId, Waiting>,
    /// Messages that were read at any time: their copies do not wait.
    known: BTreeSet<MessageId>,
}

impl Wait {
    /// Nothing waits.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            waiting: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// How long a message of this level waits until it is at level 1; `None`: it may never be.
    fn worst_ns(&self, level: u8) -> Option<u64> {
        let waits = &self.facts.plan.max_wait_ms[1..usize::from(level)];
        let moves = waits.iter().all(|&it| it > 0);
        moves.then(|| waits.iter().max().copied().unwrap_or(0) * 1_000_000)
    }

    fn begin(&mut self, event: &Event, now_ns: u64) {
        let Event::Read(line) = event else { return };
        let Kind::Message {
            id,
            destination,
            level,
        } = self.facts.script.line(*line).kind
        else {
            return;
        };
        if let (true, Some(worst_ns)) = (self.known.insert(id), self.worst_ns(level)) {
            let waiting = Waiting {
                destination,
                read_ns: now_ns,
                urgent_ns: now_ns + worst_ns,
                earlier: 0,
                later: 0,
            };
            self.waiting.insert(id, waiting);
        }
    }

    fn note_handed(&mut self, line: LineId, now_ns: u64) -> Verdict {
        let Kind::Message {
            id,
            destination,
            level,
        } = self.facts.script.line(line).kind
        else {
            return Ok(());
        };
        // Who was read in an earlier life, or is delivered again, was as urgent earlier; who never
        // reaches level 1 never is.
        let handed_ns = match (self.waiting.remove(&id), self.worst_ns(level)) {
            (Some(handed), _) => handed.urgent_ns,
            (None, Some(_)) => 0,
            (None, None) => u64::MAX,
        };
        let on_their_way = (self.facts.plan.credit / FRAME_LEN_MIN) as u64;
        let of_it = |it: &&mut Waiting| it.destination == destination;
        for it in self.waiting.values_mut().filter(of_it) {
            if it.urgent_ns + SLACK_NS > now_ns {
                continue;
            }
            match handed_ns > it.urgent_ns {
                true => it.later += 1,
                false => it.earlier += 1,
            }
            if it.later > u64::from(NATIVE_PER_AGED) * (it.earlier + 1) + on_their_way {
                return Err(format!(
                    "a message of table{destination} waits for {} ms, and {} less urgent ones went \
                     before it",
                    (now_ns - it.read_ns) / 1_000_000,
                    it.later,
                ));
            }
        }
        Ok(())
    }
}

impl Checker for Wait {
    fn name(&self) -> &'static str {
        "wait"
    }

    fn note(&mut self, event: &Event, now_ns: u64) -> Verdict {
        match event {
            Event::Handed { line, .. } => self.note_handed(*line, now_ns),
            // Who waits begins to wait anew, as the engine sees it: from its arrival on, still, but
            // nobody knows which were on their way.
            Event::Ended { .. } => {
                self.waiting.clear();
                Ok(())
            }
            _ => {
                self.begin(event, now_ns);
                Ok(())
            }
        }
    }
}
