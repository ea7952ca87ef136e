//! HTTP for customers: server-sent events, acknowledgements, redelivery, crowds.

mod support;

#[path = "support/http.rs"]
mod http;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use http::{Event, Sse, curl, frames, publish, python, settings};
use support::{Engine, PATIENCE, Subscriber, frame};

/// Status and body of `POST /ack`.
fn acknowledge(engine: &Engine, id: &str) -> (u16, String) {
    let body = json!({ "id": id }).to_string();
    curl(engine, "/ack", &["-d", &body], b"")
}

fn send(engine: &Engine, lines: &str) {
    let (status, body) = publish(engine, lines);
    assert_eq!(status, 200, "{body}");
    let accepted = body.matches("\"accepted\"").count();
    assert_eq!(accepted, lines.lines().count(), "{body}");
}

fn event(name: &str, data: &str) -> Event {
    Event {
        name: name.to_owned(),
        data: data.to_owned(),
        ..Event::default()
    }
}

/// The ids of the messages of some events.
fn messages(events: &[Event]) -> Vec<String> {
    events.iter().map(Event::message).collect()
}

fn expected(prefix: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|it| format!("{prefix}-{it}")).collect()
}

#[test]
fn a_client_that_comes_again_has_each_message_once_and_what_it_had_not_is_announced() {
    let engine = Engine::start(&settings(""));
    send(&engine, &frames("m", "table1", 1..11));
    let mut first = Sse::new(&engine, "/subscribe/table1", &[]);
    let subscribed = "{\"subscribed\":[\"table1\"],\"standby\":[]}";
    assert_eq!(first.next(), Some(event("subscribed", subscribed)));
    let got: Vec<_> = (0..10).map(|_| first.message()).collect();
    assert_eq!(messages(&got), expected("m", 1..=10));
    assert_eq!(got[0].data, frame("m-1", "table1", 1), "verbatim");
    let (status, body) = acknowledge(&engine, &got[3].id);
    assert_eq!((status, body.as_str()), (200, "{\"acknowledged\":4}\n"));
    engine.wait("they are settled", |it| it["settled"] == 4);
    drop(first);
    engine.wait("it is gone", |it| it["http_subscribers"] == 0);
    let (status, body) = acknowledge(&engine, &got[5].id);
    assert_eq!(status, 410, "{body}");
    // It has had seven of them.
    let mut second = Sse::behind(&engine, "/subscribe/table1", &got[6].id);
    assert_eq!(second.next(), Some(event("subscribed", subscribed)));
    let mut rest = Vec::new();
    assert_eq!(second.next(), Some(event("again", "{\"again\":3}")));
    for _ in 8..=10 {
        rest.push(second.next().expect("a message"));
    }
    assert_eq!(messages(&rest), expected("m", 8..=10));
    send(&engine, &frame("m-11", "table1", 1));
    let last = second.next().expect("a message");
    assert_eq!(last.message(), "m-11");
    assert_eq!(acknowledge(&engine, &last.id).0, 200);
    let stats = engine.wait("all are settled", |it| it["settled"] == 11);
    assert_eq!(
        (&stats["http_resumed"], &stats["http_acks"]),
        (&json!(1), &json!(2))
    );
    drop(second);
    let mut other = Subscriber::new(&engine, &["table1"], true);
    send(&engine, &frame("m-12", "table1", 1));
    assert_eq!(other.frame().expect("a frame")["messageId"], "m-12");
}

/// The network has changed, say, and the engine does not know yet that the old connection is dead.
#[test]
fn a_client_that_comes_again_before_it_has_gone_takes_its_subscription_over() {
    let engine = Engine::start(&settings(""));
    let mut first = Sse::new(&engine, "/subscribe/table1", &[]);
    send(&engine, &frames("m", "table1", 1..6));
    let got: Vec<_> = (0..5).map(|_| first.message()).collect();
    let mut second = Sse::behind(&engine, "/subscribe/table1", &got[2].id);
    let subscribed = second.next().expect("an event");
    assert_eq!(
        subscribed.data,
        "{\"subscribed\":[\"table1\"],\"standby\":[]}"
    );
    let rest = [second.message(), second.message()];
    assert_eq!(messages(&rest), expected("m", 4..=5));
    assert_eq!(first.next(), None, "the old stream has ended");
    assert_eq!(acknowledge(&engine, &rest[1].id).0, 200);
    engine.wait("all are settled", |it| it["settled"] == 5);
}

#[test]
fn a_second_one_stands_by_and_takes_over_and_hears_what_may_have_been_seen() {
    let engine = Engine::start(&settings(""));
    let mut first = Sse::new(&engine, "/subscribe/table1", &[]);
    send(&engine, &frame("a", "table1", 1));
    first.message();
    let mut second = Sse::new(&engine, "/subscribe/table1", &[]);
    let answer = second.next().expect("an event");
    assert_eq!(
        answer,
        event("subscribed", "{\"subscribed\":[],\"standby\":[\"table1\"]}")
    );
    drop(first);
    assert_eq!(second.next(), Some(event("again", "{\"again\":1}")));
    assert_eq!(second.message().message(), "a");
    let (status, body) = curl(&engine, "/subscribe/table9", &[], b"");
    assert_eq!(status, 404);
    assert!(
        body.contains("unknown destination") && body.contains("table1"),
        "{body}"
    );
    let mut all = Sse::new(&engine, "/subscribe/*", &[]);
    let answer: Value = serde_json::from_str(&all.next().expect("an event").data).expect("JSON");
    assert_eq!(answer["standby"], json!(["table1"]));
    assert_eq!(answer["subscribed"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_acknowledgement_that_makes_no_sense_is_refused_with_the_reason() {
    let engine = Engine::start(&settings(""));
    let mut subscriber = Sse::new(&engine, "/subscribe/table1", &[]);
    send(&engine, &frame("a", "table1", 1));
    let id = subscriber.message().id;
    let later = id.replace("-1", "-2");
    for (body, status) in [
        (json!({ "id": later }).to_string(), 409),
        (json!({ "id": "00000000000000ab-1" }).to_string(), 404),
        ("{\"id\":17}".to_owned(), 400),
        ("nothing".to_owned(), 400),
        ("x".repeat(5000), 413),
    ] {
        let (got, said) = curl(&engine, "/ack", &["-d", &body], b"");
        assert_eq!(got, status, "{body}: {said}");
    }
    assert_eq!(acknowledge(&engine, &id).0, 200);
    assert_eq!(
        acknowledge(&engine, &id).0,
        200,
        "once more changes nothing"
    );
    engine.wait("it is settled", |it| it["settled"] == 1);
}

#[test]
fn without_acknowledgements_what_was_written_is_settled() {
    let engine = Engine::start(&settings(""));
    let mut subscriber = Sse::new(&engine, "/subscribe/table1?ack=false", &[]);
    send(&engine, &frames("m", "table1", 1..51));
    let got: Vec<_> = (0..50).map(|_| subscriber.message()).collect();
    assert_eq!(messages(&got), expected("m", 1..=50));
    engine.wait("all are settled", |it| it["settled"] == 50);
}

#[test]
fn who_does_not_acknowledge_in_time_is_told_so_and_may_go_on() {
    let engine = Engine::start(&settings("[delivery]\nack_timeout = \"1s\""));
    let mut subscriber = Sse::new(&engine, "/subscribe/table1", &[]);
    send(&engine, &frames("m", "table1", 1..3));
    let id = subscriber.message().id;
    subscriber.message();
    let told = subscriber.next().expect("an event");
    assert_eq!(told.name, "closed");
    assert!(told.data.contains("ack_timeout"), "{told:?}");
    assert_eq!(subscriber.next(), None);
    let mut again = Sse::behind(&engine, "/subscribe/table1", &id);
    assert_eq!(again.message().message(), "m-2");
    engine.wait("the first is settled", |it| it["settled"] == 1);
}

/// One that reads nothing has its messages wait in the engine, takes no memory, and harms nobody.
#[test]
fn a_client_that_never_reads_waits_alone() {
    let engine = Engine::start(&settings(
        "[delivery]\nack_timeout = \"10m\"\n[ingest]\nlisten = \"127.0.0.1:0\"",
    ));
    let mut silent = TcpStream::connect(engine.http.expect("it listens")).expect("it listens");
    write!(
        silent,
        "GET /subscribe/table1 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )
    .expect("it reads");
    engine.wait("it is there", |it| it["http_subscribers"] == 1);
    let before = engine.resident_kib();
    let mut producer = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    let payload = "x".repeat(8000);
    for number in 0..4000 {
        let line = frame(&format!("s-{number}"), "table1", 1)
            .replace("\"n\":1", &format!("\"n\":\"{payload}\""));
        writeln!(producer, "{line}").expect("it reads");
    }
    engine.wait("all are there", |it| it["accepted"] == 4000);
    let mut other = Sse::new(&engine, "/subscribe/table2", &[]);
    send(&engine, &frame("o", "table2", 1));
    assert_eq!(other.message().message(), "o");
    let stats = engine.stats();
    let in_flight = stats["in_flight"].as_u64().expect("a number");
    assert!(
        in_flight < 1000,
        "{in_flight} of 8 KiB: the credit and what its socket has taken"
    );
    let grown = engine.resident_kib().saturating_sub(before);
    assert!(grown < 96 * 1024, "{grown} KiB");
    // It begins to read.
    silent.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut bytes = vec![0; 1 << 20];
    let mut got = 0;
    while got < 8_000_000 {
        got += silent.read(&mut bytes).expect("they come");
    }
    drop(silent);
    engine.wait("it is gone", |it| {
        it["http_subscribers"] == 1 && it["queued"] == 4000
    });
}

/// Python's own client, a thread each, beside subscribers on TCP.
const CROWD: &str = r#"
import http.client, json, sys, threading
address, count, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
threading.stack_size(256 * 1024)
got, lock = {}, threading.Lock()
acks_open = threading.Semaphore(8)
def customer(name):
    there = http.client.HTTPConnection(address, timeout=180)
    there.request("GET", "/subscribe/" + name)
    answer = there.getresponse()
    ids, last = [], None
    while len(ids) < each:
        raw = answer.readline()
        assert raw, name + ": its stream ended after " + str(ids)
        line = raw.decode().rstrip("\n")
        if line.startswith("id: "):
            last = line[4:]
        elif line.startswith("data: ") and last:
            ids.append(json.loads(line[6:])["messageId"])
            if len(ids) == each:
                with acks_open:
                    acks = http.client.HTTPConnection(address, timeout=180)
                    acks.request("POST", "/ack", json.dumps({"id": last}))
                    assert acks.getresponse().status == 200
                    acks.close()
    with lock:
        got[name] = ids
threads = [threading.Thread(target=customer, args=("sse%d" % it,)) for it in range(count)]
[it.start() for it in threads]
[it.join() for it in threads]
print(json.dumps(got))
"#;

#[test]
fn a_thousand_event_streams_beside_tcp_get_exactly_their_own() {
    const STREAMS: usize = 1_000;
    const EACH: usize = 20;
    let names = |it: usize| match it {
        0..STREAMS => format!("sse{it}"),
        _ => format!("tcp{}", it - STREAMS),
    };
    let all = STREAMS + 20;
    let ids: String = (0..all)
        .map(|it| format!("[[destination]]\nid = \"{}\"\n", names(it)))
        .collect();
    // Each acknowledges when it has all, on another connection. An engine has descriptors for all of them
    // where it may open 4,096.
    let rest = format!(
        "max_connections = 1100\n{ids}[ingest]\nmax_connections = 16\n\
         [delivery]\nmax_connections = 64\nack_timeout = \"10m\""
    );
    let engine = Engine::start(&settings(&rest));
    let address = engine.http.expect("it listens").to_string();
    let crowd = std::thread::spawn(move || {
        python(CROWD, &[&address, &STREAMS.to_string(), &EACH.to_string()])
    });
    let tcp: Vec<_> = (STREAMS..all)
        .map(|it| Subscriber::new(&engine, &[&names(it)], false))
        .collect();
    engine.wait("all are there", |it| it["http_subscribers"] == STREAMS);
    for round in 0..EACH {
        let lines: String = (0..all)
            .map(|it| frame(&format!("{}-{round}", names(it)), &names(it), 1) + "\n")
            .collect();
        send(&engine, &lines);
    }
    let expected =
        |name: &str| -> Vec<String> { (0..EACH).map(|it| format!("{name}-{it}")).collect() };
    for (at, mut subscriber) in (STREAMS..all).zip(tcp) {
        let got = subscriber.frames(EACH);
        let got: Vec<_> = got
            .iter()
            .filter_map(|it| it["messageId"].as_str())
            .collect();
        assert_eq!(got, expected(&names(at)));
    }
    let got: Value = serde_json::from_str(&crowd.join().expect("it ends")).expect("JSON");
    for at in 0..STREAMS {
        let name = names(at);
        assert_eq!(got[&name], json!(expected(&name)), "{name}");
    }
    let stats = engine.wait("all are settled", |it| it["settled"] == all * EACH);
    assert_eq!(stats["duplicates"], 0);
    assert_eq!(stats["http_acks"], STREAMS);
}

#[test]
fn a_stop_ends_streams_and_leaves_what_was_not_acknowledged() {
    let engine = Engine::start(&settings(""));
    let mut subscriber = Sse::new(&engine, "/subscribe/table1", &[]);
    send(&engine, &frame("a", "table1", 1));
    subscriber.message();
    let home = engine.home.clone();
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(subscriber.next(), None);
    let engine = Engine::start_in(home, &settings(""));
    let mut subscriber = Sse::new(&engine, "/subscribe/table1", &[]);
    assert_eq!(subscriber.message().message(), "a");
    assert!(subscriber.is_silent(Duration::from_millis(100)));
}
