//! Reloading a running engine: all of it takes effect or nothing does, and nothing that stays is
//! disturbed.

#[path = "support/reloading.rs"]
mod reloading;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use reloading::{file, post, refused, reload, write};
use support::ports::free_address;
use support::{ENGINE, Engine, PATIENCE, Server, Subscriber, frame, user_hash, with_sources};

const TABLES: &str = "[[destination]]\nid = \"table1\"\n[[destination]]\nid = \"table2\"\n";
const INGEST: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Settings of two tables and a port for producers, and whatever else.
fn settings(rest: &str) -> String {
    format!("source = []\n{TABLES}{INGEST}{rest}")
}
/// A producer that wants acknowledgements.
struct Producer {
    stream: BufReader<TcpStream>,
    sent: u64,
}

impl Producer {
    fn new(engine: &Engine, token: Option<&str>) -> Self {
        let address = engine.ingest.expect("it listens");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut greeting = json!({ "producer": { "ack": true } });
        if let Some(token) = token {
            greeting["producer"]["token"] = token.into();
        }
        writeln!(stream, "{greeting}").expect("it reads");
        let stream = BufReader::new(stream);
        Self { stream, sent: 0 }
    }

    /// Sends a message and waits until it is acknowledged.
    #[track_caller]
    fn send(&mut self, id: &str, destination: &str, priority: u8) {
        let line = frame(id, destination, priority);
        writeln!(self.stream.get_mut(), "{line}").expect("it reads");
        self.sent += 1;
        let mut said = String::new();
        self.stream.read_line(&mut said).expect("a line");
        assert_eq!(said.trim(), format!("{{\"ack\":{}}}", self.sent));
    }

    /// What it is told, until it is closed.
    fn rest(mut self) -> String {
        let mut said = String::new();
        self.stream
            .read_to_string(&mut said)
            .expect("an orderly end");
        said
    }
}

fn ids(frames: &[Value]) -> Vec<&str> {
    let ids = frames.iter().map(|it| it["messageId"].as_str());
    ids.map(|it| it.expect("an id")).collect()
}

#[test]
fn the_answer_lists_what_changed_and_a_second_reload_finds_nothing() {
    let engine = Engine::start(&settings(""));
    let source = Server::listen();
    let after = format!(
        "source = [{{ address = \"{}\", ack = true }}]\n\
         [[destination]]\nid = \"table2\"\nvip = true\n[[destination]]\nid = \"bar\"\n\
         [[rule]]\nmessage_type = \"lunch\"\npriority = 1\n\
         {INGEST}max_rate = \"5000/s\"\n[log]\nlevel = \"debug\"\n",
        source.address()
    );
    let answer = reload(&engine, &after);
    let source = format!("[[source]] {}", source.address());
    assert_eq!(answer["added"], json!([source, "[[destination]] bar"]));
    assert_eq!(answer["removed"], json!(["[[destination]] table1"]));
    let changed = json!([
        "[ingest] max_rate",
        "[log] level",
        "[[destination]] table2: vip",
        "[[rule]] (there were 0, there are 1)"
    ]);
    assert_eq!(answer["changed"], changed);
    engine.wait("it is logged", |_| {
        engine.log().contains("settings reloaded: added [[source]]")
    });
    let answer = reload(&engine, &after);
    let none = json!({ "reloaded": true, "added": [], "removed": [], "changed": [] });
    assert_eq!(answer, none);
    let stats = engine.stats();
    assert_eq!(
        (stats["reloads"].as_u64(), stats["reload_failures"].as_u64()),
        (Some(2), Some(0))
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.expect("after 1970").as_millis() as u64;
    let last = stats["last_reload_ms"].as_u64().expect("a time");
    assert!(last <= now_ms && last + 600_000 > now_ms, "{last} {now_ms}");
}

#[test]
fn a_file_that_is_wrong_half_written_or_gone_changes_nothing() {
    let engine = Engine::start(&settings(""));
    let mut producer = Producer::new(&engine, None);
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let mut sent = 0;
    let mut goes_on = |engine: &Engine| {
        sent += 1;
        producer.send(&format!("m{sent}"), "table1", 1);
        assert_eq!(ids(&table1.frames(1)), [format!("m{sent}")]);
        let bar = Subscriber::new(engine, &["bar"], false).answer;
        assert!(bar.contains("unknown destination"), "{bar}");
    };
    let whole =
        settings("[[destination]]\nid = \"bar\"\n[[rule]]\nmessage_type = \"x\"\npriority = 2\n");
    let cases = [
        (
            "[log]\nlevle = 'warn'\n".to_owned(),
            "did you mean \"level\"?",
        ),
        (whole[..whole.len() - 8].to_owned(), "this is not TOML"),
        (
            format!("{whole}[[destination]]\nid = \"bar\"\n"),
            "is there twice",
        ),
        (
            format!("{whole}[tls]\ncert = \"no.pem\"\nkey = \"no.key\"\n"),
            "TLS of [ingest]",
        ),
        (
            format!("{whole}[[user]]\nname = \"u\"\ntoken_file = \"no.token\"\nmay_admin = true\n"),
            "no.token",
        ),
        (
            format!("data_dir = \"elsewhere\"\n{whole}[journal]\nsegment = \"8MiB\"\n"),
            "[journal] segment cannot change while the engine runs: a restart is needed",
        ),
        (String::new(), "restart is needed"),
    ];
    let count = cases.len() as u64;
    for (text, words) in cases {
        write(&engine, &text);
        let why = refused(&engine);
        assert!(why.contains(words), "{text}: {why}");
        goes_on(&engine);
    }
    std::fs::remove_file(file(&engine)).expect("it was there");
    let why = refused(&engine);
    assert!(why.contains("there is no such file"), "{why}");
    goes_on(&engine);
    let stats = engine.stats();
    assert_eq!(stats["reload_failures"], count + 1);
    assert_eq!(
        (stats["reloads"].as_u64(), stats["last_reload_ms"].as_u64()),
        (Some(0), Some(0))
    );
    engine.wait("it is logged", |_| {
        (engine.log()).contains("ERROR settings not reloaded, nothing was changed")
    });
    reload(&engine, &whole);
    let bar = Subscriber::new(&engine, &["bar"], false).answer;
    assert!(bar.contains("\"subscribed\":[\"bar\"]"), "{bar}");
}

#[test]
fn a_default_file_that_is_gone_is_no_empty_one() {
    let home = std::sync::Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let mut command = Command::new("sh");
    // Without --config: the file is found where the engine was started.
    command.args(["-c", "exec \"$0\" run", ENGINE]);
    let engine = Engine::start_by(command, home, &settings(""));
    let subscribed = |name: &str| Subscriber::new(&engine, &[name], false).answer;
    std::fs::remove_file(file(&engine)).expect("it was there");
    let why = refused(&engine);
    assert!(why.contains("there is no such file"), "{why}");
    assert!(subscribed("table1").contains("\"subscribed\":[\"table1\"]"));
    reload(&engine, &settings("[[destination]]\nid = \"bar\"\n"));
    assert!(subscribed("bar").contains("\"subscribed\":[\"bar\"]"));
}

#[test]
fn a_pipe_or_a_device_in_the_place_of_a_file_is_refused_and_waited_for_by_nobody() {
    let engine = Engine::start(&settings(""));
    let pipe = engine.home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    let user = "[[user]]\nname = \"u\"\nmay_admin = true\n";
    for (text, key) in [
        (format!("{user}token_file = \"pipe\"\n"), "token_file"),
        (
            "[tls]\ncert = \"pipe\"\nkey = \"pipe\"\n".to_owned(),
            " pipe: ",
        ),
        (
            "[tls]\ncert = \"/dev/zero\"\nkey = \"/dev/zero\"\n".to_owned(),
            " /dev/zero: ",
        ),
    ] {
        write(&engine, &settings(&text));
        let why = refused(&engine);
        assert!(
            why.contains("no regular file") && why.contains(key),
            "{why}"
        );
    }
    std::fs::rename(&pipe, file(&engine)).expect("it is there");
    let why = refused(&engine);
    assert!(why.contains("no regular file"), "{why}");
    std::fs::remove_file(file(&engine)).expect("it is there");
    reload(&engine, &settings("[[destination]]\nid = \"bar\"\n"));
}

#[test]
fn a_source_comes_and_goes_and_those_that_stay_keep_their_connection() {
    let (stays, comes) = (Server::listen(), Server::listen());
    let both = with_sources(&[stays.address(), comes.address()], TABLES);
    let one = with_sources(&[stays.address()], TABLES);
    let engine = Engine::start(&one);
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let mut from_stays = stays.accept();
    let mut say = |text: &str| from_stays.write_all(text.as_bytes()).expect("it stays");
    // A line that is under way goes on.
    let line = frame("cut", "table1", 1) + "\n";
    say(&line[..20]);
    for round in 0..3 {
        reload(&engine, &both);
        let mut from_comes = comes.accept();
        from_comes
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out");
        let id = format!("comes{round}");
        writeln!(from_comes, "{}", frame(&id, "table1", 1)).expect("it reads");
        assert_eq!(ids(&table1.frames(1)), [id]);
        reload(&engine, &one);
        // It is closed, and not dialled again.
        assert_eq!(from_comes.read(&mut [0; 10]).expect("an orderly end"), 0);
        engine.wait("it is gone", |stats| stats["sources_connected"] == 1);
    }
    say(&line[20..]);
    assert_eq!(ids(&table1.frames(1)), ["cut"]);
    assert_eq!(engine.count("source_connects"), 4);
    engine.wait("it is logged", |_| {
        engine.log().contains("it is not in the settings any more")
    });
}

#[test]
fn a_source_that_goes_is_acknowledged_what_it_has_sent_and_its_cut_off_line_is_kept() {
    let source = Server::listen();
    let one = format!(
        "source = [{{ address = \"{}\", ack = true }}]\n{TABLES}",
        source.address()
    );
    let engine = Engine::start(&one);
    let mut stream = source.accept();
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let half = &frame("half", "table1", 1)[..30];
    write!(
        stream,
        "{}\n{}\n{half}",
        frame("a", "table1", 1),
        frame("b", "nobody", 1)
    )
    .expect("it reads");
    engine.wait("they are read", |stats| stats["received"] == 2);
    reload(&engine, &format!("source = []\n{TABLES}"));
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an orderly end");
    assert!(said.ends_with("{\"ack\":2}\n"), "{said}");
    let stats = engine.stats();
    let fates = ["accepted", "rejected", "partial_lines"].map(|it| stats[it].as_u64());
    assert_eq!(fates, [Some(1), Some(2), Some(1)]);
}

#[test]
fn lines_that_a_source_which_goes_has_sent_are_taken_when_there_is_room() {
    let source = Server::listen();
    let full = "[[destination]]\nid = \"table1\"\nmax_queued = 2\n";
    let engine = Engine::start(&with_sources(&[source.address()], full));
    let mut stream = source.accept();
    let lines: String = (0..6)
        .map(|it| frame(&format!("m{it}"), "table1", 1) + "\n")
        .collect();
    stream.write_all(lines.as_bytes()).expect("it reads");
    engine.wait("it waits", |stats| stats["sources_held"] == 1);
    // Sent, and not read yet: the connection waits.
    writeln!(stream, "{}", frame("m6", "table1", 1)).expect("it is in the socket");
    reload(&engine, &format!("source = []\n{full}"));
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let all = table1.frames(7);
    assert_eq!(ids(&all), ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    engine.wait("it is gone", |stats| stats["sources_connected"] == 0);
}

#[test]
fn subscribers_of_a_destination_that_goes_are_told_and_its_messages_wait_until_it_comes_back() {
    let engine = Engine::start(&settings(""));
    let mut producer = Producer::new(&engine, None);
    let mut stays = Subscriber::new(&engine, &["table1"], true);
    let mut goes = Subscriber::new(&engine, &["table2", "table1"], true);
    producer.send("m1", "table2", 1);
    producer.send("m2", "table2", 2);
    assert_eq!(ids(&goes.frames(2)), ["m1", "m2"]);
    goes.ack(1);
    engine.wait("it is settled", |stats| stats["settled"] == 1);
    let without = format!("source = []\n[[destination]]\nid = \"table1\"\n{INGEST}");
    let answer = reload(&engine, &without);
    assert_eq!(answer["removed"], json!(["[[destination]] table2"]));
    let told = goes.line().expect("an error line");
    assert!(
        told.contains("\"table2\\\" is not in the settings any more"),
        "{told}"
    );
    assert_eq!(goes.line(), None);
    // It is no destination now: neither for messages nor for subscribers.
    producer.send("m3", "table2", 1);
    let stats = engine.stats();
    assert_eq!(stats["rejected_by_reason"]["unknown_destination"], 1);
    assert_eq!(stats["destination_gone"], 1);
    let again = Subscriber::new(&engine, &["table2"], false).answer;
    assert!(again.contains("unknown destination"), "{again}");
    producer.send("m4", "table1", 1);
    assert_eq!(ids(&stays.frames(1)), ["m4"]);
    engine.wait("it waits", |stats| stats["queued"] == 1);
    reload(&engine, &settings(""));
    let mut back = Subscriber::new(&engine, &["table2"], true);
    producer.send("m5", "table2", 2);
    assert_eq!(ids(&back.frames(2)), ["m2", "m5"]);
    stays.ack(1);
    producer.send("m6", "table1", 1);
    assert_eq!(ids(&stays.frames(1)), ["m6"], "it was there all the time");
}

#[test]
fn what_waits_for_a_destination_that_is_gone_outlasts_a_restart() {
    let engine = Engine::start(&settings(""));
    Producer::new(&engine, None).send("m1", "table2", 1);
    let without = format!("source = []\n[[destination]]\nid = \"table1\"\n{INGEST}");
    reload(&engine, &without);
    let home = Arc::clone(&engine.home);
    engine.kill();
    let engine = Engine::start_in(Arc::clone(&home), &without);
    let answer = Subscriber::new(&engine, &["table2"], false).answer;
    assert!(
        answer.contains("unknown destination"),
        "as after the reload: {answer}"
    );
    assert_eq!(engine.count("queued"), 1);
    reload(&engine, &settings(""));
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    assert_eq!(ids(&table2.frames(1)), ["m1"]);
}

#[test]
fn where_messages_create_destinations_one_that_leaves_the_settings_goes_on() {
    let create = "[scheduler]\nunknown_destinations = \"create\"\n";
    let engine = Engine::start(&settings(create));
    let mut producer = Producer::new(&engine, None);
    let mut table2 = Subscriber::new(&engine, &["table2"], false);
    let without = format!("source = []\n[[destination]]\nid = \"table1\"\n{INGEST}{create}");
    reload(&engine, &without);
    producer.send("m1", "table2", 1);
    producer.send("m2", "new", 1);
    assert_eq!(ids(&table2.frames(1)), ["m1"]);
    let pinned =
        format!("{without}[[destination]]\nid = \"new\"\nmax_queued = 1\nwhen_full = \"reject\"\n");
    reload(&engine, &pinned);
    producer.send("m3", "new", 1);
    assert_eq!(engine.count("queued"), 1);
    assert_eq!(engine.stats()["rejected_by_reason"]["queue_full"], 1);
}

#[test]
fn what_messages_create_is_closed_where_they_create_no_more_and_open_where_they_do() {
    let creating = |it: &str| settings(&format!("[scheduler]\nunknown_destinations = \"{it}\"\n"));
    let engine = Engine::start(&creating("reject"));
    let mut producer = Producer::new(&engine, None);
    let all = Subscriber::new(&engine, &["table*", "new*"], false);
    producer.send("m1", "new1", 1);
    assert_eq!(engine.count("rejected"), 1);
    drop(all);
    let answer = reload(&engine, &creating("create"));
    assert_eq!(
        answer["changed"],
        json!(["[scheduler] unknown_destinations"])
    );
    let mut new = Subscriber::new(&engine, &["new*"], true);
    producer.send("m2", "new1", 1);
    assert_eq!(ids(&new.frames(1)), ["m2"]);
    // It is told that the name went; what it has not acknowledged waits.
    reload(&engine, &creating("reject"));
    let told = new.line().unwrap_or_default();
    assert!(
        told.contains("\"new1\\\" is not in the settings any more"),
        "{told}"
    );
    producer.send("m3", "new1", 1);
    let stats = engine.wait("it waits", |it| it["queued"] == 1);
    assert_eq!(
        (&stats["rejected"], &stats["destinations"]),
        (&json!(2), &json!(2))
    );
    reload(&engine, &creating("create"));
    producer.send("m4", "new1", 1);
    let mut new = Subscriber::new(&engine, &["new1"], false);
    assert_eq!(ids(&new.frames(2)), ["m2", "m4"]);
}

#[test]
fn bounds_and_what_happens_at_them_change_and_who_waits_asks_again() {
    let with =
        |rest: &str| format!("source = []\n[[destination]]\nid = \"table1\"\n{rest}{INGEST}");
    let engine = Engine::start(&with("max_queued = 2\n"));
    let mut producer = Producer::new(&engine, None);
    producer.send("m1", "table1", 1);
    producer.send("m2", "table1", 1);
    writeln!(producer.stream.get_mut(), "{}", frame("m3", "table1", 1)).expect("it reads");
    engine.wait("it waits", |stats| stats["sources_held"] == 1);
    reload(&engine, &with("max_queued = 3\n"));
    engine.wait("there is room", |stats| stats["accepted"] == 3);
    writeln!(producer.stream.get_mut(), "{}", frame("m4", "table1", 1)).expect("it reads");
    engine.wait("it waits", |stats| stats["sources_held"] == 1);
    reload(&engine, &with("max_queued = 3\nwhen_full = \"reject\"\n"));
    engine.wait("it is rejected", |stats| stats["rejected"] == 1);
    reload(&engine, &with("max_queued = 1\nwhen_full = \"reject\"\n"));
    let mut table1 = Subscriber::new(&engine, &["table1"], true);
    assert_eq!(table1.frames(3).len(), 3);
    table1.ack(3);
    engine.wait("they are settled", |stats| stats["settled"] == 3);
    drop(table1);
    engine.wait("it is gone", |stats| stats["subscribers_connected"] == 0);
    for (id, rejected) in [("m5", 1), ("m6", 2), ("m7", 3)] {
        writeln!(producer.stream.get_mut(), "{}", frame(id, "table1", 1)).expect("it reads");
        engine.wait(id, |stats| stats["rejected"] == rejected);
    }
    assert_eq!(engine.count("queued"), 1);
}

#[test]
fn rules_and_vips_count_for_messages_to_come() {
    let engine = Engine::start(&settings(""));
    let mut producer = Producer::new(&engine, None);
    let level = |engine: &Engine| {
        let levels = engine.stats()["levels"].clone();
        ["1", "2", "3"].map(|it| levels[it]["delivered"].as_u64().expect("a count"))
    };
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let mut expected = [0; 3];
    for (at, (rest, to)) in [
        ("", 3),
        ("[[rule]]\nmessage_type = \"lunch\"\npriority = 2\n", 2),
        ("[[rule]]\nmessage_type = \"tea\"\npriority = 1\n", 3),
        (
            "[[rule]]\nsource = \"test\"\nmessage_type = \"lunch\"\npriority = 1\n",
            1,
        ),
        ("", 3),
    ]
    .into_iter()
    .enumerate()
    {
        reload(&engine, &settings(rest));
        producer.send(&format!("m{at}"), "table1", 3);
        table1.frames(1);
        expected[to - 1] += 1;
        engine.wait(rest, |_| level(&engine) == expected);
    }
    let vip = format!("source = []\n[[destination]]\nid = \"table1\"\nvip = true\n{INGEST}");
    reload(&engine, &vip);
    producer.send("vip", "table1", 3);
    table1.frames(1);
    expected[0] += 1;
    engine.wait("vip", |_| level(&engine) == expected);
}

#[test]
fn users_whose_right_went_are_told_and_closed_and_all_others_stay() {
    let user = |name: &str, token: &str, rights: &str| {
        format!(
            "[[user]]\nname = \"{name}\"\n{}{rights}\n",
            user_hash(token)
        )
    };
    let admin = user("admin", "a-token", "may_admin = true");
    let before = [
        user("kitchen", "k-token", "may_send = [\"*\"]"),
        user("cellar", "c-token", "may_send = [\"*\"]"),
        user("table", "t-token", "may_receive = [\"*\"]"),
        user("guest", "g-token", "may_receive = [\"table*\"]"),
    ];
    let with = |users: &[String]| settings(&format!("{admin}{}", users.concat()));
    let engine = Engine::start(&with(&before));
    let subscriber = |token: &str, destination: &str| {
        let line = json!({ "subscribe": [destination], "token": token });
        Subscriber::say(engine.delivery, &line.to_string())
    };
    let (mut kitchen, cellar) = (
        Producer::new(&engine, Some("k-token")),
        Producer::new(&engine, Some("c-token")),
    );
    kitchen.send("m1", "table1", 1);
    let mut cellar = cellar;
    cellar.send("m2", "table1", 1);
    let mut table = subscriber("t-token", "table1");
    let mut guest = subscriber("g-token", "table2");
    let mut other = subscriber("t-token", "*");
    assert!(other.answer.contains("table2"), "{}", other.answer);
    table.frames(2);
    // The cellar has another token, the guest may receive something else, the table less.
    let after = [
        user("kitchen", "k-token", "may_send = [\"table1\"]"),
        user("cellar", "new-token", "may_send = [\"*\"]"),
        user("table", "t-token", "may_receive = [\"table1\"]"),
        user("guest", "g-token", "may_receive = [\"table1\"]"),
    ];
    write(&engine, &with(&after));
    let (status, body) = post(&engine, None);
    assert_eq!(status, 401, "{body}");
    assert_eq!(post(&engine, Some("k-token")).0, 403);
    let (status, body) = post(&engine, Some("a-token"));
    assert_eq!(status, 200, "{body}");
    for secret in [
        "k-token",
        "new-token",
        "token_sha256 =",
        user_hash("new-token").trim(),
    ] {
        assert!(!body.contains(secret) && !engine.log().contains(secret));
    }
    assert!(cellar.rest().contains("another token now"));
    for refused in [&mut guest, &mut other] {
        let told = refused.line().expect("an error line");
        assert!(
            told.contains("may not receive") && told.contains("table2"),
            "{told}"
        );
        assert_eq!(refused.line(), None);
    }
    kitchen.send("m3", "table1", 1);
    assert_eq!(ids(&table.frames(1)), ["m3"]);
    kitchen.send("m4", "table2", 1);
    let stats = || {
        let (_, head, body) = get(engine.admin, "/stats", "a-token");
        serde_json::from_str::<Value>(&body).unwrap_or_else(|_| panic!("{head}"))
    };
    assert_eq!(stats()["rejected_by_reason"]["forbidden"], 1);
    // All users go, then come back: who has shown no token is closed.
    write(&engine, &settings(""));
    assert_eq!(post(&engine, Some("a-token")).0, 200);
    let anonymous = Producer::new(&engine, None);
    let mut anonymous = anonymous;
    anonymous.send("m5", "table2", 1);
    kitchen.send("m6", "table2", 1);
    reload(&engine, &with(&after));
    assert!(anonymous.rest().contains("a token is wanted"));
    assert!(kitchen.rest().contains("a token is wanted"));
}

/// Head and body of an answer to a GET.
fn get(admin: SocketAddr, path: &str, token: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(admin).expect("the admin address");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head[9..12].parse().expect("a status");
    (status, head.to_owned(), body.to_owned())
}

fn openssl(home: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(home)
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {said}");
}

/// A certificate of this name that signs itself, in `name.pem` and `name.key`.
fn certificate(home: &Path, name: &str, subject: &str) {
    openssl(
        home,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout {name}.key -out {name}.pem -subj /CN={subject}"
        ),
    );
}

/// The subject of the certificate that the engine shows.
fn shown(address: SocketAddr) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-brief"])
        .stdin(Stdio::null())
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|it| it.contains("Peer certificate"));
    line.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn certificates_are_read_again_and_no_connection_is_dropped() {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    certificate(home.path(), "engine", "first");
    let text = settings(
        "tls = \"off\"\n[admin]\ntls = \"off\"\n[tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n",
    );
    let engine = Engine::start_in(Arc::clone(&home), &text);
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-connect",
            &engine.delivery.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let mut input = client.stdin.take().expect("it is piped");
    writeln!(input, "{{\"subscribe\":[\"table1\"]}}").expect("it reads");
    let mut lines = BufReader::new(client.stdout.take().expect("it is piped")).lines();
    let answer = lines.next().expect("a line").expect("text");
    assert!(answer.contains("subscribed"), "{answer}");
    assert!(shown(engine.delivery).contains("first"));
    // A certificate without its key is refused, and the one before goes on.
    certificate(home.path(), "other", "other");
    std::fs::copy(
        home.path().join("other.pem"),
        home.path().join("engine.pem"),
    )
    .expect("copied");
    let why = refused(&engine);
    assert!(why.contains("engine."), "{why}");
    assert!(shown(engine.delivery).contains("first"));
    certificate(home.path(), "engine", "second");
    let (status, body) = post(&engine, None);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let changed = json!(["[tls] cert (another file)", "[tls] key (another file)"]);
    assert_eq!(answer["changed"], changed);
    assert!(shown(engine.delivery).contains("second"));
    let mut producer = Producer::new(&engine, None);
    producer.send("m1", "table1", 1);
    let line = lines.next().expect("a line").expect("text");
    assert!(line.contains("\"m1\""), "{line}");
    engine.wait("the three that looked have gone", |it| {
        it["subscribers_connected"] == 1
    });
    assert_eq!(engine.count("subscriber_disconnects"), 3);
    drop(input);
    client.kill().expect("it runs");
    client.wait().expect("it ends");
}

#[test]
fn sighup_reloads_and_many_of_them_end_with_the_last_file() {
    let engine = Engine::start(&settings(""));
    for round in 0..20 {
        write(
            &engine,
            &settings(&format!("[[destination]]\nid = \"bar{round}\"\n")),
        );
        engine.signal("HUP");
        if round % 5 == 0 {
            // Over HTTP and by signal at once.
            assert_eq!(post(&engine, None).0, 200);
        }
    }
    let begun = Instant::now();
    while !Subscriber::new(&engine, &["bar19"], false)
        .answer
        .contains("subscribed")
    {
        assert!(begun.elapsed() < PATIENCE, "{}", engine.log());
    }
    engine.wait("the last one is done", |stats| {
        stats["reloads"].as_u64() >= Some(5) && stats["destinations"] == 3
    });
    assert_eq!(engine.count("reload_failures"), 0);
    write(&engine, "nonsense");
    engine.signal("HUP");
    // A signal of before may find it, too.
    engine.wait("it is refused", |stats| {
        stats["reload_failures"].as_u64() > Some(0)
    });
    engine.wait_for_log("by=\"SIGHUP\"");
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_command_says_what_changed_and_fails_where_nothing_did() {
    let engine = Engine::start(&settings(""));
    let run = |arguments: &[&str]| {
        let output = Command::new(ENGINE)
            .arg("reload")
            .args(arguments)
            .output()
            .expect("the engine's binary");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let admin = engine.admin.to_string();
    write(
        &engine,
        &settings("[[destination]]\nid = \"bar\"\n[stats]\ninterval = \"0s\"\n"),
    );
    let (code, out, _) = run(&["--admin", &admin]);
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "added [[destination]] bar\nchanged [stats] interval\n"
        )
    );
    let (code, out, _) = run(&["--admin", &admin]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "reloaded: nothing has changed\n")
    );
    write(&engine, "[log]\nlevel = 'loud'\n");
    let (code, out, error) = run(&["--admin", &admin]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        error.contains("not reloaded") && error.contains("[log] level"),
        "{error}"
    );
    // The address stands in a file, which is wrong: that is told.
    let named = file(&engine);
    let (code, _, error) = run(&["--config", named.to_str().expect("text")]);
    assert_eq!(code, Some(2), "{error}");
    // The file of this directory does not count: the engine has its own.
    write(
        &engine,
        &format!("[admin]\nlisten = \"{admin}\"\n[log]\nlevel = 'loud'\n"),
    );
    let output = Command::new(ENGINE)
        .arg("reload")
        .current_dir(engine.home.path())
        .output()
        .expect("the engine's binary");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("{admin} is asked")), "{error}");
    assert!(error.contains("not reloaded"), "{error}");
    let closed = free_address().to_string();
    let (code, _, error) = run(&["--admin", &closed]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is the engine running"), "{error}");
    let (code, out, _) = run(&["--help"]);
    assert!(code == Some(0) && out.contains("What can change") && out.contains("SIGHUP"));
}
