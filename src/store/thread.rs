//! The store's thread: steps the follower, and sleeps in between.
//!
//! Started and finished by the engine. Once the database is reached, a second thread follows, at the
//! lowest priority: on a small machine the store must not take a core from delivery. But on a busy
//! machine that one may get a hundredth of a core, and the first thread takes over when somebody waits:
//! the engine, which stops, or sources, while the journal has no room before the store has followed.
//! Both poll the recorded position instead of being woken, so that the journal's writer makes no system
//! call for them.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpriority_process, setpriority_process};
use rustix::thread::gettid;

use super::Store;
use super::follower::{FollowError, Follower};
use super::lag::Progress;
use crate::agent::background;
use crate::clock::Clock;
use crate::counters::{Counter, Counters};
use crate::journal::format::Position;
use crate::journal::storage::Storage;
use crate::plural::several;

/// Longest sleep when there is nothing to do.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Shortest sleep when there is nothing to do.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// How often the end of the thread is looked for.
const FINISH_POLL: Duration = Duration::from_millis(2);
/// Retries of a failing store at the end: what it lacks is written after the next start.
const FINISH_TRIES: u64 = 2;
/// How long a thread that gives up is waited for; it may be waiting for a server.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two log lines of the way to the end.
const FINISH_LOG_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct StoreThread {
    handle: JoinHandle<()>,
    control: Arc<Control>,
    counters: Arc<Counters>,
    progress: Arc<Progress>,
}

/// At which priority the store follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    /// Somebody waits for it, or the database is not reached yet.
    Usual,
    /// Whatever else runs goes first.
    Lowest,
}

/// What the engine tells the thread.
#[derive(Debug)]
struct Control {
    /// Where to end; `Position::MAX`: nowhere yet.
    end: AtomicU64,
    /// End now, at whatever position.
    give_up: AtomicBool,
    /// The thread of the lowest priority, as the system knows it; zero: not yet.
    thread_id: AtomicI32,
    /// The same one, to be woken while it pauses.
    thread: Mutex<Option<Thread>>,
}

impl Control {
    /// Ends a pause of the thread of the lowest priority.
    fn wake(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            thread.unpark();
        }
    }

    /// The calling thread is the one of the lowest priority.
    fn note_thread(&self) {
        let id = gettid().as_raw_nonzero().get();
        self.thread_id.store(id, Ordering::Relaxed);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        *thread = Some(std::thread::current());
    }

    /// Gives the thread the caller's priority, where the system allows that to whoever asks; where
    /// it does not, the step under way takes its time, and only what is left goes faster.
    fn restore_priority(&self) {
        let thread = Pid::from_raw(self.thread_id.load(Ordering::Relaxed));
        if let (Some(thread), Ok(nice)) = (thread, getpriority_process(None)) {
            // Refused is the usual answer.
            let _ = setpriority_process(Some(thread), nice);
        }
    }
}

impl StoreThread {
    /// Starts the thread. `recorded` is the journal's published end: zero as long as it is unknown,
    /// stored with release ordering after the bytes before it were written.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub(crate) fn spawn<S, D, C>(
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
        let control = Arc::new(Control {
            end: AtomicU64::new(Position::MAX),
            give_up: AtomicBool::new(false),
            thread_id: AtomicI32::new(0),
            thread: Mutex::new(None),
        });
        let counters = Arc::clone(follower.counters());
        let progress = Arc::clone(follower.progress());
        let mut runner = Runner {
            follower,
            clock,
            pause_min: pause.clamp(PAUSE_MIN, PAUSE_MAX),
            recorded,
            control: Arc::clone(&control),
            may_lower: true,
        };
        let run = move || match runner.follow() {
            Ok(()) => runner.complete(),
            Err(error) => tell_end(&error),
        };
        let handle = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(run)?;
        Ok(Self {
            handle,
            control,
            counters,
            progress,
        })
    }

    /// How far it has followed, for the monitor while the store waits for an answer.
    #[must_use]
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Follows up to `end`, where the journal ends for good, and closes the database; or stops
    /// where it stands after `timeout`, or when `give_up` is set meanwhile. A thread that waits for
    /// a server is left behind then: what it has not committed comes at the next start. Returns the
    /// bytes of the journal that are not in the store.
    #[must_use]
    pub(crate) fn finish(self, end: Position, timeout: Duration, give_up: &AtomicBool) -> u64 {
        let Self {
            handle,
            control,
            counters,
            progress,
            ..
        } = self;
        // Pairs with the acquire load in `Runner::follow`: who sees the end may read up to it.
        control.end.store(end, Ordering::Release);
        if !handle.is_finished() {
            control.restore_priority();
        }
        let mut finish = Finish {
            control,
            counters,
            progress,
            end,
            begun: Instant::now(),
            timeout,
            gave_up: None,
            logged: Instant::now(),
        };
        finish.wait(handle, give_up);
        finish.left()
    }
}

/// Waits for the store to be complete.
struct Finish {
    control: Arc<Control>,
    counters: Arc<Counters>,
    progress: Arc<Progress>,
    end: Position,
    begun: Instant,
    timeout: Duration,
    gave_up: Option<Instant>,
    logged: Instant,
}

impl Finish {
    /// Waits for the thread, until it has ended or is not waited for any more.
    fn wait(&mut self, handle: JoinHandle<()>, give_up: &AtomicBool) {
        while !handle.is_finished() {
            if give_up.load(Ordering::Relaxed) || self.begun.elapsed() >= self.timeout {
                self.control.give_up.store(true, Ordering::Relaxed);
                if self.gave_up.get_or_insert_with(Instant::now).elapsed() >= ABANDON_TIMEOUT {
                    return;
                }
            }
            if self.logged.elapsed() >= FINISH_LOG_INTERVAL {
                self.logged = Instant::now();
                self.log_progress();
            }
            self.control.wake();
            handle.thread().unpark();
            std::thread::sleep(FINISH_POLL);
        }
        if handle.join().is_err() {
            tracing::error!("the store's thread has panicked; its rows come at the next start");
        }
    }

    fn log_progress(&self) {
        let bytes = self.left();
        let messages = self.progress.messages(&self.counters);
        let seconds = self.timeout.saturating_sub(self.begun.elapsed()).as_secs();
        tracing::info!(
            "the store has {} ({bytes} bytes of the journal) to follow, and goes on for at most \
             {seconds} s ([store] stop_timeout)",
            several(messages, "message")
        );
    }

    fn left(&self) -> u64 {
        let position = self.counters.get(Counter::StorePosition);
        self.end.saturating_sub(position)
    }
}

/// Says why the following is over.
fn tell_end(error: &FollowError) {
    match error.is_term_over() {
        true => tracing::info!("{error}"),
        false => tracing::error!("{error}"),
    }
}

/// Gives way to every other thread; where that is not allowed, it is as good a thread as any.
fn lower_priority() {
    if let Err(error) = background::lower_priority() {
        tracing::debug!("the store's thread keeps its priority: {error}");
    }
}

struct Runner<S: Storage, D: Store, C: Clock> {
    follower: Follower<S, D>,
    clock: C,
    pause_min: Duration,
    recorded: Arc<AtomicU64>,
    control: Arc<Control>,
    /// The system had a thread for the lowest priority.
    may_lower: bool,
}

impl<S: Storage, D: Store, C: Clock> Runner<S, D, C> {
    /// Follows until the end is known, or it is to give up.
    fn follow(&mut self) -> Result<(), FollowError> {
        while !self.is_over() {
            self.follow_at(Priority::Usual)?;
            if !self.is_over() {
                self.follow_at_lowest()?;
            }
        }
        Ok(())
    }

    /// Whether the end is known, or it is to give up.
    fn is_over(&self) -> bool {
        // Pairs with the release store in `StoreThread::finish`.
        self.is_to_give_up() || self.control.end.load(Ordering::Acquire) != Position::MAX
    }

    /// A database that is reached anew answers some twenty times before the first row: on a busy machine
    /// the lowest priority gets its core back seconds after each. And where the journal waits for room,
    /// the store may be what keeps its oldest segment.
    fn priority(&self) -> Priority {
        let is_full = self.follower.counters().get(Counter::JournalWaiting) != 0;
        match self.may_lower && self.follower.has_begun() && !is_full {
            true => Priority::Lowest,
            false => Priority::Usual,
        }
    }

    /// Follows on the calling thread, as long as it is at its right priority.
    fn follow_at(&mut self, priority: Priority) -> Result<(), FollowError> {
        let id = gettid().as_raw_nonzero().get();
        self.follower.progress().set_thread(id);
        let mut pause = self.pause_min;
        while !self.is_over() && self.priority() == priority {
            // Pairs with the writer's release store: all bytes before it were written.
            let through = self.recorded.load(Ordering::Acquire);
            self.step(through, &mut pause)?;
        }
        Ok(())
    }

    /// Follows on a thread of the lowest priority, for as long as nobody waits for it. Once lowered, a
    /// priority cannot be raised without a right to: that thread ends then.
    fn follow_at_lowest(&mut self) -> Result<(), FollowError> {
        let followed = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("store".to_owned());
            let thread = thread.spawn_scoped(scope, || {
                self.control.note_thread();
                lower_priority();
                self.follow_at(Priority::Lowest)
            });
            thread.map(|it| it.join().unwrap_or_else(|it| resume_unwind(it)))
        });
        followed.unwrap_or_else(|error| {
            tracing::debug!("the store's thread keeps its priority: {error}");
            self.may_lower = false;
            Ok(())
        })
    }

    /// Follows to the end, unless the store fails or it is to give up, and closes the database.
    fn complete(mut self) {
        let end = self.control.end.load(Ordering::Acquire);
        match self.follow_to(end) {
            Ok(()) => self.close(),
            Err(error) => tell_end(&error),
        }
    }

    fn follow_to(&mut self, end: Position) -> Result<(), FollowError> {
        let mut pause = self.pause_min;
        let tries = self.tries();
        self.follower.stop_batching();
        while !self.is_to_give_up() && !self.follower.is_through(end) {
            if self.tries() - tries >= FINISH_TRIES {
                break;
            }
            self.step(end, &mut pause)?;
        }
        Ok(())
    }

    fn step(&mut self, through: Position, pause: &mut Duration) -> Result<(), FollowError> {
        match self.follower.step(through, self.clock.now())? {
            0 => self.idle(pause),
            _ => *pause = self.pause_min,
        }
        Ok(())
    }

    fn is_to_give_up(&self) -> bool {
        self.control.give_up.load(Ordering::Relaxed)
    }

    fn tries(&self) -> u64 {
        self.follower.counters().get(Counter::StoreRetries)
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

#[cfg(test)]
mod tests;
