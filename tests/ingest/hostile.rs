//! Hostile lines.

use super::*;

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
