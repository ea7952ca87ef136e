//! HTTP for producers: `curl`, Python and bare sockets against a real engine.

mod support;

#[path = "support/http.rs"]
mod http;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use http::{frames, publish, python, said, settings, url};
use support::{Engine, PATIENCE, Subscriber, frame};

#[test]
fn each_line_is_answered_with_what_became_of_it() {
    let engine = Engine::start(&settings(""));
    let lines = [
        frame("a", "table1", 1),
        "  ".to_owned(),
        frame("a", "table1", 1),
        "not json".to_owned(),
        frame("b", "table9", 2) + "\r",
        "[1]".to_owned(),
        frame("c", "table2", 1),
    ];
    let (status, body) = publish(&engine, &lines.join("\n"));
    let rejected = |line, reason| {
        format!("{{\"line\":{line},\"outcome\":\"rejected\",\"reason\":\"{reason}\"}}\n")
    };
    let expected = "{\"line\":1,\"outcome\":\"accepted\"}\n{\"line\":3,\"outcome\":\"duplicate\"}\n"
        .to_owned()
        + &rejected(4, "bad_json")
        + &rejected(5, "unknown_destination")
        + &rejected(6, "not_an_object")
        + "{\"line\":7,\"outcome\":\"accepted\"}\n";
    assert_eq!((status, body), (200, expected));
    let kept = engine.rejected_lines();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let mut subscriber = Subscriber::new(&engine, &["table1", "table2"], false);
    let got = [subscriber.line(), subscriber.line()];
    for line in [&lines[0], &lines[6]] {
        assert!(got.contains(&Some(line.clone())), "verbatim: {got:?}");
    }
    let stats = engine.stats();
    assert_eq!(
        (&stats["http_publishes"], &stats["http_publish_lines"]),
        (&json!(1), &json!(6))
    );
    assert_eq!(stats["source_connects"], 1);
}

/// Python's own client sends several requests over one connection; one to ingest serves them all.
#[test]
fn one_object_is_answered_by_itself_and_may_have_several_lines() {
    let engine = Engine::start(&settings(""));
    let script = r#"
import http.client, json, sys
there = http.client.HTTPConnection(sys.argv[1], timeout=180)
def ask(body):
    there.request("POST", "/publish", body, {"Content-Type": "application/json"})
    answer = there.getresponse()
    print(answer.status, answer.read().decode().strip())
order = {"messageId": "p", "sourceServerId": "till", "destinationId": "table1",
         "messageType": "lunch", "priority": 1, "payload": {"dish": "soup\ntea"}}
ask(json.dumps(order, indent=2))
ask(json.dumps(order))
ask(json.dumps(order, indent=2).replace("table1", "table9"))
ask('{"messageId": "line\nend"}')
ask("")
ask("{}\n{}")
"#;
    let address = engine.http.expect("it listens").to_string();
    let said = python(script, &[&address]);
    let expected = [
        "200 {\"outcome\":\"accepted\"}",
        "200 {\"outcome\":\"duplicate\"}",
        "422 {\"outcome\":\"rejected\",\"reason\":\"unknown_destination\"}",
        "422 {\"outcome\":\"rejected\",\"reason\":\"bad_json\"}",
        "400 {\"error\":\"the body has no line; send one JSON object a line\"}",
        "422 {\"outcome\":\"rejected\",\"reason\":\"bad_json\"}",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(engine.count("source_connects"), 1);
    let frame = Subscriber::new(&engine, &["table1"], false).frame();
    assert_eq!(frame.expect("a frame")["payload"]["dish"], "soup\ntea");
}

#[test]
fn what_was_answered_survives_kill_9() {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let engine = Engine::start_in(Arc::clone(&home), &settings(""));
    for batch in 0..5 {
        let lines = frames("k", "table1", 100 * batch..100 * (batch + 1));
        let (status, body) = publish(&engine, &lines);
        assert_eq!((status, body.matches("accepted").count()), (200, 100));
    }
    engine.kill();
    let engine = Engine::start_in(home, &settings(""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let got = subscriber.frames(500);
    for (number, frame) in got.iter().enumerate() {
        assert_eq!(frame["messageId"], format!("k-{number}"));
    }
    let (_, body) = publish(&engine, &frames("k", "table1", 0..500));
    assert_eq!(body.matches("duplicate").count(), 500);
}

#[test]
fn a_request_without_a_host_or_with_two_tokens_is_answered_400_and_changes_nothing() {
    let engine = Engine::start(&settings(""));
    let http = engine.http.expect("it listens");
    let line = frame("a", "table1", 1);
    let body = format!("content-length: {}\r\n\r\n{line}", line.len());
    let token = "authorization: Bearer a\r\n";
    for head in [
        String::new(),
        "host: localhost\r\nhost: localhost\r\n".to_owned(),
        "host: a b\r\n".to_owned(),
        format!("host: localhost\r\n{token}{token}"),
    ] {
        for (address, request) in [(http, "POST /publish"), (engine.admin, "GET /stats")] {
            let request = format!("{request} HTTP/1.1\r\nconnection: close\r\n{head}{body}");
            let answer = said(address, &request);
            assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        }
    }
    assert_eq!(engine.count("received"), 0);
    assert_eq!(engine.count("http_bad_requests"), 4);
}

#[test]
fn a_body_that_is_cut_gives_what_had_come_and_keeps_the_rest_as_rejected() {
    let engine = Engine::start(&settings(""));
    let mut stream = TcpStream::connect(engine.http.expect("it listens")).expect("it listens");
    let whole = frame("whole", "table1", 1) + "\n";
    let half = &frame("half", "table1", 1)[..40];
    write!(
        stream,
        "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000\r\n\r\n{whole}{half}"
    )
    .expect("it reads");
    engine.wait("the whole line", |it| it["accepted"] == 1);
    drop(stream);
    let stats = engine.wait("the rest", |it| {
        it["http_bodies_cut"] == 1 && it["sources_connected"] == 0 && it["rejected_waiting"] == 0
    });
    assert_eq!(stats["received"], 2);
    let kept = engine.rejected_lines();
    let kept: Value = serde_json::from_str(&kept[0]).expect("JSON");
    assert_eq!(
        (&kept["reason"], &kept["line"]),
        (&json!("bad_json"), &json!(half))
    );
    let (status, body) = publish(&engine, &(whole + &frame("half", "table1", 1)));
    assert_eq!(status, 200);
    assert!(
        body.contains("duplicate") && body.contains("accepted"),
        "{body}"
    );
}

/// Whole lines and the cut come at once: the engine has no time to answer between them.
#[test]
fn the_lines_of_a_body_that_breaks_off_are_answered_and_its_client_hears_why() {
    let engine = Engine::start(&settings(""));
    let said = |path: &str, head: &str, body: &str| {
        let mut stream = TcpStream::connect(engine.http.expect("it listens")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an orderly end");
        answer
    };
    let by_len = "content-length: 10000";
    let chunked = "transfer-encoding: chunked";
    let line = |id: &str| frame(id, "table1", 1) + "\n";
    let chunk = |id: &str| format!("{:x}\r\n{}\r\n", line(id).len(), line(id));
    let accepted = "{\"line\":1,\"outcome\":\"accepted\"}\n";
    for (head, body, words) in [
        (by_len, line("m1"), "cut off"),
        (by_len, frame("m2", "table1", 1), "cut off"),
        (by_len, line("m3") + "{\"messageId", "cut off"),
        (chunked, chunk("m4"), "cut off"),
        (chunked, chunk("m5") + "ZZZ\r\n", "malformed"),
        (chunked, chunk("m6") + "5\r\nabcdefg\r\n", "malformed"),
        (chunked, chunk("m7") + "fffffffffffffffff\r\n", "malformed"),
    ] {
        let answer = said("/publish", head, &body);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(accepted), "{answer}");
        // The half line was not taken: its client has the whole one.
        assert!(
            words != "cut off" || !answer.contains("bad_json"),
            "{answer}"
        );
        let error = answer.lines().find(|it| it.contains("{\"error\":"));
        assert!(error.is_some_and(|it| it.contains(words)), "{answer}");
    }
    let answer = said("/ack", by_len, "{\"id\":");
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("cut off"),
        "{answer}"
    );
    let stats = engine.stats();
    let count = |name: &str| stats[name].as_u64();
    assert_eq!(
        (count("accepted"), count("http_bodies_cut")),
        (Some(7), Some(4))
    );
}

#[test]
fn a_body_that_is_too_long_is_refused_and_takes_no_memory() {
    let engine = Engine::start(&settings(""));
    // By its length, before a byte of it was sent.
    let mut stream = TcpStream::connect(engine.http.expect("it listens")).expect("it listens");
    let head = "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1073741824\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(stream);
    // A gibibyte that does not say how long it is: lines of it are answered, the rest is not read.
    let before = engine.resident_kib();
    let line = "{\"no\":\"".to_owned() + &"x".repeat(60_000) + "\"}\n";
    let mut child = Command::new("curl")
        .args([
            "-sS",
            "-w",
            "%{http_code}",
            "-T",
            "-",
            "-X",
            "POST",
            "-o",
            "answer",
        ])
        .current_dir(engine.home.path())
        .arg(url(&engine, "/publish"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut sent = 0;
    while sent < 1 << 30 && stdin.write_all(line.as_bytes()).is_ok() {
        sent += line.len();
    }
    drop(stdin);
    assert!(sent < 1 << 30, "curl was told in the middle");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, b"413");
    let said = std::fs::read_to_string(engine.home.path().join("answer")).expect("text");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("[http] max_body, 64MiB"), "{last}");
    let answered = said.matches("missing_field").count();
    assert!(
        answered > 1000 && answered * line.len() <= 64 << 20,
        "{answered} lines"
    );
    let grown = engine.resident_kib().saturating_sub(before);
    // The arena's chunks, and what lies in buffers.
    assert!(grown < 96 * 1024, "{grown} KiB");
    assert_eq!(engine.count("http_bodies_too_long"), 2);
    assert_eq!(publish(&engine, &frame("a", "table1", 1)).0, 200);
}

#[test]
fn who_sends_a_byte_now_and_then_holds_no_place() {
    let engine = Engine::start(&settings("max_connections = 8"));
    let address = engine.http.expect("it listens");
    let drip = move |begin: &'static str| {
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
            stream.write_all(begin.as_bytes()).expect("it reads");
            let mut drops = stream.try_clone().expect("a descriptor");
            std::thread::spawn(move || {
                while drops.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(500));
                }
            });
            let mut answer = String::new();
            // A drop behind the answer may reset the connection.
            let _ = stream.read_to_string(&mut answer);
            answer
        })
    };
    let begun = Instant::now();
    let heads: Vec<_> = (0..4)
        .map(|_| drip("POST /publish HTTP/1.1\r\nx-long: "))
        .collect();
    let bodies: Vec<_> = (0..4)
        .map(|_| drip("POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999\r\n\r\n"))
        .collect();
    engine.wait("they are there", |it| {
        it["http_connected"].as_u64() >= Some(8)
    });
    for head in heads {
        let answer = head.join().expect("it is closed");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    for body in bodies {
        let answer = body.join().expect("it is closed");
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(
            answer.contains("bad_json"),
            "the cut-off line is kept: {answer}"
        );
    }
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(engine.count("http_bodies_late"), 4);
    assert_eq!(publish(&engine, &frame("a", "table1", 1)).0, 200);
}
