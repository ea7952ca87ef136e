//! Compacted, free and recycled files.

use super::*;

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
