//! Small rounds of everything, as a user starts them: real sockets, real processes, real engine.
//!
//! The figures mean nothing here; that every frame is delivered exactly once, that the reports are
//! written and that nothing stays behind is what is tested.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct Run {
    folder: tempfile::TempDir,
    output: Output,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipped-lb-perf"));
    command.args(arguments);
    command.arg("--out").arg(folder.join("out"));
    command.arg("--data").arg(folder);
    command
}

fn run(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("a directory");
    let output = command(folder.path(), arguments).output();
    let output = output.expect("the program");
    Run { folder, output }
}

impl Run {
    fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&self.output.stderr) + &text(&self.output.stdout)
    }

    fn rounds(&self) -> Vec<Value> {
        let raw = std::fs::read(self.folder.path().join("out/raw.json"));
        let raw = raw.unwrap_or_else(|_| panic!("no raw data:\n{}", self.said()));
        let raw: Value = serde_json::from_slice(&raw).expect("JSON");
        raw["sections"][0]["data"]
            .as_array()
            .expect("rounds")
            .clone()
    }

    fn assert_exact(&self, rounds: usize, messages: u64) {
        assert_eq!(self.output.status.code(), Some(0), "{}", self.said());
        let played = self.rounds();
        assert_eq!(played.len(), rounds, "{}", self.said());
        for round in played {
            assert_eq!(round["received"]["frames"], messages, "{round}");
            assert_eq!(round["received"]["missing"], 0, "{round}");
            assert_eq!(round["received"]["wrong"], 0, "{round}");
            assert_eq!(round["sent"]["sent"], messages, "{round}");
        }
        let left = std::fs::read_dir(self.folder.path()).expect("it is there");
        assert_eq!(left.count(), 1, "only the report stays");
    }
}

#[test]
fn flat_out_engine_and_relay_deliver_exactly() {
    let run = run(&["throughput", "--messages", "6000", "--rounds", "2"]);
    run.assert_exact(2 * 2 * 2, 6_000);
    let report = std::fs::read_to_string(run.folder.path().join("out/report.md"));
    let report = report.expect("a report");
    for fact in [
        "machine",
        "kernel",
        "commit",
        "durability",
        "command",
        " | sqlite ",
    ] {
        assert!(report.contains(fact), "{fact} is missing in\n{report}");
    }
}

#[test]
fn the_shortest_and_long_frames_and_other_numbers_of_parties_are_exact_too() {
    let sizes = ["throughput", "--messages", "3000", "--rounds", "1"];
    let sizes = [
        &sizes[..],
        &["--store", "none", "--size", "0,8192", "--sources", "1,16"],
    ];
    let run = run(&sizes.concat());
    run.assert_exact(4 * 2, 3_000);
}

#[test]
fn on_schedule_every_measured_frame_has_a_latency_and_the_pace_is_kept() {
    let run = run(&[
        "latency",
        "--rate",
        "2000",
        "--seconds",
        "1",
        "--rounds",
        "1",
    ]);
    run.assert_exact(2, 4_000);
    for round in run.rounds() {
        let latency = &round["received"]["latency"];
        assert_eq!(latency["count"], 2_000, "{round}");
        let seconds = round["seconds"].as_f64().expect("a number");
        assert!(seconds > 1.9, "not before the last was due: {round}");
        let late = round["sent"]["late"]["p50"].as_u64().expect("a number");
        assert!(
            latency["p50"].as_u64() >= Some(late),
            "the source's part is in it"
        );
    }
}

#[test]
fn a_target_that_is_met_passes_and_one_that_is_not_fails() {
    let rate = ["target", "--seconds", "1", "--rate", "1000"];
    let met = run(&[&rate[..], &["--p99", "20000"]].concat());
    met.assert_exact(1, 2_000);
    assert!(met.said().contains("PASS"), "{}", met.said());
    let missed = run(&[&rate[..], &["--p99", "0"]].concat());
    assert_eq!(missed.output.status.code(), Some(1), "{}", missed.said());
    assert!(missed.said().contains("FAIL"), "{}", missed.said());
}

#[test]
fn an_engine_that_does_not_run_is_an_error_that_says_so() {
    let run = run(&["target", "--seconds", "1", "--engine", "/bin/false"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.said().contains("the engine ended"), "{}", run.said());
}

#[test]
fn a_signal_ends_all_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut child = command(folder.path(), &["target", "--seconds", "600"]);
    let mut child = child.stderr(Stdio::null()).spawn().expect("the program");
    let entries = || {
        std::fs::read_dir(folder.path())
            .expect("it is there")
            .count()
    };
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
