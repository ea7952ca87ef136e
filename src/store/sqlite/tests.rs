//! SQLite: one row a message, its values, its schema, and what a crash leaves.

use rusqlite::Connection;

use super::*;
use crate::journal::testing::{Memory, TestMessage, TestWriter};
use crate::store::pace::Pace;
use crate::store::testing::{SEGMENT, gather};

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
        let transaction = store.connection.transaction().expect("it begins");
        let times = (&mut TextTime::new(), &mut TextTime::new());
        insert(&transaction, rows.iter(), 0, times, |_, error| Err(error)).expect("it writes");
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
fn the_same_sequence_twice_is_refused_with_what_to_do() {
    let (memory, mut writer) = journal();
    let home = Home::new();
    writer.plain(1..=3);
    let (rows, upto) = gather(&memory, 0);
    let mut store = home.store();
    store.apply(&rows, upto).expect("it is written");
    let error = store
        .apply(&rows, upto + 1)
        .expect_err("these rows are there");
    assert!(matches!(error, StoreError::Permanent(_)), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(store.position().expect("it answers"), upto);
}

#[test]
fn a_lock_and_a_full_disk_may_pass_and_a_stranger_does_not() {
    let home = Home::new();
    let mut store = home.store();
    store
        .connection
        .busy_timeout(Duration::ZERO)
        .expect("it can be set");
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
    store
        .connection
        .execute_batch("PRAGMA max_page_count = 12")
        .expect("it can be set");
    let error = store.apply(&rows, upto).expect_err("there is no room");
    assert!(matches!(error, StoreError::Transient(_)), "{error}");
    store
        .connection
        .execute_batch("PRAGMA max_page_count = 2000000")
        .expect("it can be set");
    assert_eq!(
        store.apply(&rows, upto).expect("there is room").inserted,
        500
    );

    std::fs::write(home.path().with_extension("txt"), "hello, I am no database").expect("a file");
    let error = SqliteStore::open(&home.path().with_extension("txt"), "here").expect_err("no");
    assert!(matches!(error, StoreError::Permanent(_)), "{error}");
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
    let values = ["a\"b\\", "tab\t", "A", "🍜", "🍜", "nul\0end", r"\ud800"];
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
    let written = [Pace::AtAStretch, Pace::InPieces].map(|pace| {
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
    let counters = std::sync::Arc::new(crate::counters::Counters::default());
    let log = UnstoredLog::new(home.directory.path(), counters);
    let mut store = home.store().keeping(log);
    let connection = Connection::open(home.path()).expect("it opens");
    connection
        .execute_batch(
            "CREATE TRIGGER picky BEFORE INSERT ON messages WHEN NEW.sequence % 3 = 0
             BEGIN SELECT RAISE(ABORT, 'not a third one'); END",
        )
        .expect("a trigger");
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
    let kept = std::fs::read_to_string(home.directory.path().join(UNSTORED_FILE)).expect("there");
    assert_eq!(kept.lines().count(), 2);
    assert!(
        kept.contains("not a third one") && kept.contains("server1-6-abc"),
        "{kept}"
    );
}
