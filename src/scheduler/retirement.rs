//! Retirement: which of the names that messages and subscribers created may go, and what the other
//! agents say to it.
//!
//! The scheduler feeds it counts of a name at a time, and the agents' answers; it says which name to
//! ask the agents about, and what becomes of it. A hand goes round all created names, one round in a
//! minute, more where room is short: who was not used since the last round may go. So nothing is noted
//! on the path of a message. It changes nothing itself.
//!
//! ```text
//! hand --> ask all agents --> all have answered --> goes --> its subscribers' agents know --> Free
//!                        '--> no, or not in time --> Stays
//! ```

use crate::clock::Now;
use crate::limits::{
    RETIRE_ANSWER_NS, RETIRE_UNUSED_NS, RETIRE_UNUSED_OVER_HALF_NS, RETIRING_LOOKS, RETIRING_MAX,
    RETIRING_REST_NS,
};
use crate::message::DestinationIndex;

/// What the hand sees of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    /// Messages accepted for it.
    pub(crate) accepted: u64,
    /// Nothing is left of it: no message, and no subscriber but by patterns.
    pub(crate) is_idle: bool,
}

/// What has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// All agents have forgotten the name, and let it go.
    MayGo(DestinationIndex),
    /// An agent needs it, or has not answered in time.
    Stays(DestinationIndex),
    /// The name is gone from all agents.
    Free(DestinationIndex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// All agents are asked; it stays if they have not answered by then, in ns.
    Asked { until_ns: u64 },
    /// It was decided that it stays; some answers are still on their way.
    Kept,
    /// It is gone; the agents of its subscribers are told.
    Ending,
}

#[derive(Debug)]
struct Retiring {
    destination: DestinationIndex,
    step: Step,
    answers_left: usize,
    may_go: bool,
}

/// The core.
#[derive(Debug)]
pub(crate) struct Retirement {
    /// Names below were configured, and stay.
    configured: DestinationIndex,
    /// Agents that are asked.
    agents: usize,
    /// By created name: messages accepted when the hand passed last.
    passed: Vec<u64>,
    hand: DestinationIndex,
    /// The hand has passed all names, and when, in ns: so two looks at a name are as far apart as two
    /// rounds.
    is_round_over: bool,
    round_over_ns: u64,
    /// Names that the hand passes before it rests, and until when it does, in ns.
    looks_left: usize,
    rests_until_ns: u64,
    retiring: Vec<Retiring>,
}

/// The hand has not passed it yet.
const UNSEEN: u64 = u64::MAX;

impl Retirement {
    /// Ingest and so many delivery agents are asked.
    pub(crate) fn new(configured: DestinationIndex, deliveries: usize) -> Self {
        Self {
            configured,
            agents: 1 + deliveries,
            passed: Vec::new(),
            hand: configured,
            is_round_over: false,
            round_over_ns: 0,
            looks_left: 0,
            rests_until_ns: 0,
            retiring: Vec::with_capacity(RETIRING_MAX),
        }
    }

    /// Reserves memory for so many destinations.
    pub(crate) fn reserve(&mut self, destinations: usize) {
        let created = destinations.saturating_sub(self.configured as usize);
        self.passed.reserve_exact(created);
    }

    /// Goes on with the round to the next name of these `destinations` that may go; it is asked about,
    /// or looked at again in the next round.
    pub(crate) fn next(
        &mut self,
        destinations: DestinationIndex,
        is_over_half_full: bool,
        now: Now,
        mut look: impl FnMut(DestinationIndex) -> Option<Use>,
    ) -> Option<DestinationIndex> {
        let pause_ns = match is_over_half_full {
            true => RETIRE_UNUSED_OVER_HALF_NS,
            false => RETIRE_UNUSED_NS,
        };
        if self.is_round_over {
            if now.ns < self.round_over_ns + pause_ns {
                return None;
            }
            (self.is_round_over, self.hand) = (false, self.configured);
        }
        let created = destinations.saturating_sub(self.configured) as usize;
        if self.passed.len() < created {
            self.passed.resize(created, UNSEEN);
        }
        if self.rests_until_ns <= now.ns && self.looks_left == 0 {
            self.looks_left = RETIRING_LOOKS;
        }
        while self.looks_left > 0 && self.retiring.len() < RETIRING_MAX {
            if self.hand >= destinations {
                (self.is_round_over, self.round_over_ns) = (true, now.ns);
                break;
            }
            self.looks_left -= 1;
            if self.looks_left == 0 {
                self.rests_until_ns = now.ns + RETIRING_REST_NS;
            }
            let destination = self.hand;
            self.hand += 1;
            let found = look(destination);
            let passed = &mut self.passed[(destination - self.configured) as usize];
            let accepted = found.map_or(UNSEEN, |it| it.accepted);
            let before = std::mem::replace(passed, accepted);
            if found.is_some_and(|it| it.is_idle && it.accepted == before)
                && !self.is_retiring(destination)
            {
                return Some(destination);
            }
        }
        None
    }

    fn is_retiring(&self, destination: DestinationIndex) -> bool {
        let mut retiring = self.retiring.iter();
        retiring.any(|it| it.destination == destination)
    }

    /// All agents are asked about a name.
    pub(crate) fn ask(&mut self, destination: DestinationIndex, now: Now) {
        self.retiring.push(Retiring {
            destination,
            step: Step::Asked {
                until_ns: now.ns + RETIRE_ANSWER_NS,
            },
            answers_left: self.agents,
            may_go: true,
        });
    }

    /// An agent has answered.
    pub(crate) fn answer(&mut self, destination: DestinationIndex, may_go: bool) {
        if let Some(it) = self.get_mut(destination) {
            it.answers_left -= 1;
            it.may_go &= may_go;
        }
    }

    /// Somebody has subscribed to it after all, by a line that was under way.
    pub(crate) fn refuse(&mut self, destination: DestinationIndex) {
        if let Some(it) = self.get_mut(destination) {
            it.may_go = false;
        }
    }

    /// The name is gone, and so many agents are told, who answer.
    pub(crate) fn end(&mut self, destination: DestinationIndex, agents: usize) {
        if let Some(it) = self.get_mut(destination) {
            (it.step, it.answers_left) = (Step::Ending, agents);
        }
        self.passed[(destination - self.configured) as usize] = UNSEEN;
    }

    fn get_mut(&mut self, destination: DestinationIndex) -> Option<&mut Retiring> {
        let mut retiring = self.retiring.iter_mut();
        retiring.find(|it| it.destination == destination)
    }

    /// How many names may be about to go.
    pub(crate) fn len(&self) -> usize {
        self.retiring.len()
    }

    /// Whether none may be.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.retiring.is_empty()
    }

    /// The next decision. [`Self::end`] must follow if a name may go; or it stays, after [`Self::refuse`].
    pub(crate) fn decide(&mut self, now: Now) -> Option<Decision> {
        let mut at = 0;
        while let Some(it) = self.retiring.get_mut(at) {
            let destination = it.destination;
            let is_answered = it.answers_left == 0;
            match it.step {
                Step::Asked { .. } if is_answered && it.may_go => {
                    return Some(Decision::MayGo(destination));
                }
                Step::Asked { .. } if is_answered => {
                    self.retiring.swap_remove(at);
                    return Some(Decision::Stays(destination));
                }
                Step::Asked { until_ns } if until_ns <= now.ns => {
                    it.step = Step::Kept;
                    return Some(Decision::Stays(destination));
                }
                Step::Kept if is_answered => {
                    self.retiring.swap_remove(at);
                }
                Step::Ending if is_answered => {
                    self.retiring.swap_remove(at);
                    return Some(Decision::Free(destination));
                }
                _ => at += 1,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
