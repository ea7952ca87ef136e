//! The checkers: each holds one promise against what happened, as it is seen from outside.
//!
//! None of them asks the engine. Each quotes its promise, from the design's section 4 where nothing
//! else is said.

mod crowd;
mod ends;
mod isolation;
mod kept;
mod log;
mod lost;
mod order;
mod progress;
mod rows;
mod settlements;
mod sums;
mod twice;
mod wait;

use std::rc::Rc;
use std::sync::Arc;

use flipped_lb::config::Durability;
use flipped_lb::counters::Snapshot;

use crate::database::Row;
use crate::history::Event;
use crate::plan::Plan;
use crate::script::Script;

/// What all checkers know of a run.
#[derive(Debug, Clone)]
pub struct Facts {
    pub plan: Rc<Plan>,
    pub script: Arc<Script>,
}

impl Facts {
    pub fn new(plan: &Rc<Plan>, script: &Arc<Script>) -> Self {
        Self {
            plan: Rc::clone(plan),
            script: Arc::clone(script),
        }
    }

    fn is_memory(&self) -> bool {
        self.plan.durability == Durability::Memory
    }
}

/// What is there when a run is over.
pub struct Remains {
    /// The database.
    pub rows: Vec<Row>,
    /// What `rejected.ndjson` and its numbered predecessors keep, and what was taken away of them or
    /// dropped.
    pub rejected: Vec<Vec<u8>>,
    /// Rejected lines that the last life has dropped.
    pub rejected_dropped: u64,
    /// The counters of the last life.
    pub counters: Snapshot,
}

/// A promise broken: what, in words.
pub type Verdict = Result<(), String>;

/// Holds one promise.
pub trait Checker {
    /// Its name, as in reports.
    fn name(&self) -> &'static str;

    /// Something happened, at this time.
    fn note(&mut self, _event: &Event, _now_ns: u64) -> Verdict {
        Ok(())
    }

    /// The counters of this moment.
    fn look(&mut self, _counters: &Snapshot) -> Verdict {
        Ok(())
    }

    /// The run is over.
    fn end(&mut self, _remains: &Remains) -> Verdict {
        Ok(())
    }
}

/// All checkers.
pub fn all(facts: &Facts) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(progress::Progress::default()),
        Box::new(sums::Sums::new(facts.clone())),
        Box::new(twice::Twice::new(facts.clone())),
        Box::new(order::Order::new(facts.clone())),
        Box::new(rows::Rows::new(facts.clone())),
        Box::new(settlements::Settlements::default()),
        Box::new(lost::Lost::new(facts.clone())),
        Box::new(kept::Kept::new(facts.clone())),
        Box::new(wait::Wait::new(facts.clone())),
        Box::new(ends::Ends::default()),
        Box::new(log::Log),
        Box::new(crowd::Crowd),
        Box::new(isolation::Isolation::new(facts.clone())),
    ]
}
