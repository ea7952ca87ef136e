//! How far the store has come: each node by itself, whatever becomes of the row, the table or the file
//! that says so.

use super::*;

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
