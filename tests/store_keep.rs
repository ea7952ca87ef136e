//! Old rows at a server: they go while the engine runs, and whatever happens to it.
//!
//! Against a private MariaDB, or against any server: see `support/mariadb.rs`.

#[path = "support/at_server.rs"]
mod at_server;
#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;

use at_server::{engine, engine_by, frames, home, schema, schema_by, send, take_all, words};
use mariadb::MariaDb;
use support::frame;

/// What waits: nobody takes it.
fn waiting(name: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| frame(&format!("{name}-{at}"), "table3", 3))
        .collect()
}

#[test]
fn settled_rows_go_those_that_wait_stay_and_a_kill_in_the_middle_is_harmless() {
    let server = MariaDb::start();
    let home = home();
    let mut sent = 0;
    for round in 0..3 {
        let engine = engine(&server, &home, "keep = \"1s\"");
        take_all(&engine, &["table2"]);
        for part in 0..4 {
            let name = format!("round{round}-{part}");
            assert!(send(&engine, &frames(&name, 1_000)));
            assert!(send(&engine, &waiting(&format!("{name}-waits"), 5)));
        }
        sent += 4_000;
        // While they go.
        engine.wait("rows are removed", |it| {
            it["store_rows_removed"].as_u64() > Some(500)
        });
        engine.kill();
    }
    let last = engine(&server, &home, "keep = \"1s\"");
    take_all(&last, &["table2"]);
    let left = || server.count("SELECT COUNT(*) FROM messages WHERE status <> 'INGESTED'");
    last.wait("all settled rows are gone", |_| left() == 0);
    assert!(sent > 0);
    let query = "SELECT COUNT(*) FROM messages WHERE messageId LIKE '%waits%'";
    assert_eq!(server.count(query), 60);
    assert_eq!(server.count("SELECT COUNT(*) FROM messages"), 60);
    assert_eq!(last.count("store_keep_failing"), 0);
    assert!(last.count("store_oldest_row_seconds") < 3_600);
    assert_eq!(last.stop().code, Some(0));
}

#[test]
fn the_statements_of_a_removal_use_the_primary_key() {
    let server = MariaDb::start();
    let home = home();
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("plan", 3_000)));
    engine.wait("all is stored", |it| it["stored_settled"] == 3_000);
    for statement in [
        "SELECT id, created_at >= '2026-01-01', \
         status <> 'INGESTED' AND COALESCE(delivered_at, created_at) < '2026-01-01' \
         FROM messages FORCE INDEX (PRIMARY) WHERE id >= 1 AND id < 3000 ORDER BY id LIMIT 500",
        "DELETE FROM messages WHERE id IN (1,2,3,4)",
        "SELECT CAST(UNIX_TIMESTAMP(created_at) AS UNSIGNED) FROM messages \
         WHERE id >= 1 AND id <= 3000 ORDER BY id LIMIT 1",
    ] {
        let plan: Vec<mysql::Row> = server.ask(&format!("EXPLAIN {statement}"));
        let [plan] = &plan[..] else {
            panic!("{plan:?}");
        };
        let cell = |name: &str| plan.get::<Option<String>, _>(name).flatten();
        assert_eq!(cell("key").as_deref(), Some("PRIMARY"), "{statement}");
        assert_eq!(cell("type").as_deref(), Some("range"), "{statement}");
        let extra = cell("Extra").unwrap_or_default();
        assert!(!extra.contains("filesort"), "{statement}: {extra}");
    }
}

#[test]
fn a_missing_grant_is_named_and_delays_no_row() {
    let server = MariaDb::start();
    if !server.is_private() {
        return eprintln!("passed over: the server is not ours");
    }
    let home = home();
    assert!(schema(&server, &home, "apply").status.success());
    let url = server.url().replace("engine@", "least@");
    let password = server.password().replace('\\', "\\\\").replace('\'', "''");
    let db = &server.database;
    for statement in [
        format!("CREATE USER least@'%' IDENTIFIED BY '{password}'"),
        format!("GRANT SELECT, INSERT, UPDATE ON {db}.* TO least@'%'"),
    ] {
        server.client().query_drop(statement).expect("it runs");
    }
    let store = format!("[store]\nurl = \"{url}\"\nbatch_time = \"20ms\"\nkeep = \"1s\"");
    let engine = engine_by(&server, &home, &store);
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("least", 100)));
    engine.wait("it is refused", |it| it["store_keep_failing"] == 1);
    let (status, ready) = engine.get("/readyz");
    assert_eq!(status, 200);
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON `{db}`.* TO 'least'@'");
    assert!(ready.contains(&grant), "{ready}");
    assert!(send(&engine, &frames("more", 100)));
    engine.wait("rows go on", |it| it["stored_settled"] == 200);
    assert_eq!(engine.count("store_failing"), 0);
    let settings = home.path().join("flipped-lb.toml");
    std::fs::write(&settings, &store).expect("it is written");
    let checked = words(&schema_by(&server, &home, "check", &url));
    assert!(checked.contains(&grant), "{checked}");
    let grant = format!("GRANT DELETE ON {db}.* TO least@'%'");
    server.client().query_drop(grant).expect("it runs");
    let checked = schema_by(&server, &home, "check", &url);
    assert!(checked.status.success(), "{}", words(&checked));
}

// ---- partitions ----

/// Runs a statement, again where the engine's transactions were in its way.
fn run(server: &MariaDb, statement: &str) {
    const DEADLOCK: u16 = 1213;
    let mut client = server.client();
    loop {
        match client.query_drop(statement) {
            Ok(()) => return,
            Err(mysql::Error::MySqlError(it)) if it.code == DEADLOCK => {}
            Err(error) => panic!("{statement}: {error}"),
        }
    }
}

fn partition_by_day(server: &MariaDb, home: &at_server::Home) -> std::process::Output {
    std::process::Command::new(support::ENGINE)
        .args(["schema", "apply", "--partition-by", "day"])
        .env("FLIPPED_LB_STORE_URL", server.url())
        .env("FLIPPED_LB_STORE_PASSWORD", server.password())
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .current_dir(home.path())
        .output()
        .expect("the engine's binary")
}

#[test]
fn old_days_are_dropped_whole_once_all_their_rows_are_settled() {
    let server = MariaDb::start();
    let home = home();
    let first = engine(&server, &home, "");
    take_all(&first, &["table2"]);
    assert!(send(&first, &frames("three-days", 100)));
    assert!(send(&first, &frames("two-days", 100)));
    assert!(send(&first, &waiting("waits", 1)));
    first.wait("all is stored", |it| {
        it["stored"] == 201 && it["stored_settled"] == 200
    });
    assert_eq!(first.stop().code, Some(0));
    // They came days ago.
    for (name, days) in [("three-days", 3), ("two-days", 2), ("waits", 2)] {
        run(
            &server,
            &format!(
                "UPDATE messages SET created_at = created_at - INTERVAL {days} DAY, \
                 delivered_at = delivered_at - INTERVAL {days} DAY WHERE messageId LIKE '{name}%'"
            ),
        );
    }
    let applied = partition_by_day(&server, &home);
    assert!(applied.status.success(), "{}", words(&applied));
    assert_eq!(schema(&server, &home, "check").status.code(), Some(0));
    let again = words(&partition_by_day(&server, &home));
    assert!(again.contains("as the engine needs it"), "{again}");

    let engine = engine(&server, &home, "keep = \"1d\"");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("today", 50)));
    engine.wait("a day is dropped", |it| it["store_partitions_dropped"] == 1);
    let settled = "SELECT COUNT(*) FROM messages WHERE messageId LIKE '%-days-%'";
    engine.wait("rows of the other day go one by one", |_| {
        server.count(settled) == 0
    });
    let ahead = "SELECT COUNT(*) FROM information_schema.partitions WHERE table_name = 'messages' \
                 AND table_schema = DATABASE() AND TRIM(BOTH '\\'' FROM partition_description) \
                 > CAST(UTC_DATE() AS CHAR)";
    assert!(server.count(ahead) >= 3);
    engine.wait("today is stored", |it| it["stored_settled"] == 50);
    // The one that waited is settled where it is.
    take_all(&engine, &["table3"]);
    engine.wait("it is settled", |it| it["stored_settled"] == 51);
    let rows = "SELECT COUNT(*), COUNT(DISTINCT id), CAST(SUM(status = 'DELIVERED') AS UNSIGNED) \
                FROM messages";
    assert_eq!(server.ask::<(u64, u64, u64)>(rows), [(51, 51, 51)]);
    assert_eq!(engine.count("store_keep_failing"), 0);
    engine.kill();
}

#[test]
fn rows_of_a_partitioned_table_are_settled_once_by_a_table_and_by_name_and_after_a_kill() {
    let server = MariaDb::start();
    let home = home();
    let applied = partition_by_day(&server, &home);
    assert!(applied.status.success(), "{}", words(&applied));
    let statements = [
        "SELECT 1",
        "REVOKE CREATE TEMPORARY TABLES ON `flb\\_%`.* FROM engine@'%'",
    ];
    let mut sent = 0;
    for (round, statement) in statements.iter().enumerate() {
        if server.is_private() {
            run(&server, statement);
        }
        // Stored first, and settled later.
        let engine = engine(&server, &home, "");
        assert!(send(&engine, &frames(&format!("round{round}"), 700)));
        sent += 700;
        engine.wait("rows are there", |it| it["store_lag_messages"] == 0);
        take_all(&engine, &["table2"]);
        engine.wait("some are settled", |it| {
            it["stored_settled"].as_u64() > Some(0)
        });
        engine.kill();
    }
    let last = engine(&server, &home, "");
    last.wait("it has followed", |it| {
        it["store_lag_messages"] == 0 && server.count("SELECT COUNT(*) FROM messages") == sent
    });
    take_all(&last, &["table2"]);
    last.wait("all are settled", |_| {
        server.count("SELECT COUNT(*) FROM messages WHERE status = 'INGESTED'") == 0
    });
    at_server::assert_all_delivered(&server, sent);
}

const OLD_DAYS: u64 = 8;
const LOAD_PER_MS: u128 = 2;

#[test]
fn days_are_dropped_while_two_thousand_messages_a_second_come_and_each_of_these_has_one_row() {
    let server = MariaDb::start();
    far_from_midnight(&server);
    let home = home();
    let first = engine(&server, &home, "");
    take_all(&first, &["table2"]);
    for day in 0..OLD_DAYS {
        assert!(send(&first, &frames(&format!("old{day}"), 20)));
    }
    first.wait("all is stored", |it| it["stored_settled"] == OLD_DAYS * 20);
    assert_eq!(first.stop().code, Some(0));
    // Each came on another day; none may go yet.
    for day in 0..OLD_DAYS {
        let moved = format!(
            "UPDATE messages SET created_at = created_at - INTERVAL {} DAY, \
             delivered_at = delivered_at + INTERVAL 1 DAY WHERE messageId LIKE 'old{day}-%'",
            2 + OLD_DAYS - day
        );
        run(&server, &moved);
    }
    let applied = partition_by_day(&server, &home);
    assert!(applied.status.success(), "{}", words(&applied));

    // A pass each second. Today's rows stay: younger days are not old, whatever `keep` is.
    let engine = engine(&server, &home, "keep = \"1s\"");
    take_all(&engine, &["table2"]);
    let is_over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let load = scope.spawn(|| send_until(&engine, &is_over));
        let over = support::SetOnDrop(&is_over);
        for day in 0..OLD_DAYS {
            let may_go = format!(
                "UPDATE messages SET delivered_at = created_at WHERE messageId LIKE 'old{day}-%'"
            );
            run(&server, &may_go);
            let left = format!("SELECT COUNT(*) FROM messages WHERE messageId LIKE 'old{day}-%'");
            engine.wait("its rows are gone", |_| server.count(&left) == 0);
        }
        // The days that are empty now, and the two behind them, which always were.
        engine.wait("their days are dropped", |it| {
            it["store_partitions_dropped"] == OLD_DAYS + 2
        });
        drop(over);
        load.join().expect("it sends")
    });
    engine.wait("all is accepted and stored", |it| {
        it["accepted"] == sent && it["stored_settled"] == sent
    });
    at_server::assert_all_delivered(&server, sent);
    for name in [
        "store_keep_failing",
        "store_failing",
        "store_retries",
        "store_unstored",
        "store_unsettled",
    ] {
        assert_eq!(engine.count(name), 0, "{name}: {}", engine.log());
    }
    engine.kill();
}

/// Sends at the load's rate until it is over. Returns how many.
fn send_until(engine: &support::Engine, is_over: &AtomicBool) -> u64 {
    let address = engine.ingest.expect("it listens");
    let mut stream = TcpStream::connect(address).expect("the producers' address");
    let (begun, mut sent) = (Instant::now(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_millis() * LOAD_PER_MS) as u64;
        let lines: Vec<_> = (sent..due)
            .map(|at| frame(&format!("load-{at}"), "table2", 2))
            .collect();
        if !lines.is_empty() {
            let lines = format!("{}\n", lines.join("\n"));
            stream.write_all(lines.as_bytes()).expect("it is read");
        }
        sent = due;
        std::thread::sleep(Duration::from_millis(5));
    }
    sent
}

/// At midnight today becomes yesterday, which may go: a test that is about to begin waits until then.
fn far_from_midnight(server: &MariaDb) {
    let left = "SELECT 86400 - TIME_TO_SEC(UTC_TIME())";
    while server.count(left) < 2 * support::PATIENCE.as_secs() {
        std::thread::sleep(Duration::from_secs(1));
    }
}
