//! What is in the logs, and how much of the disk they take.

use super::*;
use crate::latency::log_reader::HistogramLog;
use crate::latency::{Stage, View};
use crate::message::{DestinationIndex, TypeIndex};

struct Tables;

impl Names for Tables {
    fn destination(&self, index: DestinationIndex) -> String {
        format!("table {index}")
    }
    fn message_type(&self, index: TypeIndex) -> String {
        format!("type{index}")
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> LogLimits {
    LogLimits {
        interval: SECOND,
        max_bytes: 64 * 1024,
        max_age: Duration::from_secs(3600),
        files: 3,
    }
}

fn log(folder: &Path, limits: LogLimits) -> IntervalLog {
    IntervalLog::new(folder.to_owned(), limits, SystemTime::now(), (2, 3))
}

/// One message a destination and stage.
fn interval(ns: u64) -> Interval {
    let mut interval = Interval::new(2, 3);
    for destination in 0..3 {
        for stage in Stage::ALL {
            interval.record(stage, 1 + (destination % 2) as Level, destination, ns, 1);
        }
    }
    interval
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("it lists")
        .map(|it| it.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> HistogramLog {
    HistogramLog::parse(&fs::read_to_string(path).expect("it is there")).expect("it is a log")
}

#[test]
fn every_view_with_latencies_has_a_line_for_each_interval() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = log(folder.path(), limits());
    let mut expected = Totals::new(2, 3);
    for round in 1..=4_u32 {
        let interval = interval(u64::from(round) * 10_000);
        expected.merge(&interval);
        log.merge(&interval);
        assert!(!log.is_due(SECOND * round - Duration::from_nanos(1)));
        assert!(log.is_due(SECOND * round));
        log.write(SECOND * round, &Tables).expect("it is written");
    }
    let [file] = &files(folder.path())[..] else {
        panic!("one file")
    };
    assert_eq!(file.file_name().expect("a name"), "latency-000001.hlog");
    let text = fs::read_to_string(file).expect("it is there");
    assert_eq!(text.matches("Tag=total,").count(), 4);
    assert!(text.contains("Tag=total,1.000,1.000,"), "{text}");
    let read = read(file);
    for view in expected.views() {
        let logged = read.histogram(&view.tag(&Tables));
        match expected.count(view) {
            0 => assert!(logged.is_none()),
            _ => assert_eq!(logged, Some(&expected.histogram(view))),
        }
    }
    assert!(read.histogram("total-level1-table%200").is_some());
    assert_eq!(read.intervals(), 4 * (5 * 3 + 3 + 3));
}

#[test]
fn nothing_is_written_of_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("histograms");
    let mut log = log(&folder, limits());
    log.write(SECOND, &Tables).expect("it is written");
    assert!(!folder.exists());
}

#[test]
fn files_are_replaced_by_size_and_the_oldest_go() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("latency-mine.hlog"), "the user's").expect("written");
    let limits = LogLimits {
        max_bytes: 4_096,
        ..limits()
    };
    let mut log = log(folder.path(), limits);
    for round in 1..=20 {
        log.merge(&interval(10_000));
        log.write(SECOND * round, &Tables).expect("it is written");
        let files = files(folder.path());
        assert!(files.len() <= 4, "{files:?}");
        assert!(
            files
                .iter()
                .all(|it| it.metadata().expect("it is there").len() <= 4_096)
        );
    }
    let files = files(folder.path());
    assert_eq!(files.len(), 4, "three logs, and the user's file");
    assert!(files[3].ends_with("latency-mine.hlog"));
    let counts = files[..3].iter().map(|it| read(it).intervals());
    assert!(counts.sum::<usize>() >= 2 * (5 * 3 + 3 + 3));
    assert!(!folder.path().join("latency-000001.hlog").exists());
}

#[test]
fn files_are_replaced_by_age_and_by_a_new_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = LogLimits {
        max_age: SECOND * 10,
        ..limits()
    };
    for (run, names) in [["000001", "000002"], ["000003", "000004"]]
        .iter()
        .enumerate()
    {
        let mut log = log(folder.path(), limits.clone());
        for now in [1, 10, 11] {
            log.merge(&interval(10_000));
            log.write(SECOND * now, &Tables).expect("it is written");
        }
        let counts = names.map(|it| {
            let name = format!("latency-{it}.hlog");
            read(&folder.path().join(name)).intervals() / (5 * 3 + 3 + 3)
        });
        assert_eq!(counts, [2, 1], "run {run}");
    }
    assert_eq!(files(folder.path()).len(), 3);
}

#[test]
fn what_does_not_fit_into_a_file_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = LogLimits {
        max_bytes: 2_048,
        ..limits()
    };
    let mut log = log(folder.path(), limits);
    log.merge(&interval(10_000));
    let error = log.write(SECOND, &Tables).unwrap_err();
    assert!(matches!(error, LogError::Room { .. }), "{error}");
    let written = read(&files(folder.path())[0]).intervals() as u64;
    assert_eq!(written + error.lost(), 5 * 3 + 3 + 3);
}

#[test]
fn a_folder_that_cannot_be_written_costs_its_intervals_only() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("histograms");
    fs::write(&folder, "in the way").expect("written");
    let mut log = log(&folder, limits());
    log.merge(&interval(10_000));
    let error = log.write(SECOND, &Tables).unwrap_err();
    assert_eq!(error.lost(), 5 * 3 + 3 + 3);
    assert!(error.to_string().contains("histograms"), "{error}");
    fs::remove_file(&folder).expect("removed");
    log.merge(&interval(20_000));
    log.write(SECOND * 2, &Tables).expect("it is written");
    let mut expected = Totals::new(2, 3);
    expected.merge(&interval(20_000));
    let logged = read(&files(&folder)[0]);
    let view = View::Stage(Stage::Total);
    assert_eq!(logged.histogram("total"), Some(&expected.histogram(view)));
}

#[test]
fn where_the_file_was_removed_another_one_is_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = log(folder.path(), limits());
    for second in 1..=2 {
        log.merge(&interval(20_000));
        log.write(SECOND * second, &Tables).expect("it is written");
        let written = files(folder.path());
        assert_eq!(written.len(), 1);
        fs::remove_file(&written[0]).expect("removed");
    }
}

#[test]
fn a_full_disk_leaves_no_torn_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("latency-000001.hlog");
    // Every write to it fails as on a full disk, and truncating it is refused too.
    let file = File::options()
        .write(true)
        .open("/dev/full")
        .expect("it opens");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    let mut log = log(folder.path(), limits());
    let (len, born) = (100, Duration::ZERO);
    log.open = Some(Open {
        file,
        path: path.clone(),
        len,
        born,
    });
    log.merge(&interval(10_000));
    let error = log.write(SECOND, &Tables).unwrap_err();
    assert!(error.to_string().contains("latency-000001.hlog"), "{error}");
    fs::remove_file(path).expect("removed");
    log.merge(&interval(10_000));
    log.write(SECOND * 2, &Tables).expect("it is written");
    assert_eq!(read(&files(folder.path())[0]).intervals(), 5 * 3 + 3 + 3);
}
