//! Small rounds of everything, as a user starts them: real sockets, real processes, real engine.
//!
//! The figures mean nothing here; that every frame is delivered exactly once, that the reports are
//! written and that nothing stays behind is what is tested. The engine is the one beside the program,
//! which a build of the whole workspace puts there: no round waits for a build.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct Run {
    folder: tempfile::TempDir,
    output: Output,
}

/// The engine that is measured.
fn engine() -> PathBuf {
    let engine = Path::new(env!("CARGO_BIN_EXE_flipped-lb-perf")).with_file_name("flipped-lb");
    assert!(engine.is_file(), "no engine: cargo build --workspace");
    engine
}

fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipped-lb-perf"));
    command.args(line.split_whitespace());
    command
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = program(line);
    command.arg("--out").arg(folder.join("out"));
    command.arg("--data").arg(folder);
    if !line.contains("--engine") {
        command.arg("--engine").arg(engine());
    }
    command
}

/// Runs a line of words.
fn run(line: &str) -> Run {
    let folder = tempfile::tempdir().expect("a directory");
    let output = command(folder.path(), line).output();
    let output = output.expect("the program");
    Run { folder, output }
}

/// Whether a program is on PATH.
fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|it| it.join(program).is_file())
}

impl Run {
    fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&self.output.stderr) + &text(&self.output.stdout)
    }

    fn file(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("out").join(name));
        text.unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.said()))
    }

    fn section(&self) -> Value {
        let raw: Value = serde_json::from_str(&self.file("raw.json")).expect("JSON");
        raw["sections"][0].clone()
    }

    fn rounds(&self) -> Vec<Value> {
        self.section()["data"].as_array().expect("rounds").clone()
    }

    /// It ended well, every round was exact, and report, data and pictures are there.
    fn assert_good(&self, name: &str, rounds: usize) {
        assert_eq!(self.output.status.code(), Some(0), "{}", self.said());
        let played = self.rounds();
        assert_eq!(played.len(), rounds, "{}", self.said());
        for round in played {
            let messages = &round["plan"]["messages"];
            assert!(messages.as_u64() > Some(0), "{round}");
            assert_eq!(round["received"]["frames"], *messages, "{round}");
            assert_eq!(round["received"]["missing"], 0, "{round}");
            assert_eq!(round["received"]["wrong"], 0, "{round}");
            assert_eq!(round["sent"]["sent"], *messages, "{round}");
        }
        self.assert_written(name, rounds);
    }

    fn assert_written(&self, name: &str, rounds: usize) {
        let left = std::fs::read_dir(self.folder.path()).expect("it is there");
        assert_eq!(left.count(), 1, "only the report stays");
        let csv = self.file(&format!("{name}.csv"));
        let lines = csv.lines().filter(|it| !it.starts_with('#'));
        assert_eq!(lines.count(), rounds + 1, "{csv}");
        let report = self.file("report.md");
        let again = format!("Again: `cargo run --release -p flipped-lb-perf -- {name}");
        for fact in "date host machine commit profile durability load stolen".split(' ') {
            let begin = format!("| {fact} ");
            assert!(report.contains(&begin), "{fact} is missing in\n{report}");
        }
        assert!(report.contains(&again), "{report}");
        let pictures = report.split("](").filter_map(|it| it.split_once(".svg)"));
        for (picture, _) in pictures {
            let svg = self.file(&format!("{picture}.svg"));
            let is_drawn = svg.contains("<polyline") || svg.contains("<rect");
            assert!(is_drawn && svg.trim_end().ends_with("</svg>"), "{picture}");
            assert!(!svg.contains("NaN"), "{picture}");
        }
    }

    fn assert_exact(&self, name: &str, rounds: usize, messages: u64) {
        self.assert_good(name, rounds);
        for round in self.rounds() {
            assert_eq!(round["plan"]["messages"], messages, "{round}");
        }
    }

    fn pictures(&self) -> usize {
        self.file("report.md").matches("\n![").count()
    }
}

#[test]
fn flat_out_engine_and_relay_deliver_exactly() {
    let run = run("throughput --messages 6000 --rounds 2 --size 390");
    run.assert_exact("throughput", 2 * 2 * 2, 6_000);
    assert!(run.file("report.md").contains(" | sqlite "));
    assert_eq!(run.section()["aims"].as_array().map(Vec::len), Some(1));
    assert_eq!(run.pictures(), 1);
}

#[test]
fn the_shortest_and_long_frames_and_other_numbers_of_parties_are_exact_too() {
    let cases = "--store none --size 0,8192 --sources 1,16";
    let run = run(&format!("throughput --messages 3000 --rounds 1 {cases}"));
    run.assert_exact("throughput", 4 * 2, 3_000);
}

#[test]
fn on_schedule_every_measured_frame_has_a_latency_and_the_pace_is_kept() {
    let run = run("latency --rate 2000 --seconds 1 --rounds 1");
    let subjects = if has("nats-server") { 3 } else { 2 };
    run.assert_exact("latency", subjects, 4_000);
    assert_eq!(run.pictures(), 1);
    for round in run.rounds() {
        let arrivals = &round["received"]["arrivals"];
        assert_eq!(arrivals["latency"]["count"], 2_000, "{round}");
        let seconds = round["seconds"].as_f64().expect("a number");
        assert!(seconds > 1.9, "not before the last was due: {round}");
        let late = round["sent"]["late"]["p50"].as_u64().expect("a number");
        let p50 = arrivals["latency"]["p50"].as_u64();
        assert!(p50 >= Some(late), "the source's part is in it");
    }
    let log = run.folder.path().join("out/latency.hlog");
    let histogram = Command::new(engine()).arg("histogram").arg(log).output();
    let table = histogram.expect("the engine's program").stdout;
    let table = String::from_utf8_lossy(&table);
    for party in ["2000-engine", "2000-relay"] {
        assert!(table.contains(party), "{table}");
    }
}

#[test]
fn reports_are_compared_and_never_overwritten() {
    let line = "throughput --messages 3000 --rounds 2 --size 390 --store none";
    let first = run(line);
    first.assert_exact("throughput", 2 * 2, 3_000);
    let out = first.folder.path().join("out");
    let again = command(first.folder.path(), line).output();
    let again = again.expect("the program");
    assert_eq!(again.status.code(), Some(2));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("overwritten"), "{said}");

    let baseline = format!("--baseline {} --tolerance 1000000%", out.display());
    let second = run(&format!("{line} {baseline} --format csv"));
    assert_eq!(second.output.status.code(), Some(0), "{}", second.said());
    assert!(second.file("report.md").contains("## Comparison"));
    let csv = String::from_utf8_lossy(&second.output.stdout).into_owned();
    assert!(
        csv.starts_with("benchmark,case,party,figure,unit,value"),
        "{csv}"
    );

    let mut compare = program("compare --format json");
    let compare = compare.arg(&out).arg(second.folder.path().join("out"));
    let compared = compare.output().expect("the program");
    let compared: Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    let mut figures = compared["figures"].as_array().expect("figures").iter();
    assert!(figures.any(|it| it["party"] == "engine" && it["figure"] == "msg/s"));
}

#[test]
fn a_target_that_is_met_passes_and_one_that_is_not_fails() {
    let met = run("target --seconds 1 --rate 1000 --p99 20000");
    met.assert_exact("target", 1, 2_000);
    assert!(met.said().contains("PASS"), "{}", met.said());
    let round = &met.rounds()[0];
    assert_eq!(round["rows_settled"], 2_000.0, "every message has its row");
    assert!(round["lag_messages"].as_f64() >= Some(0.0), "{round}");
    let missed = run("target --seconds 1 --rate 1000 --p99 0");
    assert_eq!(missed.output.status.code(), Some(1), "{}", missed.said());
    assert!(missed.said().contains("FAIL"), "{}", missed.said());
}

#[test]
fn a_target_whose_store_takes_no_rows_fails_whatever_the_latency() {
    let store = "--store mysql://nobody@127.0.0.1:1/nothing";
    let run = run(&format!("target --seconds 1 --rate 500 --p99 20s {store}"));
    assert_eq!(run.output.status.code(), Some(1), "{}", run.said());
    assert!(run.said().contains("store mysql: FAIL"), "{}", run.said());
    assert_eq!(run.rounds()[0]["rows_settled"], 0.0);
}

#[test]
fn a_minute_flat_out_is_as_many_messages_as_fit_and_stands_beside_the_disk() {
    let run = run("sustained --messages 20000 --rounds 1 --quick");
    run.assert_exact("sustained", 1, 20_000);
    let data = &run.section()["data"];
    for figure in ["disk_bytes_a_second", "appended_bytes_a_second"] {
        assert!(data[0][figure].as_f64() > Some(0.0), "{data}");
    }
}

#[test]
fn a_slow_reader_gets_all_of_it_later_than_the_others() {
    let run = run("overload --rate 2000 --seconds 1 --rounds 1");
    run.assert_good("overload", 2 * 2);
    let p99 = |round: &Value| round["received"]["arrivals"]["latency"]["p99"].as_u64();
    let rounds = run.rounds();
    let slow = |it: &&Value| !it["plan"]["reader_rate"].is_null();
    let slow = rounds.iter().find(slow).expect("a slow reader");
    let levels = slow["received"]["arrivals"]["by_level"].as_array();
    assert_eq!(levels.map(Vec::len), Some(3));
    // Half of its second's worth, at half the pace: up to a second late.
    assert!(p99(slow) > Some(100_000_000), "{slow}");
    assert!(run.said().contains("worst wait"), "what check promises");
}

#[test]
fn good_sources_lose_nothing_beside_any_bad_one() {
    let run = run("isolation --rate 1000 --seconds 1 --rounds 1");
    run.assert_good("isolation", 8);
    let rounds = run.rounds();
    for (figure, count) in [("bad_lines", 4), ("connections_refused", 1)] {
        let beside = rounds.iter().filter(|it| it[figure].as_f64() > Some(0.0));
        assert_eq!(beside.count(), count, "{figure}: {rounds:?}");
    }
}

#[test]
fn tls_stands_beside_plain_and_is_exact_as_well() {
    let case = "--size 390 --store none";
    let flat_out = run(&format!(
        "throughput --messages 6000 --rounds 1 --tls {case}"
    ));
    flat_out.assert_exact("throughput", 3, 6_000);
    let on_schedule = run("latency --rate 1000 --seconds 1 --rounds 1 --tls");
    let subjects = if has("nats-server") { 4 } else { 3 };
    on_schedule.assert_exact("latency", subjects, 2_000);
    for run in [flat_out, on_schedule] {
        let by_tls = |it: &&Value| it["plan"]["tls"].is_string();
        assert_eq!(run.rounds().iter().filter(by_tls).count(), 1);
        let report = run.file("report.md");
        assert!(report.contains("engine, TLS, over plain: "), "{report}");
    }
}

#[test]
fn an_absent_customer_gets_its_backlog_when_it_comes() {
    let run = run("backlog --messages 20000 --seconds 1 --fill-rate 20000 --rate 500");
    run.assert_good("backlog", 5);
    assert_eq!(run.rounds()[4]["received"]["frames"], 20_000);
    assert_eq!(run.pictures(), 3);
}

#[test]
fn every_durability_delivers_exactly() {
    let run = run("durability --messages 3000 --rate 500 --seconds 1 --rounds 1");
    run.assert_good("durability", 3 + 3);
    let rounds = run.rounds();
    let durability = |it: &Value| it["settings"]["durability"].clone();
    let seen: Vec<Value> = rounds[..3].iter().map(durability).collect();
    assert_eq!(seen, ["memory", "written", "synced"]);
}

#[test]
fn a_killed_engine_has_all_of_its_journal_again() {
    let run = run("recovery --messages 20000 --rounds 1");
    run.assert_exact("recovery", 1, 20_000);
    assert!(run.rounds()[0]["ready_seconds"].as_f64() > Some(0.0));
}

#[test]
fn every_row_is_there_whoever_wrote_it_and_delivery_goes_on_beside_a_server_that_hangs() {
    let run = run("store --rows 3000 --rounds 1 --rate 500 --seconds 1");
    assert_eq!(run.output.status.code(), Some(0), "{}", run.said());
    let data = run.rounds();
    let (calm, rows): (Vec<_>, Vec<_>) = data.iter().partition(|it| it["rows"].is_null());
    // The server is private: its variable would name one that must not be stopped.
    let has_server = has("mariadbd");
    assert_eq!(rows.len(), if has_server { 6 } else { 3 }, "{}", run.said());
    assert_eq!(calm.len(), if has_server { 6 } else { 4 }, "{}", run.said());
    for round in rows {
        for figure in ["rows", "rows_delivered"] {
            assert_eq!(round[figure], 3_000.0, "{round}");
        }
    }
    for round in calm {
        let messages = &round["plan"]["messages"];
        assert_eq!(round["received"]["frames"], *messages, "{round}");
        if let Some("server down" | "server stalled") = round["party"].as_str() {
            assert!(round["lag_messages"].as_f64() > Some(100.0), "{round}");
        }
    }
    run.assert_written("store", data.len());
    assert_eq!(run.pictures(), 2);
}

#[test]
fn system_calls_are_counted() {
    let run = run("syscalls --messages 5000 --seconds 1");
    run.assert_good("syscalls", 3);
    let calls = run.rounds()[0]["calls"].as_f64();
    assert!(calls > Some(0.0), "{}", run.said());
    assert!(run.said().contains("| writev"), "{}", run.said());
}

#[test]
fn idle_engines_are_watched_by_strategy() {
    let run = run("idle --seconds 1");
    assert_eq!(run.output.status.code(), Some(0), "{}", run.said());
    run.assert_written("idle", 3);
}

#[test]
fn growth_has_a_curve_for_each_thing_that_grows() {
    for (of, values) in [
        ("sources", "1,3"),
        ("destinations", "1,20"),
        ("levels", "1,8"),
        ("frame", "0,1000"),
        ("backlog", "0,2000"),
        ("agents", "1,2"),
    ] {
        let loads = "--messages 2000 --rate 500 --seconds 1 --rounds 1";
        let run = run(&format!("growth --of {of} --values {values} {loads}"));
        run.assert_good("growth", 2 * 2);
        assert_eq!(run.pictures(), 2, "{of}");
    }
}

#[test]
fn an_engine_that_does_not_run_is_an_error_that_says_so() {
    let run = run("target --seconds 1 --engine /bin/false");
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.said().contains("the engine ended"), "{}", run.said());
}

#[test]
fn a_signal_ends_all_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut child = command(folder.path(), "target --seconds 600 --p99 1s");
    let mut child = child.stderr(Stdio::null()).spawn().expect("the program");
    let folder = folder.path();
    let entries = || std::fs::read_dir(folder).expect("it is there").count();
    let begun = Instant::now();
    while entries() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "it starts");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let signalled = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(signalled.expect("the kill command").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(128 + 15));
    assert_eq!(entries(), 0, "the engine's data is gone");
}
