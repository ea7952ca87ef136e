//! The store's thread, with a real clock and a real database.

use super::*;
use crate::clock::SystemClock;
use crate::journal::testing::{Memory, TestWriter};
use crate::store::sqlite::SqliteStore;
use crate::store::testing::{Fault, Faulty, SEGMENT, reader, settings};

const PATIENCE: Duration = Duration::from_secs(180);

struct World {
    _home: tempfile::TempDir,
    writer: TestWriter<Memory>,
    store: Faulty,
    recorded: Arc<AtomicU64>,
    thread: StoreThread,
}

fn start() -> World {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("messages.db");
    let store = Faulty::new(SqliteStore::open(&path, "here").expect("it opens"));
    let memory = Memory::default();
    let counters = Arc::new(Counters::default());
    let follower = Follower::new(reader(&memory), store.clone(), counters, &settings(100, 20));
    let recorded = Arc::new(AtomicU64::new(0));
    let pause = Duration::from_millis(5);
    let spawned = StoreThread::spawn(follower, SystemClock::start(), pause, recorded.clone());
    World {
        _home: home,
        writer: TestWriter::new(memory, SEGMENT),
        store,
        recorded,
        thread: spawned.expect("a thread"),
    }
}

impl World {
    fn write(&mut self, sequence: u64) {
        self.writer.plain(sequence..=sequence);
        self.recorded
            .store(self.writer.position(), Ordering::Release);
    }

    /// Bytes of the journal that are recorded and not in the store yet.
    fn lag(&self) -> u64 {
        let recorded = self.recorded.load(Ordering::Relaxed);
        recorded.saturating_sub(self.thread.counters.get(Counter::StorePosition))
    }

    fn is_running(&self) -> bool {
        !self.thread.handle.is_finished()
    }
}

fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn it_follows_while_the_journal_grows_and_to_its_end() {
    let mut world = start();
    for sequence in 1..=300 {
        world.write(sequence);
    }
    until(|| world.lag() == 0);
    for sequence in 301..=400 {
        world.write(sequence);
    }
    let end = world.writer.position();
    assert_eq!(
        world.thread.finish(end, PATIENCE, &AtomicBool::new(false)),
        0
    );
    assert_eq!(world.store.totals().expect("it answers").rows, 400);
}

#[test]
fn an_empty_journal_is_finished_at_once() {
    let world = start();
    assert_eq!(world.thread.finish(0, PATIENCE, &AtomicBool::new(false)), 0);
}

#[test]
fn giving_up_leaves_the_rest_for_the_next_start() {
    let mut world = start();
    world.store.set(Some(Fault::Down));
    world.write(1);
    until(|| world.thread.counters.get(Counter::StoreRetries) > 0);
    assert!(world.is_running());
    let end = world.writer.position();
    assert_eq!(
        world.thread.finish(end, PATIENCE, &AtomicBool::new(true)),
        end
    );
}

#[test]
fn a_database_that_refuses_stops_the_thread_and_nothing_else() {
    let mut world = start();
    world.store.set(Some(Fault::Refused));
    world.write(1);
    until(|| !world.is_running());
    let end = world.writer.position();
    assert_eq!(world.lag(), end);
    assert_eq!(
        world.thread.finish(end, PATIENCE, &AtomicBool::new(false)),
        end
    );
}

#[test]
fn a_database_that_is_down_does_not_hold_up_the_end() {
    let mut world = start();
    world.store.set(Some(Fault::Down));
    world.write(1);
    until(|| world.thread.counters.get(Counter::StoreRetries) > 0);
    let end = world.writer.position();
    assert_eq!(
        world.thread.finish(end, PATIENCE, &AtomicBool::new(false)),
        end
    );
}

#[test]
fn the_priority_is_the_lowest_but_where_the_database_is_not_reached_or_somebody_waits() {
    let own = getpriority_process(None).expect("it can be asked");
    let mut world = start();
    let priorities = Arc::clone(&world.store.priorities);
    let of = move || *priorities.lock().expect("no panic under the lock");
    for sequence in 1..=2 {
        world.write(sequence);
        until(|| world.lag() == 0);
    }
    assert_eq!(of(), (Some(own), Some(19)));
    let counters = Arc::clone(&world.thread.counters);
    let mut sequence = 2;
    for (is_full, expected) in [(1, own), (0, 19), (1, own)] {
        counters.set(Counter::JournalWaiting, is_full);
        until(|| {
            sequence += 1;
            world.write(sequence);
            until(|| world.lag() == 0);
            of().1 == Some(expected)
        });
    }
}

#[test]
fn a_first_answer_that_takes_its_time_does_not_hide_that_rows_wait() {
    let mut world = start();
    let database = Arc::clone(&world.store.inner);
    let held = database.lock().expect("no panic under the lock");
    world.write(1);
    let (clock, thread) = (SystemClock::start(), &world.thread);
    until(|| {
        // As the monitor does.
        let now = clock.now();
        thread.progress().publish(now.epoch_us, &thread.counters);
        thread.counters.get(Counter::StoreLagSeconds) > 0
    });
    drop(held);
    until(|| world.lag() == 0);
}
