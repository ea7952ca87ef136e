//! Tables: made once, checked, mended.

use super::*;
use crate::store::schema::Schema as _;

#[test]
fn tables_that_are_gone_are_named_by_check_and_made_again() {
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
