//! `publish` against a tiny engine.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};

use clap::Parser as _;

use super::*;
use crate::cli::testing::engine;
use crate::cli::{Cli, Command};

const SOON: Duration = Duration::from_millis(300);
const PATIENT: Duration = Duration::from_secs(20);

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

/// All lines until the producer ends.
fn all_lines(producer: BufReader<TcpStream>) -> Vec<String> {
    producer.lines().map(|line| line.expect("a line")).collect()
}

/// Acknowledges each line but the first, and gives them all.
fn acknowledge_all(producer: BufReader<TcpStream>) -> Vec<String> {
    let answer = producer.get_ref().try_clone().expect("a handle");
    let mut lines = Vec::new();
    for line in producer.lines() {
        lines.push(line.expect("a line"));
        if lines.len() > 1 {
            writeln!(&answer, "{{\"ack\":{}}}", lines.len() - 1).expect("written");
        }
    }
    lines
}

#[test]
fn lines_of_the_input_go_as_they_are_without_the_blank_ones() {
    let (stream, engine) = engine(all_lines);
    let input = "{\"a\":  1}\r\n\n  \nnot json\n{\"last\":true}";
    let report = send_all(stream, &args(""), input.as_bytes(), SOON).expect("sent");
    assert!(report.starts_with("sent 3 messages"), "{report}");
    let lines = engine.join().expect("played");
    assert_eq!(lines, ["{\"a\":  1}", "not json", "{\"last\":true}"]);
}

#[test]
fn made_messages_have_the_fields_of_the_contract_and_ids_of_their_own() {
    let (stream, engine) = engine(all_lines);
    let options = "--destination table2 --type breakfast --priority 2 --count 100 --source s \
                   --payload {\"dish\":\"tea\"}";
    let report = send_all(stream, &args(options), std::io::empty(), SOON).expect("sent");
    assert!(report.starts_with("sent 100 messages"), "{report}");
    let lines = engine.join().expect("played");
    let mut ids = HashSet::new();
    for line in &lines {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(message["sourceServerId"], "s");
        assert_eq!(message["destinationId"], "table2");
        assert_eq!(message["messageType"], "breakfast");
        assert_eq!(message["priority"], 2);
        assert!(message["timestamp"].as_u64() > Some(1_600_000_000_000));
        assert_eq!(message["payload"], serde_json::json!({"dish": "tea"}));
        ids.insert(message["messageId"].as_str().expect("a text").to_owned());
    }
    assert_eq!((lines.len(), ids.len()), (100, 100));
}

#[test]
fn with_ack_it_waits_for_the_last_one() {
    let (stream, engine) = engine(acknowledge_all);
    let input: String = (0..3000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let report = send_all(stream, &args("--ack"), input.as_bytes(), PATIENT).expect("sent");
    assert_eq!(report, "sent 3000 messages, 3000 acknowledged");
    let lines = engine.join().expect("played");
    assert_eq!(lines.len(), 3001);
    assert_eq!(lines[0], "{\"producer\":{\"ack\":true}}");
}

#[test]
fn nothing_to_send_needs_no_acknowledgement() {
    let (stream, engine) = engine(all_lines);
    let report = send_all(stream, &args("--ack"), std::io::empty(), SOON).expect("sent");
    assert_eq!(report, "sent 0 messages, 0 acknowledged");
    assert_eq!(engine.join().expect("played").len(), 1);
}

#[test]
fn acknowledgements_that_stay_out_are_a_failure() {
    let (stream, engine) = engine(|mut producer| {
        let mut line = String::new();
        (0..3).for_each(|_| drop(producer.read_line(&mut line)));
        producer
            .get_ref()
            .write_all(b"{\"ack\":1}\n")
            .expect("written");
        producer
    });
    let failure = send_all(stream, &args("--ack"), &b"1\n2\n"[..], SOON).expect_err("one missing");
    drop(engine.join().expect("played"));
    let words = failure.to_string();
    assert_eq!(failure.exit_code(), 1);
    assert!(
        words.contains("sent 2 messages, 1 acknowledged, then nothing more came"),
        "{words}"
    );
}

#[test]
fn an_engine_that_refuses_or_goes_is_a_failure() {
    let (stream, refusing) = engine(|mut producer| {
        let mut line = String::new();
        producer.read_line(&mut line).expect("a line");
        let mut rest = producer.get_ref();
        rest.write_all(b"{\"error\":\"no more producers\"}\n")
            .expect("written");
        rest.shutdown(Shutdown::Write).expect("half closed");
        all_lines(producer)
    });
    let failure = send_all(stream, &args("--ack"), &b"1\n"[..], PATIENT).expect_err("refused");
    assert_eq!(failure.to_string(), "the engine refuses: no more producers");
    drop(refusing);

    let (stream, going) = engine(drop);
    going.join().expect("gone");
    let endless = io::Cursor::new(b"{}\n".repeat(1_000_000));
    let failure = send_all(stream, &args(""), endless, SOON).expect_err("gone");
    assert!(
        failure
            .to_string()
            .contains("safe to send the same lines again"),
        "{failure}"
    );
}

#[test]
fn a_port_that_is_not_ingests_is_told() {
    for (answer, words) in [
        ("HTTP/1.1 400 Bad Request\r\n", "an HTTP server"),
        (
            r#"{"error":"not understood; send {\"subscribe\":[\"table1\"]}"}"#,
            "subscribers connect here",
        ),
    ] {
        for options in ["", "--ack"] {
            let (stream, other) = engine(move |mut producer| {
                let mut line = String::new();
                producer.read_line(&mut line).expect("a line");
                writeln!(producer.get_ref(), "{answer}").expect("written");
                all_lines(producer)
            });
            let failure = send_all(stream, &args(options), &b"1\n"[..], PATIENT);
            let failure = failure.expect_err("a wrong port");
            assert_eq!(failure.exit_code(), 1);
            let words = ["this is not [ingest] listen", words];
            assert!(
                words.iter().all(|it| failure.to_string().contains(it)),
                "{failure}"
            );
            drop(other);
        }
    }
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
    assert_eq!(address(&given).expect("set"), "127.0.0.1:9001");
    std::fs::write(&path, "").expect("written");
    assert_eq!(address(&given).expect_err("none").exit_code(), 2);
}
