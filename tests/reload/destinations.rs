//! Destinations, their bounds and rules.

use super::*;

#[test]
fn subscribers_of_a_destination_that_goes_are_told_and_its_messages_wait_until_it_comes_back() {
    let engine = Engine::start(&settings(""));
    let mut producer = Producer::new(&engine, None);
    let mut stays = Subscriber::new(&engine, &["table1"], true);
    let mut goes = Subscriber::new(&engine, &["table2", "table1"], true);
    producer.send("m1", "table2", 1);
    producer.send("m2", "table2", 2);
    assert_eq!(ids(&goes.frames(2)), ["m1", "m2"]);
    goes.ack(1);
    engine.wait("it is settled", |stats| stats["settled"] == 1);
    let without = format!("source = []\n[[destination]]\nid = \"table1\"\n{INGEST}");
    let answer = reload(&engine, &without);
    assert_eq!(answer["removed"], json!(["[[destination]] table2"]));
    let told = goes.line().expect("an error line");
    assert!(
        told.contains("\"table2\\\" is not in the settings any more"),
        "{told}"
    );
    assert_eq!(goes.line(), None);
    // It is no destination now: neither for messages nor for subscribers.
    producer.send("m3", "table2", 1);
    let stats = engine.stats();
    assert_eq!(stats["rejected_by_reason"]["unknown_destination"], 1);
    assert_eq!(stats["destination_gone"], 1);
    let again = Subscriber::new(&engine, &["table2"], false).answer;
    assert!(again.contains("unknown destination"), "{again}");
    producer.send("m4", "table1", 1);
    assert_eq!(ids(&stays.frames(1)), ["m4"]);
    engine.wait("it waits", |stats| stats["queued"] == 1);
    reload(&engine, &settings(""));
    let mut back = Subscriber::new(&engine, &["table2"], true);
    producer.send("m5", "table2", 2);
    assert_eq!(ids(&back.frames(2)), ["m2", "m5"]);
    stays.ack(1);
    producer.send("m6", "table1", 1);
    assert_eq!(ids(&stays.frames(1)), ["m6"], "it was there all the time");
}

#[test]
fn what_waits_for_a_destination_that_is_gone_outlasts_a_restart() {
    let engine = Engine::start(&settings(""));
    Producer::new(&engine, None).send("m1", "table2", 1);
    let without = format!("source = []\n[[destination]]\nid = \"table1\"\n{INGEST}");
    reload(&engine, &without);
    let home = Arc::clone(&engine.home);
    engine.kill();
    let engine = Engine::start_in(Arc::clone(&home), &without);
    let answer = Subscriber::new(&engine, &["table2"], false).answer;
    assert!(
        answer.contains("unknown destination"),
        "as after the reload: {answer}"
    );
    assert_eq!(engine.count("queued"), 1);
    reload(&engine, &settings(""));
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&table2.frames(1)), ["m1"]);
}

#[test]
fn where_messages_create_destinations_one_that_leaves_the_settings_goes_on() {
    let create = "[scheduler]\nunknown_destinations = \"create\"\n";
    let engine = Engine::start(&settings(create));
    let mut producer = Producer::new(&engine, None);
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    let without = format!("source = []\n[[destination]]\nid = \"table1\"\n{INGEST}{create}");
    reload(&engine, &without);
    producer.send("m1", "table2", 1);
    producer.send("m2", "new", 1);
    assert_eq!(ids(&table2.frames(1)), ["m1"]);
    let pinned =
        format!("{without}[[destination]]\nid = \"new\"\nmax_queued = 1\nwhen_full = \"reject\"\n");
    reload(&engine, &pinned);
    producer.send("m3", "new", 1);
    assert_eq!(engine.count("queued"), 1);
    assert_eq!(engine.stats()["rejected_by_reason"]["queue_full"], 1);
}

#[test]
fn what_messages_create_is_closed_where_they_create_no_more_and_open_where_they_do() {
    let creating = |it: &str| settings(&format!("[scheduler]\nunknown_destinations = \"{it}\"\n"));
    let engine = Engine::start(&creating("reject"));
    let mut producer = Producer::new(&engine, None);
    let all = Subscriber::new(&engine, &["table*", "new*"], false);
    producer.send("m1", "new1", 1);
    assert_eq!(engine.count("rejected"), 1);
    drop(all);
    let answer = reload(&engine, &creating("create"));
    assert_eq!(
        answer["changed"],
        json!(["[scheduler] unknown_destinations"])
    );
    let mut new = Subscriber::new(&engine, &["new*"], true);
    producer.send("m2", "new1", 1);
    assert_eq!(ids(&new.frames(1)), ["m2"]);
    // It is told that the name went; what it has not acknowledged waits.
    reload(&engine, &creating("reject"));
    let told = new.line().unwrap_or_default();
    assert!(
        told.contains("\"new1\\\" is not in the settings any more"),
        "{told}"
    );
    producer.send("m3", "new1", 1);
    let stats = engine.wait("it waits", |it| it["queued"] == 1);
    assert_eq!(
        (&stats["rejected"], &stats["destinations"]),
        (&json!(2), &json!(2))
    );
    reload(&engine, &creating("create"));
    producer.send("m4", "new1", 1);
    let mut new = Subscriber::new(&engine, &["new1"], false);
    assert_eq!(ids(&new.frames(2)), ["m2", "m4"]);
}

#[test]
fn bounds_and_what_happens_at_them_change_and_who_waits_asks_again() {
    let with =
        |rest: &str| format!("source = []\n[[destination]]\nid = \"table1\"\n{rest}{INGEST}");
    let engine = Engine::start(&with("max_queued = 2\n"));
    let mut producer = Producer::new(&engine, None);
    producer.send("m1", "table1", 1);
    producer.send("m2", "table1", 1);
    writeln!(producer.stream.get_mut(), "{}", frame("m3", "table1", 1)).expect("it reads");
    engine.wait("it waits", |stats| stats["sources_held"] == 1);
    reload(&engine, &with("max_queued = 3\n"));
    engine.wait("there is room", |stats| stats["accepted"] == 3);
    writeln!(producer.stream.get_mut(), "{}", frame("m4", "table1", 1)).expect("it reads");
    engine.wait("it waits", |stats| stats["sources_held"] == 1);
    reload(&engine, &with("max_queued = 3\nwhen_full = \"reject\"\n"));
    engine.wait("it is rejected", |stats| stats["rejected"] == 1);
    reload(&engine, &with("max_queued = 1\nwhen_full = \"reject\"\n"));
    let mut table1 = Subscriber::new(&engine, &["table1"], true);
    assert_eq!(table1.frames(3).len(), 3);
    table1.ack(3);
    engine.wait("they are settled", |stats| stats["settled"] == 3);
    drop(table1);
    engine.wait("it is gone", |stats| stats["subscribers_connected"] == 0);
    for (id, rejected) in [("m5", 1), ("m6", 2), ("m7", 3)] {
        writeln!(producer.stream.get_mut(), "{}", frame(id, "table1", 1)).expect("it reads");
        engine.wait(id, |stats| stats["rejected"] == rejected);
    }
    assert_eq!(engine.count("queued"), 1);
}

#[test]
fn rules_and_vips_count_for_messages_to_come() {
    let engine = Engine::start(&settings(""));
    let mut producer = Producer::new(&engine, None);
    let level = |engine: &Engine| {
        let levels = engine.stats()["levels"].clone();
        ["1", "2", "3"].map(|it| levels[it]["delivered"].as_u64().expect("a count"))
    };
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let mut expected = [0; 3];
    for (at, (rest, to)) in [
        ("", 3),
        ("[[rule]]\nmessage_type = \"lunch\"\npriority = 2\n", 2),
        ("[[rule]]\nmessage_type = \"tea\"\npriority = 1\n", 3),
        (
            "[[rule]]\nsource = \"test\"\nmessage_type = \"lunch\"\npriority = 1\n",
            1,
        ),
        ("", 3),
    ]
    .into_iter()
    .enumerate()
    {
        reload(&engine, &settings(rest));
        producer.send(&format!("m{at}"), "table1", 3);
        table1.frames(1);
        expected[to - 1] += 1;
        engine.wait(rest, |_| level(&engine) == expected);
    }
    let vip = format!("source = []\n[[destination]]\nid = \"table1\"\nvip = true\n{INGEST}");
    reload(&engine, &vip);
    producer.send("vip", "table1", 3);
    table1.frames(1);
    expected[0] += 1;
    engine.wait("vip", |_| level(&engine) == expected);
}
