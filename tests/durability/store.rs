//! The store through kills.

use super::*;

#[test]
fn each_message_has_one_row_that_says_how_far_it_is() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let payload =
        json!({ "text": "a 🍜 \"quoted\" \\ back\nslash \u{1} é", "deep": [[1.5], null] });
    let frame = json!({
        "messageId": "id \"🍜\" 1", "sourceServerId": "küche", "destinationId": "table3",
        "messageType": "d\tinner", "priority": 3, "timestamp": 1_693_123_456_789_u64,
        "payload": payload,
    });
    publish(&engine, vec![frame.to_string()]);
    publish(&engine, frames("plain", "table2", 10));
    engine.wait("all have rows", |it| it["stored"] == 11);
    let rows = database(home.path());
    let count = "SELECT COUNT(*) FROM messages WHERE status = 'INGESTED' AND delivered_at IS NULL";
    assert_eq!(number(&rows, count), 11);
    let mut subscriber = Subscriber::new(&engine, &["table2", "table3"], false);
    subscriber.frames(11);
    engine.wait("all rows are settled", |it| it["stored_settled"] == 11);
    let columns: Vec<String> = rows
        .query_row(
            "SELECT json_array(messageId, sourceServerId, messageType, priority, timestamp), payload
             FROM messages WHERE destinationId = 'table3' AND status = 'DELIVERED'",
            [],
            |row| Ok(vec![row.get(0)?, row.get(1)?]),
        )
        .expect("a row");
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(
        parse(&columns[0]),
        json!(["id \"🍜\" 1", "küche", "d\tinner", 3, 1_693_123_456_789_u64])
    );
    assert_eq!(parse(&columns[1]), payload);
    drop(rows);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(home.path(), 11);
}

#[test]
fn a_database_that_was_removed_is_made_anew_from_the_journal() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("gone", "table2", 300));
    Subscriber::new(&engine, &["table2"], false).frames(300);
    engine.wait("all is settled", |it| it["settled"] == 300);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(home.path(), 300);
    for name in ["messages.db", "messages.db-wal", "messages.db-shm"] {
        // The last two are there only while somebody has the database open.
        let _ = std::fs::remove_file(home.path().join("data").join(name));
    }
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("waits", "table2", 5));
    assert_eq!(engine.stop().code, Some(0));
    let rows = database(home.path());
    let of = |status: &str| {
        let query = format!("SELECT COUNT(*) FROM messages WHERE status = '{status}'");
        number(&rows, &query)
    };
    assert_eq!((of("DELIVERED"), of("INGESTED")), (300, 5));
}

#[test]
fn a_journal_that_lost_its_end_goes_on_behind_the_store() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("kept", "table2", 10));
    let len = written_len(&segment(home.path(), 0));
    publish(&engine, frames("lost", "table2", 5));
    engine.wait("all have rows", |it| it["stored"] == 15);
    engine.kill();
    // As after a power loss: the database has more than the journal.
    cut(&segment(home.path(), 0), len);
    for round in 0..2 {
        let engine = Engine::start_in(Arc::clone(&home), LISTENING);
        let log = engine.log();
        let told = log.contains("the store has more than the journal");
        assert_eq!(told, round == 0, "{log}");
        publish(&engine, frames(&format!("new{round}"), "table2", 3));
        let count = 3 * (round + 1);
        engine.wait("the store goes on", |it| it["stored"] == 3);
        let rows = database(home.path());
        let all = number(&rows, "SELECT COUNT(DISTINCT sequence) FROM messages");
        assert_eq!(all, 15 + count);
        engine.kill();
    }
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let mut expected = names("kept", 10);
    expected.extend(names("new0", 3));
    expected.extend(names("new1", 3));
    assert_eq!(ids(&subscriber.frames(16)), expected);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_journal_that_was_moved_away_is_begun_behind_the_store() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    publish(&engine, frames("old", "table2", 10));
    engine.wait("all have rows", |it| it["stored"] == 10);
    engine.kill();
    let journal = home.path().join("data/journal");
    std::fs::rename(&journal, home.path().join("elsewhere")).expect("moved");
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    assert!(engine.count("store_ahead_bytes") > 0);
    publish(&engine, frames("new", "table2", 10));
    engine.wait("the store goes on", |it| it["stored"] == 10);
    let rows = database(home.path());
    assert_eq!(number(&rows, "SELECT MAX(sequence) FROM messages"), 20);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn an_engine_without_a_store_delivers() {
    let home = home();
    let mut command = Command::new(ENGINE);
    command.env("FLIPPED_LB_STORE_URL", "none");
    let engine = Engine::start_by(command, Arc::clone(&home), LISTENING);
    publish(&engine, frames("bare", "table2", 10));
    Subscriber::new(&engine, &["table2"], false).frames(10);
    assert_eq!(engine.stop().code, Some(0));
    assert!(!home.path().join("data/messages.db").exists());
}

#[test]
fn every_durability_delivers_and_stops_cleanly() {
    for durability in ["memory", "written", "synced"] {
        let home = home();
        let settings = format!("durability = \"{durability}\"\n{LISTENING}");
        let engine = Engine::start_in(Arc::clone(&home), &settings);
        let mut subscriber = Subscriber::new(&engine, &["table2"], false);
        publish(&engine, frames("some", "table2", 500));
        assert_eq!(ids(&subscriber.frames(500)), names("some", 500));
        engine.wait("all is settled", |it| it["settled"] == 500);
        assert_eq!(engine.count("journal_syncs") > 0, durability == "synced");
        assert_eq!(engine.stop().code, Some(0));
        assert_all_delivered(home.path(), 500);
        let engine = Engine::start_in(home, &settings);
        assert_eq!(engine.count("recovered"), 0);
    }
}
