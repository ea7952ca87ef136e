//! Each alert of `ops/alerts.yml` fires where its trouble is, and no other one does.
//!
//! A real engine gets into the trouble and is scraped; `promtool` evaluates the rules on what the
//! scrapes say, going on for a quarter of an hour as it went between two of them.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "alerts/group.rs"]
mod group;
#[path = "support/member.rs"]
mod member;
#[path = "support/metrics.rs"]
mod metrics;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/small_disk.rs"]
mod small_disk;
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use certificates::{Certificates, NAMES};
use metrics::{Scrape, ops, promtool};
use serde_json::Value;
use small_disk::SmallDisk;
use support::ports::free_address;
use support::{Engine, PATIENCE, Server, Subscriber, frame, with_sources};

/// Whoever is not asked to be absent: no configured source, producers, one destination.
const SETTINGS: &str = "source = []\ndestination = [{ id = \"table1\" }]\n\
     stats = { interval = \"0s\" }\n";

const INGEST: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// No store: one that is behind on a busy disk has an alert of its own.
const STORELESS: &str = "store = { url = \"none\" }\n";

fn start(rest: &str) -> Engine {
    Engine::start(&format!("{SETTINGS}{STORELESS}{rest}\n{INGEST}"))
}

/// Sends lines and leaves.
fn send(engine: &Engine, lines: &[String]) {
    let mut producer = producer(engine);
    for line in lines {
        writeln!(producer, "{line}").expect("it takes a line");
    }
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it listens")).expect("the ingest address")
}

fn frames(count: usize) -> Vec<String> {
    let all = (0..count).map(|n| frame(&format!("m{n}"), "table1", 1));
    all.collect()
}

/// Frames that no socket takes all of.
fn long_frames(count: usize) -> Vec<String> {
    let payload = "x".repeat(60_000);
    let all = frames(count).into_iter();
    all.map(|it| it.replace("{\"n\":1}", &format!("{{\"n\":\"{payload}\"}}")))
        .collect()
}

/// Waits until a scrape shows it, and scrapes once more after some seconds.
fn scraped(engine: &Engine, shows: impl Fn(&Scrape) -> bool) -> Vec<Scrape> {
    let first = scrape_until(engine, shows);
    std::thread::sleep(Duration::from_secs(3));
    let grows = |(name, value): (&String, &f64), last: &Scrape| {
        let seconds = (last.at - first.at).as_secs_f64();
        let later = last.samples.get(name);
        *value == 0.0 || later.is_some_and(|it| it - value > seconds / 2.0)
    };
    let last = scrape_until(engine, |it| waits(&first).all(|of| grows(of, it)));
    vec![first, last]
}

fn scrape_until(engine: &Engine, is_right: impl Fn(&Scrape) -> bool) -> Scrape {
    let begun = Instant::now();
    loop {
        let scrape = Scrape::of(engine);
        if is_right(&scrape) {
            return scrape;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", scrape.samples);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// For how long something has waited: told once a second, and so it is behind where the machine stood still.
fn waits(scrape: &Scrape) -> impl Iterator<Item = (&String, &f64)> {
    let names = ["oldest_wait_seconds", "store_lag_seconds"];
    let is_one = move |name: &str| names.iter().any(|it| name.contains(it));
    scrape.samples.iter().filter(move |it| is_one(it.0))
}

/// A scrape of an engine in which nothing waits.
fn at_rest(engine: &Engine) -> Scrape {
    scrape_until(engine, |it| waits(it).all(|of| *of.1 == 0.0))
}

fn has(series: &'static str, least: f64) -> impl Fn(&Scrape) -> bool {
    let series = format!("flipped_lb_{series}");
    move |scrape| scrape.samples.get(&series).is_some_and(|it| *it >= least)
}

const CERTIFICATE_END: &str = "flipped_lb_tls_certificate_end_seconds";

/// One series as `promtool` takes it: the values of all scrapes, 15 s from each other. Then times and
/// counts go on as they went between two scrapes of one life; amounts stay.
fn series(name: &str, scrapes: &[Scrape]) -> Option<String> {
    let values = scrapes.iter().map(|it| it.samples.get(name).copied());
    let mut values: Vec<f64> = values.collect::<Option<_>>()?;
    if name.starts_with(CERTIFICATE_END) {
        // The clock of `promtool` begins at 0.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs_f64();
        values.iter_mut().for_each(|it| *it -= now);
    }
    let plain = name.split('{').next()?;
    let goes_on = ["_seconds", "_total", "_sum", "_count", "_bucket"];
    let slope = match scrapes {
        [first, last] if goes_on.iter().any(|it| plain.ends_with(it)) => {
            let seconds = (last.at - first.at).as_secs_f64();
            (values[1] - values[0]) / seconds * 15.0
        }
        _ => 0.0,
    };
    let (last, before) = values.split_last()?;
    if !values.iter().all(|it| it.is_finite()) {
        return None;
    }
    let mut text = String::new();
    for value in before {
        let _ = write!(text, "{value} ");
    }
    let _ = write!(text, "{last}{slope:+.9}x80");
    let labels = "job=\"flipped-lb\",instance=\"engine\"";
    let name = match name.split_once('{') {
        Some((name, rest)) => format!("{name}{{{labels},{rest}"),
        None => format!("{name}{{{labels}}}"),
    };
    let name = name.replace('\'', "''");
    Some(format!("  - series: '{name}'\n    values: '{text}'\n"))
}

/// Whether `promtool` finds exactly these alerts firing a quarter of an hour later.
fn assert_fires(alerts: &[&str], scrapes: &[Scrape]) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let rules = ops("alerts.yml");
    let mut test = format!(
        "rule_files: ['{}']\nevaluation_interval: 15s\n",
        rules.display()
    );
    test.push_str("tests:\n- interval: 15s\n  input_series:\n");
    test.push_str("  - series: 'up{job=\"flipped-lb\",instance=\"engine\"}'\n    values: '1x80'\n");
    let last = scrapes.last().expect("one at least");
    for name in last.samples.keys() {
        test.extend(series(name, scrapes));
    }
    test.push_str("  promql_expr_test:\n  - eval_time: 14m\n");
    // The disk under the tests may be nearly full: that alert has a test of its own.
    let others = match alerts.contains(&DISK[0]) {
        true => "",
        false => ",alertname!=\"FlippedLbDiskNearlyFull\"",
    };
    let firing = format!("ALERTS{{alertstate=\"firing\"{others}}}");
    let _ = writeln!(test, "    expr: 'group by (alertname) ({firing})'");
    test.push_str("    exp_samples:\n");
    for alert in alerts {
        let _ = writeln!(
            test,
            "    - labels: '{{alertname=\"{alert}\"}}'\n      value: 1"
        );
    }
    let file = home.path().join("test.yml");
    std::fs::write(&file, test).expect("a file");
    let file = file.display().to_string();
    let (right, said) = promtool(&["test", "rules", &file], "");
    assert!(right, "{alerts:?}: {said}");
}

const NO_SOURCE: &[&str] = &["FlippedLbNoSource"];
const WAITS: &[&str] = &["FlippedLbDestinationWaits"];
const UNREAD: &[&str] = &[
    "FlippedLbDestinationWaits",
    "FlippedLbSubscriberDoesNotRead",
];
const UNACKNOWLEDGED: &[&str] = &[
    "FlippedLbDestinationWaits",
    "FlippedLbSubscriberDoesNotAcknowledge",
];
const HELD: &[&str] = &[
    "FlippedLbDestinationNearlyFull",
    "FlippedLbDestinationWaits",
    "FlippedLbSourcesHeld",
];
const REJECTS: &[&str] = &["FlippedLbRejects"];
const REJECTS_WAIT: &[&str] = &["FlippedLbRejectsWait"];
const REFUSED: &[&str] = &["FlippedLbConnectionsRefused"];
const JOURNAL: &[&str] = &[
    "FlippedLbDestinationWaits",
    "FlippedLbJournalNearlyFull",
    "FlippedLbNotReady",
];
const DISK: &[&str] = &["FlippedLbDiskNearlyFull"];
const STORE: &[&str] = &["FlippedLbStoreBehind", "FlippedLbStoreFailing"];
const ROWS: &[&str] = &["FlippedLbRowsRefused"];
const CERTIFICATE: &[&str] = &["FlippedLbCertificateEnds"];
const BODIES: &[&str] = &["FlippedLbHttpBodiesCutShort"];
const PAGES: &[&str] = &["FlippedLbHttpPagesRefused"];
const RESTARTS: &[&str] = &["FlippedLbRestarts"];

#[test]
fn each_alert_has_a_test() {
    let tested = [
        NO_SOURCE,
        WAITS,
        UNREAD,
        UNACKNOWLEDGED,
        HELD,
        REJECTS,
        REJECTS_WAIT,
        REFUSED,
        JOURNAL,
        DISK,
        STORE,
        ROWS,
        CERTIFICATE,
        BODIES,
        PAGES,
        group::NO_ACTIVE,
        group::NO_STANDBY,
        RESTARTS,
    ];
    let mut tested: BTreeSet<&str> = tested.concat().into_iter().collect();
    // A Prometheus that runs shows it: tests/monitoring.rs.
    tested.insert("FlippedLbDown");
    let rules = std::fs::read_to_string(ops("alerts.yml")).expect("the rules");
    let lines = rules.lines();
    let alerts = lines.filter_map(|it| it.trim().strip_prefix("- alert: "));
    assert_eq!(alerts.collect::<BTreeSet<_>>(), tested);
}

#[test]
fn an_engine_that_is_well_is_quiet() {
    let server = Server::listen();
    let settings = with_sources(&[server.address()], "destination = [{ id = \"table1\" }]");
    let engine = Engine::start(&settings);
    let mut subscriber = Subscriber::new(&engine, &["table1"], true);
    let mut source = server.accept();
    let mut deliver = |ids: std::ops::Range<usize>| {
        for id in ids {
            writeln!(source, "{}", frame(&format!("m{id}"), "table1", 1)).expect("it reads");
            subscriber.frames(1);
            subscriber.ack(id as u64 + 1);
        }
    };
    deliver(0..10);
    engine.wait("the rows", |it| it["stored_settled"] == 10);
    let first = at_rest(&engine);
    std::thread::sleep(Duration::from_secs(3));
    deliver(10..30);
    engine.wait("the rows", |it| it["stored_settled"] == 30);
    assert_fires(&[], &[first, at_rest(&engine)]);
}

#[test]
fn sources_that_are_all_gone() {
    let nobody = free_address();
    let engine = Engine::start(&with_sources(&[nobody], ""));
    let scrapes = scraped(&engine, has("source_connect_failures_total", 1.0));
    assert_fires(NO_SOURCE, &scrapes);
}

#[test]
fn a_destination_that_waits() {
    let engine = start("");
    send(&engine, &frames(3));
    let wait = "destination_oldest_wait_seconds{destination=\"table1\"}";
    assert_fires(WAITS, &scraped(&engine, has(wait, 0.5)));
}

#[test]
fn a_subscriber_that_does_not_read() {
    let engine = start("");
    let _unread = Subscriber::new(&engine, &["table1"], false);
    send(&engine, &long_frames(300));
    let waits = "destination_waits{destination=\"table1\",for=\"reading\"}";
    assert_fires(UNREAD, &scraped(&engine, has(waits, 1.0)));
}

#[test]
fn a_subscriber_that_does_not_acknowledge() {
    let engine = start("[delivery]\nack_timeout = \"1h\"");
    let mut subscriber = Subscriber::new(&engine, &["table1"], true);
    send(&engine, &frames(3));
    subscriber.frames(3);
    let waits = "destination_waits{destination=\"table1\",for=\"acknowledgement\"}";
    assert_fires(UNACKNOWLEDGED, &scraped(&engine, has(waits, 1.0)));
}

#[test]
fn sources_that_wait_for_a_destination() {
    let engine = start("[scheduler]\nmax_queued = 2");
    let mut producer = producer(&engine);
    for line in frames(4) {
        writeln!(producer, "{line}").expect("it takes a line");
    }
    let scrapes = scraped(&engine, |it| {
        let wait = "destination_oldest_wait_seconds{destination=\"table1\"}";
        has("sources_held", 1.0)(it) && has(wait, 0.5)(it)
    });
    assert_fires(HELD, &scrapes);
}

#[test]
fn rejected_lines() {
    let engine = start("");
    let first = Scrape::of(&engine);
    send(&engine, &["nonsense".to_owned()]);
    engine.wait("the line", |it| it["rejected"] == 1);
    assert_fires(REJECTS, &[first, Scrape::of(&engine)]);
}

#[test]
fn rejected_lines_that_cannot_be_kept() {
    let engine = Engine::start(&format!(
        "{SETTINGS}{STORELESS}{INGEST}rejected_max_total = \"1MiB\"\nrejected_max_bytes = \"256KiB\"\n"
    ));
    let wrong = "x".repeat(60_000);
    let mut producer = producer(&engine);
    let wrong = std::thread::spawn(move || {
        // It ends with the engine, which reads no further.
        while writeln!(producer, "{wrong}").is_ok() {}
    });
    engine.wait("no more is read", |it| it["rejected_held"] == 1);
    let scrapes = scraped(&engine, has("rejected_full", 1.0));
    assert_fires(REJECTS_WAIT, &scrapes);
    drop(engine);
    wrong.join().expect("it ends");
}

#[test]
fn a_listener_that_is_full() {
    let engine = start("[delivery]\nmax_connections = 1");
    let _one = Subscriber::new(&engine, &["table1"], false);
    let refused = Subscriber::new(&engine, &["table1"], false);
    assert!(refused.answer.contains("error"), "{}", refused.answer);
    assert_fires(REFUSED, &scraped(&engine, has("listeners_full", 1.0)));
}

#[test]
fn a_journal_that_is_full() {
    let engine = start("[journal]\nsegment = \"4MiB\"\nmax_bytes = \"32MiB\"");
    let producer = producer(&engine);
    let lines = long_frames(1_000);
    let sender = std::thread::spawn(move || {
        let mut producer = producer;
        // It ends with the engine, which reads no further.
        let _ = lines.iter().try_for_each(|it| writeln!(producer, "{it}"));
    });
    let scrapes = scraped(&engine, |it| {
        let wait = "destination_oldest_wait_seconds{destination=\"table1\"}";
        has("journal_limit_total", 1.0)(it) && has(wait, 0.5)(it)
    });
    assert_fires(JOURNAL, &scrapes);
    drop(engine);
    sender.join().expect("it ends");
}

#[test]
fn a_disk_that_is_nearly_full() {
    let disk = SmallDisk::new(200);
    let filler = disk.filler();
    disk.shell(&format!("head -c 185M /dev/zero > {filler}"));
    let engine = disk.start(&format!(
        "{SETTINGS}{STORELESS}journal = {{ segment = \"4MiB\" }}\n{INGEST}"
    ));
    let scrapes = scraped(&engine, |it| {
        let of = |name: &str| it.samples.get(&format!("flipped_lb_disk_{name}_bytes"));
        let (free, size) = (of("free"), of("size"));
        free.zip(size)
            .is_some_and(|(free, size)| *free < 0.1 * size)
    });
    assert_fires(DISK, &scrapes);
}

#[test]
fn a_store_that_cannot_be_reached() {
    let nobody = free_address();
    let store = format!("[store]\nurl = \"mysql://me@{nobody}/rows\"\n");
    let engine = Engine::start(&format!("{SETTINGS}{store}{INGEST}"));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    send(&engine, &frames(3));
    subscriber.frames(3);
    let scrapes = scraped(&engine, |it| {
        has("store_failing", 1.0)(it) && has("store_lag_seconds", 1.0)(it)
    });
    assert_fires(STORE, &scrapes);
}

/// Has the database refuse a message.
fn refuse(database: &Path) {
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(\"CREATE TRIGGER \
                  no BEFORE INSERT ON messages WHEN NEW.messageId = 'm1' BEGIN SELECT RAISE(ABORT, \
                  'not this one'); END\")";
    let mut python = Command::new("python3");
    let status = python.args(["-c", script]).arg(database).status();
    assert!(status.expect("python3").success());
}

#[test]
fn rows_that_the_database_refuses() {
    let first = Engine::start(&format!("{SETTINGS}{INGEST}"));
    let home = Arc::clone(&first.home);
    assert_eq!(first.stop().code, Some(0));
    refuse(&home.path().join("data/messages.db"));
    let engine = Engine::start_in(home, &format!("{SETTINGS}{INGEST}"));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let before = Scrape::of(&engine);
    send(&engine, &frames(3));
    subscriber.frames(3);
    engine.wait("the refusal", |it: &Value| it["store_unstored"] == 1);
    assert_fires(ROWS, &[before, at_rest(&engine)]);
}

#[test]
fn a_certificate_whose_time_is_over_soon() {
    let certificates = Certificates::new();
    certificates.issue("engine", NAMES, "ca", None);
    let settings = "admin = { tls = \"off\" }\n\
         tls = { cert = \"engine.pem\", key = \"engine.key\" }\n";
    let home = Arc::clone(&certificates.home);
    let engine = Engine::start_in(home, &format!("{SETTINGS}{STORELESS}{settings}{INGEST}"));
    let end = "tls_certificate_end_seconds{listener=\"delivery\"}";
    assert_fires(CERTIFICATE, &scraped(&engine, has(end, 1.0)));
}

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// Sends the beginning of a request, or all of it.
fn ask_http(engine: &Engine, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(engine.http.expect("it listens")).expect("it listens");
    client.write_all(request.as_bytes()).expect("it reads");
    client
}

#[test]
fn bodies_that_their_clients_cut_off() {
    let engine = start(HTTP);
    let first = Scrape::of(&engine);
    let head = "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\n";
    let line = frame("m0", "table1", 1);
    let client = ask_http(&engine, &format!("{head}{line}\n"));
    engine.wait("its line", |it| it["accepted"] == 1);
    drop(client);
    engine.wait("its end", |it| it["http_bodies_cut"] == 1);
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    subscriber.frames(1);
    assert_fires(BODIES, &[first, at_rest(&engine)]);
}

#[test]
fn pages_of_another_origin() {
    let engine = start(HTTP);
    let first = Scrape::of(&engine);
    let head = "POST /ack HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example\r\n\r\n";
    let _client = ask_http(&engine, head);
    engine.wait("it is refused", |it| it["http_origins_refused"] == 1);
    assert_fires(PAGES, &[first, Scrape::of(&engine)]);
}

#[test]
fn an_engine_that_starts_again_and_again() {
    let mut home = None;
    let lives = [(); 3].map(|()| {
        let settings = format!("{SETTINGS}{INGEST}");
        let engine = match home.take() {
            None => Engine::start(&settings),
            Some(home) => Engine::start_in(home, &settings),
        };
        home = Some(Arc::clone(&engine.home));
        let scrape = Scrape::of(&engine);
        engine.kill();
        scrape
    });
    assert_fires(RESTARTS, &lives);
}
