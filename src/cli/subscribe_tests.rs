//! `subscribe` against a tiny engine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::spawn;

use clap::Parser as _;

use super::*;
use crate::cli::testing::engine;
use crate::cli::{Cli, Command};

fn args(line: &str) -> SubscribeArgs {
    let line = format!("flipped-lb subscribe {line}");
    match Cli::try_parse_from(line.split_whitespace())
        .expect("usage")
        .command
    {
        Command::Subscribe(args) => args,
        other => panic!("{other:?}"),
    }
}

fn line(from: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line
}

fn tell(to: &BufReader<TcpStream>, text: &str) {
    to.get_ref().write_all(text.as_bytes()).expect("written");
}

fn frame(number: usize) -> String {
    format!("{{\"messageId\":\"m{number}\",\"odd\":  [1, {number}]}}\n")
}

#[test]
fn frames_go_out_verbatim_and_the_engine_s_words_apart() {
    let (stream, engine) = engine(|mut subscriber| {
        let asked = line(&mut subscriber);
        tell(
            &subscriber,
            "{\"subscribed\":[\"table1\",\"a\"],\"standby\":[]}\n",
        );
        tell(&subscriber, &(frame(1) + &frame(2)));
        // A frame that looks like a word is a frame, for it has a messageId.
        tell(&subscriber, "{\"error\":\"burnt\",\"messageId\":\"m3\"}\n");
        asked
    });
    let (mut out, mut words) = (Vec::new(), Vec::new());
    follow(stream, &args("table1 a --count 3"), &mut out, &mut words).expect("three frames");
    let expected = frame(1) + &frame(2) + "{\"error\":\"burnt\",\"messageId\":\"m3\"}\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
    assert!(words.starts_with(b"{\"subscribed\""));
    let asked = engine.join().expect("played");
    assert_eq!(asked, "{\"subscribe\":[\"table1\",\"a\"]}\n");
}

#[test]
fn acknowledgements_count_frames_and_not_words() {
    let (stream, engine) = engine(|mut subscriber| {
        let asked = line(&mut subscriber);
        tell(
            &subscriber,
            "{\"subscribed\":[\"t\"],\"standby\":[]}\n{\"again\":1}\n",
        );
        tell(&subscriber, &frame(1));
        let first = line(&mut subscriber);
        // These are on their way when the subscriber leaves.
        let rest: String = (2..50).map(frame).collect();
        tell(&subscriber, &rest);
        let mut last = String::new();
        subscriber.read_to_string(&mut last).expect("no reset");
        (asked, first, last)
    });
    let (mut out, mut words) = (Vec::new(), Vec::new());
    follow(stream, &args("t --ack --count 3"), &mut out, &mut words).expect("three frames");
    assert_eq!(
        String::from_utf8_lossy(&out),
        frame(1) + &frame(2) + &frame(3)
    );
    assert!(words.ends_with(b"{\"again\":1}\n"));
    let (asked, first, last) = engine.join().expect("played");
    let asked: serde_json::Value = serde_json::from_str(&asked).expect("JSON");
    assert_eq!(asked, serde_json::json!({"subscribe": ["t"], "ack": true}));
    assert_eq!(first, "{\"ack\":1}\n");
    assert_eq!(last.lines().last(), Some("{\"ack\":3}"));
}

#[test]
fn many_frames_are_acknowledged_to_the_last_one() {
    const FRAMES: usize = 5000;
    let (stream, engine) = engine(|mut subscriber| {
        line(&mut subscriber);
        let reading = subscriber.get_ref().try_clone().expect("a handle");
        let writer = spawn(move || {
            (1..=FRAMES).for_each(|n| (&reading).write_all(frame(n).as_bytes()).expect("sent"));
        });
        let last = format!("{{\"ack\":{FRAMES}}}\n");
        while line(&mut subscriber) != last {}
        writer.join().expect("sent");
    });
    let mut out = Vec::new();
    let args = args(&format!("t --ack --count {FRAMES}"));
    follow(stream, &args, &mut out, std::io::sink()).expect("all");
    engine.join().expect("played");
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), FRAMES);
}

#[test]
fn a_refusal_is_a_failure_with_the_engine_s_reason() {
    let (stream, engine) = engine(|mut subscriber| {
        line(&mut subscriber);
        tell(
            &subscriber,
            "{\"error\":\"no destination \\\"tabel1\\\"\"}\n",
        );
    });
    let failure = follow(stream, &args("tabel1"), std::io::sink(), std::io::sink());
    engine.join().expect("played");
    let failure = failure.expect_err("refused");
    assert_eq!(failure.exit_code(), 1);
    assert_eq!(
        failure.to_string(),
        "the engine refuses: no destination \"tabel1\""
    );
}

#[test]
fn a_port_that_is_not_deliverys_is_told() {
    for (answer, words) in [
        (
            "HTTP/1.1 400 Bad Request\r\n",
            "not [delivery] listen: an HTTP server",
        ),
        (
            "220 mail\n",
            "not [delivery] listen: it answers \"220 mail\"",
        ),
        ("", "not [delivery] listen, but perhaps [ingest] listen"),
    ] {
        let (stream, engine) = engine(move |mut subscriber| {
            line(&mut subscriber);
            tell(&subscriber, answer);
            // It waits for more lines, as the engine's other ports do.
            line(&mut subscriber)
        });
        let mut out = Vec::new();
        let failure = follow(stream, &args("t --count 1"), &mut out, std::io::sink());
        let failure = failure.expect_err("a wrong port");
        assert!(failure.to_string().contains(words), "{failure}");
        assert_eq!((failure.exit_code(), out.len()), (1, 0));
        assert_eq!(engine.join().expect("played"), "");
    }
}

#[test]
fn an_engine_that_goes_is_a_failure_after_what_it_said() {
    let (stream, engine) = engine(|mut subscriber| {
        line(&mut subscriber);
        tell(&subscriber, &frame(1));
        tell(&subscriber, "{\"messageId\":\"half");
        subscriber.get_ref().shutdown(Shutdown::Both).expect("gone");
    });
    let mut out = Vec::new();
    let failure = follow(stream, &args("t"), &mut out, std::io::sink()).expect_err("gone");
    engine.join().expect("played");
    assert_eq!(String::from_utf8_lossy(&out), frame(1));
    assert!(
        failure.to_string().contains("after 1 message;"),
        "{failure}"
    );
}

#[test]
fn a_reader_that_goes_is_no_failure_and_nothing_is_acknowledged() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let (stream, engine) = engine(|mut subscriber| {
        line(&mut subscriber);
        tell(&subscriber, &frame(1));
        let mut rest = String::new();
        subscriber.read_to_string(&mut rest).expect("read");
        rest
    });
    let failure = follow(stream, &args("t --ack"), Gone, std::io::sink()).expect_err("gone");
    assert_eq!((failure.exit_code(), failure.words()), (0, None));
    assert_eq!(engine.join().expect("played"), "");
}

#[test]
fn usage_is_checked() {
    let wrong = |line: &str| Cli::try_parse_from(line.split_whitespace()).is_err();
    assert!(wrong("flipped-lb subscribe t --count 0"));
    assert!(wrong(&format!("flipped-lb subscribe {}", "x".repeat(51))));
    let failure = run(args("t --address nowhere")).expect_err("no port");
    assert_eq!(failure.exit_code(), 2);
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("it");
    let failure = run(args(&format!("t --address {free}"))).expect_err("nobody there");
    assert_eq!(failure.exit_code(), 1);
    assert!(
        failure.to_string().contains("is the engine running"),
        "{failure}"
    );
}
