//! The rings between agents: single-producer, single-consumer (rtrb), whose sender wakes a parked
//! receiver.
//!
//! A full ring is a value: [`Sender::claim`] gives a [`Permit`] for so many entries, or none. Only a
//! permit sends; an agent without one leaves its work where it is and tries again in its next cycle.
//! Nothing is kept behind a full ring: an event stands in the state that it is about - a connection's
//! counts, a chunk's leases, a source's last line - until it is sent, and is bounded by that.
//!
//! **Why no two agents wait for each other**, on one thread or on many. Some agents always poll: delivery (a connection sums its events up), retention (one query goes round), and the
//! scheduler, as far as the journal and replay are concerned (what is recorded goes to the queues, what
//! was read back to its slot). Whoever waits, waits for one of these:
//!
//! ```text
//! who waits for room        in the ring to    which takes entries
//! ingest: reads no socket   scheduler         while the journal has room
//! scheduler: takes no       journal           while the scheduler and retention have room, and there
//!   arrival, settles not                      is a disk
//! journal: writes no batch  scheduler         always
//! journal: no new segment   retention         always
//! scheduler: dispatches     delivery          always
//!   not, polls no subscriber
//! scheduler: requests no    replay            while the scheduler has room
//!   record
//! replay: reads no record   scheduler         always
//! scheduler: sends no       ingest            always
//!   acknowledgement; takes
//!   no arrival behind many
//!   duplicates
//! retention: sends no query scheduler         while the journal has room
//! ```
//!
//! Parking must never cost a missed wake-up: see `parking.rs`, which loom tries in every order.
//! `exchange.rs` has what goes to a thread off the path when that asks for it.

pub mod exchange;
mod parking;
mod wake;

use std::sync::Arc;

pub use self::wake::Wake;

/// Makes a ring of `capacity` entries whose receiver lives on the thread that `wake` wakes.
#[must_use]
pub fn ring<T>(capacity: usize, wake: &Arc<Wake>) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    let sender = Sender {
        producer,
        wake: Arc::clone(wake),
        unannounced: false,
    };
    (sender, Receiver(consumer))
}

/// The end that sends.
#[derive(Debug)]
pub struct Sender<T> {
    producer: rtrb::Producer<T>,
    wake: Arc<Wake>,
    /// Something was sent since the last `flush`.
    unannounced: bool,
}

impl<T> Sender<T> {
    /// The right to send `count` entries; `None`: the ring has no room for all of them now.
    ///
    /// Looks at the receiver's side only where there seems to be no room.
    #[inline(always)]
    #[must_use]
    pub fn claim(&mut self, count: usize) -> Option<Permit<'_, T>> {
        self.has_room(count).then_some(Permit {
            sender: self,
            left: count,
        })
    }

    /// The right to send up to `count` entries: as many as the ring has room for now, maybe none.
    #[inline]
    pub(crate) fn claim_up_to(&mut self, count: usize) -> Permit<'_, T> {
        let room = match self.producer.cached_slots() {
            seen if seen >= count => seen,
            _ => self.producer.slots(),
        };
        Permit {
            sender: self,
            left: room.min(count),
        }
    }

    /// Whether [`Self::claim`] gives a permit: room does not go before it is used.
    #[inline(always)]
    pub(crate) fn has_room(&mut self, count: usize) -> bool {
        self.producer.write_chunk_uninit(count).is_ok()
    }

    /// Ends a duty cycle: wakes the receiver if something was sent.
    pub fn flush(&mut self) {
        if self.unannounced {
            self.unannounced = false;
            self.wake.notify();
        }
    }
}

/// The right to send some entries; what is not used is free again.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a, T> {
    sender: &'a mut Sender<T>,
    left: usize,
}

impl<T> Permit<'_, T> {
    /// How many entries may be sent.
    #[inline(always)]
    #[must_use]
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// The permit for `count` entries less.
    #[inline(always)]
    pub(crate) fn without(mut self, count: usize) -> Self {
        self.left = self.left.saturating_sub(count);
        self
    }

    /// # Panics
    /// As many as were claimed are sent already.
    #[inline(always)]
    pub fn send(&mut self, entry: T) {
        assert!(self.left > 0, "a permit is for as many as were claimed");
        self.left -= 1;
        self.sender.unannounced = true;
        let pushed = self.sender.producer.push(entry);
        assert!(pushed.is_ok(), "nobody else puts anything into the ring");
    }
}

/// The end that polls.
#[derive(Debug)]
pub struct Receiver<T>(rtrb::Consumer<T>);

impl<T> Receiver<T> {
    /// The next entry, if there is one.
    #[inline]
    pub fn poll(&mut self) -> Option<T> {
        self.0.pop().ok()
    }

    /// Shows entries to `look` without taking them: `count` behind the next `skipped` ones, as far as
    /// they are there.
    pub(crate) fn peek(&mut self, skipped: usize, count: usize, look: impl FnMut(&T)) {
        let there = self.0.slots().min(skipped + count);
        if let Ok(chunk) = self.0.read_chunk(there) {
            let (first, rest) = chunk.as_slices();
            let behind = skipped.saturating_sub(first.len());
            let first = first.get(skipped..).unwrap_or_default();
            let rest = rest.get(behind..).unwrap_or_default();
            first.iter().chain(rest).for_each(look);
        }
    }

    /// Whether nothing is in the ring now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer<T>(sender: &mut Sender<T>, entry: T) -> bool {
        let permit = sender.claim(1);
        permit.map(|mut it| it.send(entry)).is_some()
    }

    #[test]
    fn a_full_ring_gives_no_permit() {
        let wake = Wake::new().expect("a descriptor");
        let (mut sender, mut receiver) = ring(2, &wake);
        assert!(offer(&mut sender, 1) && offer(&mut sender, 2));
        assert!(!offer(&mut sender, 3));
        assert_eq!(receiver.poll(), Some(1));
        assert!(sender.claim(1).is_some() && sender.claim(2).is_none());
    }

    proptest! {
        #[test]
        fn a_permit_is_given_exactly_where_there_is_room_and_nothing_is_lost(
            capacity in 1..9_usize,
            steps in prop::collection::vec((0..10_usize, 0..10_usize, 0..10_usize), 1..60),
        ) {
            let wake = Wake::new().expect("a descriptor");
            let (mut sender, mut receiver) = ring(capacity, &wake);
            let (mut model, mut next) = (std::collections::VecDeque::new(), 0);
            for (claimed, used, polled) in steps {
                let permit = sender.claim(claimed);
                prop_assert_eq!(permit.is_some(), claimed <= capacity - model.len());
                if let Some(mut permit) = permit {
                    prop_assert_eq!(permit.left(), claimed);
                    // What is not used is no more claimed.
                    for _ in 0..used.min(claimed) {
                        permit.send(next);
                        model.push_back(next);
                        next += 1;
                    }
                }
                let mut permit = sender.claim_up_to(claimed).without(1);
                prop_assert_eq!(permit.left(), claimed.min(capacity - model.len()).saturating_sub(1));
                if permit.left() > 0 {
                    permit.send(next);
                    model.push_back(next);
                    next += 1;
                }
                for _ in 0..polled {
                    prop_assert_eq!(receiver.poll(), model.pop_front());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "as many as were claimed")]
    fn nobody_sends_more_than_was_claimed() {
        let (mut sender, _receiver) = ring(4, &Wake::new().expect("a descriptor"));
        let mut permit = sender.claim(1).expect("there is room");
        permit.send(1);
        permit.send(2);
    }

    #[test]
    fn entries_can_be_seen_before_they_are_taken() {
        let wake = Wake::new().expect("a descriptor");
        let (mut sender, mut receiver) = ring(5, &wake);
        let mut next = 0;
        for taken in 0..20 {
            while offer(&mut sender, next) {
                next += 1;
            }
            for (skipped, count) in [(0, 2), (1, 3), (3, 9), (4, 1), (5, 1), (9, 9)] {
                let mut seen = Vec::new();
                receiver.peek(skipped, count, |entry| seen.push(*entry));
                let end = taken + (skipped + count).min(5);
                assert_eq!(seen, (taken + skipped..end).collect::<Vec<_>>());
            }
            assert_eq!(receiver.poll(), Some(taken));
        }
    }

    #[test]
    fn the_last_entry_never_waits_for_the_next_one() {
        use rustix::event::{PollFd, PollFlags, poll};
        let wake = Wake::new().expect("a descriptor");
        let (mut sender, mut receiver) = ring(4, &wake);
        let (mut answer, mut answers) = ring(4, &Wake::new().expect("a descriptor"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < 20_000 {
                    if let Some(entry) = receiver.poll() {
                        seen += 1;
                        answer.claim(1).expect("one is on its way").send(entry);
                        answer.flush();
                        continue;
                    }
                    wake.prepare_park();
                    if receiver.is_empty() {
                        let mut waits = [PollFd::new(&wake, PollFlags::IN)];
                        // No time-out: a missed wake-up hangs the test.
                        let _ = poll(&mut waits, None);
                    }
                    wake.unpark();
                }
            });
            for entry in 0..20_000_u32 {
                sender.claim(1).expect("one is on its way").send(entry);
                sender.flush();
                while answers.poll() != Some(entry) {
                    std::thread::yield_now();
                }
            }
        });
    }
}
