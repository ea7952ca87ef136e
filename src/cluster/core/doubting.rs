//! Answers by which the stream is gone, empty or purged, while this member has files: not believed at first
//! sight, for a server that lost its store says so in its first moments, and the others have all.
//!
//! Each is asked again over another connection. Believed, they are told with what mends them, and this
//! member waits: only a start ends there.

use super::event::{Check, Decision};
use super::{Member, Role};
use crate::limits::{LOSS_ANSWERS, LOSS_BELIEVED_US};

const GONE: &str = "the group's stream is gone: once all members have stopped, `flipped-lb \
                    cluster restore --config FILE` makes it from this one";
const EMPTY: &str = "the group's stream is empty, and this member's journal is not: \
                     once all have stopped, `flipped-lb cluster restore --config FILE` makes it from this one";
const PURGED: &str = "the group's stream was purged, its last record too: \
                      once all members have stopped, `flipped-lb cluster restore --config FILE` makes it \
                      from the one with the longest journal";
const DOUBTED: &str =
    "a server does not have the group's stream as this member knows it: others are asked";

/// Such answers, one behind the other.
#[derive(Debug)]
pub(super) struct Doubt {
    since_us: u64,
    answers: u32,
}

impl Member {
    /// Whether this answer is not to be acted upon, with files that reach up to `known`.
    pub(super) fn is_doubted(&mut self, check: &Check, known: u64, now_us: u64) -> bool {
        if let Some(words) = loss(check, known) {
            self.doubt(words, now_us);
            return true;
        }
        if self.checks.doubt.is_some() && self.is_coming_back(check, known) {
            return true;
        }
        self.checks.doubt = None;
        false
    }

    fn doubt(&mut self, words: &str, now_us: u64) {
        let doubt = self.checks.doubt.get_or_insert(Doubt {
            since_us: now_us,
            answers: 0,
        });
        doubt.answers += 1;
        let is_believed =
            now_us >= doubt.since_us + LOSS_BELIEVED_US && doubt.answers >= LOSS_ANSWERS;
        if !is_believed {
            self.decide(Decision::Reconnect);
        }
        let serves = matches!(self.role, Role::Active | Role::Paused | Role::Claiming);
        let told = match (is_believed, serves) {
            (true, _) => words,
            // What is confirmed meanwhile shows that all is well.
            (false, true) => return,
            (false, false) => DOUBTED,
        };
        if is_believed && self.role == Role::Starting {
            return self.refuse(words.into());
        }
        self.checks.wrong = Some(told.into());
        self.note_trouble(Some(told.into()));
    }

    /// A stream that is restored grows: what is still to come is not published again beside it.
    fn is_coming_back(&mut self, check: &Check, known: u64) -> bool {
        let Check::Found { last, .. } = check else {
            return false;
        };
        std::mem::replace(&mut self.checks.last, *last) != *last && *last < known
    }
}

/// What this answer says is lost.
fn loss(check: &Check, known: u64) -> Option<&'static str> {
    match check {
        _ if known == 0 => None,
        Check::Missing => Some(GONE),
        Check::Found { last: 0, .. } => Some(EMPTY),
        Check::Found { first, last, .. } => (first > last).then_some(PURGED),
    }
}
