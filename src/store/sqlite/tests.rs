//! SQLite: one row a message, its values, its schema, and what a crash leaves.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::*;
use crate::counters::Counter;
use crate::journal::testing::{Memory, TestMessage, TestWriter};
use crate::limits::STORE_REPEATS_MAX;
use crate::store::pace::Pace;
use crate::store::testing::{SEGMENT, gather};
use crate::store::unstored::UNSTORED_FILE;

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("messages.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), "here").expect("it opens")
    }

    /// Somebody else does something to the database.
    fn run(&self, statements: &str) {
        let connection = Connection::open(self.path()).expect("it opens");
        connection.execute_batch(statements).expect("it runs");
    }

    /// The answer of a query, a string a row.
    fn ask(&self, query: &str) -> Vec<String> {
        let connection = Connection::open(self.path()).expect("it opens");
        let mut statement = connection.prepare(query).expect("it is SQL");
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values = (0..columns).map(|it| match row.get_ref(it)? {
                ValueRef::Null => Ok("NULL".to_owned()),
                ValueRef::Integer(value) => Ok(value.to_string()),
                ValueRef::Text(value) => Ok(String::from_utf8_lossy(value).into_owned()),
                other => Ok(format!("{other:?}")),
            });
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(" | "))
        });
        rows.expect("it runs")
            .map(|it| it.expect("a row"))
            .collect()
    }
}

fn journal() -> (Memory, TestWriter<Memory>) {
    let memory = Memory::default();
    (memory.clone(), TestWriter::new(memory, SEGMENT))
}

/// Stores these messages; returns the values of `column`, by sequence.
fn stored(messages: &[TestMessage], column: &str) -> Vec<String> {
    let home = Home::new();
    let memory = Memory::default();
    TestWriter::new(memory.clone(), 1 << 22).messages(messages);
    let mut reader = crate::journal::reader::Reader::new(memory, 1 << 22, 0);
    let mut rows = Rows::default();
    rows.take(&reader.next(Position::MAX).expect("whole").expect("there"));
    home.store()
        .apply(&rows, reader.position())
        .expect("it is written");
    home.ask(&format!("SELECT {column} FROM messages ORDER BY id"))
}

#[test]
fn a_message_is_a_row_with_the_promised_columns() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=1);
    let (rows, upto) = gather(&memory, 0);
    let applied = home.store().apply(&rows, upto).expect("it is written");
    assert_eq!((applied.inserted, applied.settled), (1, 0));
    let columns = "id, messageId, sourceServerId, destinationId, messageType, priority, timestamp, \
                   payload, status, created_at";
    assert_eq!(
        home.ask(&format!(
            "SELECT {columns}, sequence, delivered_at FROM messages"
        )),
        [concat!(
            "1 | server1-1-abc | server1 | table2 | lunch | 2 | 1700000000001 | ",
            r#"{"number":1} | INGESTED | 2023-11-14 22:13:20.000001 | 1 | NULL"#
        )]
    );
    let names = home
        .ask("SELECT name FROM pragma_table_info('messages')")
        .join(", ");
    assert_eq!(names, format!("{columns}, sequence, delivered_at"));
    let indexed = "SELECT i.name FROM pragma_index_list('messages') l, pragma_index_info(l.name) i \
                   ORDER BY 1";
    assert_eq!(
        home.ask(indexed),
        ["destinationId", "priority", "timestamp"]
    );
}

#[test]
fn a_settlement_beside_its_row_costs_no_write_of_its_own() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain([1, 2, 4, 5, 9].into_iter());
    writer.settle([9, 4].into_iter());
    let (rows, upto) = gather(&memory, 0);
    assert!(rows.updates().is_empty());
    let applied = home.store().apply(&rows, upto).expect("it is written");
    assert_eq!((applied.inserted, applied.settled), (5, 2));
    assert_eq!(
        home.ask("SELECT id, delivered_at FROM messages WHERE status = 'DELIVERED' ORDER BY id"),
        [
            "4 | 2023-11-14 22:13:20.000004",
            "9 | 2023-11-14 22:13:20.000009"
        ]
    );
}

#[test]
fn a_later_settlement_updates_its_row_once() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    store.apply(&rows, upto).expect("it is written");
    writer.settle([3, 1, 3, 77].into_iter());
    let (rows, upto) = gather(&memory, upto);
    assert_eq!(rows.updates().len(), 4);
    let applied = store.apply(&rows, upto).expect("it is written");
    assert_eq!((applied.inserted, applied.settled), (0, 2));
    let counts = home.ask("SELECT status, COUNT(*) FROM messages GROUP BY status ORDER BY status");
    assert_eq!(counts, ["DELIVERED | 2", "INGESTED | 1"]);
    let totals = store.totals().expect("it answers");
    assert_eq!((totals.rows, totals.delivered), (3, 2));
}

#[test]
fn rows_and_position_stand_or_fall_together() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    assert_eq!(store.position().expect("it answers"), 0);
    {
        let session = store.session.as_mut().expect("it is open");
        let transaction = session.connection.transaction().expect("it begins");
        transaction::write_without_commit(&transaction, &rows).expect("it writes");
        // Dropped without a commit: the crash.
    }
    drop(store);
    let mut store = home.store();
    assert_eq!(store.position().expect("it answers"), 0);
    assert_eq!(store.totals().expect("it answers").rows, 0);
    store.apply(&rows, upto).expect("it is written");
    drop(store);
    let mut store = home.store();
    assert_eq!(store.position().expect("it answers"), upto);
    assert_eq!(store.totals().expect("it answers").rows, 3);
}

#[test]
fn each_node_has_its_own_position() {
    let home = Home::new();
    let rows = Rows::default();
    home.store().apply(&rows, 77).expect("it is written");
    let mut other = SqliteStore::open(&home.path(), "there").expect("it opens");
    assert_eq!(other.position().expect("it answers"), 0);
    other.apply(&rows, u64::MAX).expect("it is written");
    assert_eq!(other.position().expect("it answers"), u64::MAX);
    assert_eq!(home.store().position().expect("it answers"), 77);
}

#[test]
fn rows_that_are_there_are_known_again_and_settled() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    store.apply(&rows, upto).expect("it is written");
    // The position went back, and the rows did not.
    writer.plain(4..=5);
    writer.settle([2, 5].into_iter());
    let (rows, end) = gather(&memory, 0);
    let applied = store.apply(&rows, end).expect("the others are written");
    assert_eq!(
        (applied.inserted, applied.settled, applied.unstored),
        (2, 2, 0)
    );
    let counts = home.ask("SELECT status, COUNT(*) FROM messages GROUP BY status ORDER BY status");
    assert_eq!(counts, ["DELIVERED | 2", "INGESTED | 3"]);
}

/// A store that keeps what is refused.
fn keeping(home: &Home) -> (SqliteStore, std::sync::Arc<crate::counters::Counters>) {
    let counters = std::sync::Arc::new(crate::counters::Counters::default());
    let log = UnstoredLog::new(home.directory.path(), std::sync::Arc::clone(&counters));
    (home.store().keeping(log), counters)
}

fn kept(home: &Home) -> String {
    std::fs::read_to_string(home.directory.path().join(UNSTORED_FILE)).unwrap_or_default()
}

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
fn another_engine_that_lives_under_the_same_name_stops_the_store() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    let (mut one, mut two) = (home.store(), home.store());
    assert_eq!(
        (one.position().ok(), two.position().ok()),
        (Some(0), Some(0))
    );
    writer.plain(1..=1);
    let (rows, first) = gather(&memory, 0);
    one.apply(&rows, first).expect("it is written");
    // As far as the other one would have come, so that the position alone tells nothing.
    let error = two.apply(&rows, first).expect_err("it was moved");
    assert!(matches!(error, StoreError::Transient(_)), "{error}");
    one.apply(&Rows::default(), first + 8).expect("it lives");
    let error = two.position().expect_err("it was moved again");
    assert!(matches!(error, StoreError::Permanent(_)), "{error}");
    assert!(error.to_string().contains("store_node"), "{error}");
}

#[test]
fn a_position_that_is_gone_is_made_again_and_each_message_has_one_row() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=30);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    store.position().expect("it answers");
    store.apply(&rows, upto).expect("it is written");
    // While it runs: it knows where it was.
    home.run("DELETE FROM store_position");
    writer.plain(31..=31);
    let (more, end) = gather(&memory, upto);
    store.apply(&more, end).expect_err("the row is gone");
    assert_eq!(store.position().expect("it is made again"), upto);
    store.apply(&more, end).expect("it is written");
    drop(store);
    // And with its table, while no engine runs: it finds its rows among those that nobody has.
    home.run("DROP TABLE store_position");
    let mut store = home.store();
    assert_eq!(store.position().expect("it answers"), 0);
    assert_eq!(store.last_sequence().expect("it answers"), None);
    writer.plain(32..=32);
    writer.settle(1..=32);
    let (all, end) = gather(&memory, 0);
    store.apply(&all, end).expect("it is written");
    assert_eq!(store.last_sequence().expect("it answers"), Some(32));
    assert_eq!(
        home.ask("SELECT COUNT(*), MAX(id), SUM(status = 'DELIVERED') FROM messages"),
        ["32 | 32 | 32"]
    );
}

#[test]
fn a_file_that_goes_or_is_none_is_opened_anew_when_there_is_a_right_one() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    store.position().expect("it answers");
    store.apply(&rows, upto).expect("it is written");
    let away = home.path().with_extension("away");
    std::fs::rename(home.path(), &away).expect("it is moved");
    store
        .apply(&Rows::default(), upto + 8)
        .expect_err("it is another file");
    assert_eq!(store.position().expect("a new one"), 0);
    store.apply(&rows, upto).expect("it is filled");
    assert_eq!(home.ask("SELECT COUNT(*) FROM messages"), ["3"]);
    drop(store);

    for spoil in [
        |path: &Path| std::fs::write(path, "hello, I am no database".repeat(99)).expect("a file"),
        |path: &Path| std::fs::create_dir(path).expect("a directory"),
    ] {
        let path = home.path().with_extension("spoilt");
        spoil(&path);
        let mut store = SqliteStore::new(&path, "here");
        for _ in 0..2 {
            let error = store.position().expect_err("no database");
            assert!(matches!(error, StoreError::Transient(_)), "{error}");
            assert!(error.to_string().contains("move it away"), "{error}");
        }
        std::fs::rename(&path, &away)
            .or_else(|_| std::fs::remove_dir(&path))
            .expect("away");
        assert_eq!(store.position().expect("a new one"), 0);
        drop(store);
        std::fs::remove_file(&path).expect("it is there");
        let _ = std::fs::remove_file(&away);
    }
}

#[test]
fn tables_that_are_gone_are_named_by_check_and_made_again() {
    use crate::store::schema::Schema as _;
    let home = Home::new();
    let (memory, mut writer) = journal();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let schema = SqliteSchema::new(&home.path());
    for (spoil, words) in [
        (
            "ALTER TABLE messages RENAME TO messages_old",
            "no table messages",
        ),
        ("DROP TABLE store_position", "no table store_position"),
        (
            "ALTER TABLE messages DROP COLUMN payload",
            "messages.payload is not there",
        ),
    ] {
        drop(home.store());
        home.run(spoil);
        let found = schema.check().expect("it answers");
        assert!(
            found.iter().any(|it| it.what.contains(words)),
            "{spoil}: {found:?}"
        );
        schema.apply().expect("it is mended");
        assert_eq!(schema.check().expect("it answers"), [], "{spoil}");
        let mut store = home.store();
        store.position().expect("it answers");
        store.apply(&rows, upto).expect("it is written");
        assert_eq!(home.ask("SELECT COUNT(*) FROM messages"), ["3"]);
        home.run("DROP TABLE messages");
        let error = store.apply(&rows, upto).expect_err("it is gone");
        assert!(matches!(error, StoreError::Transient(_)), "{error}");
        store.position().expect("it is there again");
        home.run("DROP TABLE store_position; DROP TABLE IF EXISTS messages_old");
    }
    home.run(
        "DROP TABLE messages; DELETE FROM schema_version;
         CREATE TABLE messages (tenant TEXT NOT NULL)",
    );
    let found = schema.check().expect("it answers");
    assert!(
        found.iter().any(|it| it.what.contains("messages.tenant")),
        "{found:?}"
    );
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
    assert!(matches!(error, StoreError::Transient(_)), "{error}");
    // Opened anew, it has no such limit.
    assert_eq!(
        store.apply(&rows, upto).expect("there is room").inserted,
        500
    );
}

#[test]
fn the_schema_is_applied_once_and_a_newer_one_is_refused() {
    let home = Home::new();
    drop(home.store());
    drop(home.store());
    assert_eq!(home.ask("SELECT version FROM schema_version"), ["1", "2"]);
    let connection = Connection::open(home.path()).expect("it opens");
    connection
        .execute_batch("INSERT INTO schema_version VALUES (9, 'later')")
        .expect("it writes");
    let error = SqliteStore::open(&home.path(), "here").expect_err("it is newer");
    assert!(error.to_string().contains("schema version 9"), "{error}");
}

#[test]
fn escaped_fields_are_stored_as_values() {
    let raw = [
        r#"a\"b\\"#,
        r"tab\t",
        r"\u0041",
        r"\ud83c\udf5c",
        "🍜",
        r"nul\u0000end",
        r"\ud800",
    ];
    let values = ["a\"b\\", "tab\t", "A", "🍜", "🍜", "nul\0end", "\u{fffd}"];
    let messages = (1..).zip(raw).map(|(sequence, id)| TestMessage {
        id: id.to_owned(),
        ..TestMessage::new(sequence)
    });
    assert_eq!(stored(&messages.collect::<Vec<_>>(), "messageId"), values);
}

#[test]
fn payloads_are_stored_as_they_came() {
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(65_000));
    let payloads = [
        None,
        Some("{}"),
        Some(r#"{ "a\u0000": "🍜\n" }"#),
        Some(&large),
    ];
    let messages = (1..).zip(payloads).map(|(sequence, payload)| TestMessage {
        payload: payload.map(str::to_owned),
        ..TestMessage::new(sequence)
    });
    let expected = payloads.map(|it| it.unwrap_or("NULL"));
    assert_eq!(stored(&messages.collect::<Vec<_>>(), "payload"), expected);
}

#[test]
fn closing_leaves_one_file() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=9);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    store.apply(&rows, upto).expect("it is written");
    store.close().expect("it tidies");
    drop(store);
    assert_eq!(
        std::fs::read_dir(home.directory.path())
            .expect("it lists")
            .count(),
        1
    );
}

/// A database as another program made it: the ten columns, and what else.
fn older(home: &Home, rest: &str) {
    let connection = Connection::open(home.path()).expect("it opens");
    let table = format!(
        "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, messageId TEXT, \
         sourceServerId TEXT, destinationId TEXT, messageType TEXT, priority INTEGER, \
         timestamp BIGINT, payload TEXT, status TEXT, created_at DATETIME{rest});
         INSERT INTO messages (id, messageId, status) VALUES (7, 'old', 'DELIVERED');"
    );
    connection.execute_batch(&table).expect("it writes");
}

#[test]
fn an_older_table_is_named_at_start_and_mended_by_apply() {
    use crate::store::schema::Schema as _;
    let home = Home::new();
    older(&home, "");
    let error = SqliteStore::open(&home.path(), "here").expect_err("it is older");
    let error = error.to_string();
    assert!(error.contains("messages.sequence is not there"), "{error}");
    assert!(error.contains("ADD COLUMN delivered_at TEXT"), "{error}");
    let schema = SqliteSchema::new(&home.path());
    assert_eq!(
        schema.check().expect("it answers").len(),
        4,
        "columns and files"
    );
    schema.apply().expect("it is mended");
    assert_eq!(schema.check().expect("it answers"), []);
    assert!(schema.apply().expect("nothing to do").is_empty());

    let (memory, mut writer) = journal();
    writer.plain(1..=2);
    writer.settle(2..=2);
    let (rows, upto) = gather(&memory, 0);
    home.store().apply(&rows, upto).expect("it is written");
    let base = 1_u64 << 48;
    assert_eq!(
        home.ask("SELECT id, messageId, sequence, status FROM messages ORDER BY id"),
        [
            "7 | old | NULL | DELIVERED".to_owned(),
            format!("{} | server1-1-abc | 1 | INGESTED", base + 1),
            format!("{} | server1-2-abc | 2 | DELIVERED", base + 2),
        ]
    );
}

#[test]
fn engines_that_share_a_file_do_not_meet() {
    let home = Home::new();
    let (memory, mut writer) = journal();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let mut there = SqliteStore::open(&home.path(), "there").expect("it opens");
    home.store().apply(&rows, upto).expect("it is written");
    there.apply(&rows, upto).expect("it is written");
    writer.settle(1..=3);
    let (rows, upto) = gather(&memory, upto);
    assert_eq!(there.apply(&rows, upto).expect("it is written").settled, 3);
    let counts = home.ask("SELECT status, COUNT(*) FROM messages GROUP BY status ORDER BY status");
    assert_eq!(counts, ["DELIVERED | 3", "INGESTED | 3"]);
}

#[test]
fn a_transaction_in_pieces_writes_what_one_at_a_stretch_does() {
    let (memory, mut writer) = journal();
    for first in (1..=81).step_by(10) {
        writer.plain(first..=first + 9);
    }
    writer.settle(1..=60);
    let (mut rows, upto) = gather(&memory, 0);
    writer.settle(61..=80);
    let (mut late, end) = gather(&memory, upto);
    let written = [Pace::Bulk, Pace::Paced].map(|pace| {
        let home = Home::new();
        let mut store = home.store();
        rows.set_pace(pace);
        late.set_pace(pace);
        store.apply(&rows, upto).expect("rows");
        store.apply(&late, end).expect("settlements");
        assert_eq!(store.position().expect("it is kept"), end);
        home.ask("SELECT * FROM messages ORDER BY id")
    });
    assert_eq!(written[0].len(), 90);
    assert_eq!(written[0], written[1]);
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
