//! Who may ask by HTTP: users, pages of browsers, TLS, and who is wrong there.

mod support;

#[path = "support/http.rs"]
mod http;

use std::process::Command;

use http::{Sse, curl, publish, said, settings};
use support::{Engine, Subscriber, frame, user_hash};

/// Tokens of users.
const KITCHEN: &str = "kitchen-0123456789";
const TABLE: &str = "table-0123456789";
const ADMIN: &str = "admin-0123456789";
const WRONG: &str = "nobody-0123456789";

fn with_users() -> Engine {
    let users = format!(
        "[[user]]\nname = \"kitchen\"\n{}may_send = [\"table1\"]\n\
         [[user]]\nname = \"table\"\n{}may_receive = [\"table1\"]\n\
         [[user]]\nname = \"admin\"\n{}may_admin = true\n",
        user_hash(KITCHEN),
        user_hash(TABLE),
        user_hash(ADMIN)
    );
    Engine::start(&settings(&users))
}

/// The status of each path by each user.
#[test]
fn each_user_may_do_what_it_has_a_right_to_and_nothing_else() {
    let engine = with_users();
    let line = frame("m", "table1", 1);
    let tokens = [None, Some(WRONG), Some(KITCHEN), Some(TABLE), Some(ADMIN)];
    for token in tokens {
        let bearer = format!("Authorization: Bearer {}", token.unwrap_or_default());
        let show: &[&str] = if token.is_some() {
            &["-H", &bearer]
        } else {
            &[]
        };
        let unknown = token.is_none() || token == Some(WRONG);
        let expected = |may: bool| match (unknown, may) {
            (true, _) => 401,
            (false, true) => 200,
            (false, false) => 403,
        };
        let send = [show, &["--data-binary", "@-"]].concat();
        let (status, body) = curl(&engine, "/publish", &send, line.as_bytes());
        assert_eq!(
            status,
            expected(token == Some(KITCHEN)),
            "{token:?}: {body}"
        );
        if token == Some(TABLE) {
            let mut mine = Sse::new(&engine, "/subscribe/table1", show);
            assert_eq!(mine.next().expect("an event").name, "subscribed");
        } else {
            let (status, body) = curl(&engine, "/subscribe/table1", show, b"");
            assert_eq!(status, expected(false), "{token:?}: {body}");
        }
        let send = [show, &["-d", "{\"id\":\"ab-1\"}"]].concat();
        let (status, body) = curl(&engine, "/ack", &send, b"");
        assert_eq!(status, if unknown { 401 } else { 404 }, "{token:?}: {body}");
        assert!(!body.contains("0123456789"), "no token is repeated: {body}");
    }
    let as_kitchen = format!("Authorization: Bearer {KITCHEN}");
    let send = ["-H", &as_kitchen, "--data-binary", "@-"];
    let (_, body) = curl(
        &engine,
        "/publish",
        &send,
        frame("n", "table2", 1).as_bytes(),
    );
    assert!(body.contains("forbidden"), "{body}");
    let as_table = format!("Authorization: Bearer {TABLE}");
    let (status, body) = curl(&engine, "/subscribe/table2", &["-H", &as_table], b"");
    assert_eq!(status, 404, "{body}");
    let mut mine = Sse::new(&engine, "/subscribe/table1", &["-H", &as_table]);
    let id = mine.message().id;
    let others = ["-H", &as_kitchen, "-d", &format!("{{\"id\":\"{id}\"}}")];
    assert_eq!(
        curl(&engine, "/ack", &others, b"").0,
        404,
        "another's subscription"
    );
    let own = ["-H", &as_table, "-d", &format!("{{\"id\":\"{id}\"}}")];
    assert_eq!(curl(&engine, "/ack", &own, b"").0, 200);
    let (status, body) = curl(
        &engine,
        "/subscribe/table1?token=x",
        &["-H", &as_table],
        b"",
    );
    assert_eq!(status, 400, "no token in a URL: {body}");
    for wrong in ["\u{fc}mlaut", "two words", "a\tb"] {
        let wrong = format!("Authorization: Bearer {wrong}");
        let (status, body) = curl(&engine, "/publish", &["-H", &wrong, "-d", "x"], b"");
        assert_eq!(status, 401, "{body}");
        assert!(body.contains("this is not a token"), "{body}");
    }
    for words in ["a token is wanted here", "no user has this token"] {
        let line = format!("an HTTP client is refused: {words}");
        engine.wait_until_logged(words, |log| {
            let line = log.lines().find(|it| it.contains(&line));
            line.is_some_and(|it| it.contains("peer="))
        });
    }
    assert!(!engine.log().contains("0123456789"));
}

#[test]
fn pages_of_other_origins_and_other_hosts_are_refused_and_listed_ones_may_ask() {
    let engine = Engine::start(&settings("cors = [\"https://till.example\"]"));
    let line = frame("m", "table1", 1);
    let from = |origin: &str| {
        let header = format!("Origin: {origin}");
        let args = ["-i", "-H", &header, "--data-binary", "@-"];
        curl(&engine, "/publish", &args, line.as_bytes())
    };
    for origin in ["https://evil.example", "null", "http://till.example"] {
        let (status, body) = from(origin);
        assert_eq!(status, 403, "{body}");
        assert!(!body.contains("access-control-allow-origin"), "{body}");
    }
    assert_eq!(engine.count("accepted"), 0);
    let (status, body) = from("https://till.example");
    assert_eq!(status, 200);
    let may = "access-control-allow-origin: https://till.example";
    assert!(body.contains(may), "{body}");
    let args = [
        "-i",
        "-X",
        "OPTIONS",
        "-H",
        "Origin: https://till.example",
        "-H",
        "Access-Control-Request-Method: POST",
    ];
    let (status, body) = curl(&engine, "/publish", &args, b"");
    assert_eq!(status, 204);
    for part in [
        may,
        "access-control-allow-methods: GET, POST",
        "authorization",
    ] {
        assert!(body.contains(part), "{body}");
    }
    for host in ["evil.example", "evil.example:80"] {
        let header = format!("Host: {host}");
        let (status, body) = curl(&engine, "/subscribe/table1", &["-H", &header], b"");
        assert_eq!(status, 421, "{body}");
    }
    let stats = engine.stats();
    assert_eq!(stats["http_origins_refused"], 3);
    assert_eq!(stats["http_hosts_refused"], 2);
}

#[test]
fn who_is_wrong_here_is_told_where_to_go() {
    let engine = Engine::start(&settings("[ingest]\nlisten = \"127.0.0.1:0\""));
    let (ingest, admin) = (engine.ingest.expect("it listens"), engine.admin);
    let delivery = engine.delivery.to_string();
    let answer = said(
        engine.http.expect("it listens"),
        "{\"subscribe\":[\"table1\"]}\n",
    );
    assert!(
        answer.starts_with("{\"error\":\"this is [http] listen"),
        "{answer}"
    );
    assert!(
        answer.contains(&delivery) && answer.contains(&ingest.to_string()),
        "{answer}"
    );
    let (status, body) = curl(&engine, "/stats", &[], b"");
    assert_eq!(status, 404);
    assert!(
        body.contains(&admin.to_string()) && body.contains("/publish"),
        "{body}"
    );
    assert_eq!(curl(&engine, "/publish", &[], b"").0, 405);
    assert_eq!(
        curl(&engine, "/subscribe/table1", &["-I"], b"").0,
        405,
        "HEAD"
    );
    let (_, head) = curl(&engine, "/subscribe/table1", &["-I"], b"");
    assert!(head.contains("allow: GET"), "{head}");
    let at_delivery = Subscriber::say(engine.delivery, "GET /subscribe/table1 HTTP/1.1").answer;
    let http = engine.http.expect("it listens").to_string();
    assert!(at_delivery.contains(&http), "{at_delivery}");
    let (status, body) = curl(
        &engine,
        "/publish",
        &["-H", "Content-Encoding: gzip", "-d", "x"],
        b"",
    );
    assert_eq!(status, 415, "{body}");
}

#[test]
fn at_max_connections_a_client_is_told_so() {
    let engine = Engine::start(&settings("max_connections = 2"));
    let streams: Vec<_> = (0..2)
        .map(|_| Sse::new(&engine, "/subscribe/table1", &[]))
        .collect();
    engine.wait("they are there", |it| it["http_subscribers"] == 2);
    let (status, body) = publish(&engine, &frame("m", "table1", 1));
    assert_eq!(status, 503);
    assert!(body.contains("[http] max_connections"), "{body}");
    drop(streams);
    // One is the test's own, at the admin address.
    engine.wait("there is room", |it| it["http_connected"] == 1);
    assert_eq!(publish(&engine, &frame("m", "table1", 1)).0, 200);
    assert_eq!(engine.count("connections_refused_full"), 1);
}

/// A certificate that is its own authority, for `localhost`.
fn certificate(home: &std::path::Path) {
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout \
                 engine.key -out engine.pem -subj /CN=engine -addext \
                 subjectAltName=DNS:localhost,IP:127.0.0.1";
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(home)
        .output()
        .expect("openssl");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn with_a_certificate_it_speaks_https_and_nothing_else() {
    let home = std::sync::Arc::new(tempfile::tempdir().expect("a temporary directory"));
    certificate(home.path());
    let tls = "tls_cert = \"engine.pem\"\ntls_key = \"engine.key\"";
    let engine = Engine::start_in(home, &settings(tls));
    let (status, body) = publish(&engine, &frame("a", "table1", 1));
    assert_eq!(status, 400);
    assert!(body.contains("https://"), "{body}");
    let authority = engine.home.path().join("engine.pem");
    let authority = authority.display().to_string();
    let url = |path: &str| format!("https://{}{path}", engine.http.expect("it listens"));
    let line = frame("a", "table1", 1);
    let output = Command::new("curl")
        .args(["-sS", "--cacert", &authority, "-d", &line])
        .arg(url("/publish"))
        .output()
        .expect("curl");
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(said, "{\"line\":1,\"outcome\":\"accepted\"}\n");
    let subscribe = url("/subscribe/table1?ack=false");
    let mut subscriber = Sse::at(&subscribe, &["--cacert", &authority]);
    assert_eq!(subscriber.message().data, line);
    engine.wait("it is settled", |it| it["settled"] == 1);
    assert_eq!(engine.count("tls_failures"), 1);
}

#[test]
fn a_reload_changes_who_may_ask() {
    let engine = Engine::start(&settings(""));
    let ask = || {
        let args = ["-H", "Origin: https://till.example", "-d", "{}"];
        curl(&engine, "/publish", &args, b"").0
    };
    assert_eq!(ask(), 403);
    let words = "an HTTP client is refused: pages of https://till.example may not ask here";
    engine.wait_for_log(words);
    let file = engine.home.path().join("flipped-lb.toml");
    std::fs::write(&file, settings("cors = [\"https://till.example\"]")).expect("written");
    engine.signal("HUP");
    engine.wait("it was reloaded", |_| ask() == 200);
}
