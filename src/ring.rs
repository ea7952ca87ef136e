//! The hops between agents: single-producer, single-consumer rings (rtrb) whose sender wakes a
//! parked receiver.
//!
//! A full ring is a value: [`Sender::offer`] gives the entry back and the agent tries again in its
//! next cycle. Control entries that must not be lost, and of which there are few by design, go
//! through [`Sender::send`], which keeps them in order until there is room.
//!
//! Parking must never cost a missed wake-up. The receiver's thread says `parked` *before* it looks
//! at its rings a last time; the sender publishes *before* it looks at `parked`; both put a
//! sequentially consistent fence between the two, so at least one of them sees the other.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

/// How a thread that parks is woken: one a thread.
#[derive(Debug)]
pub struct Wake {
    parked: AtomicBool,
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
            parked: AtomicBool::new(false),
            event,
        }))
    }

    /// The thread is about to park: after this it must look at its rings once more.
    pub fn prepare_park(&self) {
        self.parked.store(true, Ordering::Relaxed);
        // Pairs with the fence in `notify`.
        fence(Ordering::SeqCst);
    }

    /// The thread is awake.
    pub fn unpark(&self) {
        self.parked.store(false, Ordering::Relaxed);
        let mut count = [0; 8];
        // An eventfd that nobody wrote to says "again": that is the usual case.
        let _ = rustix::io::read(&self.event, &mut count);
    }

    /// Something was published for the thread: wakes it if it is parked.
    pub fn notify(&self) {
        // Pairs with the fence in `prepare_park`.
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::Relaxed) {
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
        kept: VecDeque::new(),
        wake: Arc::clone(wake),
        unannounced: false,
    };
    (sender, Receiver(consumer))
}

/// The end that offers.
#[derive(Debug)]
pub struct Sender<T> {
    producer: rtrb::Producer<T>,
    /// Control entries that found the ring full, in order; they go first.
    kept: VecDeque<T>,
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
        if !self.kept.is_empty() && !self.move_kept() {
            return Err(entry);
        }
        match self.producer.push(entry) {
            Ok(()) => {
                self.unannounced = true;
                Ok(())
            }
            Err(rtrb::PushError::Full(entry)) => Err(entry),
        }
    }

    /// Puts a control entry into the ring, or keeps it until there is room. Only for entries whose
    /// number is bounded by what they answer.
    #[inline(always)]
    pub fn send(&mut self, entry: T) {
        if let Err(entry) = self.offer(entry) {
            self.keep(entry);
        }
    }

    #[cold]
    fn keep(&mut self, entry: T) {
        self.kept.push_back(entry);
    }

    /// Whether so many entries can be offered now. Asks the receiver's side only where there seems
    /// to be no room.
    #[inline]
    pub fn has_room(&mut self, count: usize) -> bool {
        self.kept.is_empty() && self.producer.write_chunk_uninit(count).is_ok()
    }

    /// How many entries can be offered now.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        self.producer.slots().saturating_sub(self.kept.len())
    }

    /// Whether everything sent is in the ring.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.kept.is_empty()
    }

    /// Ends a duty cycle: moves what was kept, wakes the receiver if there is news.
    pub fn flush(&mut self) {
        if !self.kept.is_empty() {
            self.move_kept();
        }
        if self.unannounced {
            self.unannounced = false;
            self.wake.notify();
        }
    }

    /// Moves kept entries into the ring; says whether none is left.
    #[cold]
    fn move_kept(&mut self) -> bool {
        while let Some(entry) = self.kept.pop_front() {
            if let Err(rtrb::PushError::Full(entry)) = self.producer.push(entry) {
                self.kept.push_front(entry);
                return false;
            }
            self.unannounced = true;
        }
        true
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
        assert_eq!(sender.room(), 1);
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
    fn kept_entries_stay_in_order() {
        let wake = Wake::new().expect("a descriptor");
        let (mut sender, mut receiver) = ring(1, &wake);
        for entry in 0..5 {
            sender.send(entry);
        }
        assert_eq!(sender.offer(5), Err(5), "what was kept goes first");
        let mut seen = Vec::new();
        while let Some(entry) = receiver.poll() {
            seen.push(entry);
            sender.flush();
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert!(sender.is_caught_up());
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
                        answer.send(entry);
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
                sender.send(entry);
                sender.flush();
                while answers.poll() != Some(entry) {
                    std::thread::yield_now();
                }
            }
        });
    }
}
