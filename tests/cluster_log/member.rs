//! A member with a journal in memory, turned by the test's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipped_lb::cluster::core::{Decision, Event, Member, Offer, Role, Settings};
use flipped_lb::cluster::jetstream::JetStream;
use flipped_lb::cluster::log::Driver;
use flipped_lb::cluster::record::{Announcement, Kind, PLACE_LEN, position_of};
use flipped_lb::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind};

use crate::servers::PATIENCE;

const SEGMENT: u64 = 64 * 1024;

pub struct TestMember {
    pub driver: Driver<JetStream>,
    /// Records that are written.
    pub journal: Vec<Arc<[u8]>>,
    /// How often the gate has opened.
    pub opened: usize,
    begun: Instant,
}

impl TestMember {
    pub fn start(node: &str, log: JetStream, lease_ms: u32) -> Self {
        let settings = Settings {
            group: "east".into(),
            announcement: Announcement {
                node: node.into(),
                segment_len: SEGMENT,
                addresses: vec!["127.0.0.1:9000".into()],
            },
            lease_ms,
            random: fastrand::u64(..),
            group_id: fastrand::u128(..),
            first_time_us: 0,
        };
        Self {
            driver: Driver::new(Member::new(settings, None, 0), log),
            journal: Vec::new(),
            opened: 0,
            begun: Instant::now(),
        }
    }

    fn now_us(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    pub fn on_event(&mut self, event: Event) {
        let now_us = self.now_us();
        self.driver.member.on_event(event, now_us);
        self.carry_out();
    }

    fn turn(&mut self) {
        let now_us = self.now_us();
        self.driver.poll_log(64, now_us);
        self.on_event(Event::Tick);
    }

    fn carry_out(&mut self) {
        while let Some(decision) = self.driver.decision() {
            let now_us = self.now_us();
            match decision {
                Decision::Write { place, bytes } => {
                    self.journal.push(bytes);
                    let sequence = place.sequence;
                    self.driver
                        .member
                        .on_event(Event::Written { sequence }, now_us);
                }
                Decision::Open(_) => self.opened += 1,
                Decision::Refuse(words) => panic!("{words}"),
                Decision::SetAside { behind } => panic!("files diverge behind {behind}"),
                _ => {}
            }
        }
    }

    pub fn turn_until(&mut self, what: &str, holds: impl Fn(&Member) -> bool) {
        let begun = Instant::now();
        while !holds(&self.driver.member) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: {:?}, {:?}",
                self.driver.member,
                self.driver.log.state()
            );
            std::thread::sleep(Duration::from_millis(1));
            self.turn();
        }
    }

    /// Publishes so many records of a batch each, one after the other, and waits until they are written.
    pub fn publish(&mut self, count: usize) {
        for _ in 0..count {
            self.turn_until("it takes batches", Member::wants_batches);
            let position = position_of(
                self.driver.member.end(),
                PLACE_LEN + BATCH_HEADER_LEN,
                SEGMENT,
            );
            let header = BatchHeader {
                crc: 0,
                body_len: 0,
                kind: BatchKind::Settlements,
                entries: 0,
                position: position + PLACE_LEN as u64,
                first_sequence: 1,
                time_us: 0,
            };
            let mut batch = [0; BATCH_HEADER_LEN];
            header.encode_behind(PLACE_LEN as u32, std::iter::empty(), &mut batch);
            let offer = Offer {
                kind: Kind::Batches,
                position,
                batches: Arc::from(&batch[..]),
                next_message: 1,
                time_us: 0,
            };
            let opened = self.opened;
            self.on_event(Event::Offer(offer));
            let begun = Instant::now();
            while self.opened == opened {
                assert!(begun.elapsed() < PATIENCE, "{:?}", self.driver.log.state());
                assert_ne!(self.driver.member.role(), Role::Ended);
                std::thread::sleep(Duration::from_millis(1));
                self.turn();
            }
        }
    }
}
