use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::super::testing;
use super::*;
use crate::clock::Now;
use crate::config::Config;
use crate::destinations::{DestinationState, Reporter};
use crate::latency::log_reader::HistogramLog;
use crate::latency::{LogLimits, Recorder, Stage, Totals, View, exchange};
use crate::log::testing::SharedOutput;

fn pages(output: &SharedOutput) -> Vec<String> {
    let text = output.text();
    let pages = text.split("=== DELIVERY STATISTICS ===\n").skip(1);
    pages.map(str::to_owned).collect()
}

fn count(shown: &Mutex<Shown>) -> u64 {
    lock(shown).totals.count(View::Stage(Stage::Total))
}

fn parts(output: &SharedOutput) -> (Recorder, MonitorParts) {
    let (recorder, _, parts) = parts_with_reporter(output);
    (recorder, parts)
}

fn parts_with_reporter(output: &SharedOutput) -> (Recorder, Reporter, MonitorParts) {
    let (recorder, collector) = exchange(3, 4);
    let (reporter, reports) = destinations::exchange(4);
    let totals = Totals::new(3, 4);
    let parts = MonitorParts {
        clock: SystemClock::start(),
        counters: Arc::new(testing::counters()),
        refused: Arc::default(),
        shown: Arc::new(Mutex::new(Shown::new(totals, 0))),
        latencies: collector,
        reports,
        source_reports: sources::exchange().1,
        names: Arc::new(testing::Restaurant),
        progress: None,
        interval_ns: Arc::default(),
        histograms: None,
        forecast: Forecast::new(&Config::default()),
        log: None,
        wake: Box::new(|| ()),
        out: Box::new(output.clone()),
    };
    (recorder, reporter, parts)
}

#[test]
fn at_the_end_there_are_statistics_files_and_totals() {
    let folder = tempfile::tempdir().unwrap();
    let output = SharedOutput::default();
    let (mut recorder, mut parts) = parts(&output);
    parts.histograms = Some(folder.path().join("histograms"));
    let shown = Arc::clone(&parts.shown);
    let monitor = Monitor::start(parts).unwrap();
    testing::ten(recorder.active_mut());
    drop(recorder);
    assert_eq!(monitor.finish().unwrap(), 5 * 4 + 2 + 2);
    assert_eq!(count(&shown), 10);
    let file = folder.path().join("histograms/total-level1-table1.hgrm");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("Total count    =            6]"), "{text}");
    let pages = pages(&output);
    assert_eq!(pages.len(), 1);
    assert!(
        pages[0].contains("Priority 1 messages: 6\n"),
        "{}",
        pages[0]
    );
}

#[test]
fn the_last_statistics_have_what_waited_at_the_end() {
    let output = SharedOutput::default();
    let (recorder, mut reporter, parts) = parts_with_reporter(&output);
    let monitor = Monitor::start(parts).unwrap();
    let mut waiting = DestinationState {
        accepted: 3,
        ..DestinationState::default()
    };
    waiting.queued[0] = 3;
    reporter.add(waiting);
    reporter.complete(Now::default());
    drop((recorder, reporter));
    monitor.finish().unwrap();
    let last = pages(&output).pop().unwrap();
    assert!(last.contains("table1:     3 queued, 0 in flight"), "{last}");
}

#[test]
fn statistics_are_printed_on_their_beat_and_the_scheduler_is_woken() {
    let output = SharedOutput::default();
    let woken = Arc::new(AtomicU64::new(0));
    let (mut recorder, mut parts) = parts(&output);
    let wakes = Arc::clone(&woken);
    parts.wake = Box::new(move || {
        wakes.fetch_add(1, Ordering::Relaxed);
    });
    parts.interval_ns = Arc::new(20_000_000.into());
    let shown = Arc::clone(&parts.shown);
    let monitor = Monitor::start(parts).unwrap();
    testing::ten(recorder.active_mut());
    while count(&shown) < 10 || pages(&output).len() < 3 {
        recorder.poll_swap();
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(recorder);
    monitor.finish().unwrap();
    assert_eq!(count(&shown), 10);
    assert!(woken.load(Ordering::Relaxed) >= 3);
    let last = pages(&output).pop().unwrap();
    assert!(last.contains("Customer table2:     4 (breakfast 2, lunch 2)"));
}

fn log(folder: PathBuf, interval: Duration) -> IntervalLog {
    let limits = LogLimits {
        interval,
        max_bytes: 1024 * 1024,
        max_age: Duration::from_secs(3600),
        files: 2,
    };
    IntervalLog::new(folder, limits, SystemTime::now(), (3, 4))
}

#[test]
fn intervals_are_logged_on_their_beat_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, mut parts) = parts(&SharedOutput::default());
    parts.log = Some(log(folder.path().to_owned(), Duration::from_millis(20)));
    let shown = Arc::clone(&parts.shown);
    let monitor = Monitor::start(parts).unwrap();
    testing::ten(recorder.active_mut());
    let file = folder.path().join("latency-000001.hlog");
    while !std::fs::read_to_string(&file).is_ok_and(|it| it.contains("Tag=total,")) {
        recorder.poll_swap();
        std::thread::sleep(Duration::from_millis(1));
    }
    testing::ten(recorder.active_mut());
    drop(recorder);
    monitor.finish().unwrap();
    let totals = lock(&shown).totals.take();
    let text = std::fs::read_to_string(file).unwrap();
    let log = HistogramLog::parse(&text).unwrap();
    assert!(text.matches("Tag=total,").count() >= 2, "{text}");
    let view = View::Level(Stage::Total, 1);
    assert_eq!(log.histogram("total-level1"), Some(&totals.histogram(view)));
}

#[test]
fn a_log_that_cannot_be_written_is_counted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut recorder, mut parts) = parts(&SharedOutput::default());
    let counters = Arc::clone(&parts.counters);
    let folder = file.path().join("histograms");
    parts.log = Some(log(folder, Duration::from_secs(3600)));
    let shown = Arc::clone(&parts.shown);
    let monitor = Monitor::start(parts).unwrap();
    testing::ten(recorder.active_mut());
    drop(recorder);
    monitor.finish().unwrap();
    assert_eq!(count(&shown), 10);
    // Five stages, each as a whole and at two levels, and two destinations.
    assert_eq!(counters.get(Counter::LatencyLogLost), 5 * 3 + 2 + 2);
}

#[test]
fn a_closed_output_and_an_unwritable_folder_do_not_lose_the_totals() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut recorder, mut parts) = parts(&SharedOutput::default());
    parts.out = Box::new(&mut [0_u8; 0][..]);
    parts.histograms = Some(file.path().join("histograms"));
    let shown = Arc::clone(&parts.shown);
    let monitor = Monitor::start(parts).unwrap();
    testing::ten(recorder.active_mut());
    drop(recorder);
    assert!(matches!(monitor.finish(), Err(MonitorError::Files(_))));
    assert_eq!(count(&shown), 10);
}
