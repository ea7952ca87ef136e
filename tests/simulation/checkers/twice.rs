//! "A message already settled is not [delivered after a restart] (save those whose settlement was
//! still on its way to the journal: at least once, and the window is milliseconds)." "Once. A
//! messageId is accepted once within the dedup window, across reconnects, sources and restarts."
//! "Whatever may have been seen before ... is announced: `again` stands before the frames it speaks
//! of" (section 3.2).
//!
//! With `memory`, what a crash took is unknown to the engine, and may come again as if it were new.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Facts, Verdict};
use crate::history::{End, Event, LineId, MessageId, Surviving};

/// A settlement is in the journal after this long, if its disk works. Milliseconds, says the promise,
/// of an engine whose agents all run; here they may stand still for seconds.
const WINDOW_NS: u64 = 5_000_000_000;

/// See the module.
pub struct Twice {
    facts: Facts,
    /// They were wholly in a subscriber's socket, and may have been seen.
    handed: BTreeSet<MessageId>,
    /// Settled in this life, at this time.
    settled_at_ns: BTreeMap<MessageId, u64>,
    /// Settled for good.
    settled: BTreeSet<MessageId>,
    /// The journal knows that they are settled; a power loss before an engine has started on it may
    /// still make it forget.
    known: BTreeSet<MessageId>,
    lives: u32,
}

impl Twice {
    /// Nothing was delivered.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            handed: BTreeSet::new(),
            settled_at_ns: BTreeMap::new(),
            settled: BTreeSet::new(),
            known: BTreeSet::new(),
            lives: 0,
        }
    }

    fn message(&self, line: &LineId) -> MessageId {
        self.facts
            .script
            .message(*line)
            .expect("only frames are delivered")
    }

    fn note_handed(&mut self, line: &LineId, ack: bool, announced: bool, now_ns: u64) -> Verdict {
        let message = self.message(line);
        if self.settled.contains(&message) || self.settled_at_ns.contains_key(&message) {
            return Err(format!(
                "m{message} was settled, and is delivered again as {line:?}"
            ));
        }
        let is_new = self.handed.insert(message);
        if !ack {
            self.settled_at_ns.insert(message, now_ns);
        } else if !is_new && !announced {
            return Err(format!(
                "m{message} comes again without a word, as {line:?}"
            ));
        } else if is_new && announced && self.lives == 1 {
            return Err(format!(
                "m{message} is announced, and nobody can have seen it"
            ));
        }
        Ok(())
    }

    fn end_life(
        &mut self,
        how: End,
        surviving: &Surviving,
        well_since_ns: u64,
        now_ns: u64,
    ) -> Verdict {
        for (message, at_ns) in std::mem::take(&mut self.settled_at_ns) {
            let is_late = at_ns.max(well_since_ns) + WINDOW_NS < now_ns;
            // An orderly stop does not wait for a disk that is full.
            let is_ended_well = how == End::Orderly && well_since_ns < at_ns;
            if (is_late || is_ended_well) && !surviving.settled.contains(&message) {
                return Err(format!(
                    "m{message} was settled {} ms before the end, and the journal does not know",
                    (now_ns - at_ns) / 1_000_000
                ));
            }
        }
        self.known.clone_from(&surviving.settled);
        if how != End::Orderly && self.facts.is_memory() {
            self.handed.retain(|it| surviving.recorded.contains(it));
        }
        Ok(())
    }
}

impl Checker for Twice {
    fn name(&self) -> &'static str {
        "twice"
    }

    fn note(&mut self, event: &Event, now_ns: u64) -> Verdict {
        match event {
            Event::Started => {
                self.lives += 1;
                self.settled.append(&mut self.known);
            }
            Event::Handed {
                ack,
                line,
                announced,
                ..
            } => return self.note_handed(line, *ack, *announced, now_ns),
            Event::Settled {
                line,
                is_certain: true,
            } => {
                let message = self.message(line);
                self.settled_at_ns.entry(message).or_insert(now_ns);
            }
            Event::Ended {
                how,
                surviving,
                storage_well_since_ns,
            } => return self.end_life(*how, surviving, *storage_well_since_ns, now_ns),
            _ => {}
        }
        Ok(())
    }
}
