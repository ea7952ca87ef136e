//! The store's thread: turns the follower's crank, and sleeps in between.
//!
//! Started and finished by the engine. It runs at the lowest priority, for nobody waits for it: on
//! a small machine it must not take a core from delivery. It polls the recorded position instead of
//! being woken, so that the journal's writer never makes a system call for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Store;
use super::follower::{FollowError, Follower};
use crate::clock::Clock;
use crate::counters::{Counter, Counters};
use crate::journal::record::Position;
use crate::journal::storage::Storage;

/// The lowest priority that Linux has for a thread.
const NICE: i32 = 19;
/// Longest sleep when there is nothing to do.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Shortest sleep when there is nothing to do.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// How often the end of the thread is looked for.
const FINISH_POLL: Duration = Duration::from_millis(2);
/// At the end a failing store is tried so often again: what it lacks comes at the next start.
const FINISH_TRIES: u64 = 2;
/// How long a thread that was told to give up is waited for; it may be waiting for a server.
const GIVE_UP_WAIT: Duration = Duration::from_secs(1);
/// How often the way to the end is told.
const FINISH_TELL: Duration = Duration::from_secs(2);

/// The running thread.
#[derive(Debug)]
pub struct StoreThread {
    handle: JoinHandle<()>,
    orders: Arc<Orders>,
    recorded: Arc<AtomicU64>,
    counters: Arc<Counters>,
}

/// What the engine tells the thread.
#[derive(Debug)]
struct Orders {
    /// Where to end; `Position::MAX`: nowhere yet.
    end: AtomicU64,
    /// End now, wherever it stands.
    give_up: AtomicBool,
}

impl StoreThread {
    /// Starts the thread. `recorded` is the journal's published end: zero as long as it is unknown,
    /// stored with release ordering after the bytes before it were written.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub fn spawn<S, D, C>(
        follower: Follower<S, D>,
        clock: C,
        pause: Duration,
        recorded: Arc<AtomicU64>,
    ) -> io::Result<Self>
    where
        S: Storage<Segment: Send> + 'static,
        D: Store + 'static,
        C: Clock + 'static,
    {
        let orders = Arc::new(Orders {
            end: AtomicU64::new(Position::MAX),
            give_up: AtomicBool::new(false),
        });
        let counters = Arc::clone(follower.counters());
        let mut runner = Runner {
            follower,
            clock,
            pause_min: pause.clamp(PAUSE_MIN, PAUSE_MAX),
            recorded: Arc::clone(&recorded),
            orders: Arc::clone(&orders),
        };
        let run = move || match runner.run() {
            Ok(()) => runner.close(),
            Err(error) => tracing::error!("{error}"),
        };
        let handle = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(run)?;
        Ok(Self {
            handle,
            orders,
            recorded,
            counters,
        })
    }

    /// Bytes of the journal that are recorded and not in the store yet.
    #[must_use]
    pub fn lag(&self) -> u64 {
        // Relaxed: a figure for people; nothing is read on the strength of it.
        let recorded = self.recorded.load(Ordering::Relaxed);
        recorded.saturating_sub(self.counters.get(Counter::StorePosition))
    }

    /// Whether it still follows; it stops by itself when something is wrong for good.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.handle.is_finished()
    }

    /// Follows up to `end`, where the journal ends for good, and closes the database; or stops
    /// where it stands when `give_up` is set meanwhile. Returns the bytes of the journal that are
    /// not in the store: they will be at the next start.
    #[must_use]
    pub fn finish(self, end: Position, give_up: &AtomicBool) -> u64 {
        // Pairs with the acquire load in `Runner::run`: who sees the end may read up to it.
        self.orders.end.store(end, Ordering::Release);
        let mut told = Instant::now();
        let mut gave_up = None;
        while self.is_running() {
            if give_up.load(Ordering::Relaxed) {
                self.orders.give_up.store(true, Ordering::Relaxed);
                if gave_up.get_or_insert_with(Instant::now).elapsed() >= GIVE_UP_WAIT {
                    return self.left(end);
                }
            }
            if told.elapsed() >= FINISH_TELL {
                told = Instant::now();
                let lag = self.left(end);
                tracing::info!("the store has {lag} bytes of the journal to follow");
            }
            self.handle.thread().unpark();
            std::thread::sleep(FINISH_POLL);
        }
        let position = self.counters.get(Counter::StorePosition);
        if self.handle.join().is_err() {
            tracing::error!("the store's thread has panicked; its rows come at the next start");
        }
        end.saturating_sub(position)
    }

    fn left(&self, end: Position) -> u64 {
        end.saturating_sub(self.counters.get(Counter::StorePosition))
    }
}

/// The thread's side.
struct Runner<S: Storage, D: Store, C: Clock> {
    follower: Follower<S, D>,
    clock: C,
    pause_min: Duration,
    recorded: Arc<AtomicU64>,
    orders: Arc<Orders>,
}

impl<S: Storage, D: Store, C: Clock> Runner<S, D, C> {
    fn run(&mut self) -> Result<(), FollowError> {
        lower_priority();
        let mut pause = self.pause_min;
        let mut tries_at_end = None;
        while !self.orders.give_up.load(Ordering::Relaxed) {
            // Pairs with the release store in `StoreThread::finish`.
            let end = self.orders.end.load(Ordering::Acquire);
            let through = match end {
                // Pairs with the writer's release store: what stands before it was written.
                Position::MAX => self.recorded.load(Ordering::Acquire),
                end => {
                    self.follower.hurry();
                    end
                }
            };
            if self.follower.is_through(end) {
                break;
            }
            if end != Position::MAX {
                let tries = self.follower.counters().get(Counter::StoreRetries);
                if tries - *tries_at_end.get_or_insert(tries) >= FINISH_TRIES {
                    break;
                }
            }
            match self.follower.step(through, self.clock.now())? {
                0 => self.idle(&mut pause),
                _ => pause = self.pause_min,
            }
        }
        Ok(())
    }

    /// Sleeps, each time longer, but never past the moment when gathered rows must be written.
    fn idle(&self, pause: &mut Duration) {
        let due = self.follower.due_in(self.clock.now()).unwrap_or(PAUSE_MAX);
        std::thread::park_timeout((*pause).min(due.max(PAUSE_MIN)));
        *pause = (*pause * 2).min(PAUSE_MAX);
    }

    fn close(&mut self) {
        if let Err(error) = self.follower.close() {
            tracing::warn!("{error}");
        }
    }
}

/// Gives way to every other thread; where that is not allowed, it is as good a thread as any.
fn lower_priority() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICE) {
        tracing::debug!("the store's thread keeps its priority: {error}");
    }
}

#[cfg(test)]
mod tests;
