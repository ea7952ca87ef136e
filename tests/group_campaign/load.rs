//! A producer and a customer that both acknowledge, at whichever member serves, from the campaign's beginning to
//! its end; and the longest time that each of them waited.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::group_peer::GroupPeer;
use crate::member::Member;
use crate::servers::wait;
use crate::support::frame;

/// How long somebody waits for a line before it does something else.
const GLANCE: Duration = Duration::from_millis(5);
/// Whoever is not answered for so long looks elsewhere: a machine that is gone says nothing.
const SILENCE: Duration = Duration::from_secs(3);
/// Messages that may wait for their acknowledgement.
const OPEN_MAX: u64 = 20_000;

/// When something came, and the longest time that nothing did.
#[derive(Debug)]
struct Progress {
    count: AtomicU64,
    gap: Mutex<(Instant, Duration)>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            gap: Mutex::new((Instant::now(), Duration::ZERO)),
        }
    }
}

impl Progress {
    fn reach(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
        let mut gap = self.gap.lock().expect("whole");
        gap.1 = gap.1.max(gap.0.elapsed());
        gap.0 = Instant::now();
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn take_gap(&self) -> Duration {
        let mut gap = self.gap.lock().expect("whole");
        std::mem::take(&mut gap.1)
    }
}

#[derive(Debug)]
struct Shared {
    is_over: AtomicBool,
    /// The last message, once no more are sent.
    last: AtomicU64,
    acknowledged: Progress,
    delivered: Progress,
}

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    /// Messages that were acknowledged, and delivered.
    pub acknowledged: u64,
    /// Frames that came once more, each announced.
    pub repeated: u64,
}

pub struct Load {
    shared: Arc<Shared>,
    producer: JoinHandle<u64>,
    customer: JoinHandle<u64>,
}

impl Load {
    pub fn start(members: &[Member], rate: u64) -> Self {
        let shared = Arc::new(Shared {
            is_over: AtomicBool::new(false),
            last: AtomicU64::new(u64::MAX),
            acknowledged: Progress::default(),
            delivered: Progress::default(),
        });
        let addresses = |of: fn(&Member) -> SocketAddr| members.iter().map(of).collect::<Vec<_>>();
        let (ingest, delivery) = (addresses(|it| it.ingest), addresses(|it| it.delivery));
        let (for_producer, for_customer) = (Arc::clone(&shared), Arc::clone(&shared));
        Self {
            shared,
            producer: std::thread::spawn(move || produce(&ingest, rate, &for_producer)),
            customer: std::thread::spawn(move || consume(&delivery, &for_customer)),
        }
    }

    /// Until some more is acknowledged and delivered.
    pub fn wait_for_more(&self) {
        for progress in [&self.shared.acknowledged, &self.shared.delivered] {
            let wanted = progress.count() + 100;
            wait("progress", || (progress.count() >= wanted).then_some(()));
        }
    }

    /// The longest times without an acknowledgement and without a delivery, since this was asked last.
    pub fn take_gaps(&self) -> [Duration; 2] {
        [&self.shared.acknowledged, &self.shared.delivered].map(Progress::take_gap)
    }

    /// No more is sent; returns what came of it, once all that was acknowledged is delivered.
    pub fn finish(self) -> Ended {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let acknowledged = self.producer.join().expect("the producer lives");
        let repeated = (self.customer.join()).expect("the customer has what it was promised");
        Ended {
            acknowledged,
            repeated,
        }
    }
}

fn connect(at: SocketAddr, first: &str) -> Option<GroupPeer> {
    GroupPeer::connect(at, first, GLANCE, SILENCE)
}

fn line(number: u64) -> String {
    frame(&format!("m-{number}"), "table1", 1) + "\n"
}

/// Sends at this rate, and again what was not acknowledged; returns how many there are.
fn produce(addresses: &[SocketAddr], rate: u64, shared: &Shared) -> u64 {
    let (begun, mut at) = (Instant::now(), 0);
    let mut last = u64::MAX;
    while shared.acknowledged.count() < last {
        at += 1;
        let address = addresses[at % addresses.len()];
        let Some(mut peer) = connect(address, "{\"producer\":{\"ack\":true}}\n") else {
            std::thread::sleep(GLANCE);
            continue;
        };
        let before = shared.acknowledged.count();
        let mut sent = before;
        while shared.acknowledged.count() < last {
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
            if last == u64::MAX && shared.is_over.load(Ordering::Relaxed) {
                last = sent.max(shared.acknowledged.count());
                shared.last.store(last, Ordering::Relaxed);
            }
            let through = due
                .min(shared.acknowledged.count() + OPEN_MAX)
                .min(last)
                .min(sent + 1_000);
            let text: String = (sent + 1..=through).map(line).collect();
            if peer.say(&text).is_err() {
                break;
            }
            sent = sent.max(through);
            match peer.line() {
                Ok(Some(said)) => {
                    if let Some(count) = said["ack"].as_u64() {
                        shared.acknowledged.reach(before + count);
                    }
                }
                Ok(None) if peer.heard.elapsed() > SILENCE => break,
                Ok(None) => {}
                Err(()) => break,
            }
        }
    }
    last
}

/// Takes all frames, and acknowledges each, until it has all that were sent; returns how many came again.
fn consume(addresses: &[SocketAddr], shared: &Shared) -> u64 {
    let (mut known, mut next, mut at) = (HashSet::new(), 1_u64, 0);
    let mut repeated = 0;
    let is_done = |next: u64| next > shared.last.load(Ordering::Relaxed);
    while !is_done(next) {
        at += 1;
        let hello = "{\"subscribe\":[\"table1\"],\"ack\":true}\n";
        let Some(mut peer) = connect(addresses[at % addresses.len()], hello) else {
            std::thread::sleep(GLANCE);
            continue;
        };
        let (mut frames, mut again) = (0_u64, 0_u64);
        while !is_done(next) {
            match peer.line() {
                Ok(Some(said)) => {
                    if let Some(count) = said["again"].as_u64() {
                        again = count;
                    } else if let Some(id) = said["messageId"].as_str() {
                        let number: u64 = id[2..].parse().expect("a number");
                        if known.insert(number) {
                            assert_eq!(number, next, "in order, and none is missing");
                            next += 1;
                            shared.delivered.reach(number);
                        } else {
                            assert!(again > 0, "{id} came twice and was not announced");
                            repeated += 1;
                        }
                        again = again.saturating_sub(1);
                        frames += 1;
                        if peer.say(&format!("{{\"ack\":{frames}}}\n")).is_err() {
                            break;
                        }
                    }
                }
                Ok(None) if peer.heard.elapsed() > SILENCE => break,
                Ok(None) => {}
                Err(()) => break,
            }
        }
    }
    repeated
}
