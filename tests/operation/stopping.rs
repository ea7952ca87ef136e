//! The end of an engine.

use super::*;

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
