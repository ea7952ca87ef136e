//! How a member that does not serve follows the stream.

use std::sync::Arc;

use super::event::{Answer, Decision, Message, Notice};
use super::tip::{Classified, Void};
use super::{Member, Role};
use crate::cluster::record::{Announcement, Place};
use crate::limits::{CHECK_US, RESEND_US};

/// A message is missing in the middle of what was read.
#[derive(Debug)]
pub(super) struct Gap {
    asked_us: u64,
}

impl Member {
    /// Reads the stream from here on.
    pub(super) fn read_on(&mut self, now_us: u64) {
        self.read_us = now_us;
        self.decide(Decision::Read(self.tip.sequence + 1));
    }

    /// What there is did not come, and nothing is left to show a gap. What was begun has time to come: where
    /// records take seconds, it would else be given up again and again.
    pub(super) fn read_again(&mut self, now_us: u64) {
        if now_us >= self.read_us + CHECK_US {
            self.read_on(now_us);
        }
    }

    /// The next message of the stream, from a consumer or in an answer of the leader.
    pub(super) fn on_message(&mut self, message: &Message, now_us: u64) {
        let follows = matches!(self.role, Role::Standby | Role::Claiming);
        // What is verified would be begun again by each message, and outlast it.
        let is_asking = self.comparison.is_some() || self.is_verifying();
        if !follows || message.sequence <= self.tip.sequence || is_asking {
            return;
        }
        if message.sequence > self.tip.sequence + 1 {
            return self.on_gap(now_us);
        }
        match self.tip.classify(message) {
            // It is read again, once that is known.
            Classified::Record(..) if self.is_last_in_doubt() && !self.is_in_flight(message) => {
                self.compare(self.tip.before().sequence, u64::MAX, now_us);
            }
            Classified::Record(place, said) => self.on_record(place, said, message, now_us),
            Classified::Void(void) => self.on_void(message, void, now_us),
            Classified::Refused(words) => self.refuse(words),
        }
    }

    fn is_in_flight(&self, message: &Message) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(|it| it.publish.bytes == message.bytes)
    }

    /// Whether void messages behind the last record may hide that the servers have lost it. What stands behind
    /// them counts for whoever has that record, and for nobody else.
    pub(super) fn is_last_in_doubt(&self) -> bool {
        let counted = self.tip.before().sequence;
        counted > 0 && counted < self.tip.sequence && self.proven < self.tip.sequence
    }

    fn on_record(
        &mut self,
        place: Place,
        said: Option<Announcement>,
        message: &Message,
        now_us: u64,
    ) {
        if let Some(flight) = &self.flight {
            if flight.publish.bytes == message.bytes {
                return self.on_stored(now_us);
            }
            // Another record has the place: the claim is void, or will be refused.
            self.give_up_claim();
        }
        self.hear_record(now_us);
        self.tip.take(place, said, &message.bytes);
        self.write(place, &message.bytes);
    }

    pub(super) fn write(&mut self, place: Place, bytes: &Arc<[u8]>) {
        self.unwritten.push_back((place.sequence, self.tip.end()));
        self.decide(Decision::Write {
            place,
            bytes: Arc::clone(bytes),
        });
    }

    /// A message that counts for nobody stands behind the last one.
    pub(super) fn on_void(&mut self, message: &Message, void: Void, now_us: u64) {
        let (sequence, why) = (message.sequence, void.to_string());
        self.tell(Notice::Void { sequence, why });
        self.tip.pass(message);
        if self.republish.is_some() {
            self.give_up_claim();
        }
        self.make_anew(now_us);
        // It fits the stream, but not this member: perhaps the stream went on otherwise than the own files.
        let may_differ = matches!(void, Void::Predecessor | Void::Term(_) | Void::Group);
        let counted = self.tip.before().sequence;
        let (suspected_us, suspected) = self.suspected;
        let is_due = now_us >= suspected_us + RESEND_US && sequence > suspected;
        if may_differ
            && is_due
            && counted > 0
            && self.role == Role::Standby
            && self.republish.is_none()
        {
            self.suspected = (now_us, message.sequence);
            self.compare(counted, u64::MAX, now_us);
        }
    }

    /// Something is missing: the leader knows whether it is there.
    fn on_gap(&mut self, now_us: u64) {
        if self.gap.is_none() {
            self.gap = Some(Gap { asked_us: now_us });
            self.decide(Decision::Ask(self.tip.sequence));
        }
    }

    pub(super) fn tick_gap(&mut self, now_us: u64) {
        let sequence = self.tip.sequence;
        if let Some(gap) = &mut self.gap
            && now_us >= gap.asked_us + RESEND_US
        {
            gap.asked_us = now_us;
            self.decide(Decision::Ask(sequence));
        }
    }

    /// The leader's answer for the missing message.
    pub(super) fn on_gap_answer(&mut self, answer: &Answer, now_us: u64) {
        let missing = self.tip.sequence + 1;
        if let Some(next) = &answer.next {
            self.gap = None;
            self.note_trouble(None);
            self.on_message(next, now_us);
            if matches!(self.role, Role::Standby | Role::Claiming) {
                self.read_on(now_us);
            }
        } else if let Some((first, last)) = answer.bounds
            && first > missing
            && first <= last
        {
            self.begin_anew(last, now_us);
        } else if answer.bounds.is_some_and(|(_, last)| last > missing) {
            self.note_trouble(Some(format!(
                "message {missing} is missing in the middle of the group's stream: nothing behind it is \
                 read; restore the stream's servers, or make it from the member with the longest journal \
                 with `flipped-lb cluster restore --config FILE`"
            )));
        }
    }
}
