//! The sources' side over real sockets: servers that die and come back, hostile lines, destinations
//! that messages create.
//!
//! Acknowledgements are in `producers`, load is in `flood` and `crowds`.

#[path = "support/hand.rs"]
mod hand;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flipped_lb::counters::Counter;
use flipped_lb::limits::{CONNECT_NS_MAX, LOG_LINES_PER_WINDOW, LOG_WINDOW_NS};
use hand::{Hand, HandClock};
use serde_json::{Value, json};

use support::ports::free_port;
use support::{Engine, Server, Subscriber, frame, with_sources};

const MAX_LINE: usize = 64 * 1024;

// ---- servers that die and come back ----

/// `server.py`, killed when it is dropped.
struct Python {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it and waits until it listens.
    fn start(port: u16) -> Self {
        let mut child = Command::new("python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/support/server.py"
            ))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut this = Self {
            stdin: child.stdin.take().expect("it is piped"),
            stdout: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        };
        this.await_line("listening\n");
        this
    }

    /// Has it do something, and waits until the kernel has all of it.
    fn run(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").expect("it runs");
        self.await_line("done\n");
    }

    fn await_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        assert_eq!(line, expected);
    }
}

impl Drop for Python {
    /// SIGKILL: nothing is shut down, the kernel ends the connection.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sources_at(port: u16) -> String {
    format!("source = [{{ address = \"127.0.0.1:{port}\" }}]\n")
}

/// The numbers in the ids of `count` frames that [`Python`] sent.
fn numbers(subscriber: &mut Subscriber, count: usize) -> Vec<usize> {
    let frames = subscriber.frames(count);
    let number = |it: &Value| {
        it["messageId"]
            .as_str()?
            .strip_prefix("python-")?
            .parse()
            .ok()
    };
    frames
        .iter()
        .map(|it| number(it).expect("a number"))
        .collect()
}

#[test]
fn a_server_killed_in_the_middle_of_a_line_loses_nothing_that_was_whole() {
    let port = free_port();
    let mut server = Python::start(port);
    let engine = Engine::start(&sources_at(port));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    for round in 0..3 {
        let (first, torn) = (round * 100, round * 100 + 100);
        server.run(&format!("whole {first} {torn}"));
        server.run(&format!("torn {torn}"));
        drop(server);
        let received: Vec<usize> = (first..torn).collect();
        assert_eq!(numbers(&mut subscriber, 100), received);
        // The system ends a killed server's connection in an orderly way: what came is a line.
        let stats = engine.wait("the cut line is kept", |it| it["rejected"] == round + 1);
        assert_eq!(stats["received"], torn + round + 1);
        assert_eq!(stats["rejected_by_reason"]["bad_json"], round + 1);
        server = Python::start(port);
    }
    server.run("whole 300 301");
    assert_eq!(numbers(&mut subscriber, 1), [300]);
    let stats = engine.wait("all is settled", |it| it["settled"] == 301);
    assert_eq!(stats["received"], 304);
    assert_eq!(
        (&stats["duplicates"], &stats["rejected"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(stats["source_connects"], 4);
}

#[test]
fn a_server_killed_under_way_that_sends_all_again_is_delivered_once() {
    const COUNT: usize = 20_000;
    let port = free_port();
    let engine = Engine::start(&sources_at(port));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // It is killed when the system has these, whatever of them the engine has read.
    for reached in [2_000, 7_000] {
        Python::start(port).run(&format!("whole 0 {reached}"));
    }
    let mut server = Python::start(port);
    server.run(&format!("whole 0 {COUNT}"));
    let all: Vec<usize> = (0..COUNT).collect();
    assert_eq!(numbers(&mut subscriber, COUNT), all);
    let stats = engine.wait("all is settled", |it| it["settled"] == COUNT);
    assert_eq!(
        (&stats["accepted"], &stats["rejected"]),
        (&json!(COUNT), &json!(0))
    );
    assert_eq!(stats["duplicates"], 9_000, "{stats}");
}

#[test]
fn a_server_that_is_not_there_at_start_is_no_error() {
    let port = free_port();
    let engine = Engine::start(&sources_at(port));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let stats = engine.wait("it dials again and again", |it| {
        it["source_connect_failures"].as_u64() >= Some(3)
    });
    assert_eq!(stats["phase"], "running");
    assert_eq!(
        (engine.get("/healthz").0, engine.get("/readyz").0),
        (200, 200)
    );
    Python::start(port).run("whole 0 10");
    assert_eq!(numbers(&mut subscriber, 10).len(), 10);
    engine.wait_for_log("not reachable");
    assert_eq!(
        engine.log().matches("not reachable").count(),
        1,
        "said once"
    );
}

#[test]
fn a_name_is_found_whichever_of_its_addresses_its_server_listens_at() {
    let server = Server::listen();
    let port = server.address().port();
    let engine = Engine::start(&format!(
        "source = [{{ address = \"localhost:{port}\" }}, {{ address = \"name.invalid:1\" }}]\n"
    ));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // Looked up anew each time.
    for at in 0..3 {
        let line = frame(&format!("m{at}"), "table1", 1);
        writeln!(server.accept(), "{line}").expect("it reads");
        assert_eq!(subscriber.line(), Some(line));
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_after_seconds() {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).expect("a port");
    listener.listen(0).expect("an option");
    let address = listener.local_addr().expect("it is bound");
    // Its queue is full: the system answers nobody any more.
    let others = [(); 4].map(|()| {
        let other = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        other.set_nonblocking(true).expect("an option");
        let _ = other.connect(&address);
        other
    });
    let address = address.as_socket().expect("an address");
    let settings = format!("source = [{{ address = \"{address}\" }}]");
    let mut hand = Hand::new(&settings, HandClock::at(1_700_000_000_000_000));
    let failures = |it: &Hand<HandClock>| it.count(Counter::SourceConnectFailures);
    hand.turn();
    hand.clock.advance(Duration::from_nanos(CONNECT_NS_MAX - 1));
    hand.turn();
    assert_eq!(failures(&hand), 0);
    hand.clock.advance(Duration::from_nanos(1));
    hand.turn();
    assert_eq!(failures(&hand), 1);
    drop(others);
}

#[test]
fn a_server_that_sends_only_wrong_or_known_lines_is_dialled_ever_more_rarely() {
    // What the server says, and dials in a minute: with pauses of 50 ms on average, and of 2.5 s.
    let wrong = |_: u64| "{}".to_owned();
    let known = |_: u64| frame("m", "table1", 1);
    let new = |at: u64| frame(&format!("m{at}"), "table1", 1);
    let lines: [fn(u64) -> String; 3] = [wrong, known, new];
    for (line, dials) in lines.into_iter().zip([0..80, 0..80, 400..4_000]) {
        let server = Server::listen();
        let settings = format!("source = [{{ address = \"{}\" }}]", server.address());
        let mut hand = Hand::new(&settings, HandClock::at(1_700_000_000_000_000));
        let connects = |it: &Hand<HandClock>| it.count(Counter::SourceConnects);
        for _ in 0..6_000 {
            hand.clock.advance(Duration::from_millis(10));
            let before = connects(&hand);
            hand.turn();
            // A dial is answered at once: what it leads to takes no time either.
            if connects(&hand) > before {
                let lines = connects(&hand);
                writeln!(server.accept(), "{}", line(lines)).expect("it reads");
                hand.turn_until("it disconnects", |it| {
                    it.count(Counter::SourceDisconnects) == lines
                });
                assert_eq!(hand.count(Counter::Received), lines, "each line was read");
            }
        }
        let count = connects(&hand);
        assert!(
            dials.contains(&count),
            "{count} dials, each told {}",
            line(1)
        );
    }
}

#[test]
fn a_server_that_comes_and_goes_does_not_fill_the_log() {
    let server = Server::listen();
    let begun = Instant::now();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let rounds = 40;
    for at in 0..rounds {
        writeln!(server.accept(), "{}", frame(&format!("m{at}"), "table1", 1)).expect("it reads");
    }
    engine.wait("all of them end", |it| it["source_disconnects"] == rounds);
    let windows = 1 + begun.elapsed().as_nanos() as u64 / LOG_WINDOW_NS;
    let lines_max = windows * u64::from(LOG_LINES_PER_WINDOW);
    for cause in [" connected", "disconnected"] {
        engine.wait_for_log(cause);
    }
    let log = engine.log();
    for cause in [" connected", "disconnected"] {
        let lines = log.matches(cause).count() as u64;
        assert!(
            (1..=lines_max).contains(&lines),
            "{lines} times {cause}: {log}"
        );
    }
}

// ---- the end of a connection ----

/// Ends the connection by a reset.
fn reset(stream: TcpStream) {
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(&stream)
        .set_linger(linger)
        .expect("an option");
}

fn with_acking_source(server: &Server) -> String {
    format!(
        "source = [{{ address = \"{}\", ack = true }}]\n",
        server.address()
    )
}

#[test]
fn the_end_of_a_stream_ends_its_last_line() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // Whole, with half a line end, and not a message: each is a line.
    let endings = ["", "\r", "x"];
    for (round, ending) in endings.iter().enumerate() {
        let [first, last] = [0, 1].map(|at| frame(&format!("m{round}-{at}"), "table1", 1));
        write!(server.accept(), "{first}\n{last}{ending}").expect("it reads");
        assert_eq!(subscriber.line(), Some(first));
        if *ending != "x" {
            assert_eq!(subscriber.line(), Some(last));
        }
    }
    // Blank or nothing: no line.
    for (round, blank) in ["", " ", "\r"].iter().enumerate() {
        let line = frame(&format!("b{round}"), "table1", 1);
        write!(server.accept(), "{line}\n{blank}").expect("it reads");
    }
    let stats = engine.wait("all is read", |it| it["source_disconnects"] == 6);
    assert_eq!(
        (&stats["received"], &stats["accepted"]),
        (&json!(9), &json!(8))
    );
    assert_eq!(stats["rejected_by_reason"]["bad_json"], 1);
    assert_eq!(stats["partial_lines"], 0);
}

/// Its process died while it wrote, or something between the two has ended the stream.
#[test]
fn a_line_that_an_orderly_end_cuts_off_is_kept_and_its_source_is_not_told_that_it_was_taken() {
    let server = Server::listen();
    let engine = Engine::start(&with_acking_source(&server));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let lines = ["first", "sch\u{f6}n", "last"].map(|id| frame(id, "table1", 1));
    // Within the object, within a character, and one byte before its end.
    let within = lines[1].find('\u{f6}').expect("it is there") + 1;
    for (round, len) in [10, within, lines[1].len() - 1].into_iter().enumerate() {
        let mut stream = server.accept();
        let bytes = [lines[0].as_bytes(), b"\n", &lines[1].as_bytes()[..len]].concat();
        stream.write_all(&bytes).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("an orderly end");
        assert_eq!(answers, "{\"ack\":1}\n", "{len}");
        let stats = engine.wait("it is kept", |it| it["rejected"] == round + 1);
        assert_eq!(stats["partial_lines"], round + 1);
    }
    let mut stream = server.accept();
    write!(stream, "{}\n{}", lines[1], lines[2]).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("an orderly end");
    assert!(answers.ends_with("{\"ack\":2}\n"), "{answers}");
    for line in lines {
        assert_eq!(subscriber.line(), Some(line));
    }
    assert_eq!(engine.stats()["rejected_by_reason"]["bad_json"], 3);
}

/// What is wrong and would stay so is answered, newline or not: it would be sent again for ever.
#[test]
fn a_wrong_last_line_is_taken_as_one() {
    let server = Server::listen();
    let engine = Engine::start(&with_acking_source(&server));
    for wrong in ["x", "{\"messageId\":1}", "{\"messageId\":}", "[1]"] {
        let mut stream = server.accept();
        stream.write_all(wrong.as_bytes()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("an orderly end");
        assert_eq!(answers, "{\"ack\":1}\n", "{wrong}");
    }
    assert_eq!(engine.stats()["partial_lines"], 0);
}

#[test]
fn a_line_that_a_reset_cuts_off_is_kept_whole_as_rejected() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let (whole, torn) = (frame("m", "table1", 1), frame("torn", "table1", 1));
    let mut sent = 0;
    for torn in [&torn[..torn.len() / 2], &torn] {
        let mut stream = server.accept();
        write!(stream, "{whole}\n{torn}").expect("it reads");
        sent += whole.len() + 1 + torn.len();
        engine.wait("it has read all of it", |it| it["bytes_in"] == sent);
        reset(stream);
    }
    assert_eq!(subscriber.line(), Some(whole));
    let stats = engine.wait("both are kept", |it| it["rejected"] == 2);
    assert_eq!(stats["partial_lines"], 2);
    assert_eq!(
        (&stats["received"], &stats["duplicates"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(stats["rejected_by_reason"]["bad_json"], 2);
    let kept: Vec<_> = rejected(&engine).iter().map(kept).collect();
    assert_eq!(kept, [&torn.as_bytes()[..torn.len() / 2], torn.as_bytes()]);
}

// ---- hostile lines ----

/// A frame for table1 with this raw JSON behind its id.
fn raw(id: &str, rest: &str) -> Vec<u8> {
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"s\",\"destinationId\":\"table1\",\
         \"messageType\":\"t\",{rest}}}"
    )
    .into_bytes()
}

/// A valid frame of so many bytes.
fn sized(id: &str, len: usize) -> Vec<u8> {
    let short = raw(id, "\"priority\":1,\"payload\":{\"fill\":\"\"}");
    let fill = format!(
        "\"priority\":1,\"payload\":{{\"fill\":\"{}\"}}",
        "x".repeat(len - short.len())
    );
    raw(id, &fill)
}

/// Lines to be rejected, each with the one reason for it.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let fields = wrong_fields().into_iter().map(|line| ("bad_field", line));
    [too_long(), no_json(), wrong_objects(), fields.collect()].concat()
}

fn too_long() -> Vec<(&'static str, Vec<u8>)> {
    let tail = [sized("tail", MAX_LINE), b" ".to_vec()].concat();
    let lines = [sized("long", MAX_LINE + 1), vec![b'x'; 3 * MAX_LINE], tail];
    lines.map(|line| ("oversize", line)).to_vec()
}

fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, innermost: &str, close: &str| {
        let nest = [&open.repeat(10_000), innermost, &close.repeat(10_000)].concat();
        raw(
            "deep",
            &format!("\"priority\":1,\"payload\":{{\"n\":{nest}}}"),
        )
    };
    let byte_behind = [&raw("x", "\"priority\":1")[..], b"\x80"].concat();
    vec![
        ("bad_json", deep("[", "", "]")),
        ("bad_json", deep("{\"\":", "1", "}")),
        ("bad_json", vec![b'['; 10_000]),
        ("bad_json", b"\0".to_vec()),
        ("bad_json", b"\0\0\0{}".to_vec()),
        ("bad_json", raw("nul\0", "\"priority\":1")),
        ("bad_json", b"\xef\xbb\xbf{}".to_vec()),
        ("bad_json", b"{".to_vec()),
        ("bad_json", b"{}{}".to_vec()),
        ("bad_json", raw("x", "\"priority\":1,")),
        ("bad_json", raw("x", "\"priority\":01")),
        ("bad_json", raw("x", "\"priority\":+1")),
        ("bad_json", raw("x", "\"priority\":NaN")),
        ("bad_json", raw("\\ud800", "\"priority\":1")),
        ("bad_utf8", b"\xff\xfe\xfd".to_vec()),
        ("bad_utf8", byte_behind),
    ]
}

fn wrong_objects() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("not_an_object", b"[{}]".to_vec()),
        ("not_an_object", b"1e400".to_vec()),
        ("not_an_object", b"\"{}\"".to_vec()),
        ("missing_field", b"{}".to_vec()),
        ("missing_field", raw("x", "\"Priority\":1")),
        (
            "duplicate_field",
            raw("x", "\"priority\":1,\"\\u0070riority\":1"),
        ),
        (
            "duplicate_field",
            raw("x", "\"priority\":1,\"a\":1,\"a\":1"),
        ),
        ("unknown_destination", frame("x", "table5", 1).into_bytes()),
        ("unknown_destination", frame("x", "table1 ", 1).into_bytes()),
    ]
}

/// Values that their fields do not take.
fn wrong_fields() -> Vec<Vec<u8>> {
    let mut lines = vec![
        frame("x", "", 1).into_bytes(),
        raw(&"\u{e9}".repeat(128), "\"priority\":1"),
    ];
    let small = ["1.0", "\"1\"", "-1", "null", "0", "4", "1e0", "true", "[1]"];
    let huge = [
        "1e400",
        "18446744073709551617",
        "340282366920938463463374607431768211457",
    ];
    let priorities = small.iter().chain(&huge);
    lines.extend(priorities.map(|it| raw("x", &format!("\"priority\":{it}"))));
    let timestamps = [
        "-1",
        "1.5",
        "\"now\"",
        "null",
        "1e400",
        "9223372036854775808",
    ];
    lines.extend(timestamps.map(|it| raw("x", &format!("\"priority\":1,\"timestamp\":{it}"))));
    let payloads = ["[]", "null", "\"{}\"", "1"];
    lines.extend(payloads.map(|it| raw("x", &format!("\"priority\":1,\"payload\":{it}"))));
    lines
}

/// Lines that look wrong and are not.
fn odd_but_valid() -> Vec<Vec<u8>> {
    vec![
        sized("exactly-max-line", MAX_LINE),
        raw("huge-in-payload", "\"priority\":1,\"payload\":{\"n\":[1e400,-0.0,1e-400,99999999999999999999]}"),
        raw("nul-escaped", "\"priority\":1,\"payload\":{\"\\u0000\":\"\\u0000\"}"),
        raw("same-key-further-down", "\"priority\":1,\"payload\":{\"priority\":9,\"a\":1,\"a\":2}"),
        raw("unknown-keys", "\"priority\":1,\"ack\":7,\"subscribe\":[\"table1\"],\"\":null"),
        raw("last-timestamp", "\"priority\":1,\"timestamp\":9223372036854775807"),
        raw(&"\u{e9}".repeat(127), "\"priority\":1"),
        raw("deep-but-not-too", &format!("\"priority\":1,\"payload\":{{\"n\":{}{}}}", "[".repeat(100), "]".repeat(100))),
        b"\t{ \"priority\" :\t1 , \"messageType\" : \"t\", \"destinationId\" : \"\\u0074able1\" , \"sourceServerId\":\"s\",\"messageId\":\"turned-round\" } ".to_vec(),
    ]
}

/// The kept line of an entry of `rejected.ndjson`.
fn kept(entry: &Value) -> Vec<u8> {
    match (&entry["line"], &entry["line_base64"]) {
        (Value::String(line), Value::Null) => line.clone().into_bytes(),
        (Value::Null, Value::String(line)) => STANDARD.decode(line).expect("base64"),
        _ => panic!("one of line and line_base64: {entry}"),
    }
}

fn rejected(engine: &Engine) -> Vec<Value> {
    engine
        .rejected_lines()
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned()
}

#[test]
fn each_hostile_line_is_kept_with_its_reason_and_leaves_its_neighbours_alone() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let (bad, mut good) = (hostile(), odd_but_valid());
    for at in good.len()..bad.len() {
        good.push(frame(&format!("neighbour-{at}"), "table1", 1).into_bytes());
    }
    let pairs = good.iter().zip(&bad);
    let stream: Vec<u8> = pairs
        .flat_map(|(good, (_, bad))| [good, &b"\r\n"[..], bad, b"\n"].concat())
        .collect();
    server.accept().write_all(&stream).expect("it reads");
    for expected in &good {
        let line = subscriber.line().expect("the neighbour");
        assert_eq!(shown(line.as_bytes()), shown(expected));
        assert!(line.as_bytes() == expected, "verbatim: {}", shown(expected));
    }
    let stats = engine.wait("all is rejected and kept", |it| {
        it["rejected"] == bad.len() && it["rejected_waiting"] == 0
    });
    assert_eq!(stats["received"], good.len() + bad.len());
    let entries = rejected(&engine);
    assert_eq!(entries.len(), bad.len());
    for (entry, (reason, line)) in entries.iter().zip(&bad) {
        assert_eq!(entry["reason"], *reason, "{}", shown(line));
        assert_eq!(entry["source"], server.address().to_string());
        assert!(entry["time"].is_string());
        let line = &line[..line.len().min(MAX_LINE)];
        assert!(kept(entry) == line, "{}", shown(line));
        let is_text = std::str::from_utf8(line).is_ok();
        assert_eq!(entry["line"].is_string(), is_text);
    }
    for (reason, count) in stats["rejected_by_reason"].as_object().expect("an object") {
        let expected = bad.iter().filter(|(it, _)| it == reason).count();
        assert_eq!(*count, expected, "{reason}");
        // These reasons are not the line's: `backlog` and `access` try them.
        let is_else = ["queue_full", "forbidden"].contains(&reason.as_str());
        assert!(expected > 0 || is_else, "{reason} is tried");
    }
}

#[test]
fn a_line_without_end_costs_no_memory_and_is_rejected_once() {
    const LEN: usize = 64 * 1024 * 1024;
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut stream = server.accept();
    writeln!(stream, "{}", frame("before", "table1", 1)).expect("it reads");
    assert_eq!(subscriber.frames(1)[0]["messageId"], "before");
    let before_kib = engine.resident_kib();
    let piece = vec![b'['; 1024 * 1024];
    let begun = engine.count("bytes_in");
    for _ in 0..LEN / piece.len() {
        stream.write_all(&piece).expect("it reads");
    }
    let stats = engine.wait("it has read all of it", |it| {
        it["bytes_in"].as_u64() == Some(begun + LEN as u64)
    });
    assert_eq!(stats["rejected_by_reason"]["oversize"], 1);
    let grown_kib = engine.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib < 24 * 1024, "grown by {grown_kib} KiB");
    write!(stream, "\n{}\n", frame("after", "table1", 1)).expect("it reads");
    assert_eq!(subscriber.frames(1)[0]["messageId"], "after");
    assert_eq!(engine.count("received"), 3);
    let entries = rejected(&engine);
    assert_eq!(entries.len(), 1);
    assert_eq!(kept(&entries[0]).len(), MAX_LINE);
}

#[test]
fn a_frame_may_come_byte_by_byte_and_blank_lines_are_nothing() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut stream = server.accept();
    let whole = format!("\r\n{}\r\n\n \t \n\r\n", frame("slow", "table1", 1));
    for byte in whole.bytes() {
        stream.write_all(&[byte]).expect("it reads");
    }
    assert_eq!(subscriber.line(), Some(frame("slow", "table1", 1)));
    let stats = engine.wait("it has read all of it", |it| it["bytes_in"] == whole.len());
    assert_eq!(
        (&stats["received"], &stats["rejected"]),
        (&json!(1), &json!(0))
    );
}

// ---- destinations that messages create ----

#[test]
fn destinations_are_created_up_to_the_bound() {
    let server = Server::listen();
    let rest = "[scheduler]\nunknown_destinations = \"create\"\nmax_destinations = 6\n";
    let engine = Engine::start(&with_sources(&[server.address()], rest));
    let mut early = Subscriber::new(&engine, &["early"], false);
    let mut stream = server.accept();
    for (at, destination) in ["late", "early", "too-many", "late", "table4", "another"]
        .iter()
        .enumerate()
    {
        writeln!(stream, "{}", frame(&format!("d-{at}"), destination, 1)).expect("it reads");
    }
    let stats = engine.wait("all is taken", |it| it["received"] == 6);
    assert_eq!(stats["rejected_by_reason"]["unknown_destination"], 2);
    assert_eq!(early.frames(1)[0]["messageId"], "d-1");
    let mut late = Subscriber::new(&engine, &["late", "table4"], false);
    let mut ids: Vec<String> = late
        .frames(3)
        .iter()
        .map(|it| it["messageId"].as_str().expect("text").to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["d-0", "d-3", "d-4"]);
    let refused = Subscriber::new(&engine, &["too-many"], false);
    assert!(
        refused.answer.contains("unknown destination"),
        "{}",
        refused.answer
    );
}
