//! "After a restart every accepted, unsettled message is delivered", and before a message is
//! delivered, and before its source is acknowledged, "its journal batch was handed to the operating
//! system" (`written`), "... and `fdatasync` returned" (`synced`); `memory` survives a clean stop.
//!
//! A message is done with when its frame is wholly in the socket of a subscriber that does not
//! acknowledge, or when the engine has read the acknowledgement of one that does.

use std::collections::BTreeSet;

use super::{Checker, Facts, Remains, Verdict};
use crate::history::{End, Event, LineId, MessageId, Surviving};

/// See the module.
pub struct Lost {
    facts: Facts,
    /// The present life has read them.
    read: BTreeSet<MessageId>,
    /// The present life has delivered them, or told their source that it has them.
    promised: BTreeSet<MessageId>,
    /// They must be done with in the end.
    owed: BTreeSet<MessageId>,
    /// They have a row: so they were in the journal.
    rows: BTreeSet<MessageId>,
    done: BTreeSet<MessageId>,
}

impl Lost {
    /// Nothing is owed.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            read: BTreeSet::new(),
            promised: BTreeSet::new(),
            owed: BTreeSet::new(),
            rows: BTreeSet::new(),
            done: BTreeSet::new(),
        }
    }

    fn end_life(&mut self, how: End, surviving: &Surviving) -> Verdict {
        let read = std::mem::take(&mut self.read);
        let promised = std::mem::take(&mut self.promised);
        if how == End::Orderly {
            self.owed.extend(read);
        } else if self.facts.is_memory() {
            self.owed.retain(|it| surviving.recorded.contains(it));
        }
        if how != End::Orderly && self.facts.is_memory() {
            return Ok(());
        }
        match promised.difference(&surviving.recorded).next() {
            Some(gone) => Err(format!(
                "m{gone} was delivered or acknowledged, and the journal that survived has it not"
            )),
            None => Ok(()),
        }
    }

    fn message(&self, line: &LineId) -> MessageId {
        self.facts
            .script
            .message(*line)
            .expect("only frames are delivered")
    }
}

impl Checker for Lost {
    fn name(&self) -> &'static str {
        "lost"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Read(line) => self.read.extend(self.facts.script.message(*line)),
            Event::Acknowledged(line) => match self.facts.script.message(*line) {
                // With `memory` it may come late, from a life that is over.
                Some(_) if self.facts.is_memory() => {}
                Some(message) => {
                    self.owed.insert(message);
                    self.promised.insert(message);
                }
                None => {}
            },
            Event::Handed { ack, line, .. } => {
                let message = self.message(line);
                self.promised.insert(message);
                self.owed.insert(message);
                if !ack {
                    self.done.insert(message);
                }
            }
            Event::Settled { line, .. } => drop(self.done.insert(self.message(line))),
            Event::Row { message, .. } => {
                self.owed.insert(*message);
                self.rows.insert(*message);
            }
            Event::Ended { how, surviving, .. } => return self.end_life(*how, surviving),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _remains: &Remains) -> Verdict {
        self.owed.append(&mut self.read);
        if let Some(lost) = self.owed.difference(&self.done).next() {
            return Err(format!("m{lost} was accepted, and is delivered to nobody"));
        }
        Ok(())
    }
}
