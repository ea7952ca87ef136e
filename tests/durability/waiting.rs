//! Messages that wait outlast a life.

use super::*;

/// All that waited comes first, announced, and in its order; then what is new, without a word.
fn assert_again(engine: &Engine, count: usize) {
    let mut subscriber = Subscriber::new(engine, &["table2"], true);
    let (mut old, mut announced) = (Vec::new(), 0);
    while old.len() < count {
        let line = subscriber.line().expect("a line");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        match value["again"].as_u64() {
            Some(more) => announced += more,
            None => old.push(value),
        }
        // Not one at a time: that the engine goes on without waiting for it is `delivery`'s test.
        if old.len().is_multiple_of(50) || old.len() == count {
            subscriber.ack(old.len() as u64);
        }
    }
    assert_eq!(announced, count as u64);
    assert_eq!(ids(&old), names("wait", count));
    publish(engine, frames("new", "table2", 1));
    let line = subscriber.line().expect("a line");
    assert!(line.contains("new-0"), "{line}");
    subscriber.ack(count as u64 + 1);
    engine.wait("all is settled", |it| it["settled"] == count + 1);
}

#[test]
fn what_waits_for_an_absent_subscriber_survives_a_stop_and_is_announced() {
    for mode in ["shared", "dedicated"] {
        let settings = format!("threads = {{ mode = \"{mode}\" }}\n{LISTENING}");
        let home = home();
        let engine = Engine::start_in(Arc::clone(&home), &settings);
        publish(&engine, frames("wait", "table2", 2_000));
        assert_eq!(engine.stop().code, Some(0));
        let engine = Engine::start_in(Arc::clone(&home), &settings);
        assert_eq!(engine.count("recovered"), 2_000);
        assert_again(&engine, 2_000);
        assert_eq!(engine.stop().code, Some(0));
        assert_all_delivered(home.path(), 2_001);
    }
}

#[test]
fn a_clock_that_is_behind_carries_no_message_past_those_of_an_earlier_life() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), STORELESS);
    publish(&engine, frames("wait", "table2", 1));
    engine.kill();
    let engine = Engine::start_in(home, STORELESS);
    let behind = frame("behind", "table2", 2).replace("\"payload\"", "\"timestamp\":1,\"payload\"");
    publish(&engine, vec![behind]);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&subscriber.frames(2)), ["wait-0", "behind"]);
}
