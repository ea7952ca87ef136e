//! Rows and settlements that the database refuses: kept aside, or tried again, and the rest goes on.

use super::*;

#[test]
fn a_row_of_somebody_else_is_left_and_another_journal_is_not_mixed_in() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    let (mut store, _) = keeping(&home);
    home.run(
        "INSERT INTO messages (id, messageId, sourceServerId, destinationId, messageType, priority,
            timestamp, status, created_at, sequence)
         VALUES (2, 'theirs', 's', 'd', 't', 1, 0, 'INGESTED', '2024', 2)",
    );
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let applied = store.apply(&rows, upto).expect("the others are written");
    assert_eq!((applied.inserted, applied.unstored), (2, 1));
    assert!(kept(&home).contains("another message has its id, 2"));

    home.run("UPDATE messages SET messageId = 'of another journal'");
    let other = Memory::default();
    TestWriter::new(other.clone(), SEGMENT).plain(1..=3);
    let (rows, upto) = gather(&other, 0);
    let tries = (0..=crate::limits::STORE_OTHER_ROWS_MAX).map(|_| store.apply(&rows, upto));
    let error = tries.filter_map(Result::err).next().expect("it stops");
    assert!(matches!(error, StoreError::Permanent(_)), "{error}");
    assert!(error.to_string().contains("[store] node"), "{error}");
}

#[test]
fn a_trigger_that_refuses_in_any_way_keeps_its_rows_and_settlements_aside() {
    for way in ["ABORT, 'no'", "FAIL, 'no'", "ROLLBACK, 'no'", "IGNORE"] {
        let home = Home::new();
        let (mut store, counters) = keeping(&home);
        home.run(&format!(
            "CREATE TRIGGER a BEFORE INSERT ON messages WHEN NEW.sequence IN (2, 5)
             BEGIN SELECT RAISE({way}); END;
             CREATE TRIGGER b BEFORE UPDATE ON messages WHEN NEW.sequence IN (3, 6)
             BEGIN SELECT RAISE({way}); END;"
        ));
        let (memory, mut writer) = journal();
        writer.plain(1..=7);
        let (rows, upto) = gather(&memory, 0);
        let applied = store.apply(&rows, upto).expect("the rest is written");
        assert_eq!((applied.inserted, applied.unstored), (5, 2), "{way}");
        writer.settle(1..=7);
        let (rows, end) = gather(&memory, upto);
        let applied = store.apply(&rows, end).expect("the rest is settled");
        assert_eq!(applied.settled, 3, "{way}");
        assert_eq!(store.position().expect("it answers"), end, "{way}");
        let count = "SELECT COUNT(*), SUM(status = 'DELIVERED') FROM messages";
        assert_eq!(home.ask(count), ["5 | 3"], "{way}");
        let unstored = [Counter::StoreUnstored, Counter::StoreUnsettled].map(|it| counters.get(it));
        // Who ignores an update says nothing of it.
        let unsettled = if way == "IGNORE" { 0 } else { 2 };
        assert_eq!(unstored, [2, unsettled], "{way}: {}", kept(&home));
    }
}

#[test]
fn a_trigger_that_lacks_its_table_delays_rows_and_keeps_settlements_aside() {
    let home = Home::new();
    let (mut store, counters) = keeping(&home);
    let (memory, mut writer) = journal();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    store.apply(&rows, upto).expect("they are written");
    home.run(
        "CREATE TRIGGER a BEFORE UPDATE ON messages WHEN NEW.sequence = 3
         BEGIN INSERT INTO messages_audit VALUES (1); END;",
    );
    writer.settle(1..=3);
    writer.plain(4..=6);
    let (rows, upto) = gather(&memory, upto);
    for _ in 1..STORE_REPEATS_MAX {
        let error = store.apply(&rows, upto).expect_err("it lacks a table");
        let words = error.to_string();
        assert!(words.contains("drop the trigger"), "{words}");
        assert!(!words.contains("schema apply"), "{words}");
    }
    let applied = store.apply(&rows, upto).expect("rows are written");
    assert_eq!((applied.inserted, applied.settled), (3, 0));
    writer.settle(4..=4);
    writer.plain(7..=7);
    let (rows, upto) = gather(&memory, upto);
    let applied = store.apply(&rows, upto).expect("the cause is known");
    assert_eq!((applied.inserted, applied.settled), (1, 0));
    assert_eq!(counters.get(Counter::StoreUnsettled), 4, "{}", kept(&home));
    home.run("DROP TRIGGER a");
    writer.settle(5..=7);
    let (rows, upto) = gather(&memory, upto);
    let applied = store.apply(&rows, upto).expect("all is well");
    assert_eq!(applied.settled, 3);
}

#[test]
fn a_duplicate_that_a_trigger_meets_is_not_taken_for_the_rows_own() {
    let home = Home::new();
    let (mut store, _) = keeping(&home);
    home.run(
        "CREATE TABLE audit (day TEXT PRIMARY KEY);
         CREATE TRIGGER a AFTER INSERT ON messages WHEN NEW.sequence < 3
         BEGIN INSERT INTO audit VALUES ('today'); END;",
    );
    let (memory, mut writer) = journal();
    writer.plain(1..=4);
    let (rows, upto) = gather(&memory, 0);
    let applied = store.apply(&rows, upto).expect("the rest is written");
    assert_eq!((applied.inserted, applied.unstored), (3, 1));
    assert!(kept(&home).contains("audit.day"), "{}", kept(&home));
    assert_eq!(home.ask("SELECT id FROM messages"), ["1", "3", "4"]);
}

#[test]
fn a_row_that_is_refused_is_kept_aside_and_the_rest_goes_on() {
    let home = Home::new();
    let (mut store, _) = keeping(&home);
    home.run(
        "CREATE TRIGGER picky BEFORE INSERT ON messages WHEN NEW.sequence % 3 = 0
         BEGIN SELECT RAISE(ABORT, 'not a third one'); END",
    );
    let (memory, mut writer) = journal();
    writer.plain(1..=7);
    writer.settle(3..=4);
    let (rows, upto) = gather(&memory, 0);
    let applied = store.apply(&rows, upto).expect("the rest is written");
    assert_eq!(
        (applied.inserted, applied.settled, applied.unstored),
        (5, 1, 2)
    );
    assert_eq!(home.ask("SELECT COUNT(*) FROM messages"), ["5"]);
    let kept = kept(&home);
    assert_eq!(kept.lines().count(), 2);
    assert!(
        kept.contains("not a third one") && kept.contains("server1-6-abc"),
        "{kept}"
    );
}

#[test]
fn a_deferred_foreign_key_refuses_its_rows_and_settlements_and_the_rest_goes_on() {
    let home = Home::new();
    home.store();
    home.run(
        "CREATE TABLE states (status TEXT PRIMARY KEY);
         CREATE TABLE rooms (id TEXT PRIMARY KEY);
         INSERT INTO states VALUES ('INGESTED');
         INSERT INTO rooms VALUES ('known');
         ALTER TABLE messages ADD COLUMN room TEXT
             REFERENCES rooms (id) DEFERRABLE INITIALLY DEFERRED;
         ALTER TABLE messages ADD COLUMN state TEXT
             REFERENCES states (status) DEFERRABLE INITIALLY DEFERRED;
         CREATE TRIGGER a AFTER INSERT ON messages BEGIN
             UPDATE messages SET room = iif(NEW.sequence IN (2, 5), 'unknown', 'known')
             WHERE id = NEW.id; END;
         CREATE TRIGGER b AFTER UPDATE OF status ON messages WHEN NEW.sequence IN (3, 6) BEGIN
             UPDATE messages SET state = NEW.status WHERE id = NEW.id; END;",
    );
    let (mut store, counters) = keeping(&home);
    let (memory, mut writer) = journal();
    writer.plain(1..=7);
    let (rows, upto) = gather(&memory, 0);
    let applied = store.apply(&rows, upto).expect("the rest is written");
    assert_eq!((applied.inserted, applied.unstored), (5, 2));
    writer.settle(1..=7);
    let (rows, end) = gather(&memory, upto);
    let applied = store.apply(&rows, end).expect("the rest is settled");
    assert_eq!(applied.settled, 3);
    assert_eq!(store.position().expect("it answers"), end);
    let count = "SELECT COUNT(*), SUM(status = 'DELIVERED') FROM messages";
    assert_eq!(home.ask(count), ["5 | 3"]);
    let unstored = [Counter::StoreUnstored, Counter::StoreUnsettled].map(|it| counters.get(it));
    assert_eq!(unstored, [2, 2], "{}", kept(&home));
    assert!(kept(&home).contains("no row of rooms"), "{}", kept(&home));
}

#[test]
fn a_lock_and_a_full_disk_may_pass() {
    let home = Home::new();
    let mut store = home.store();
    let other = Connection::open(home.path()).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it locks");
    let error = store.apply(&Rows::default(), 5).expect_err("it is locked");
    assert!(matches!(error, StoreError::Transient(_)), "{error}");
    other.execute_batch("ROLLBACK").expect("it unlocks");
    store.apply(&Rows::default(), 5).expect("it is free again");

    let (memory, mut writer) = journal();
    for sequence in 1..=500 {
        writer.plain(sequence..=sequence);
    }
    let (rows, upto) = gather(&memory, 0);
    let session = store.session.as_ref().expect("it is open");
    session
        .connection
        .execute_batch("PRAGMA max_page_count = 12")
        .expect("it can be set");
    let error = store.apply(&rows, upto).expect_err("there is no room");
    assert!(matches!(error, StoreError::NoRoom(_)), "{error}");
    // Opened anew, it has no such limit.
    assert_eq!(
        store.apply(&rows, upto).expect("there is room").inserted,
        500
    );
}
