//! The hops between agents: single-producer, single-consumer rings (rtrb) whose sender wakes a
//! parked receiver.
//!
//! A full ring is a value: [`Sender::claim`] gives a [`Permit`] for so many entries, or none, and who
//! has none leaves its work where it is and tries again in its next cycle. Nothing is kept behind a
//! full ring. What an agent has to tell stands in the state that it is about - a connection's
//! counts, a chunk's leases, a source's last line - until it is sent, so it is bounded by these.
//!
//! **Why no two agents wait for each other**, on one thread or on many. Some agents take what comes
//! whether or not they can send: delivery (a connection remembers what to tell of it), retention (one
//! survey goes round), and the scheduler, as far as the journal and replay are concerned (what is
//! recorded goes to the queues, what was read back to its slot). Whoever waits, waits for one of these:
//!
//! ```text
//! who waits for room        in the ring to    which takes entries
//! ingest: reads no socket   scheduler         while the journal has room
//! scheduler: takes no       journal           while the scheduler and retention have room, and there
//!   arrival, settles not                      is a disk
//! journal: writes no batch  scheduler         always
//! journal: no new segment   retention         always
//! scheduler: dispatches     delivery          always
//!   not, hears no subscriber
//! scheduler: reads not back replay            while the scheduler has room
//! replay: reads no record   scheduler         always
//! scheduler: tells nothing  ingest            always
//! retention: asks nothing   scheduler         while the journal has room
//! ```
//!
//! Parking must never cost a missed wake-up: see `parking.rs`, which loom tries in every order.

mod parking;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use self::parking::Parking;

/// How a thread that parks is woken: one a thread.
#[derive(Debug)]
pub struct Wake {
    parking: Parking,
    event: OwnedFd,
}

impl Wake {
    /// Makes one.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    pub fn new() -> io::Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Arc::new(Self {
            parking: Parking::new(),
            event,
        }))
    }

    /// The thread is about to park: after this it must look at its rings once more.
    pub fn prepare_park(&self) {
        self.parking.begin();
    }

    /// The thread is awake.
    pub fn unpark(&self) {
        self.parking.end();
        let mut count = [0; 8];
        // An eventfd that nobody wrote to says "again": that is the usual case.
        let _ = rustix::io::read(&self.event, &mut count);
    }

    /// Something was published for the thread: wakes it if it is parked.
    pub fn notify(&self) {
        if self.parking.must_wake() {
            // It can only fail when the count is at its limit, and then the thread wakes anyway.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

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

/// The end that offers.
#[derive(Debug)]
pub struct Sender<T> {
    producer: rtrb::Producer<T>,
    wake: Arc<Wake>,
    /// Something was published since the last `flush`.
    unannounced: bool,
}

impl<T> Sender<T> {
    /// Puts an entry into the ring.
    ///
    /// # Errors
    /// The ring is full: the entry comes back.
    #[inline(always)]
    pub fn offer(&mut self, entry: T) -> Result<(), T> {
        match self.producer.push(entry) {
            Ok(()) => {
                self.unannounced = true;
                Ok(())
            }
            Err(rtrb::PushError::Full(entry)) => Err(entry),
        }
    }

    /// The right to put `count` entries into the ring; `None`: it has no room for all of them now.
    #[inline(always)]
    pub fn claim(&mut self, count: usize) -> Option<Permit<'_, T>> {
        self.has_room(count).then_some(Permit {
            sender: self,
            left: count,
        })
    }

    /// Whether [`Self::claim`] gives a permit: room does not go before it is used. Asks the
    /// receiver's side only where there seems to be none.
    #[inline(always)]
    pub fn has_room(&mut self, count: usize) -> bool {
        self.producer.write_chunk_uninit(count).is_ok()
    }

    /// Ends a duty cycle: wakes the receiver if there is news.
    pub fn flush(&mut self) {
        if self.unannounced {
            self.unannounced = false;
            self.wake.notify();
        }
    }
}

/// The right to put some entries into a ring.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a, T> {
    sender: &'a mut Sender<T>,
    left: usize,
}

impl<T> Permit<'_, T> {
    /// Puts an entry into the ring.
    ///
    /// # Panics
    /// As many as were claimed are there already.
    #[inline(always)]
    pub fn send(&mut self, entry: T) {
        assert!(self.left > 0, "a permit is for as many as were claimed");
        self.left -= 1;
        let sent = self.sender.offer(entry);
        assert!(sent.is_ok(), "nobody else puts anything into the ring");
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

    /// Shows entries to `look` without taking them: so many behind the next `skipped` ones, as far
    /// as they are there.
    pub fn peek(&mut self, skipped: usize, count: usize, look: impl FnMut(&T)) {
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

    #[test]
    fn a_full_ring_gives_the_entry_back() {
        let wake = Wake::new().expect("a descriptor");
        let (mut sender, mut receiver) = ring(2, &wake);
        assert_eq!(
            (sender.offer(1), sender.offer(2), sender.offer(3)),
            (Ok(()), Ok(()), Err(3))
        );
        assert_eq!(receiver.poll(), Some(1));
        assert!(sender.has_room(1) && !sender.has_room(2));
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
                    // What is not used is no more claimed.
                    for _ in 0..used.min(claimed) {
                        permit.send(next);
                        model.push_back(next);
                        next += 1;
                    }
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
            while sender.offer(next).is_ok() {
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
                        answer.offer(entry).expect("one is on its way");
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
                sender.offer(entry).expect("one is on its way");
                sender.flush();
                while answers.poll() != Some(entry) {
                    std::thread::yield_now();
                }
            }
        });
    }
}
