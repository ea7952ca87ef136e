//! Any sequence of valid files ends where a fresh start with the last one would.

#[path = "support/reloading.rs"]
mod reloading;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use reloading::{post, write};
use support::{Engine, PATIENCE, Server, Subscriber, user_hash};

const NAMES: [&str; 4] = ["table1", "table2", "bar", "attic"];
const TYPES: [&str; 3] = ["lunch", "tea", "cake"];
const TOKENS: [&str; 3] = ["one-token", "two-token", "three-token"];
const ADMIN: &str = "admin-token";
/// Names that a pattern, or `unknown_destinations`, creates.
const CREATED: [&str; 2] = ["w-1", "v-1"];
/// Of these ids at NATS.
const PATTERNS: [&str; 3] = ["w-*", "v-*", "*-1"];
/// Nobody listens there.
const NATS: &str = "nats://127.0.0.1:1";

/// One file.
#[derive(Debug, Clone)]
struct File {
    /// Which of three servers, and whether they are acknowledged.
    sources: [Option<bool>; 3],
    /// One that is read from NATS, by which subject, and a destination there, and whether at most once: of
    /// a server that does not answer.
    nats: (Option<u8>, Option<bool>),
    /// Which of the patterns.
    pattern: Option<usize>,
    creates: bool,
    /// Which of the names, with `vip`, `max_queued` and whether lines are rejected then.
    destinations: [Option<(bool, u8, bool)>; 4],
    /// Type, destination (a pattern of none where it is not there) and level.
    rules: Vec<(Option<usize>, Option<usize>, u8)>,
    /// Token, what each may send and receive.
    users: Option<[Option<(usize, usize, usize)>; 2]>,
    max_rate: Option<u32>,
    log: usize,
}

/// Lists of rights.
const RIGHTS: [&str; 4] = ["", "'*'", "'table*'", "'*c', 'b*'"];

fn file() -> impl Strategy<Value = File> {
    let source = || prop::option::of(any::<bool>());
    let destination = || prop::option::weighted(0.7, (any::<bool>(), 1..4_u8, any::<bool>()));
    let rule = (
        prop::option::of(0..TYPES.len()),
        prop::option::of(0..NAMES.len()),
        1..4_u8,
    );
    let user = prop::option::of((0..2_usize, 0..RIGHTS.len(), 0..RIGHTS.len()));
    (
        [source(), source(), source()],
        [destination(), destination(), destination(), destination()],
        prop::collection::vec(rule, 0..4),
        prop::option::of([user.clone(), user]),
        prop::option::of(1_000..9_000_u32),
        0..3_usize,
        (prop::option::of(0..3_u8), prop::option::of(any::<bool>())),
        (
            prop::option::of(0..PATTERNS.len()),
            prop::bool::weighted(0.3),
        ),
    )
        .prop_map(
            |(sources, destinations, rules, users, max_rate, log, nats, (pattern, creates))| File {
                sources,
                nats,
                pattern,
                creates,
                destinations,
                rules,
                users,
                max_rate,
                log,
            },
        )
}

/// The hashes of all tokens: each takes a process.
fn hashed(token: &str) -> &'static str {
    static HASHES: OnceLock<Vec<(&str, String)>> = OnceLock::new();
    let hashes = HASHES.get_or_init(|| {
        let all = TOKENS.iter().chain([&ADMIN]);
        all.map(|it| (*it, user_hash(it))).collect()
    });
    let found = hashes.iter().find(|it| it.0 == token);
    found.map(|it| it.1.as_str()).expect("it is listed")
}

impl File {
    fn has(&self, name: usize) -> bool {
        self.creates || self.destinations[name].is_some()
    }

    fn text(&self, servers: &[SocketAddr]) -> String {
        let mut text = String::new();
        let sources = self.sources.iter().zip(servers);
        let sources = sources.filter_map(|(ack, address)| Some((((*ack)?), address)));
        let sources =
            sources.map(|(ack, address)| format!("{{ address = \"{address}\", ack = {ack} }}"));
        let nats = self.nats.0.map(|subject| {
            format!("{{ nats = \"{NATS}\", stream = \"S\", durable = \"d\", subject = \"in.{subject}\" }}")
        });
        let sources: Vec<String> = sources.chain(nats).collect();
        text += &format!("source = [{}]\n", sources.join(", "));
        let creates = if self.creates { "create" } else { "reject" };
        text += &format!(
            "[scheduler]\nunknown_destinations = \"{creates}\"\n\
             max_wait = [\"0s\", \"0s\", \"0s\"]\n[store]\nurl = \"none\"\n"
        );
        if let Some(at_most_once) = self.nats.1 {
            text += &format!(
                "[[destination]]\nid = \"till\"\nnats = \"{NATS}\"\nsubject = \"out\"\n\
                 at_most_once = {at_most_once}\n"
            );
        }
        if let Some(it) = self.pattern {
            text += &format!(
                "[[destination]]\nid = \"{}\"\nnats = \"{NATS}\"\nsubject = \"made.{{id}}\"\n",
                PATTERNS[it]
            );
        }
        if self.destinations.iter().all(Option::is_none) {
            // A file lists one at least, or the defaults count.
            text += "[[destination]]\nid = \"other\"\n";
        }
        for (name, it) in NAMES.iter().zip(&self.destinations) {
            if let Some((vip, max_queued, _)) = it {
                text += &format!(
                    "[[destination]]\nid = \"{name}\"\nvip = {vip}\nmax_queued = {max_queued}\n\
                     when_full = \"reject\"\n"
                );
            }
        }
        for (message_type, destination, level) in &self.rules {
            text += &format!("[[rule]]\npriority = {level}\n");
            if let Some(it) = message_type {
                text += &format!("message_type = \"{}\"\n", TYPES[*it]);
            }
            if let Some(it) = destination.filter(|it| self.has(*it)) {
                text += &format!("destination = \"{}\"\n", NAMES[it]);
            }
        }
        if let Some(users) = &self.users {
            text += &format!(
                "[[user]]\nname = \"admin\"\n{}may_admin = true\n",
                hashed(ADMIN)
            );
            for (number, user) in users.iter().enumerate() {
                if let Some((token, send, receive)) = user {
                    // A token is one user's only.
                    let token = hashed(TOKENS[number + (token * number)]);
                    text += &format!(
                        "[[user]]\nname = \"user{number}\"\n{token}may_send = [{}]\n\
                         may_receive = [{}]\n",
                        RIGHTS[*send], RIGHTS[*receive]
                    );
                }
            }
        }
        let rate = self
            .max_rate
            .map_or("none".to_owned(), |it| format!("{it}/s"));
        text += &format!("[ingest]\nlisten = \"127.0.0.1:0\"\nmax_rate = \"{rate}\"\n");
        text + &format!(
            "[log]\nlevel = \"{}\"\n",
            ["info", "debug", "warn"][self.log]
        )
    }
}

/// An answer to a GET, as the admin sees it.
fn get(engine: &Engine, path: &str) -> Value {
    let mut stream = TcpStream::connect(engine.admin).expect("the admin address");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[track_caller]
fn wait(engine: &Engine, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: {}", engine.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// What a producer with this token is told of its greeting or its one message.
fn published(engine: &Engine, token: Option<&str>, message: &Value) -> String {
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut greeting = json!({ "producer": { "ack": true, "outcomes": true } });
    if let Some(token) = token {
        greeting["producer"]["token"] = token.into();
    }
    // One that is refused is closed at its first line.
    let _ = stream.write_all(format!("{greeting}\n{message}\n").as_bytes());
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut told = lines.filter(|it| it != "{\"ack\":0}");
    told.next().unwrap_or_default()
}

/// Whether a subscriber with this token gets in at a destination.
fn subscribed(engine: &Engine, token: Option<&str>, destination: &str) -> String {
    let mut line = json!({ "subscribe": [destination] });
    if let Some(token) = token {
        line["token"] = token.into();
    }
    let answer = Subscriber::say(engine.delivery, &line.to_string()).answer;
    // An earlier subscriber may not have gone yet; names stand in the order in which they came.
    let answer = answer.replace("\"standby\":[", "\"subscribed\":[");
    let end = answer.find("; there are").unwrap_or(answer.len());
    match answer.contains("\"subscribed\":[") {
        true => "subscribed".to_owned(),
        false => answer[..end].to_owned(),
    }
}

/// All that can be seen of an engine's settings from outside.
fn observe(engine: &Engine, file: &File) -> Value {
    let sources = file.sources.iter().flatten().count() as u64;
    wait(engine, "its sources are connected", || {
        get(engine, "/stats")["sources_connected"] == sources
    });
    let mut seen = json!({});
    if !file.creates && file.pattern.is_none() {
        // Where they are created, one that left the settings is there until it is forgotten.
        seen["destinations"] = get(engine, "/stats")["destinations"].clone();
    }
    let at_nats = [
        file.nats.0.is_some(),
        file.nats.1.is_some(),
        file.pattern.is_some(),
    ];
    let links_count = at_nats.iter().filter(|it| **it).count();
    wait(engine, "those at NATS are known", || {
        let stats = get(engine, "/stats");
        let links = stats["links"].as_object().expect("links");
        let names: Vec<String> = links.keys().cloned().collect();
        let is_all = names.len() == links_count;
        seen["links"] = names.into();
        is_all
    });
    let tokens = TOKENS.iter().map(|it| Some(*it)).chain([None, Some(ADMIN)]);
    let mut accepted = 0;
    for (who, token) in tokens.enumerate() {
        for (at, name) in NAMES.iter().chain(&CREATED).enumerate() {
            let message = json!({
                "messageId": format!("{who}-{name}"), "sourceServerId": "test",
                "destinationId": name, "messageType": TYPES[(who + at) % 3], "priority": 1 + (who + at) % 3
            });
            let told = published(engine, token, &message);
            accepted += u64::from(told == "{\"ack\":1}");
            seen["published"][who.to_string()][name] = told.into();
        }
    }
    wait(engine, "all is reported", || {
        let queued = |it: &Value| it["queued"].as_u64().unwrap_or_default();
        let all = get(engine, "/destinations")["destinations"].clone();
        let all = all.as_array().expect("a list").clone();
        all.iter().map(queued).sum::<u64>() == accepted
    });
    for it in get(engine, "/destinations")["destinations"]
        .as_array()
        .expect("a list")
    {
        // One that is not in the settings any more is shown until it is forgotten.
        if it["queued"].as_u64() > Some(0) {
            seen["levels"][it["id"].as_str().expect("a name")] = it["queued_by_level"].clone();
        }
    }
    let tokens = TOKENS.iter().map(|it| Some(*it)).chain([None, Some(ADMIN)]);
    for (who, token) in tokens.enumerate() {
        for name in NAMES.iter().chain(&CREATED).chain(&["none"]) {
            seen["subscribed"][who.to_string()][name] = subscribed(engine, token, name).into();
        }
        seen["admin"][who.to_string()] = post(engine, token).0.into();
    }
    seen
}

/// Creates names where these settings do, which later ones may not.
fn create(engine: &Engine) {
    let tokens = TOKENS.iter().map(|it| Some(*it)).chain([None]);
    for (token, name) in tokens.flat_map(|it| CREATED.map(|name| (it, name))) {
        subscribed(engine, token, name);
    }
}

#[test]
fn any_sequence_of_valid_files_ends_where_a_fresh_start_with_the_last_one_would() {
    let servers: Vec<_> = (0..3).map(|_| Server::listen()).collect();
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let mut runner = TestRunner::new(Config {
        cases: 12,
        max_shrink_iters: 8,
        failure_persistence: None,
        ..Config::default()
    });
    let files = prop::collection::vec(file(), 2..6);
    let outcome = runner.run(&files, |files| {
        let engine = Engine::start(&files[0].text(&addresses));
        for file in &files[1..] {
            create(&engine);
            let text = file.text(&addresses);
            write(&engine, &text);
            let (status, body) = post(&engine, Some(ADMIN));
            prop_assert_eq!(status, 200, "{}\n{}", body, text);
        }
        let last = files.last().expect("there are some");
        let fresh = Engine::start(&last.text(&addresses));
        let (seen, fresh) = std::thread::scope(|scope| {
            let seen = scope.spawn(|| observe(&engine, last));
            let fresh = observe(&fresh, last);
            (seen.join().expect("it answers"), fresh)
        });
        let difference = format!("{seen:#}\n--- fresh\n{fresh:#}\n{}", last.text(&addresses));
        prop_assert!(seen == fresh, "{}", difference);
        Ok(())
    });
    if let Err(why) = outcome {
        panic!("{why}");
    }
}
