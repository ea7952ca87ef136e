//! The store at a server: one row a message, whatever happens to the server or the engine.
//!
//! Against a private MariaDB, or against any server: see `support/mariadb.rs`.

#[path = "support/at_server.rs"]
mod at_server;
#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::collections::BTreeMap;

use mysql::prelude::Queryable;
use serde_json::{Value, json};

use at_server::{
    assert_all_delivered, engine, frames, home, schema, send, take_all, wait_for_rows, words,
};
use mariadb::MariaDb;
use support::Subscriber;

// ---- values ----

/// Strings that a careless statement would cut, end or change.
const STRANGE: [&str; 8] = [
    "plain",
    "it's \"quoted\" `so`",
    "back\\slash\\",
    "tab\tnewline\ncr\r",
    "nul\0end",
    "\\N",
    "🍜 ü 漢字",
    "'); DROP TABLE messages; --",
];

fn strange_frame(at: usize) -> Value {
    let text = STRANGE[at % STRANGE.len()];
    let large = "x\\'\n🍜".repeat(if at == 3 { 5_000 } else { 1 });
    let mut frame = json!({
        "messageId": format!("{text}-{at}"),
        "sourceServerId": format!("s {text}"),
        "destinationId": "table2",
        "messageType": format!("t {text}"),
        "priority": 1 + at % 3,
        "timestamp": 1_700_000_000_000_u64 + at as u64,
        "payload": { "text": text, "large": large, "n": at },
    });
    if at == 5 {
        frame.as_object_mut().expect("an object").remove("payload");
    }
    frame
}

type StoredRow = (String, String, String, u8, u64, Option<String>, String);

fn assert_values(server: &MariaDb, sent: &[Value]) {
    let query = "SELECT messageId, sourceServerId, messageType, priority, `timestamp`, payload, \
                 status FROM messages";
    let rows: BTreeMap<String, StoredRow> = server
        .ask::<StoredRow>(query)
        .into_iter()
        .map(|it| (it.0.clone(), it))
        .collect();
    assert_eq!(rows.len(), sent.len());
    for frame in sent {
        let text = |name: &str| frame[name].as_str().expect("text");
        let row = &rows[text("messageId")];
        assert_eq!(
            (&*row.1, &*row.2),
            (text("sourceServerId"), text("messageType"))
        );
        assert_eq!(
            json!([row.3, row.4]),
            json!([frame["priority"], frame["timestamp"]])
        );
        let payload = row
            .5
            .as_ref()
            .map(|it| serde_json::from_str::<Value>(it).expect("JSON"));
        assert_eq!(payload.as_ref(), frame.get("payload"));
        assert_eq!(row.6, "DELIVERED");
    }
}

#[test]
fn strings_arrive_whole_by_load_and_by_insert_and_the_password_is_nowhere() {
    let server = MariaDb::start();
    let mut sent = Vec::new();
    for (local, name) in [(1, "load"), (0, "insert")] {
        if !server.is_private() && local == 0 {
            break;
        }
        if server.is_private() {
            let set = format!("SET GLOBAL local_infile = {local}");
            server.client().query_drop(set).expect("a setting");
        }
        let home = home();
        let engine = engine(&server, &home, "");
        take_all(&engine, &["table2"]);
        let new: Vec<Value> = (0..64)
            .map(|at| {
                let mut frame = strange_frame(at);
                let id = format!("{name} {}", frame["messageId"].as_str().expect("text"));
                frame["messageId"] = id.into();
                frame
            })
            .collect();
        let lines: Vec<String> = new.iter().map(Value::to_string).collect();
        assert!(send(&engine, &lines));
        sent.extend(new);
        wait_for_rows(&engine, 64);
        assert_values(&server, &sent);
        let (_, stats) = engine.get("/stats");
        let ended = engine.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert_eq!(
            ended.log.contains("rows go by INSERT"),
            local == 0,
            "{}",
            ended.log
        );
        let said = format!("{}{}{stats}", ended.log, ended.stdout);
        assert!(!said.contains(server.password()), "{said}");
    }
    let distinct = "SELECT COUNT(DISTINCT id) FROM messages";
    assert_eq!(server.count(distinct), sent.len() as u64);
}

#[test]
fn rows_are_updated_when_their_messages_are_settled_later() {
    let server = MariaDb::start();
    let home = home();
    let engine = engine(&server, &home, "batch_rows = 50");
    assert!(send(&engine, &frames("early", 500)));
    engine.wait("all is stored", |it| it["stored"] == 500);
    let waiting =
        "SELECT COUNT(*) FROM messages WHERE status = 'INGESTED' AND delivered_at IS NULL";
    assert_eq!(server.count(waiting), 500);
    take_all(&engine, &["table2"]);
    wait_for_rows(&engine, 500);
    assert_all_delivered(&server, 500);
    let (_, metrics) = engine.get("/metrics");
    assert!(
        metrics.contains("flipped_lb_store_lag_messages 0"),
        "{metrics}"
    );
    let (status, ready) = engine.get("/readyz");
    assert_eq!(status, 200, "{ready}");
}

// ---- poison ----

#[test]
fn a_poison_row_is_split_out_and_kept_with_the_servers_words() {
    let server = MariaDb::start();
    let home = home();
    let output = schema(&server, &home, "apply");
    assert!(output.status.success(), "{}", words(&output));
    let check = "ALTER TABLE messages ADD CONSTRAINT picky CHECK (messageType <> 'poison')";
    server.client().query_drop(check).expect("a constraint");
    for local in [1, 0] {
        if server.is_private() {
            let set = format!("SET GLOBAL local_infile = {local}");
            server.client().query_drop(set).expect("a setting");
        }
        let engine = engine(&server, &home, "");
        take_all(&engine, &["table2"]);
        let poison = |at: usize| at == 7 || at == 8 || at == 199;
        let lines: Vec<String> = frames(&format!("mixed{local}"), 200)
            .into_iter()
            .enumerate()
            .map(|(at, line)| match poison(at) {
                true => line.replace("lunch", "poison"),
                false => line,
            })
            .collect();
        assert!(send(&engine, &lines));
        engine.wait("all is followed", |it| {
            it["stored_settled"] == 197 && it["store_unstored"] == 3
        });
        // What comes later goes on.
        assert!(send(&engine, &frames(&format!("after{local}"), 10)));
        wait_for_rows(&engine, 207);
        assert_eq!(engine.stop().code, Some(0));
    }
    assert_all_delivered(&server, 2 * 207);
    let kept = support::lines_of(&home.path().join("data/unstored.ndjson"));
    assert_eq!(kept.len(), 6);
    for line in kept {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert!(
            line["reason"].as_str().expect("words").contains("picky"),
            "{line}"
        );
        let frame: Value =
            serde_json::from_str(line["line"].as_str().expect("text")).expect("JSON");
        assert_eq!(frame["messageType"], "poison");
    }
}

#[test]
fn a_large_load_that_the_server_refuses_ends_and_a_poison_row_in_it_stands_alone() {
    const COUNT: u64 = 20_000;
    let server = MariaDb::start();
    let home = home();
    let output = schema(&server, &home, "apply");
    assert!(output.status.success(), "{}", words(&output));
    let check = "ALTER TABLE messages ADD CONSTRAINT picky CHECK (messageType <> 'poison')";
    let mut client = server.client();
    client.query_drop(check).expect("a constraint");
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    client
        .query_drop("LOCK TABLES messages WRITE")
        .expect("a lock");
    let mut lines = frames("large", COUNT as usize);
    lines[12_345] = lines[12_345].replace("lunch", "poison");
    assert!(send(&engine, &lines));
    // The statement waits for the table without asking for its rows, and is given up.
    engine.wait("a load was given up", |it| {
        it["store_retries"].as_u64() > Some(0)
    });
    assert_eq!(engine.count("stored"), 0);
    client.query_drop("UNLOCK TABLES").expect("no lock");
    engine.wait("all is followed", |it| {
        it["stored_settled"] == COUNT - 1 && it["store_unstored"] == 1
    });
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(&server, COUNT - 1);
    let kept = support::lines_of(&home.path().join("data/unstored.ndjson"));
    assert_eq!(kept.len(), 1);
}

// ---- servers and engines that go ----

#[test]
fn a_server_killed_while_it_is_written_to_has_one_row_a_message() {
    let mut server = MariaDb::start();
    if !server.is_private() {
        return eprintln!("passed over: the server is not ours to kill");
    }
    server.client();
    // The engine comes first, and delivers without it.
    server.kill();
    let home = home();
    // So few rows a batch that they are not all stored when the server is killed.
    let engine = engine(&server, &home, "batch_rows = 10");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    for round in 0..5 {
        assert!(send(&engine, &frames(&format!("round{round}"), 1_900)));
        let before = engine.count("stored");
        server.resume();
        // It is killed while it has taken some of them.
        engine.wait("it is written to", |it| {
            it["stored"].as_u64() > Some(before + 300)
        });
        server.kill();
        // Whether or not it had all of them by then, there is more to be written.
        assert!(send(&engine, &frames(&format!("later{round}"), 100)));
        assert_eq!(subscriber.frames(2_000).len(), 2_000);
        engine.wait("it is missed", |it| it["store_failing"] == 1);
        let (status, ready) = engine.get("/readyz");
        assert_eq!(
            status, 200,
            "a store that is behind takes no work from anybody: {ready}"
        );
        assert!(ready.contains("degraded"), "{ready}");
    }
    server.resume();
    wait_for_rows(&engine, 10_000);
    assert_all_delivered(&server, 10_000);
    let stats = engine.wait("it is through", |it| it["store_failing"] == 0);
    assert_eq!(stats["store_lag_messages"], 0);
    assert!(stats["store_retries"].as_u64() > Some(4), "{stats}");
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_journal_that_was_lost_goes_on_behind_the_server_or_without_it() {
    let mut server = MariaDb::start();
    if !server.is_private() {
        return eprintln!("passed over: the server is not ours to kill");
    }
    let home = home();
    let first = engine(&server, &home, "");
    take_all(&first, &["table2"]);
    assert!(send(&first, &frames("old", 20)));
    wait_for_rows(&first, 20);
    first.kill();
    let journal = home.path().join("data/journal");
    std::fs::rename(&journal, home.path().join("elsewhere")).expect("moved");
    // Down at start: the engine delivers all the same.
    server.kill();
    let without = engine(&server, &home, "");
    assert!(without.log().contains("the engine starts all the same"));
    assert_eq!(without.count("store_ahead_bytes"), 0);
    without.kill();
    std::fs::remove_dir_all(&journal).expect("it is there");
    server.resume();
    let behind = engine(&server, &home, "");
    assert!(behind.count("store_ahead_bytes") > 0);
    take_all(&behind, &["table2"]);
    assert!(send(&behind, &frames("new", 20)));
    wait_for_rows(&behind, 20);
    assert_all_delivered(&server, 40);
    assert_eq!(
        server.ask::<u64>("SELECT CAST(MAX(sequence) AS UNSIGNED) FROM messages"),
        [40]
    );
    assert_eq!(behind.stop().code, Some(0));
}

#[test]
fn an_engine_killed_while_it_writes_has_one_row_a_message() {
    let server = MariaDb::start();
    let home = home();
    let mut sent = Vec::new();
    for round in 0..5 {
        let engine = engine(&server, &home, "batch_rows = 100");
        take_all(&engine, &["table2"]);
        let lines = frames(&format!("round{round}"), 2_000);
        assert!(send(&engine, &lines));
        sent.extend(lines);
        let begun = engine.count("stored");
        let target = begun + fastrand::u64(1..1_500);
        engine.wait("it writes", |it| {
            it["stored"].as_u64() > Some(target.min(1_900))
        });
        engine.kill();
    }
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    engine.wait("it is through", |it| {
        it["queued"] == 0 && it["in_flight"] == 0 && it["store_lag_messages"] == 0
    });
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(&server, sent.len() as u64);
}

/// What may be wrong at the server for a while.
struct Trouble {
    name: &'static str,
    begin: &'static [&'static str],
    cuts_connections: bool,
    end: &'static str,
}

const TROUBLES: [Trouble; 4] = [
    Trouble {
        name: "a table that is locked",
        begin: &["LOCK TABLES messages WRITE"],
        cuts_connections: false,
        end: "UNLOCK TABLES",
    },
    Trouble {
        name: "a position that another transaction holds",
        begin: &[
            "START TRANSACTION",
            "SELECT * FROM store_position FOR UPDATE",
        ],
        cuts_connections: false,
        end: "ROLLBACK",
    },
    Trouble {
        name: "a server that is read-only",
        begin: &["SET GLOBAL read_only = 1"],
        cuts_connections: false,
        end: "SET GLOBAL read_only = 0",
    },
    Trouble {
        name: "connections that are cut, and no new ones",
        begin: &["ALTER USER engine@'%' ACCOUNT LOCK"],
        cuts_connections: true,
        end: "ALTER USER engine@'%' ACCOUNT UNLOCK",
    },
];

impl Trouble {
    fn begin(&self, client: &mut mysql::Conn) {
        for statement in self.begin {
            client.query_drop(statement).expect(statement);
        }
        if self.cuts_connections {
            let query = "SELECT id FROM information_schema.processlist WHERE user = 'engine'";
            for id in client.query::<u64, _>(query).expect("a list") {
                client
                    .query_drop(format!("KILL {id}"))
                    .expect("it is there");
            }
        }
    }
}

#[test]
fn trouble_at_the_server_delays_rows_and_nothing_else() {
    let server = MariaDb::start();
    if !server.is_private() {
        return eprintln!("passed over: the server's settings are not ours to change");
    }
    let home = home();
    let engine = engine(&server, &home, "");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    assert!(send(&engine, &frames("before", 300)));
    assert_eq!(subscriber.frames(300).len(), 300);
    wait_for_rows(&engine, 300);
    let mut stored = 300;
    for trouble in TROUBLES {
        let name = trouble.name;
        let mut client = server.client();
        trouble.begin(&mut client);
        assert!(send(&engine, &frames(name, 300)), "{name}");
        assert_eq!(subscriber.frames(300).len(), 300, "{name}");
        engine.wait(name, |it| it["store_lag_messages"].as_u64() > Some(0));
        assert_eq!(engine.count("stored"), stored, "{name}");
        client.query_drop(trouble.end).expect(trouble.end);
        stored += 300;
        wait_for_rows(&engine, stored);
    }
    assert_all_delivered(&server, stored);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn engines_share_a_database_and_a_new_data_directory_is_a_new_engine() {
    let server = MariaDb::start();
    let homes = [home(), home(), home()];
    let engines = homes.each_ref().map(|home| engine(&server, home, ""));
    for (at, engine) in engines.iter().enumerate() {
        take_all(engine, &["table2"]);
        assert!(send(engine, &frames(&format!("engine{at}"), 200)));
    }
    for engine in &engines {
        wait_for_rows(engine, 200);
    }
    for engine in engines {
        assert_eq!(engine.stop().code, Some(0));
    }
    let query =
        "SELECT COUNT(*), COUNT(DISTINCT messageId), COUNT(DISTINCT sequence) FROM messages";
    assert_eq!(server.ask::<(u64, u64, u64)>(query), [(600, 600, 200)]);
    assert_eq!(server.count("SELECT COUNT(*) FROM store_position"), 3);
}

// ---- the schema ----

/// The table of an older engine: ten columns, a 32-bit id, no two rows with one messageId.
const OLDER: &str = "CREATE TABLE messages (
    id INT AUTO_INCREMENT PRIMARY KEY,
    messageId VARCHAR(255) NOT NULL UNIQUE,
    sourceServerId VARCHAR(50) NOT NULL,
    destinationId VARCHAR(50) NOT NULL,
    messageType VARCHAR(50) NOT NULL,
    priority INT NOT NULL,
    timestamp BIGINT NOT NULL,
    payload TEXT,
    status VARCHAR(20) DEFAULT 'INGESTED',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
) DEFAULT CHARACTER SET latin1";

#[test]
fn an_older_table_is_named_by_check_mended_by_apply_and_keeps_its_rows() {
    let server = MariaDb::start();
    let home = home();
    let mut client = server.client();
    client.query_drop(OLDER).expect("a table");
    let row = "INSERT INTO messages (messageId, sourceServerId, destinationId, messageType, priority, \
               timestamp, payload, status, created_at) VALUES ('caf\u{e9}', 's', 'table2', 'lunch', 2, 7, \
               '{\"n\":1}', 'DELIVERED', '2024-01-02 03:04:05')";
    client
        .query_drop("SET time_zone = '+00:00'")
        .expect("a setting");
    client.query_drop(row).expect("a row");

    let checked = schema(&server, &home, "check");
    assert_eq!(checked.status.code(), Some(1));
    let said = words(&checked);
    for part in [
        "column messages.id is int",
        "MODIFY id BIGINT NOT NULL",
        "column messages.sequence is not there",
        "ADD COLUMN delivered_at",
        "latin1",
        "unique",
        "column messages.priority has no index",
    ] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(part), "{part}: {said}");
    }

    // An engine that meets it delivers, says what is wrong, and goes on once it is mended.
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("new", 50)));
    engine.wait("it is refused", |it| it["store_failing"] == 1);
    engine.wait_for_log("messages.sequence is not there");
    let applied = schema(&server, &home, "apply");
    assert!(applied.status.success(), "{}", words(&applied));
    wait_for_rows(&engine, 50);

    assert_eq!(schema(&server, &home, "check").status.code(), Some(0));
    let again = words(&schema(&server, &home, "apply"));
    assert!(again.contains("as the engine needs it"), "{again}");
    let old = "SELECT id, messageId, payload, CAST(created_at AS CHAR), sequence FROM messages \
               WHERE sequence IS NULL";
    type Old = (i64, String, String, String, Option<u64>);
    let kept = server.ask::<Old>(old);
    let row = (
        1,
        "caf\u{e9}",
        "{\"n\":1}",
        "2024-01-02 03:04:05.000000",
        None,
    );
    let kept: Vec<_> = kept
        .iter()
        .map(|it| (it.0, &*it.1, &*it.2, &*it.3, it.4))
        .collect();
    assert_eq!(kept, [row]);
    assert_eq!(server.count("SELECT COUNT(*) FROM messages"), 51);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_schema_is_shown_made_and_found_right() {
    let server = MariaDb::start();
    let home = home();
    let shown = words(&schema(&server, &home, "show"));
    assert!(
        shown.contains("CREATE TABLE IF NOT EXISTS messages"),
        "{shown}"
    );
    let checked = schema(&server, &home, "check");
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        words(&checked).contains("there is no database"),
        "{}",
        words(&checked)
    );
    assert!(schema(&server, &home, "apply").status.success());
    assert_eq!(schema(&server, &home, "check").status.code(), Some(0));
    let columns = "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) \
                   FROM information_schema.columns \
                   WHERE table_schema = DATABASE() AND table_name = 'messages'";
    assert_eq!(
        server.ask::<String>(columns),
        [
            "id,messageId,sourceServerId,destinationId,messageType,priority,timestamp,payload,status,\
          created_at,sequence,delivered_at,room"
        ]
    );
    let uncommented = "SELECT COUNT(*) FROM information_schema.columns \
                       WHERE table_schema = DATABASE() AND column_comment = ''";
    assert_eq!(server.count(uncommented), 0);
    for (statement, mend) in [
        (
            "ALTER TABLE messages DROP COLUMN delivered_at",
            "ADD COLUMN delivered_at",
        ),
        ("ALTER TABLE messages MODIFY payload TEXT", "MODIFY payload"),
        (
            "ALTER TABLE messages DROP INDEX messages_timestamp",
            "ADD INDEX messages_timestamp",
        ),
        (
            "ALTER TABLE messages ADD COLUMN theirs INT NOT NULL",
            "MODIFY `theirs` int(11) NULL",
        ),
        ("ALTER TABLE messages ENGINE = MyISAM", "ENGINE = InnoDB"),
    ] {
        server.client().query_drop(statement).expect(statement);
        let said = words(&schema(&server, &home, "check"));
        assert!(said.contains(mend), "{statement}: {said}");
        assert!(
            schema(&server, &home, "apply").status.success(),
            "{statement}"
        );
        assert!(
            schema(&server, &home, "check").status.success(),
            "{statement}"
        );
    }
}
