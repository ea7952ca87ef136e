//! A member in the hands of a test, and the stream that others have written.

use std::sync::Arc;

use super::super::*;
use crate::cluster::record::{Kind, PLACE_LEN, Record};
use crate::cluster::testing::{Chain, GROUP, SEGMENT, announcement, batches_at};

pub(super) const SECOND: u64 = 1_000_000;
pub(super) const LEASE: u64 = 15 * SECOND;

pub(super) fn settings(random: u64) -> Settings {
    Settings {
        group: GROUP.into(),
        announcement: Announcement {
            node: "own".into(),
            ..announcement()
        },
        lease_ms: 15_000,
        random,
        group_id: 77,
        first_time_us: 0,
    }
}

pub(super) struct Rig {
    pub(super) member: Member,
    pub(super) now: u64,
    /// What was decided and not looked at.
    pub(super) decided: Vec<Decision>,
}

impl Rig {
    /// A member whose files end with this.
    pub(super) fn new(last: Option<&Message>) -> Self {
        let now = 100 * SECOND;
        let last = last.map(|it| Arc::clone(&it.bytes));
        let mut rig = Self {
            member: Member::new(settings(0xaa), last, now),
            now,
            decided: Vec::new(),
        };
        rig.collect();
        rig
    }

    /// A standby that has read and written all of this stream.
    pub(super) fn standby(messages: &[Message]) -> Self {
        let mut rig = Self::new(None);
        rig.found(1, messages.len() as u64);
        for message in messages {
            rig.on_event(Event::Message(message.clone()));
        }
        rig.write_all();
        assert_eq!(rig.member.role(), Role::Standby);
        rig.decided.clear();
        rig
    }

    /// An active of the second epoch, whose claim is message 2.
    pub(super) fn active() -> (Self, Chain) {
        let mut rig = Self::standby(&[Chain::new().claim(1)]);
        let claim = rig.claims_after(LEASE);
        rig.confirm(&claim);
        rig.write_all();
        assert_eq!(rig.member.role(), Role::Active);
        rig.decided.clear();
        let chain = Chain::behind(&claim.bytes);
        (rig, chain)
    }

    fn collect(&mut self) {
        while let Some(decision) = self.member.decision() {
            self.decided.push(decision);
        }
    }

    pub(super) fn on_event(&mut self, event: Event) {
        self.member.on_event(event, self.now);
        self.collect();
    }

    pub(super) fn pass(&mut self, us: u64) {
        self.now += us;
        self.on_event(Event::Tick);
    }

    /// Lets time pass while the servers answer each look, with nothing new.
    pub(super) fn pass_heard(&mut self, us: u64) {
        let until = self.now + us;
        loop {
            self.pass(SECOND.min(until - self.now));
            self.found(1, self.member.sequence());
            if self.now >= until {
                return;
            }
        }
    }

    /// The stream is well, and has these bounds.
    pub(super) fn found(&mut self, first: u64, last: u64) {
        let wrong = Vec::new();
        self.on_event(Event::Checked(Check::Found { first, last, wrong }));
    }

    /// Lets time pass, the servers being heard; the claim that follows.
    pub(super) fn claims_after(&mut self, us: u64) -> Publish {
        self.pass_heard(us);
        let publish = self.published();
        assert_eq!(self.member.role(), Role::Claiming);
        publish
    }

    /// What was published last.
    pub(super) fn published(&mut self) -> Publish {
        let found = self.decided.iter().rev().find_map(|it| match it {
            Decision::Publish(publish) => Some(publish.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("nothing was published: {:?}", self.decided))
    }

    /// The last record that the member has, as it stands in the stream.
    pub(super) fn last_record(&self) -> Message {
        let last = self.member.tip.last.clone().expect("a record");
        Message {
            sequence: last.place.sequence,
            subject: Arc::clone(&self.member.tip.subject),
            bytes: last.bytes,
        }
    }

    /// Nothing was published.
    pub(super) fn published_nothing(&self) -> bool {
        !self
            .decided
            .iter()
            .any(|it| matches!(it, Decision::Publish(_)))
    }

    pub(super) fn confirm(&mut self, publish: &Publish) {
        let (flight, sequence) = (publish.flight, publish.expected_last + 1);
        self.on_event(Event::Acked { flight, sequence });
    }

    pub(super) fn refuse(&mut self, publish: &Publish, refusal: Refusal) {
        let flight = publish.flight;
        self.on_event(Event::Refused { flight, refusal });
    }

    /// The leader's answer to the last question.
    pub(super) fn answer(&mut self, at: Option<&Message>, next: Option<&Message>, last: u64) {
        let asked = self.decided.iter().rev().find_map(|it| match it {
            Decision::Ask(n) => Some(*n),
            _ => None,
        });
        let answer = Answer {
            bounds: Some((1, last)),
            at: at.cloned(),
            next: next.cloned(),
        };
        let asked = asked.expect("it was asked");
        self.on_event(Event::Answer { asked, answer });
    }

    /// The journal has written everything.
    pub(super) fn write_all(&mut self) {
        let written: Vec<u64> = self.decided.iter().filter_map(write_of).collect();
        self.decided.retain(|it| write_of(it).is_none());
        for sequence in written {
            self.on_event(Event::Written { sequence });
        }
    }

    /// Batches for the next record.
    pub(super) fn offer(&mut self, sequences: &[u64]) {
        let end = self.member.tip.end();
        let position = crate::cluster::record::position_of(end, 8 * PLACE_LEN, SEGMENT);
        self.on_event(Event::Offer(Offer {
            kind: Kind::Batches,
            position,
            batches: batches_at(position, &[sequences]).into(),
            next_message: 1,
            time_us: 2_000,
        }));
    }

    /// Whether this record is to be written, as that of this sequence.
    pub(super) fn has_to_write(&self, sequence: u64, bytes: &Arc<[u8]>) -> bool {
        let place = Record::decode(bytes).expect("it is one").place;
        let bytes = Arc::clone(bytes);
        place.sequence == sequence && self.has_decided(&Decision::Write { place, bytes })
    }

    pub(super) fn has_decided(&self, decision: &Decision) -> bool {
        self.decided.contains(decision)
    }

    pub(super) fn has_stepped_down(&self, why: &Why) -> bool {
        self.member.role() == Role::Ended && self.has_decided(&Decision::StepDown(why.clone()))
    }

    /// What the member refused with.
    pub(super) fn refusal(&self) -> String {
        let found = self.decided.iter().find_map(|it| match it {
            Decision::Refuse(words) => Some(words.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("nothing was refused: {:?}", self.decided))
    }
}

fn write_of(decision: &Decision) -> Option<u64> {
    match decision {
        Decision::Write { place, .. } => Some(place.sequence),
        _ => None,
    }
}

/// A published message as it stands in the stream.
pub(super) fn stored(publish: &Publish) -> Message {
    Message {
        sequence: publish.expected_last + 1,
        subject: Arc::clone(&publish.subject),
        bytes: Arc::clone(&publish.bytes),
    }
}
