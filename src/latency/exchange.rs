//! The swap: how an interval changes hands without a lock.
//!
//! ```text
//! Collector --empty interval (a request)--> ring --> Recorder: takes it as its active one
//! Collector <-- ring <--the one that was active----- Recorder
//! ```
//!
//! There are two intervals in all; each is in one hand or in one ring, and a ring has room for
//! both, so that a push never fails. The scheduler agent holds the [`Recorder`], the monitor the
//! [`Collector`]. Neither waits for the other.

use rtrb::{Consumer, Producer, RingBuffer};

use super::{Interval, Totals};
use crate::message::Level;

/// All that there are: the active one and the spare.
const INTERVALS: usize = 2;

/// The scheduler's end.
#[derive(Debug)]
pub struct Recorder {
    /// `None` only while it is dropped.
    active: Option<Box<Interval>>,
    requests: Consumer<Box<Interval>>,
    full: Producer<Box<Interval>>,
}

/// The monitor's end.
#[derive(Debug)]
pub struct Collector {
    /// The interval to ask with; `None`: one has been sent, and the answer is still out.
    spare: Option<Box<Interval>>,
    requests: Producer<Box<Interval>>,
    full: Consumer<Box<Interval>>,
}

/// Makes both ends and the two intervals.
#[must_use]
pub fn exchange(levels: Level, destinations: usize) -> (Recorder, Collector) {
    let (ask, requests) = RingBuffer::new(INTERVALS);
    let (give, full) = RingBuffer::new(INTERVALS);
    let recorder = Recorder {
        active: Some(Box::new(Interval::new(levels, destinations))),
        requests,
        full: give,
    };
    let collector = Collector {
        spare: Some(Box::new(Interval::new(levels, destinations))),
        requests: ask,
        full,
    };
    (recorder, collector)
}

impl Recorder {
    /// The interval to record into.
    #[inline]
    pub fn active_mut(&mut self) -> &mut Interval {
        self.active.as_mut().expect("there is one until the drop")
    }

    /// Swaps if the monitor asked for it. Once a duty cycle; one atomic load when it did not ask,
    /// no allocation when it did. Returns whether it swapped.
    #[inline]
    pub fn poll_swap(&mut self) -> bool {
        let Ok(empty) = self.requests.pop() else {
            return false;
        };
        if let Some(active) = self.active.replace(empty) {
            self.give(active);
        }
        true
    }

    fn give(&mut self, interval: Box<Interval>) {
        let given = self.full.push(interval);
        assert!(given.is_ok(), "the ring has room for every interval");
    }
}

/// What was recorded last goes to the monitor, so that the last statistics are whole.
impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(active) = self.active.take() {
            self.give(active);
        }
    }
}

impl Collector {
    /// Adds what came back since the last call, and asks for the next. So the totals lag one call
    /// behind, save for the last call after the recorder has gone: that one has everything.
    pub fn collect(&mut self, totals: &mut Totals) {
        self.collect_with(|interval| totals.merge(interval));
    }

    /// As [`Collector::collect`], for whoever adds intervals up himself.
    pub fn collect_with(&mut self, mut take: impl FnMut(&Interval)) {
        while let Ok(mut interval) = self.full.pop() {
            take(&interval);
            interval.clear();
            self.spare = Some(interval);
        }
        if let Some(spare) = self.spare.take() {
            let asked = self.requests.push(spare);
            assert!(asked.is_ok(), "the ring has room for every interval");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::latency::{Stage, View};

    const VIEW: View = View::Stage(Stage::Ingest);

    #[test]
    fn nothing_is_swapped_unasked() {
        let (mut recorder, mut collector) = exchange(1, 1);
        let mut totals = Totals::new(1, 1);
        assert!(!recorder.poll_swap());
        collector.collect(&mut totals);
        collector.collect(&mut totals);
        assert!(recorder.poll_swap());
        assert!(!recorder.poll_swap());
    }

    #[test]
    fn the_totals_lag_one_call_behind() {
        let (mut recorder, mut collector) = exchange(1, 1);
        let mut totals = Totals::new(1, 1);
        for round in 0..5 {
            recorder.active_mut().record(Stage::Ingest, 1, 0, 500, 1);
            collector.collect(&mut totals);
            assert_eq!(totals.count(VIEW), round);
            assert!(recorder.poll_swap());
        }
    }

    #[test]
    fn the_last_interval_comes_home_whether_asked_for_or_not() {
        for ask in [false, true] {
            let (mut recorder, mut collector) = exchange(1, 1);
            let mut totals = Totals::new(1, 1);
            recorder.active_mut().record(Stage::Ingest, 1, 0, 500, 1);
            if ask {
                collector.collect(&mut totals);
                assert!(recorder.poll_swap());
                recorder.active_mut().record(Stage::Ingest, 1, 0, 500, 1);
            }
            drop(recorder);
            collector.collect(&mut totals);
            assert_eq!(totals.count(VIEW), 1 + u64::from(ask));
        }
    }

    #[test]
    fn no_record_is_lost_between_two_threads() {
        const RECORDS: u64 = 200_000;
        let (recorder, mut collector) = exchange(2, 3);
        let mut totals = Totals::new(2, 3);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut recorder = recorder;
                for number in 0..RECORDS {
                    let level = 1 + (number % 2) as Level;
                    let destination = (number % 3) as u32;
                    let interval = recorder.active_mut();
                    interval.record(Stage::Ingest, level, destination, number, 1);
                    recorder.poll_swap();
                }
                drop(recorder);
                // Pairs with the load below: who sees it finds the last interval in the ring.
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                collector.collect(&mut totals);
                std::thread::yield_now();
            }
        });
        collector.collect(&mut totals);
        assert_eq!(totals.count(VIEW), RECORDS);
        assert_eq!(totals.histogram(VIEW).len(), RECORDS);
    }
}
