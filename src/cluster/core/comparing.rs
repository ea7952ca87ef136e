//! Compares the member's files with the stream: finds the last message that both have, publishes again what the
//! stream has lost, and sets aside files that diverged.
//!
//! Records name the one before, so where one is the same in both, all before it are: the last common one is
//! found by binary search. Where there is none, `remaining` looks for what the stream has instead.

use std::sync::Arc;

use super::event::{Answer, Decision, Message, Notice, Why};
use super::flight::{Flight, State, What};
use super::tip::{filler, subject_of};
use super::{Member, Role};
use crate::cluster::record::Record;
use crate::limits::{RESEND_US, RETRY_US};

pub(super) const OTHER_GROUP: &str = "the stream is another group's: give this member a directory of its own, or make \
     the stream from it with `flipped-lb cluster restore --config FILE`";

/// A message of the stream beside the own files.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The message that is compared. Where the own files have a void one there, the record before it is
    /// looked at: one void message is like another, and proves nothing of what was before it.
    target: u64,
    /// The message that is looked at.
    at: u64,
    /// The message at the target, where that is void.
    edge: Option<Message>,
    /// Where the stream ends.
    last: u64,
    /// All up to here is common; all from `differs` on is not.
    common: u64,
    differs: Option<u64>,
    /// The stream begins and ends here, by the last answer.
    first: u64,
    ends: u64,
    /// Nothing is common: a record of the group is looked for, and this is why files would be set aside.
    seeks: Option<Why>,
    /// What is looked at is the record before one that was found.
    is_predecessor: bool,
    /// The own record at or before it, once it is read.
    own: Option<Option<Arc<[u8]>>>,
    asked_us: u64,
}

impl Comparison {
    pub(super) fn new(at: u64, last: u64) -> Self {
        Self {
            target: at,
            at,
            edge: None,
            last,
            common: 0,
            differs: None,
            first: 1,
            ends: last,
            seeks: None,
            is_predecessor: false,
            own: None,
            asked_us: 0,
        }
    }

    /// Nothing is common with a stream that ends here: is there a record of the group to begin with?
    pub(super) fn seeking(last: u64, why: Why) -> Self {
        Self {
            seeks: Some(why),
            ..Self::new(last, last)
        }
    }

    pub(super) fn seeks(&self) -> bool {
        self.seeks.is_some()
    }

    /// This message is looked at next: any, or the one that a record names as the one before.
    pub(super) fn look_at(&mut self, sequence: u64, is_predecessor: bool) {
        (self.at, self.target) = (sequence, sequence);
        self.is_predecessor = is_predecessor;
    }

    pub(super) fn is_at_predecessor(&self) -> bool {
        self.is_predecessor
    }

    pub(super) fn is_at(&self, sequence: u64) -> bool {
        self.at == sequence
    }

    /// Half way between what is common and what differs; `None`: there is nothing between.
    fn half_way(&self, differs: u64) -> Option<u64> {
        let low = self.common.max(self.first - 1);
        (low + 1 < differs).then(|| low + (differs - low) / 2)
    }
}

/// Records that the stream has lost, and that are published again.
#[derive(Debug)]
pub(super) struct Republish {
    /// The message that is published now, and the last one to be.
    next: u64,
    until: u64,
    /// The message before, as it stands in the stream.
    before: Message,
}

impl Member {
    /// Asks the journal and the leader for the message that is compared.
    pub(super) fn ask_comparison(&mut self, now_us: u64) {
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        comparison.asked_us = now_us;
        comparison.own = None;
        let at = comparison.at;
        self.decide(Decision::Fetch(at));
        self.decide(Decision::Ask(at));
    }

    /// Asks again where no answer came.
    pub(super) fn tick_questions(&mut self, now_us: u64) {
        let is_due = |asked_us: u64| now_us >= asked_us + RESEND_US;
        if self
            .comparison
            .as_ref()
            .is_some_and(|it| is_due(it.asked_us))
        {
            self.ask_comparison(now_us);
        }
        self.tick_gap(now_us);
    }

    pub(super) fn on_fetched(&mut self, asked: u64, record: Option<Arc<[u8]>>, now_us: u64) {
        if let Some(comparison) = self.comparison.as_mut().filter(|it| it.at == asked) {
            comparison.own = Some(record);
        } else if self.flight.is_none()
            && self.republish.as_ref().is_some_and(|it| it.next == asked)
        {
            self.publish_again(record, now_us);
        }
    }

    /// The leader's answer for the message that is compared.
    pub(super) fn on_compared(&mut self, answer: &Answer, now_us: u64) {
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        let Some((first, last)) = answer.bounds else {
            return;
        };
        if first > comparison.at || last < comparison.target {
            return self.on_moved_bounds(first, last, now_us);
        }
        comparison.ends = last;
        let (Some(at), Some(own)) = (&answer.at, &comparison.own) else {
            return;
        };
        if let Some(why) = comparison.seeks.clone() {
            let has_own = own.is_some();
            return self.on_sought(at, has_own, first, why, now_us);
        }
        let own = own.as_ref().and_then(|it| self.tip.behind(it));
        if let Some(own) = own.as_ref().filter(|it| it.sequence < at.sequence)
            && own.is_void_at(at)
        {
            comparison.at = own.sequence;
            comparison.edge = Some(at.clone());
            return self.ask_comparison(now_us);
        }
        let is_same = own.is_some_and(|it| it.sequence == at.sequence && it.is_own(at));
        if !is_same && self.is_of_other_group(at) {
            return self.refuse(OTHER_GROUP.into());
        }
        self.on_compared_message(is_same, at.clone(), now_us);
    }

    pub(super) fn is_of_other_group(&self, message: &Message) -> bool {
        let record = Record::decode(&message.bytes);
        record.is_ok_and(|it| self.tip.group().is_some_and(|own| own != it.place.group))
    }

    /// The stream was purged or lost its end while it was compared.
    fn on_moved_bounds(&mut self, first: u64, last: u64, now_us: u64) {
        let at = self.comparison.as_ref().map_or(0, |it| it.target);
        let seeks = self.comparison.as_ref().is_some_and(Comparison::seeks);
        if first > last || seeks {
            // The next look at the stream says what it has.
            self.comparison = None;
        } else if last < at {
            self.compare(last, last, now_us);
        } else if (self.comparison.as_ref()).is_some_and(|it| it.differs.is_none()) {
            // The own last record is gone from the stream: nothing shows whether it was there.
            self.begin_anew(last, now_us);
        } else if let Some(comparison) = &mut self.comparison {
            comparison.first = first;
            comparison.edge = None;
            self.halve(now_us);
        }
    }

    fn on_compared_message(&mut self, is_same: bool, at: Message, now_us: u64) {
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        let edge = comparison.edge.take();
        if is_same {
            comparison.common = comparison.target;
        } else {
            comparison.differs = Some(comparison.at);
        }
        if comparison.differs.is_none() {
            self.on_same(edge.unwrap_or(at), now_us);
        } else if self.own_term().is_some() {
            self.step_down(Why::Diverged);
        } else {
            self.halve(now_us);
        }
    }

    /// Looks at the message half way, or keeps what was found to be common.
    fn halve(&mut self, now_us: u64) {
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        let differs = comparison.differs.unwrap_or(comparison.first);
        if let Some(at) = comparison.half_way(differs) {
            (comparison.at, comparison.target) = (at, at);
            return self.ask_comparison(now_us);
        }
        let behind = comparison.common;
        if behind == 0 {
            let ends = comparison.ends;
            return self.seek_record(ends, Why::Diverged, now_us);
        }
        self.decide(Decision::SetAside { behind });
        self.step_down(Why::Diverged);
    }

    /// The stream is this member's as far as it goes: what it has lost is published again.
    fn on_same(&mut self, before: Message, now_us: u64) {
        let Some(comparison) = self.comparison.take() else {
            return;
        };
        self.checks.is_without_record = false;
        self.proven = self.tip.sequence;
        if comparison.last < self.tip.sequence {
            let (from, to) = (before.sequence + 1, self.tip.sequence);
            self.tell(Notice::Republishing { from, to });
            self.parked = self.flight.take();
            self.republish = Some(Republish {
                next: from,
                until: to,
                before,
            });
            self.decide(Decision::Fetch(from));
        } else {
            if self.role == Role::Standby && before.sequence + 1 < self.tip.sequence {
                // The last record is there, and what was void behind it may be another message by now.
                self.tip.pass(&before);
            }
            self.follow_on(now_us);
            self.retry_flight(now_us);
        }
    }

    /// What came while files and stream were compared was not taken.
    fn follow_on(&mut self, now_us: u64) {
        match self.role {
            Role::Starting => self.follow(now_us),
            Role::Standby | Role::Claiming => self.read_on(now_us),
            _ => {}
        }
    }

    /// Publishes the record as it was, or something void where a void message was.
    fn publish_again(&mut self, record: Option<Arc<[u8]>>, now_us: u64) {
        let Some(republish) = &self.republish else {
            return;
        };
        let place = record
            .as_ref()
            .and_then(|it| Record::decode(it).ok())
            .map(|it| it.place);
        let (subject, bytes) = match (place, record) {
            (Some(place), Some(bytes)) if place.sequence == republish.next => {
                (subject_of(&self.settings.group, place.term), bytes)
            }
            _ => filler(&self.settings.group),
        };
        let expected = (
            republish.before.sequence,
            Arc::clone(&republish.before.subject),
        );
        self.launch(What::Again, subject, bytes, expected, now_us);
    }

    /// A message that the stream had lost is in it again.
    pub(super) fn on_republished(&mut self, flight: &Flight, now_us: u64) {
        let Some(republish) = &mut self.republish else {
            return;
        };
        republish.before = Message {
            sequence: flight.sequence(),
            subject: Arc::clone(&flight.publish.subject),
            bytes: Arc::clone(&flight.publish.bytes),
        };
        republish.next += 1;
        let (next, until) = (republish.next, republish.until);
        self.hear_record(now_us);
        if next <= until {
            return self.decide(Decision::Fetch(next));
        }
        let Some(before) = self.republish.take().map(|it| it.before) else {
            return;
        };
        self.follow_on(now_us);
        self.flight = self.parked.take();
        if self.tip.sequence == before.sequence {
            // What stands in for a void message may have another subject.
            self.tip.subject = Arc::clone(&before.subject);
            if let Some(flight) = &mut self.flight {
                flight.publish.expected_subject = before.subject;
            }
        }
        self.retry_flight(now_us);
    }

    /// What is in flight is sent again, now.
    fn retry_flight(&mut self, now_us: u64) {
        if let Some(flight) = &mut self.flight {
            flight.state = State::Waiting(now_us);
        }
    }

    /// The answer for a message that is published again, and the one before it.
    pub(super) fn on_answer_again(&mut self, answer: &Answer, now_us: u64) {
        let (Some(republish), Some(flight)) = (&self.republish, &mut self.flight) else {
            return;
        };
        flight.state = State::Waiting(now_us + RETRY_US);
        let before_fits = answer
            .at
            .as_ref()
            .map(|it| it.bytes == republish.before.bytes);
        let next_fits = (answer.next.as_ref()).map(|it| it.bytes == flight.publish.bytes);
        match (before_fits, next_fits) {
            (Some(false), _) | (_, Some(false)) => self.step_down(Why::Diverged),
            (Some(true), Some(true)) => self.on_confirmed(now_us),
            _ => self.on_lost_more(answer, now_us),
        }
    }

    /// The stream has lost even more meanwhile; or another member has gone on, and purged it of this place.
    fn on_lost_more(&mut self, answer: &Answer, now_us: u64) {
        let before = self.republish.as_ref().map_or(0, |it| it.before.sequence);
        let Some((first, last)) = answer.bounds else {
            return;
        };
        if first > before && first <= last {
            self.step_down(Why::Diverged);
        } else if last < before && last > 0 {
            self.republish = None;
            self.flight = self.parked.take();
            self.compare(last, last, now_us);
        }
    }
}
