//! A round trip: one agent asks, the other answers, and the first acts on the answer, all in one duty
//! cycle of the thread that they share.
//!
//! The scheduler hands a message to the journal, and may deliver it once it is recorded. Turned one
//! after the other, each would see what the other did a whole cycle later, behind a look at every
//! socket.
//!
//! ```text
//!   ingest -> [ scheduler -> journal -> scheduler ] -> delivery
//! ```

use std::os::fd::BorrowedFd;

use super::{Agent, Fatal};
use crate::clock::{Clock, Now};

/// Two agents as one. The second is none that waits for the outside world.
pub struct RoundTrip<C> {
    asks: Box<dyn Agent>,
    answers: Box<dyn Agent>,
    clock: C,
}

impl<C: Clock> RoundTrip<C> {
    /// `clock` is read for the way back.
    pub fn new(asks: Box<dyn Agent>, answers: Box<dyn Agent>, clock: C) -> Self {
        debug_assert!(answers.readiness().is_none());
        Self {
            asks,
            answers,
            clock,
        }
    }
}

impl<C: Clock> Agent for RoundTrip<C> {
    fn name(&self) -> &'static str {
        self.asks.name()
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let asked = self.asks.do_work(now)?;
        let answered = self.answers.do_work(now)?;
        if answered == 0 {
            return Ok(asked);
        }
        let heard = self.asks.hear_answers(self.clock.now());
        Ok(asked + answered + heard)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.asks.readiness()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::ring::{Receiver, Sender, Wake, ring};

    struct Asks {
        questions: Sender<u32>,
        answers: Receiver<u32>,
        next: u32,
        heard: std::sync::mpsc::Sender<(u32, u64)>,
    }

    impl Agent for Asks {
        fn name(&self) -> &'static str {
            "asks"
        }
        fn do_work(&mut self, _: Now) -> Result<usize, Fatal> {
            if self.next == 0 {
                return Ok(0);
            }
            let question = std::mem::take(&mut self.next);
            self.questions.offer(question).expect("there is room");
            self.questions.flush();
            Ok(1)
        }
        fn hear_answers(&mut self, now: Now) -> usize {
            let answer = self.answers.poll().expect("there is one");
            self.heard.send((answer, now.ns)).expect("it is awaited");
            1
        }
    }

    struct Answers {
        questions: Receiver<u32>,
        answers: Sender<u32>,
    }

    impl Agent for Answers {
        fn name(&self) -> &'static str {
            "answers"
        }
        fn do_work(&mut self, _: Now) -> Result<usize, Fatal> {
            let Some(question) = self.questions.poll() else {
                return Ok(0);
            };
            self.answers.offer(question + 1).expect("there is room");
            self.answers.flush();
            Ok(1)
        }
    }

    #[test]
    fn an_answer_is_heard_in_the_cycle_of_its_question() {
        let wake = Wake::new().expect("a descriptor");
        let (ask, questions) = ring(8, &wake);
        let (answer, answers) = ring(8, &wake);
        let (heard, all_heard) = std::sync::mpsc::channel();
        let asks = Asks {
            questions: ask,
            answers,
            next: 41,
            heard,
        };
        let answers = Answers {
            questions,
            answers: answer,
        };
        let clock = SystemClock::start();
        let mut both = RoundTrip::new(Box::new(asks), Box::new(answers), clock.clone());
        let begun = clock.now();
        assert_eq!(both.do_work(begun).expect("nothing fails"), 3);
        let (answer, at_ns) = all_heard.try_recv().expect("it was heard");
        assert_eq!(answer, 42);
        assert!(at_ns >= begun.ns, "by a clock of its own");
        assert_eq!(both.do_work(clock.now()).expect("nothing fails"), 0);
    }
}
