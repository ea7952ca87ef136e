//! Changes for an agent that runs: a reload sends one, the agent takes it between two duty cycles.
//!
//! ```text
//! reload --Box<change>--> [ agent: swaps what it has for what is in the box ] --the same box--> reload
//! ```
//! What the agent had comes back in the box, and is freed there. At most one change is under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ring::{Receiver, Sender, Wake, ring};

/// Between two looks whether an agent is done: one takes a duty cycle.
const LOOK: Duration = Duration::from_micros(500);

/// The agent's end.
#[derive(Debug)]
pub(crate) struct Control<T> {
    changes: Receiver<Box<T>>,
    done: Sender<Box<T>>,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Remote<T> {
    changes: Sender<Box<T>>,
    done: Receiver<Box<T>>,
}

/// Makes both ends; `wake` wakes the agent.
pub(crate) fn control<T>(wake: &Arc<Wake>) -> (Remote<T>, Control<T>) {
    let (to_agent, changes) = ring(1, wake);
    // Whoever waits at the other end looks by itself.
    let (done, from_agent) = ring(1, wake);
    let remote = Remote {
        changes: to_agent,
        done: from_agent,
    };
    (remote, Control { changes, done })
}

impl<T> Control<T> {
    /// The change that is to be made now, if there is one; [`Self::finish`] must follow.
    #[inline]
    pub(crate) fn poll(&mut self) -> Option<Box<T>> {
        self.changes.poll()
    }

    /// It was made.
    pub(crate) fn finish(&mut self, change: Box<T>) {
        let permit = self.done.claim(1);
        permit
            .expect("one change is under way at a time")
            .send(change);
    }
}

impl<T> Remote<T> {
    /// Hands a change over; [`Self::wait`] must follow.
    pub(crate) fn send(&mut self, change: T) {
        let permit = self.changes.claim(1);
        permit
            .expect("one change is under way at a time")
            .send(Box::new(change));
        self.changes.flush();
    }

    /// Waits until the agent has made it. `is_over` says whether to give up: the agent is gone. `late` is
    /// called when it has taken longer than `patience`, once.
    pub(crate) fn wait(
        &mut self,
        patience: Duration,
        late: impl FnOnce(),
        is_over: impl Fn() -> bool,
    ) -> Option<Box<T>> {
        let begun = Instant::now();
        let mut late = Some(late);
        loop {
            if let Some(done) = self.done.poll() {
                return Some(done);
            }
            if is_over() {
                return None;
            }
            if begun.elapsed() >= patience
                && let Some(late) = late.take()
            {
                late();
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_change_goes_to_the_agent_and_what_it_had_comes_back() {
        let wake = Wake::new().expect("a descriptor");
        let (mut remote, mut control) = control(&wake);
        assert!(control.poll().is_none());
        remote.send(7);
        let mut had = 3;
        let mut change = control.poll().expect("it was sent");
        std::mem::swap(&mut *change, &mut had);
        control.finish(change);
        let done = remote.wait(Duration::MAX, || unreachable!("it is done"), || false);
        assert_eq!((had, done), (7, Some(Box::new(3))));
    }

    #[test]
    fn an_agent_that_is_gone_is_not_waited_for_and_a_late_one_is_told_once() {
        let wake = Wake::new().expect("a descriptor");
        let (mut remote, _control) = control(&wake);
        remote.send(());
        let (told, looks) = (Cell::new(0), Cell::new(0));
        let is_over = || looks.replace(looks.get() + 1) == 3;
        let done = remote.wait(Duration::ZERO, || told.set(told.get() + 1), is_over);
        assert_eq!((done, told.get()), (None, 1));
    }
}
