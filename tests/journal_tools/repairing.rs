//! Damage of every kind, and its repair.

use super::*;

/// The segment of a number, in a dead engine's directory.
fn segment(home: &Home, number: u64) -> PathBuf {
    home.path()
        .join(format!("data/journal/{number:020}.segment"))
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
