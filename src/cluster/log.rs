//! The group's stream as a member uses it, and the driver that connects a core to it.
//!
//! ```text
//! engine, journal --events--> [ Driver: core ] --requests--> [ Log ] ==> servers
//!                <-decisions--                 <--events----
//! ```
//!
//! A log does not block. What it cannot do now it forgets: the core asks again. Two things are logs:
//! JetStream, and the one of the simulation.

use super::core::{Decision, Event, Member, Publish};

/// The stream.
pub trait Log {
    /// Publishes exactly this. Answered by `Acked`, `Refused` or `Unknown`, or not at all.
    fn publish(&mut self, publish: &Publish);

    /// Gives the connection up with all that is queued in it, and takes another server.
    fn reconnect(&mut self);

    /// Asks the stream's leader for message n, the one behind it and the stream's bounds.
    fn ask(&mut self, n: u64);

    /// Looks at the stream's settings and bounds.
    fn check(&mut self);

    /// Makes the stream.
    fn create(&mut self);

    /// Removes the stream's messages before this one.
    fn purge(&mut self, before: u64);

    /// Reads on from this sequence, in order; `None`: no more.
    fn read(&mut self, from: Option<u64>);

    /// What came; `None`: nothing for now.
    fn poll(&mut self) -> Option<Event>;
}

/// A core and its log.
#[derive(Debug)]
pub struct Driver<L> {
    /// The core.
    pub member: Member,
    /// The log.
    pub log: L,
}

impl<L: Log> Driver<L> {
    /// Connects a core to a log.
    pub fn new(member: Member, log: L) -> Self {
        Self { member, log }
    }

    /// Takes at most so many events from the log; returns how many came.
    pub fn poll_log(&mut self, events_max: usize, now_us: u64) -> usize {
        let mut count = 0;
        while count < events_max
            && let Some(event) = self.log.poll()
        {
            self.member.on_event(event, now_us);
            count += 1;
        }
        count
    }

    /// The next decision that is not the log's business; those that are, are passed on to it.
    pub fn decision(&mut self) -> Option<Decision> {
        loop {
            match self.member.decision()? {
                Decision::Publish(publish) => self.log.publish(&publish),
                Decision::Reconnect => self.log.reconnect(),
                Decision::Ask(n) => self.log.ask(n),
                Decision::Check => self.log.check(),
                Decision::Create => self.log.create(),
                Decision::Purge(before) => self.log.purge(before),
                Decision::Read(from) => self.log.read(Some(from)),
                Decision::StopReading => self.log.read(None),
                other => return Some(other),
            }
        }
    }
}
