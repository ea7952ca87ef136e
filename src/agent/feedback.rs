//! A feedback pair: one agent hands work to another, and goes on with what that one has done in the
//! same duty cycle of the thread that they share.
//!
//! The scheduler hands a message to the journal, and may deliver it once it is recorded. Turned one
//! after the other, each would see what the other did a whole cycle later, behind a poll of every
//! socket.
//!
//! ```text
//!   ingest -> [ scheduler -> journal -> scheduler ] -> delivery
//! ```

use std::os::fd::BorrowedFd;

use super::{Agent, Fatal};
use crate::clock::{Clock, Now};

/// An agent that can go on within a duty cycle.
pub trait Feedback: Agent {
    /// Goes on with what the other agent has just done, and with nothing else: the rest has its time
    /// in `do_work`. Returns the work count.
    fn poll_feedback(&mut self, now: Now) -> usize;
}

/// Two agents as one. The second one waits for nothing outside.
pub(crate) struct FeedbackPair<C> {
    first: Box<dyn Feedback>,
    second: Box<dyn Agent>,
    clock: C,
}

impl<C: Clock> FeedbackPair<C> {
    /// `clock` is read once more before the first agent goes on.
    pub(crate) fn new(first: Box<dyn Feedback>, second: Box<dyn Agent>, clock: C) -> Self {
        debug_assert!(second.readiness().is_none());
        Self {
            first,
            second,
            clock,
        }
    }
}

impl<C: Clock> Agent for FeedbackPair<C> {
    fn name(&self) -> &'static str {
        self.first.name()
    }

    fn on_start(&mut self, now: Now) -> Result<(), Fatal> {
        self.first.on_start(now)?;
        self.second.on_start(now)
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let first = self.first.do_work(now)?;
        let second = self.second.do_work(now)?;
        if second == 0 {
            return Ok(first);
        }
        let feedback = self.first.poll_feedback(self.clock.now());
        Ok(first + second + feedback)
    }

    fn on_close(&mut self, now: Now) -> Result<(), Fatal> {
        self.first.on_close(now)?;
        self.second.on_close(now)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.first.readiness()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::ring::{Receiver, Sender, Wake, ring};

    struct First {
        questions: Sender<u32>,
        answers: Receiver<u32>,
        next: u32,
        polled: std::sync::mpsc::Sender<(u32, u64)>,
    }

    impl Agent for First {
        fn name(&self) -> &'static str {
            "first"
        }
        fn on_start(&mut self, _: Now) -> Result<(), Fatal> {
            self.next = 41;
            Ok(())
        }
        fn do_work(&mut self, _: Now) -> Result<usize, Fatal> {
            if self.next == 0 {
                return Ok(0);
            }
            let question = std::mem::take(&mut self.next);
            self.questions.claim(1).expect("room").send(question);
            self.questions.flush();
            Ok(1)
        }
    }

    impl Feedback for First {
        fn poll_feedback(&mut self, now: Now) -> usize {
            let answer = self.answers.poll().expect("there is one");
            self.polled.send((answer, now.ns)).expect("it is awaited");
            1
        }
    }

    struct Second {
        questions: Receiver<u32>,
        answers: Sender<u32>,
        is_started: bool,
    }

    impl Agent for Second {
        fn name(&self) -> &'static str {
            "second"
        }
        fn on_start(&mut self, _: Now) -> Result<(), Fatal> {
            self.is_started = true;
            Ok(())
        }
        fn do_work(&mut self, _: Now) -> Result<usize, Fatal> {
            assert!(self.is_started);
            let Some(question) = self.questions.poll() else {
                return Ok(0);
            };
            self.answers.claim(1).expect("room").send(question + 1);
            self.answers.flush();
            Ok(1)
        }
        fn on_close(&mut self, _: Now) -> Result<(), Fatal> {
            Err("closed".into())
        }
    }

    #[test]
    fn an_answer_is_polled_in_the_cycle_of_its_question() {
        let wake = Wake::new().expect("a descriptor");
        let (ask, questions) = ring(8, &wake);
        let (answer, answers) = ring(8, &wake);
        let (polled, all_polled) = std::sync::mpsc::channel();
        let first = First {
            questions: ask,
            answers,
            next: 0,
            polled,
        };
        let second = Second {
            questions,
            answers: answer,
            is_started: false,
        };
        let clock = SystemClock::start();
        let mut pair = FeedbackPair::new(Box::new(first), Box::new(second), clock.clone());
        let started = clock.now();
        pair.on_start(started).expect("nothing fails");
        assert_eq!(pair.do_work(started).expect("nothing fails"), 3);
        let (answer, at_ns) = all_polled.try_recv().expect("it was polled");
        assert_eq!(answer, 42);
        assert!(at_ns >= started.ns, "by a clock of its own");
        assert_eq!(pair.do_work(clock.now()).expect("nothing fails"), 0);
        let closed = pair.on_close(clock.now()).expect_err("both are closed");
        assert_eq!(closed.to_string(), "closed");
    }
}
