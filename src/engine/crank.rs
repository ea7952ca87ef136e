//! The agents without threads: the caller turns them by hand, one duty cycle at a time.
//!
//! Tests use it to see every step; it runs the real agents over real sockets and files.

use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::engine::pipeline::Pipeline;

/// A pipeline to be turned by hand.
pub struct Crank {
    agents: Vec<Box<dyn Agent>>,
    /// Agents that get no turn.
    stands_still: Vec<bool>,
}

impl Crank {
    /// Starts the agents, in the order the data flows.
    ///
    /// # Errors
    /// An agent cannot start.
    pub fn start(pipeline: Pipeline, now: Now) -> Result<Self, Fatal> {
        let mut agents = pipeline.into_agents();
        for agent in &mut agents {
            agent.on_start(now)?;
        }
        Ok(Self {
            stands_still: vec![false; agents.len()],
            agents,
        })
    }

    /// Gives an agent no more turns, or turns again: ingest, scheduler, journal, replay, retention
    /// and the delivery agents are counted from 0.
    pub fn stand_still(&mut self, agent: usize, stands_still: bool) {
        self.stands_still[agent] = stands_still;
    }

    /// One duty cycle of each agent; returns the work count of all.
    ///
    /// # Errors
    /// An agent cannot go on.
    pub fn turn(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = 0;
        let agents = self.agents.iter_mut().zip(&self.stands_still);
        for (agent, _) in agents.filter(|(_, stands_still)| !**stands_still) {
            work_count += agent.do_work(now)?;
        }
        Ok(work_count)
    }
}
