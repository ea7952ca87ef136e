//! Where the engine's log goes: to a stream that is read, unread, or gone, as each seed draws. The
//! outlet before it is the engine's own; its thread is the only one beside the world's.
//!
//! ```text
//! agents (the world's thread) --put--> [ queue ] --log thread--> the stream
//! ```
//! Nothing that happens in the world depends on when that thread runs.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flipped_lb::limits::LOG_QUEUE;
use flipped_lb::log::{Outlet, Writer, plain_line};
use tracing_subscriber::filter::LevelFilter;

use crate::heap::outside;
use crate::history::Event;

/// Whoever waits for a stream that nobody reads is let go after this long: a turn takes no
/// millisecond.
const STUCK_MAX: Duration = Duration::from_secs(20);
/// Between two looks of the log's thread whether somebody reads.
const LOOK: Duration = Duration::from_millis(1);

/// What becomes of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPlan {
    Read,
    /// Nobody reads it, and all buffers before it are full.
    Unread,
    /// Its reader is gone.
    Gone,
}

static OUTLET: OnceLock<Outlet> = OnceLock::new();
static IS_UNREAD: AtomicBool = AtomicBool::new(false);
static IS_GONE: AtomicBool = AtomicBool::new(false);
/// Turns of the world, whatever they did.
static TURNS: AtomicU64 = AtomicU64::new(0);
/// Lines of the present run.
static LINES: AtomicU64 = AtomicU64::new(0);
static HAS_WAITED: AtomicBool = AtomicBool::new(false);
static HAS_WRITTEN: AtomicBool = AtomicBool::new(false);

/// A run begins, and its log is like this.
pub fn open(plan: LogPlan) {
    let outlet = OUTLET.get_or_init(start);
    IS_UNREAD.store(plan == LogPlan::Unread, Ordering::SeqCst);
    IS_GONE.store(plan == LogPlan::Gone, Ordering::SeqCst);
    if plan == LogPlan::Unread {
        // As many as there is room for, and those that the thread has in hand.
        for _ in 0..LOG_QUEUE + 2 {
            outlet.put(b"filler\n".to_vec());
        }
    }
    LINES.store(0, Ordering::SeqCst);
    HAS_WAITED.store(false, Ordering::SeqCst);
    HAS_WRITTEN.store(false, Ordering::SeqCst);
}

/// The world lives on. Says what was wrong in its last turn.
pub fn turn() -> Option<Event> {
    TURNS.fetch_add(1, Ordering::Relaxed);
    let what = match () {
        () if HAS_WAITED.load(Ordering::Relaxed) => "waited for who reads it",
        () if HAS_WRITTEN.load(Ordering::Relaxed) => "wrote it to its stream",
        () => return None,
    };
    Some(Event::Logged(what))
}

/// Whether the engine had anything to say in this run.
pub fn has_lines() -> bool {
    LINES.load(Ordering::SeqCst) > 0
}

fn start() -> Outlet {
    let outlet = Outlet::start("log", Stream, plain_line).expect("a thread");
    let writer = || {
        LINES.fetch_add(1, Ordering::SeqCst);
        let outlet = OUTLET.get();
        Line(Writer(
            outlet.expect("it is opened before anything is logged"),
        ))
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(writer);
    // Tests of one process share it.
    let _ = log.try_init();
    outlet
}

/// A line on its way to the queue, which is not the engine's any more: it goes when the log's thread
/// has a turn.
struct Line(Writer);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _outside = outside(());
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

struct Stream;

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::thread::current().name() != Some("log") {
            HAS_WRITTEN.store(true, Ordering::SeqCst);
            return Ok(bytes.len());
        }
        wait_for_reader();
        match IS_GONE.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_for_reader() {
    let (mut turns, mut since) = (TURNS.load(Ordering::Relaxed), Instant::now());
    while IS_UNREAD.load(Ordering::SeqCst) && !HAS_WAITED.load(Ordering::SeqCst) {
        std::thread::sleep(LOOK);
        let now = TURNS.load(Ordering::Relaxed);
        if now != turns {
            (turns, since) = (now, Instant::now());
        }
        if since.elapsed() > STUCK_MAX {
            HAS_WAITED.store(true, Ordering::SeqCst);
        }
    }
}
