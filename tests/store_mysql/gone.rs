//! Servers and engines that go.

use super::*;

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
