//! `flipped-lb report export`: settled rows in files, from both kinds of store, beside the engine.

#[path = "support/at_server.rs"]
mod at_server;
#[path = "support/mariadb.rs"]
mod mariadb;
mod support;

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;

use at_server::{engine, frames, home, send, take_all};
use mariadb::MariaDb;
use support::{ENGINE, Engine, frame};

const UNTIL_NOW: [&str; 2] = ["--until", "0s"];

fn sqlite_engine() -> Engine {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let settings =
        "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nbatch_time = \"20ms\"";
    Engine::start_by(Command::new(ENGINE), home, settings)
}

fn export(engine: &Engine, args: &[&str]) -> Output {
    export_by(engine, &[], args)
}

fn export_by(engine: &Engine, variables: &[(&str, &str)], args: &[&str]) -> Output {
    Command::new(ENGINE)
        .args(["report", "export"])
        .args(args)
        .env("FLIPPED_LB_DATA_DIR", engine.data_dir())
        .envs(variables.iter().copied())
        .current_dir(engine.home.path())
        .output()
        .expect("the engine's binary")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ndjson(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let line = |it: &str| serde_json::from_str(it).expect("a line of JSON");
    text.lines().map(line).collect()
}

fn assert_whole(rows: &[Value], count: usize) {
    assert_eq!(rows.len(), count);
    let sequences: Vec<_> = rows.iter().map(|it| it["sequence"].as_u64()).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    for row in rows {
        assert_eq!(row["status"], "DELIVERED");
        assert!(row["delivered_at"].as_str() >= row["created_at"].as_str());
        assert!(
            row["payload"].is_object() || row["payload"].is_null(),
            "{row}"
        );
    }
}

fn deliver(engine: &Engine, count: usize) {
    take_all(engine, &["table2"]);
    assert!(send(engine, &frames("row", count)));
    let waits = [frame("waits", "table3", 3)];
    assert!(send(engine, &waits));
    engine.wait("all is stored", |it| {
        it["stored"] == count + 1 && it["stored_settled"] == count
    });
}

#[test]
fn settled_rows_are_written_in_order_and_in_each_form() {
    let engine = sqlite_engine();
    deliver(&engine, 1_200);
    let output = export(&engine, &UNTIL_NOW);
    assert!(output.status.success(), "{}", said(&output));
    let rows = ndjson(&output.stdout);
    assert_whole(&rows, 1_200);

    let csv = export(&engine, &[&UNTIL_NOW[..], &["--format", "csv"]].concat());
    let csv = String::from_utf8(csv.stdout).expect("UTF-8");
    let head = "id,messageId,sourceServerId,destinationId,messageType,priority,timestamp,payload,\
                status,created_at,sequence,delivered_at\r\n";
    assert!(csv.starts_with(head), "{csv}");
    assert_eq!(csv.matches("\r\n").count(), 1_201);

    let file = engine.home.path().join("rows.ndjson.gz");
    let to_file = ["--out", "rows.ndjson.gz"];
    let args = [&UNTIL_NOW[..], &to_file].concat();
    let output = export(&engine, &args);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("1200 rows of"), "{}", said(&output));
    assert!(output.stdout.is_empty());
    assert_eq!(ndjson(&unzipped(&file)), rows);

    let again = export(&engine, &args);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("--force"), "{}", said(&again));
    let forced = export(&engine, &[&args[..], &["--force"]].concat());
    assert!(forced.status.success(), "{}", said(&forced));
    let none = export(
        &engine,
        &[
            "--since",
            "2020-01-01",
            "--until",
            "2020-01-02",
            "--out",
            "none.csv",
            "--format",
            "csv",
        ],
    );
    assert!(none.status.success(), "{}", said(&none));
    let none = std::fs::read_to_string(engine.home.path().join("none.csv"));
    assert_eq!(none.expect("it is there"), head);
}

fn unzipped(file: &Path) -> Vec<u8> {
    let file = std::fs::File::open(file).expect("it is there");
    let mut bytes = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(file);
    reader.read_to_end(&mut bytes).expect("a whole file");
    bytes
}

#[test]
fn what_is_wrong_is_said_and_leaves_no_file() {
    let engine = sqlite_engine();
    deliver(&engine, 3);
    for (args, words) in [
        (&["--until", "soon"][..], "--until"),
        (&["--until", "2100-01-01"], "in the future"),
        (&["--since", "1h", "--until", "2h"], "--since"),
        (&["--until", "0s", "--out", "rows.zst"], ".gz"),
        (
            &["--until", "0s", "--url", "none"],
            "no messages are stored",
        ),
    ] {
        let output = export(&engine, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    let gone = [
        &UNTIL_NOW[..],
        &["--url", "sqlite:gone.db", "--out", "gone"],
    ]
    .concat();
    assert_eq!(export(&engine, &gone).status.code(), Some(1));
    let nowhere = [&UNTIL_NOW[..], &["--out", "no/such/folder/rows"]].concat();
    assert_eq!(export(&engine, &nowhere).status.code(), Some(1));
    let keep = [("FLIPPED_LB_STORE_KEEP", "1h")];
    let note = export_by(&engine, &keep, &["--until", "2h"]);
    assert!(
        said(&note).contains("may be gone already"),
        "{}",
        said(&note)
    );
    let left = std::fs::read_dir(engine.home.path()).expect("a folder");
    let left: Vec<_> = left.map(|it| it.expect("a file").file_name()).collect();
    for name in &left {
        let name = name.to_string_lossy();
        assert!(
            !name.contains("unfinished") && !name.starts_with("gone"),
            "{left:?}"
        );
    }
}

#[test]
fn at_a_server_an_export_is_consistent_while_the_engine_writes_and_settles() {
    let server = MariaDb::start();
    let home = home();
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    let url = server.url();
    let variables = [
        ("FLIPPED_LB_STORE_PASSWORD", server.password()),
        ("FLIPPED_LB_STORE_URL", &url),
    ];
    let mut last = 0;
    for round in 0..4 {
        let name = format!("round{round}");
        assert!(send(&engine, &frames(&name, 1_500)));
        let output = export_by(&engine, &variables, &UNTIL_NOW);
        assert!(output.status.success(), "{}", said(&output));
        let rows = ndjson(&output.stdout);
        assert_whole(&rows, rows.len());
        assert!(rows.len() >= last, "a row that was there is there");
        last = rows.len();
    }
    engine.wait("all is stored", |it| it["stored_settled"] == 6_000);
    let output = export_by(&engine, &variables, &UNTIL_NOW);
    assert_whole(&ndjson(&output.stdout), 6_000);
}
