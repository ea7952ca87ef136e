//! The state of one source or destination, for counters, `/readyz`, `/stats` and the log.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{Clock, Now, SystemClock, wall_us};
use crate::counters::{Counter, Counters};
use crate::escape::Escaped;
use crate::faults::LinkFigures;
use crate::limits::LOG_WINDOW_NS;
use crate::log_limit::{LeftOut, LogLimit};

/// See the module.
pub(super) struct Link {
    /// `source nats://host:4222/ORDERS/durable`, `destination west-* at nats://host:4222`.
    name: Rc<str>,
    counters: Arc<Counters>,
    figures: Arc<LinkFigures>,
    clock: SystemClock,
    state: Rc<RefCell<State>>,
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
    /// A task will tell what is left out.
    is_told_later: bool,
}

impl State {
    /// What is to be told of lines that were left out: how often it has changed, and how it is now.
    fn overdue(&mut self, now: Now) -> Option<(u64, String)> {
        let count = self.log.overdue(now)?.count;
        let how = match &self.why {
            Some(why) => format!("now it waits: {}", Escaped(why)),
            None => "now it works".to_owned(),
        };
        Some((count, how))
    }
}

impl Link {
    pub(super) fn new(name: String, counters: Arc<Counters>, clock: SystemClock) -> Self {
        let link = Self {
            figures: counters.faults().figures(&name),
            name: name.into(),
            counters,
            clock,
            state: Rc::default(),
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
        if let Some(more) = self.admit(&mut state) {
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
        if let Some(more) = self.admit(&mut state) {
            let destination = Escaped(destination);
            warn!(
                "{}: {destination} is refused, and goes on by itself{more}",
                self.name
            );
        }
    }

    /// A stream had a message of this id that was published for the first time: its duplicate window is longer
    /// than the engine's, or somebody else publishes the same ids.
    pub(super) fn had_already(&self, subject: &str) {
        let mut state = self.state.borrow_mut();
        if let Some(more) = self.admit(&mut state) {
            let subject = Escaped(subject);
            warn!(
                "{}: a stream had a message of its id and has not stored the one for {subject}; is its duplicate \
                 window longer than [dedup] window, or does somebody else publish the same ids?{more}",
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
        if let Some(more) = self.admit(&mut state) {
            warn!("{} waits: {}{more}", self.name, Escaped(why));
        }
    }

    /// Whether a line may be written now. What is left out is told when the limit's time is over.
    fn admit(&self, state: &mut State) -> Option<LeftOut> {
        let admitted = state.log.admit(self.clock.now());
        if admitted.is_none() && !std::mem::replace(&mut state.is_told_later, true) {
            self.tell_later();
        }
        admitted
    }

    fn tell_later(&self) {
        let (name, clock) = (Rc::clone(&self.name), self.clock.clone());
        let state = Rc::downgrade(&self.state);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(Duration::from_nanos(LOG_WINDOW_NS)).await;
                let Some(state) = state.upgrade() else {
                    return;
                };
                let mut state = state.borrow_mut();
                if let Some((count, how)) = state.overdue(clock.now()) {
                    warn!(count, "{name} has changed again and again; {how}");
                }
                if !state.log.has_left_out() {
                    state.is_told_later = false;
                    return;
                }
            }
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;

    #[test]
    fn what_was_left_out_is_told_with_how_it_is_now() {
        let mut state = State::default();
        for _ in 0..9 {
            let _ = state.log.admit(at(0));
        }
        assert_eq!(state.overdue(at(LOG_WINDOW_NS - 1)), None);
        state.why = Some("no route".to_owned());
        let told = state.overdue(at(LOG_WINDOW_NS));
        assert_eq!(told, Some((4, "now it waits: no route".to_owned())));
        assert_eq!(state.overdue(at(9 * LOG_WINDOW_NS)), None);
    }
}
