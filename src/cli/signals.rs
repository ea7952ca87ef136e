//! Signals of a command that runs an engine, handled by a thread of their own.
//!
//! ```text
//! SIGTERM, SIGINT   while it starts: end now, for nothing has begun
//!                   first: stop in good order; second: in a hurry; third: end now
//! SIGHUP            have the settings read anew, where they can be
//! SIGUSR1, ...      go on; said once each
//! SIGXFSZ           go on: the write that was too much has an error of its own
//! ```

use std::ffi::c_int;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ,
};
use signal_hook::iterator::Signals as Incoming;
use signal_hook::low_level;
use tracing::warn;

use super::Failure;
use crate::limits::STOP_HURRY_MAX;
use crate::log;

/// These end a process that does not listen for them. SIGPIPE is ignored already.
const HARMLESS: [c_int; 8] = [
    SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGXFSZ,
];
/// How often the way to the end is looked at in a hurry.
const POLL: Duration = Duration::from_millis(10);
/// The exit code of a process that was ended in a hurry.
const HURRIED: c_int = 1;

/// Has the process outlive them from now on. Until they are watched they ask for nothing: the settings are
/// read later.
pub(super) fn endure() {
    for signal in HARMLESS {
        // One that cannot be had is told of when it is watched.
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
}

/// What signals ask for.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Stop in good order.
    pub(super) stop: Arc<AtomicBool>,
    /// Wait for nothing any more; the process ends a moment later, whatever it does then.
    pub(super) hurry: Arc<AtomicBool>,
    /// Read the settings anew.
    pub(super) reload: Arc<AtomicBool>,
    /// The engine runs: from now on there is something to stop.
    is_running: Arc<AtomicBool>,
}

impl Signals {
    /// Watches for signals from now on.
    pub(super) fn watch() -> Result<Self, Failure> {
        let signals = Self::default();
        let listener = Listener {
            stop: Arc::clone(&signals.stop),
            hurry: Arc::clone(&signals.hurry),
            reload: Arc::clone(&signals.reload),
            is_running: Arc::clone(&signals.is_running),
            told: Vec::new(),
        };
        let failed = |error: io::Error| {
            Failure::Failed(format!(
                "signals cannot be watched: {error}; raise the limits"
            ))
        };
        let all = HARMLESS.into_iter().chain([SIGTERM, SIGINT]);
        let incoming = Incoming::new(all).map_err(failed)?;
        let thread = Builder::new().name("signals".to_owned());
        thread
            .spawn(move || listener.listen(incoming))
            .map_err(failed)?;
        Ok(signals)
    }

    /// The engine's agents are about to run. Before, a signal ends the process at once: a large journal may take
    /// minutes to read, a database to answer, and neither is harmed.
    pub(super) fn has_started(&self) {
        self.is_running.store(true, Ordering::Relaxed);
    }
}

/// The thread's side.
struct Listener {
    stop: Arc<AtomicBool>,
    hurry: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    is_running: Arc<AtomicBool>,
    /// Harmless signals that came already.
    told: Vec<c_int>,
}

impl Listener {
    fn listen(mut self, mut incoming: Incoming) {
        for signal in incoming.forever() {
            match signal {
                SIGTERM | SIGINT if !self.is_running.load(Ordering::Relaxed) => {
                    end("ended by a signal while it started: nothing was begun", 0);
                }
                SIGTERM | SIGINT if self.stop.swap(true, Ordering::Relaxed) => break,
                SIGTERM | SIGINT => {}
                SIGHUP => self.reload.store(true, Ordering::Relaxed),
                harmless => self.tell(harmless),
            }
        }
        self.hurry.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while begun.elapsed() < STOP_HURRY_MAX {
            let mut pending = incoming.pending();
            if pending.any(|it| it == SIGTERM || it == SIGINT) {
                break;
            }
            std::thread::sleep(POLL);
        }
        end("ended by the second signal", HURRIED);
    }

    fn tell(&mut self, signal: c_int) {
        if signal == SIGXFSZ || self.told.contains(&signal) {
            return;
        }
        self.told.push(signal);
        let name = low_level::signal_name(signal).unwrap_or("a signal");
        warn!("{name}: it goes on with its settings; SIGHUP has them read anew");
    }
}

/// Ends the process at once.
fn end(why: &str, exit_code: c_int) {
    log::say(why);
    log::finish();
    low_level::exit(exit_code);
}
