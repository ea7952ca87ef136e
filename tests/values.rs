//! A field's value is what its JSON string says, however it is spelled: for the duplicate check, for
//! rules, for the store and for the tools, in this life of the engine and in the next one.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use support::{ENGINE, Engine, PATIENCE, Subscriber};

/// What a producer that writes ASCII only makes of a string: every character as an escape, as
/// Python does of these ones, and `/` as PHP does.
fn spelled(text: &str) -> String {
    let mut units = [0; 2];
    text.chars()
        .map(|char| match char {
            '/' => r"\/".to_owned(),
            char => {
                let units = char.encode_utf16(&mut units).iter();
                units.map(|unit| format!("\\u{unit:04x}")).collect()
            }
        })
        .collect()
}

/// A message's strings: id, source, destination, type.
type Texts = [String; 4];

fn line(texts: &Texts, spell: impl Fn(&str) -> String) -> String {
    let [id, source, destination, message_type] = texts.each_ref().map(|it| spell(it));
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"{source}\",\"destinationId\":\"{destination}\",\
         \"messageType\":\"{message_type}\",\"priority\":3,\"payload\":{{\"t\":\"k\\u00fcche\"}}}}"
    )
}

/// As JSON must spell it, and no more.
fn plain(text: &str) -> String {
    let json = serde_json::to_string(text).expect("JSON");
    json[1..json.len() - 1].to_owned()
}

/// Values at the limits of the design, each of which is spelled with six times their bytes or so.
fn messages() -> Vec<Texts> {
    let text = |it: &str| it.to_owned();
    vec![
        [
            "あ".repeat(85),
            "ü".repeat(25),
            text("küche/1"),
            "/".repeat(50),
        ],
        [
            text("https://küche/1"),
            text("küche"),
            text("küche/1"),
            text("früh"),
        ],
        [text("nul\0end"), text("nul\0"), text("küche/1"), text("\0")],
        [
            text("🍜"),
            text("\"it's\\\""),
            text("küche/1"),
            text("tab\tcr\r"),
        ],
    ]
}

/// Sends lines and waits until the engine is responsible for all of them.
fn send(engine: &Engine, lines: &[String]) {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let text: String = lines.iter().map(|it| format!("{it}\n")).collect();
    let hello = "{\"producer\":{\"ack\":true}}\n";
    let all = format!("{hello}{text}");
    stream.write_all(all.as_bytes()).expect("it takes them");
    let last = format!("{{\"ack\":{}}}", lines.len());
    let mut acks = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(acks.any(|it| it == last), "no {last}: {}", engine.log());
}

const SETTINGS: &str = "source = []\n\
    [[destination]]\nid = \"küche/1\"\n\
    [[rule]]\nsource = \"küche\"\npriority = 1\n\
    [[rule]]\nsource = \"\\\"it's\\\\\\\"\"\npriority = 2\n\
    [ingest]\nlisten = \"127.0.0.1:0\"\n";

fn counts(stats: &Value) -> [u64; 3] {
    ["accepted", "duplicates", "rejected"].map(|it| stats[it].as_u64().expect("a count"))
}

#[test]
fn spellings_of_one_id_are_duplicates_in_this_life_and_the_next() {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let count = messages().len() as u64;
    let engine = Engine::start_in(Arc::clone(&home), SETTINGS);
    let [escaped, plain]: [Vec<String>; 2] = [
        messages().iter().map(|it| line(it, spelled)).collect(),
        messages().iter().map(|it| line(it, plain)).collect(),
    ];
    send(&engine, &escaped);
    send(&engine, &plain);
    assert_eq!(counts(&engine.stats()), [count, count, 0]);
    engine.kill();
    let engine = Engine::start_in(home, SETTINGS);
    send(&engine, &plain);
    send(&engine, &escaped);
    assert_eq!(engine.count("duplicates"), 2 * count);
    let mut subscriber = Subscriber::new(&engine, &["küche/1"], false);
    assert_eq!(subscriber.frames(messages().len()).len(), messages().len());
    assert!(
        subscriber.answer.contains("küche/1"),
        "{}",
        subscriber.answer
    );
}

#[test]
fn rules_compare_values() {
    let engine = Engine::start(SETTINGS);
    let lines: Vec<String> = messages().iter().map(|it| line(it, spelled)).collect();
    send(&engine, &lines);
    let mut subscriber = Subscriber::new(&engine, &["küche/1"], false);
    let ids: Vec<String> = subscriber
        .frames(lines.len())
        .iter()
        .map(|it| it["messageId"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(ids[..2], ["https://küche/1", "🍜"]);
}

#[test]
fn the_store_and_the_tools_have_values_whole() {
    let engine = Engine::start(SETTINGS);
    let lines: Vec<String> = messages().iter().map(|it| line(it, spelled)).collect();
    send(&engine, &lines);
    engine.wait("all is stored", |it| it["stored"] == lines.len());
    let database = rusqlite::Connection::open(engine.data_dir().join("messages.db"));
    let database = database.expect("a database");
    let mut query = database
        .prepare(
            "SELECT messageId, sourceServerId, destinationId, messageType, payload \
             FROM messages ORDER BY sequence",
        )
        .expect("a query");
    let rows = query.query_map([], |row| {
        let texts = [0, 1, 2, 3].map(|at| row.get_unwrap::<_, String>(at));
        Ok((texts, row.get_unwrap::<_, String>(4)))
    });
    let rows: Vec<(Texts, String)> = rows.expect("rows").map(|it| it.expect("a row")).collect();
    let payload = "{\"t\":\"k\\u00fcche\"}".to_owned();
    let expected: Vec<_> = messages()
        .into_iter()
        .map(|it| (it, payload.clone()))
        .collect();
    assert_eq!(rows, expected);
    let dumped: Vec<Texts> = dump(&engine).iter().map(texts_of).collect();
    assert_eq!(dumped, messages());
}

fn texts_of(line: &Value) -> Texts {
    [
        "messageId",
        "sourceServerId",
        "destinationId",
        "messageType",
    ]
    .map(|it| line[it].as_str().expect("text").to_owned())
}

/// What `journal dump` says of one destination.
fn dump(engine: &Engine) -> Vec<Value> {
    let output = Command::new(ENGINE)
        .args(["journal", "dump", "--destination", "küche/1"])
        .arg(engine.data_dir())
        .output()
        .expect("the engine's binary");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text
        .lines()
        .map(|it| serde_json::from_str(it).expect("JSON"));
    lines.filter(|it: &Value| it["kind"] == "message").collect()
}

#[test]
fn values_beyond_the_limits_are_refused_and_no_shorter_ones() {
    let engine = Engine::start(SETTINGS);
    let mut too_long = messages();
    too_long[0][0] = "あ".repeat(85) + "a";
    too_long[1][1] = "ü".repeat(25) + "a";
    too_long[2][3] = "/".repeat(51);
    too_long[3][0].clear();
    let lines: Vec<String> = too_long.iter().map(|it| line(it, spelled)).collect();
    send(&engine, &lines);
    let rejected = lines.len() as u64;
    let stats = engine.wait("they are counted", |it| it["rejected"] == rejected);
    assert_eq!(counts(&stats), [0, 0, rejected]);
}
