//! Frames flat out, with trouble among them: every promise that counts is checked all the way.
//!
//! `FLIPPED_LB_TEST_FLOOD=1000000 cargo test --release --test flood a_flood` is a longer run.

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flipped_lb::limits::STORE_GATHER_LEN_MAX;
use message_server_simulator::{
    Endpoint, Handle, Options, Pace, Reason, ServerOptions, Simulation, Totals, listening,
};
use serde_json::Value;

use support::{Engine, PATIENCE, Subscriber, lines_of, with_sources};

const TABLES: [&str; 4] = ["table1", "table2", "table3", "table4"];

// ---- what subscribers see of a simulation ----

/// What one subscriber was sent.
#[derive(Default)]
struct Gathered {
    ids: Vec<String>,
    /// By server and level: the running number of the last frame.
    last: HashMap<(String, u8), u64>,
}

impl Gathered {
    /// Takes a frame, which must be a later one of its source and level.
    fn take(&mut self, destination: &str, frame: &str) {
        let id = text(frame, "\"messageId\": \"");
        assert_eq!(text(frame, "\"destinationId\": \""), destination);
        let priority = text(frame, "\"priority\": ").as_bytes()[0] - b'0';
        let level = if destination == "table1" { 1 } else { priority };
        let mut parts = id.split('-');
        let server = parts.next().expect("a server").to_owned();
        let number: u64 = parts
            .next()
            .and_then(|it| it.parse().ok())
            .expect("a number");
        let last = self.last.insert((server, level), number);
        assert!(
            last < Some(number),
            "{id} after {last:?} at level {level} of {destination}"
        );
        self.ids.push(id.to_owned());
    }
}

/// What stands behind `key` in a frame of the simulator, up to a quote or a comma.
fn text<'a>(frame: &'a str, key: &str) -> &'a str {
    let rest = frame.split_once(key).expect("the field").1;
    &rest[..rest.find(['"', ',']).expect("its end")]
}

/// A subscriber for each table, on a thread of its own, until the engine ends.
fn gather(engine: &Engine) -> Vec<JoinHandle<Gathered>> {
    let one = |table: &'static str| {
        let mut subscriber = Subscriber::new(engine, &[table], false);
        thread::spawn(move || {
            let (mut gathered, mut line) = (Gathered::default(), String::new());
            while subscriber.stream.read_line(&mut line).expect("text") > 0 {
                gathered.take(table, &line);
                line.clear();
            }
            gathered
        })
    };
    TABLES.map(one).into()
}

/// All ids that came, each of them once.
fn distinct(threads: Vec<JoinHandle<Gathered>>) -> HashSet<String> {
    let mut ids = HashSet::new();
    for thread in threads {
        for id in thread.join().expect("every frame was right").ids {
            assert!(ids.insert(id.clone()), "{id} came twice");
        }
    }
    ids
}

// ---- what must hold at every moment ----

fn number(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().expect("a counter")
}

/// Promise 1.
fn assert_it_adds_up(stats: &Value) {
    let get = |name| number(stats, name);
    assert_eq!(
        get("received"),
        get("accepted") + get("duplicates") + get("rejected"),
        "{stats}"
    );
    assert_eq!(
        get("accepted"),
        get("settled") + get("queued") + get("in_flight"),
        "{stats}"
    );
    let reasons = stats["rejected_by_reason"].as_object().expect("an object");
    let sum: u64 = reasons.values().filter_map(Value::as_u64).sum();
    assert_eq!(get("rejected"), sum, "{stats}");
}

/// Watches until the condition holds; gives up when nothing moves any more.
fn watch(engine: &Engine, mut is_done: impl FnMut(&Value) -> bool) -> Value {
    let mut moved = (0, Instant::now());
    loop {
        let stats = engine.stats();
        assert_it_adds_up(&stats);
        if is_done(&stats) {
            return stats;
        }
        let now = number(&stats, "bytes_in") + number(&stats, "bytes_out");
        if now != moved.0 {
            moved = (now, Instant::now());
        }
        assert!(
            moved.1.elapsed() < PATIENCE,
            "it stands still: {stats}\n{}",
            engine.log()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// Entries of the rejected log, rotated files included, by reason; and the ids in their lines.
fn rejected(engine: &Engine) -> (BTreeMap<String, u64>, HashSet<String>) {
    let (mut reasons, mut ids) = (BTreeMap::new(), HashSet::new());
    for entry in std::fs::read_dir(engine.data_dir()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.starts_with("rejected.") {
            continue;
        }
        for line in lines_of(&path) {
            let entry: Value = serde_json::from_str(&line).expect("JSON");
            let reason = entry["reason"].as_str().expect("text").to_owned();
            *reasons.entry(reason).or_default() += 1;
            let kept = entry["line"].as_str().unwrap_or_default();
            let kept: Value = serde_json::from_str(kept).unwrap_or_default();
            ids.extend(kept["messageId"].as_str().map(str::to_owned));
        }
    }
    (reasons, ids)
}

// ---- flat out ----

/// A dedup window that is full before the middle of the flood: from then on memory stays as it is.
const WINDOW: &str = "[dedup]\nwindow_messages = 50_000\n";

/// The flood's size: a setting, for a million takes a debug build too long.
fn flood_count() -> u64 {
    let set = std::env::var("FLIPPED_LB_TEST_FLOOD").ok();
    set.map_or(200_000, |it| it.parse().expect("a number"))
}

fn begin(options: Options) -> Handle {
    Simulation::new(options)
        .and_then(Simulation::start)
        .expect("it starts")
}

/// Resident memory, in KiB, by how much was settled.
struct Memory(Vec<(u64, u64)>);

impl Memory {
    /// The most that was seen in a part of the run, in percent of what was settled.
    fn most(&self, percent: std::ops::Range<u64>, count: u64) -> u64 {
        let part = count * percent.start / 100..count * percent.end / 100;
        let within = self.0.iter().filter(|(settled, _)| part.contains(settled));
        within.map(|(_, kib)| *kib).max().unwrap_or(0)
    }
}

#[test]
fn a_flood_with_trouble_in_it_is_delivered_once_in_order_and_adds_up_all_the_way() {
    let count = flood_count();
    let simulation = begin(Options {
        servers: listening(4, [127, 0, 0, 1].into(), 0),
        pace: Pace::FlatOut,
        count: Some(count / 4),
        duplicates_percent: 1.0,
        malformed_percent: 0.2,
        ..Options::default()
    });
    let begun = Instant::now();
    let engine = Engine::start(&with_sources(&simulation.addresses(), WINDOW));
    let subscribers = gather(&engine);
    let mut memory = Memory(Vec::new());
    let (mut snapshots, mut backlog) = (0, 0);
    let stats = watch(&engine, |stats| {
        let is_finished = simulation.is_finished();
        snapshots += 1;
        backlog = backlog.max(number(stats, "queued") + number(stats, "in_flight"));
        memory
            .0
            .push((number(stats, "settled"), engine.resident_kib()));
        is_finished
            && number(stats, "received") == simulation.sent().lines()
            && number(stats, "settled") == number(stats, "accepted")
    });
    let seconds = begun.elapsed().as_secs_f64();
    let sent = simulation.stop();
    report(&sent, seconds, snapshots, backlog, &memory);
    assert_eq!(sent.valid, count / 4 * 4);
    assert_eq!(number(&stats, "accepted"), sent.valid);
    assert_eq!(number(&stats, "duplicates"), sent.duplicates);
    assert!(sent.duplicates > count / 200, "there were some");
    assert_kept(&engine, &stats, &sent, subscribers);
    let (middle, end) = (memory.most(30..70, count), memory.most(80..101, count));
    // The store may be behind; and a KiB for each message that waited.
    let gathered = STORE_GATHER_LEN_MAX as u64 / 1024;
    let allowed = middle + 12 * 1024 + gathered + backlog;
    assert!(end < allowed, "from {middle} to {end} KiB");
}

/// Every valid frame came, and every other line is in the rejected log for the right reason.
fn assert_kept(
    engine: &Engine,
    stats: &Value,
    sent: &Totals,
    subscribers: Vec<JoinHandle<Gathered>>,
) {
    let (kept, kept_ids) = rejected(engine);
    for reason in Reason::ALL {
        let expected = sent.malformed(reason);
        assert!(expected > 0, "{} occurs", reason.name());
        assert_eq!(
            kept.get(reason.name()),
            Some(&expected),
            "{}",
            reason.name()
        );
        assert_eq!(stats["rejected_by_reason"][reason.name()], expected);
    }
    engine.signal("TERM");
    let delivered = distinct(subscribers);
    assert_eq!(delivered.len() as u64, sent.valid);
    assert!(delivered.is_disjoint(&kept_ids));
}

fn report(sent: &Totals, seconds: f64, snapshots: u64, backlog: u64, memory: &Memory) {
    let lines = sent.lines();
    println!(
        "{lines} lines ({} valid, {} duplicates, {} malformed) in {seconds:.2} s: {:.0} a second; \
         {snapshots} snapshots, at most {backlog} waiting; memory at 10, 50, 100 %: {}, {}, {} KiB",
        sent.valid,
        sent.duplicates,
        sent.malformed_total(),
        lines as f64 / seconds,
        memory.most(0..11, sent.valid),
        memory.most(30..70, sent.valid),
        memory.most(80..101, sent.valid),
    );
}

#[test]
fn sources_that_are_cut_off_and_resend_what_was_not_acknowledged_lose_and_repeat_nothing() {
    let troubled = |servers| Options {
        servers,
        pace: Pace::FlatOut,
        count: Some(5_000),
        duplicates_percent: 2.0,
        malformed_percent: 2.0,
        disconnect_every: Some(700),
        ack: true,
        ..Options::default()
    };
    let listening = begin(troubled(listening(2, [127, 0, 0, 1].into(), 0)));
    let source = |it: &SocketAddr| format!("{{ address = \"{it}\", ack = true }}");
    let sources: Vec<String> = listening.addresses().iter().map(source).collect();
    let engine = Engine::start(&format!(
        "source = [{}]\n[ingest]\nlisten = \"127.0.0.1:0\"\n",
        sources.join(", ")
    ));
    let subscribers = gather(&engine);
    let endpoint = Endpoint::Dial(engine.ingest.expect("it listens"));
    let dialling = |name: &str| ServerOptions {
        name: name.to_owned(),
        endpoint,
    };
    let dialling = begin(troubled(vec![dialling("dialling1"), dialling("dialling2")]));
    let stats = watch(&engine, |stats| {
        listening.is_finished()
            && dialling.is_finished()
            // The statistics may be older than the end of the sources.
            && number(stats, "accepted") >= 20_000
            && number(stats, "settled") == number(stats, "accepted")
    });
    let mut sent = listening.stop();
    sent += dialling.stop();
    assert!(sent.cuts > 20, "{sent:?}");
    assert_eq!(sent.wrong_acknowledgements, 0);
    assert_eq!(
        sent.acknowledged,
        sent.valid + sent.duplicates + sent.malformed_total()
    );
    assert_eq!((number(&stats, "accepted"), sent.valid), (20_000, 20_000));
    let seen_again = sent.resent - sent.resent_malformed + sent.duplicates;
    assert!(
        (sent.duplicates..=seen_again).contains(&number(&stats, "duplicates")),
        "{stats}"
    );
    // An oversize line that is cut off behind its `max_line` bytes is rejected each time.
    let rejected_most = sent.malformed_total() + sent.resent_malformed + sent.cuts;
    assert!((sent.malformed_total()..=rejected_most).contains(&number(&stats, "rejected")));
    engine.signal("TERM");
    assert_eq!(distinct(subscribers).len(), 20_000);
}

// ---- wrong lines flat out ----

#[test]
fn a_flood_of_wrong_lines_gets_its_share_and_others_all_they_need() {
    const COUNT: usize = 2_000;
    let engine = Engine::start(
        "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\nrejected_max_total = \"4MiB\"\n\
         rejected_when_full = \"drop_oldest\"\n",
    );
    let ingest = engine.ingest.expect("it listens");
    let stop = Arc::new(AtomicBool::new(false));
    let floods = [
        "x\n",
        "\n",
        "{\"a\":1,\"a\":2}\n",
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
    ];
    let floods = floods.map(|line| {
        let (stop, bytes) = (Arc::clone(&stop), line.repeat(4096));
        let mut source = TcpStream::connect(ingest).expect("it listens");
        source
            .set_write_timeout(Some(Duration::from_millis(100)))
            .expect("an option");
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // Whoever is not read waits.
                let _ = source.write(bytes.as_bytes());
            }
        })
    });
    engine.wait("they are put off", |it| {
        it["rejected_paced"].as_u64() > Some(0)
    });
    let mut source = TcpStream::connect(ingest).expect("it listens");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let before = engine.stats();
    for number in 0..COUNT {
        let line = support::frame(&number.to_string(), "table2", 1);
        writeln!(source, "{line}").expect("it takes a line");
        let frame = subscriber.frame().expect("a frame");
        assert_eq!(frame["messageId"], number.to_string());
    }
    let after = engine.stats();
    stop.store(true, Ordering::Relaxed);
    floods
        .into_iter()
        .for_each(|it| it.join().expect("it writes"));
    assert_it_adds_up(&after);
    assert_eq!(number(&after, "accepted"), COUNT as u64);
    assert!(
        number(&after, "rejected") > number(&before, "rejected"),
        "it goes on"
    );
    assert!(number(&after, "rejected_disk") <= 4 * 1024 * 1024);
    // They are paced, and nothing is short; whoever waits for the writer's turn goes on with it.
    let short = ["rejected_full", "rejected_failing"].map(|it| number(&after, it));
    assert_eq!(short, [0, 0]);
}
