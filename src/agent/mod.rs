//! Agents: the stages as things that do a bounded piece of work when asked, and never block.

pub mod affinity;
pub mod background;
pub mod idle;
pub mod pressure;
pub mod pulse;
pub mod relief;
pub mod round_trip;
pub mod runner;

use std::os::fd::BorrowedFd;

use crate::clock::Now;

/// An error that ends the engine; its message says what happened and what to do.
pub type Fatal = Box<dyn std::error::Error + Send + Sync>;

/// One stage of the pipeline.
pub trait Agent: Send {
    /// The stage's name: the same in threads, counters and logs.
    fn name(&self) -> &'static str;

    /// One duty cycle: bounded, never blocking. Returns the work count: how much was really done (a
    /// check is not work); zero lets the thread idle.
    ///
    /// # Errors
    /// What the engine cannot survive.
    fn do_work(&mut self, now: Now) -> Result<usize, Fatal>;

    /// Acts on what an agent of the same thread has just answered, and on nothing else: the rest of
    /// a duty cycle has its time. Returns the work count.
    fn hear_answers(&mut self, _now: Now) -> usize {
        0
    }

    /// A descriptor that becomes readable when the outside world has work for this agent, for the
    /// idle thread to park on.
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
