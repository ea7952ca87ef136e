//! `flipped-lb report`: exact figures out of both stores, beside the engine that writes them.
//!
//! Against SQLite and a private MariaDB, or against any server: see `support/mariadb.rs`.

#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::sync::Arc;

use mysql::prelude::Queryable;
use serde_json::{Value, json};

use mariadb::MariaDb;
use support::{ENGINE, Engine, PATIENCE, Subscriber};

const STATEMENTS: [&str; 6] = [
    "priority", "customer", "hour", "slowest", "waiting", "position",
];

/// An engine that has stored six messages, five of them delivered, and still runs.
fn run_with(store: &str, password: &str) -> Engine {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let settings = format!("source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n{store}");
    let mut command = Command::new(ENGINE);
    command.env("FLIPPED_LB_STORE_PASSWORD", password);
    let engine = Engine::start_by(command, home, &settings);
    let mut subscriber = Subscriber::new(&engine, &["table1", "table2"], false);
    send(&engine);
    subscriber.frames(5);
    engine.wait("all is stored", |it| {
        it["stored"] == 6 && it["stored_settled"] == 5
    });
    engine
}

fn send(engine: &Engine) {
    let messages = [
        ("a", "table1", "dinner", 1),
        ("b", "table1", "dinner", 1),
        ("c", "table1", "lunch", 2),
        ("d", "table2", "lunch", 2),
        ("e", "table2", "lunch", 2),
        // Nobody takes it.
        ("f", "table3", "lunch", 3),
    ];
    let mut lines = "{\"producer\":{\"ack\":true}}\n".to_owned();
    for (id, destination, message_type, priority) in messages {
        let message = json!({
            "messageId": id, "sourceServerId": "kitchen", "destinationId": destination,
            "messageType": message_type, "priority": priority,
        });
        lines.push_str(&format!("{message}\n"));
    }
    let address = engine.ingest.expect("it listens");
    let mut stream = TcpStream::connect(address).expect("the producers' address");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(lines.as_bytes()).expect("it takes them");
    let mut acks = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(
        acks.any(|it| it.contains("\"ack\":6")),
        "no acknowledgement"
    );
}

/// `flipped-lb report` with the settings of the engine.
fn report(engine: &Engine, password: &str, args: &[&str]) -> Output {
    Command::new(ENGINE)
        .arg("report")
        .args(args)
        .env("FLIPPED_LB_DATA_DIR", engine.data_dir())
        .env("FLIPPED_LB_STORE_PASSWORD", password)
        .current_dir(engine.home.path())
        .output()
        .expect("the engine's binary")
}

/// `flipped-lb report` where there is no engine.
fn report_alone(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary directory");
    Command::new(ENGINE)
        .arg("report")
        .args(args)
        .current_dir(folder.path())
        .output()
        .expect("the engine's binary")
}

fn out(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn refused(output: &Output, code: i32) -> String {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words}");
    assert!(output.stdout.is_empty());
    words
}

fn assert_figures(report: &Value) {
    assert_eq!(
        report["priority"],
        json!([
            {"priority": 1, "messages": 2},
            {"priority": 2, "messages": 3},
            {"priority": 3, "messages": 1},
        ])
    );
    let customer = |id: &str, message_type: &str, count: u64| json!({"destinationId": id, "messageType": message_type, "messages": count});
    assert_eq!(
        report["customer"],
        json!([
            customer("table1", "dinner", 2),
            customer("table2", "lunch", 2),
            customer("table1", "lunch", 1),
        ])
    );
    let waiting = report["waiting"].as_array().expect("rows");
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["destinationId"], "table3");
    assert_eq!(waiting[0]["messages"], 1);
    assert!(
        waiting[0]["oldest"]
            .as_str()
            .expect("a moment")
            .starts_with("20")
    );
    let sum = |name: &str| {
        let rows = report[name].as_array().expect("rows").iter();
        rows.map(|it| it["messages"].as_u64().expect("a count"))
            .sum::<u64>()
    };
    // A run may begin in one hour and end in the next.
    assert_eq!((sum("hour"), sum("slowest")), (6, 5));
    let hours = report["hour"].as_array().expect("rows").iter();
    assert!(
        hours
            .clone()
            .all(|it| it["hour"].as_u64().is_some_and(|it| it < 24))
    );
    let positions = report["position"].as_array().expect("rows");
    assert_eq!(positions.len(), 1);
    assert!(positions[0]["position"].as_u64().expect("a place") > 0);
}

/// The latencies of the report are those that a test works out from the moments in the rows.
fn assert_latencies(report: &Value, rows: &[(String, String, String)]) {
    for customer in report["slowest"].as_array().expect("rows") {
        let own = rows.iter().filter(|it| customer["destinationId"] == it.0);
        let mut latencies: Vec<_> = own.map(|it| micros(&it.2) - micros(&it.1)).collect();
        latencies.sort_unstable();
        let nearest = |percent: usize| latencies[(latencies.len() * percent).div_ceil(100) - 1];
        assert_eq!(customer["p50_us"], nearest(50));
        assert_eq!(customer["p95_us"], nearest(95));
        assert_eq!(customer["max_us"], nearest(100));
        let average = latencies.iter().sum::<i64>() as f64 / latencies.len() as f64;
        let told = customer["average_us"].as_f64().expect("a number");
        assert!((told - average).abs() <= 0.051, "{told} {average}");
    }
}

fn micros(moment: &str) -> i64 {
    let moment: jiff::Timestamp = format!("{moment}Z").parse().expect("a moment");
    moment.as_microsecond()
}

/// As if the clock had been set back before the messages were delivered.
const CLOCK_SET_BACK: &str = "UPDATE messages SET delivered_at = '2020-01-01 00:00:00.000001' WHERE delivered_at IS NOT NULL";

fn assert_no_latency_is_negative(report: &str) {
    let report: Value = serde_json::from_str(report).expect("JSON");
    let customers = report["slowest"].as_array().expect("rows");
    assert_eq!(customers.len(), 2);
    let figures = ["average_us", "p50_us", "p95_us", "max_us"];
    for figure in customers
        .iter()
        .flat_map(|it| figures.map(|name| &it[name]))
    {
        assert_eq!(figure.as_f64(), Some(0.0), "{report}");
    }
}

fn assert_tables(text: &str) {
    let lines = text
        .lines()
        .map(|it| it.split_whitespace().collect::<Vec<_>>());
    let lines: Vec<_> = lines.map(|it| it.join(" ")).collect();
    for line in ["priority messages", "1 2", "total 6", "table1 dinner 2"] {
        assert!(lines.iter().any(|it| it == line), "{line}: {text}");
    }
    assert!(!text.lines().any(|it| it.ends_with(' ')), "{text}");
}

/// The statements of `--sql`, as a client would take them apart.
fn statements(sql: &str) -> Vec<&str> {
    let statements: Vec<_> = sql
        .split(";\n")
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(statements.len(), STATEMENTS.len(), "{sql}");
    statements
}

fn in_sqlite(connection: &rusqlite::Connection, query: &str) -> Value {
    use rusqlite::types::Value as Cell;
    let mut statement = connection.prepare(query).expect(query);
    let names: Vec<_> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let rows = statement.query_map([], |row| {
        let cells = names.iter().enumerate().map(|(at, name)| {
            let cell = match row.get(at)? {
                Cell::Null => Value::Null,
                Cell::Integer(it) => json!(it),
                Cell::Real(it) => json!(it),
                Cell::Text(it) => json!(it),
                Cell::Blob(_) => panic!("a blob"),
            };
            Ok((name.clone(), cell))
        });
        cells.collect::<rusqlite::Result<_>>().map(Value::Object)
    });
    rows.expect(query).map(|it| it.expect("a row")).collect()
}

/// Each row as its cells' text: what the server sends.
fn in_mysql(server: &MariaDb, query: &str) -> Vec<Vec<String>> {
    let rows: Vec<mysql::Row> = server.client().query(query).expect(query);
    let text = |cell: mysql::Value| match cell {
        mysql::Value::Bytes(bytes) => String::from_utf8(bytes).expect("text"),
        cell => panic!("{cell:?}"),
    };
    rows.into_iter()
        .map(|row| row.unwrap().into_iter().map(text).collect())
        .collect()
}

#[test]
fn sqlite_answers_beside_the_engine() {
    let engine = run_with("[store]\nbatch_time = \"20ms\"\n", "");
    let told: Value = serde_json::from_str(&out(&report(&engine, "", &["--json"]))).expect("JSON");
    assert_figures(&told);
    assert_tables(&out(&report(&engine, "", &[])));

    let database = engine.data_dir().join("messages.db");
    let connection = rusqlite::Connection::open(&database).expect("a database");
    let sql = out(&report(&engine, "", &["--sql"]));
    for (name, query) in STATEMENTS.iter().zip(statements(&sql)) {
        assert_eq!(in_sqlite(&connection, query), told[name], "{query}");
    }
    let query = "SELECT destinationId, created_at, delivered_at FROM messages \
                 WHERE delivered_at IS NOT NULL";
    let mut statement = connection.prepare(query).expect("a query");
    let rows = statement.query_map([], |it| Ok((it.get(0)?, it.get(1)?, it.get(2)?)));
    let rows: Vec<_> = rows.expect("rows").map(|it| it.expect("a row")).collect();
    assert_latencies(&told, &rows);
    drop(statement);
    assert_served_by_the_index(&connection, &statements(&sql));

    // The engine has noticed nothing, and its database answers when it has gone as well.
    assert_eq!(engine.count("store_retries"), 0);
    let home = Arc::clone(&engine.home);
    assert_eq!(engine.stop().code, Some(0));
    let url = format!("sqlite:{}", home.path().join("data/messages.db").display());
    let told = out(&report_alone(&["--url", &url, "--json"]));
    assert_figures(&serde_json::from_str(&told).expect("JSON"));
    let changed = connection.execute(CLOCK_SET_BACK, []);
    assert_eq!(changed.expect("a database"), 5);
    assert_no_latency_is_negative(&out(&report_alone(&["--url", &url, "--json"])));
}

/// As `priority.sql` says of itself.
fn assert_served_by_the_index(connection: &rusqlite::Connection, statements: &[&str]) {
    let plan = in_sqlite(connection, &format!("EXPLAIN QUERY PLAN {}", statements[0]));
    let plan = plan.to_string();
    assert!(plan.contains("COVERING INDEX messages_priority"), "{plan}");
}

#[test]
fn a_server_answers_beside_the_engine() {
    let server = MariaDb::start();
    let engine = run_with(&server.settings(""), server.password());
    let ask = |args: &[&str]| {
        let args = [&["--config", "flipped-lb.toml"], args].concat();
        out(&report(&engine, server.password(), &args))
    };
    let told: Value = serde_json::from_str(&ask(&["--json"])).expect("JSON");
    assert_figures(&told);
    assert_tables(&ask(&[]));

    let sql = ask(&["--sql"]);
    for (name, query) in STATEMENTS.iter().zip(statements(&sql)) {
        let rows = in_mysql(&server, query);
        let told = told[name].as_array().expect("rows");
        assert_eq!(rows.len(), told.len(), "{query}");
        for (row, told) in rows.iter().zip(told) {
            let mut cells: Vec<_> = row.clone();
            let told = told.as_object().expect("a row").values();
            let mut told: Vec<_> = told
                .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
                .collect();
            // An object's members are in no order.
            cells.sort();
            told.sort();
            assert_eq!(cells, told, "{query}");
        }
    }
    let query = "SELECT destinationId, CAST(created_at AS CHAR), CAST(delivered_at AS CHAR) \
                 FROM messages WHERE delivered_at IS NOT NULL";
    assert_latencies(&told, &server.ask(query));
    assert_eq!(engine.count("store_retries"), 0);

    // With a wrong password, a missing table and a missing database it says what to do.
    let wrong = report(&engine, "swordfish", &["--url", &server.url()]);
    let words = refused(&wrong, 1);
    assert!(words.contains("check user and password"), "{words}");
    let gone = server.url().replace("/flb_test", "/flb_gone");
    let words = refused(&report(&engine, server.password(), &["--url", &gone]), 1);
    assert!(words.contains("schema apply"), "{words}");
    server
        .client()
        .query_drop(CLOCK_SET_BACK)
        .expect("it takes it");
    assert_no_latency_is_negative(&ask(&["--json"]));
    engine.kill();
    server
        .client()
        .query_drop("DROP TABLE messages")
        .expect("it goes");
    let url = server.url();
    let words = Command::new(ENGINE)
        .args(["report", "--url", &url])
        .env("FLIPPED_LB_STORE_PASSWORD", server.password())
        .output()
        .expect("the engine's binary");
    let words = refused(&words, 1);
    assert!(words.contains("schema apply"), "{words}");
    assert!(!words.contains(server.password()), "{words}");
}

#[test]
fn questions_are_picked_bounded_and_cut() {
    let engine = run_with("[store]\nbatch_time = \"20ms\"\n", "");
    let ask = |args: &[&str]| -> Value {
        let text = out(&report(&engine, "", &[args, &["--json"]].concat()));
        serde_json::from_str(&text).expect("JSON")
    };
    let told = ask(&["--by", "priority,lag"]);
    let names: Vec<_> = STATEMENTS
        .iter()
        .filter(|it| told.get(it).is_some())
        .collect();
    assert_eq!(names, [&"priority", &"waiting", &"position"]);
    let told = ask(&["--by", "customer", "--limit", "1"]);
    assert_eq!(told["customer"].as_array().map(Vec::len), Some(1));
    let text = out(&report(&engine, "", &["--by", "customer", "--limit", "1"]));
    assert!(
        text.contains("\n  shown ") && !text.contains("total"),
        "{text}"
    );

    assert_eq!(ask(&["--since", "1h"])["priority"], ask(&[])["priority"]);
    let later = ask(&["--since", "2999-01-01"]);
    let earlier = ask(&["--until", "2001-01-01 07:00"]);
    for name in ["priority", "customer", "hour", "slowest", "waiting"] {
        assert_eq!(
            (&later[name], &earlier[name]),
            (&json!([]), &json!([])),
            "{name}"
        );
    }
    let text = out(&report(&engine, "", &["--since", "2999-01-01"]));
    for words in [
        "no messages are stored",
        "nothing was delivered",
        "no message waits",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn an_empty_store_says_so() {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let engine = Engine::start_in(Arc::clone(&home), "source = []\n");
    let text = out(&report(&engine, "", &["--by", "priority"]));
    assert!(
        text.ends_with("Messages by priority\n  no messages are stored\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_asked_says_what_to_do() {
    let words = refused(&report_alone(&[]), 1);
    assert!(
        words.contains("there is no file") && words.contains("--config"),
        "{words}"
    );
    let words = refused(&report_alone(&["--url", "none"]), 2);
    assert!(words.contains("[store] url is none"), "{words}");
    let words = refused(&report_alone(&["--by", "weather"]), 2);
    assert!(words.contains("slowest"), "{words}");
    let words = refused(&report_alone(&["--since", "yesterday"]), 2);
    assert!(words.contains("--since: write a time"), "{words}");
    let words = refused(&report_alone(&["--since", "1h", "--until", "2h"]), 2);
    assert!(words.contains("--since is not before --until"), "{words}");
    let words = refused(&report_alone(&["--url", "mysql://me:swordfish@[bad"]), 2);
    assert!(
        words.contains("--url") && !words.contains("swordfish"),
        "{words}"
    );
    let words = refused(
        &report_alone(&["--url", "mysql://me:swordfish@127.0.0.1:1/x"]),
        1,
    );
    assert!(words.contains("is the server running"), "{words}");
    assert!(!words.contains("swordfish"), "{words}");

    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&path).expect("a database");
    connection
        .execute_batch("CREATE TABLE other (a)")
        .expect("a table");
    let url = format!("sqlite:{}", path.display());
    let words = refused(&report_alone(&["--url", &url]), 1);
    assert!(words.contains("schema apply"), "{words}");
    std::fs::write(
        &path,
        "this is no database, and longer than its header would be",
    )
    .expect("a file");
    drop(connection);
    let words = refused(&report_alone(&["--url", &url]), 1);
    assert!(words.contains("not a whole database"), "{words}");
}
