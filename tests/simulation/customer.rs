//! A simulated subscriber: takes frames at its speed, acknowledges when it likes, and goes at any
//! moment - in the middle of a frame, or between a frame and its acknowledgement.

use std::sync::Arc;

use crate::dice::Dice;
use crate::history::Event;
use crate::plan::{CustomerPlan, Faults};
use crate::script::Script;
use crate::tap::{is_frame, lines};
use crate::time::Time;
use crate::wire::{LinkId, Peer, Wire};

/// Who has gone comes back after this long at most, in ns.
const AWAY_NS_MAX: u64 = 500_000_000;
/// Who stops reading reads again after this long at most, in ns.
const PAUSE_NS_MAX: u64 = 4_000_000_000;

/// One subscriber.
#[derive(Debug)]
pub struct Customer {
    number: usize,
    destinations: Vec<usize>,
    by_pattern: bool,
    acks: bool,
    speed: usize,
    ack_every: usize,
    script: Arc<Script>,
    wire: Wire,
    time: Time,
    dice: Dice,
    link: Option<LinkId>,
    unsent: Vec<u8>,
    heard: Vec<u8>,
    /// Frames of this connection.
    frames: usize,
    acknowledged: usize,
    rests_until_ns: u64,
}

impl Customer {
    /// Not connected yet.
    pub fn new(
        number: usize,
        plan: &CustomerPlan,
        script: Arc<Script>,
        wire: Wire,
        time: Time,
        dice: Dice,
    ) -> Self {
        Self {
            number,
            destinations: plan.destinations.clone(),
            by_pattern: plan.by_pattern,
            acks: plan.acks,
            speed: plan.speed,
            ack_every: plan.ack_every,
            script,
            wire,
            time,
            dice,
            link: None,
            unsent: Vec::new(),
            heard: Vec::new(),
            frames: 0,
            acknowledged: 0,
            rests_until_ns: 0,
        }
    }

    /// From now on it is the best customer there is.
    pub fn calm(&mut self) {
        self.speed = usize::MAX;
        self.ack_every = 1;
        self.rests_until_ns = 0;
    }

    /// It goes, and comes back at this time.
    pub fn stay_away(&mut self, until_ns: u64) {
        if let Some(link) = self.link {
            self.go(link, true);
        }
        self.rests_until_ns = until_ns;
    }

    /// Its connection, and the destinations that it subscribes to.
    pub fn seat(&self) -> (Option<LinkId>, &[usize]) {
        (self.link, &self.destinations)
    }

    /// How far it is, for people.
    pub fn state(&self) -> String {
        format!(
            "customer {} of {:?}: {} frames, {} acknowledged (acks: {}), link {:?}",
            self.number, self.destinations, self.frames, self.acknowledged, self.acks, self.link,
        )
    }

    /// One turn: reads, and acknowledges. Returns whether it did anything.
    pub fn turn(&mut self, faults: &Faults, events: &mut Vec<Event>) -> bool {
        if self.time.ns() < self.rests_until_ns {
            return false;
        }
        let Some(link) = self.link else {
            self.come();
            return true;
        };
        if self.dice.chance(faults.pause) {
            self.rests_until_ns = self.time.ns() + self.dice.long(0..=PAUSE_NS_MAX);
        }
        if self.dice.chance(faults.reset) {
            let orderly = self.dice.flip();
            self.go(link, orderly);
            return true;
        }
        let Some(bytes) = self.wire.take(link, self.speed) else {
            self.go(link, true);
            return true;
        };
        self.listen(&bytes, events);
        self.acknowledge();
        let taken = self.wire.send(link, &self.unsent).unwrap_or(0);
        self.unsent.drain(..taken);
        taken > 0 || !bytes.is_empty()
    }

    fn come(&mut self) {
        self.link = Some(self.wire.connect(Peer::Customer { acks: self.acks }));
        let names: Vec<String> = match self.by_pattern {
            true => vec!["\"table*\"".to_owned()],
            false => {
                let numbers = self.destinations.iter();
                numbers.map(|it| format!("\"table{it}\"")).collect()
            }
        };
        let ack = if self.acks { ",\"ack\":true" } else { "" };
        let line = format!("{{\"subscribe\":[{}]{ack}}}\n", names.join(","));
        self.unsent = line.into_bytes();
        self.heard.clear();
        (self.frames, self.acknowledged) = (0, 0);
    }

    fn go(&mut self, link: LinkId, orderly: bool) {
        self.wire.leave(link, orderly);
        self.link = None;
        self.rests_until_ns = self.time.ns() + self.dice.long(0..=AWAY_NS_MAX);
    }

    fn listen(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        self.heard.extend_from_slice(bytes);
        for line in lines(&mut self.heard).iter().filter(|it| is_frame(it)) {
            self.frames += 1;
            // A frame that nobody sent was told of when it was written.
            events.extend(self.script.find(line).map(Event::Received));
        }
    }

    fn acknowledge(&mut self) {
        let owed = self.frames - self.acknowledged;
        // Whoever acknowledges in bunches only would owe the last ones for ever.
        let is_time = owed >= self.ack_every || owed > 0 && self.dice.chance(20);
        if self.acks && is_time && self.unsent.is_empty() {
            self.acknowledged = self.frames;
            self.unsent = format!("{{\"ack\":{}}}\n", self.frames).into_bytes();
        }
    }
}
