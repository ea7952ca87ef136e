//! NATS as source and as customer, with a real nats-server: through the engine once and in order,
//! whatever dies in between; and what is wrong there is told.

#[path = "support/nats.rs"]
mod nats_server;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::stream::Config;
use nats_server::{NatsServer, Stored, wait_for_words};
use proxy::Proxy;
use serde_json::Value;
use support::nats_program::old_server;
use support::{Engine, PATIENCE, Subscriber, frame};

/// The frames' headers besides, and whoever waits goes on at once.
fn settings(source: &str, destination: &str, more: &str) -> String {
    format!(
        "{}headers = [\"messageType\", \"priority\"]\n{more}\n\
         [scheduler]\nmax_wait = [\"0s\", \"0s\", \"0s\"]\n",
        nats_server::settings(source, destination, "")
    )
}

/// Messages `from..to` of a source, for four customers, on three levels.
fn messages(from: u64, to: u64) -> impl Iterator<Item = (String, String)> {
    (from..to).map(|it| {
        let (customer, level) = (it % 4, 1 + (it / 4 % 3) as u8);
        let line = frame(&format!("m-{it}"), &format!("west-{customer}"), level);
        (format!("in.{customer}"), line)
    })
}

/// Each of so many messages is there once, and each customer's in their order within a level.
fn check_whole(stored: &[Stored], count: u64) {
    let mut seen = HashSet::new();
    let mut last: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for message in stored {
        let line: Value = serde_json::from_str(&message.payload).expect("a frame");
        let id = line["messageId"].as_str().expect("it has an id");
        assert!(seen.insert(id.to_owned()), "{id} is there twice");
        assert_eq!(message.headers["Nats-Msg-Id"], id);
        let customer = line["destinationId"].as_str().expect("it has a customer");
        assert_eq!(message.subject, format!("out.{customer}"));
        let number: u64 = id[2..].parse().expect("a number");
        let level = line["priority"].as_u64().expect("a level");
        let before = last.insert((message.subject.clone(), level), number);
        assert!(
            before.is_none_or(|it| it < number),
            "{number} behind {before:?}"
        );
    }
    assert_eq!(seen.len() as u64, count);
}

#[test]
fn through_the_engine_once_and_in_order_while_the_server_and_the_engine_are_killed() {
    const COUNT: u64 = 4_000;
    let mut server = NatsServer::start();
    let peer = server.peer();
    peer.make_streams();
    let settings = settings(&server.url(), &server.url(), "");
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let engine = Engine::start_in(Arc::clone(&home), &settings);
    peer.publish(messages(0, COUNT / 2));
    engine.wait("some are out", |it| {
        it["nats_published"].as_u64() > Some(COUNT / 8)
    });
    drop(peer);
    server.kill();
    engine.wait("it is noticed", |it| it["nats_connected"] == 0);
    server.resume();
    let peer = server.peer();
    peer.wait_for("OUT", COUNT / 4, || engine.stats().to_string());
    engine.kill();
    let engine = Engine::start_in(home, &settings);
    peer.publish(messages(COUNT / 2, COUNT));
    peer.wait_for("OUT", COUNT, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    check_whole(&peer.messages("OUT"), COUNT);
    let stats = engine.wait("all is settled", |it| {
        it["in_flight"] == 0 && it["queued"] == 0 && it["nats_connected"] == 2
    });
    assert_eq!(stats["rejected"], 0);
    assert_eq!(engine.stop().code, Some(0));
    let consumer = peer.wait_for_acknowledged("IN", "engine");
    assert_eq!(consumer.ack_floor.stream_sequence, COUNT);
}

#[test]
fn answers_that_are_lost_are_asked_for_again_and_nothing_is_twice() {
    const ROUND: u64 = 1_500;
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_streams();
    let [from, to] = [(); 2].map(|()| Proxy::to(server.address()));
    let engine = Engine::start(&settings(&from.url(), &to.url(), ""));
    let mut count = 0;
    for round in 1..=3 {
        engine.wait("both work, and all is heard of", |it| {
            it["nats_connected"] == 2 && it["in_flight"] == 0
        });
        // What the stream stores from here on, the engine does not hear of.
        to.swallow_from_next_publish();
        peer.publish(messages(count, count + ROUND));
        peer.wait_for("OUT", count + 1, || engine.stats().to_string());
        from.swallow();
        to.cut();
        from.cut();
        count += ROUND;
        peer.wait_for("OUT", count, || {
            format!("round {round}: {}", engine.stats())
        });
    }
    let stats = engine.wait("all is settled", |it| {
        it["in_flight"] == 0 && it["queued"] == 0
    });
    assert!(stats["nats_duplicates"].as_u64() > Some(0), "{stats}");
    check_whole(&peer.messages("OUT"), count);
    assert_eq!(engine.stop().code, Some(0));
    let consumer = peer.wait_for_acknowledged("IN", "engine");
    assert_eq!(consumer.ack_floor.stream_sequence, count);
}

#[test]
fn wrong_messages_are_kept_and_never_come_again() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_streams();
    let engine = Engine::start(&settings(&server.url(), &server.url(), ""));
    let long = format!("{{\"payload\":{{\"x\":\"{}\"}}}}", "y".repeat(70_000));
    let pretty = frame("m-1", "west-1", 1).replace(',', ",\r\n  ") + "\n";
    let lines = [
        frame("m-0", "west-0", 1),
        "not json".to_owned(),
        "two\nlines".to_owned(),
        pretty.clone(),
        String::new(),
        " \r\n ".to_owned(),
        long,
        frame("m-2", "east-1", 1),
        "{\"producer\":{\"ack\":true}}".to_owned(),
        frame("m-3", "west-3", 1),
        "last".to_owned(),
    ];
    let count = lines.len() as u64;
    peer.publish(lines.map(|it| ("in.x".to_owned(), it)));
    peer.publish([("in.other.stream".to_owned(), frame("m-9", "west-9", 1))]);
    let stats = engine.wait("all are judged", |it| it["received"] == count - 2);
    assert_eq!(
        (&stats["accepted"], &stats["rejected"]),
        (&3.into(), &6.into())
    );
    engine.wait("the stream is told", |it| it["nats_terminated"] == 6);
    peer.wait_for("OUT", 3, || engine.stats().to_string());
    let out = peer.messages("OUT");
    let payloads: HashSet<&str> = out.iter().map(|it| &*it.payload).collect();
    let one_line = pretty.trim_end().replace('\n', "\t");
    assert!(payloads.contains(&*one_line), "{payloads:?}");
    assert_eq!(out[0].headers["messageType"], "lunch");
    assert_eq!(out[0].headers["priority"], "1");
    let kept = engine.rejected_lines();
    let reasons: Vec<Value> = kept
        .iter()
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect();
    let reason = |at: usize| reasons[at]["reason"].as_str().expect("a reason");
    let expected = [
        "bad_json",
        "bad_json",
        "oversize",
        "unknown_destination",
        "missing_field",
        "bad_json",
    ];
    assert_eq!([0, 1, 2, 3, 4, 5].map(reason), expected);
    assert_eq!(reasons[1]["line"], "two\tlines");
    let source = reasons[0]["source"].as_str().expect("a source");
    assert_eq!(source, format!("{}/IN/engine", server.url()));
    assert_eq!(engine.stop().code, Some(0));
    let consumer = peer.wait_for_acknowledged("IN", "engine");
    assert!(
        consumer.ack_floor.stream_sequence >= count,
        "blank ones too: {consumer:?}"
    );
}

#[test]
fn streams_that_are_missing_are_waited_for_and_told_and_the_engine_goes_on() {
    let server = NatsServer::start();
    let peer = server.peer();
    let more = "[[destination]]\nid = \"table1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
                [delivery]\nack_timeout = \"3s\"\n";
    let engine = Engine::start(&settings(&server.url(), &server.url(), more));
    let why = wait_for_words(&engine, "source ", "the stream \"IN\" is not there");
    assert!(why.contains("nats stream add IN"), "{why}");
    let mut producer =
        std::net::TcpStream::connect(engine.ingest.expect("it listens")).expect("a way in");
    for number in 0..5 {
        writeln!(producer, "{}", frame(&format!("p-{number}"), "west-0", 1)).expect("taken");
    }
    let why = wait_for_words(&engine, "destination west-*", "no stream takes");
    assert!(
        why.contains("\"out.west-0\"") && why.contains("at_most_once"),
        "{why}"
    );
    let (status, ready) = engine.get("/readyz");
    assert_eq!(status, 200, "others are served: {ready}");
    assert!(ready.contains("no stream takes"), "{ready}");
    // Others are.
    let mut table = Subscriber::new(&engine, &["table1"], false);
    writeln!(producer, "{}", frame("t-1", "table1", 1)).expect("taken");
    assert_eq!(table.frame().expect("a frame")["messageId"], "t-1");
    peer.make_streams();
    peer.wait_for("OUT", 5, || engine.stats().to_string());
    peer.publish(messages(0, 40));
    peer.wait_for("OUT", 45, || engine.stats().to_string());
    let works = |it: &Value| it["nats_connected"] == 2;
    engine.wait("both work", works);
    // Both go while it runs.
    peer.delete_stream("IN");
    peer.delete_stream("OUT");
    wait_for_words(&engine, "source ", "");
    writeln!(producer, "{}", frame("p-9", "west-0", 1)).expect("taken");
    wait_for_words(&engine, "destination west-*", "no stream takes");
    peer.make_streams();
    peer.publish(messages(100, 140));
    peer.wait_for("OUT", 41, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    engine.wait("both work", works);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_stream_that_takes_no_more_is_told_and_its_messages_wait_in_order() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_stream("IN", &["in.>"]);
    peer.make(Config {
        name: "OUT".to_owned(),
        subjects: vec!["out.>".to_owned()],
        max_messages: 10,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        ..Config::default()
    });
    let engine = Engine::start(&settings(&server.url(), &server.url(), ""));
    peer.publish(messages(0, 100));
    let why = wait_for_words(&engine, "destination west-*", "maximum messages exceeded");
    assert!(why.contains("10077"), "{why}");
    let raised = Config {
        name: "OUT".to_owned(),
        subjects: vec!["out.>".to_owned()],
        ..Config::default()
    };
    peer.block_on(peer.streams.update_stream(raised))
        .expect("it is raised");
    peer.wait_for("OUT", 100, || engine.stats().to_string());
    check_whole(&peer.messages("OUT"), 100);
}

/// No stream has the subject of one customer of the pattern: the others' messages are published once,
/// settled, and not published again by a new start; the one's come when there is a stream.
#[test]
fn a_customer_that_is_refused_holds_up_none_of_its_pattern() {
    const EACH: u64 = 300;
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_stream("IN", &["in.>"]);
    peer.make(Config {
        name: "OUT".to_owned(),
        subjects: vec!["out.west-1".to_owned(), "out.west-2".to_owned()],
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    });
    let settings = settings(
        &server.url(),
        &server.url(),
        "[delivery]\nack_timeout = \"6s\"\n",
    );
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let engine = Engine::start_in(Arc::clone(&home), &settings);
    let of = |customer: u64, from: u64, to: u64| {
        messages(4 * from, 4 * to)
            .filter(move |(subject, _)| subject.ends_with(&customer.to_string()))
    };
    peer.publish(of(3, 0, 5));
    peer.publish((0..EACH).flat_map(|at| of(1, at, at + 1).chain(of(2, at, at + 1))));
    engine.wait("the others' are settled", |it| it["delivered"] == 2 * EACH);
    let why = wait_for_words(&engine, "destination west-3", "no stream takes");
    assert!(why.contains("\"out.west-3\""), "{why}");
    // Longer than the one is set aside at a time: it comes back to the pattern, and is set aside again.
    let begun = engine.stats()["redelivered"].as_u64();
    engine.wait("its messages were given back", |it| {
        it["redelivered"].as_u64() > begun
    });
    peer.publish((EACH..2 * EACH).flat_map(|at| of(1, at, at + 1).chain(of(2, at, at + 1))));
    let stats = engine.wait("the others' are settled", |it| it["delivered"] == 4 * EACH);
    assert_eq!(
        stats["queued"]
            .as_u64()
            .zip(stats["in_flight"].as_u64())
            .map(|it| it.0 + it.1),
        Some(5)
    );
    assert_eq!(engine.stop().code, Some(0));
    let engine = Engine::start_in(home, &settings);
    engine.wait("the one is told", |it| {
        it["nats_publish_failures"].as_u64() > Some(3)
    });
    peer.make_stream("LATE", &["out.west-3"]);
    peer.wait_for("LATE", 5, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    engine.wait("all is settled", |it| {
        it["queued"] == 0 && it["in_flight"] == 0
    });
    check_whole(&peer.messages("OUT"), 4 * EACH);
    check_whole(&peer.messages("LATE"), 5);
    engine.wait("it is back in its pattern", |it| {
        let links = it["links"].as_object().expect("links");
        links.len() == 2 && it["nats_connected"] == 2
    });
}

/// Somebody deletes the durable while nothing comes: what was acknowledged before this start is not read
/// again, though no id of it is remembered.
#[test]
fn a_durable_that_is_deleted_while_nothing_comes_goes_on_where_it_was() {
    let server = NatsServer::start();
    let peer = server.peer();
    peer.make_streams();
    let settings = settings(&server.url(), &server.url(), "[dedup]\nwindow = \"1s\"\n");
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let engine = Engine::start_in(Arc::clone(&home), &settings);
    peer.publish(messages(0, 40));
    engine.wait("all is settled", |it| it["delivered"] == 40);
    assert_eq!(engine.stop().code, Some(0));
    let engine = Engine::start_in(home, &settings);
    engine.wait("both work", |it| it["nats_connected"] == 2);
    std::thread::sleep(Duration::from_secs(2));
    let failures = engine.stats()["nats_failures"].as_u64();
    peer.delete_consumer("IN", "engine");
    engine.wait("it is noticed", |it| {
        it["nats_failures"].as_u64() > failures
    });
    engine.wait("both work", |it| it["nats_connected"] == 2);
    peer.publish(messages(40, 44));
    engine.wait("the new ones are settled", |it| {
        it["delivered"].as_u64() >= Some(4)
    });
    let stats = engine.stats();
    assert_eq!(stats["nats_received"], 4, "{stats}");
    check_whole(&peer.messages("OUT"), 44);
}

#[test]
fn a_message_larger_than_the_server_takes_is_told() {
    let server = NatsServer::start_with("max_payload: 1000");
    let peer = server.peer();
    peer.make_streams();
    let more = "[ingest]\nlisten = \"127.0.0.1:0\"\n";
    let engine = Engine::start(&settings(&server.url(), &server.url(), more));
    let mut producer =
        std::net::TcpStream::connect(engine.ingest.expect("it listens")).expect("a way in");
    let line = frame("m-0", "west-0", 1);
    let large = line.replace("\"n\":1", &format!("\"n\":\"{}\"", "x".repeat(2_000)));
    writeln!(producer, "{large}").expect("taken");
    let why = wait_for_words(&engine, "destination west-*", "max_payload");
    assert!(why.contains("which is 1000"), "{why}");
}

#[test]
fn credentials_are_used_and_never_told() {
    let more = "authorization { users: [ { user: \"engine\", password: \"s3cret\" } ] }";
    let server = NatsServer::start_with(more);
    let login = ConnectOptions::with_user_and_password("engine".to_owned(), "s3cret".to_owned());
    let peer = server.peer_with(login);
    peer.make_streams();
    let at = |login: &str| format!("nats://{login}@{}", server.address());
    let engine = Engine::start(&settings(&at("engine:s3cret"), &at("engine:wr0ng"), ""));
    let why = wait_for_words(&engine, "destination west-*", "refuses the credentials");
    assert!(why.contains(&server.url()), "{why}");
    peer.publish(messages(0, 8));
    engine.wait("the source works", |it| it["accepted"] == 8);
    let told = format!(
        "{}{}{}",
        engine.stats(),
        engine.get("/readyz").1,
        engine.log()
    );
    assert!(
        !told.contains("s3cret") && !told.contains("wr0ng"),
        "{told}"
    );
    let home = Arc::clone(&engine.home);
    assert_eq!(engine.stop().code, Some(0));
    let engine = Engine::start_in(
        home,
        &settings(&at("engine:s3cret"), &at("engine:s3cret"), ""),
    );
    peer.wait_for("OUT", 8, || engine.stats().to_string());
}

#[test]
fn rights_that_are_missing_are_told_in_the_server_s_words() {
    let more = "authorization { users: [ { user: \"a\", password: \"b\" }, { user: \"e\", password: \"f\", \
                permissions: { publish: [\"$JS.>\"], subscribe: [\"_INBOX.>\"] } } ] }";
    let server = NatsServer::start_with(more);
    let login = ConnectOptions::with_user_and_password("a".to_owned(), "b".to_owned());
    let peer = server.peer_with(login);
    peer.make_streams();
    let url = format!("nats://e:f@{}", server.address());
    let engine = Engine::start(&settings(&url, &url, ""));
    peer.publish(messages(0, 4));
    let why = wait_for_words(&engine, "destination west-*", "Permissions Violation");
    assert!(why.contains("out.west-"), "{why}");
}

#[test]
fn a_server_that_is_too_old_is_refused_with_the_reason() {
    let url = old_server();
    let engine = Engine::start(&settings(&url, &url, ""));
    for name in ["source ", "destination west-*"] {
        let why = wait_for_words(&engine, name, "2.9.10 is too old");
        assert!(why.contains("use 2.15.0 or later"), "{why}");
    }
    assert_eq!(engine.count("nats_connected"), 0);
    engine.wait_for_log("2.9.10 is too old");
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn at_most_once_wants_no_stream_and_an_id_is_one_token() {
    let server = NatsServer::start();
    let peer = server.peer();
    let (subscribed, url) = (peer.block_on(peer.client.subscribe("out.>")), server.url());
    let mut messages = subscribed.expect("a subscription");
    peer.block_on(peer.client.flush()).expect("it is known");
    let settings = format!(
        "source = []\n[[destination]]\nid = \"west-*\"\nnats = \"{url}\"\nsubject = \"out.{{id}}.new\"\n\
         at_most_once = true\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
         [[user]]\nname = \"kitchen\"\ntoken_sha256 = \"{}\"\nmay_send = [\"*\"]\nmay_admin = true\n",
        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    );
    let engine = Engine::start(&settings);
    let mut producer =
        std::net::TcpStream::connect(engine.ingest.expect("it listens")).expect("a way in");
    writeln!(producer, "{{\"producer\":{{\"token\":\"secret\"}}}}").expect("taken");
    writeln!(producer, "{}", frame("m-1", "west-a.b *", 1)).expect("taken");
    // Where it is told of, it is told what it promises.
    engine.wait_for_log(&format!("destination west-* at {url}, at most once works"));
    let message = peer.block_on(async {
        use futures_util::StreamExt as _;
        tokio::time::timeout(PATIENCE, messages.next()).await
    });
    let message = message.expect("in time").expect("a message");
    assert_eq!(message.subject.as_str(), "out.west-a%2Eb%20%2A.new");
    let line: Value = serde_json::from_slice(&message.payload).expect("JSON");
    assert_eq!(line["messageId"], "m-1");
    assert_eq!(engine.stop().code, Some(0));
    // It wants a runtime for that.
    peer.block_on(async { drop(messages) });
}

#[test]
fn an_engine_without_nats_has_no_thread_for_it() {
    let threads = |engine: &Engine| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", engine.pid())).expect("it runs");
        let name = |it: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(it.expect("an entry").path().join("comm")).unwrap_or_default()
        };
        tasks
            .map(name)
            .map(|it| it.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let engine = Engine::start("source = []\n");
    let found = threads(&engine);
    assert!(!found.contains(&"nats".to_owned()), "{found:?}");
    let url = old_server();
    let engine = Engine::start(&settings(&url, &url, ""));
    // A thread takes its name when it first runs.
    wait_for_words(&engine, "source ", "too old");
    let found = threads(&engine);
    assert!(found.contains(&"nats".to_owned()), "{found:?}");
}
