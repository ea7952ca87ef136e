//! Users and their rights, over real sockets: who gets in where, what each is told, and what nobody is
//! told.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use serde_json::{Value, json};

use support::{ENGINE, Engine, PATIENCE, Subscriber, frame, lines_of, user_hash};

/// Tokens of users, as the settings below know them.
const KITCHEN: &str = "kitchen-0123456789";
const TABLE: &str = "table-0123456789";
const ADMIN: &str = "admin-0123456789";
const OTHER: &str = "other-0123456789";
const WRONG: &str = "nobody-0123456789";

/// A kitchen that sends to `table1` and `table2` as `test`, a table that receives `table1`, an admin
/// whose token is in a file, and one that sends to and receives `table3` alone.
fn settings() -> String {
    format!(
        "source = []\n\
         [[destination]]\nid = \"table1\"\n[[destination]]\nid = \"table2\"\n\
         [[destination]]\nid = \"table3\"\n\
         [[user]]\nname = \"kitchen\"\n{}may_send = [\"table1\", \"table2\"]\nsource = \"test\"\n\
         [[user]]\nname = \"table\"\n{}may_receive = [\"*1\"]\n\
         [[user]]\nname = \"other\"\n{}may_send = [\"table3\"]\nmay_receive = [\"table3\"]\n\
         [[user]]\nname = \"admin\"\ntoken_file = \"admin.token\"\nmay_admin = true\n\
         [ingest]\nlisten = \"127.0.0.1:0\"\n",
        user_hash(KITCHEN),
        user_hash(TABLE),
        user_hash(OTHER),
    )
}

fn start() -> Engine {
    start_with("")
}

/// `rest` goes on with `[ingest]`.
fn start_with(rest: &str) -> Engine {
    let home = std::sync::Arc::new(tempfile::tempdir().expect("a temporary directory"));
    std::fs::write(home.path().join("admin.token"), format!("{ADMIN}\n")).expect("written");
    Engine::start_in(home, &(settings() + rest))
}

/// `/stats` as the admin sees it.
fn stats(engine: &Engine) -> Value {
    let (status, _, body) = get(engine.admin, "/stats", Some(&format!("Bearer {ADMIN}")));
    assert_eq!(status, 200);
    serde_json::from_str(&body).expect("JSON")
}

fn wait_for(engine: &Engine, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let stats = stats(engine);
        if condition(&stats) {
            return stats;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: {stats}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Status, head and body.
fn get(admin: SocketAddr, path: &str, authorization: Option<&str>) -> (u16, String, String) {
    let mut stream = TcpStream::connect(admin).expect("the admin address");
    let authorization =
        authorization.map_or(String::new(), |it| format!("authorization: {it}\r\n"));
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head[9..12].parse().expect("a status");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// What the engine says to a producer that begins so, until it closes.
fn said_to_producer(engine: &Engine, lines: &str) -> String {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(lines.as_bytes()).expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an orderly end");
    said
}

fn greeting(token: Option<&str>) -> String {
    match token {
        None => "{\"producer\":{}}\n".to_owned(),
        Some(token) => json!({"producer": {"token": token, "ack": true}}).to_string() + "\n",
    }
}

/// What a producer hears of a message, after its greeting with this token.
fn published(engine: &Engine, token: Option<&str>) -> String {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let lines = format!("{}{}\n", greeting(token), frame("m", "table1", 1));
    stream.write_all(lines.as_bytes()).expect("it reads");
    let mut said = String::new();
    let mut stream = BufReader::new(stream);
    stream.read_line(&mut said).expect("a line");
    said
}

/// What a subscriber hears that shows this token.
fn subscribed(engine: &Engine, token: Option<&str>) -> String {
    let mut asked = json!({"subscribe": ["table1"]});
    if let Some(token) = token {
        asked["token"] = token.into();
    }
    Subscriber::say(engine.delivery, &asked.to_string()).answer
}

/// The status of a path, and whether it asks for a token.
fn asked(engine: &Engine, path: &str, token: Option<&str>) -> (u16, bool) {
    let bearer = token.map(|it| format!("Bearer {it}"));
    let (status, head, _) = get(engine.admin, path, bearer.as_deref());
    (status, head.contains("www-authenticate: bearer"))
}

const PATHS: [&str; 9] = [
    "/stats",
    "/metrics",
    "/destinations",
    "/destinations/table1",
    "/histograms",
    "/histograms/latency.hlog",
    "/healthz",
    "/readyz",
    "/nothing",
];

fn expected_status(path: &str, token: Option<&str>) -> u16 {
    let is_open = ["/healthz", "/readyz"].contains(&path);
    match token {
        Some(ADMIN) if path == "/nothing" => 404,
        Some(ADMIN) => 200,
        _ if is_open => 200,
        None | Some(WRONG) => 401,
        Some(_) => 403,
    }
}

/// Every verb by every kind of user: exactly the right cells pass.
#[test]
fn each_user_may_do_what_it_has_a_right_to_and_nothing_else() {
    let engine = start();
    let tokens = [
        None,
        Some(WRONG),
        Some(OTHER),
        Some(KITCHEN),
        Some(TABLE),
        Some(ADMIN),
    ];
    for token in tokens {
        let (accepted, said) = (
            stats(&engine)["accepted"].clone(),
            published(&engine, token),
        );
        let (may, sends) = (
            token == Some(KITCHEN),
            [Some(KITCHEN), Some(OTHER)].contains(&token),
        );
        assert_eq!(said == "{\"ack\":1}\n", sends, "{token:?}: {said}");
        assert_eq!(said.starts_with("{\"error\":"), !sends, "{token:?}: {said}");
        assert_eq!(stats(&engine)["accepted"] != accepted, may, "{token:?}");
    }
    for token in tokens {
        let (may, answer) = (token == Some(TABLE), subscribed(&engine, token));
        let is_in = answer == "{\"subscribed\":[\"table1\"],\"standby\":[]}";
        assert_eq!(is_in, may, "{token:?}: {answer}");
    }
    // It is shown once the scheduler has reported.
    wait_for(&engine, "a report", |_| {
        asked(&engine, "/destinations/table1", Some(ADMIN)).0 == 200
    });
    for path in PATHS {
        for token in tokens {
            let expected = expected_status(path, token);
            let (status, wants_token) = asked(&engine, path, token);
            assert_eq!(status, expected, "{path} {token:?}");
            assert_eq!(wants_token, expected > 400 && expected < 404);
        }
    }
    let stats = stats(&engine);
    assert_eq!(stats["accepted"], 1);
    assert_eq!(stats["rejected_by_reason"]["forbidden"], 1);
    assert_eq!(stats["rejected"], 1, "a stranger's lines are not kept");
    assert_eq!(stats["tokens_refused"], 2 + 2 + 2 * 7);
    assert_eq!(stats["rights_refused"], 2 + 3 + 3 * 7);
}

#[test]
fn a_line_that_a_user_may_not_send_is_rejected_as_forbidden_counted_and_kept() {
    let engine = start();
    let as_other = frame("o", "table1", 1).replace("\"test\"", "\"other\"");
    let lines = [
        frame("a", "table1", 1),
        frame("b", "table3", 1),
        frame("c", "table9", 1),
        as_other,
        frame("d", "table2", 1),
    ];
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    let text = greeting(Some(KITCHEN)) + &lines.join("\n") + "\n";
    stream.write_all(text.as_bytes()).expect("it reads");
    let stats = wait_for(&engine, "all lines", |it| {
        it["received"] == 5 && it["rejected_waiting"] == 0
    });
    assert_eq!(stats["accepted"], 2);
    assert_eq!(stats["rejected_by_reason"]["forbidden"], 3);
    assert_eq!(stats["rejected_by_reason"]["unknown_destination"], 0);
    let kept = lines_of(&engine.data_dir().join("rejected.ndjson"));
    assert_eq!(kept.len(), 3);
    let fields = ["destinationId", "destinationId", "sourceServerId"];
    for ((kept, line), field) in kept.iter().zip(&lines[1..4]).zip(fields) {
        let kept: Value = serde_json::from_str(kept).expect("JSON");
        assert_eq!(
            (&kept["reason"], &kept["field"], &kept["line"]),
            (&json!("forbidden"), &json!(field), &json!(line))
        );
    }
}

/// Whoever may not know is told the same of a destination that there is and of one that there is not.
#[test]
fn nobody_is_told_which_destinations_there_are() {
    let engine = start();
    let told = |asked: &str, token: &str| {
        let line = json!({"subscribe": [asked], "token": token}).to_string();
        Subscriber::say(engine.delivery, &line).answer
    };
    assert!(
        told("*", TABLE).contains("[\"table1\"]"),
        "only what it may receive"
    );
    for there in ["table2", "table3", "*2"] {
        let (there_said, not_there) = (told(there, TABLE), told("table8", TABLE));
        assert!(there_said.contains("error"), "{there_said}");
        assert_eq!(
            there_said.replace(there, "X"),
            not_there.replace("table8", "X")
        );
        assert_eq!(told(there, WRONG), told("table8", WRONG));
        assert_eq!(told(there, KITCHEN), told("table8", KITCHEN));
    }
    for token in [TABLE, WRONG, KITCHEN] {
        for asked in ["table2", "nothing*", "table8"] {
            let said = told(asked, token).replace(asked, "");
            // The word of how to subscribe has an example.
            let said = said.replace("\\\"subscribe\\\":[\\\"table1\\\"]", "");
            assert!(
                !said.contains("table1") && !said.contains("table3"),
                "{said}"
            );
        }
    }
    let (status, _, body) = get(engine.admin, "/readyz", None);
    assert_eq!((status, body.contains("degraded")), (200, false), "{body}");
    let (_, _, body) = get(engine.admin, "/readyz", Some(&format!("bearer {ADMIN}")));
    assert!(body.contains("degraded"), "{body}");
}

#[test]
fn a_later_line_of_a_subscriber_may_show_its_own_token_or_none_and_no_other_one() {
    let engine = start();
    let first = json!({"subscribe": ["table1"], "token": TABLE}).to_string();
    for (token, is_right) in [(None, true), (Some(TABLE), true), (Some(KITCHEN), false)] {
        let mut subscriber = Subscriber::say(engine.delivery, &first);
        let mut line = json!({"subscribe": ["*1"]});
        if let Some(token) = token {
            line["token"] = token.into();
        }
        writeln!(subscriber.stream.get_mut(), "{line}").expect("it reads");
        let answer = subscriber.line().expect("an answer");
        assert_eq!(
            answer.contains("subscribed"),
            is_right,
            "{token:?}: {answer}"
        );
    }
}

#[test]
fn a_producer_that_does_not_say_in_time_who_it_is_is_closed() {
    let engine = start_with("greeting_timeout = \"300ms\"\n");
    let said = said_to_producer(&engine, "");
    assert!(said.contains("greeting_timeout"), "{said}");
    let said = said_to_producer(&engine, "{\"producer\":");
    assert!(said.contains("greeting_timeout"), "{said}");
    wait_for(&engine, "it is counted", |it| it["greeting_timeouts"] == 2);
    assert_eq!(stats(&engine)["rejected"], 0);
}

#[test]
fn commands_say_how_they_are_given_a_token() {
    let engine = start();
    let admin = engine.admin.to_string();
    for command in [&["top", "--once"][..], &["reload"]] {
        let output = Command::new(ENGINE)
            .args(command)
            .args(["--admin", &admin])
            .output()
            .expect("the engine's binary");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("a token is wanted here: --token-file FILE"),
            "{said}"
        );
        for other in ["Authorization", "is the engine running"] {
            assert!(!said.contains(other), "{said}");
        }
    }
}

#[test]
fn tokens_are_in_no_output() {
    let engine = start();
    let wrong = json!({"subscribe": ["table1"], "token": WRONG}).to_string();
    let mut seen = Subscriber::say(engine.delivery, &wrong).answer;
    seen += &said_to_producer(&engine, &greeting(Some(WRONG)));
    seen += &get(engine.admin, "/stats", Some(&format!("Bearer {WRONG}"))).2;
    for path in ["/stats", "/metrics", "/destinations"] {
        seen += &get(engine.admin, path, Some(&format!("Bearer {ADMIN}"))).2;
    }
    let check = Command::new(ENGINE)
        .args(["check", "--config", "flipped-lb.toml"])
        .current_dir(engine.home.path())
        .output()
        .expect("the engine's binary");
    assert!(check.status.success());
    let words = String::from_utf8(check.stdout).expect("text");
    for line in [
        "Who may connect",
        "kitchen: sends to table1, table2, as test only",
    ] {
        assert!(words.contains(line), "{words}");
    }
    seen += &words;
    let home = engine.home.clone();
    let ended = engine.stop();
    assert!(
        ended.log.contains("a subscriber is refused"),
        "{}",
        ended.log
    );
    assert!(ended.log.contains("a producer is refused"), "{}", ended.log);
    let refused = (ended.log.lines()).find(|it| it.contains("an HTTP client is refused"));
    let refused = refused.unwrap_or_else(|| panic!("{}", ended.log));
    assert!(refused.contains("no user has this token"), "{refused}");
    assert!(refused.contains("peer=127.0.0.1:"), "{refused}");
    seen += &ended.log;
    seen += &ended.stdout;
    drop(home);
    for token in [KITCHEN, TABLE, ADMIN, WRONG] {
        assert!(!seen.contains(token), "{seen}");
        let setting = user_hash(token);
        let digits = setting.split('"').nth(1).expect("a hash");
        assert!(!seen.contains(digits), "{seen}");
    }
}

#[test]
fn the_clients_show_the_token_of_a_file() {
    let engine = start();
    let file = |name: &str, token: &str| {
        let path = engine.home.path().join(name);
        std::fs::write(&path, format!("{token}\n")).expect("written");
        path.display().to_string()
    };
    let (kitchen, table) = (file("kitchen", KITCHEN), file("table", TABLE));
    let run = |args: &[&str]| {
        let output = Command::new(ENGINE)
            .args(args)
            .output()
            .expect("the engine's binary");
        let words = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&words).into_owned(),
        )
    };
    let (empty, marked) = (
        file("empty", ""),
        file("marked", &format!("\u{feff}{KITCHEN}")),
    );
    let ingest = engine.ingest.expect("it listens").to_string();
    let publish = [
        "publish",
        "--destination",
        "table1",
        "--source",
        "test",
        "--address",
    ];
    let publish = [&publish[..], &[&ingest, "--ack"]].concat();
    let (code, words) = run(&publish);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("a token is wanted"), "{words}");
    let (code, words) = run(&[&publish[..], &["--token-file", &kitchen]].concat());
    assert_eq!(code, Some(0), "{words}");
    for (file, why) in [(&empty, "is empty"), (&marked, "byte order mark")] {
        let (code, words) = run(&[&publish[..], &["--token-file", file]].concat());
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains(why), "{words}");
    }
    let delivery = engine.delivery.to_string();
    let subscribe = [
        "subscribe",
        "table1",
        "--count",
        "1",
        "--ack",
        "--address",
        &delivery,
    ];
    let (code, words) = run(&subscribe);
    assert_eq!(code, Some(1), "{words}");
    let (code, words) = run(&[&subscribe[..], &["--token-file", &table]].concat());
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("\"messageId\""), "{words}");
}

#[test]
fn an_engine_that_would_be_open_to_other_machines_does_not_start() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = home.path().join("flipped-lb.toml");
    let run = |settings: &str, command: &str| {
        std::fs::write(&file, settings).expect("written");
        let output = Command::new(ENGINE)
            .args([command, "--config"])
            .arg(&file)
            .current_dir(home.path())
            .output()
            .expect("the engine's binary");
        let words = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&words).into_owned(),
        )
    };
    let open = "[delivery]\nlisten = \"0.0.0.0:0\"\n";
    for command in ["run", "check", "doctor"] {
        let (code, words) = run(open, command);
        assert_eq!(code, Some(2), "{words}");
        for way_out in ["[[user]]", "[security] anonymous = \"allow\""] {
            assert!(words.contains(way_out), "{words}");
        }
    }
    let (code, words) = run(
        &format!("[security]\nanonymous = \"allow\"\n{open}"),
        "check",
    );
    assert_eq!(code, Some(0), "{words}");
    assert!(
        words.contains("other machines reach it; no token is asked for"),
        "{words}"
    );
}
