//! The active: its lease, its beats, the batches that it publishes, and its end.
//!
//! The lease runs from the first sending of what was confirmed: what is sent is stored later, and seen by
//! a standby later still, so that a standby's silence begins behind it. When a PubAck comes says nothing:
//! it may be 9 s late.

use super::event::{Decision, Offer, Why};
use super::{Member, Role};
use crate::cluster::record::Kind;
use crate::limits::{BEAT_US, LEASE_QUARTERS, PATH_SILENCE_US, RECORDS_UNWRITTEN_MAX};

impl Member {
    pub(super) fn has_lease(&self, now_us: u64) -> bool {
        now_us < self.lease_end_us()
    }

    pub(super) fn lease_end_us(&self) -> u64 {
        let lease_us = u64::from(self.settings.lease_ms) * 1_000;
        self.lease_from_us + lease_us / 4 * LEASE_QUARTERS
    }

    /// A path that stands still loses the lease, so that another member's may serve.
    fn has_path(&self, now_us: u64) -> bool {
        self.path_us.is_none_or(|it| now_us < it + PATH_SILENCE_US)
    }

    /// Pauses without a lease, and serves on with one.
    pub(super) fn check_lease(&mut self, now_us: u64) {
        match (self.role, self.has_lease(now_us)) {
            (Role::Active, false) => {
                self.role = Role::Paused;
                self.decide(Decision::Pause);
            }
            (Role::Paused, true) => {
                self.role = Role::Active;
                self.decide(Decision::Resume);
            }
            _ => {}
        }
    }

    /// Whether sources may be taken from: not while something is wrong with the stream's settings.
    #[must_use]
    pub fn may_accept(&self) -> bool {
        self.own_term().is_some() && self.checks.wrong.is_none() && !self.is_finishing
    }

    /// Whether batches can be offered: what came meanwhile makes the next record.
    #[must_use]
    pub fn wants_batches(&self) -> bool {
        self.own_term().is_some()
            && self.offer.is_none()
            && self.flight.is_none()
            && self.republish.is_none()
            && !self.is_finishing
            && self.unwritten.len() < RECORDS_UNWRITTEN_MAX
    }

    pub(super) fn on_offer(&mut self, offer: Offer) {
        assert!(
            self.wants_batches(),
            "batches are offered when they are wanted"
        );
        self.offer = Some(offer);
    }

    /// Publishes what was offered, a beat when nothing was for a second, or the goodbye.
    pub(super) fn publish_next(&mut self, now_us: u64) {
        let is_free =
            self.flight.is_none() && self.republish.is_none() && self.comparison.is_none();
        let is_free = is_free && self.may_send(now_us);
        if self.own_term().is_none() || !is_free || self.said_goodbye {
            return;
        }
        if let Some(offer) = self.offer.take() {
            self.publish_own(&offer, now_us);
        } else if self.is_finishing && self.unwritten.is_empty() {
            self.said_goodbye = true;
            self.publish_word(Kind::Goodbye, self.passed_us(now_us), now_us);
        } else if now_us >= self.lease_from_us + BEAT_US
            && !self.is_finishing
            && self.has_path(now_us)
        {
            self.publish_word(Kind::Beat, self.passed_us(now_us), now_us);
        }
    }

    /// The engine's own time, as it went on since the last record.
    fn passed_us(&self, now_us: u64) -> u64 {
        self.time_us() + now_us.saturating_sub(self.heard_us)
    }

    pub(super) fn on_written(&mut self, sequence: u64) {
        let Some((written, end)) = self.unwritten.pop_front() else {
            return;
        };
        assert_eq!(written, sequence, "the journal writes in order");
        if self.own_term().is_some() {
            self.decide(Decision::Open(end));
        }
        if self.said_goodbye && self.flight.is_none() && self.unwritten.is_empty() {
            self.step_down(Why::Finished);
        }
    }

    /// A clean end: an active says goodbye when all is written, others just go.
    pub(super) fn on_finish(&mut self) {
        self.is_finishing = true;
        if self.own_term().is_none() {
            self.step_down(Why::Finished);
        }
    }
}
