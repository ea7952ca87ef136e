//! A damaged journal.

use super::*;

/// Leaves a journal of ten messages in one batch or more, and one message in a last batch of its
/// own; returns where that begins and ends.
fn leave_journal(home: &Home, number: u64) -> (u64, u64) {
    let engine = Engine::start_in(Arc::clone(home), STORELESS);
    let len = || written_len(&segment(home.path(), number));
    publish(&engine, frames(&format!("first{number}"), "table2", 10));
    let begin = len();
    publish(&engine, frames(&format!("last{number}"), "table2", 1));
    let end = len();
    engine.kill();
    cut(&segment(home.path(), number), end);
    (begin, end)
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes[offset as usize] ^= 0x10;
    std::fs::write(path, bytes).expect("a segment");
}

/// What an engine says that does not start.
fn refusal(home: &Home, settings: &str) -> String {
    let file = home.path().join("flipped-lb.toml");
    std::fs::write(&file, settings).expect("a settings file");
    let output = Command::new(ENGINE)
        .args(["run", "--config"])
        .arg(&file)
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .output()
        .expect("the engine's binary");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_torn_tail_is_cut_and_told_and_the_engine_goes_on() {
    // How the tail is torn, bytes cut, and whether the last message is lost.
    type Tear = (fn(&Path, u64, u64), fn(u64) -> u64, bool);
    let tears: [Tear; 4] = [
        (|path, _, end| cut(path, end - 5), |len| len - 5, true),
        (|path, begin, _| cut(path, begin + 20), |_| 20, true),
        (
            |path, begin, _| flip(path, begin + BATCH_HEADER_LEN + 40),
            |len| len,
            true,
        ),
        (
            |path, _, _| {
                let file = std::fs::OpenOptions::new().append(true).open(path);
                let mut file = file.expect("a segment");
                file.write_all(b"FLBB and so on").expect("it is longer");
            },
            |_| 14,
            false,
        ),
    ];
    for (tear, cut_len, loses) in tears {
        let home = home();
        let (begin, end) = leave_journal(&home, 0);
        tear(&segment(home.path(), 0), begin, end);
        let engine = Engine::start_in(home, STORELESS);
        let told = format!("bytes={}", cut_len(end - begin));
        let log = engine.log();
        let line = log.lines().find(|it| it.contains("torn tail was cut"));
        assert!(line.is_some_and(|it| it.ends_with(&told)), "{told}: {log}");
        let counted = engine.count("journal_torn_bytes");
        assert_eq!(counted, cut_len(end - begin));
        publish(&engine, frames("last0", "table2", 1));
        assert_eq!(engine.count("duplicates"), u64::from(!loses));
        let mut subscriber = Subscriber::new(&engine, &["table2"], false);
        let mut expected = names("first0", 10);
        expected.push("last0-0".to_owned());
        assert_eq!(ids(&subscriber.frames(11)), expected);
        assert_eq!(engine.stop().code, Some(0));
    }
}

#[test]
fn damage_in_the_middle_is_refused_and_its_place_named() {
    let first_batch = SEGMENT_HEADER_LEN;
    let home = home();
    leave_journal(&home, 0);
    // A whole batch behind it in the same segment; then later segments.
    for later in 0..2 {
        flip(&segment(home.path(), 0), first_batch + BATCH_HEADER_LEN + 7);
        let said = refusal(&home, STORELESS);
        assert!(
            said.contains(&format!(
                "damaged in segment {:020}.segment at offset {first_batch}",
                0
            )),
            "{said}"
        );
        assert!(said.contains("`flipped-lb journal verify DIR`"), "{said}");
        assert!(said.contains("`flipped-lb journal repair DIR`"), "{said}");
        // Mended, it is as good as ever.
        flip(&segment(home.path(), 0), first_batch + BATCH_HEADER_LEN + 7);
        leave_journal(&home, later + 1);
    }
    let engine = Engine::start_in(home, STORELESS);
    assert_eq!(engine.count("recovered"), 33);
}

#[test]
fn a_journal_of_another_segment_size_is_refused_with_what_to_do() {
    let home = home();
    leave_journal(&home, 0);
    let said = refusal(&home, &STORELESS.replace("4MiB", "8MiB"));
    assert!(said.contains("journal.segment"), "{said}");
    assert!(said.contains("set it back to 4194304"), "{said}");
    assert_eq!(Engine::start_in(home, STORELESS).count("recovered"), 11);
}
