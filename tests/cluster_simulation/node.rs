//! One member's machine: its clock, its process with the core, its journal and its engine.

use std::collections::VecDeque;
use std::sync::Arc;

use flipped_lb::cluster::core::{Decision, Event, Member, Message, Offer, Publish, Role, Settings};
use flipped_lb::cluster::log::{Driver, Log};
use flipped_lb::cluster::record::{
    Announcement, Kind, PLACE_LEN, Place, Record, Term, encode, position_of,
};

use crate::batches::{self, Order};
use crate::engine::Engine;
use crate::journal::Journal;
use crate::plan::{Broken, MemberPlan, SEGMENT};

/// What does not reach whom.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cut {
    pub requests: bool,
    pub answers: bool,
    pub reading: bool,
}

/// The simulated log, at a member's end: the world takes what is asked, and brings what is heard.
#[derive(Debug, Default)]
pub struct Wire {
    asked: VecDeque<Decision>,
    heard: VecDeque<Event>,
}

impl Log for Wire {
    fn publish(&mut self, publish: &Publish) {
        self.asked.push_back(Decision::Publish(publish.clone()));
    }

    fn reconnect(&mut self) {
        self.asked.push_back(Decision::Reconnect);
    }

    fn ask(&mut self, n: u64) {
        self.asked.push_back(Decision::Ask(n));
    }

    fn check(&mut self) {
        self.asked.push_back(Decision::Check);
    }

    fn create(&mut self) {
        self.asked.push_back(Decision::Create);
    }

    fn purge(&mut self, before: u64) {
        self.asked.push_back(Decision::Purge(before));
    }

    fn read(&mut self, from: Option<u64>) {
        self.asked
            .push_back(from.map_or(Decision::StopReading, Decision::Read));
    }

    fn poll(&mut self) -> Option<Event> {
        self.heard.pop_front()
    }
}

#[derive(Debug)]
pub struct Node {
    driver: Option<Driver<Wire>>,
    /// Which life of the process it is.
    pub run: u64,
    pub journal: Journal,
    pub engine: Engine,
    pub frozen_until_us: u64,
    pub cut: Cut,
    /// The next message that its consumer brings.
    pub reading: Option<u64>,
    pub readings: u64,
    pub journal_us: u64,
    /// When it was last looked for what nobody needs.
    pub noted_us: u64,
    index: usize,
    pace: u64,
    offset_us: u64,
    pub lease_ms: u32,
    broken: Broken,
    last_publish: Option<Publish>,
    /// When a PubAck came last, by the own clock.
    acked_us: u64,
    /// Without the rule of void records: what this member takes to be the last one, and the journal's end.
    fitted: Option<(Place, u64)>,
}

impl Node {
    pub fn new(index: usize, plan: &MemberPlan, broken: Broken) -> Self {
        Self {
            driver: None,
            run: 0,
            journal: Journal::default(),
            engine: Engine::default(),
            frozen_until_us: 0,
            cut: Cut::default(),
            reading: None,
            readings: 0,
            journal_us: 0,
            noted_us: 0,
            index,
            pace: plan.pace,
            offset_us: plan.offset_us,
            lease_ms: plan.lease_ms,
            broken,
            last_publish: None,
            acked_us: 0,
            fitted: None,
        }
    }

    /// The own clock.
    pub fn clock_us(&self, now_us: u64) -> u64 {
        self.offset_us + (u128::from(now_us) * u128::from(self.pace) / 1_000_000) as u64
    }

    pub fn start(&mut self, now_us: u64, random: u64) {
        self.run += 1;
        let settings = Settings {
            group: "east".into(),
            announcement: Announcement {
                node: format!("node{}", self.index),
                segment_len: SEGMENT,
                addresses: vec![format!("10.0.0.{}:9000", self.index)],
            },
            lease_ms: self.lease_ms,
            random,
            group_id: u128::from(random) << 7 | 1,
            first_time_us: 0,
        };
        self.fitted = None;
        self.acked_us = 0;
        let last = self.journal.last();
        let core = Member::new(settings, last, self.clock_us(now_us));
        self.driver = Some(Driver::new(core, Wire::default()));
    }

    /// The run is over.
    pub fn end_run(&mut self) {
        self.driver = None;
        self.run += 1;
        self.reading = None;
        self.engine.end(self.broken == Broken::NoNewRun);
    }

    pub fn core(&self) -> Option<&Member> {
        self.driver.as_ref().map(|it| &it.member)
    }

    /// What the engine has staged, if the core wants it.
    pub fn offer(&mut self, is_settled: impl Fn(Order) -> bool, time_us: u64) -> Option<Offer> {
        let core = &self.driver.as_ref()?.member;
        self.engine.offer(core, is_settled, time_us)
    }

    /// What is to be done next: in the engine, at the journal, or by the log.
    pub fn decision(&mut self) -> Option<Decision> {
        let driver = self.driver.as_mut()?;
        driver.decision().or_else(|| driver.log.asked.pop_front())
    }

    /// The term in which it hands out at this moment, if it does.
    pub fn serves(&self, now_us: u64) -> Option<Term> {
        let core = self.core().filter(|_| self.engine.is_built)?;
        let now_us = self.clock_us(now_us);
        let may_serve = match self.broken {
            Broken::LeaseFromArrival => {
                let is_own = core.own_term().is_some();
                is_own && now_us < self.acked_us + u64::from(self.lease_ms) * 750
            }
            _ => core.may_serve(now_us),
        };
        may_serve.then(|| core.term())
    }

    pub fn role(&self) -> Role {
        self.core().map_or(Role::Ended, Member::role)
    }

    /// What the core hears; without a safeguard, not quite what happened.
    pub fn on_event(&mut self, event: Event, now_us: u64) {
        let now_us = self.clock_us(now_us);
        let event = match event {
            Event::Acked { flight, sequence } => {
                self.acked_us = now_us;
                let sequence = self.place_of(flight).unwrap_or(sequence);
                Event::Acked { flight, sequence }
            }
            Event::Message(message) if self.broken == Broken::VoidRule => {
                Event::Message(self.fit(message))
            }
            other => other,
        };
        let Some(driver) = &mut self.driver else {
            return;
        };
        match event {
            Event::Written { .. }
            | Event::Fetched { .. }
            | Event::Offer(_)
            | Event::Unneeded { .. }
            | Event::Tick => {
                driver.member.on_event(event, now_us);
            }
            of_log => {
                driver.log.heard.push_back(of_log);
                driver.poll_log(1, now_us);
            }
        }
    }

    fn place_of(&self, flight: u64) -> Option<u64> {
        let publish = self.last_publish.as_ref()?;
        (self.broken == Broken::AckSequence && publish.flight == flight)
            .then_some(publish.expected_last + 1)
    }

    /// A publish as it goes out; without a safeguard, the second attempt is another record.
    pub fn sends(&mut self, publish: &Publish) -> Publish {
        let is_again = (self.last_publish.as_ref()).is_some_and(|it| it.flight == publish.flight);
        self.last_publish = Some(publish.clone());
        if self.broken == Broken::WriteBeforeAck && !is_again {
            self.write_early(publish);
        }
        let mut sent = publish.clone();
        if self.broken == Broken::TimeoutIsFailure
            && is_again
            && let Ok(record) = Record::decode(&publish.bytes)
        {
            let mut place = record.place;
            place.time_us += 1;
            let bytes = encode(&place, record.announcement.as_ref(), record.batches);
            sent.bytes = bytes.expect("it was one").into();
        }
        sent
    }

    fn write_early(&mut self, publish: &Publish) {
        if let Ok(record) = Record::decode(&publish.bytes) {
            self.journal.write(record.place, &publish.bytes);
            while self.journal.sync_one().is_some() {}
        }
    }

    /// A record as one that fits behind the last one, whatever it was made for.
    fn fit(&mut self, message: Message) -> Message {
        let Ok(record) = Record::decode(&message.bytes) else {
            return message;
        };
        let mut place = record.place;
        let mut bytes = Arc::clone(&message.bytes);
        if let Some((last, end)) = self.fitted {
            place.sequence = message.sequence;
            place.group = last.group;
            place.before = last.as_before();
            place.term = match place.kind {
                Kind::Claim => Term {
                    epoch: last.term.epoch + 1,
                    ..place.term
                },
                _ => last.term,
            };
            place.position = position_of(end, bytes.len(), SEGMENT);
            let orders = batches::orders(&bytes);
            let batches = match place.kind {
                Kind::Batches => batches::encode(place.position, &orders),
                // What is carried names no place of its own.
                _ => record.batches.to_vec(),
            };
            let encoded = encode(&place, record.announcement.as_ref(), &batches);
            bytes = encoded.expect("its parts fit").into();
        }
        assert!(bytes.len() >= PLACE_LEN);
        self.fitted = Some((place, place.position + bytes.len() as u64));
        Message {
            subject: format!("flb_journal.east.{}", place.term).into(),
            bytes,
            ..message
        }
    }
}
