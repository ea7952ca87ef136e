//! The frames of one connection on their way to subjects, in order: of each subject one is unanswered.
//!
//! The session feeds it frames and answers; it gives what is to be published next, and how many frames
//! are to be acknowledged to the engine. Values only.
//!
//! ```text
//! engine   1:a  2:b  3:a  4:a  5:b          frames, by subject
//! subject a:    [1] 3 4      b: [2] 5       [unanswered]
//! answered 2 -> 5 is published; 1 holds up the acknowledgement, which counts from the first
//! ```
//! So a subject's stream has them in order, whatever becomes of an answer: the next one is not sent
//! before.

use std::collections::{HashMap, VecDeque};

use crate::message::frame_mark::FrameMark;

/// See the module. `M` is what is published.
#[derive(Debug)]
pub(super) struct Outgoing<M> {
    /// Frames behind the acknowledged ones.
    frames: VecDeque<Frame>,
    acknowledged: u64,
    /// By subject, those that wait behind the unanswered one.
    waiting: HashMap<String, VecDeque<(u64, M)>>,
}

/// A frame that is not acknowledged.
#[derive(Debug)]
struct Frame {
    mark: FrameMark,
    is_answered: bool,
}

/// What is to be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next<M> {
    /// The frame's number.
    pub(super) number: u64,
    pub(super) subject: String,
    pub(super) message: M,
}

impl<M> Default for Outgoing<M> {
    fn default() -> Self {
        Self {
            frames: VecDeque::new(),
            acknowledged: 0,
            waiting: HashMap::new(),
        }
    }
}

impl<M> Outgoing<M> {
    /// Takes the next frame; gives it back where it is its subject's turn.
    pub(super) fn add(&mut self, mark: FrameMark, subject: String, message: M) -> Option<Next<M>> {
        let is_answered = false;
        self.frames.push_back(Frame { mark, is_answered });
        let number = self.acknowledged + self.frames.len() as u64;
        if let Some(waiting) = self.waiting.get_mut(&subject) {
            waiting.push_back((number, message));
            return None;
        }
        self.waiting.insert(subject.clone(), VecDeque::new());
        Some(Next {
            number,
            subject,
            message,
        })
    }

    /// Takes a frame that its stream has.
    pub(super) fn add_answered(&mut self, mark: FrameMark) {
        let is_answered = true;
        self.frames.push_back(Frame { mark, is_answered });
    }

    /// The unanswered frame of a subject is answered; gives its next one.
    pub(super) fn answered(&mut self, number: u64, subject: String) -> Option<Next<M>> {
        let at = number.checked_sub(self.acknowledged + 1);
        let frame = at.and_then(|at| self.frames.get_mut(at as usize));
        let before = frame.map(|it| std::mem::replace(&mut it.is_answered, true));
        assert_eq!(before, Some(false), "each is answered once");
        let waiting = self.waiting.get_mut(&subject);
        let waiting = waiting.expect("a frame of the subject was unanswered");
        match waiting.pop_front() {
            Some((number, message)) => Some(Next {
                number,
                subject,
                message,
            }),
            None => {
                self.waiting.remove(&subject);
                None
            }
        }
    }

    /// How many frames are done with, if these are more than before.
    pub(super) fn acknowledge(&mut self) -> Option<u64> {
        let done = self.frames.iter().take_while(|it| it.is_answered).count();
        self.frames.drain(..done);
        self.acknowledged += done as u64;
        (done > 0).then_some(self.acknowledged)
    }

    /// The frames that their streams have, and that the engine was not told of.
    pub(super) fn answered_marks(&self) -> impl Iterator<Item = FrameMark> {
        let answered = self.frames.iter().filter(|it| it.is_answered);
        answered.map(|it| it.mark)
    }

    /// Whether frames are on their way.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(number: u64, subject: &str) -> Option<Next<u64>> {
        Some(Next {
            number,
            subject: subject.to_owned(),
            message: number,
        })
    }

    #[test]
    fn a_subject_has_one_unanswered_and_the_first_holds_up_the_acknowledgement() {
        let mut outgoing = Outgoing::default();
        let mut add =
            |number: u64, subject: &str| outgoing.add([number; 2], subject.to_owned(), number);
        assert_eq!(add(1, "a"), next(1, "a"));
        assert_eq!(add(2, "b"), next(2, "b"));
        assert_eq!((add(3, "a"), add(4, "a"), add(5, "b")), (None, None, None));
        assert_eq!(outgoing.answered(2, "b".to_owned()), next(5, "b"));
        assert_eq!(outgoing.acknowledge(), None);
        assert_eq!(outgoing.answered_marks().collect::<Vec<_>>(), [[2, 2]]);
        assert_eq!(outgoing.answered(1, "a".to_owned()), next(3, "a"));
        assert_eq!(outgoing.acknowledge(), Some(2));
        assert_eq!(outgoing.answered(5, "b".to_owned()), None);
        assert_eq!(outgoing.answered(3, "a".to_owned()), next(4, "a"));
        assert_eq!(outgoing.acknowledge(), Some(3));
        assert_eq!(outgoing.answered(4, "a".to_owned()), None);
        assert_eq!(outgoing.acknowledge(), Some(5));
        assert!(outgoing.is_empty() && outgoing.acknowledge().is_none());
        assert_eq!(
            outgoing.add([6, 6], "a".to_owned(), 6),
            next(6, "a"),
            "nothing is left of it"
        );
        outgoing.add_answered([7, 7]);
        assert_eq!(
            (outgoing.answered(6, "a".to_owned()), outgoing.acknowledge()),
            (None, Some(7))
        );
    }

    proptest! {
        /// Answers come in any order: each subject's frames go out in theirs, one at a time, and what
        /// is acknowledged are the frames from the first one on.
        #[test]
        fn whatever_the_answers_order(steps in prop::collection::vec((0_u8..3, any::<bool>(), 0_usize..4), 0..80)) {
            let mut outgoing = Outgoing::default();
            let (mut unanswered, mut published) = (Vec::new(), Vec::new());
            let (mut added, mut done, mut acknowledged) = (0_u64, Vec::new(), 0);
            for (subject, is_answer, which) in steps {
                let next = if is_answer && !unanswered.is_empty() {
                    let (number, subject): (u64, String) = unanswered.remove(which % unanswered.len());
                    done.push(number);
                    outgoing.answered(number, subject)
                } else {
                    added += 1;
                    outgoing.add([added; 2], subject.to_string(), added)
                };
                if let Some(next) = next {
                    prop_assert_eq!(next.number, next.message);
                    prop_assert!(unanswered.iter().all(|(_, subject)| *subject != next.subject));
                    published.push((next.subject.clone(), next.number));
                    unanswered.push((next.number, next.subject));
                }
                acknowledged = outgoing.acknowledge().unwrap_or(acknowledged);
                let expected = (1..=added).take_while(|it| done.contains(it)).count() as u64;
                prop_assert_eq!(acknowledged, expected);
                for subject in ["0", "1", "2"] {
                    let of: Vec<_> = published.iter().filter(|it| it.0 == subject).collect();
                    prop_assert!(of.is_sorted());
                }
            }
        }
    }
}
