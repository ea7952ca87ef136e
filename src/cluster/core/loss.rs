//! Answers that the stream is gone, empty or purged, or has no record of the group, while this member has files.
//! One such answer proves nothing: a server that lost its store gives it at its start, while the others have all.
//!
//! Each is asked again over another connection. Once confirmed, it is reported with the command that helps, and the
//! member waits; a start ends there.

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
const VOID: &str = "the group's stream has no record where this member's journal has its own: once all \
                    members have stopped, `flipped-lb cluster restore --replace --config FILE` makes it from \
                    the one with the longest journal";
const UNCONFIRMED: &str =
    "a server does not have the group's stream as this member knows it: others are asked";

/// Consecutive answers of that kind.
#[derive(Debug)]
pub(super) struct ReportedLoss {
    since_us: u64,
    answers: u32,
}

impl Member {
    /// Whether this answer is not to be acted upon, with files that reach up to `known`.
    pub(super) fn is_reported_loss(&mut self, check: &Check, known: u64, now_us: u64) -> bool {
        if let Some(words) = loss(check, known) {
            self.report_loss(words, now_us);
            return true;
        }
        if self.checks.is_without_record && known > 0 {
            self.on_without_record(check, known, now_us);
            return true;
        }
        if self.checks.reported_loss.is_some() && self.is_coming_back(check, known) {
            return true;
        }
        self.checks.reported_loss = None;
        false
    }

    /// The stream had no record for this member. It is compared again: somebody may have made it anew.
    fn on_without_record(&mut self, check: &Check, known: u64, now_us: u64) {
        if self.is_coming_back(check, known) {
            self.checks.reported_loss = None;
            return;
        }
        self.report_loss(VOID, now_us);
        let is_free = self.comparison.is_none() && self.republish.is_none();
        if let Check::Found { last, .. } = check
            && is_free
            && self.role != Role::Ended
        {
            let own = self.tip.before().sequence;
            self.compare(own.min(*last), *last, now_us);
        }
    }

    fn report_loss(&mut self, words: &str, now_us: u64) {
        let reported = self.checks.reported_loss.get_or_insert(ReportedLoss {
            since_us: now_us,
            answers: 0,
        });
        reported.answers += 1;
        let is_believed =
            now_us >= reported.since_us + LOSS_BELIEVED_US && reported.answers >= LOSS_ANSWERS;
        if !is_believed {
            self.decide(Decision::Reconnect);
        }
        let serves = matches!(self.role, Role::Active | Role::Paused | Role::Claiming);
        let told = match (is_believed, serves) {
            (true, _) => words,
            // What is confirmed meanwhile shows that all is well.
            (false, true) => return,
            (false, false) => UNCONFIRMED,
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
