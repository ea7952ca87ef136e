//! The monitor thread: collects latencies, prints the statistics, writes the histogram files and
//! the interval logs.
//!
//! Fed by the scheduler's [`Collector`] and the counters; feeds [`Shown`], from which HTTP answers,
//! and standard output. Off the path: it may lock, allocate and block; the scheduler never waits
//! for it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::degraded::degraded;
use super::statistics::Statistics;
use super::{Names, Shown, lock, take_turns};
use crate::access::RefusedClients;
use crate::clock::{Clock, Noticed, SystemClock};
use crate::counters::{Counter, Counters, Snapshot};
use crate::destinations;
use crate::disk::Forecast;
use crate::latency::{self, FilesError, IntervalLog, write_all};
use crate::limits::{DESTINATIONS_INTERVAL, MONITOR_TICK_MS};
use crate::log;
use crate::message::DestinationIndex;
use crate::sources;
use crate::store::core_wait::CoreWait;
use crate::store::lag::Progress;

/// What a monitor works with.
pub(crate) struct MonitorParts {
    /// The engine's clock, which is made to follow the wall clock.
    pub(crate) clock: SystemClock,
    pub(crate) counters: Arc<Counters>,
    /// The log of refused HTTP clients, which is asked what it has left out.
    pub(crate) refused: Arc<RefusedClients>,
    /// Where the totals go; shared with the HTTP thread.
    pub(crate) shown: Arc<Mutex<Shown>>,
    /// The other end of the scheduler's recorder.
    pub(crate) latencies: latency::Collector,
    /// The other end of the scheduler's reporter.
    pub(crate) reports: destinations::Collector,
    /// The other end of ingest's reporter.
    pub(crate) source_reports: sources::Collector,
    /// What destinations and types are called.
    pub(crate) names: Arc<dyn Names>,
    /// From which the lag is published while the store waits for an answer; `None`: there is no store.
    pub(crate) progress: Option<Arc<Progress>>,
    /// Between two prints, in ns; zero: at the end only. A reload changes it.
    pub(crate) interval_ns: Arc<AtomicU64>,
    /// Where the `.hgrm` files go at the end; `None`: there are none.
    pub(crate) histograms: Option<PathBuf>,
    /// Says how long the disk lasts.
    pub(crate) forecast: Forecast,
    /// Writes the interval logs; `None`: there are none.
    pub(crate) log: Option<IntervalLog>,
    /// Wakes the scheduler after it was asked for its interval: a parked one would keep the
    /// latencies of the last messages to itself.
    pub(crate) wake: Box<dyn Fn() + Send>,
    /// Where the statistics are printed: standard output, in an engine.
    pub(crate) out: Box<dyn Write + Send>,
}

#[derive(Debug)]
pub(crate) struct Monitor {
    stop: Sender<()>,
    thread: JoinHandle<Result<usize, FilesError>>,
}

/// What went wrong at the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MonitorError {
    /// The histograms were not all written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A bug: the totals are as they were before it.
    #[error("the monitor thread panicked: statistics and histograms are incomplete")]
    Panicked,
}

impl Monitor {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(parts: MonitorParts) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let run = Run::new(parts);
        let thread = Builder::new().name("monitor".to_owned()).spawn(move || {
            take_turns("monitor");
            run.until(&stopped)
        })?;
        Ok(Self { stop, thread })
    }

    /// Has the thread collect what is left, write the files, and print the statistics for the last
    /// time. Drop the scheduler's recorder and reporter first: then nothing is missing.
    pub(crate) fn begin_shutdown(&self) {
        // A failed send means that the thread has panicked: the join says so.
        let _ = self.stop.send(());
    }

    /// Whether all that is done.
    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end. Returns how many histogram files were written.
    ///
    /// # Errors
    /// Not all of them were.
    pub(crate) fn finish(self) -> Result<usize, MonitorError> {
        self.begin_shutdown();
        match self.thread.join() {
            Ok(written) => written.map_err(MonitorError::Files),
            Err(_) => Err(MonitorError::Panicked),
        }
    }
}

/// The thread's own state.
struct Run {
    parts: MonitorParts,
    started: Instant,
    printed: Instant,
    counters_then: Snapshot,
    /// When the scheduler was asked for a report.
    asked: Instant,
    /// Intervals that were collected.
    collected: u64,
    /// Destinations whose names have gone, and how many intervals are collected when none of their
    /// messages is on its way here any more.
    retired: VecDeque<(u64, DestinationIndex)>,
    /// The last period of the interval log was not written whole.
    log_failing: bool,
    /// Of the store's thread.
    core_wait: CoreWait,
}

impl Run {
    fn new(parts: MonitorParts) -> Self {
        let now = Instant::now();
        let counters_then = parts.counters.snapshot();
        Self {
            parts,
            started: now,
            printed: now,
            counters_then,
            asked: now,
            collected: 0,
            retired: VecDeque::new(),
            log_failing: false,
            core_wait: CoreWait::default(),
        }
    }

    fn until(mut self, stopped: &Receiver<()>) -> Result<usize, FilesError> {
        let counters_before = self.counters_then.clone();
        let mut tick = self.tick();
        while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
            self.collect();
            self.track();
            self.watch_clock();
            self.publish_lag();
            self.look_at_disk();
            self.count_lost_lines();
            self.parts.refused.log_left_out();
            (self.parts.wake)();
            tick = self.tick();
            let interval = self.interval();
            if !interval.is_zero() && self.printed.elapsed() >= interval {
                self.print_period();
            }
            self.write_log_if_due();
        }
        self.collect();
        self.track();
        self.write_log();
        self.count_lost_lines();
        self.print(&counters_before, self.started.elapsed());
        self.write_files()
    }

    fn interval(&self) -> Duration {
        Duration::from_nanos(self.parts.interval_ns.load(Ordering::Relaxed))
    }

    /// How long it sleeps: no longer than what is on the shortest beat.
    fn tick(&self) -> Duration {
        let log = self.parts.log.as_ref().map(IntervalLog::interval);
        let beats = [Some(self.interval()), log].into_iter().flatten();
        let longest = Duration::from_millis(MONITOR_TICK_MS);
        beats
            .filter(|it| !it.is_zero())
            .fold(longest, Duration::min)
    }

    fn collect(&mut self) {
        let mut shown = lock(&self.parts.shown);
        let (log, collected) = (&mut self.parts.log, &mut self.collected);
        self.parts.latencies.collect_with(|interval| {
            *collected += 1;
            shown.merge(interval);
            if let Some(log) = log {
                log.merge(interval);
            }
        });
        while let Some(&(when, destination)) = self.retired.front()
            && when <= *collected
        {
            self.retired.pop_front();
            shown.retire(destination);
            if let Some(log) = log {
                log.retire(destination);
            }
            self.parts.reports.release(destination);
        }
    }

    /// Takes the report that was asked for, looks what flows and what is wrong, and asks for the next
    /// report when it is time.
    fn track(&mut self) {
        let mut shown = lock(&self.parts.shown);
        let source_reports = &mut self.parts.source_reports;
        source_reports.poll(|report| shown.sources.take(report));
        let (reports, log) = (&mut self.parts.reports, &mut self.parts.log);
        let mut is_due = self.asked.elapsed() >= 2 * DESTINATIONS_INTERVAL;
        let (retired, collected) = (&mut self.retired, self.collected);
        reports.poll(|report| {
            shown.track(report, log.as_mut());
            // The next interval may have been given before a name went; the one behind it was not.
            let gone = report.retired.iter();
            retired.extend(gone.map(|&destination| (collected + 2, destination)));
            is_due = true;
        });
        if is_due {
            let (counters, names) = (&*self.parts.counters, &*self.parts.names);
            let (shown, now) = (&mut *shown, self.parts.clock.now());
            let oldest_wait_ns = shown.oldest_wait().map(|(_, ns)| ns);
            (shown.flow).sample(&counters.snapshot(), oldest_wait_ns, now);
            shown.recent.advance(now);
            let all = shown.destinations.all();
            (shown.alarms).update(counters, degraded(counters), all, names, now);
        }
        if self.asked.elapsed() >= DESTINATIONS_INTERVAL || reports.has_released() {
            self.asked = Instant::now();
            reports.ask();
            self.parts.source_reports.ask();
        }
    }

    fn write_log_if_due(&mut self) {
        let now = self.started.elapsed();
        if self.parts.log.as_ref().is_some_and(|it| it.is_due(now)) {
            self.write_log();
        }
    }

    /// A log that cannot be written is no reason to stop: it is counted, and logged when it begins and ends.
    fn write_log(&mut self) {
        let Some(log) = &mut self.parts.log else {
            return;
        };
        let written = log.write(self.started.elapsed(), &*self.parts.names);
        match &written {
            Err(error) => {
                self.parts
                    .counters
                    .add(Counter::LatencyLogLost, error.lost());
                if !self.log_failing {
                    warn!("{error}");
                }
            }
            Ok(()) if self.log_failing => info!("the latency log is written again"),
            Ok(()) => {}
        }
        self.log_failing = written.is_err();
    }

    fn watch_clock(&mut self) {
        match self.parts.clock.follow() {
            Some(Noticed::Step(step_us)) => {
                self.parts.counters.add(Counter::ClockSteps, 1);
                warn!(
                    "the system's clock was set by {:+.1} s: rules by hours and times that are told \
                     follow it; waits, ageing and the dedup window go by the engine's own time",
                    step_us as f64 / 1e6
                );
            }
            Some(Noticed::Suspend(suspended_us)) => {
                info!(
                    "the machine was suspended for {:.1} s",
                    suspended_us as f64 / 1e6
                );
            }
            None => {}
        }
    }

    fn publish_lag(&mut self) {
        if let Some(progress) = &self.parts.progress {
            let counters = &self.parts.counters;
            progress.publish(self.parts.clock.now().epoch_us, counters);
            let percent = (self.core_wait).look(progress.thread_id(), self.started.elapsed());
            counters.set(Counter::StoreCoreWaitPercent, percent);
        }
    }

    fn look_at_disk(&mut self) {
        let outlook = self.parts.forecast.sample_if_due(self.started.elapsed());
        if outlook.is_some() {
            lock(&self.parts.shown).disk = outlook;
        }
    }

    fn count_lost_lines(&self) {
        self.parts.counters.set(Counter::LogLinesLost, log::lost());
    }

    fn print_period(&mut self) {
        let period = self.printed.elapsed();
        self.printed += period;
        let now = self.parts.counters.snapshot();
        let then = std::mem::replace(&mut self.counters_then, now);
        self.print(&then, period);
    }

    fn print(&mut self, before: &Snapshot, period: Duration) {
        let counters = self.parts.counters.snapshot();
        let text = {
            let shown = lock(&self.parts.shown);
            let statistics = Statistics {
                counters: &counters,
                shown: &shown,
                names: &*self.parts.names,
                before,
                at_us: self.parts.clock.now().epoch_us,
                period,
            };
            statistics.to_string()
        };
        // A closed output is no reason to stop.
        let out = &mut self.parts.out;
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn write_files(&self) -> Result<usize, FilesError> {
        let Some(folder) = &self.parts.histograms else {
            return Ok(0);
        };
        let shown = lock(&self.parts.shown);
        write_all(&shown.totals, &*self.parts.names, folder)
    }
}

#[cfg(test)]
mod tests;
