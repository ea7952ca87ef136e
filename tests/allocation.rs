//! The path allocates nothing for a message: the whole pipeline, turned by hand on this thread over
//! real sockets and a real journal, under an allocator that counts.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an implementation of an unsafe trait"
)]

#[path = "support/hand.rs"]
mod hand;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Instant;

use flipped_lb::clock::SystemClock;
use flipped_lb::counters::Counter;
use flipped_lb::latency::Totals;
use flipped_lb::limits::LATENCY_DESTINATIONS_MAX;
use hand::{Hand, Peer};
use support::PATIENCE;

/// The system's allocator, which counts what a thread asks of it while that thread wants it to.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    // A thread that is ending has no such cells any more, and is not the one that counts.
    let is_counting = IS_COUNTING.try_with(Cell::get).unwrap_or(false);
    if is_counting {
        COUNT.set(COUNT.get() + 1);
    }
}

// SAFETY: every call is passed on to the system's allocator with the arguments as they came, so its
// guarantees hold; the cells that `note` touches are constant at first and need no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc`'s contract, and it is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, and it is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        note();
        // SAFETY: the pointer came from `System`, for this allocator hands out nothing else.
        unsafe { System.realloc(pointer, layout, new_len) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`, for this allocator hands out nothing else.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Messages of a burst: some are in each stage at once.
const BURST: usize = 50;
const WARM_UP: usize = 400;
const MEASURED: usize = 400;

/// Producers and subscribers, on the same thread, whose own allocations are not counted.
struct World {
    hand: Hand<SystemClock>,
    producers: Vec<Peer>,
    subscribers: Vec<Peer>,
    totals: Totals,
    ack: bool,
    sent: usize,
}

impl World {
    fn new(settings: &str, ack: bool) -> Self {
        let mut hand = Hand::new(settings, SystemClock::start());
        let mut producers: Vec<Peer> = (0..2).map(|_| hand.producer()).collect();
        for producer in &mut producers {
            producer.say(&format!("{{\"producer\":{{\"ack\":{ack}}}}}"));
        }
        let subscribe =
            |destinations: &str| format!("{{\"subscribe\":[{destinations}],\"ack\":{ack}}}");
        let subscribers = vec![
            hand.subscriber(&subscribe("\"table1\",\"table2\"")),
            hand.subscriber(&subscribe("\"table3\",\"table4\"")),
        ];
        Self {
            hand,
            producers,
            subscribers,
            totals: Totals::new(3, LATENCY_DESTINATIONS_MAX),
            ack,
            sent: 0,
        }
    }

    /// One duty cycle of each agent, counted.
    fn turn(&mut self) {
        // Latencies are fetched as the monitor does it.
        self.hand.collector.collect(&mut self.totals);
        IS_COUNTING.set(true);
        self.hand.turn();
        IS_COUNTING.set(false);
    }

    /// A burst goes all the way; each tenth message is sent twice.
    fn burst(&mut self) {
        let (settled, duplicates) = (
            self.hand.count(Counter::Settled) + BURST as u64,
            self.hand.count(Counter::Duplicates) + BURST as u64 / 10,
        );
        for _ in 0..BURST {
            self.sent += 1;
            let line = line(self.sent);
            let producer = &mut self.producers[self.sent % 2];
            for _ in 0..1 + usize::from(self.sent.is_multiple_of(10)) {
                producer.out.extend(line.as_bytes());
            }
        }
        let begun = Instant::now();
        while self.hand.count(Counter::Settled) < settled
            || self.hand.count(Counter::Duplicates) < duplicates
        {
            for producer in &mut self.producers {
                producer.push();
                while producer.line().is_some() {}
            }
            self.turn();
            for subscriber in &mut self.subscribers {
                while let Some(line) = subscriber.line() {
                    subscriber.frames += u64::from(line.contains("\"messageId\""));
                }
                if self.ack {
                    let frames = subscriber.frames;
                    subscriber.say(&format!("{{\"ack\":{frames}}}"));
                }
            }
            assert!(begun.elapsed() < PATIENCE, "a burst goes all the way");
        }
    }
}

/// A frame of some 390 bytes.
fn line(number: usize) -> String {
    let mut line = String::new();
    let types = ["breakfast", "lunch", "dinner"];
    write!(
        line,
        "{{\"messageId\":\"server{}-{number}-abc12345\",\"sourceServerId\":\"server{}\",\
         \"destinationId\":\"table{}\",\"messageType\":\"{}\",\"priority\":{},\
         \"timestamp\":1693123456789,\"payload\":{{\"note\":\"{}\"}}}}",
        number % 2,
        number % 2,
        number % 4 + 1,
        types[number % 3],
        number / 4 % 3 + 1,
        "x".repeat(180)
    )
    .expect("memory");
    line.push('\n');
    line
}

/// Allocations of the measured part.
fn allocations(settings: &str, ack: bool) -> u64 {
    let mut world = World::new(settings, ack);
    for _ in 0..WARM_UP {
        world.burst();
    }
    COUNT.set(0);
    for _ in 0..MEASURED {
        world.burst();
    }
    let (count, messages) = (COUNT.get(), MEASURED * BURST);
    println!("{count} allocations for {messages} messages ({settings:?}, ack: {ack})");
    count
}

/// Fewer than one for a thousand messages: a new segment file, a clock that is asked once a minute.
const ALLOCATIONS_MAX: u64 = (MEASURED * BURST / 1_000) as u64;

#[test]
fn messages_are_delivered_without_allocations() {
    for durability in ["memory", "written", "synced"] {
        let settings = format!("durability = \"{durability}\"");
        assert!(allocations(&settings, false) < ALLOCATIONS_MAX);
    }
}

#[test]
fn acknowledged_messages_are_delivered_without_allocations() {
    assert!(allocations("", true) < ALLOCATIONS_MAX);
}

#[test]
fn full_windows_credits_and_segments_cost_no_allocations() {
    // Ids leave the window, and segments end, while the messages are counted; rules look at each.
    let settings = "[journal]\nsegment = \"4MiB\"\n[dedup]\nwindow_messages = 10000\n\
                    [delivery]\ncredit = \"4KiB\"\n[scheduler]\nmax_wait = [\"0s\", \"1ms\", \"1ms\"]\n\
                    [[rule]]\nsource = \"server1\"\nhours = \"07:00-11:00\"\npriority = 2";
    assert!(allocations(settings, true) < ALLOCATIONS_MAX);
}

#[test]
fn the_allocator_counts() {
    IS_COUNTING.set(true);
    COUNT.set(0);
    let text = std::hint::black_box("x".repeat(100));
    IS_COUNTING.set(false);
    drop(text);
    assert_eq!(COUNT.get(), 1);
}
