//! What others do to the store's database: triggers, grants, lost tables, a copied data directory,
//! modes of the server. Each message has one row or is kept aside, and the rest goes on.
//!
//! Against private MariaDB servers: their settings and accounts are changed.

#[path = "support/at_server.rs"]
mod at_server;
#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use serde_json::Value;

use at_server::{
    Home, assert_all_delivered, engine, engine_by, frames, home, schema, schema_by, send, take_all,
    wait_for_rows, words,
};
use mariadb::MariaDb;
use support::{Engine, PATIENCE, Subscriber};

fn private(options: &[&str]) -> Option<MariaDb> {
    let server = MariaDb::start_with(options);
    if !server.is_private() {
        eprintln!("passed over: the server is not ours to change");
        return None;
    }
    Some(server)
}

fn run(server: &MariaDb, statement: &str) {
    server.client().query_drop(statement).expect(statement);
}

/// The lines of `unstored.ndjson`.
fn kept(home: &Home) -> Vec<Value> {
    let lines = support::lines_of(&home.path().join("data/unstored.ndjson"));
    let parsed = lines.iter().map(|it| serde_json::from_str(it));
    parsed.map(|it| it.expect("JSON")).collect()
}

/// An engine whose first ten messages were delivered and stored.
fn engine_with_ten_rows(server: &MariaDb, home: &Home) -> Engine {
    let engine = engine(server, home, "");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("before", 10)));
    wait_for_rows(&engine, 10);
    engine
}

// ---- triggers ----

#[test]
fn what_a_trigger_refuses_is_kept_aside_and_the_rest_goes_on() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    assert!(schema(&server, &home, "apply").status.success());
    run(&server, "CREATE TABLE audit (day VARCHAR(20) PRIMARY KEY)");
    run(
        &server,
        "CREATE TRIGGER a AFTER INSERT ON messages FOR EACH ROW \
         IF NEW.messageId LIKE '%-3' THEN INSERT INTO audit VALUES ('today'); END IF",
    );
    run(
        &server,
        "CREATE TRIGGER b BEFORE UPDATE ON messages FOR EACH ROW IF NEW.messageId LIKE '%-5' \
         THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001, MESSAGE_TEXT = 'not that one'; END IF",
    );
    let engine = engine(&server, &home, "");
    // Two rows end with 3, and the audit has one place for both. Nobody takes them yet.
    for name in ["one", "two"] {
        assert!(send(&engine, &frames(name, 10)));
    }
    engine.wait("rows are there", |it| {
        it["stored"] == 19 && it["store_unstored"] == 1
    });
    take_all(&engine, &["table2"]);
    engine.wait("settled", |it| {
        it["stored_settled"] == 17 && it["store_unsettled"] == 2
    });
    assert!(send(&engine, &frames("later", 2)));
    wait_for_rows(&engine, 19);
    let kept = kept(&home);
    let reasons: Vec<_> = kept
        .iter()
        .map(|it| it["reason"].as_str().expect("words"))
        .collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(reasons[0].contains("PRIMARY"), "{reasons:?}");
    assert!(reasons[1].contains("not that one"), "{reasons:?}");
    assert_eq!(kept[1]["settlement"], "DELIVERED");
    assert_eq!(engine.stop().code, Some(0));
    let left = "SELECT COUNT(*) FROM messages WHERE status = 'INGESTED'";
    assert_eq!(server.count(left), 2);
}

#[test]
fn what_a_trigger_refuses_in_every_try_is_kept_aside_whatever_its_error_is() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    assert!(schema(&server, &home, "apply").status.success());
    for (event, id, action) in [
        ("BEFORE INSERT", 3, "INSERT INTO nowhere VALUES (1)"),
        ("BEFORE UPDATE", 5, "INSERT INTO nowhere VALUES (1)"),
        (
            "BEFORE UPDATE",
            6,
            "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'dead'",
        ),
        (
            "AFTER UPDATE",
            7,
            "INSERT INTO messages (messageId) VALUES ('x')",
        ),
    ] {
        let trigger = format!(
            "CREATE TRIGGER t{id} {event} ON messages FOR EACH ROW \
             IF NEW.messageId LIKE '%-{id}' THEN {action}; END IF"
        );
        run(&server, &trigger);
    }
    let engine = engine(&server, &home, "");
    assert!(send(&engine, &frames("one", 10)));
    engine.wait("rows are there", |it| {
        it["stored"] == 9 && it["store_unstored"] == 1
    });
    take_all(&engine, &["table2"]);
    engine.wait("settled", |it| {
        it["stored_settled"] == 6 && it["store_unsettled"] == 3
    });
    assert!(send(&engine, &frames("later", 2)));
    wait_for_rows(&engine, 8);
    engine.wait_for_log("drop the trigger");
    let log = engine.log();
    assert!(!log.contains("schema apply"), "{log}");
    assert_eq!(kept(&home).len(), 4, "{:?}", kept(&home));
    assert_eq!(engine.stop().code, Some(0));
    let left = "SELECT COUNT(*) FROM messages WHERE status = 'INGESTED'";
    assert_eq!(server.count(left), 3);
}

// ---- what is lost ----

#[test]
fn a_position_that_is_gone_is_found_again_and_each_message_has_one_row() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    let engine = engine_with_ten_rows(&server, &home);
    run(&server, "DELETE FROM store_position");
    assert!(send(&engine, &frames("running", 10)));
    wait_for_rows(&engine, 20);
    engine.wait_for_log("is made again");
    engine.kill();
    run(&server, "DROP TABLE store_position");
    let engine = at_server::engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("restarted", 10)));
    engine.wait("all is followed", |it| {
        it["stored"] == 10 && it["store_lag_messages"] == 0
    });
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(&server, 30);
    assert_eq!(server.count("SELECT MAX(id) FROM messages"), 30);
}

#[test]
fn tables_that_are_gone_are_made_again_and_filled() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    let engine = engine_with_ten_rows(&server, &home);
    run(&server, "RENAME TABLE messages TO messages_old");
    let checked = schema(&server, &home, "check");
    assert!(
        words(&checked).contains("CREATE TABLE"),
        "{}",
        words(&checked)
    );
    // The engine may create them, but who renames a table may not be done.
    assert!(!checked.status.success());
    let applied = schema(&server, &home, "apply");
    assert!(applied.status.success(), "{}", words(&applied));
    assert!(send(&engine, &frames("running", 10)));
    wait_for_rows(&engine, 20);
    assert_all_delivered(&server, 10);
    // A server that was lost, and replaced by an empty one.
    run(&server, &format!("DROP DATABASE {}", server.database));
    assert!(send(&engine, &frames("after", 10)));
    engine.wait("it is filled again", |it| {
        it["store_failing"] == 0 && it["stored"] == 50
    });
    assert_all_delivered(&server, 30);
    assert_eq!(engine.stop().code, Some(0));
}

// ---- a copy ----

#[test]
fn an_engine_with_a_copied_data_directory_is_found_out() {
    let Some(server) = private(&[]) else { return };
    let (original, copy) = (home(), home());
    engine_with_ten_rows(&server, &original).stop();
    let copied = Command::new("cp")
        .arg("-r")
        .args([original.path().join("data"), copy.path().join("data")])
        .status();
    assert!(copied.expect("the command cp").success());
    let engines = [&original, &copy].map(|it| engine(&server, it, ""));
    let told = |it: &Engine| it.log().contains("a copy of this data directory");
    let begun = Instant::now();
    for round in 0.. {
        for (at, engine) in engines.iter().enumerate() {
            assert!(send(engine, &frames(&format!("{at} {round}"), 1)));
        }
        std::thread::sleep(Duration::from_millis(100));
        if engines
            .iter()
            .any(|it| it.log().contains("the store has stopped") && told(it))
        {
            break;
        }
        let logs = || engines.each_ref().map(Engine::log);
        assert!(begun.elapsed() < PATIENCE, "{:?}", logs());
    }
    let has_stopped = |it: &Engine| it.log().contains("the store has stopped");
    let stopped = engines.iter().position(has_stopped).expect("it was seen");
    let (status, ready) = engines[stopped].get("/readyz");
    assert!(
        status == 200 && ready.contains("the store fails"),
        "{ready}"
    );
    // The other one goes on: each of its messages is a row or kept aside.
    let other = &engines[1 - stopped];
    other.wait("it follows", |it| it["store_lag_messages"] == 0);
}

// ---- accounts ----

#[test]
fn an_account_with_the_least_grants_stores_and_what_is_lacking_is_named() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    assert!(schema(&server, &home, "apply").status.success());
    let (user, url) = ("least", server.url().replace("engine@", "least@"));
    let password = server.password().replace('\\', "\\\\").replace('\'', "''");
    run(
        &server,
        &format!("CREATE USER {user}@'%' IDENTIFIED BY '{password}'"),
    );
    let db = &server.database;
    for table in ["messages", "store_position"] {
        run(
            &server,
            &format!("GRANT SELECT, INSERT, UPDATE ON {db}.{table} TO {user}@'%'"),
        );
    }
    let engine = engine_by(
        &server,
        &home,
        &format!("[store]\nurl = \"{url}\"\nbatch_time = \"20ms\""),
    );
    assert!(send(&engine, &frames("least", 700)));
    engine.wait("rows are there", |it| it["stored"] == 700);
    take_all(&engine, &["table2"]);
    wait_for_rows(&engine, 700);
    assert_all_delivered(&server, 700);
    assert_eq!(engine.stop().code, Some(0));
    let checked = schema_by(&server, &home, "check", &url);
    assert!(checked.status.success(), "{}", words(&checked));

    run(
        &server,
        &format!("REVOKE UPDATE ON {db}.messages FROM {user}@'%'"),
    );
    let checked = words(&schema_by(&server, &home, "check", &url));
    let grant = format!("GRANT SELECT, INSERT, UPDATE ON `{db}`.* TO '{user}'@'");
    assert!(checked.contains(&grant), "{checked}");
    run(&server, &format!("ALTER USER {user}@'%' REQUIRE SSL"));
    let checked = words(&schema_by(&server, &home, "check", &url));
    assert!(checked.contains("ssl-mode=required"), "{checked}");
}

// ---- modes ----

#[test]
fn a_server_with_odd_settings_has_one_row_a_message() {
    let odd = [
        "--autocommit=0",
        "--completion-type=CHAIN",
        "--init-connect=SET sql_safe_updates = 1, sql_select_limit = 1, autocommit = 0",
        "--default-time-zone=+09:00",
        "--default-storage-engine=MyISAM",
        "--lower-case-table-names=1",
        "--max-allowed-packet=16384",
        "--transaction-isolation=SERIALIZABLE",
    ];
    let statements = ["--log-bin=b", "--binlog-format=STATEMENT", "--server-id=1"];
    for (options, local) in [(&odd[..], 1), (&odd[..], 0), (&statements[..], 1)] {
        let Some(server) = private(options) else {
            return;
        };
        run(&server, &format!("SET GLOBAL local_infile = {local}"));
        run(
            &server,
            "SET GLOBAL sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,TRADITIONAL'",
        );
        let home = home();
        let engine = engine(&server, &home, "");
        assert!(send(&engine, &frames("odd", 300)));
        engine.wait("rows are there", |it| it["stored"] == 300);
        take_all(&engine, &["table2"]);
        wait_for_rows(&engine, 300);
        assert!(send(&engine, &frames("even", 300)));
        wait_for_rows(&engine, 600);
        assert_all_delivered(&server, 600);
        let checked = schema(&server, &home, "check");
        assert!(checked.status.success(), "{options:?}: {}", words(&checked));
        assert_eq!(engine.stop().code, Some(0));
    }
}

#[test]
fn an_index_on_the_messages_own_ids_can_be_made() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    assert!(schema(&server, &home, "apply").status.success());
    run(&server, "CREATE INDEX by_id ON messages (messageId)");
    run(
        &server,
        "CREATE INDEX by_customer ON messages (destinationId, messageId, created_at)",
    );
    assert!(schema(&server, &home, "check").status.success());
    // As an earlier engine made it: right, and with the statement for who wants an index.
    run(
        &server,
        "ALTER TABLE messages DROP INDEX by_id, DROP INDEX by_customer, DROP COLUMN room, \
         ROW_FORMAT = REDUNDANT",
    );
    let engine = engine_with_ten_rows(&server, &home);
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(&server, 10);
    let checked = schema(&server, &home, "check");
    let said = words(&checked);
    assert!(checked.status.success(), "{said}");
    let statement = said.lines().find(|it| it.contains("ALTER TABLE messages"));
    run(&server, statement.expect("it names the statement"));
    run(&server, "CREATE INDEX by_id ON messages (messageId)");
    assert!(!words(&schema(&server, &home, "check")).contains("note"));
    assert_all_delivered(&server, 10);
}

// ---- the end ----

#[test]
fn a_server_that_hangs_holds_up_neither_the_end_nor_the_start() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    let settings = server.settings("stop_timeout = \"1s\"");
    let engine = engine_by(&server, &home, &settings);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert!(send(&engine, &frames("before", 10)));
    wait_for_rows(&engine, 10);
    server.signal("STOP");
    assert!(send(&engine, &frames("hung", 10)));
    assert_eq!(subscriber.frames(20).len(), 20);
    let begun = Instant::now();
    let ended = engine.stop();
    // A hanging connection is given up after 30 s by itself.
    assert!(begun.elapsed() < Duration::from_secs(25), "{}", ended.log);
    assert!(
        ended.log.contains("are not in the store yet"),
        "{}",
        ended.log
    );
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let engine = engine_by(&server, &home, &settings);
    assert!(send(&engine, &frames("started", 10)));
    take_all(&engine, &["table2"]);
    engine.wait("it delivers", |it| it["settled"] == 10);
    server.signal("CONT");
    engine.wait("all is stored", |it| {
        it["store_lag_messages"] == 0 && it["stored"] == 20
    });
    assert_all_delivered(&server, 30);
    assert_eq!(engine.stop().code, Some(0));
}
