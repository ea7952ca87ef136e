//! The rejects agent over a real directory, turned by hand.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::protocol::{RejectSender, Rejected, ring};
use super::{RejectsAgent, RejectsParts};
use crate::agent::Agent;
use crate::clock::Now;
use crate::clock::testing::at;
use crate::counters::{Counter, Counters};
use crate::limits::{KEPT_PIECE_LEN, KEPT_RETRY_NS, LINE_LEN_MAX, REJECTS_RING};
use crate::message::Reason;
use crate::ring::Wake;
use crate::rolling::storage::Directory;
use crate::rolling::{Limits, WhenFull};

const EPOCH_US: u64 = 1_769_842_800_123_999;

struct Desk {
    home: tempfile::TempDir,
    sender: RejectSender,
    agent: RejectsAgent<Directory>,
    counters: Arc<Counters>,
    now: Now,
}

impl Desk {
    fn new(file_len_max: u64, total_len_max: u64, when_full: WhenFull) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let wake = Wake::new().expect("a descriptor");
        let (sender, from_ingest) = ring(REJECTS_RING, LINE_LEN_MAX, (&wake, &wake));
        let counters = Arc::new(Counters::default());
        let agent = RejectsAgent::open(RejectsParts {
            from_ingest,
            storage: Directory::at(home.path(), "rejected").expect("a directory"),
            limits: Limits::new(file_len_max, total_len_max, when_full).synced(true),
            counters: Arc::clone(&counters),
        });
        let now = at(0);
        Self {
            home,
            sender,
            agent: agent.expect("it opens"),
            counters,
            now,
        }
    }

    fn offer(&mut self, reason: Reason, source: &str, line: &[u8]) -> u64 {
        self.counters.add(Counter::RejectedWaiting, 1);
        let rejected = Rejected {
            reason,
            forbidden: None,
            source: source.as_bytes(),
            epoch_us: EPOCH_US,
            is_awaited: true,
            line,
        };
        self.sender.offer(&rejected).expect("there is room")
    }

    fn turn(&mut self) -> usize {
        self.now.ns += KEPT_RETRY_NS;
        self.agent.do_work(self.now).expect("it never gives up")
    }

    fn of(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    fn text(&self) -> String {
        read(self.home.path())
    }
}

fn read(home: &Path) -> String {
    std::fs::read_to_string(home.join("rejected.ndjson")).expect("it can be read")
}

#[test]
fn a_line_is_kept_with_its_reason_source_and_time() {
    let mut desk = Desk::new(1 << 20, 1 << 30, WhenFull::Hold);
    desk.offer(Reason::BadJson, "127.0.0.1:8001", b"{\"a\":\\\x01");
    let end = desk.offer(Reason::BadUtf8, "[::1]:9", b"\xff");
    assert_eq!((desk.sender.durable(), desk.text().as_str()), (0, ""));
    assert_eq!(desk.turn(), 2);
    assert_eq!(desk.sender.durable(), end);
    let expected = concat!(
        r#"{"reason":"bad_json","source":"127.0.0.1:8001","time":"2026-01-31T07:00:00.123Z","#,
        r#""line":"{\"a\":\\\u0001"}"#,
        "\n",
        r#"{"reason":"bad_utf8","source":"[::1]:9","time":"2026-01-31T07:00:00.123Z","#,
        r#""line_base64":"/w=="}"#,
        "\n",
    );
    assert_eq!(desk.text(), expected);
    assert_eq!(desk.of(Counter::RejectedWaiting), 0);
    assert_eq!(desk.of(Counter::RejectedDisk), expected.len() as u64);
}

#[test]
fn the_longest_lines_of_the_worst_bytes_are_kept_whole() {
    let mut desk = Desk::new(1 << 20, 4 << 20, WhenFull::DropOldest);
    for byte in [b'\x01', b'"', b'\xff', b'x'] {
        let line = vec![byte; LINE_LEN_MAX];
        let end = desk.offer(Reason::Oversize, "s", &line);
        assert_eq!(desk.turn(), 1);
        assert_eq!(desk.sender.durable(), end);
    }
    for entry in desk.text().lines() {
        let entry: Value = serde_json::from_str(entry).expect("JSON");
        let len = entry["line"].as_str().map_or(LINE_LEN_MAX, str::len);
        assert_eq!(len, LINE_LEN_MAX);
    }
}

#[test]
fn a_long_line_is_kept_as_it_came_wherever_its_pieces_end() {
    let mut desk = Desk::new(1 << 20, 4 << 20, WhenFull::DropOldest);
    let lines = (0..7).map(|ahead| {
        let text = format!(
            "{}{}",
            "x".repeat(ahead),
            "\u{fc}\"\u{1f600}\u{1}".repeat(1_000)
        );
        assert!(text.len() > KEPT_PIECE_LEN);
        text
    });
    let lines: Vec<_> = lines.collect();
    for line in &lines {
        desk.offer(Reason::BadJson, "s", line.as_bytes());
        assert_eq!(desk.turn(), 1);
    }
    let kept = desk.text();
    let kept = kept.lines().map(|it| {
        let entry: Value = serde_json::from_str(it).expect("JSON");
        entry["line"].as_str().expect("a line").to_owned()
    });
    assert_eq!(kept.collect::<Vec<_>>(), lines);
}

#[test]
fn at_the_limit_lines_wait_it_is_told_and_it_heals_by_itself() {
    let mut desk = Desk::new(400, 1_600, WhenFull::Hold);
    let mut ends = Vec::new();
    while desk.of(Counter::RejectedFull) == 0 {
        ends.push(desk.offer(Reason::BadJson, "s", b"x"));
        desk.turn();
    }
    let durable = desk.sender.durable();
    assert_eq!(durable, ends[ends.len() - 2]);
    assert_eq!(desk.turn(), 0);
    assert_eq!(desk.of(Counter::RejectedWaiting), 1);
    assert_eq!(desk.of(Counter::RejectedUnwritable), 0, "nothing failed");
    std::fs::remove_file(desk.home.path().join("rejected.1.ndjson")).expect("removed");
    assert_eq!(desk.turn(), 1);
    assert_eq!(desk.sender.durable(), ends[ends.len() - 1]);
    let counters = [Counter::RejectedFull, Counter::RejectedWaiting];
    assert_eq!(counters.map(|it| desk.of(it)), [0, 0]);
}

#[test]
fn dropped_lines_are_counted() {
    let mut desk = Desk::new(400, 1_600, WhenFull::DropOldest);
    for _ in 0..100 {
        desk.offer(Reason::BadJson, "s", b"x");
        desk.turn();
    }
    let mut left = 0;
    for entry in std::fs::read_dir(desk.home.path()).expect("a directory") {
        let text = std::fs::read_to_string(entry.expect("an entry").path());
        left += text.expect("text").lines().count() as u64;
    }
    assert_eq!(desk.of(Counter::RejectedDropped) + left, 100);
    assert!(desk.of(Counter::RejectedDroppedBytes) > 0 && desk.of(Counter::RejectedFull) == 0);
}

#[test]
fn a_device_that_is_full_is_tried_again_and_again() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("rejected.ndjson");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    let wake = Wake::new().expect("a descriptor");
    let (mut sender, from_ingest) = ring(REJECTS_RING, LINE_LEN_MAX, (&wake, &wake));
    let counters = Arc::new(Counters::default());
    let mut agent = RejectsAgent::open(RejectsParts {
        from_ingest,
        storage: Directory::at(home.path(), "rejected").expect("a directory"),
        limits: Limits::new(1 << 20, 1 << 30, WhenFull::Hold),
        counters: Arc::clone(&counters),
    })
    .expect("it opens");
    let rejected = Rejected {
        reason: Reason::BadJson,
        forbidden: None,
        source: b"s",
        epoch_us: 0,
        is_awaited: false,
        line: b"x",
    };
    sender.offer(&rejected).expect("there is room");
    for ns in [0, 1, KEPT_RETRY_NS, KEPT_RETRY_NS + 1] {
        let work_count = agent.do_work(at(ns));
        assert_eq!(work_count.expect("it never gives up"), 0);
    }
    assert_eq!(counters.get(Counter::RejectedUnwritable), 2, "now and then");
    assert_eq!(counters.get(Counter::RejectedFailing), 1);
    assert_eq!(sender.durable(), 0);
}
