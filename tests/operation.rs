//! Running it: signals, start and restart, HTTP, threads, and what it costs to do nothing.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use flipped_lb::counters::Counter;
use flipped_lb::limits::STOP_DRAIN_STALL;
use serde_json::{Value, json};
use support::{Engine, PATIENCE, Server, Subscriber, frame, with_sources};

/// Producers dial in, and there is no database.
const PLAIN: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";

fn settings(rest: &str) -> String {
    with_sources(&[], &format!("{PLAIN}{rest}"))
}

fn producer(engine: &Engine) -> TcpStream {
    TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens")
}

fn send(producer: &mut TcpStream, id: &str, destination: &str, priority: u8) {
    let line = frame(id, destination, priority) + "\n";
    producer.write_all(line.as_bytes()).expect("it reads");
}

/// The value behind a label of the printed statistics.
fn figure<'a>(stdout: &'a str, label: &str) -> &'a str {
    let (_, last) = stdout
        .rsplit_once("=== DELIVERY STATISTICS ===")
        .expect("the statistics");
    let line = last.lines().find_map(|it| it.strip_prefix(label));
    let value = line.and_then(|it| it.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("{label} in {last}")).trim()
}

// ---- the end ----

#[test]
fn sigterm_and_sigint_print_the_statistics_and_write_the_histograms() {
    for signal in ["TERM", "INT"] {
        let mut engine = Engine::start(&settings(""));
        let mut subscriber = Subscriber::new(&engine, &["table1", "table2"], false);
        let mut producer = producer(&engine);
        send(&mut producer, "a", "table1", 3);
        send(&mut producer, "b", "table2", 2);
        send(&mut producer, "c", "table2", 3);
        send(&mut producer, "c", "table2", 3);
        writeln!(producer, "nonsense").expect("it reads");
        send(&mut producer, "d", "table3", 3);
        subscriber.frames(3);
        engine.wait("all is decided", |it| it["received"] == 6);
        engine.signal(signal);
        let ended = engine.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        for (label, value) in [
            ("Total delivered", "3"),
            ("Duplicates filtered", "1"),
            ("Priority 1 messages", "1"),
            ("Priority 2 messages", "1"),
            ("Priority 3 messages", "1"),
            ("Rejected", "1"),
            ("Queued", "1"),
            ("In flight", "0"),
        ] {
            assert_eq!(figure(&ended.stdout, label), value, "{}", ended.stdout);
        }
        for label in [
            "Average latency",
            "Latency p50",
            "Latency p99",
            "Latency max",
        ] {
            let value = figure(&ended.stdout, label);
            assert!(value.ends_with('s'), "{label}: {value}");
        }
        let histograms = engine.data_dir().join("histograms");
        assert_eq!(histogram_count(&histograms.join("total.hgrm")), 3);
        assert_eq!(
            histogram_count(&histograms.join("total-level1-table1.hgrm")),
            1
        );
        assert_eq!(
            histogram_count(&histograms.join("total-level2-table2.hgrm")),
            1
        );
        for entry in std::fs::read_dir(&histograms).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|it| it == "hgrm") {
                histogram_count(&path);
            }
        }
    }
}

/// Reads a histogram as the plotters do; returns how many values it holds.
fn histogram_count(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).expect("a histogram");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(
        header,
        ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    );
    assert_eq!(lines.next(), Some(""));
    let (mut total, mut rows) = (0, Vec::new());
    for line in lines.by_ref().take_while(|it| !it.starts_with("#[Mean")) {
        let row: Vec<f64> = line
            .split_whitespace()
            .map(|it| it.parse().expect("a number"))
            .collect();
        total = row[2] as u64;
        rows.push((row[0], row[1]));
    }
    assert!(rows.is_sorted(), "{}: {text}", file.display());
    let last = lines.next().expect("the line of the maximum");
    assert!(last.starts_with("#[Max"), "{last}");
    let count = last.rsplit_once('=').expect("a count").1;
    let count: u64 = count
        .trim_end_matches(']')
        .trim()
        .parse()
        .expect("a number");
    assert!(
        rows.is_empty() || total == count,
        "{}: {text}",
        file.display()
    );
    count
}

#[test]
fn what_is_queued_for_a_connected_subscriber_is_delivered_before_the_end() {
    const MESSAGES: usize = 5_000;
    for durability in ["memory", "written", "synced"] {
        let top = format!("durability = \"{durability}\"\n");
        let mut engine = Engine::start(&(top + &settings("[delivery]\ncredit = \"4KiB\"")));
        let mut producer = producer(&engine);
        let lines: String = (0..MESSAGES)
            .map(|it| frame(&format!("m{it}"), "table2", 3) + "\n")
            .collect();
        producer.write_all(lines.as_bytes()).expect("it reads");
        engine.wait("all are queued", |it| it["queued"] == MESSAGES);
        let mut subscriber = Subscriber::new(&engine, &["table2"], true);
        engine.signal("TERM");
        for number in 0..MESSAGES {
            let frame = subscriber.frame().expect("there is more");
            assert_eq!(frame["messageId"], format!("m{number}"));
        }
        subscriber.ack(MESSAGES as u64);
        assert_eq!(subscriber.line(), None, "then it ends");
        let ended = engine.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert_eq!(figure(&ended.stdout, "In flight"), "0");
        assert_eq!(figure(&ended.stdout, "Queued"), "0");
    }
}

/// A virtual machine is moved, say: nobody could have acknowledged anything.
#[test]
fn a_drain_in_which_the_process_stood_still_goes_on() {
    let mut engine = Engine::start(&settings("[delivery]\nack_timeout = \"10m\""));
    let mut subscriber = Subscriber::new(&engine, &["table2"], true);
    send(&mut producer(&engine), "m", "table2", 3);
    subscriber.frames(1);
    engine.signal("TERM");
    engine.wait_for_log("sources are read no more");
    engine.signal("STOP");
    std::thread::sleep(STOP_DRAIN_STALL + Duration::from_secs(1));
    engine.signal("CONT");
    // It has looked at what is left meanwhile.
    std::thread::sleep(Duration::from_millis(500));
    subscriber.ack(1);
    assert_eq!(subscriber.line(), None);
    let ended = engine.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("in time left="), "{}", ended.log);
    assert_eq!(figure(&ended.stdout, "In flight"), "0");
}

#[test]
fn nothing_more_is_read_from_sources_while_it_drains() {
    let engine = Engine::start(&settings(""));
    let mut stuck = Subscriber::new(&engine, &["table2"], true);
    let mut producer = producer(&engine);
    send(&mut producer, "before", "table2", 3);
    assert!(stuck.frame().is_some());
    engine.signal("TERM");
    engine.wait("it drains", |it| it["phase"] == "draining");
    assert_eq!(engine.get("/readyz").0, 503);
    assert_eq!(engine.get("/healthz").0, 200);
    // The phase is set before the sources are told; what they are told is logged.
    engine.wait_for_log("sources are read no more");
    send(&mut producer, "after", "table2", 3);
    stuck.ack(1);
    assert_eq!(stuck.line(), None);
    let mut engine = engine;
    let ended = engine.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(figure(&ended.stdout, "Total delivered"), "1");
}

/// An engine that drains for a subscriber which never reads.
fn stuck_engine() -> (Engine, Subscriber) {
    let engine = Engine::start(&settings(""));
    let subscriber = Subscriber::new(&engine, &["table2"], false);
    let mut producer = producer(&engine);
    let filling = "x".repeat(60_000);
    for number in 0..200 {
        let frame = frame(&format!("m{number}"), "table2", 3).replace("lunch", "lunch2");
        let frame = frame.replace("\"n\":1", &format!("\"n\":\"{filling}\""));
        writeln!(producer, "{frame}").expect("it reads");
    }
    engine.wait("more is queued than its buffers take", |it| {
        it["received"] == 200 && it["queued"].as_u64() > Some(10)
    });
    engine.signal("TERM");
    engine.wait_for_log("stopping: delivering");
    (engine, subscriber)
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for signal in ["TERM", "INT"] {
        let (mut engine, _subscriber) = stuck_engine();
        engine.signal(signal);
        let ended = engine.ended();
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        assert!(
            !ended.stdout.contains("DELIVERY STATISTICS"),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_subscriber_that_never_reads_does_not_keep_it_from_ending() {
    let (mut engine, _subscriber) = stuck_engine();
    let ended = engine.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let left: u64 = figure(&ended.stdout, "Queued").parse().expect("a number");
    assert!(left > 10);
}

#[test]
fn a_signal_right_after_the_start_is_heeded() {
    for _ in 0..5 {
        let ended = Engine::start(&settings("")).stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert_eq!(figure(&ended.stdout, "Total delivered"), "0");
    }
}

// ---- the start ----

/// Runs an engine that is not expected to start.
fn refused(directory: &Path, settings: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let file = directory.join("refused.toml");
    std::fs::write(&file, settings).expect("a settings file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipped-lb"));
    command
        .args(["run", "--config"])
        .arg(&file)
        .env("FLIPPED_LB_DATA_DIR", directory.join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .current_dir(directory);
    let Output { status, stderr, .. } = command.output().expect("the engine's binary");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|it| (it.to_string(), taken));
    let (address, _taken) = taken.expect("it is bound");
    for (variable, setting) in [
        ("FLIPPED_LB_DELIVERY_LISTEN", "[delivery] listen"),
        ("FLIPPED_LB_ADMIN_LISTEN", "[admin] listen"),
        ("FLIPPED_LB_INGEST_LISTEN", "[ingest] listen"),
    ] {
        let (code, said) = refused(home().path(), &settings(""), &[(variable, &address)]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&address) && said.contains(setting), "{said}");
    }
}

#[test]
fn a_typo_in_a_key_is_named_with_its_line_and_the_nearest_name() {
    let text = "durability = \"written\"\n[delivery]\nack_timout = \"3s\"\n";
    let (code, said) = refused(home().path(), text, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("refused.toml:3"), "{said}");
    assert!(
        said.contains("ack_timout") && said.contains("ack_timeout"),
        "{said}"
    );
}

#[test]
fn a_data_dir_that_is_a_file_is_refused() {
    let home = home();
    std::fs::write(home.path().join("data"), "not a directory").expect("a file");
    let (code, said) = refused(home.path(), &settings(""), &[]);
    assert_eq!(code, Some(1), "{said}");
    let named = home.path().join("data").display().to_string();
    assert!(
        said.contains(&named) && said.contains("data directory"),
        "{said}"
    );
}

#[test]
fn a_core_that_is_not_there_is_refused_with_those_that_are() {
    for key in ["ingest_core = 1000", "delivery_cores = [1000]"] {
        for mode in ["shared", "dedicated"] {
            let threads = format!("[threads]\nmode = \"{mode}\"\n{key}");
            let (code, said) = refused(home().path(), &settings(&threads), &[]);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("core 1000 is not available"), "{said}");
            assert!(said.contains("may use cores [0"), "{said}");
        }
    }
}

#[test]
fn a_second_engine_on_the_same_data_dir_is_refused_and_the_first_goes_on() {
    let engine = Engine::start(&settings(""));
    let (code, said) = refused(engine.home.path(), &settings(""), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another engine"), "{said}");
    assert!(said.contains(&engine.pid().to_string()), "{said}");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    send(&mut producer(&engine), "m", "table2", 3);
    assert!(subscriber.frame().is_some());
}

#[test]
fn a_restarted_engine_continues_the_sequence() {
    let home = Arc::new(home());
    let mut expected = 0;
    for life in 0..4 {
        let engine = Engine::start_in(Arc::clone(&home), &settings(""));
        let mut subscriber = Subscriber::new(&engine, &["table2"], false);
        let mut producer = producer(&engine);
        for number in 0..3 {
            send(&mut producer, &format!("life{life} m{number}"), "table2", 3);
        }
        subscriber.frames(3);
        let stats = engine.wait("the last messages", |it| {
            it["customers"]["table2"]["last"].as_array().map(Vec::len) == Some(3)
        });
        let last = stats["customers"]["table2"]["last"].as_array().cloned();
        let sequences: Vec<u64> = last
            .expect("it is a list")
            .iter()
            .map(|it| it["sequence"].as_u64().expect("a number"))
            .collect();
        assert_eq!(sequences, [expected + 1, expected + 2, expected + 3]);
        expected += 3;
        // It ends well and badly in turn.
        if life % 2 == 0 {
            assert_eq!(engine.stop().code, Some(0));
        } else {
            engine.kill();
        }
    }
}

// ---- while it runs ----

#[test]
fn http_tells_how_it_is() {
    let engine = Engine::start(&settings("[threads]\nmode = \"shared\""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    send(&mut producer(&engine), "m", "table1", 3);
    assert!(subscriber.frame().is_some());
    let stats = engine.wait("the latencies", |it| it["levels"]["1"]["delivered"] == 1);
    for counter in Counter::ALL {
        assert!(stats[counter.label()].is_u64(), "{}", counter.label());
    }
    assert_eq!(stats["phase"], "running");
    assert_eq!(stats["threading_mode"], "shared");
    assert_eq!(stats["durability"], "written");
    assert_eq!(stats["customers"]["table1"]["by_type"], json!({"lunch": 1}));
    assert_eq!(stats["latency"]["total"]["count"], 1);
    assert_eq!(engine.get("/healthz").0, 200);
    assert_eq!(engine.get("/readyz").0, 200);
    let (status, metrics) = engine.get("/metrics");
    assert_eq!(status, 200);
    let has = |line: &str| metrics.lines().any(|it| it == line);
    assert!(has("flipped_lb_accepted_total 1"), "{metrics}");
    assert!(has("flipped_lb_settled_total 1"), "{metrics}");
    assert!(has("flipped_lb_subscribers_connected 1"), "{metrics}");
    assert!(
        has("flipped_lb_delivered_by_level_total{level=\"1\"} 1"),
        "{metrics}"
    );
    let (status, list) = engine.get("/histograms");
    assert_eq!(status, 200);
    assert!(list.contains("total-level1-table1.hgrm"), "{list}");
    let (status, histogram) = engine.get("/histograms/total.hgrm");
    assert_eq!(status, 200);
    assert!(histogram.contains("#[Max"), "{histogram}");
    let (status, body) = engine.get("/nothing");
    assert_eq!(status, 404);
    assert!(
        body.contains("/stats") && body.contains("/metrics"),
        "{body}"
    );
}

fn assert_sums(stats: &Value) {
    let get = |name: &str| stats[name].as_u64().expect("a counter");
    let decided = get("accepted") + get("duplicates") + get("rejected");
    assert_eq!(get("received"), decided, "{stats}");
    let owed = get("settled") + get("queued") + get("in_flight");
    assert_eq!(get("accepted"), owed, "{stats}");
}

#[test]
fn the_counters_add_up_at_every_moment() {
    const MESSAGES: usize = 20_000;
    for mode in ["shared", "dedicated"] {
        let engine = Engine::start(&settings(&format!("[threads]\nmode = \"{mode}\"")));
        let mut plain = Subscriber::new(&engine, &["table2"], false);
        let mut acking = Subscriber::new(&engine, &["table3"], true);
        std::thread::scope(|scope| {
            let mut producer = producer(&engine);
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    let destination = format!("table{}", number % 4 + 1);
                    // Each tenth one is a duplicate, each hundredth is wrong.
                    let id = format!("m{}", number - usize::from(number % 10 == 9));
                    let priority = if number % 100 == 50 { 9 } else { 3 };
                    send(&mut producer, &id, &destination, priority);
                }
            });
            scope.spawn(|| while plain.line().is_some() {});
            scope.spawn(|| {
                for count in 1.. {
                    if acking.frame().is_none() {
                        return;
                    }
                    if count % 10 == 0 {
                        acking.ack(count);
                    }
                }
            });
            let stats = engine.wait("all is decided", |it| {
                assert_sums(it);
                it["received"] == MESSAGES
            });
            assert_eq!(stats["rejected"], MESSAGES / 100);
            assert_eq!(stats["duplicates"], MESSAGES / 10);
            engine.signal("TERM");
        });
        let mut engine = engine;
        let ended = engine.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
}

#[test]
fn each_threading_mode_and_idle_strategy_delivers() {
    for mode in ["shared", "dedicated"] {
        for idle in ["backoff", "yield", "spin"] {
            let threads = format!("[threads]\nmode = \"{mode}\"\nidle = \"{idle}\"");
            let engine = Engine::start(&settings(&threads));
            assert_eq!(engine.stats()["threading_mode"], mode);
            let mut subscriber = Subscriber::new(&engine, &["table2"], true);
            let mut producer = producer(&engine);
            for number in 0..20 {
                send(&mut producer, &format!("m{number}"), "table2", 3);
                let frame = subscriber.frame().expect("it comes");
                assert_eq!(frame["messageId"], format!("m{number}"));
                subscriber.ack(number + 1);
            }
            engine.wait("all is settled", |it| it["settled"] == 20);
            assert_eq!(engine.stop().code, Some(0), "{mode}, {idle}");
        }
    }
}

// ---- doing nothing ----

/// The engine's threads with their states, by the letters of `/proc`.
fn threads(engine: &Engine) -> Vec<(String, char)> {
    let folder = format!("/proc/{}/task", engine.pid());
    let tasks = std::fs::read_dir(folder).expect("it runs");
    let thread = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        // The name, in brackets, may hold anything.
        let (name, rest) = stat.rsplit_once(") ")?;
        let (_, name) = name.split_once('(')?;
        Some((name.to_owned(), rest.chars().next()?))
    };
    tasks.filter_map(thread).collect()
}

fn thread_states(engine: &Engine) -> BTreeSet<char> {
    threads(engine).into_iter().map(|it| it.1).collect()
}

#[test]
fn with_spin_threads_beside_the_path_sleep() {
    for mode in ["shared", "dedicated"] {
        let threads_of = format!("[threads]\nmode = \"{mode}\"\nidle = \"spin\"");
        let engine = Engine::start(&settings(&threads_of));
        let mut awake = BTreeSet::from(["rejects", "replay", "retention"]);
        let begun = Instant::now();
        while !awake.is_empty() {
            for (name, _) in threads(&engine).iter().filter(|it| it.1 == 'S') {
                awake.remove(name.as_str());
            }
            assert!(begun.elapsed() < PATIENCE, "{mode}: {awake:?} never slept");
            std::thread::sleep(Duration::from_millis(5));
        }
        engine.stop();
    }
}

#[test]
fn the_last_message_never_waits_for_the_next_one() {
    const ROUNDS: u64 = 500;
    for mode in ["shared", "dedicated"] {
        let engine = Engine::start(&settings(&format!("[threads]\nmode = \"{mode}\"")));
        let mut subscriber = Subscriber::new(&engine, &["table2"], true);
        let mut producer = producer(&engine);
        let mut rng = fastrand::Rng::with_seed(11);
        for number in 1..=ROUNDS {
            let begun = Instant::now();
            // All its threads sleep, or it has had the time.
            while thread_states(&engine) != BTreeSet::from(['S'])
                && begun.elapsed() < Duration::from_millis(20)
            {
                std::thread::yield_now();
            }
            // Then at any moment of a park.
            std::thread::sleep(Duration::from_micros(rng.u64(0..2_000)));
            send(&mut producer, &format!("m{number}"), "table2", 3);
            let frame = subscriber.frame().expect("it comes");
            assert_eq!(frame["messageId"], format!("m{number}"));
            subscriber.ack(number);
        }
        engine.wait("the last one is settled", |it| it["settled"] == ROUNDS);
    }
}

/// As many threads as a message passes, each of which sleeps until the one before it wakes it.
fn sleepers() -> (Sender<()>, Receiver<()>) {
    let (first, mut last) = channel();
    for _ in 0..3 {
        let (next, end) = channel();
        let before = std::mem::replace(&mut last, end);
        std::thread::spawn(move || before.iter().try_for_each(|it| next.send(it)));
    }
    (first, last)
}

#[test]
fn a_parked_thread_is_woken_and_does_not_sleep_its_time_out() {
    const ROUNDS: u64 = 24;
    /// Half of the longest park.
    const NAP: Duration = Duration::from_millis(32);
    let engine = Engine::start(&settings("[threads]\nmode = \"dedicated\""));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let mut producer = producer(&engine);
    let (wake, woken) = sleepers();
    let (mut prompt, mut rounds, mut number, started) = (0, 0, 0, Instant::now());
    while rounds < ROUNDS {
        // Time enough for all threads to park as long as they ever do.
        std::thread::sleep(Duration::from_millis(150));
        let begun = Instant::now();
        wake.send(()).expect("they sleep");
        woken.recv().expect("they are woken");
        let is_busy = begun.elapsed() >= NAP;
        let begun = Instant::now();
        number += 1;
        send(&mut producer, &format!("m{number}"), "table2", 3);
        assert!(subscriber.frame().is_some());
        // A machine that takes as long to wake others tells nothing of this engine.
        if !is_busy {
            rounds += 1;
            prompt += u64::from(begun.elapsed() < NAP);
        }
        assert!(started.elapsed() < PATIENCE, "the machine wakes nobody");
    }
    // A message passes three threads that are parked. If none of them were woken, one round of fifty
    // would be this quick.
    assert!(prompt >= ROUNDS / 4, "{prompt} of {ROUNDS} rounds");
}

/// User and system time of the engine, in ticks of 10 ms.
fn cpu_ticks(engine: &Engine) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.pid()));
    let stat = stat.expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split(' ').collect())
        .expect("a name in brackets");
    let field = |at: usize| fields[at].parse::<u64>().expect("a number");
    field(11) + field(12)
}

#[test]
fn an_idle_engine_takes_next_to_no_cpu() {
    const SECONDS: u64 = 4;
    let servers: Vec<Server> = (0..4).map(|_| Server::listen()).collect();
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let engines: Vec<Engine> = ["shared", "dedicated"]
        .map(|mode| {
            let threads = format!("{PLAIN}[threads]\nmode = \"{mode}\"");
            Engine::start(&with_sources(&addresses, &threads))
        })
        .into();
    // Both engines dial the same servers.
    let _sources: Vec<TcpStream> = servers
        .iter()
        .flat_map(|it| [it.accept(), it.accept()])
        .collect();
    let mut subscribers = Vec::new();
    for engine in &engines {
        for destination in ["table1", "table2", "table3", "table4"] {
            subscribers.push(Subscriber::new(engine, &[destination], true));
        }
        engine.wait("all are there", |it| it["sources_connected"] == 4);
    }
    let before: Vec<u64> = engines.iter().map(cpu_ticks).collect();
    std::thread::sleep(Duration::from_secs(SECONDS));
    for (engine, before) in engines.iter().zip(before) {
        // A tick is a hundredth of a second.
        let percent = (cpu_ticks(engine) - before) as f64 / SECONDS as f64;
        let mode = engine.stats()["threading_mode"].clone();
        println!("idle, {mode}: {percent} % of a core");
        assert!(percent < 3.0, "{mode}: {percent} % of a core");
    }
}
