//! What a server may refuse, cut or lose: rows are late for it, and delivery does not notice.
//!
//! Against private MariaDB servers: their settings are changed. What a kill does is in
//! `store_mysql.rs`.

#[path = "support/at_server.rs"]
mod at_server;
#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;

use at_server::{
    Home, assert_all_delivered, engine, engine_by, frames, home, schema_by, send, take_all,
    wait_for_rows, words,
};
use mariadb::MariaDb;
use support::{Engine, PATIENCE, Subscriber};

/// A server of our own; `None`: another one is to be used, and must not be changed.
fn private(options: &[&str]) -> Option<MariaDb> {
    let server = MariaDb::start_with(options);
    if !server.is_private() {
        eprintln!("passed over: the server's settings are not ours to change");
        return None;
    }
    Some(server)
}

/// Waits until the server's answer to a query is this.
fn wait_until(client: &mut Conn, query: &str, is_right: impl Fn(u64) -> bool) {
    let begun = Instant::now();
    loop {
        let found: Option<u64> = client.query_first(query).expect(query);
        if found.is_some_and(&is_right) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{query}: {found:?}");
        // The server looks at its transactions anew only if nobody asked for a tenth of a second.
        std::thread::sleep(Duration::from_millis(150));
    }
}

fn run(client: &mut Conn, statement: &str) {
    client.query_drop(statement).expect(statement);
}

/// An engine whose first ten messages were delivered and stored; and who took them.
fn engine_with_ten_rows(server: &MariaDb, home: &Home) -> (Engine, Subscriber) {
    let engine = engine(server, home, "");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert!(send(&engine, &frames("before", 10)));
    assert_eq!(subscriber.frames(10).len(), 10);
    wait_for_rows(&engine, 10);
    (engine, subscriber)
}

// ---- locks ----

#[test]
fn a_deadlock_that_the_engine_loses_delays_its_rows() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    let (engine, mut subscriber) = engine_with_ten_rows(&server, &home);
    // It holds the next row, and has done so much that the engine's transaction is the lesser one.
    let mut other = server.client();
    run(&mut other, "START TRANSACTION");
    let mut insert = |id: u64| {
        let row = "INSERT INTO messages (id, messageId, sourceServerId, destinationId, messageType, \
                   priority, `timestamp`, status, created_at) \
                   VALUES (?, 'theirs', 's', 'd', 't', 1, 0, 'INGESTED', '2024-01-01')";
        other.exec_drop(row, (id,)).expect(row);
    };
    (1_000_000..1_000_100).for_each(&mut insert);
    insert(11);
    assert!(send(&engine, &frames("after", 100)));
    assert_eq!(subscriber.frames(100).len(), 100);
    let waiting =
        "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    wait_until(&mut server.client(), waiting, |it| it == 1);
    run(&mut other, "SELECT * FROM store_position FOR UPDATE");
    run(&mut other, "ROLLBACK");
    wait_for_rows(&engine, 110);
    engine.wait_for_log("(error 1213)");
    assert_all_delivered(&server, 110);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn locks_that_are_held_longer_than_anybody_waits_delay_rows() {
    let Some(server) = private(&[]) else { return };
    let homes = [("row", home()), ("table", home())];
    let [by_row, by_table] = homes
        .each_ref()
        .map(|(name, home)| engine(&server, home, &format!("node = \"{name}\"")));
    for (engine, name) in [(&by_row, "row"), (&by_table, "table")] {
        take_all(engine, &["table2"]);
        assert!(send(engine, &frames(name, 10)));
        wait_for_rows(engine, 10);
    }
    let mut of_row = server.client();
    run(&mut of_row, "START TRANSACTION");
    let lock = "SELECT * FROM store_position WHERE node = 'row' FOR UPDATE";
    run(&mut of_row, lock);
    let mut of_table = server.client();
    run(&mut of_table, "LOCK TABLES messages WRITE");
    for (engine, name) in [(&by_row, "row"), (&by_table, "table")] {
        assert!(send(engine, &frames(&format!("{name} later"), 20)));
    }
    // Rows and tables have settings of their own, and one code.
    by_row.wait_for_log("(error 1205)");
    by_table.wait_for_log("(error 1205)");
    run(&mut of_row, "ROLLBACK");
    run(&mut of_table, "UNLOCK TABLES");
    for engine in [by_row, by_table] {
        wait_for_rows(&engine, 30);
        assert_eq!(engine.stop().code, Some(0));
    }
    let query = "SELECT COUNT(DISTINCT messageId) FROM messages WHERE status = 'DELIVERED'";
    assert_eq!(server.count(query), 60);
}

// ---- connections ----

#[test]
fn a_server_that_cuts_idle_connections_or_has_none_left_delays_rows() {
    let Some(server) = private(&["--max-connections=10"]) else {
        return;
    };
    let home = home();
    // Who comes from here on is cut, and this one is not.
    let mut client = server.client();
    run(&mut client, "SET GLOBAL wait_timeout = 1");
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("before", 50)));
    wait_for_rows(&engine, 50);
    let engines = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'engine'";
    run(&mut client, "SET GLOBAL wait_timeout = 600");
    wait_until(&mut client, engines, |it| it == 0);
    let mut all = vec![client];
    while let Ok(client) = server.connect(None) {
        all.push(client);
    }
    assert!(send(&engine, &frames("after", 50)));
    engine.wait_for_log("(error 1040); it has too many connections");
    assert_eq!(engine.count("stored"), 50);
    drop(all);
    wait_for_rows(&engine, 100);
    assert_all_delivered(&server, 100);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_lag_is_told_while_the_server_does_not_answer() {
    let Some(server) = private(&[]) else { return };
    let home = home();
    let (engine, mut subscriber) = engine_with_ten_rows(&server, &home);
    let mut client = server.client();
    run(&mut client, "LOCK TABLES messages WRITE");
    let mut sent = 10;
    for burst in ["first", "more"] {
        assert!(send(&engine, &frames(burst, 10)));
        assert_eq!(subscriber.frames(10).len(), 10);
        sent += 10;
        // No statement has ended meanwhile: there is nothing to try again.
        engine.wait("the lag is told", |it| {
            it["store_lag_messages"].as_u64() == Some(sent - 10)
                && it["store_lag_seconds"].as_u64() >= Some(1)
                && it["store_retries"] == 0
        });
    }
    run(&mut client, "UNLOCK TABLES");
    wait_for_rows(&engine, sent);
    engine.wait("there is no lag", |it| {
        it["store_lag_messages"] == 0 && it["store_lag_seconds"] == 0
    });
    assert_all_delivered(&server, sent);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_connection_killed_within_a_large_load_leaves_one_row_a_message() {
    const COUNT: u64 = 20_000;
    let Some(server) = private(&[]) else { return };
    let home = home();
    let (engine, mut subscriber) = engine_with_ten_rows(&server, &home);
    // In the middle of its rows, the load will wait for this lock.
    let mut holder = server.client();
    run(&mut holder, "DO GET_LOCK('brake', 0)");
    let mut client = server.client();
    let brake = "CREATE TRIGGER brake BEFORE INSERT ON messages FOR EACH ROW \
                 IF NEW.messageId = 'large-10000' \
                 THEN DO GET_LOCK('brake', 600); DO RELEASE_LOCK('brake'); END IF";
    run(&mut client, brake);
    run(&mut client, "LOCK TABLES messages WRITE");
    assert!(send(&engine, &frames("large", COUNT as usize)));
    assert_eq!(subscriber.frames(COUNT as usize).len(), COUNT as usize);
    engine.wait("all rows wait for one load", |it| {
        it["store_lag_messages"].as_u64() >= Some(COUNT)
    });
    run(&mut client, "UNLOCK TABLES");
    let braked = "SELECT id FROM information_schema.processlist WHERE state = 'User lock'";
    wait_until(
        &mut client,
        &format!("SELECT COUNT(*) FROM ({braked}) b"),
        |it| it == 1,
    );
    // The rows before it may be of the load before.
    let rows = "SELECT MAX(trx_rows_modified) FROM information_schema.innodb_trx";
    wait_until(&mut client, rows, |it| it > 0);
    let id: Option<u64> = client.query_first(braked).expect(braked);
    run(&mut client, &format!("KILL {}", id.expect("it waits")));
    engine.wait("it is missed", |it| it["store_retries"].as_u64() > Some(0));
    run(&mut holder, "DO RELEASE_LOCK('brake')");
    wait_for_rows(&engine, COUNT + 10);
    assert_all_delivered(&server, COUNT + 10);
    assert_eq!(engine.stop().code, Some(0));
}

// ---- room ----

#[test]
fn a_server_without_room_delays_rows_until_there_is_some() {
    let data = |most: &str| format!("--innodb-data-file-path=ibdata1:12M:autoextend:max:{most}");
    let shared = "--innodb-file-per-table=0";
    let Some(mut server) = private(&[shared, &data("16M")]) else {
        return;
    };
    let home = home();
    let engine = engine(&server, &home, "");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let long = "x".repeat(4_000);
    let lines: Vec<String> = frames("long", 4_000)
        .iter()
        .map(|it| it.replace("\"n\":1", &format!("\"n\":\"{long}\"")))
        .collect();
    assert!(send(&engine, &lines));
    assert_eq!(subscriber.frames(4_000).len(), 4_000);
    engine.wait_for_log("(error 1114); make room at the server");
    server.kill();
    server.set_options(&[shared, &data("512M")]);
    server.resume();
    wait_for_rows(&engine, 4_000);
    assert_all_delivered(&server, 4_000);
    assert_eq!(engine.stop().code, Some(0));
}

// ---- TLS ----

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl: install the Debian package openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

/// An authority, a server's certificate that it signed, and another authority.
fn certificates() -> Home {
    let home = home();
    let folder = home.path();
    for name in ["ca", "other"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server \
         -keyout server.key -out server.csr",
    );
    let names = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
    std::fs::write(folder.join("names"), names).expect("it is written");
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out server.pem",
    );
    home
}

#[test]
fn rows_go_over_tls_and_an_authority_that_did_not_sign_is_refused() {
    let certificates = certificates();
    let at = |name: &str| certificates.path().join(name).display().to_string();
    let options = [
        format!("--ssl-cert={}", at("server.pem")),
        format!("--ssl-key={}", at("server.key")),
    ];
    let Some(server) = private(&options.each_ref().map(String::as_str)) else {
        return;
    };
    run(&mut server.client(), "ALTER USER engine@'%' REQUIRE SSL");
    let home = home();
    let check = |options: &str| {
        let url = format!("{}{options}", server.url());
        let said = words(&schema_by(&server, &home, "apply", &url));
        assert!(!said.contains(server.password()), "{said}");
        said
    };
    let plain = check("");
    assert!(plain.contains("1045"), "{plain}");
    let wrong = check(&format!("?ssl-ca={}", at("other.pem")));
    assert!(
        wrong.contains("certificate") && wrong.contains("ssl-ca"),
        "{wrong}"
    );
    for right in [
        format!("?ssl-ca={}", at("ca.pem")),
        format!("?ssl-mode=verify-identity&ssl-ca={}", at("ca.pem")),
        "?ssl-mode=required".to_owned(),
    ] {
        let said = check(&right);
        assert!(!said.contains("error"), "{right}: {said}");
    }
    let url = format!(
        "{}?ssl-mode=verify-identity&ssl-ca={}",
        server.url(),
        at("ca.pem")
    );
    let engine = engine_by(&server, &home, &format!("[store]\nurl = \"{url}\"\n"));
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("private", 200)));
    wait_for_rows(&engine, 200);
    assert_all_delivered(&server, 200);
    assert_eq!(engine.stop().code, Some(0));
}
