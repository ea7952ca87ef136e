//! The record in flight, and what its answers mean.
//!
//! One record is in flight. It stays the same, byte for byte, until its fate is known: a time-out, a lost
//! connection and a 503 say nothing of it.

use std::sync::Arc;

use super::event::{Answer, Decision, Message, Offer, Publish, Refusal, Unknown, Why};
use super::flight::{Flight, State, What};
use super::tip::{Classified, subject_of};
use super::{Member, Role};
use crate::cluster::addresses::naming;
use crate::cluster::record::{Announcement, Kind, Place, Term, encode, position_of};
use crate::limits::{RESEND_US, RETRY_US};

impl Member {
    /// Publishes a record of the own term, or the claim that begins it.
    pub(super) fn publish_own(&mut self, offer: &Offer, now_us: u64) {
        let kind = offer.kind;
        let term = match kind {
            Kind::Claim => self.tip.next_term(self.settings.random),
            _ => self.tip.term(),
        };
        let known_low = self.tip.last.as_ref().map_or(0, |it| it.place.low);
        let mut place = Place {
            kind,
            group: self.tip.group().unwrap_or(self.settings.group_id),
            sequence: self.tip.sequence + 1,
            term,
            before: self.tip.before(),
            lease_ms: self.settings.lease_ms,
            // It never goes back.
            low: known_low.max(self.low),
            position: offer.position,
            next_message: offer.next_message,
            time_us: offer.time_us,
        };
        let said = (!kind.has_batches()).then(|| self.announcement(kind));
        if said.is_some() {
            let len = encode(&place, said.as_ref(), &[]).map_or(0, |it| it.len());
            let segment_len = self.settings.announcement.segment_len;
            place.position = position_of(self.tip.end(), len, segment_len);
        }
        self.launch_own(place, said, Arc::clone(&offer.batches), now_us);
    }

    fn announcement(&self, kind: Kind) -> Announcement {
        let own = &self.settings.announcement;
        match &self.successor {
            Some(successor) if kind == Kind::Goodbye => naming(own, successor),
            _ => own.clone(),
        }
    }

    fn launch_own(
        &mut self,
        place: Place,
        said: Option<Announcement>,
        batches: Arc<[u8]>,
        now_us: u64,
    ) {
        match encode(&place, said.as_ref(), &batches) {
            Ok(bytes) => {
                let subject = subject_of(&self.settings.group, place.term);
                let expected = match self.tip.sequence {
                    0 => (0, Arc::clone(&subject)),
                    last => (last, Arc::clone(&self.tip.subject)),
                };
                let what = What::Own {
                    place,
                    said,
                    batches,
                };
                self.launch(what, subject, bytes.into(), expected, now_us);
            }
            Err(error) => self.refuse(format!("no record can be made: {error}")),
        }
    }

    /// Sends something for the first time; what this member has made waits until it may be sent.
    pub(super) fn launch(
        &mut self,
        what: What,
        subject: Arc<str>,
        bytes: Arc<[u8]>,
        (expected_last, expected_subject): (u64, Arc<str>),
        now_us: u64,
    ) {
        self.flights += 1;
        let publish = Publish {
            flight: self.flights,
            subject,
            bytes,
            expected_last,
            expected_subject,
        };
        let is_sent = matches!(what, What::Again) || self.may_send(now_us);
        if is_sent {
            self.decide(Decision::Publish(publish.clone()));
        }
        self.flight = Some(Flight {
            publish,
            what,
            first_sent_us: is_sent.then_some(now_us),
            sent_us: now_us,
            state: match is_sent {
                true => State::Sent,
                false => State::Waiting(now_us),
            },
        });
    }

    /// Sends the same bytes when it is time.
    pub(super) fn tick_flight(&mut self, now_us: u64) {
        if self.comparison.is_some() {
            return;
        }
        let Some(flight) = &mut self.flight else {
            return;
        };
        let (is_due, is_late) = match flight.state {
            State::Sent => (false, now_us >= flight.sent_us + RESEND_US),
            State::Waiting(until) => (now_us >= until, false),
            State::Asking(since) => (false, now_us >= since + RESEND_US),
            State::Verifying { at, since_us } => {
                if now_us >= since_us + RESEND_US {
                    self.verify(at, now_us);
                }
                return;
            }
        };
        if !is_due && !is_late {
            return;
        }
        let is_own = matches!(flight.what, What::Own { .. });
        if is_own && !self.may_send(now_us) {
            return self.hold_flight(now_us);
        }
        let Some(flight) = &mut self.flight else {
            return;
        };
        flight.first_sent_us.get_or_insert(now_us);
        flight.sent_us = now_us;
        flight.state = State::Sent;
        let publish = flight.publish.clone();
        if is_late {
            self.decide(Decision::Reconnect);
        }
        self.decide(Decision::Publish(publish));
    }

    /// The servers were not heard: what is in flight waits, and others are asked. Where something stands in its
    /// place, the leader says what.
    fn hold_flight(&mut self, now_us: u64) {
        let is_unheard = self.is_unheard(now_us);
        let last = self.checks.last;
        let Some(flight) = &mut self.flight else {
            return;
        };
        if !is_unheard && last >= flight.sequence() {
            flight.state = State::Asking(now_us);
            let n = flight.publish.expected_last;
            return self.decide(Decision::Ask(n));
        }
        flight.state = State::Waiting(now_us + RETRY_US);
        if is_unheard && now_us >= self.reconnected_us + RESEND_US {
            self.reconnected_us = now_us;
            self.decide(Decision::Reconnect);
        }
    }

    fn flight_of(&mut self, id: u64) -> Option<&mut Flight> {
        self.flight.as_mut().filter(|it| it.publish.flight == id)
    }

    pub(super) fn on_acked(&mut self, id: u64, sequence: u64, now_us: u64) {
        let Some(flight) = self.flight_of(id) else {
            return;
        };
        if flight.sequence() == sequence {
            self.on_stored(now_us);
        } else {
            self.step_down(Why::OtherSequence(sequence));
        }
    }

    pub(super) fn on_unknown(&mut self, id: u64, why: Unknown, now_us: u64) {
        if let Some(flight) = self.flight_of(id)
            && flight.state == State::Sent
            && why != Unknown::TimedOut
        {
            flight.state = State::Waiting(now_us + RETRY_US);
        }
    }

    pub(super) fn on_refused(&mut self, id: u64, refusal: Refusal, now_us: u64) {
        let Some(flight) = self.flight_of(id) else {
            return;
        };
        match refusal {
            Refusal::WrongLast => {
                flight.state = State::Asking(now_us);
                let n = flight.publish.expected_last;
                self.decide(Decision::Ask(n));
            }
            Refusal::Other(words) => {
                flight.state = State::Waiting(now_us + RESEND_US);
                self.note_trouble(Some(format!("the group's stream refuses records: {words}")));
            }
        }
    }

    pub(super) fn on_answer(&mut self, asked: u64, answer: &Answer, now_us: u64) {
        if self.comparison.as_ref().is_some_and(|it| it.is_at(asked)) {
            return self.on_compared(answer, now_us);
        }
        if self.gap.is_some() && asked == self.tip.sequence {
            return self.on_gap_answer(answer, now_us);
        }
        let Some(flight) = &mut self.flight else {
            return;
        };
        if let State::Verifying { at, .. } = flight.state {
            if asked == at {
                self.on_verified(at, answer, now_us);
            }
            return;
        }
        if flight.publish.expected_last != asked || !matches!(flight.state, State::Asking(_)) {
            return;
        }
        match flight.what {
            What::Own { .. } => self.on_answer_own(answer, now_us),
            What::Again => self.on_answer_again(answer, now_us),
        }
    }

    /// The refused record's predecessor n and what stands in its place.
    fn on_answer_own(&mut self, answer: &Answer, now_us: u64) {
        let n = self.tip.sequence;
        if let Some((first, last)) = answer.bounds {
            if n > 0 && 0 < last && last < n {
                return self.compare(last, last, now_us);
            }
            if n > 0 && first > n {
                if first <= last {
                    return self.step_down(Why::Diverged);
                }
                // All was purged, or the server does not know better: another look says which.
                self.look(now_us);
            }
        }
        if answer.at.as_ref().is_some_and(|it| !self.tip.is_own(it)) {
            return self.step_down(Why::Diverged);
        }
        // The server may know message n by another subject, where void messages were published again.
        if let Some(at) = &answer.at {
            self.tip.subject = Arc::clone(&at.subject);
        }
        match &answer.next {
            Some(next) if n == 0 || answer.at.is_some() => self.on_taken_place(next, now_us),
            _ => self.wait_for_fate(now_us),
        }
    }

    /// "Not found" is no answer: the same bytes again.
    fn wait_for_fate(&mut self, now_us: u64) {
        let subject = Arc::clone(&self.tip.subject);
        if let Some(flight) = &mut self.flight {
            flight.state = State::Waiting(now_us + RETRY_US);
            if flight.publish.expected_last > 0 {
                flight.publish.expected_subject = subject;
            }
        }
    }

    /// A message stands where the record in flight should.
    fn on_taken_place(&mut self, next: &Message, now_us: u64) {
        if self
            .flight
            .as_ref()
            .is_some_and(|it| it.publish.bytes == next.bytes)
        {
            return self.on_stored(now_us);
        }
        match self.tip.classify(next) {
            Classified::Void(void) => self.on_void(next, void, now_us),
            // A claim, which begins another's term, or the sign that the active lives.
            _ if self.role == Role::Claiming => {
                self.give_up_claim();
                // The next claim does not come before the other's record is read.
                self.checks.last = self.checks.last.max(next.sequence);
            }
            _ => self.step_down(Why::Fenced),
        }
    }

    /// A void message has the place: the same contents for the place behind it.
    pub(super) fn make_anew(&mut self, now_us: u64) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let What::Own {
            place,
            said,
            batches,
        } = flight.what
        else {
            self.flight = Some(flight);
            return;
        };
        let place = Place {
            sequence: self.tip.sequence + 1,
            ..place
        };
        self.launch_own(place, said, batches, now_us);
    }

    /// What is in flight is in the stream, at its place. Where message n is void, the two expectations hold too in
    /// a stream that has lost something behind the last record that counts, and grew again otherwise: the leader
    /// is asked for that record, and whether all behind it is void.
    pub(super) fn on_stored(&mut self, now_us: u64) {
        let counted = self.tip.before().sequence;
        let is_own = self
            .flight
            .as_ref()
            .is_some_and(|it| matches!(it.what, What::Own { .. }));
        if self.is_verifying() {
            // A PubAck and the message itself say so: it is asked about already.
        } else if 0 < counted && counted < self.tip.sequence && is_own {
            self.verify(counted, now_us);
        } else {
            self.on_confirmed(now_us);
        }
    }

    pub(super) fn is_verifying(&self) -> bool {
        let state = self.flight.as_ref().map(|it| it.state);
        matches!(state, Some(State::Verifying { .. }))
    }

    fn verify(&mut self, at: u64, now_us: u64) {
        // Messages that came behind it are no gap.
        self.gap = None;
        if let Some(flight) = &mut self.flight {
            let since_us = now_us;
            flight.state = State::Verifying { at, since_us };
            self.decide(Decision::Ask(at));
        }
    }

    /// Two messages before what is in flight, as the leader has them. "Not found" is no answer.
    fn on_verified(&mut self, at: u64, answer: &Answer, now_us: u64) {
        let own = self.flight.as_ref().map_or(0, Flight::sequence);
        let counted = self.tip.before().sequence;
        if answer
            .bounds
            .is_some_and(|(first, last)| counted < first && first <= last)
        {
            // Only another member that serves purges it.
            return self.step_down(Why::Diverged);
        }
        let found = [&answer.at, &answer.next].into_iter().flatten();
        let mut found = found.filter(|it| it.sequence < own);
        if !found.all(|it| self.tip.is_own_or_void(it)) {
            return self.step_down(Why::Diverged);
        }
        let is_whole = answer.at.is_some() && (at + 1 >= own || answer.next.is_some());
        if is_whole && at + 2 >= own {
            self.on_confirmed(now_us);
        } else if is_whole {
            self.verify(at + 2, now_us);
        }
    }

    /// What is in flight counts.
    pub(super) fn on_confirmed(&mut self, now_us: u64) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        if self.checks.wrong.is_none() {
            self.note_trouble(None);
        }
        let What::Own { place, said, .. } = &flight.what else {
            return self.on_republished(&flight, now_us);
        };
        self.tip.take(*place, said.clone(), &flight.publish.bytes);
        self.hear_record(now_us);
        self.lease_from_us = self.lease_from_us.max(flight.first_sent_us.unwrap_or(0));
        self.write(*place, &flight.publish.bytes);
        if place.kind == Kind::Claim {
            self.activate(*place, now_us);
        }
    }

    fn activate(&mut self, claim: Place, now_us: u64) {
        self.role = Role::Active;
        self.gap = None;
        self.decide(Decision::StopReading);
        self.decide(Decision::Activate {
            term: claim.term,
            end: self.tip.end(),
            next_message: claim.next_message,
            time_us: claim.time_us,
        });
        // A claim that was confirmed late may have no lease left.
        self.check_lease(now_us);
    }

    /// The own term, if this member has one.
    #[must_use]
    pub fn own_term(&self) -> Option<Term> {
        matches!(self.role, Role::Active | Role::Paused).then(|| self.tip.term())
    }
}
