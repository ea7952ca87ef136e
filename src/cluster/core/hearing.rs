//! Since when this member hears the servers without a gap.
//!
//! Servers that lost what they had confirmed get it back from a member that has it. One that was cut off meanwhile
//! cannot know of it: the stream ends where its own files do. So behind a gap it gives the others time, before it
//! publishes what would take the place of a lost record: a claim, or what an active without a lease has still to
//! send, for another one may have claimed.

use super::event::Decision;
use super::{Member, Role};
use crate::limits::{
    HEARING_GAP_US, HEARING_TO_CLAIM_US, HEARING_TO_RESUME_US, QUIET_US, RESEND_US,
};

/// Answers of the servers, without a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hearing {
    /// When the first one came.
    since_us: u64,
    /// When the last one was asked for.
    asked_us: u64,
    /// Where the stream ended by the first one.
    end: u64,
}

impl Member {
    /// An answer came: the stream ends with message `last`.
    pub(super) fn hear_answer(&mut self, asked_us: u64, last: u64, now_us: u64) {
        // Servers that are seen to lose something are heard anew.
        let goes_on = !self.is_gap(asked_us) && last >= self.checks.last;
        match &mut self.checks.hearing {
            Some(hearing) if goes_on => hearing.asked_us = asked_us,
            it => {
                *it = Some(Hearing {
                    since_us: now_us,
                    asked_us,
                    end: last,
                });
            }
        }
    }

    /// A record came, or a confirmation. One that came behind a gap may be old.
    pub(super) fn hear_record(&mut self, now_us: u64) {
        if self.is_gap(now_us) {
            self.checks.hearing = None;
        }
        self.heard_us = now_us;
    }

    fn is_gap(&self, at_us: u64) -> bool {
        let hearing = self.checks.hearing.as_ref();
        hearing.is_none_or(|it| at_us > it.asked_us.max(self.heard_us) + HEARING_GAP_US)
    }

    /// Whether the servers answer, and have for so long.
    pub(super) fn hears_for(&self, us: u64, now_us: u64) -> bool {
        let hearing = self.checks.hearing.as_ref();
        hearing.is_some_and(|it| now_us >= it.since_us + us) && !self.is_gap(now_us)
    }

    /// Whether this message has come into the stream while the servers were heard.
    pub(super) fn has_heard_it_come(&self, sequence: u64, now_us: u64) -> bool {
        let hearing = self.checks.hearing.as_ref();
        hearing.is_some_and(|it| sequence > it.end) && !self.is_gap(now_us)
    }

    /// No record came lately: the servers are asked more often.
    pub(super) fn is_quiet(&self, now_us: u64) -> bool {
        now_us >= self.heard_us + QUIET_US
    }

    /// Whoever publishes nothing asks elsewhere too: the server may be there, and not reach the others.
    pub(super) fn leave_silent_server(&mut self, now_us: u64) {
        let follows = matches!(self.role, Role::Starting | Role::Standby);
        let since_us = self.heard_us.max(self.reconnected_us);
        let since_us = since_us.max(self.checks.known_us.unwrap_or(0));
        if follows && now_us >= since_us + HEARING_GAP_US {
            self.reconnected_us = now_us;
            self.decide(Decision::Reconnect);
        }
    }

    /// Whether the last question got no answer in time. That the stream is gone is one too.
    pub(super) fn is_unheard(&self, now_us: u64) -> bool {
        (self.checks.known_us).is_none_or(|it| now_us >= it + 2 * RESEND_US)
    }

    /// Whether what this member makes may be sent: while its lease runs, nobody else's record can be lost.
    pub(super) fn may_send(&self, now_us: u64) -> bool {
        match self.role {
            Role::Claiming if self.tip.last.is_some() => {
                self.hears_for(HEARING_TO_CLAIM_US, now_us) || self.is_goodbye_heard(now_us)
            }
            // What is active by its role may have been frozen until this moment.
            Role::Active | Role::Paused => {
                self.has_lease(now_us) || self.hears_for(HEARING_TO_RESUME_US, now_us)
            }
            _ => true,
        }
    }
}
