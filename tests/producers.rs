//! Producers that dial in, and what sources are told: acknowledgements, and who gets none.
//!
//! Sources that are cut off and resend what was not acknowledged are in `flood`.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use support::{ENGINE, Engine, PATIENCE, Server, Subscriber, frame};

const MAX_LINE: usize = 64 * 1024;

/// An engine that only listens for producers.
const LISTENING: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// A source's end of a connection, counting what it sends and what it is told.
struct Peer {
    stream: BufReader<TcpStream>,
    sent: u64,
    told: u64,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self {
            stream: BufReader::new(stream),
            sent: 0,
            told: 0,
        }
    }

    fn dial(engine: &Engine, hello: &str) -> Self {
        let address = engine.ingest.expect("it listens");
        let mut peer = Self::new(TcpStream::connect(address).expect("the producers' address"));
        peer.write(hello.as_bytes());
        peer
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("it reads");
    }

    /// Sends lines that count.
    fn send(&mut self, lines: &[String]) {
        self.sent += lines.len() as u64;
        let text: String = lines.iter().map(|it| format!("{it}\n")).collect();
        self.write(text.as_bytes());
    }

    /// Reads acknowledgements until all that was sent is taken: ascending, and never too many.
    fn await_all(&mut self) {
        while self.told < self.sent {
            let mut line = String::new();
            self.stream
                .read_line(&mut line)
                .expect("an acknowledgement");
            let ack: Value = serde_json::from_str(&line).expect("JSON");
            let ack = ack["ack"].as_u64().expect("a number");
            assert!(
                (self.told + 1..=self.sent).contains(&ack),
                "{ack} of {}",
                self.sent
            );
            self.told = ack;
        }
    }

    /// All that the engine ever wrote and was not read yet; it has closed the connection.
    fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an orderly end");
        rest
    }
}

fn frames(name: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range
        .map(|at| frame(&format!("{name}-{at}"), "table1", 1))
        .collect()
}

/// Every kind of line, in bursts of many sizes; all that counts must be acknowledged.
fn exchange(peer: &mut Peer, name: &str) -> usize {
    let mut accepted = 0;
    for burst in [1, 2, 700, 30] {
        let good = frames(name, accepted..accepted + burst);
        peer.send(&good);
        peer.write(b"\n\r\n  \n");
        peer.send(&good[..burst / 2]);
        peer.send(&["{}".to_owned(), "nonsense".to_owned()]);
        peer.await_all();
        peer.send(&["[]".to_owned()]);
        peer.await_all();
        // New and known ones by turns, a new one last; then one that is rejected, by itself.
        let new = frames(name, accepted + burst..accepted + 2 * burst);
        let turns = good.iter().zip(&new);
        let mixed: Vec<String> = turns.flat_map(|(old, new)| [old, new]).cloned().collect();
        peer.send(&[&new[..1], &mixed, &good[burst / 2..]].concat());
        peer.send(&frames(name, accepted + 2 * burst..accepted + 3 * burst));
        peer.await_all();
        peer.send(&["[]".to_owned()]);
        peer.await_all();
        accepted += 3 * burst;
    }
    accepted
}

#[test]
fn a_producer_is_told_of_every_line_that_is_safe_and_of_no_other() {
    for durability in ["memory", "written", "synced"] {
        let engine = Engine::start(&format!("durability = \"{durability}\"\n{LISTENING}"));
        let mut subscriber = Subscriber::new(&engine, &["table1"], false);
        let mut peer = Peer::dial(&engine, "\n{\"producer\":{\"ack\":true}}\r\n");
        let count = exchange(&mut peer, "told");
        assert_eq!(subscriber.frames(count).len(), count);
        let stats = engine.wait("all is settled", |it| it["settled"] == count);
        assert_eq!(stats["received"], peer.sent);
        assert_eq!(stats["accepted"], count);
        assert!(engine.stop().code == Some(0));
        assert_eq!(peer.rest(), b"");
    }
}

/// Reads answers until one covers `through`; gives the lines that they name, duplicates as such.
fn outcomes(peer: &mut Peer, through: u64) -> Vec<(u64, String)> {
    let mut named = Vec::new();
    while peer.told < through {
        let mut line = String::new();
        peer.stream.read_line(&mut line).expect("an answer");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
        let number = |it: &Value| it.as_u64().expect("a line");
        let rejected = list("rejected").into_iter();
        named.extend(rejected.map(|it| (number(&it[0]), it[1].as_str().unwrap_or("").to_owned())));
        let duplicates = list("duplicates").into_iter();
        named.extend(duplicates.map(|it| (number(&it), "duplicate".to_owned())));
        let told = number(&answer["ack"]);
        assert!(named.iter().all(|(line, _)| *line <= told), "{answer}");
        assert!(told > peer.told, "{answer}");
        peer.told = told;
    }
    named.sort();
    named
}

const OUTCOMES: &str = "{\"producer\":{\"ack\":true,\"outcomes\":true}}\n";

/// A producer that wants outcomes; its greeting was answered.
fn dial_for_outcomes(engine: &Engine) -> Peer {
    let mut peer = Peer::dial(engine, OUTCOMES);
    let mut line = String::new();
    peer.stream.read_line(&mut line).expect("an answer");
    assert_eq!(line, "{\"ack\":0}\n");
    peer
}

#[test]
fn a_producer_that_wants_outcomes_is_told_what_became_of_each_line() {
    for durability in ["memory", "written", "synced"] {
        let engine = Engine::start(&format!("durability = \"{durability}\"\n{LISTENING}"));
        let mut peer = dial_for_outcomes(&engine);
        let good = frames("outcome", 0..300);
        let stray = frame("stray", "nobody", 1);
        peer.send(
            &[
                &good[..3],
                &[stray],
                &good[..2],
                &["{}".to_owned()],
                &good[3..4],
            ]
            .concat(),
        );
        let expected = [
            (4, "unknown_destination"),
            (5, "duplicate"),
            (6, "duplicate"),
            (7, "missing_field"),
        ];
        let named = outcomes(&mut peer, 8);
        let named: Vec<_> = named.iter().map(|(line, what)| (*line, &**what)).collect();
        assert_eq!(named, expected, "{durability}");
        // More than one answer names, and new ones and known ones by turns.
        peer.send(&[&good[..], &good[..]].concat());
        let named = outcomes(&mut peer, 608);
        let lines = (9..=12).chain(309..=608);
        let expected: Vec<_> = lines.map(|line| (line, "duplicate".to_owned())).collect();
        assert_eq!(named, expected, "{durability}");
        let stats = engine.stats();
        assert_eq!(stats["accepted"], 300);
        assert_eq!(
            (&stats["duplicates"], &stats["rejected"]),
            (&json!(306), &json!(2))
        );
        peer.write(good[0].as_bytes());
        let end = peer.stream.get_mut().shutdown(std::net::Shutdown::Write);
        end.expect("it is connected");
        assert_eq!(outcomes(&mut peer, 609), [(609, "duplicate".to_owned())]);
        assert_eq!(peer.rest(), b"", "then it is closed");
    }
}

#[test]
fn a_producer_that_does_not_read_its_outcomes_is_read_no_further_and_others_are() {
    // Some 32 bytes of outcome each: more than the system's buffers hold.
    const COUNT: usize = 300_000;
    let engine = Engine::start(LISTENING);
    let mut peer = dial_for_outcomes(&engine);
    let line = format!("{}\n", frame("same", "nobody", 1));
    let mut to = peer.stream.get_ref().try_clone().expect("a handle");
    let sending = std::thread::spawn(move || {
        let part = line.repeat(1_000);
        (0..COUNT / 1_000).for_each(|_| to.write_all(part.as_bytes()).expect("it reads on"));
    });
    engine.wait("it is read no more", |it| {
        it["outcome_waits"].as_u64() > Some(0)
    });
    let mut other = dial_for_outcomes(&engine);
    other.send(&frames("other", 0..1_000));
    assert_eq!(outcomes(&mut other, 1_000), []);
    let rejected = engine.count("rejected");
    assert!(rejected < COUNT as u64, "{rejected}");
    let named = outcomes(&mut peer, COUNT as u64);
    let all = (1..=COUNT as u64).map(|line| (line, "unknown_destination".to_owned()));
    assert!(named.into_iter().eq(all));
    sending.join().expect("all is read");
    assert_eq!(engine.count("rejected"), COUNT as u64);
}

#[test]
fn who_goes_without_reading_its_outcomes_leaves_nothing_behind() {
    let engine = Engine::start(LISTENING);
    let line = format!("{}\n", frame("same", "table1", 1));
    for round in 0..5 {
        let mut peer = Peer::dial(&engine, OUTCOMES);
        peer.write(line.repeat(10_000).as_bytes());
        drop(peer);
        engine.wait("it has gone", |it| {
            it["source_disconnects"] == round + 1 && it["sources_connected"] == 0
        });
    }
    assert_eq!(engine.count("accepted"), 1);
}

#[test]
fn a_dialled_source_is_told_anew_on_each_connection() {
    let server = Server::listen();
    let settings = format!(
        "source = [{{ address = \"{}\", ack = true }}]\n",
        server.address()
    );
    let engine = Engine::start(&settings);
    let mut first = Peer::new(server.accept());
    let count = exchange(&mut first, "again");
    let first_sent = first.sent;
    drop(first);
    let mut second = Peer::new(server.accept());
    second.send(&frames("again", 0..count));
    second.await_all();
    let stats = engine.stats();
    assert_eq!(stats["accepted"], count);
    assert_eq!(stats["received"], first_sent + second.sent);
}

/// Sends a first part, then a last line without its newline, ends its side, and hears all.
fn end_side(mut peer: Peer, name: &str, range: std::ops::Range<usize>) {
    peer.send(&frames(name, range.clone()));
    peer.send(&["nonsense".to_owned()]);
    peer.sent += 1;
    peer.write(frame(&format!("{name}-{}", range.end), "table1", 1).as_bytes());
    peer.stream
        .get_mut()
        .shutdown(std::net::Shutdown::Write)
        .expect("it is connected");
    peer.await_all();
    assert_eq!(peer.rest(), b"", "then it is closed");
}

#[test]
fn a_producer_that_ends_its_side_is_told_of_all_its_lines_before_it_is_closed() {
    for durability in ["memory", "written", "synced"] {
        let engine = Engine::start(&format!("durability = \"{durability}\"\n{LISTENING}"));
        let sizes = [0, 1, 5, 20_000];
        for (round, &count) in sizes.iter().enumerate() {
            let peer = Peer::dial(&engine, "{\"producer\":{\"ack\":true}}\n");
            end_side(peer, &format!("end{round}"), 0..count);
        }
        let accepted: usize = sizes.iter().map(|it| it + 1).sum();
        let stats = engine.wait("all have gone", |it| it["sources_connected"] == 0);
        assert_eq!(stats["accepted"], accepted);
        assert_eq!(stats["rejected"], sizes.len());
    }
}

#[test]
fn a_dialled_source_that_ends_its_side_is_told_of_all_its_lines_before_it_is_closed() {
    let server = Server::listen();
    let address = server.address();
    let settings = format!("source = [{{ address = \"{address}\", ack = true }}]\n");
    let engine = Engine::start(&settings);
    for round in 0..4 {
        end_side(Peer::new(server.accept()), &format!("end{round}"), 0..1_000);
    }
    assert_eq!(engine.count("accepted"), 4 * 1_001);
}

/// An engine whose files may be limited while it runs, as by a full disk.
fn engine_with_limits() -> Engine {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", ENGINE]);
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    Engine::start_by(shell, home, LISTENING)
}

/// Its files may have so many bytes.
fn limit_files(engine: &Engine, bytes: &str) {
    let pid = engine.pid().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:")])
        .status();
    assert!(done.expect("prlimit, of util-linux").success());
}

#[test]
fn a_producer_that_ends_its_side_while_the_disk_is_full_is_told_when_there_is_room() {
    const ROOM: usize = 64 * 1024;
    let engine = engine_with_limits();
    limit_files(&engine, &ROOM.to_string());
    let mut peer = Peer::dial(&engine, "{\"producer\":{\"ack\":true}}\n");
    peer.send(&frames("full", 0..2_000));
    peer.stream
        .get_mut()
        .shutdown(std::net::Shutdown::Write)
        .expect("it is connected");
    engine.wait("the journal takes no more", |it| it["journal_waiting"] == 1);
    assert_eq!(engine.count("sources_connected"), 1, "it is not closed yet");
    limit_files(&engine, "unlimited");
    peer.await_all();
    assert_eq!(peer.rest(), b"");
}

#[test]
fn a_producer_that_has_closed_without_hearing_its_acknowledgements_is_read_to_its_end() {
    let engine = Engine::start(LISTENING);
    for round in 0..20 {
        let mut peer = Peer::dial(&engine, "{\"producer\":{\"ack\":true}}\n");
        peer.send(&frames(&format!("gone{round}"), 0..50));
        peer.write(frame(&format!("gone{round}-50"), "table1", 1).as_bytes());
        let stream = peer.stream.into_inner();
        // It reads nothing, and what it is told does not turn its end into a reset.
        stream
            .shutdown(std::net::Shutdown::Both)
            .expect("it is connected");
    }
    let stats = engine.wait("all are read", |it| it["received"] == 20 * 51);
    assert_eq!(
        (&stats["accepted"], &stats["rejected"]),
        (&json!(20 * 51), &json!(0))
    );
    engine.wait("all have gone", |it| it["sources_connected"] == 0);
}

#[test]
fn who_asks_for_no_acknowledgements_is_never_written_to() {
    let server = Server::listen();
    let settings = format!(
        "source = [{{ address = \"{}\" }}]\n[ingest]\nlisten = \"127.0.0.1:0\"\n",
        server.address()
    );
    let engine = Engine::start(&settings);
    let mut peers = vec![
        Peer::new(server.accept()),
        Peer::dial(&engine, ""),
        Peer::dial(&engine, "{\"producer\":{}}\n"),
        Peer::dial(&engine, "{\"producer\":{\"ack\":false}}\n"),
    ];
    for (at, peer) in peers.iter_mut().enumerate() {
        let good = frames(&format!("peer{at}"), 0..100);
        peer.send(&good);
        peer.send(&good);
        peer.send(&["{}".to_owned()]);
    }
    let stats = engine.wait("all is taken", |it| it["received"] == 4 * 201);
    assert_eq!(stats["accepted"], 400);
    assert_eq!(stats["rejected"], 4, "the producer line is no message");
    assert_eq!(stats["acks_sent"], 0);
    engine.stop();
    for peer in peers {
        assert_eq!(peer.rest(), b"");
    }
}

#[test]
fn a_first_message_with_a_producer_field_is_a_message() {
    let engine = Engine::start(LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let line = frame("a-1", "table1", 1).replacen('{', r#"{"producer":{"ack":true},"#, 1);
    let mut peer = Peer::dial(&engine, "");
    peer.write(&[line.as_bytes(), b"\n{\"producer\":{\"ack\":true}}\n"].concat());
    let stats = engine.wait("both are taken", |it| it["received"] == 2);
    assert_eq!(
        (&stats["accepted"], &stats["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(subscriber.line(), Some(line));
    engine.stop();
    assert_eq!(peer.rest(), b"", "it did not ask for acknowledgements");
}

#[test]
fn a_wrong_greeting_is_told_what_to_send_and_closed() {
    let engine = Engine::start(LISTENING);
    let wrong = [
        r#"{"producer":{"ack":"yes"}}"#,
        r#"{"producer":{"akc":true}}"#,
        r#"{"producer":true}"#,
        r#"{"producer":{"ack":true},"token":"x"}"#,
    ];
    for greeting in wrong {
        let behind = frame("behind", "table1", 1);
        let peer = Peer::dial(&engine, &format!("{greeting}\n{behind}\n"));
        let said = String::from_utf8(peer.rest()).expect("text");
        let said: Value = serde_json::from_str(&said).expect("one line");
        let why = said["error"].as_str().expect("words");
        assert!(why.contains(r#"{"producer":{"ack":true}}"#), "{why}");
    }
    let stats = engine.wait("all are gone", |it| it["sources_connected"] == 0);
    assert_eq!(stats["producer_errors"], wrong.len());
    assert_eq!(stats["received"], 0, "nothing behind it is taken");
}

#[test]
fn an_array_or_a_second_greeting_is_no_greeting_but_a_wrong_line() {
    let engine = Engine::start(LISTENING);
    let hello = "{\"producer\":{\"ack\":true}}";
    for greeting in [format!("{hello}\n"), String::new()] {
        let mut peer = Peer::dial(&engine, &greeting);
        let lines = [
            r#"[{"ack":true}]"#,
            r#"[{}]"#,
            r#"{"producer":{"akc":true}}"#,
            hello,
        ];
        peer.send(&lines.map(str::to_owned));
        if !greeting.is_empty() {
            peer.await_all();
        }
    }
    let stats = engine.wait("all are taken", |it| it["received"] == 8);
    assert_eq!(stats["rejected"], 8, "none vanishes");
}

#[test]
fn an_oversize_line_is_not_acknowledged_before_its_end() {
    let engine = Engine::start(LISTENING);
    let mut peer = Peer::dial(&engine, "{\"producer\":{\"ack\":true}}\n");
    peer.send(&frames("before", 0..3));
    peer.await_all();
    let acks = engine.count("acks_sent");
    peer.write(&vec![b'x'; MAX_LINE + 10]);
    engine.wait("it is rejected", |it| it["rejected"] == 1);
    assert_eq!(engine.count("acks_sent"), acks);
    peer.send(&["the end of it".to_owned()]);
    peer.await_all();
    peer.send(&frames("after", 0..3));
    peer.await_all();
    assert_eq!(engine.count("received"), 7);
}

#[test]
fn lines_rejected_while_the_disk_is_full_are_acknowledged_once_it_is_not() {
    const ROOM: usize = 1024 * 1024;
    let engine = engine_with_limits();
    limit_files(&engine, &ROOM.to_string());
    let mut peer = Peer::dial(&engine, "{\"producer\":{\"ack\":true}}\n");
    let long = "x".repeat(MAX_LINE);
    peer.send(&vec![long; ROOM / MAX_LINE + 1]);
    engine.wait("the file takes no more", |it| {
        it["rejected_unwritable"].as_u64() > Some(0)
    });
    limit_files(&engine, "unlimited");
    peer.await_all();
    let kept = engine.rejected_lines();
    assert_eq!(kept.len() as u64, peer.sent);
}
