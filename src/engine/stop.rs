//! Stopping an engine, step by step. Every wait has a limit and is told each second, so that a
//! supervisor which kills after 90 s never has to.
//!
//! ```text
//! drain -> agents' threads, from the sources on -> store -> admin -> statistics, histograms
//! ```
//!
//! Told to hurry, it waits for nothing more and prints no statistics: what is in the journal is
//! there at the next start.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::{Ended, Engine, Thread};
use crate::admin::{Admin, Monitor, Phase};
use crate::counters::{Counter, Counters};
use crate::limits::{
    STOP_ADMIN_MAX, STOP_DRAIN_MAX, STOP_DRAIN_STALL, STOP_FILES_MAX, STOP_THREADS_MAX,
};

/// How often a stopping engine looks whether it is done.
const POLL: Duration = Duration::from_millis(5);
/// How often it says what it waits for.
const TELL: Duration = Duration::from_secs(1);
/// Looks in a row that must find the pipeline quiet.
const QUIET_LOOKS: u32 = 4;

impl Engine {
    /// Stops it in an orderly way: sources are read no more, what is queued for connected
    /// subscribers is delivered, the journal and the store are completed, statistics and histograms
    /// written. `hurry` cuts all waiting short. `progress` is told what is waited for, each second.
    pub fn stop(self, hurry: &AtomicBool, mut progress: impl FnMut(&str)) -> Ended {
        let mut patience = Patience::new(hurry, &mut progress);
        let mut trouble = Vec::new();
        self.health.set_phase(Phase::Draining);
        self.drain(&mut patience);
        let late = end_threads(self.threads, &mut patience);
        if !late.is_empty() {
            let late = late.join(", ");
            trouble.push(format!("these threads did not end: {late}"));
            // They may write still: no other engine may have the directory while this process is.
            std::mem::forget(self.lock);
        }
        let unkept = self.counters.get(Counter::RejectedWaiting);
        if unkept > 0 {
            trouble.push(format!(
                "{unkept} rejected lines could not be kept in rejected.ndjson"
            ));
        }
        let left = LeftBehind::of(&self.counters);
        if !left.is_nothing() {
            error!("{left}");
            trouble.push(left.to_string());
        }
        if let Some(store) = self.store {
            patience.say("completing the store");
            let end = self.signals.recorded.load(Ordering::Acquire);
            let left = store.finish(end, self.store_patience, hurry);
            if left > 0 {
                // No trouble: a database that is down is none, and nothing is lost.
                warn!(
                    "{left} journal bytes are not in the store yet; they will be after the next start"
                );
            }
        }
        self.health.set_phase(Phase::Stopped);
        if let Some(admin) = self.admin {
            end_admin(admin, &mut patience);
        }
        let histogram_files = end_monitor(self.monitor, &mut patience).unwrap_or_else(|why| {
            trouble.push(why);
            0
        });
        if patience.is_over() {
            trouble.push("told to hurry: what is left comes at the next start".to_owned());
        }
        let trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
        Ended {
            counters: self.counters.snapshot(),
            histogram_files,
            left_behind: left,
            trouble,
        }
    }

    /// Waits until nothing is left that can be delivered, or nothing moves any more.
    fn drain(&self, patience: &mut Patience<'_>) {
        self.signals.draining.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(|it| it.wake.notify());
        let what = "delivering what is queued for connected subscribers";
        patience.say(what);
        let settled = || self.counters.get(Counter::Settled);
        // Nothing moves on a full disk, and what is not recorded is nowhere else.
        let is_full = || self.counters.get(Counter::JournalWaiting) != 0;
        let (mut quiet_looks, mut moved) = (0, (settled(), Instant::now()));
        let told = || match is_full() {
            true => format!("no room on the disk. {}", LeftBehind::of(&self.counters)),
            false => format!("{what}: {} settled", settled()),
        };
        let is_drained = patience.wait(STOP_DRAIN_MAX, told, || {
            let is_kept = self.counters.get(Counter::RejectedWaiting) == 0;
            let is_quiet = is_kept && self.signals.quiet.load(Ordering::Acquire);
            quiet_looks = if is_quiet { quiet_looks + 1 } else { 0 };
            if settled() != moved.0 || is_full() {
                moved = (settled(), Instant::now());
            }
            quiet_looks == QUIET_LOOKS || moved.1.elapsed() > STOP_DRAIN_STALL
        });
        if (!is_drained || quiet_looks < QUIET_LOOKS) && !is_full() {
            let left = self.counters.get(Counter::InFlight);
            info!(
                left,
                "subscribers do not take or acknowledge what is left in time"
            );
        }
    }
}

/// What was accepted or settled, and could not be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftBehind {
    /// Messages that no restart brings back.
    pub messages: u64,
    /// Settled messages that are delivered again.
    pub settlements: u64,
}

impl LeftBehind {
    fn of(counters: &Counters) -> Self {
        let of = |counter| counters.get(counter);
        Self {
            messages: of(Counter::LastSequence).saturating_sub(of(Counter::JournalRecorded)),
            settlements: of(Counter::Settled).saturating_sub(of(Counter::JournalSettled)),
        }
    }

    /// Whether all is recorded.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.messages == 0 && self.settlements == 0
    }
}

impl fmt::Display for LeftBehind {
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

/// Ends the agents' threads, one after the other; returns the names of those that did not.
fn end_threads(threads: Vec<Thread>, patience: &mut Patience<'_>) -> Vec<&'static str> {
    let end = Instant::now() + STOP_THREADS_MAX;
    let mut late = Vec::new();
    for thread in threads {
        thread.stop.store(true, Ordering::Relaxed);
        thread.wake.notify();
        let left = end.saturating_duration_since(Instant::now());
        let told = || format!("the {} thread completes its work", thread.name);
        let has_ended = patience.wait(left, told, || thread.handle.is_finished());
        // A thread that has ended is joined without waiting.
        if !has_ended || thread.handle.join().is_err() {
            late.push(thread.name);
        }
    }
    late
}

/// A thread that answers HTTP still takes nothing away: it ends with the process.
fn end_admin(mut admin: Admin, patience: &mut Patience<'_>) {
    admin.tell_to_end();
    let told = || "HTTP answers under way".to_owned();
    if patience.wait(STOP_ADMIN_MAX, told, || admin.has_ended()) {
        admin.stop();
    }
}

/// Returns how many histogram files were written, or why they were not.
fn end_monitor(monitor: Monitor, patience: &mut Patience<'_>) -> Result<usize, String> {
    if patience.is_over() {
        // Dropped, it would do at its leisure what it does at the end.
        std::mem::forget(monitor);
        return Ok(0);
    }
    monitor.tell_to_end();
    let told = || "writing the histograms".to_owned();
    if !patience.wait(STOP_FILES_MAX, told, || monitor.has_ended()) {
        return Err("statistics and histograms could not be written in time".to_owned());
    }
    monitor.finish().files.map_err(|error| error.to_string())
}

/// How long a stopping engine waits, and what it says meanwhile.
struct Patience<'a> {
    hurry: &'a AtomicBool,
    progress: &'a mut dyn FnMut(&str),
}

impl<'a> Patience<'a> {
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
        let begun = Instant::now();
        let mut told = begun;
        loop {
            if is_done() {
                return true;
            }
            if self.is_over() || begun.elapsed() >= limit {
                return false;
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                let (waited, limit) = (begun.elapsed().as_secs(), limit.as_secs());
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
        let mut patience = Patience::new(&hurry, &mut progress);
        let what = || "it".to_owned();
        let mut looks = 0;
        assert!(patience.wait(Duration::MAX, what, || {
            looks += 1;
            looks == 3
        }));
        assert!(!patience.wait(Duration::ZERO, what, || false));
        assert!(patience.wait(Duration::ZERO, what, || true));
        hurry.store(true, Ordering::Relaxed);
        assert!(!patience.wait(Duration::MAX, what, || false));
        assert!(patience.is_over());
        assert_eq!(looks, 3);
        assert!(said.is_empty());
    }

    #[test]
    fn what_is_waited_for_is_said_each_second() {
        let hurry = AtomicBool::new(false);
        let mut said = Vec::new();
        let mut progress = |what: &str| said.push(what.to_owned());
        let mut patience = Patience::new(&hurry, &mut progress);
        let limit = TELL + TELL / 2;
        assert!(!patience.wait(limit, || "the disk".to_owned(), || false));
        assert_eq!(said, ["the disk (1 s, 1 s at most)"]);
    }
}
