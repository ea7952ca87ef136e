//! `publish` and `subscribe` beside an engine, as a shell sees them: what they say, where they go
//! wrong, and what the engine says to peers at a port that is not for them.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use support::ports::free_address;
use support::{ENGINE, Engine, PATIENCE, frame};

/// An engine that producers dial in to.
fn engine() -> Engine {
    Engine::start(LISTENING)
}

const LISTENING: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Runs a client with this input.
fn run(arguments: &[&str], address: SocketAddr, input: &str) -> Output {
    let home = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(ENGINE)
        .args(arguments)
        .args(["--address", &address.to_string()])
        .current_dir(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may refuse before it reads.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn publish(engine: &Engine, input: &str) -> (Option<i32>, String, String) {
    let output = run(&["publish"], engine.ingest.expect("it listens"), input);
    let (out, words) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), out, words)
}

#[test]
fn publish_says_what_became_of_each_line_and_fails_if_one_was_rejected() {
    let engine = engine();
    let lines = |ids: &[&str], destination| -> String {
        let lines = ids.iter().map(|id| frame(id, destination, 1) + "\n");
        lines.collect()
    };
    let (code, out, words) = publish(&engine, &lines(&["a", "b"], "table1"));
    assert_eq!((code, &*words), (Some(0), ""));
    assert_eq!(out, "sent 2 messages, 2 acknowledged: 2 accepted\n");

    let (code, out, words) = publish(&engine, &lines(&["b", "c"], "table1"));
    assert_eq!(
        out,
        "sent 2 messages, 2 acknowledged: 1 accepted, 1 duplicate\n"
    );
    assert!(
        words.starts_with("flipped-lb: message 1: a duplicate"),
        "{words}"
    );
    assert_eq!(code, Some(0), "it is where it belongs");

    let (code, out, words) = publish(&engine, &lines(&["d", "e", "f"], "tabel1"));
    assert_eq!(
        out,
        "sent 3 messages, 3 acknowledged: 0 accepted, 3 rejected: unknown_destination\n"
    );
    assert!(
        words.contains("message 3: rejected: unknown_destination"),
        "{words}"
    );
    assert!(words.contains("3 of 3 messages rejected"), "{words}");
    assert_eq!(code, Some(1));
    assert_eq!(engine.count("rejected"), 3);
}

#[test]
fn publish_at_a_port_that_is_not_for_it_says_where_to_go_and_sends_nothing() {
    let engine = engine();
    let ingest = engine.ingest.expect("it listens").to_string();
    let line = frame("a", "table1", 1);
    let failure = |address| {
        let output = run(&["publish"], address, &line);
        assert_eq!(
            (output.status.code(), &*text(&output.stdout)),
            (Some(1), "")
        );
        text(&output.stderr)
    };
    let said = failure(engine.delivery);
    assert!(said.contains("this is not [ingest] listen"), "{said}");
    assert!(
        said.contains(&ingest),
        "the engine says where it is: {said}"
    );
    let said = failure(engine.admin);
    assert!(said.contains("an HTTP server answers here"), "{said}");
    // Nobody else is given its port when it is gone.
    let silent = TcpListener::bind(free_address()).expect("a port");
    let address = silent.local_addr().expect("it is bound");
    let said = failure(address);
    assert!(
        said.contains("no answer within 5s") && said.contains("nothing was sent"),
        "{said}"
    );
    let (mut stream, _) = silent.accept().expect("it has dialled");
    drop(silent);
    let mut got = String::new();
    stream.read_to_string(&mut got).expect("text");
    assert_eq!(got.lines().count(), 1, "the greeting: {got}");
    let said = failure(address);
    assert!(
        said.contains("cannot connect to") && said.contains("is the engine running"),
        "{said}"
    );
    assert_eq!(engine.count("received"), 0);
}

#[test]
fn subscribe_at_a_port_that_is_not_for_it_says_where_to_go() {
    let engine = engine();
    let failure = |address| {
        let output = run(&["subscribe", "table1"], address, "");
        assert_eq!(
            (output.status.code(), &*text(&output.stdout)),
            (Some(1), "")
        );
        text(&output.stderr)
    };
    let said = failure(engine.ingest.expect("it listens"));
    let delivery = engine.delivery.to_string();
    assert!(
        said.contains("this is [ingest] listen") && said.contains(&delivery),
        "{said}"
    );
    let said = failure(engine.admin);
    assert!(said.contains("an HTTP server answers here"), "{said}");
    assert_eq!(engine.count("received"), 0, "a subscription is no message");
}

/// What the engine answers to these bytes, until it closes.
fn answer(address: SocketAddr, said: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(said.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an orderly end");
    answer
}

#[test]
fn the_engine_tells_peers_at_a_wrong_port_what_it_is_for_and_where_theirs_is() {
    let engine = engine();
    let ingest = engine.ingest.expect("it listens");
    let (delivery, admin) = (engine.delivery, engine.admin.to_string());
    let request = "GET /stats HTTP/1.1\r\nhost: x\r\n\r\n";
    for (address, here) in [(ingest, "[ingest] listen"), (delivery, "[delivery] listen")] {
        let said = answer(address, request);
        assert!(said.starts_with("{\"error\":"), "{said}");
        assert!(said.contains(&format!("this is {here}")), "{said}");
        assert!(said.contains(&admin), "{said}");
    }
    let said = answer(ingest, "{\"subscribe\":[\"table1\"]}\n");
    assert!(
        said.starts_with("{\"error\":\"this is [ingest] listen"),
        "{said}"
    );
    assert!(said.contains(&delivery.to_string()), "{said}");
    for line in ["{\"producer\":{\"ack\":true}}", &*frame("a", "table1", 1)] {
        let said = answer(delivery, &format!("{line}\n"));
        assert!(
            said.starts_with("{\"error\":\"this is [delivery] listen"),
            "{said}"
        );
        assert!(said.contains(&ingest.to_string()), "{said}");
    }
    let stats = engine.stats();
    assert_eq!(
        (&stats["producer_errors"], &stats["subscriber_errors"]),
        (&2.into(), &3.into())
    );
    assert_eq!(stats["received"], 0);
}

#[test]
fn publish_offers_what_a_journals_files_hold_and_what_was_delivered_only_when_asked() {
    let home = std::sync::Arc::new(tempfile::tempdir().expect("a directory"));
    let older = Engine::start_in(std::sync::Arc::clone(&home), LISTENING);
    let lines: String = (0..6)
        .map(|it| frame(&format!("m{it}"), ["table1", "table2"][it % 2], 1) + "\n")
        .collect();
    assert_eq!(publish(&older, &lines).0, Some(0));
    let mut table = support::Subscriber::new(&older, &["table1"], false);
    assert_eq!(table.frames(3).len(), 3);
    older.wait("all are settled", |it| it["delivered"] == 3);
    let journal = older.data_dir().join("journal");
    let directory = home.path().join("journal-divergent-20260131T070000");
    older.stop();
    std::fs::create_dir(&directory).expect("it is made");
    for file in std::fs::read_dir(&journal).expect("it is there") {
        let file = file.expect("it is read");
        std::fs::copy(file.path(), directory.join(file.file_name())).expect("it is copied");
    }
    let engine = engine();
    let offer = |rest: &[&str]| {
        let name = directory.display().to_string();
        let arguments = [&["publish", "--from-journal", &name], rest].concat();
        let output = run(&arguments, engine.ingest.expect("it listens"), "");
        (output.status.code(), text(&output.stdout))
    };
    let (code, out) = offer(&[]);
    let expected = "sent 3 messages, 3 acknowledged: 3 accepted; 3 more had been delivered and were not \
                    sent (--settled sends them too)\n";
    assert_eq!((code, &*out), (Some(0), expected));
    let mut table = support::Subscriber::new(&engine, &["table2"], false);
    let ids: Vec<_> = table
        .frames(3)
        .iter()
        .map(|it| it["messageId"].clone())
        .collect();
    assert_eq!(ids, ["m1", "m3", "m5"]);
    let (code, out) = offer(&["--settled"]);
    let expected = "sent 6 messages, 6 acknowledged: 3 accepted, 3 duplicates\n";
    assert_eq!((code, &*out), (Some(0), expected));
}
