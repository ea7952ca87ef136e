//! `publish` against a tiny engine.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use clap::Parser as _;

use super::*;
use crate::cli::testing::engine;
use crate::cli::{Cli, Command};

/// What the answer to the greeting, and each acknowledgement behind it, may take.
const PATIENT: [Duration; 2] = [Duration::from_secs(60); 2];
const SOON: Duration = Duration::from_millis(300);

fn args(line: &str) -> PublishArgs {
    let line = format!("flipped-lb publish {line}");
    match Cli::try_parse_from(line.split_whitespace())
        .expect("usage")
        .command
    {
        Command::Publish(args) => args,
        other => panic!("{other:?}"),
    }
}

/// Sends what this command line says, with this input; `words` get the lines that are named.
fn send(stream: Stream, line: &str, input: impl Read, patience: [Duration; 2]) -> Sent {
    let words = Words::default();
    let ends = (input, words.clone());
    let sent = send_all(stream, &args(line), ends, patience);
    let report = sent.map(|(sent, tally)| report(sent, &tally));
    Sent {
        report,
        words: words.text(),
    }
}

struct Sent {
    report: Result<String, Failure>,
    words: String,
}

impl Sent {
    fn report(self) -> String {
        self.report.expect("sent")
    }

    fn failure(self) -> Failure {
        self.report.expect_err("it fails")
    }
}

/// What is written to it can be read from all its copies.
#[derive(Debug, Clone, Default)]
struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").clone()).expect("text")
    }
}

impl Write for Words {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Acknowledges each line, and gives them all; the first one is the greeting.
fn acknowledge_all(producer: BufReader<TcpStream>) -> Vec<String> {
    answer_with(producer, |_| String::new())
}

/// The same; `more` of a line's number stands behind its acknowledgement.
fn answer_with(producer: BufReader<TcpStream>, more: impl Fn(usize) -> String) -> Vec<String> {
    let answer = producer.get_ref().try_clone().expect("a handle");
    let mut lines = Vec::new();
    for line in producer.lines() {
        lines.push(line.expect("a line"));
        let number = lines.len() - 1;
        writeln!(&answer, "{{\"ack\":{number}{}}}", more(number)).expect("written");
    }
    lines
}

/// Says this to the greeting, and gives what came before the producer went.
fn answer_once(mut producer: BufReader<TcpStream>, answer: &str) -> Vec<String> {
    let mut greeting = String::new();
    producer.read_line(&mut greeting).expect("a line");
    let mut to = producer.get_ref();
    to.write_all(answer.as_bytes()).expect("written");
    to.shutdown(Shutdown::Write).expect("half closed");
    producer.lines().map_while(Result::ok).collect()
}

#[test]
fn lines_of_the_input_go_as_they_are_without_the_blank_ones() {
    let (stream, engine) = engine(acknowledge_all);
    let input = "{\"a\":  1}\r\n\n  \nnot json\n{\"last\":true}";
    let report = send(stream, "", input.as_bytes(), PATIENT).report();
    assert_eq!(report, "sent 3 messages, 3 acknowledged: 3 accepted");
    let lines = engine.join().expect("played");
    assert_eq!(lines[0], r#"{"producer":{"ack":true,"outcomes":true}}"#);
    assert_eq!(lines[1..], ["{\"a\":  1}", "not json", "{\"last\":true}"]);
}

#[test]
fn made_messages_have_the_fields_of_the_contract_and_ids_of_their_own() {
    let (stream, engine) = engine(acknowledge_all);
    let options = "--destination table2 --type breakfast --priority 2 --count 100 --source s \
                   --payload {\"dish\":\"tea\"}";
    let report = send(stream, options, std::io::empty(), PATIENT).report();
    assert!(report.starts_with("sent 100 messages"), "{report}");
    let lines = engine.join().expect("played");
    let mut ids = HashSet::new();
    for line in &lines[1..] {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(message["sourceServerId"], "s");
        assert_eq!(message["destinationId"], "table2");
        assert_eq!(message["messageType"], "breakfast");
        assert_eq!(message["priority"], 2);
        assert!(message["timestamp"].as_u64() > Some(1_600_000_000_000));
        assert_eq!(message["payload"], serde_json::json!({"dish": "tea"}));
        ids.insert(message["messageId"].as_str().expect("a text").to_owned());
    }
    assert_eq!((lines.len(), ids.len()), (101, 100));
}

#[test]
fn it_waits_for_the_last_acknowledgement_with_and_without_ack() {
    for options in ["", "--ack"] {
        let (stream, engine) = engine(acknowledge_all);
        let input: String = (0..3000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let report = send(stream, options, input.as_bytes(), PATIENT).report();
        assert_eq!(
            report,
            "sent 3000 messages, 3000 acknowledged: 3000 accepted"
        );
        assert_eq!(engine.join().expect("played").len(), 3001);
    }
}

#[test]
fn it_says_what_became_of_the_lines_and_names_the_first_few() {
    let more = |line: usize| match line {
        2 => ",\"duplicates\":[2]".to_owned(),
        3..17 => format!(",\"rejected\":[[{line},\"bad_json\"]]"),
        20 => ",\"rejected\":[[20,\"oversize\"]]".to_owned(),
        _ => String::new(),
    };
    let (stream, _) = engine(move |producer| answer_with(producer, more));
    let sent = send(stream, "", &b"x\n".repeat(20)[..], PATIENT);
    let words: Vec<_> = sent.words.lines().map(str::to_owned).collect();
    let report = sent.report();
    assert_eq!(
        report,
        "sent 20 messages, 20 acknowledged: 4 accepted, 1 duplicate, 15 rejected: 14 bad_json, \
         1 oversize"
    );
    assert_eq!(words.len(), 12, "{words:?}");
    assert!(words[0].contains("message 2: a duplicate"), "{words:?}");
    assert!(words[1].contains("message 3: rejected: bad_json"));
    assert!(words[11].contains("and more"));
}

#[test]
fn nothing_to_send_needs_no_acknowledgement() {
    let (stream, engine) = engine(acknowledge_all);
    let report = send(stream, "--ack", std::io::empty(), PATIENT).report();
    assert_eq!(report, "sent 0 messages, 0 acknowledged: 0 accepted");
    assert_eq!(engine.join().expect("played").len(), 1);
}

#[test]
fn acknowledgements_that_stay_out_are_a_failure() {
    let (stream, engine) = engine(|mut producer| {
        let mut line = String::new();
        producer.read_line(&mut line).expect("a line");
        let answers = b"{\"ack\":0}\n{\"ack\":1,\"rejected\":[[1,\"bad_json\"]]}\n";
        producer.get_ref().write_all(answers).expect("written");
        producer
    });
    // What it will ever say comes with the answer to the greeting.
    let patience = [PATIENT[0], SOON];
    let failure = send(stream, "", &b"1\n2\n"[..], patience).failure();
    drop(engine.join().expect("played"));
    let words = failure.to_string();
    assert_eq!(failure.exit_code(), 1);
    assert!(
        words.contains("sent 2 messages, 1 acknowledged: 0 accepted, 1 rejected: bad_json, then nothing more came"),
        "{words}"
    );
}

#[test]
fn an_engine_that_refuses_or_goes_is_a_failure() {
    let (stream, refusing) = engine(|it| answer_once(it, "{\"error\":\"no more producers\"}\n"));
    let failure = send(stream, "", &b"1\n"[..], PATIENT).failure();
    assert_eq!(failure.to_string(), "the engine refuses: no more producers");
    assert_eq!(
        refusing.join().expect("played"),
        [""; 0],
        "nothing else is sent"
    );

    let (stream, going) = engine(|mut producer| {
        let mut line = String::new();
        producer.read_line(&mut line).expect("a line");
        producer
            .get_ref()
            .write_all(b"{\"ack\":0}\n")
            .expect("written");
    });
    let endless = io::Cursor::new(b"{}\n".repeat(10_000_000));
    let failure = send(stream, "", endless, PATIENT).failure().to_string();
    going.join().expect("gone");
    assert!(
        failure.contains("safe to send the same lines again"),
        "{failure}"
    );
}

#[test]
fn a_port_that_is_not_ingests_is_told_and_gets_no_message() {
    for (answer, words) in [
        ("HTTP/1.1 400 Bad Request\r\n", "an HTTP server"),
        (
            "{\"error\":\"not understood; send {\\\"subscribe\\\":[\\\"table1\\\"]}\"}\n",
            "subscribers connect here",
        ),
        ("220 mail.example ESMTP\r\n", "it answers \"220 mail"),
        ("", "closed without an answer"),
    ] {
        let (stream, other) = engine(move |producer| answer_once(producer, answer));
        let failure = send(stream, "", &b"1\n"[..], PATIENT).failure();
        assert_eq!(failure.exit_code(), 1);
        let words = ["this is not [ingest] listen", words];
        assert!(
            words.iter().all(|it| failure.to_string().contains(it)),
            "{failure}"
        );
        assert_eq!(other.join().expect("played"), [""; 0]);
    }
}

#[test]
fn a_port_where_nobody_answers_is_told() {
    let (stream, silent) = engine(|producer| producer);
    let failure = send(stream, "", &b"1\n"[..], [SOON; 2]);
    let failure = failure.failure().to_string();
    assert!(
        failure.starts_with("no answer within 300ms: this is not"),
        "{failure}"
    );
    drop(silent.join());
}

#[test]
fn usage_is_checked() {
    let wrong = |line: &str| Cli::try_parse_from(line.split_whitespace()).is_err();
    assert!(wrong("flipped-lb publish --count 2"));
    assert!(wrong("flipped-lb publish --destination t --priority 9"));
    assert!(wrong("flipped-lb publish --destination t --priority 0"));
    assert!(wrong("flipped-lb publish --destination t --payload [1]"));
    assert!(wrong("flipped-lb publish --destination t --payload {"));
}

#[test]
fn without_an_address_the_settings_must_have_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f.toml");
    std::fs::write(
        &path,
        "[security]\nanonymous = \"allow\"\n[ingest]\nlisten = \"0.0.0.0:9001\"\n",
    )
    .expect("written");
    let given = args(&format!("--config {}", path.display()));
    assert_eq!(place(&given).expect("set").address, "127.0.0.1:9001");
    std::fs::write(&path, "").expect("written");
    assert_eq!(place(&given).expect_err("none").exit_code(), 2);
}
