//! A full disk.

use super::*;

/// Limits the files that the engine writes: writes beyond fail, as on a full disk.
fn limit_files(engine: &Engine, bytes: Option<u64>) {
    let pid = Pid::from_raw(engine.pid().cast_signed());
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    prlimit(pid, Resource::Fsize, limit).expect("one's own process");
}

#[test]
fn a_full_disk_stops_the_sources_but_not_delivery_and_is_got_over() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("before", "table2", 400));
    let len = written_len(&segment(home.path(), 0));
    // The next batch finds room for its beginning.
    limit_files(&engine, Some(len + 100));
    let total = 150_000;
    let mut producer = Producer {
        unacknowledged: frames("during", "table3", total).into(),
    };
    let stream = Producer::dial(&engine);
    let sending = thread::spawn(move || {
        producer.exchange(stream, &AtomicUsize::new(0));
        producer.unacknowledged.len()
    });
    engine.wait("it is full", |it| {
        it["journal_full"].as_u64() > Some(3) && it["received"].as_u64() > Some(60_000)
    });
    engine.wait_for_log("journal's disk is full");
    let log = engine.log();
    assert_eq!(log.matches("journal's disk is full").count(), 1, "{log}");
    let (status, why) = engine.get("/readyz");
    let why_and_since = why.contains("the journal's disk") && why.contains("; since 20");
    assert!(status == 503 && why_and_since, "{status} {why}");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(400)), names("before", 400));
    let stats = engine.wait("what is recorded is settled", |it| it["settled"] == 400);
    assert!(stats["accepted"].as_u64() < Some(400 + 70_000), "{stats}");
    assert!(!sending.is_finished(), "nothing more is acknowledged");
    limit_files(&engine, None);
    let mut subscriber = Subscriber::new(&engine, &["table3"], false);
    for at in 0..total {
        let line = subscriber.line().expect("a frame");
        assert!(line.contains(&format!("\"during-{at}\"")), "{line}");
    }
    assert_eq!(sending.join().expect("it is acknowledged"), 0);
    engine.wait_for_log("has room again");
    assert_eq!(engine.get("/readyz").0, 200);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(home.path(), 400 + total);
}

#[test]
fn where_not_even_settlements_find_room_nothing_is_handed_out_until_there_is() {
    let settings = format!("{STORELESS}[delivery]\ncredit = \"4KiB\"\n");
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), &settings);
    publish(&engine, frames("m", "table2", 4_000));
    // No file takes more than this, the one for settlements neither.
    limit_files(&engine, Some(100));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let stats = engine.wait("settlements wait", |it| it["journal_stuck"] == 1);
    let (status, why) = engine.get("/readyz");
    assert!(
        status == 503 && why.contains("Not even settlements"),
        "{status} {why}"
    );
    // What was in flight is written and settled, and nothing after it.
    let settled = engine.wait("nothing is in flight", |it| it["in_flight"] == 0);
    assert!(
        settled["settled"].as_u64() < Some(1_000),
        "{stats} {settled}"
    );
    assert_eq!(settled["journal_settled"], 0, "{settled}");
    limit_files(&engine, None);
    assert_eq!(ids(&subscriber.frames(4_000)), names("m", 4_000));
    engine.wait("all settlements are recorded", |it| {
        it["journal_settled"] == 4_000
    });
    engine.wait("room is set aside again", |it| it["journal_waiting"] == 0);
    assert_eq!(engine.get("/readyz").0, 200);
    engine.kill();
    assert_eq!(Engine::start_in(home, &settings).count("recovered"), 0);
}
