//! The log of rejected lines, crash by crash.

use std::os::unix::fs::symlink;
use std::sync::Mutex;

use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;

use super::sync::{Job, SyncThread};
use super::*;
use crate::ring::Wake;

const NOW: Now = Now {
    ns: 0,
    steady_us: 0,
    epoch_us: 1_769_842_800_123_999,
};

fn open(directory: &Path) -> RejectedLog {
    RejectedLog::open(directory, 1 << 20).expect("it opens")
}

fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).expect("it can be read")
}

fn entries(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("whole JSON"))
        .collect()
}

#[test]
fn a_line_is_kept_with_its_reason_source_and_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = open(directory.path());
    log.push(Reason::BadJson, "127.0.0.1:8001", NOW, b"{\"a\":\\\x01");
    log.push(Reason::BadUtf8, "[::1]:9", NOW, b"\xff");
    assert!(log.pending() > 0);
    log.flush().expect("it is written");
    assert_eq!(log.pending(), 0);
    let expected = concat!(
        r#"{"reason":"bad_json","source":"127.0.0.1:8001","time":"2026-01-31T07:00:00.123Z","#,
        r#""line":"{\"a\":\\\u0001"}"#,
        "\n",
        r#"{"reason":"bad_utf8","source":"[::1]:9","time":"2026-01-31T07:00:00.123Z","#,
        r#""line_base64":"/w=="}"#,
        "\n",
    );
    assert_eq!(read(directory.path(), "rejected.ndjson"), expected);
}

#[test]
fn a_reopened_log_is_continued() {
    let directory = tempfile::tempdir().expect("a directory");
    for line in [&b"one"[..], b"two", b"three"] {
        let mut log = open(directory.path());
        assert_eq!(log.torn_len(), 0);
        log.push(Reason::BadJson, "s", NOW, line);
        log.flush().expect("it is written");
    }
    let entries = entries(&read(directory.path(), "rejected.ndjson"));
    let lines: Vec<_> = entries.iter().map(|entry| entry["line"].as_str()).collect();
    assert_eq!(lines, [Some("one"), Some("two"), Some("three")]);
}

#[test]
fn a_crash_at_any_byte_costs_no_whole_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = open(directory.path());
    log.push(Reason::BadJson, "s", NOW, b"first");
    log.push(Reason::BadUtf8, "s", NOW, b"second\xff");
    log.flush().expect("it is written");
    let whole = fs::read(directory.path().join("rejected.ndjson")).expect("it can be read");
    let first_len = whole
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("two lines")
        + 1;
    for cut in 0..=whole.len() {
        fs::write(directory.path().join("rejected.ndjson"), &whole[..cut]).expect("written");
        let mut log = open(directory.path());
        log.push(Reason::NotAnObject, "s", NOW, b"after");
        log.flush().expect("it is written");
        let expected = match cut {
            _ if cut + 1 < first_len => 1,
            _ if cut + 1 < whole.len() => 2,
            _ => 3,
        };
        let kept = entries(&read(directory.path(), "rejected.ndjson"));
        assert_eq!(kept.len(), expected, "cut at {cut}");
    }
}

#[test]
fn a_torn_line_longer_than_a_block_is_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let torn = format!("{{}}\n{{\"line\":\"{}", "x".repeat(3 * BLOCK_LEN as usize));
    fs::write(directory.path().join("rejected.ndjson"), &torn).expect("written");
    let log = open(directory.path());
    assert_eq!(log.torn_len(), torn.len() as u64 - 3);
    assert_eq!(read(directory.path(), "rejected.ndjson"), "{}\n");
}

#[test]
fn full_files_are_numbered_and_none_is_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("rejected.2.ndjson"), "not ours\n").expect("written");
    let mut log = RejectedLog::open(directory.path(), 200).expect("it opens");
    for number in 0..9 {
        log.push(
            Reason::BadJson,
            "s",
            NOW,
            format!("line {number}").as_bytes(),
        );
        log.flush().expect("it is written");
    }
    let lens = [
        "rejected.1.ndjson",
        "rejected.3.ndjson",
        "rejected.4.ndjson",
    ]
    .map(|name| entries(&read(directory.path(), name)).len());
    assert_eq!(lens, [3, 3, 3]);
    assert_eq!(read(directory.path(), "rejected.ndjson"), "");
    assert_eq!(read(directory.path(), "rejected.2.ndjson"), "not ours\n");
}

#[test]
fn a_full_device_leaves_everything_pending() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rejected.ndjson");
    symlink("/dev/full", &path).expect("a link");
    let mut log = open(directory.path());
    log.push(Reason::BadJson, "s", NOW, b"kept");
    let pending = log.pending();
    for _ in 0..2 {
        let error = log.flush().expect_err("the device is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(log.pending(), pending);
    }
    fs::remove_file(&path).expect("removed");
    log.file = Arc::new(open_file(&path).expect("room again"));
    log.push(Reason::BadJson, "s", NOW, b"and more");
    log.flush().expect("it is written");
    assert_eq!(entries(&read(directory.path(), "rejected.ndjson")).len(), 2);
}

#[test]
fn a_rotation_that_fails_is_made_good_later() {
    let directory = tempfile::tempdir().expect("a directory");
    let elsewhere = directory.path().join("gone");
    fs::create_dir(&elsewhere).expect("made");
    let mut log = RejectedLog::open(&elsewhere, 1).expect("it opens");
    fs::remove_dir_all(&elsewhere).expect("removed");
    log.push(Reason::BadJson, "s", NOW, b"one");
    assert!(log.flush().is_err());
    assert_eq!(log.pending(), 0, "it was written all the same");
    fs::create_dir(&elsewhere).expect("made");
    log.push(Reason::BadJson, "s", NOW, b"two");
    log.flush().expect("written, and rotated");
    log.push(Reason::BadJson, "s", NOW, b"three");
    log.flush().expect("written, and rotated");
    assert_eq!(entries(&read(&elsewhere, "rejected.1.ndjson")).len(), 1);
}

/// Takes a few bytes at a time, and fails as it is told.
struct Moody {
    taken: Vec<u8>,
    answers: std::vec::IntoIter<Option<usize>>,
}

impl Write for Moody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.answers.next() {
            None => self.taken.extend_from_slice(bytes),
            Some(None) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Some(0)) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Some(most)) => {
                let len = most.min(bytes.len());
                self.taken.extend_from_slice(&bytes[..len]);
                return Ok(len);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn retries_tear_and_repeat_nothing(
        lines in proptest::collection::vec("[a-z]{0,9}\n", 1..9),
        answers in proptest::collection::vec(proptest::option::of(0_usize..7), 0..30),
    ) {
        let mut pending = Pending::default();
        let mut file = Moody { taken: Vec::new(), answers: answers.into_iter() };
        let mut file_len = 0;
        for line in &lines {
            pending.bytes.extend_from_slice(line.as_bytes());
            let _ = pending.write_to(&mut file, &mut file_len);
            prop_assert_eq!(file_len as usize, file.taken.len());
        }
        while pending.write_to(&mut file, &mut file_len).is_err() {}
        prop_assert_eq!(String::from_utf8_lossy(&file.taken), lines.concat());
        prop_assert_eq!(pending.len(), 0);
    }
}

// ---- synced ----

#[derive(Debug, Default)]
struct Asked {
    jobs: Vec<Job>,
    answer: Option<io::Result<()>>,
}

/// A disk that answers when it is told to.
#[derive(Debug, Clone, Default)]
struct Slow(Arc<Mutex<Asked>>);

impl Slow {
    fn answer(&self, answer: io::Result<()>) {
        self.0.lock().expect("one thread").answer = Some(answer);
    }

    fn jobs(&self) -> Vec<Job> {
        std::mem::take(&mut self.0.lock().expect("one thread").jobs)
    }
}

impl Syncer for Slow {
    fn begin(&mut self, job: Job) {
        self.0.lock().expect("one thread").jobs.push(job);
    }

    fn poll(&mut self) -> Option<io::Result<()>> {
        self.0.lock().expect("one thread").answer.take()
    }
}

/// Writes a line, and gives back where it ends.
fn write(log: &mut RejectedLog, line: &[u8]) -> u64 {
    log.push(Reason::BadJson, "s", NOW, line);
    log.flush().expect("it is written");
    log.end()
}

#[test]
fn a_synced_line_is_kept_when_a_sync_that_began_behind_it_has_returned() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Slow::default();
    let mut log = open(directory.path()).synced_by(Box::new(disk.clone()));
    let one = write(&mut log, b"one");
    log.begin_sync();
    assert!(disk.jobs().is_empty(), "nobody waits for it");
    log.want(one);
    log.begin_sync();
    assert!(disk.jobs()[0].directory.is_some(), "the name may be new");
    let two = write(&mut log, b"two");
    log.want(two);
    log.begin_sync();
    log.hear_sync().expect("no answer is no failure");
    assert!(disk.jobs().is_empty(), "one is under way");
    assert_eq!(log.kept(), 0);
    disk.answer(Ok(()));
    log.hear_sync().expect("it went well");
    assert_eq!(log.kept(), one);
    log.begin_sync();
    assert!(disk.jobs()[0].directory.is_none(), "the name is synced");
    disk.answer(Err(io::Error::other("a bad sector")));
    let error = log.hear_sync().expect_err("it failed");
    assert!(error.to_string().contains("a bad sector"), "{error}");
    assert_eq!(log.kept(), one);
}

#[test]
fn a_rotated_file_is_synced_with_its_successor_whoever_waits() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Slow::default();
    let log = RejectedLog::open(directory.path(), 1).expect("it opens");
    let mut log = log.synced_by(Box::new(disk.clone()));
    write(&mut log, b"one");
    let end = write(&mut log, b"two");
    log.begin_sync();
    let jobs = disk.jobs();
    assert_eq!((jobs.len(), jobs[0].files.len()), (1, 3));
    disk.answer(Ok(()));
    log.hear_sync().expect("it went well");
    assert_eq!(log.kept(), end);
}

#[test]
fn the_thread_syncs_and_wakes_who_waits() {
    let directory = tempfile::tempdir().expect("a directory");
    let wake = Wake::new().expect("a descriptor");
    let thread = SyncThread::start(Arc::clone(&wake)).expect("a thread");
    let mut log = open(directory.path()).synced_by(Box::new(thread));
    for line in [b"one", b"two"] {
        let end = write(&mut log, line);
        log.want(end);
        wake.prepare_park();
        log.begin_sync();
        let mut waits = [PollFd::new(&wake, PollFlags::IN)];
        // No time-out: a missed wake-up hangs the test.
        poll(&mut waits, None).expect("it is woken");
        wake.unpark();
        log.hear_sync().expect("it went well");
        assert_eq!(log.kept(), end);
    }
}
