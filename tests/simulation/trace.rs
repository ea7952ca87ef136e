//! What a run leaves: a hash of every step, by which two runs of one seed are compared, and the last
//! events, for people.

use std::collections::VecDeque;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::history::Event;

/// Events that a report shows, unless `FLIPPED_LB_SIMULATION_EVENTS` says otherwise.
const SHOWN: usize = 60;

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hasher: DefaultHasher,
    last: VecDeque<(u64, Event)>,
    shown: usize,
}

impl Trace {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self {
            hasher: DefaultHasher::new(),
            last: VecDeque::new(),
            shown: crate::setting("EVENTS").map_or(SHOWN, |it| it as usize),
        }
    }

    /// A step was made.
    pub fn step(&mut self, step: impl Hash) {
        step.hash(&mut self.hasher);
    }

    /// Something happened.
    pub fn note(&mut self, now_ns: u64, event: Event) {
        (now_ns, &event).hash(&mut self.hasher);
        if self.last.len() == self.shown {
            self.last.pop_front();
        }
        self.last.push_back((now_ns, event));
    }

    /// What stands for all of it.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last events, a line each.
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for (at_ns, event) in &self.last {
            let event = match event {
                Event::Ended { how, surviving, .. } => format!(
                    "Ended({how:?}), the journal has {} messages, {} of them settled",
                    surviving.recorded.len(),
                    surviving.settled.len()
                ),
                other => format!("{other:?}"),
            };
            let ms = *at_ns as f64 / 1e6;
            writeln!(text, "{ms:>12.3} ms  {event}").expect("a String takes all");
        }
        text
    }
}
