//! How many nanoseconds the scheduler's cores take a message. Each bench checks its answers first.
//!
//! `cargo bench --bench scheduler`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flipped_lb::config::Destination;
use flipped_lb::message::{IdHash, Text};
use flipped_lb::scheduler::dedup::DedupWindow;
use flipped_lb::scheduler::queue::Queues;
use flipped_lb::scheduler::queue::cold::AllHot;
use flipped_lb::scheduler::rules::Rules;

const WINDOW: usize = 1_000_000;
const BATCH: usize = 1_024;
/// How many claims ahead a hash is announced.
const AHEAD: usize = 8;

/// Spreads the bits of a number.
const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Hashes as ids would give them, without the ids.
fn hash(number: u64) -> IdHash {
    let mix = |seed: u64| {
        let product = u128::from(number ^ seed).wrapping_mul(ODD);
        (product ^ (product >> 64)) as u64 ^ (product >> 17) as u64
    };
    IdHash([mix(0x243f_6a88_85a3_08d3), mix(0x1319_8a2e_0370_7344)])
}

/// A full window, checked, and the number of the next id.
fn full_window() -> (DedupWindow, u64) {
    let mut window = DedupWindow::new(WINDOW, Duration::from_secs(600), [1, 2, 3, 4, 5, 6, 7, 8]);
    let count = 2 * WINDOW as u64;
    for number in 0..count {
        assert!(window.claim(hash(number), 1));
    }
    assert_eq!(window.len(), WINDOW);
    assert!(!window.claim(hash(count - WINDOW as u64), 1));
    (window, count)
}

fn dedup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dedup");
    group.throughput(Throughput::Elements(BATCH as u64));
    let (mut window, mut next) = full_window();
    let mut hashes = vec![hash(0); BATCH + AHEAD];
    for (name, touch) in [("claim new", false), ("claim new, announced", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    (0..)
                        .zip(&mut hashes)
                        .for_each(|(at, into)| *into = hash(next + at));
                    next += BATCH as u64;
                    took += claim_all(&mut window, &hashes, touch, true);
                }
                took
            });
        });
    }
    for (name, touch) in [
        ("claim duplicate", false),
        ("claim duplicate, announced", true),
    ] {
        group.bench_function(name, |bencher| {
            let mut at = 0u64;
            bencher.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    for into in &mut hashes {
                        at = (at + 611_953) % WINDOW as u64;
                        *into = hash(next - 1 - at);
                    }
                    took += claim_all(&mut window, &hashes, touch, false);
                }
                took
            });
        });
    }
    let hasher = window.hasher();
    let id = b"server1-1693123456789-abc12345";
    assert_eq!(hasher.hash(id), hasher.hash(id));
    group.throughput(Throughput::Elements(1));
    group.bench_function("hash an id of 30 bytes", |bencher| {
        bencher.iter(|| hasher.hash(black_box(id)));
    });
}

fn claim_all(window: &mut DedupWindow, hashes: &[IdHash], touch: bool, new: bool) -> Duration {
    let start = std::time::Instant::now();
    for at in 0..BATCH {
        if touch {
            window.touch(hashes[at + AHEAD]);
        }
        assert_eq!(window.claim(hashes[at], 1), new);
    }
    start.elapsed()
}

/// Queues with a backlog, all open, and the destination that a message number is for.
fn backlog(destinations: u32, slots: u32) -> Queues {
    let wait = [
        Duration::ZERO,
        Duration::from_secs(1),
        Duration::from_secs(5),
    ];
    let mut queues = Queues::new(3, destinations as usize, &wait);
    queues.reserve_slots(slots as usize);
    (0..destinations).for_each(|destination| queues.open(destination, 0));
    queues
}

fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (destinations, waiting) in [(4, 0), (4, 100_000), (10_000, 0), (10_000, 100_000)] {
        let mut queues = backlog(destinations, waiting + BATCH as u32);
        let mut free: Vec<u32> = (0..waiting + BATCH as u32).collect();
        let mut number = 0u32;
        let mut round = |queues: &mut Queues, pushes: u32, pops: u32| {
            for _ in 0..pushes {
                number = number.wrapping_add(1);
                // 2,000 messages a millisecond; every fourth comes 0 to 7 ms late.
                let now_ms = 1_000 + u64::from(number) / 2_000;
                let late_ms = if number.is_multiple_of(4) {
                    u64::from(number / 4 % 8)
                } else {
                    0
                };
                let at =
                    (u64::from(number.wrapping_mul(0x9e37_79b9)) * u64::from(destinations)) >> 32;
                let slot = free.pop().expect("there are enough slots");
                let level = (number % 3 + 1) as u8;
                queues.push(at as u32, level, slot, now_ms - late_ms, now_ms);
            }
            for _ in 0..pops {
                let (_, slot, _) = queues.pop_ready(&mut AllHot).expect("as many were pushed");
                free.push(slot);
            }
        };
        round(&mut queues, waiting, 0);
        round(&mut queues, BATCH as u32, BATCH as u32);
        assert_eq!(queues.len(), waiting as usize);
        let name = format!("push and pop, {destinations} destinations, {waiting} waiting");
        group.bench_function(name, |bencher| {
            bencher.iter(|| round(&mut queues, BATCH as u32, BATCH as u32));
        });
        assert_eq!(queues.len(), waiting as usize);
    }
}

fn rules(criterion: &mut Criterion) {
    let destination = |at| Destination {
        vip: at == 1,
        ..Destination::to(format!("table{at}"))
    };
    let destinations: Vec<_> = (1..=10_000).map(destination).collect();
    let rules = Rules::new(&[], &destinations, 3);
    let unasked = || -> (u16, Text<'static>) { unreachable!("no rule looks at the source") };
    assert_eq!(rules.level(0, 0, 3, unasked), 1);
    assert_eq!(rules.level(1, 0, 3, unasked), 3);
    let mut at = 0u32;
    criterion.bench_function("rules: level, no rules", |bencher| {
        bencher.iter(|| {
            at = (at + 6_133) % 10_000;
            rules.level(black_box(at), black_box(3), black_box(2), unasked)
        });
    });
}

criterion_group!(benches, dedup, queue, rules);
criterion_main!(benches);
