//! What the admin tests share: names, and an engine that has done a little work.
//!
//! Compiled for tests only; it starts nothing.

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use super::{AdminState, Facts, Health, Names, Phase, Shown};
use crate::clock::Now;
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::destinations::{DestinationState, Report, SubscriberState, Tracker};
use crate::engine::reload::asking::Reloads;
use crate::engine::tls::Certificates;
use crate::latency::{Delivered, Interval, Stage, Totals};
use crate::message::{DestinationIndex, Reason, TypeIndex};
use crate::net::admission::Admission;

pub(super) struct Restaurant;

impl Names for Restaurant {
    fn destination(&self, index: DestinationIndex) -> String {
        format!("table{}", index + 1)
    }
    fn message_type(&self, index: TypeIndex) -> String {
        ["breakfast", "lunch", "dinner"][usize::from(index)].to_owned()
    }
}

pub(super) fn delivery(sequence: u64, destination: DestinationIndex) -> Delivered {
    Delivered {
        destination,
        level: 1 + destination as u8,
        message_type: (sequence % 2) as TypeIndex,
        sequence,
        latency_ns: 120_000,
        epoch_us: 1_700_000_000_000_000 + sequence,
    }
}

/// Ten messages: six for table1 at level 1, four for table2 at level 2, 120 us each.
pub(super) fn ten(interval: &mut Interval) {
    for sequence in 1..=10 {
        let it = delivery(sequence, u32::from(sequence > 6));
        interval.delivered(it);
        for stage in Stage::ALL {
            interval.record(stage, it.level, it.destination, it.latency_ns, 1);
        }
    }
}

pub(super) fn totals() -> Totals {
    let mut interval = Interval::new(3, 4);
    ten(&mut interval);
    let mut totals = Totals::new(3, 4);
    totals.merge(&interval);
    totals
}

/// 20 lines received: 15 accepted (10 settled, 4 queued, 1 in flight), 2 duplicates, 3 rejected.
pub(super) fn counters() -> Counters {
    let counters = Counters::default();
    counters.begin();
    for (counter, value) in [
        (Counter::Received, 20),
        (Counter::Accepted, 15),
        (Counter::Duplicates, 2),
        (Counter::Rejected, 3),
        (Counter::Settled, 10),
        (Counter::Queued, 4),
        (Counter::InFlight, 1),
    ] {
        counters.set(counter, value);
    }
    counters.set_rejected(Reason::BadJson, 2);
    counters.set_rejected(Reason::Oversize, 1);
    counters.end();
    counters.set(Counter::Delivered, 10);
    counters.set(Counter::Stored, 9);
    counters
}

/// table1 has a subscriber and nothing waits; four messages wait for table2, which has none.
pub(super) fn destinations() -> Tracker {
    let subscriber = SubscriberState {
        id: (0, 1),
        peer: Some(([10, 0, 0, 7], 4312).into()),
        ack: true,
        written: 6,
        unwritten: 0,
        unacknowledged: 0,
        fetching: 0,
    };
    let served = DestinationState {
        accepted: 6,
        settled: 6,
        subscriber: Some(subscriber),
        ..DestinationState::default()
    };
    let mut waiting = DestinationState {
        accepted: 8,
        settled: 4,
        oldest_wait_ms: Some(2_500),
        ..DestinationState::default()
    };
    waiting.queued[1] = 4;
    let mut tracker = Tracker::default();
    tracker.update(&Report {
        states: vec![served, waiting],
        retired: Vec::new(),
        released: Vec::new(),
        completed_at: Some(Now {
            ns: 1_000_000_000,
            steady_us: 0,
            epoch_us: 1_700_000_001_000_000,
        }),
    });
    tracker
}

/// These totals, and the destinations above.
pub(super) fn shown(totals: Totals) -> Shown {
    Shown {
        destinations: destinations(),
        ..Shown::new(totals, 0)
    }
}

pub(super) fn state() -> AdminState {
    let health = Health::new(["ingest", "scheduler"]);
    health.set_phase(Phase::Running);
    AdminState {
        counters: Arc::new(counters()),
        shown: Arc::new(Mutex::new(shown(totals()))),
        health: Arc::new(health),
        names: Arc::new(Restaurant),
        users: Arc::default(),
        tls: Arc::default(),
        certificates: Certificates::default(),
        admission: Arc::new(Admission::new("admin", Config::default().admin.connections)),
        refused: Arc::default(),
        reloads: Reloads::new().0,
        member: None,
        facts: Facts {
            version: "1.2.3",
            durability: "written",
            threading_mode: "shared",
            started: Instant::now(),
            journal_max_bytes: Config::default().journal.max_bytes,
            started_at: SystemTime::now(),
            has_store: true,
            hosts: Vec::new(),
        },
    }
}
