//! The exchange: two boxes change hands between an agent and a thread off the path, without a lock, an
//! allocation or a wait.
//!
//! ```text
//! Collector --an empty box (a request)--> ring --> Writer: goes on with it
//! Collector <-- ring <--the one it wrote into----- Writer
//! ```
//! There are two boxes in all; each is in one hand or in one ring, and a ring has room for both, so that
//! a push never fails.

use rtrb::{Consumer, Producer, RingBuffer};

/// All that there are: the one that is written into and the spare.
const BOXES: usize = 2;

/// What is used over and over.
pub trait Reuse {
    /// Back to nothing; memory is kept.
    fn clear(&mut self);
}

/// The agent's end.
#[derive(Debug)]
pub struct Writer<T> {
    /// `None` only while it is dropped.
    active: Option<Box<T>>,
    requests: Consumer<Box<T>>,
    full: Producer<Box<T>>,
}

/// The other end.
#[derive(Debug)]
pub struct Collector<T> {
    /// The box to ask with; `None`: it has been sent, and the answer is still out.
    spare: Option<Box<T>>,
    requests: Producer<Box<T>>,
    full: Consumer<Box<T>>,
}

/// Makes both ends and the two boxes.
pub(crate) fn exchange<T>(mut make: impl FnMut() -> T) -> (Writer<T>, Collector<T>) {
    let (ask, requests) = RingBuffer::new(BOXES);
    let (give, full) = RingBuffer::new(BOXES);
    let writer = Writer {
        active: Some(Box::new(make())),
        requests,
        full: give,
    };
    let collector = Collector {
        spare: Some(Box::new(make())),
        requests: ask,
        full,
    };
    (writer, collector)
}

impl<T> Writer<T> {
    /// What to write into.
    #[inline]
    pub fn active_mut(&mut self) -> &mut T {
        self.active.as_mut().expect("there is one until the drop")
    }

    /// Whether the collector waits for what was written. One atomic load.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether nobody collects any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.requests.is_abandoned()
    }

    /// Gives what was written and goes on with an empty box, if the collector asked for it; returns
    /// whether it did. One atomic load where it did not.
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

    fn give(&mut self, written: Box<T>) {
        let given = self.full.push(written);
        assert!(given.is_ok(), "the ring has room for every box");
    }
}

/// What was written last goes to the collector, so that its last figures are whole.
impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        if let Some(active) = self.active.take() {
            self.give(active);
        }
    }
}

impl<T: Reuse> Collector<T> {
    /// Passes on what came back since the last call, and clears it.
    pub(crate) fn poll(&mut self, mut take: impl FnMut(&T)) {
        while let Ok(mut written) = self.full.pop() {
            take(&written);
            written.clear();
            self.spare = Some(written);
        }
    }

    /// The box of the next request; `None`: the answer to the last one is still out.
    pub(crate) fn spare_mut(&mut self) -> Option<&mut T> {
        self.spare.as_deref_mut()
    }

    /// Asks for what is written from now on to the next swap, unless the answer to the last request is
    /// still out.
    pub(crate) fn ask(&mut self) {
        if let Some(spare) = self.spare.take() {
            let asked = self.requests.push(spare);
            assert!(asked.is_ok(), "the ring has room for every box");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    impl Reuse for Vec<u64> {
        fn clear(&mut self) {
            self.clear();
        }
    }

    /// Adds what came back to `sum`, and asks for the next.
    fn collect(collector: &mut Collector<Vec<u64>>, sum: &mut u64) {
        collector.poll(|written| *sum += written.iter().sum::<u64>());
        collector.ask();
    }

    #[test]
    fn nothing_is_swapped_unasked() {
        let (mut writer, mut collector) = exchange(Vec::new);
        assert!(!writer.is_asked() && !writer.poll_swap());
        collect(&mut collector, &mut 0);
        collect(&mut collector, &mut 0);
        assert!(writer.is_asked() && writer.poll_swap());
        assert!(!writer.is_asked() && !writer.poll_swap());
    }

    #[test]
    fn what_comes_back_lags_one_call_behind() {
        let (mut writer, mut collector) = exchange(Vec::new);
        let mut sum = 0;
        for round in 0..5 {
            writer.active_mut().push(1);
            collect(&mut collector, &mut sum);
            assert_eq!(sum, round);
            assert!(writer.poll_swap());
        }
    }

    #[test]
    fn the_last_box_comes_home_whether_asked_for_or_not() {
        for ask in [false, true] {
            let (mut writer, mut collector) = exchange(Vec::new);
            let mut sum = 0;
            writer.active_mut().push(1);
            if ask {
                collect(&mut collector, &mut sum);
                assert!(writer.poll_swap());
                writer.active_mut().push(1);
            }
            drop(writer);
            collect(&mut collector, &mut sum);
            assert_eq!(sum, 1 + u64::from(ask));
        }
    }

    #[test]
    fn nothing_is_lost_between_two_threads() {
        const WRITTEN: u64 = 200_000;
        let (writer, mut collector) = exchange(Vec::new);
        let mut sum = 0;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = writer;
                for _ in 0..WRITTEN {
                    writer.active_mut().push(1);
                    writer.poll_swap();
                }
                drop(writer);
                // Pairs with the load below: who sees it finds the last box in the ring.
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                collect(&mut collector, &mut sum);
                std::thread::yield_now();
            }
        });
        collect(&mut collector, &mut sum);
        assert_eq!(sum, WRITTEN);
    }
}
