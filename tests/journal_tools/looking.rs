//! What `verify`, `stats` and `dump` say of a whole journal.

use super::*;

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
