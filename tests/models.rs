//! Models of what threads share: loom runs them in every order that the memory model allows.
//!
//! The files are the engine's own, compiled against loom's atomics, and for the arena against a
//! memory that notes who touches which byte. Each model is also broken on purpose, to see that loom
//! finds it.
#![allow(dead_code, reason = "the models use a part of what the files have")]
#![allow(unsafe_code, reason = "the arena's file has unsafe code")]

use loom::thread;

use self::arena::{Ledger, Returned, View};
use self::parking::Parking;
use self::sync::Arc;
use self::sync::atomic::{AtomicUsize, Ordering};

/// What the engine's files take from `crate::sync`.
mod sync {
    pub(crate) use loom::sync::{Arc, atomic};
}

/// What the arena's files take from `crate::message`.
mod message {
    pub(crate) mod layout {
        pub(crate) use flipped_lb::message::layout::{RECORD_HEADER_LEN, record_len};
    }
}

#[path = "../src/ring/parking.rs"]
mod parking;

#[path = "."]
mod arena {
    #[path = "../src/arena/ledger.rs"]
    mod ledger;
    #[path = "models/memory.rs"]
    mod memory;
    #[path = "../src/arena/region.rs"]
    mod region;

    pub(crate) use ledger::Ledger;
    pub(crate) use region::{Lease, Returned, View, Writer};
}

/// A thread loses its core against its will so often at most: what takes more of it to go wrong has not
/// been heard of, and all orders of some models take minutes.
const PREEMPTIONS_MAX: usize = 4;

fn explore(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}

/// Set where a broken model shall run: in a process of its own, for loom aborts it.
const BROKEN: &str = "FLIPPED_LB_BROKEN_MODEL";

/// Runs a broken model, in this test once more, and has loom find what is wrong.
fn fails(test: &str, expected: &str, model: fn()) {
    if std::env::var_os(BROKEN).is_some() {
        return explore(model);
    }
    let program = std::env::current_exe().expect("our own program");
    let mut again = std::process::Command::new(program);
    again.args([test, "--exact", "--nocapture"]);
    let output = again.env(BROKEN, "1").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && said.contains(expected),
        "{said}"
    );
}

/// A ring with one entry at a time, as far as parking knows it, and an event that wakes.
#[derive(Debug)]
struct Hop {
    published: AtomicUsize,
    parking: Parking,
    event: loom::sync::Notify,
}

impl Hop {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            published: AtomicUsize::new(0),
            parking: Parking::new(),
            event: loom::sync::Notify::new(),
        })
    }

    fn send(&self, count: usize) {
        self.published.store(count, Ordering::Release);
        if self.parking.must_wake() {
            self.event.notify();
        }
    }

    /// Sleeps until so many entries are there. A missed wake-up sleeps for ever, which loom tells.
    fn receive(&self, count: usize, looks_again: bool) {
        while self.published.load(Ordering::Acquire) < count {
            self.parking.begin();
            if !looks_again || self.published.load(Ordering::Acquire) < count {
                self.event.wait();
            }
            self.parking.end();
        }
    }
}

fn send_and_receive(looks_again: bool) {
    let hop = Hop::new();
    let sender = Arc::clone(&hop);
    let sending = thread::spawn(move || {
        sender.send(1);
        sender.send(2);
    });
    hop.receive(1, looks_again);
    hop.receive(2, looks_again);
    sending.join().expect("the sender ends");
}

#[test]
fn no_wake_up_is_missed() {
    explore(|| send_and_receive(true));
}

#[test]
fn a_receiver_that_looks_only_before_it_announces_misses_one() {
    let name = "a_receiver_that_looks_only_before_it_announces_misses_one";
    fails(name, "deadlock", || send_and_receive(false));
}

const FRAMES: [&[u8]; 2] = [b"one", b"two"];

/// One chunk goes round twice: filled by a writer, read by a lease, returned, and filled again.
fn lend_and_return(returns_early: bool) {
    let (to_ledger, committed) = loom::sync::mpsc::channel();
    let (to_writer, writers) = loom::sync::mpsc::channel();
    let (to_reader, leases) = loom::sync::mpsc::channel();
    let (home, returned) = loom::sync::mpsc::channel();
    let record_len = message::layout::record_len(FRAMES[0].len());
    let mut ledger = Ledger::new(record_len, 1);
    let view = ledger.view();
    let reader_view: View = ledger.view();
    let ingest = thread::spawn(move || {
        for frame in FRAMES {
            let mut writer: arena::Writer = writers.recv().expect("a chunk");
            let record = writer.claim(frame).expect("room").commit();
            to_ledger.send((record, writer)).expect("the ledger lives");
        }
    });
    let delivery = thread::spawn(move || {
        for frame in FRAMES {
            let lease: arena::Lease = leases.recv().expect("a lease");
            if returns_early {
                // SAFETY: a lease has no destructor; that this one is used after it was returned is
                // what loom has to find.
                let kept = unsafe { std::ptr::read(&raw const lease) };
                home.send(Returned::one(lease)).expect("the ledger lives");
                assert!(reader_view.bytes(&kept).ends_with(b"\n"));
                continue;
            }
            let bytes = reader_view.bytes(&lease);
            assert_eq!(&bytes[message::layout::RECORD_HEADER_LEN..][..3], frame);
            home.send(Returned::one(lease)).expect("the ledger lives");
        }
    });
    for _ in FRAMES {
        let writer = ledger.writer().expect("the chunk is home");
        to_writer.send(writer).expect("ingest lives");
        let (mut record, writer) = committed.recv().expect("a record");
        view.header_mut(&mut record)[0] = 7;
        let place = ledger.place(record);
        ledger.seal(writer);
        let lease = ledger.lend(place).expect("resident");
        to_reader.send(lease).expect("delivery lives");
        ledger.release(place);
        ledger.take_back(returned.recv().expect("it comes home"));
    }
    ingest.join().expect("ingest ends");
    delivery.join().expect("delivery ends");
}

#[test]
fn nobody_reads_a_chunk_that_is_filled_again() {
    explore(|| lend_and_return(false));
}

#[test]
fn a_lease_that_is_read_after_its_return_is_found() {
    let name = "a_lease_that_is_read_after_its_return_is_found";
    fails(name, "Causality violation", || lend_and_return(true));
}
