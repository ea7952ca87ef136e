//! What one source or destination tells of itself: counters, `/readyz` and `/stats`, the log.

use std::cell::RefCell;
use std::sync::Arc;

use tracing::{info, warn};

use crate::clock::{Clock, SystemClock, wall_us};
use crate::counters::{Counter, Counters};
use crate::escape::Escaped;
use crate::faults::LinkFigures;
use crate::log_limit::LogLimit;

/// See the module.
pub(super) struct Link {
    /// `source nats://host:4222/ORDERS/durable`, `destination west-* at nats://host:4222`.
    name: String,
    counters: Arc<Counters>,
    figures: Arc<LinkFigures>,
    clock: SystemClock,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    works: bool,
    /// What it waits for is a message's answer.
    is_stuck: bool,
    /// It did at some time since [`Link::has_worked`] was asked.
    has_worked: bool,
    /// Why it does not, as it was told last.
    why: Option<String>,
    log: LogLimit,
}

impl Link {
    pub(super) fn new(name: String, counters: Arc<Counters>, clock: SystemClock) -> Self {
        let link = Self {
            figures: counters.faults().figures(&name),
            name,
            counters,
            clock,
            state: RefCell::default(),
        };
        let waits = Some("it is not connected yet");
        link.counters
            .faults()
            .set_link(&link.name, wall_us(), waits);
        link
    }

    /// Another one, beside this one.
    pub(super) fn beside(&self, name: String) -> Self {
        Self::new(name, Arc::clone(&self.counters), self.clock.clone())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.add(counter, 1);
    }

    /// So many messages are the other side's: a stream's are the engine's, a destination's the stream's.
    pub(super) fn acknowledged(&self, messages: u64) {
        self.figures.add_acknowledged(messages);
    }

    /// A connection or a message has failed.
    pub(super) fn failed(&self, counter: Counter) {
        self.count(counter);
        self.figures.add_failure();
    }

    /// It does what it is for.
    pub(super) fn works(&self) {
        let mut state = self.state.borrow_mut();
        state.has_worked = true;
        if std::mem::replace(&mut state.works, true) {
            return;
        }
        (state.why, state.is_stuck) = (None, false);
        self.counters.add(Counter::NatsConnected, 1);
        self.counters.faults().set_link(&self.name, wall_us(), None);
        if let Some(more) = state.log.admit(self.clock.now()) {
            info!("{} works{more}", self.name);
        }
    }

    /// It is connected and may begin. What a subject waits for is not told away by that: only the next
    /// answer shows.
    pub(super) fn begins(&self) {
        if !self.state.borrow().is_stuck {
            self.works();
        }
    }

    /// A message is not taken, for this reason.
    pub(super) fn stuck(&self, why: &str) {
        self.waits(why);
        self.state.borrow_mut().is_stuck = true;
    }

    /// A destination of its pattern goes on by itself; the others work.
    pub(super) fn set_aside(&self, destination: &str) {
        let mut state = self.state.borrow_mut();
        (state.is_stuck, state.has_worked) = (false, true);
        if let Some(more) = state.log.admit(self.clock.now()) {
            let destination = Escaped(destination);
            warn!(
                "{}: {destination} is refused, and goes on by itself{more}",
                self.name
            );
        }
    }

    /// Why it does not work, if that is known.
    pub(super) fn why(&self) -> Option<String> {
        self.state.borrow().why.clone()
    }

    /// Whether it has worked since this was asked last.
    pub(super) fn has_worked(&self) -> bool {
        std::mem::take(&mut self.state.borrow_mut().has_worked)
    }

    /// It waits for something.
    pub(super) fn waits(&self, why: &str) {
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.works) {
            self.counters.subtract(Counter::NatsConnected, 1);
        }
        if state.why.as_deref() == Some(why) {
            return;
        }
        state.why = Some(why.to_owned());
        self.counters
            .faults()
            .set_link(&self.name, wall_us(), Some(why));
        if let Some(more) = state.log.admit(self.clock.now()) {
            warn!("{} waits: {}{more}", self.name, Escaped(why));
        }
    }
}

/// It is shown no more.
impl Drop for Link {
    fn drop(&mut self) {
        if self.state.borrow().works {
            self.counters.subtract(Counter::NatsConnected, 1);
        }
        self.counters.faults().forget_link(&self.name);
    }
}
