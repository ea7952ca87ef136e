//! `flipped-lb journal`: beside a running engine, on dead directories, and on damaged ones.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;

use support::{ENGINE, Engine, PATIENCE, Subscriber, frame};

/// Small segments, and producers that dial in.
const SETTINGS: &str = "source = []\nstore = { url = \"none\" }\njournal = { segment = \"4MiB\" }\n\
     [ingest]\nlisten = \"127.0.0.1:0\"\n";
const SEGMENT: u64 = 4 * 1024 * 1024;

type Home = Arc<tempfile::TempDir>;

fn home() -> Home {
    Arc::new(tempfile::tempdir().expect("a temporary directory"))
}

fn journal(arguments: &[&str], directory: &Path) -> Output {
    Command::new(ENGINE)
        .arg("journal")
        .args(arguments)
        .arg(directory)
        .stdin(Stdio::null())
        .output()
        .expect("the engine's binary")
}

/// What a command says that has nothing to complain of.
fn fine(arguments: &[&str], directory: &Path) -> String {
    let output = journal(arguments, directory);
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    said
}

/// What a command says on standard output, and complains of.
fn complaint(arguments: &[&str], directory: &Path) -> (String, String) {
    let output = journal(arguments, directory);
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{complained}");
    (said, complained)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(parse).collect()
}

/// Sends lines and waits until all of them are recorded.
fn publish(engine: &Engine, lines: &[String]) {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("a producer");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut to = stream.try_clone().expect("a descriptor");
    let all = format!("{{\"producer\":{{\"ack\":true}}}}\n{}\n", lines.join("\n"));
    let sending = std::thread::spawn(move || to.write_all(all.as_bytes()));
    let mut answers = BufReader::new(&mut stream).lines();
    loop {
        let answer = answers.next().expect("an answer").expect("in time");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        if answer["ack"] == lines.len() {
            break;
        }
    }
    sending.join().expect("no panic").expect("it takes all");
}

fn frames(name: &str, destination: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| frame(&format!("{name}-{at}"), destination, 2))
        .collect()
}

fn ids(values: &[Value]) -> Vec<String> {
    let id = |it: &Value| it["messageId"].as_str().expect("an id").to_owned();
    values.iter().map(id).collect()
}

fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{name}-{at}")).collect()
}

/// Every file of a directory, with its bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.is_symlink() {
            found.insert(path.clone(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

/// A dead engine's directory: messages for two tables, those of `table3` settled.
fn leave_journal(home: &Home) {
    let engine = Engine::start_in(Arc::clone(home), SETTINGS);
    publish(&engine, &frames("stays", "table2", 30));
    publish(&engine, &frames("goes", "table3", 20));
    Subscriber::new(&engine, &["table3"], false).frames(20);
    engine.wait("they are settled", |it| it["settled"] == 20);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_whole_journal_is_told_from_its_data_directory_and_from_its_own() {
    let home = home();
    leave_journal(&home);
    let data = home.path().join("data");
    let before = contents(&data);
    for directory in [data.clone(), data.join("journal")] {
        let said = fine(&["verify"], &directory);
        assert!(said.contains("\nok: 1 segment, "), "{said}");
        assert!(said.contains("50 messages, 20 settlements"), "{said}");
        let stats: Value =
            serde_json::from_str(&fine(&["stats", "--json"], &directory)).expect("JSON");
        assert_eq!(stats["messages"], 50);
        assert_eq!(
            (&stats["settled"], &stats["unsettled"]),
            (&20.into(), &30.into())
        );
        assert_eq!(stats["unsettled_by_destination"]["table2"]["2"], 30);
        assert_eq!(stats["last_sequence"], 50);
        assert_eq!(lines(&fine(&["dump"], &directory)).len(), 70);
    }
    let table = fine(&["stats"], &data);
    assert!(
        table.contains("unsettled                    30\n"),
        "{table}"
    );
    assert_eq!(contents(&data), before, "nothing was written");
}

#[test]
fn the_configured_directory_is_taken_when_none_is_named() {
    let home = home();
    leave_journal(&home);
    let output = Command::new(ENGINE)
        .args(["journal", "verify", "--config"])
        .arg(home.path().join("flipped-lb.toml"))
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .output()
        .expect("the engine's binary");
    assert!(text(&output.stdout).contains("\nok: "), "{output:?}");
    let (_, complained) = complaint(&["verify"], &home.path().join("nowhere"));
    assert!(
        complained.contains("there is no journal in"),
        "{complained}"
    );
    assert!(!home.path().join("nowhere").exists());
}

#[test]
fn a_dump_has_what_is_asked_for_and_frames_play_again() {
    let home = home();
    leave_journal(&home);
    let data = home.path().join("data");
    let all = lines(&fine(&["dump"], &data));
    let first = &all[0];
    assert_eq!(
        (&first["kind"], &first["sequence"]),
        (&"message".into(), &1.into())
    );
    assert_eq!(
        (&first["destinationId"], &first["level"]),
        (&"table2".into(), &2.into())
    );
    assert_eq!(first["messageType"], "lunch");
    assert_eq!(first["frame"]["payload"]["n"], 1);
    assert!(
        first["arrival"]
            .as_str()
            .is_some_and(|it| it.ends_with('Z')),
        "{first}"
    );
    let sequences = |arguments: &[&str]| -> Vec<(String, u64)> {
        let found = lines(&fine(arguments, &data));
        let entry = |it: &Value| {
            let kind = it["kind"].as_str().expect("a kind").to_owned();
            (kind, it["sequence"].as_u64().expect("a sequence"))
        };
        found.iter().map(entry).collect()
    };
    let of = |kind: &str, range: std::ops::RangeInclusive<u64>| {
        range.map(|it| (kind.to_owned(), it)).collect::<Vec<_>>()
    };
    let mut table3 = sequences(&["dump", "--destination", "table3"]);
    table3.sort_unstable();
    assert_eq!(
        table3,
        [of("message", 31..=50), of("settlement", 31..=50)].concat()
    );
    assert_eq!(sequences(&["dump", "--unsettled"]), of("message", 1..=30));
    assert_eq!(
        sequences(&[
            "dump",
            "--from",
            "5",
            "--to",
            "7",
            "--destination",
            "table2"
        ]),
        of("message", 5..=7)
    );
    let played = fine(&["dump", "--unsettled", "--frames"], &data);
    assert_eq!(played, frames("stays", "table2", 30).join("\n") + "\n");
    let engine = Engine::start(SETTINGS);
    publish(
        &engine,
        &played.lines().map(str::to_owned).collect::<Vec<_>>(),
    );
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(30)), names("stays", 30));
}

#[test]
fn a_dump_ends_quietly_when_its_reader_goes() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), SETTINGS);
    publish(&engine, &frames("many", "table2", 20_000));
    engine.kill();
    let mut child = Command::new(ENGINE)
        .args(["journal", "dump"])
        .arg(home.path().join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the engine's binary");
    let mut first = [0; 100];
    let mut pipe = child.stdout.take().expect("it is piped");
    pipe.read_exact(&mut first).expect("a beginning");
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn tools_work_beside_an_engine_that_writes_and_raise_no_alarm() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), SETTINGS);
    let data = engine.data_dir();
    let total = 200_000;
    publish(&engine, &frames("early", "table2", 1));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| publish(&engine, &frames("busy", "table3", total)));
        let mut looks = 0;
        while !writing.is_finished() || looks == 0 {
            let said = fine(&["verify"], &data);
            assert!(said.contains("ok: "), "{said}");
            let stats: Value =
                serde_json::from_str(&fine(&["stats", "--json"], &data)).expect("JSON");
            assert!(stats["messages"].as_u64() >= Some(1), "{stats}");
            let played = fine(&["dump", "--unsettled", "--frames"], &data);
            assert!(played.contains("\"early-0\""));
            looks += 1;
        }
    });
    assert_eq!(
        fine(&["dump", "--frames"], &data).lines().count(),
        total + 1
    );
    let segments = std::fs::metadata(data.join("journal")).expect("it is there");
    assert!(
        segments.is_dir() && total as u64 * 170 > 2 * SEGMENT,
        "several segments"
    );
}

#[test]
fn ids_that_came_again_are_named() {
    let home = home();
    // One id is remembered, so what comes in turns is new.
    let settings = format!("dedup = {{ window_messages = 1 }}\n{SETTINGS}");
    let engine = Engine::start_in(Arc::clone(&home), &settings);
    publish(&engine, &frames("once", "table2", 10));
    publish(&engine, &frames("twice", "table2", 2));
    publish(&engine, &frames("twice", "table2", 2));
    engine.kill();
    let said = fine(&["stats", "--json"], &home.path().join("data"));
    let stats: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&stats["messages"], &stats["repeated_ids"]),
        (&14.into(), &2.into())
    );
    assert_eq!(
        stats["repeated_examples"],
        serde_json::json!(["twice-0", "twice-1"])
    );
}

/// The segment of a number, in a dead engine's directory.
fn segment(home: &Home, number: u64) -> PathBuf {
    home.path()
        .join(format!("data/journal/{number:020}.segment"))
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes[offset as usize] ^= 0x10;
    std::fs::write(path, bytes).expect("a segment");
}

fn zero(path: &Path, offset: u64, len: u64) {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes[offset as usize..][..len as usize].fill(0);
    std::fs::write(path, bytes).expect("a segment");
}

/// A dead engine's directory with three segments of messages that nobody took.
fn leave_segments(home: &Home, count: usize) {
    let engine = Engine::start_in(Arc::clone(home), SETTINGS);
    let padding = format!(r#","padding":"{}"}}"#, "x".repeat(1_560));
    for burst in 0..count / 50 {
        let mut frames = frames(&format!("b{burst}"), "table2", 50);
        for frame in &mut frames {
            assert_eq!(frame.pop(), Some('}'));
            frame.push_str(&padding);
        }
        publish(&engine, &frames);
    }
    engine.kill();
    assert!(segment(home, 2).exists() && !segment(home, 3).exists());
}

/// How many messages, of some 1,750 bytes each, make three segments and no more, the last one half full: however they fall into
/// batches, several of these stand there.
const THREE_SEGMENTS: usize = 6_000;

/// What an engine says that does not start.
fn refusal(home: &Home) -> String {
    let output = Command::new(ENGINE)
        .args(["run", "--config"])
        .arg(home.path().join("flipped-lb.toml"))
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .output()
        .expect("the engine's binary");
    assert_eq!(output.status.code(), Some(1));
    text(&output.stderr)
}

/// The messages that a directory's journal has, by sequence.
fn readable(data: &Path) -> Vec<u64> {
    let output = journal(&["dump"], data);
    let of = |it: &Value| (it["kind"] == "message").then(|| it["sequence"].as_u64());
    lines(&text(&output.stdout))
        .iter()
        .filter_map(of)
        .flatten()
        .collect()
}

/// Everything that is left comes once, in its order, and a new message behind it.
fn assert_delivers(home: &Home, kept: &[u64]) {
    let data = home.path().join("data");
    let played = fine(&["dump", "--unsettled", "--frames"], &data);
    let expected = ids(&lines(&played));
    assert_eq!(expected.len(), kept.len());
    let engine = Engine::start_in(Arc::clone(home), SETTINGS);
    engine.wait("all is taken over", |it| it["recovered"] == kept.len());
    publish(&engine, &frames("new", "table2", 1));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(kept.len())), expected);
    assert_eq!(ids(&subscriber.frames(1)), ["new-0"]);
    let all = kept.len() + 1;
    engine.wait("all is settled", |it| it["settled"] == all);
    assert_eq!(engine.stop().code, Some(0));
    assert!(fine(&["verify"], &data).contains("\nok: "));
}

/// Damages a copy of one journal in a way; verify names the place, the engine refuses, repair keeps
/// what is whole, and the engine delivers that.
fn assert_repaired(source: &Home, place: &str, lost: std::ops::Range<u64>, damage: impl Fn(&Home)) {
    let home = home();
    std::fs::create_dir_all(home.path().join("data/journal")).expect("a directory");
    let settings = home.path().join("flipped-lb.toml");
    std::fs::copy(source.path().join("flipped-lb.toml"), settings).expect("a copy");
    for number in 0..3 {
        std::fs::copy(segment(source, number), segment(&home, number)).expect("a copy");
    }
    damage(&home);
    let data = home.path().join("data");
    let (said, complained) = complaint(&["verify"], &data);
    let named = said.lines().find(|it| it.starts_with("damaged: "));
    assert!(
        named.is_some_and(|it| it.contains(place)),
        "{place}: {said}"
    );
    assert!(complained.contains("journal repair"), "{complained}");
    let refused = refusal(&home);
    assert!(
        refused.contains("flipped-lb journal repair DIR"),
        "{refused}"
    );
    let (kept, before) = (readable(&data), contents(&data.join("journal")));
    let loses = THREE_SEGMENTS as u64 - kept.len() as u64;
    assert!(lost.contains(&loses), "{place} cost {loses}");
    let said = fine(&["repair", "--dry-run"], &data);
    assert!(
        said.contains("Lost: ") && said.contains("dry run"),
        "{said}"
    );
    assert_eq!(
        contents(&data.join("journal")),
        before,
        "a dry run writes nothing"
    );
    let said = fine(&["repair"], &data);
    assert!(
        said.contains(place) && said.contains("Repaired: "),
        "{said}"
    );
    assert_eq!(readable(&data), kept);
    assert_aside(&data, &before);
    assert!(fine(&["verify"], &data).contains("\nok: "));
    assert!(fine(&["repair"], &data).contains("nothing to repair"));
    assert_delivers(&home, &kept);
}

/// Whatever was replaced is kept aside, byte for byte, with a report.
fn assert_aside(data: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let entries = std::fs::read_dir(data).expect("a directory");
    let paths = entries.map(|it| it.expect("an entry").path());
    let is_aside = |it: &PathBuf| it.to_string_lossy().contains("journal-damaged-");
    let aside: Vec<PathBuf> = paths.filter(is_aside).collect();
    assert_eq!(aside.len(), 1);
    let report = std::fs::read_to_string(aside[0].join("report.txt")).expect("a report");
    assert!(report.contains("Lost: "), "{report}");
    for (path, bytes) in before {
        if std::fs::read(path).ok().as_ref() != Some(bytes) {
            let kept = aside[0].join(path.file_name().expect("a name"));
            assert_eq!(std::fs::read(kept).ok().as_ref(), Some(bytes));
        }
    }
}

#[test]
fn damage_of_every_kind_is_named_refused_and_repaired() {
    let source = home();
    leave_segments(&source, THREE_SEGMENTS);
    let name = |number: u64| format!("{number:020}.segment");
    let all = THREE_SEGMENTS as u64;
    assert_repaired(
        &source,
        &format!("{}, offset 64,", name(0)),
        1..all / 3,
        |home| {
            flip(&segment(home, 0), 64 + 8);
        },
    );
    assert_repaired(
        &source,
        &format!("{}, offset 64,", name(0)),
        1..all / 3,
        |home| {
            flip(&segment(home, 0), 64 + 48 + 1000);
        },
    );
    assert_repaired(
        &source,
        &format!("{}, offset 0, 64 bytes", name(1)),
        0..1,
        |home| {
            flip(&segment(home, 1), 20);
        },
    );
    assert_repaired(&source, &name(1), all / 4..all / 2, |home| {
        std::fs::remove_file(segment(home, 1)).expect("it was there");
    });
    assert_repaired(&source, &name(1), all / 4..all / 2, |home| {
        std::fs::remove_file(segment(home, 1)).expect("it was there");
        std::os::unix::fs::symlink("/nonexistent", segment(home, 1)).expect("a link");
    });
    assert_repaired(&source, &name(1), 1..all / 3, |home| {
        let len = std::fs::metadata(segment(home, 1))
            .expect("a segment")
            .len();
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(segment(home, 1));
        file.expect("a segment")
            .set_len(len / 2)
            .expect("a shorter one");
    });
    assert_repaired(&source, &name(0), 1..all / 3, |home| {
        zero(&segment(home, 0), 1 << 20, 4096);
    });
    // The last segment, with whole batches behind.
    assert_repaired(&source, &name(2), 1..all / 3, |home| {
        zero(&segment(home, 2), 64 << 10, 4096);
    });
}

#[test]
fn a_copy_under_a_far_number_is_set_aside_and_nothing_is_made_up_before_it() {
    let home = home();
    leave_segments(&home, THREE_SEGMENTS);
    let data = home.path().join("data");
    let before = contents(&data.join("journal"));
    std::fs::copy(segment(&home, 0), segment(&home, 9_999)).expect("a copy");
    let stray = "00000000000000009999.segment: its header is that of segment 0";
    let (said, _) = complaint(&["verify"], &data);
    assert!(said.contains(stray), "{said}");
    let refused = refusal(&home);
    assert!(refused.contains("journal repair"), "{refused}");
    let said = fine(&["repair", "--dry-run"], &data);
    assert!(
        said.contains(stray) && said.contains("Nothing was changed"),
        "{said}"
    );
    let said = fine(&["repair"], &data);
    assert!(
        said.contains(stray) && said.contains("nothing else"),
        "{said}"
    );
    assert_eq!(contents(&data.join("journal")), before);
    assert!(fine(&["verify"], &data).contains("\nok: "));
    let all: Vec<u64> = (1..=THREE_SEGMENTS as u64).collect();
    assert_delivers(&home, &all);
}

#[test]
fn repair_refuses_beside_an_engine_and_leaves_a_whole_journal_alone() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), SETTINGS);
    publish(&engine, &frames("some", "table2", 3));
    let data = engine.data_dir();
    let (_, complained) = complaint(&["repair"], &data);
    assert!(
        complained.contains("another engine (process "),
        "{complained}"
    );
    assert!(fine(&["repair", "--dry-run"], &data).contains("nothing to repair"));
    engine.kill();
    let before = contents(&data.join("journal"));
    assert!(fine(&["repair"], &data).contains("nothing to repair"));
    assert_eq!(contents(&data.join("journal")), before);
}

#[test]
fn a_repair_that_is_cut_short_may_be_run_again() {
    let home = home();
    leave_segments(&home, THREE_SEGMENTS);
    let data = home.path().join("data");
    flip(&segment(&home, 0), 64 + 500);
    flip(&segment(&home, 1), 64 + 500);
    let (kept, before) = (readable(&data), contents(&data.join("journal")));
    // The system ends the process as soon as a file has grown that far: in the middle of a segment.
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 2048; exec \"$0\" journal repair \"$1\""])
        .args([ENGINE.as_ref(), data.as_os_str()])
        .output()
        .expect("a shell");
    assert_ne!(output.status.code(), Some(0));
    let after = contents(&data.join("journal"));
    assert!(
        before
            .iter()
            .all(|(path, bytes)| after.get(path) == Some(bytes))
    );
    assert!(refusal(&home).contains("journal repair"));
    fine(&["repair"], &data);
    assert_eq!(readable(&data), kept);
    assert!(!data.join("journal/repair").exists());
    assert_aside(&data, &before);
    assert_delivers(&home, &kept);
}

#[test]
fn a_repair_that_died_between_setting_aside_and_renaming_may_be_run_again() {
    let (done, home) = (home(), home());
    leave_segments(&home, THREE_SEGMENTS);
    let data = home.path().join("data");
    flip(&segment(&home, 0), 64 + 500);
    flip(&segment(&home, 1), 64 + 500);
    let kept = readable(&data);
    // What a whole repair makes of a copy.
    std::fs::create_dir_all(done.path().join("data/journal")).expect("a directory");
    for number in 0..3 {
        std::fs::copy(segment(&home, number), segment(&done, number)).expect("a copy");
    }
    fine(&["repair"], &done.path().join("data"));
    // The first segment has taken its place; the second one is put aside, and still the damaged one.
    let (aside, workshop) = (
        data.join("journal-damaged-then"),
        data.join("journal/repair"),
    );
    std::fs::create_dir(&aside).expect("a directory");
    std::fs::create_dir(&workshop).expect("a directory");
    std::fs::rename(segment(&home, 0), aside.join("first")).expect("moved");
    std::fs::copy(segment(&done, 0), segment(&home, 0)).expect("a copy");
    std::fs::hard_link(segment(&home, 1), aside.join("second")).expect("a second name");
    let made = workshop.join(format!("{:020}.segment", 1));
    std::fs::copy(segment(&done, 1), made).expect("a copy");
    assert!(refusal(&home).contains("journal repair"));
    assert_eq!(readable(&data), kept);
    let damaged = std::fs::read(segment(&home, 1)).expect("a segment");
    fine(&["repair"], &data);
    assert_eq!(readable(&data), kept);
    assert!(!workshop.exists());
    assert_eq!(
        std::fs::read(aside.join("second")).ok(),
        Some(damaged),
        "what was put aside before stays as it was"
    );
    assert_delivers(&home, &kept);
}

/// Few ids are remembered and nothing is stored, so settled segments go at once.
const RETAINING: &str = "source = []\nstore = { url = \"none\" }\ndedup = { window_messages = 100 }\n\
     journal = { segment = \"4MiB\" }\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Messages of which some seventy make a segment.
fn fat(name: &str, destination: &str, count: usize) -> Vec<String> {
    let long = format!("\"payload\":{{\"n\":\"{}\"}}", "x".repeat(60_000));
    let frames = frames(name, destination, count).into_iter();
    frames
        .map(|it| it.replace("\"payload\":{\"n\":1}", &long))
        .collect()
}

/// Publishes fat messages and takes them, again and again, until a counter is high enough.
fn pass_through(engine: &Engine, subscriber: &mut Subscriber, until: impl Fn(&Value) -> bool) {
    let mut round = 0;
    while !until(&engine.stats()) {
        publish(
            engine,
            &fat(
                &format!("r{round}-{}", engine.count("accepted")),
                "table3",
                50,
            ),
        );
        subscriber.frames(50);
        round += 1;
    }
}

/// A dead engine's directory with three messages in kept files, and with recycled segments.
fn leave_kept(home: &Home) {
    let engine = Engine::start_in(Arc::clone(home), RETAINING);
    let mut subscriber = Subscriber::new(&engine, &["table3"], false);
    for round in 0..3 {
        publish(&engine, &fat(&format!("held{round}"), "table2", 1));
        let carried = round + 1;
        pass_through(&engine, &mut subscriber, |it| {
            it["journal_carried"].as_u64() >= Some(carried)
                && it["journal_recycled"].as_u64() >= Some(3 * carried)
        });
    }
    // A settlement on its way at the kill would be delivered again.
    engine.wait("all settlements are recorded", |it| {
        it["in_flight"] == 0 && it["journal_settled"] == it["settled"]
    });
    drop(subscriber);
    engine.kill();
}

/// The files of a directory's journal that end so.
fn ending(data: &Path, ending: &str) -> Vec<PathBuf> {
    let files = contents(&data.join("journal")).into_keys();
    files
        .filter(|it| it.to_string_lossy().ends_with(ending))
        .collect()
}

#[test]
fn kept_free_and_recycled_files_are_told_apart_and_a_damaged_kept_file_is_repaired() {
    let home = home();
    leave_kept(&home);
    let data = home.path().join("data");
    let journal = data.join("journal");
    std::fs::write(
        journal.join(format!("{:020}-{:020}.unfinished", 0, 9)),
        "half",
    )
    .expect("a file");
    std::fs::write(journal.join(format!("{:020}.free", 0)), "anything").expect("a file");
    let said = fine(&["verify"], &data);
    assert!(said.contains(".free: free: waits"), "{said}");
    assert!(said.contains(".unfinished: left over by a crash"), "{said}");
    // The engine may have stopped between a kept file and the removal of what it stands for.
    let is_used = |it: &PathBuf| {
        let name = it.file_name().expect("a name").to_string_lossy();
        !said.contains(&format!("{name}: left over"))
    };
    let kept: Vec<_> = ending(&data, ".kept").into_iter().filter(is_used).collect();
    assert!(!kept.is_empty());
    assert!(
        said.contains(&format!(" {} kept file", kept.len())),
        "{said}"
    );
    assert!(!said.contains("torn tail"), "{said}");
    let stats: Value = serde_json::from_str(&fine(&["stats", "--json"], &data)).expect("JSON");
    assert_eq!(stats["kept_files"], kept.len());
    assert_eq!(stats["free_files"], ending(&data, ".free").len());
    assert_eq!(stats["unsettled_by_destination"]["table2"]["2"], 3);
    let held = lines(&fine(&["dump", "--unsettled"], &data));
    let held: Vec<_> = held.iter().map(|it| &it["messageId"]).collect();
    assert_eq!(held, ["held0-0", "held1-0", "held2-0"]);

    let of = |it: &Path| std::fs::metadata(it).expect("a file").len();
    let largest = kept.iter().max_by_key(|it| of(it)).expect("one");
    flip(largest, of(largest) / 2);
    let before = contents(&journal);
    let name = largest.file_name().expect("a name").to_string_lossy();
    let (said, complained) = complaint(&["verify"], &data);
    assert!(
        said.contains("damaged: ") && said.contains(&*name),
        "{said}"
    );
    assert!(complained.contains("journal repair"), "{complained}");
    let refused = refusal(&home);
    assert!(
        refused.contains(&*name) && refused.contains("journal repair DIR"),
        "{refused}"
    );
    let readable = readable(&data);
    assert!(fine(&["repair"], &data).contains("Repaired: "));
    assert_aside(&data, &before);
    let free = ending(&data, ".free");
    assert!(
        free.iter()
            .all(|it| before.get(it) == std::fs::read(it).ok().as_ref())
    );
    assert_eq!(self::readable(&data), readable);
    assert!(fine(&["verify"], &data).contains("\nok: "));
    let left = lines(&fine(&["dump", "--unsettled"], &data));
    let engine = Engine::start_in(Arc::clone(&home), RETAINING);
    engine.wait("what is left is taken over", |it| {
        it["queued"] == left.len()
    });
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(left.len())), ids(&left));
}

#[test]
fn tools_beside_an_engine_whose_segments_go_raise_no_alarm() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), RETAINING);
    let data = engine.data_dir();
    publish(&engine, &fat("held", "table2", 1));
    std::thread::scope(|scope| {
        let passing = scope.spawn(|| {
            let mut subscriber = Subscriber::new(&engine, &["table3"], false);
            pass_through(&engine, &mut subscriber, |it| {
                it["journal_recycled"].as_u64() >= Some(40)
            });
        });
        while !passing.is_finished() {
            assert!(fine(&["verify"], &data).contains("ok: "));
            let stats = fine(&["stats", "--json"], &data);
            let stats: Value = serde_json::from_str(&stats).expect("JSON");
            assert_eq!(
                stats["unsettled_by_destination"]["table2"]["2"], 1,
                "{stats}"
            );
            fine(&["dump", "--to", "1"], &data);
        }
    });
    assert!(engine.count("journal_carried") >= 1, "{}", engine.stats());
}
