//! Claims: a standby begins the next term when the active is silent, has said goodbye, or there is none.

use std::sync::Arc;

use super::event::Offer;
use super::flight::What;
use super::{Member, Role};
use crate::cluster::addresses::successor_of;
use crate::cluster::record::Kind;
use crate::limits::{HEARING_TO_CLAIM_US, RESEND_US};

impl Member {
    /// Claims, if it is time and this member is at the end.
    pub(super) fn tick_claim(&mut self, now_us: u64) {
        if !self.is_ready() || !self.is_time(now_us) {
            return;
        }
        let is_fresh = (self.checks.known_us).is_some_and(|it| now_us < it + RESEND_US);
        if !is_fresh {
            self.look(now_us);
        } else if self.checks.last <= self.tip.sequence {
            match self.is_last_in_doubt() {
                true => self.compare(self.tip.before().sequence, u64::MAX, now_us),
                false => self.claim(now_us),
            }
        }
    }

    /// Whether this member could serve: it has read all, written all, and nothing is wrong.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_fit() && self.gap.is_none() && self.unwritten.is_empty()
    }

    /// Whether nothing keeps this member from serving but what it has still to read and to write.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        let has_begun = self.tip.last.is_some() || !self.tip.begins_inside;
        let is_idle =
            self.flight.is_none() && self.comparison.is_none() && self.republish.is_none();
        self.role == Role::Standby
            && !self.is_finishing
            && has_begun
            && is_idle
            && self.can_write
            && self.checks.wrong.is_none()
            && !self.checks.is_without_record
    }

    fn is_time(&self, now_us: u64) -> bool {
        let Some(last) = &self.tip.last else {
            return true;
        };
        let is_silent = now_us >= self.heard_us + u64::from(last.place.lease_ms) * 1_000;
        let hears = self.hears_for(HEARING_TO_CLAIM_US, now_us);
        (is_silent || self.is_free_to_follow()) && hears || self.is_goodbye_heard(now_us)
    }

    /// Whether the term has ended with a goodbye, at whose coming this member has heard the servers.
    pub(super) fn is_goodbye_heard(&self, now_us: u64) -> bool {
        let last = self.tip.before().sequence;
        self.is_free_to_follow() && self.has_heard_it_come(last, now_us)
    }

    /// Whether the term has ended with a goodbye that leaves the next one to this member.
    fn is_free_to_follow(&self) -> bool {
        let Some(last) = &self.tip.last else {
            return false;
        };
        let own = &self.settings.announcement.node;
        let is_next = last
            .said
            .as_ref()
            .is_none_or(|said| match successor_of(said) {
                Some(successor) => successor == own,
                None => said.node != *own,
            });
        last.place.kind == Kind::Goodbye && is_next
    }

    fn claim(&mut self, now_us: u64) {
        self.role = Role::Claiming;
        let passed = now_us.saturating_sub(self.heard_us);
        let time_us = self.time_us() + passed;
        self.publish_word(Kind::Claim, time_us, now_us);
    }

    /// The engine's own time of the last record.
    pub(super) fn time_us(&self) -> u64 {
        let last = self.tip.last.as_ref();
        last.map_or(self.settings.first_time_us, |it| it.place.time_us)
    }

    /// Another record stands where the claim should.
    pub(super) fn give_up_claim(&mut self) {
        if self.role == Role::Claiming {
            self.role = Role::Standby;
            self.parked = None;
            self.flight
                .take_if(|it| matches!(it.what, What::Own { .. }));
        }
    }

    /// A record without batches, which says who this is.
    pub(super) fn publish_word(&mut self, kind: Kind, time_us: u64, now_us: u64) {
        let last = self.tip.last.as_ref();
        let offer = Offer {
            kind,
            position: 0,
            batches: Arc::from([]),
            next_message: last.map_or(1, |it| it.place.next_message),
            time_us,
        };
        self.publish_own(&offer, now_us);
    }
}
