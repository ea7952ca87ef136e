//! SQLite: one row a message, its values, and what a crash leaves.

mod position;
mod refused;
mod schema;

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
