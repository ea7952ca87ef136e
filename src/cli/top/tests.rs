//! The app and its frames: answers and keys in, cells out.

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{App, Key, Next};
use super::snapshot::{Page, Snapshot};
use super::view;

const STATS: &str = r#"{"version":"1.2.3","durability":"written","threading_mode":"shared",
    "phase":"running","uptime_seconds":11520,"received":20,"accepted":15,"duplicates":2,"rejected":3,
    "settled":10,"queued":4000,"in_flight":1,"redelivered":7,"sources_connected":4,
    "subscribers_connected":1,"journal_segments":3,"journal_disk":201326592,
    "store_lag_messages":1203,"store_lag_seconds":2}"#;

const WELL: &str = r#"{"ready":true,"reason":"running","degraded":[]}"#;

const TROUBLE: &str = r#"{"ready":true,"reason":"running","degraded":
    ["4 sources wait for table2 (4000 of max_queued 4000), since 2023-11-14T22:13:21Z"]}"#;

const PAGE: &str = r#"{"total":3,"next":null,"destinations":[
    {"id":"table1","queued":0,"queued_by_level":{"1":0,"2":0,"3":0},"in_flight":1,
     "oldest_wait_seconds":null,"waits_for":null,"waits_since":null,
     "subscriber":{"since":"2023-11-14T22:00:00Z","ack":true},"standbys":1,"redelivered":7,
     "accepted_per_second":800.0,"settled_per_second":790.0},
    {"id":"table2","queued":4000,"queued_by_level":{"1":0,"2":3990,"3":10},"in_flight":0,
     "oldest_wait_seconds":75.5,"waits_for":"subscriber","waits_since":"2023-11-14T22:13:21Z",
     "subscriber":null,"standbys":0,"redelivered":0,
     "accepted_per_second":20.0,"settled_per_second":0.0},
    {"id":"bar\u001b[2J\u202egpj","queued":3,"queued_by_level":{"1":3},"in_flight":12,
     "oldest_wait_seconds":120000.0,"waits_for":"acknowledgement",
     "waits_since":"2023-11-13T10:00:00Z","subscriber":{"ack":true},"standbys":0,
     "redelivered":0,"accepted_per_second":0.0,"settled_per_second":0.0}]}"#;

fn now() -> Timestamp {
    "2023-11-14T22:14:36Z".parse().expect("a time")
}

fn snapshot(readiness: &str) -> Snapshot {
    let page: Page = serde_json::from_str(PAGE).expect("JSON");
    Snapshot::of(STATS, readiness, page.destinations).expect("JSON")
}

fn app() -> App {
    let mut app = App::new("127.0.0.1:9100");
    app.answered(snapshot(TROUBLE));
    app
}

/// The frame on a terminal of that size, line by line.
fn frame(app: &App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let drawn = terminal.draw(|frame| {
        view::draw(app, now(), frame.area(), frame.buffer_mut());
    });
    drawn.expect("it is drawn");
    let text = view::text(terminal.backend().buffer());
    text.lines().map(str::to_owned).collect()
}

fn names(app: &App) -> Vec<&str> {
    app.rows().iter().map(|it| it.id.as_str()).collect()
}

#[test]
fn a_frame_of_80_by_24_says_who_waits_for_what_and_since_when() {
    let lines = frame(&app(), 80, 24);
    let expected = [
        "flipped-lb 1.2.3 at 127.0.0.1:9100  running  up 3h12m  written, shared",
        "in 820/s  out 790/s  queued 4000  in flight 1  oldest wait 1d09h (bar\\u{1b}[2J\\u",
        "received 20  accepted 15  duplicates 2  rejected 3  redelivered 7",
        "4 sources  1 subscriber  journal 3 files, 192.0 MiB  store 1203 behind, 2s",
        "! 4 sources wait for table2 (4000 of max_queued 4000), since",
        "2023-11-14T22:13:21Z",
    ];
    assert_eq!(lines[..6], expected);
    let cells =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let table2 = [
        "table2",
        "0/3990/10",
        "0",
        "1m15s",
        "subscriber",
        "22:13",
        "-",
        "20",
        "0",
    ];
    assert_eq!(cells(&lines[7]), table2);
    assert!(lines[8].contains("acknowl.   11-13 ack"), "{}", lines[8]);
    assert!(lines[9].contains("ack+1 800   790"), "{}", lines[9]);
    assert!(
        lines[23].starts_with("q quit  s sort: queued"),
        "{}",
        lines[23]
    );
    assert!(lines.iter().all(|it| it.chars().count() <= 80));
}

#[test]
fn a_hostile_name_is_escaped_wherever_it_is_shown() {
    for text in [
        view::plain(&app(), now()),
        frame(&app(), 200, 24).join("\n"),
    ] {
        assert!(text.contains("bar\\u{1b}[2J\\u{202e}gpj"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}

#[test]
fn wide_frames_have_all_columns_and_small_ones_do_not_fail() {
    let lines = frame(&app(), 130, 20);
    assert!(lines.iter().any(|it| it.contains("acknowledgement")));
    assert!(lines.iter().any(|it| it.ends_with("again")), "{lines:?}");
    for (width, height) in [(1, 1), (20, 3), (79, 8), (0, 0)] {
        let _ = frame(&app(), width, height);
    }
}

#[test]
fn an_engine_that_is_gone_is_told_until_it_is_back() {
    let mut app = App::new("127.0.0.1:9100");
    app.failed("refused".to_owned(), now());
    let lines = frame(&app, 80, 24);
    assert_eq!(lines[0], "flipped-lb at 127.0.0.1:9100");
    assert!(
        lines[1].starts_with("! no answer since 22:14:36: refused"),
        "{}",
        lines[1]
    );
    app.answered(snapshot(WELL));
    assert!(frame(&app, 80, 24).iter().all(|it| !it.contains('!')));
    app.failed("timeout".to_owned(), now());
    app.failed("refused".to_owned(), Timestamp::MAX);
    let text = frame(&app, 80, 24).join("\n");
    assert!(text.contains("no answer since 22:14:36: refused"), "{text}");
    assert!(text.contains("table2"), "what it said last stays: {text}");
}

#[test]
fn customers_are_sorted_by_what_the_user_chooses() {
    let mut app = app();
    let bar = "bar\\u{1b}[2J\\u{202e}gpj";
    for expected in [
        ["table2", bar, "table1"],
        [bar, "table2", "table1"],
        ["table1", "table2", bar],
        [bar, "table1", "table2"],
        ["table2", bar, "table1"],
    ] {
        assert_eq!(names(&app), expected, "{:?}", app.sort);
        assert_eq!(app.key(Key::Char('s')), Next::Go);
    }
}

#[test]
fn a_search_takes_all_letters_and_esc_ends_it() {
    let mut app = app();
    for key in "/table2qs".chars() {
        assert_eq!(app.key(Key::Char(key)), Next::Go);
    }
    assert_eq!((app.search.as_str(), names(&app).len()), ("table2qs", 0));
    for _ in 0..2 {
        let _ = app.key(Key::Backspace);
    }
    assert_eq!(names(&app), ["table2"]);
    let _ = app.key(Key::Enter);
    assert!(frame(&app, 80, 24)[23].contains("only table2"));
    let _ = app.key(Key::Esc);
    assert_eq!(names(&app).len(), 3);
    assert_eq!(app.key(Key::Char('q')), Next::Quit);
}

#[test]
fn the_mark_stays_within_the_list() {
    let mut app = app();
    app.page = 2;
    for (key, selected) in [
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::PageDown, 2),
        (Key::Down, 2),
        (Key::PageUp, 0),
        (Key::End, 2),
        (Key::Home, 0),
    ] {
        let _ = app.key(key);
        assert_eq!(app.selected, selected, "{key:?}");
    }
    let _ = app.key(Key::End);
    app.answered(Snapshot::default());
    assert_eq!(app.selected, 0, "they have gone");
}

#[test]
fn a_long_list_follows_the_mark() {
    let mut snapshot = snapshot(WELL);
    let one = snapshot.customers[0].clone();
    snapshot.customers = (0..100)
        .map(|it| {
            let mut customer = one.clone();
            customer.id = format!("customer{it:03}");
            customer
        })
        .collect();
    let mut app = app();
    app.answered(snapshot);
    let _ = app.key(Key::End);
    let lines = frame(&app, 80, 24);
    assert!(lines[22].starts_with("customer099"), "{}", lines[22]);
}

#[test]
fn figures_keep_within_their_columns() {
    let counts = [
        0,
        9_999,
        10_000,
        999_999,
        1_000_000,
        12_345_678,
        123_456_789,
    ]
    .map(view::count);
    assert_eq!(
        counts,
        ["0", "9999", "10k", "999k", "1.0M", "12.3M", "123M"]
    );
    let times = [0.0, 2.54, 59.0, 61.0, 3_660.0, 90_000.0].map(view::lasting);
    assert_eq!(times, ["0s", "2.5s", "59s", "1m01s", "1h01m", "1d01h"]);
}

#[test]
fn an_engine_that_is_not_ready_says_why() {
    let snapshot = snapshot(r#"{"ready":false,"reason":"draining"}"#);
    assert_eq!(snapshot.troubles, ["not ready: draining"]);
}
