//! Agents: the stages as things that do a bounded piece of work when asked, and never block.
//!
//! ```text
//! on_start -> do_work, do_work, ... -> on_close        all on the agent's thread
//! ```

pub mod affinity;
pub(crate) mod background;
pub(crate) mod control;
pub(crate) mod core_list;
pub(crate) mod feedback;
pub(crate) mod heartbeat;
pub(crate) mod idle;
pub(crate) mod pressure;
pub(crate) mod relief;
pub(crate) mod runner;

use std::os::fd::BorrowedFd;

use crate::clock::Now;

/// An error that ends the engine; its message says what happened and what to do.
pub type Fatal = Box<dyn std::error::Error + Send + Sync>;

/// One stage of the pipeline.
pub trait Agent: Send {
    /// The stage's name: the same in threads, counters and logs.
    fn name(&self) -> &'static str;

    /// Called once, before the first duty cycle.
    ///
    /// # Errors
    /// What the engine cannot survive.
    fn on_start(&mut self, _now: Now) -> Result<(), Fatal> {
        Ok(())
    }

    /// One duty cycle: bounded, never blocking. Returns the work count: how much was really done (a
    /// check is not work); zero lets the thread idle.
    ///
    /// # Errors
    /// What the engine cannot survive.
    fn do_work(&mut self, now: Now) -> Result<usize, Fatal>;

    /// Called once, after the last duty cycle; not after an error.
    ///
    /// # Errors
    /// What the engine cannot survive.
    fn on_close(&mut self, _now: Now) -> Result<(), Fatal> {
        Ok(())
    }

    /// A descriptor that becomes readable when the outside world has work for this agent, for the
    /// idle thread to park on.
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
