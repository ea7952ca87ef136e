//! The agents on no thread at all: whoever holds the crank turns them, one duty cycle at a time.
//!
//! Tests use it to see every step; it runs the real agents over real sockets and files.

use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::engine::pipeline::Pipeline;

/// A pipeline to be turned by hand.
pub struct Crank {
    agents: Vec<Box<dyn Agent>>,
}

impl Crank {
    /// Takes the agents, in the order the data flows.
    #[must_use]
    pub fn new(pipeline: Pipeline) -> Self {
        Self {
            agents: pipeline.into_agents(),
        }
    }

    /// One duty cycle of each agent; returns the work count of all.
    ///
    /// # Errors
    /// An agent cannot go on.
    pub fn turn(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = 0;
        for agent in &mut self.agents {
            work_count += agent.do_work(now)?;
        }
        Ok(work_count)
    }
}
