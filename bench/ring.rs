//! What a hop between agents costs a message, on one thread and between two. Each bench checks that
//! all that was sent came, in order.
//!
//! ```text
//! one thread    send .. send, flush, poll .. poll          the ring alone, in the cache
//! two threads   send, flush ==ring==> poll                 the cache lines' way between two cores
//! there and back  send ==ring==> poll, send ==ring==> poll a message's latency, two hops
//! ```
//!
//! `cargo bench --bench ring`; with fewer than two cores the second thread shares the first one's.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flipped_lb::agent::affinity::{allowed_cores, pin};
use flipped_lb::limits::SCHEDULER_RING;
use flipped_lb::ring::{Receiver, Sender, Wake, ring};

/// What agents take in a cycle.
const BATCH: u64 = 256;

/// About as large as what the engine's rings carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry([u64; 5]);

fn entry(number: u64) -> Entry {
    Entry([number, 1, 2, 3, 4])
}

fn hop() -> (Sender<Entry>, Receiver<Entry>) {
    ring(SCHEDULER_RING, &wake())
}

fn wake() -> Arc<Wake> {
    Wake::new().expect("a descriptor")
}

/// Pins the calling thread to the core of that place among those allowed, if there is one.
fn pin_to(place: usize) {
    if let Some(&core) = allowed_cores().get(place) {
        pin("bench", core).expect("it is allowed");
    }
}

/// Waits for room: the receiver is always at work.
fn send(sender: &mut Sender<Entry>, entry: Entry) {
    loop {
        if let Some(mut permit) = sender.claim(1) {
            return permit.send(entry);
        }
        sender.flush();
        spin_loop();
    }
}

fn poll(receiver: &mut Receiver<Entry>) -> Entry {
    loop {
        if let Some(entry) = receiver.poll() {
            return entry;
        }
        spin_loop();
    }
}

fn one_thread(criterion: &mut Criterion) {
    let (mut sender, mut receiver) = hop();
    let mut next = 0;
    let mut round = || {
        for number in next..next + BATCH {
            let permit = sender.claim(1);
            permit.expect("room for a batch").send(entry(number));
        }
        sender.flush();
        for number in next..next + BATCH {
            assert_eq!(receiver.poll(), Some(black_box(entry(number))));
        }
        assert!(receiver.is_empty());
        next += BATCH;
    };
    round();
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("hop, one thread", |bencher| bencher.iter(&mut round));
}

/// How long `rounds` batches take from one core to another.
fn stream(rounds: u64) -> Duration {
    let (mut sender, mut receiver) = hop();
    let count = rounds * BATCH;
    std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            pin_to(1);
            for number in 0..count {
                assert_eq!(poll(&mut receiver), entry(number));
            }
            Instant::now()
        });
        let sending = scope.spawn(move || {
            pin_to(0);
            let begun = Instant::now();
            for number in 0..count {
                send(&mut sender, entry(number));
                if number % BATCH == BATCH - 1 {
                    sender.flush();
                }
            }
            begun
        });
        let begun = sending.join().expect("it sends all");
        let ended = receiving.join().expect("all came, in order");
        ended.duration_since(begun)
    })
}

/// How long `count` messages take there and back, one after the other.
fn ping_pong(count: u64) -> Duration {
    let (mut there, mut received) = hop();
    let (mut back, mut answers) = hop();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin_to(1);
            for _ in 0..count {
                let entry = poll(&mut received);
                send(&mut back, entry);
                back.flush();
            }
        });
        let asking = scope.spawn(move || {
            pin_to(0);
            let begun = Instant::now();
            for number in 0..count {
                send(&mut there, entry(number));
                there.flush();
                assert_eq!(poll(&mut answers), entry(number));
            }
            begun.elapsed()
        });
        asking.join().expect("all came back")
    })
}

fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("hop, two threads", |bencher| bencher.iter_custom(stream));
    group.throughput(Throughput::Elements(1));
    group.bench_function("there and back, two threads", |bencher| {
        bencher.iter_custom(ping_pong);
    });
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
