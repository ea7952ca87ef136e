//! "Ageing: a message that has waited `max_wait` of its level moves up one level: low priority is
//! late, never starved, and `check` prints the worst wait." (Section 6.) And while aged messages
//! wait, one of them goes after every four native ones of their level: neither starves the other.
//!
//! So, while a message waits that is among the most urgent of its destination, natively or by its
//! age: of its own kind, only those go before it that were as urgent before; and of the two kinds,
//! at most four native ones go for each aged one, and one aged one for each four native ones.
//! Besides those that were on their way to the subscriber already.
//!
//! When a message comes to be among the most urgent is not seen from outside where a level takes longer
//! than the one below: it comes there at its own age, or behind younger ones that were there before. So
//! one went too early only if the earliest time of it is behind the latest time of the one that waits.
//!
//! A message waits in the engine's queues for certain when one of its source that was read later is
//! delivered, or any, if its source has no line that may hold it up: all messages go through one
//! gate. Who stood longer at the gate than timestamps may be old begins
//! to wait behind it.

use std::collections::{BTreeMap, BTreeSet};

use flipped_lb::limits::NATIVE_PER_AGED;

use super::{Checker, Facts, Verdict};
use crate::history::{Event, LineId, MessageId};
use crate::script::Kind;

/// Messages are ordered by their timestamps, which may be so much older than their arrival, in ns.
const CLAMPED_NS: u64 = 258_000_000;
/// Times are rounded to this, in ns.
const ROUNDED_NS: u64 = 2_000_000;

/// How a message became one of the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// It came as one.
    Level,
    /// It waited for long.
    Age,
}

/// A message that the present life has read.
#[derive(Debug, Clone, Copy)]
struct Urgent {
    by: By,
    /// Not among the most urgent before this time; `u64::MAX`: never.
    earliest_ns: u64,
    /// Among the most urgent from here on; `u64::MAX`: never.
    since_ns: u64,
}

impl Urgent {
    /// Whether it must not go before `other`, which is of its kind.
    fn is_behind(self, other: Self) -> bool {
        self.by == other.by && self.earliest_ns > other.since_ns.saturating_add(CLAMPED_NS)
    }
}

/// A message that is not delivered yet, and what went before it since it is among the most urgent.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    source: usize,
    destination: usize,
    read_ns: u64,
    urgent: Urgent,
    /// How long it waits until it is among the most urgent.
    wait_ns: u64,
    /// It is in the engine's queues.
    is_queued: bool,
    native: u64,
    aged: u64,
    /// Those of its kind that became as urgent later.
    behind: u64,
}

/// See the module.
pub struct Wait {
    facts: Facts,
    waiting: BTreeMap<MessageId, Waiting>,
    /// What the present life has read: when, and how urgent it is.
    urgent: BTreeMap<MessageId, (u64, Urgent)>,
    /// Messages that were read at any time: their copies do not wait.
    known: BTreeSet<MessageId>,
    /// Frames that a subscriber may have on their way, by destination.
    on_their_way: Vec<u64>,
    /// Which sources have lines that may hold up others.
    may_be_held: Vec<bool>,
}

impl Wait {
    /// Nothing waits.
    pub fn new(facts: Facts) -> Self {
        let credit = facts.plan.credit as u64;
        let of = |destination| credit / facts.script.shortest_for(destination) as u64 + 1;
        // A line for a name that may be about to go is taken when that is decided.
        let is_held_by_names = facts.plan.configured.is_some();
        let sources = facts.plan.sources.iter();
        let may_be_held = sources.map(|it| it.wrong > 0 || is_held_by_names);
        Self {
            on_their_way: (0..facts.plan.destinations).map(of).collect(),
            may_be_held: may_be_held.collect(),
            facts,
            waiting: BTreeMap::new(),
            urgent: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// How urgent a message of this level is that is read now.
    fn urgent(&self, level: u8, now_ns: u64) -> Urgent {
        let at = |by, earliest_ns, since_ns| Urgent {
            by,
            earliest_ns,
            since_ns,
        };
        let waits = &self.facts.plan.max_wait_ms[1..usize::from(level)];
        if waits.contains(&0) {
            return at(By::Age, u64::MAX, u64::MAX);
        }
        let Some(least_wait_ms) = waits.iter().max() else {
            return at(By::Level, now_ns, now_ns);
        };
        let earliest_ns = now_ns + least_wait_ms * 1_000_000;
        let since_ns = now_ns + worst_wait_ms(waits) * 1_000_000 + ROUNDED_NS;
        at(By::Age, earliest_ns, since_ns)
    }

    fn begin(&mut self, line: LineId, now_ns: u64) {
        let kind = self.facts.script.line(line).kind;
        let Kind::Message {
            id,
            destination,
            level,
        } = kind
        else {
            return;
        };
        let is_known = !self.known.insert(id);
        if is_known && !self.waiting.contains_key(&id) {
            return;
        }
        // One that waits and is read again may have been lost with the connection before: it waits from
        // now on. Or it was not: before others it counts as what it was first.
        let urgent = self.urgent(level, now_ns);
        self.urgent.entry(id).or_insert((now_ns, urgent));
        if urgent.since_ns < u64::MAX {
            let waiting = Waiting {
                source: line.source,
                destination,
                read_ns: now_ns,
                urgent,
                wait_ns: urgent.since_ns - now_ns,
                is_queued: false,
                native: 0,
                aged: 0,
                behind: 0,
            };
            self.waiting.insert(id, waiting);
        }
    }

    fn note_handed(&mut self, line: LineId, now_ns: u64) -> Verdict {
        let kind = self.facts.script.line(line).kind;
        let Kind::Message {
            id,
            destination,
            level,
        } = kind
        else {
            return Ok(());
        };
        self.waiting.remove(&id);
        // Who was read in an earlier life was as urgent earlier.
        let by = if level == 1 { By::Level } else { By::Age };
        let former = Urgent {
            by,
            earliest_ns: 0,
            since_ns: 0,
        };
        let (read_ns, handed) = self.urgent.get(&id).copied().unwrap_or((0, former));
        let on_their_way = self.on_their_way[destination];
        let levels = u64::from(self.facts.plan.levels);
        for it in self.waiting.values_mut() {
            let is_urgent = it.is_queued && it.urgent.since_ns <= now_ns;
            let may_be_held = self.may_be_held[it.source];
            if it.read_ns < read_ns && (it.source == line.source || !may_be_held) {
                it.note_queued(may_be_held, now_ns);
            }
            if it.destination == destination && is_urgent {
                it.note(handed);
                it.judge(on_their_way, levels)
                    .map_err(|what| format!("{} {what}", it.words(destination, now_ns)))?;
            }
        }
        Ok(())
    }
}

/// Who has waited long for its own level may have waited long enough for the next ones. Where a level
/// takes longer than the one below, it waits there behind younger ones that came before it.
fn worst_wait_ms(waits: &[u64]) -> u64 {
    let mut after_ms = waits.last().copied().unwrap_or(0);
    for pair in waits.windows(2).rev() {
        after_ms = match pair[0] > pair[1] {
            true => after_ms + pair[0] - pair[1],
            false => after_ms.max(pair[0]),
        };
    }
    after_ms
}

impl Waiting {
    /// It has passed the gate. If a wrong line held it up before, it was taken only now.
    fn note_queued(&mut self, may_have_been_held: bool, now_ns: u64) {
        let is_late = now_ns > self.read_ns + CLAMPED_NS && self.wait_ns > 0;
        if !self.is_queued && (is_late || may_have_been_held) {
            self.urgent.since_ns = now_ns + self.wait_ns;
        }
        self.is_queued = true;
    }

    /// This one goes before it.
    fn note(&mut self, handed: Urgent) {
        match handed.by {
            By::Level => self.native += 1,
            By::Age => self.aged += 1,
        }
        self.behind += u64::from(handed.is_behind(self.urgent));
    }

    fn judge(&self, on_their_way: u64, levels: u64) -> Verdict {
        let per_aged = u64::from(NATIVE_PER_AGED);
        // Of each level, so many may have been on their way to somebody who went.
        if self.behind > on_their_way * levels {
            return Err(format!("{} that came to it later went first", self.behind));
        }
        let (native, aged) = (self.native, self.aged);
        let is_fair = match self.urgent.by {
            By::Age => native <= per_aged * (aged + 1) + on_their_way,
            By::Level => aged <= native / per_aged + 1 + on_their_way,
        };
        match is_fair {
            true => Ok(()),
            false => Err(format!("{native} native and {aged} aged ones went first")),
        }
    }

    fn words(&self, destination: usize, now_ns: u64) -> String {
        format!(
            "a message of table{destination} waits for {} ms, and is among the most urgent by its \
             {:?} for {} ms:",
            (now_ns - self.read_ns) / 1_000_000,
            self.urgent.by,
            now_ns.saturating_sub(self.urgent.since_ns) / 1_000_000,
        )
    }
}

impl Checker for Wait {
    fn name(&self) -> &'static str {
        "wait"
    }

    fn note(&mut self, event: &Event, now_ns: u64) -> Verdict {
        match event {
            Event::Handed { line, .. } => return self.note_handed(*line, now_ns),
            Event::Read(line) => self.begin(*line, now_ns),
            // Who waits begins to wait anew, as the engine sees it.
            Event::Ended { .. } => {
                self.waiting.clear();
                self.urgent.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
