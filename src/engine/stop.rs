//! Stopping an engine, step by step. Every wait has a limit and is reported each second, so that the stop
//! ends before a supervisor kills after 90 s.
//!
//! ```text
//! drain -> agents' threads, from the sources on -> store -> admin -> statistics, histograms
//! ```
//!
//! In a hurry it waits for nothing more and prints no statistics: what is in the journal is there at the
//! next start.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::{DirectoryLock, Ended, Engine, Thread};
use crate::admin::{Admin, Monitor, Phase};
use crate::cluster::run::lease::Lease;
use crate::counters::{Counter, Counters};
use crate::http::Http;
use crate::limits::{
    NATS_LAST_WORDS_MAX, STALL_LOOK_MAX, STOP_ADMIN_MAX, STOP_DRAIN_MAX, STOP_DRAIN_STALL,
    STOP_FILES_MAX, STOP_THREADS_MAX,
};
use crate::nats::Nats;

/// Between two polls whether it is done.
const POLL: Duration = Duration::from_millis(5);
/// Between two reports of what it waits for.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Polls in a row that must find the pipeline quiet.
const QUIET_POLLS: u32 = 4;

impl Engine {
    /// Stops it in an orderly way: sources are read no more, what is queued for connected
    /// subscribers is delivered, the journal and the store are completed, statistics and histograms
    /// written. `hurry` ends all waiting. `progress` gets what is waited for, each second.
    pub(crate) fn stop(self, hurry: &AtomicBool, mut progress: impl FnMut(&str)) -> Ended {
        let mut waiter = Waiter::new(hurry, &mut progress);
        let mut problems = Vec::new();
        self.stopping.store(true, Ordering::Relaxed);
        self.health.set_phase(Phase::Draining);
        self.drain(&mut waiter);
        problems.extend(end_agents(self.threads, &self.lock, &mut waiter));
        end_nats(&self.nats, &mut waiter);
        let unwritten = self.counters.get(Counter::RejectedWaiting);
        if unwritten > 0 {
            problems.push(format!(
                "{unwritten} rejected lines could not be kept in rejected.ndjson"
            ));
        }
        let left = Unrecorded::of(&self.counters);
        if !left.is_empty() {
            error!("{left}");
            problems.push(left.to_string());
        }
        if let Some(store) = self.store {
            waiter.say("completing the store");
            let end = self.signals.recorded.load(Ordering::Acquire);
            let left = store.finish(end, self.store_timeout, hurry);
            if left > 0 {
                // No problem: nothing is lost by a database that is down.
                warn!(
                    "{left} journal bytes are not in the store yet; they will be after the next start"
                );
            }
        }
        self.health.set_phase(Phase::Stopped);
        if let Some(http) = self.http {
            end_http(http, &mut waiter);
        }
        if let Some(admin) = self.admin {
            end_admin(admin, &mut waiter);
        }
        problems.extend(end_monitor(self.monitor, &mut waiter).err());
        if waiter.is_over() {
            problems.push("told to hurry: what is left comes at the next start".to_owned());
        }
        let problems = (!problems.is_empty()).then(|| problems.join("; "));
        Ended {
            counters: self.counters.snapshot(),
            unrecorded: left,
            problems,
        }
    }

    /// Ends it at once, for its term is over: nothing more is read, handed out or written, and all
    /// connections close. Returns the lines that are not confirmed and that no source sends again.
    pub(crate) fn abort(self, lease: &Lease) -> Vec<Vec<u8>> {
        let (hurry, mut progress) = (AtomicBool::new(false), |what: &str| info!("{what}"));
        let mut waiter = Waiter::new(&hurry, &mut progress);
        lease.end();
        self.stopping.store(true, Ordering::Relaxed);
        self.signals.draining.store(true, Ordering::Relaxed);
        self.health.set_phase(Phase::Stopped);
        if let Some(problem) = end_agents(self.threads, &self.lock, &mut waiter) {
            warn!("{problem}");
        }
        end_nats(&self.nats, &mut waiter);
        if let Some(store) = self.store {
            let end = self.signals.recorded.load(Ordering::Acquire);
            let left = store.finish(end, Duration::ZERO, &hurry);
            info!(left, "journal bytes that are not in the store yet");
        }
        if let Some(http) = self.http {
            end_http(http, &mut waiter);
        }
        if let Some(admin) = self.admin {
            end_admin(admin, &mut waiter);
        }
        if let Err(error) = end_monitor(self.monitor, &mut waiter) {
            warn!("{error}");
        }
        lease.take_unconfirmed()
    }

    /// Waits until nothing is left that can be delivered, or nothing moves any more.
    fn drain(&self, waiter: &mut Waiter<'_>) {
        self.signals.draining.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(|it| it.wake.notify());
        let what = "delivering what is queued for connected subscribers";
        waiter.say(what);
        let settled = || self.counters.get(Counter::Settled);
        // Nothing moves on a full disk, and what is not recorded is nowhere else.
        let is_full = || self.counters.get(Counter::JournalWaiting) != 0;
        let (mut quiet_polls, mut moved, mut still) = (0, settled(), Passed::begin());
        let told = || match is_full() {
            true => format!("no room on the disk. {}", Unrecorded::of(&self.counters)),
            false => format!("{what}: {} settled", settled()),
        };
        let is_drained = waiter.wait(STOP_DRAIN_MAX, told, || {
            let is_kept = self.counters.get(Counter::RejectedWaiting) == 0;
            let is_quiet = is_kept && self.signals.drained.load(Ordering::Acquire);
            quiet_polls = if is_quiet { quiet_polls + 1 } else { 0 };
            if settled() != moved || is_full() {
                (moved, still) = (settled(), Passed::begin());
            }
            quiet_polls == QUIET_POLLS || still.look() > STOP_DRAIN_STALL
        });
        if (!is_drained || quiet_polls < QUIET_POLLS) && !is_full() {
            let left = self.counters.get(Counter::InFlight);
            info!(
                left,
                "subscribers do not take or acknowledge what is left in time"
            );
        }
    }
}

/// What was accepted or settled, and is not in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unrecorded {
    /// Messages that no restart brings back.
    pub(crate) messages: u64,
    /// Settled messages that are delivered again.
    pub(crate) settlements: u64,
}

impl Unrecorded {
    fn of(counters: &Counters) -> Self {
        let of = |counter| counters.get(counter);
        Self {
            messages: of(Counter::LastSequence).saturating_sub(of(Counter::JournalRecorded)),
            settlements: of(Counter::Settled).saturating_sub(of(Counter::JournalSettled)),
        }
    }

    /// Whether all is recorded.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0 && self.settlements == 0
    }
}

impl fmt::Display for Unrecorded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "left={}: messages accepted and not recorded: {}; settled, and delivered again after the \
             next start: {}",
            self.messages + self.settlements,
            self.messages,
            self.settlements
        )
    }
}

/// Ends the agents' threads, one after the other; says which did not. The directory stays locked for those:
/// they may write still, and no other engine may have it while this process is.
fn end_agents(
    threads: Vec<Thread>,
    lock: &Arc<DirectoryLock>,
    waiter: &mut Waiter<'_>,
) -> Option<String> {
    let end = Instant::now() + STOP_THREADS_MAX;
    let mut late = Vec::new();
    for thread in threads {
        thread.stop.store(true, Ordering::Relaxed);
        thread.wake.notify();
        let left = end.saturating_duration_since(Instant::now());
        let told = || format!("the {} thread completes its work", thread.name);
        let has_ended = waiter.wait(left, told, || thread.handle.is_finished());
        // A thread that has ended is joined without waiting.
        if !has_ended || thread.handle.join().is_err() {
            late.push(thread.name);
        }
    }
    if late.is_empty() {
        return None;
    }
    std::mem::forget(Arc::clone(lock));
    Some(format!("these threads did not end: {}", late.join(", ")))
}

/// Its last acknowledgements go out; what is not told comes again at the next start.
fn end_nats(nats: &Nats, waiter: &mut Waiter<'_>) {
    nats.begin_shutdown();
    let told = || "the last words to NATS".to_owned();
    let _ = waiter.wait(2 * NATS_LAST_WORDS_MAX, told, || nats.has_ended());
}

/// What customers and producers have begun is answered first.
fn end_http(http: Http, waiter: &mut Waiter<'_>) {
    http.begin_shutdown();
    let told = || "HTTP requests under way".to_owned();
    if waiter.wait(STOP_ADMIN_MAX, told, || http.has_ended()) {
        http.stop();
    }
}

/// A thread that answers HTTP still takes nothing away: it ends with the process.
fn end_admin(mut admin: Admin, waiter: &mut Waiter<'_>) {
    admin.begin_shutdown();
    let told = || "HTTP answers under way".to_owned();
    if waiter.wait(STOP_ADMIN_MAX, told, || admin.has_ended()) {
        admin.stop();
    }
}

/// Has statistics and histogram files written; else says why not.
fn end_monitor(monitor: Monitor, waiter: &mut Waiter<'_>) -> Result<(), String> {
    if waiter.is_over() {
        // Dropped, it would do at its leisure what it does at the end.
        std::mem::forget(monitor);
        return Ok(());
    }
    monitor.begin_shutdown();
    let told = || "writing the histograms".to_owned();
    if !waiter.wait(STOP_FILES_MAX, told, || monitor.has_ended()) {
        return Err("statistics and histograms could not be written in time".to_owned());
    }
    match monitor.finish() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Waits with a limit, and reports meanwhile.
struct Waiter<'a> {
    hurry: &'a AtomicBool,
    progress: &'a mut dyn FnMut(&str),
}

/// Time that a wait has taken.
struct Passed {
    time: Duration,
    looked: Instant,
}

impl Passed {
    fn begin() -> Self {
        Self {
            time: Duration::ZERO,
            looked: Instant::now(),
        }
    }

    /// One look counts [`STALL_LOOK_MAX`] at most: more has passed only where the whole process stood still,
    /// and nobody could have done what is waited for.
    fn look(&mut self) -> Duration {
        let now = Instant::now();
        self.time += (now - self.looked).min(STALL_LOOK_MAX);
        self.looked = now;
        self.time
    }
}

impl<'a> Waiter<'a> {
    fn new(hurry: &'a AtomicBool, progress: &'a mut dyn FnMut(&str)) -> Self {
        Self { hurry, progress }
    }

    /// Whether nothing is waited for any more.
    fn is_over(&self) -> bool {
        self.hurry.load(Ordering::Relaxed)
    }

    fn say(&mut self, what: &str) {
        (self.progress)(what);
    }

    /// Waits until `is_done`, for `limit` at most, and says `what` it waits for each second; returns
    /// whether it is done.
    fn wait(
        &mut self,
        limit: Duration,
        what: impl Fn() -> String,
        mut is_done: impl FnMut() -> bool,
    ) -> bool {
        let (mut passed, mut told) = (Passed::begin(), Duration::ZERO);
        loop {
            if is_done() {
                return true;
            }
            let waited = passed.look();
            if self.is_over() || waited >= limit {
                return false;
            }
            if waited - told >= REPORT_INTERVAL {
                told = waited;
                let (waited, limit) = (waited.as_secs(), limit.as_secs());
                self.say(&format!("{} ({waited} s, {limit} s at most)", what()));
            }
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_it_is_done_at_its_limit_or_in_a_hurry() {
        let hurry = AtomicBool::new(false);
        let mut said = Vec::new();
        let mut progress = |what: &str| said.push(what.to_owned());
        let mut waiter = Waiter::new(&hurry, &mut progress);
        let what = || "it".to_owned();
        let mut looks = 0;
        assert!(waiter.wait(Duration::MAX, what, || {
            looks += 1;
            looks == 3
        }));
        assert!(!waiter.wait(Duration::ZERO, what, || false));
        assert!(waiter.wait(Duration::ZERO, what, || true));
        hurry.store(true, Ordering::Relaxed);
        assert!(!waiter.wait(Duration::MAX, what, || false));
        assert!(waiter.is_over());
        assert_eq!(looks, 3);
        assert!(said.is_empty());
    }

    #[test]
    fn what_is_waited_for_is_said_each_second() {
        let hurry = AtomicBool::new(false);
        let mut said = Vec::new();
        let mut progress = |what: &str| said.push(what.to_owned());
        let mut waiter = Waiter::new(&hurry, &mut progress);
        let limit = REPORT_INTERVAL + REPORT_INTERVAL / 2;
        assert!(!waiter.wait(limit, || "the disk".to_owned(), || false));
        assert_eq!(said, ["the disk (1 s, 1 s at most)"]);
    }
}
