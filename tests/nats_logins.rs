//! Who the engine is to a real nats-server, and what it may do there: NKeys, TLS, the rights of a user; and
//! what `doctor` and `/metrics` say of it.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/metrics.rs"]
mod metrics;
#[path = "support/nats.rs"]
mod nats_server;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use async_nats::ConnectOptions;
use certificates::{Certificates, NAMES};
use metrics::Scrape;
use nats_server::{NatsServer, settings, waits_for};
use serde_json::Value;
use support::{ENGINE, Engine, frame};

/// A user's seed and its public key; the server knows the latter.
const SEED: &str = "SUAE5672FS7A3G6WM6SOMQFVIG2N6ZA552275UZORYPKOBBTU6EKJDIR34";
const KEY: &str = "UD7SWFAZZGD6ZCRE7STW3ZPJHJUCE3MWNDUY65ZIGUULI3KQZ5X6EHVL";

fn orders(count: u64) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|it| {
        let line = frame(&format!("m-{it}"), &format!("west-{}", it % 3), 1);
        (format!("in.{}", it % 3), line)
    })
}

/// The findings of `doctor` on NATS: verdict and words.
fn doctor(engine: &Engine) -> Vec<(String, String)> {
    let output = Command::new(ENGINE)
        .args(["doctor", "--seconds", "0", "--json"])
        .current_dir(engine.home.path())
        .output()
        .expect("the engine's binary");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = said["findings"].as_array().expect("a list").iter();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    findings
        .filter(|it| it["subject"] == "NATS")
        .map(|it| (text(it, "verdict"), text(it, "found")))
        .collect()
}

#[test]
fn an_nkey_over_tls_with_a_certificate_of_the_engine() {
    let certificates = Certificates::new();
    certificates.issue("server", NAMES, "ca", None);
    certificates.issue("engine", "DNS:engine", "ca", None);
    let home = certificates.home.path().display();
    let server = NatsServer::start_with(&format!(
        "tls {{ cert_file: \"{home}/server.pem\", key_file: \"{home}/server.key\", ca_file: \
         \"{home}/ca.pem\", verify: true }}\n\
         authorization {{ users: [ {{ nkey: \"{KEY}\" }} ] }}"
    ));
    let login = ConnectOptions::with_nkey(SEED.to_owned())
        .add_root_certificates(certificates.path("ca.pem"))
        .add_client_certificate(
            certificates.path("engine.pem"),
            certificates.path("engine.key"),
        );
    let peer = server.peer_with(login);
    peer.make_streams();
    let seed = certificates.path("engine.nk");
    std::fs::write(&seed, format!("{SEED}\n")).expect("written");
    std::fs::set_permissions(&seed, Permissions::from_mode(0o600)).expect("it is ours");
    let servers = format!("tls://localhost:{}", server.address().port());
    let login = "nkey = \"engine.nk\"\ntls_ca = \"ca.pem\"\n";
    let certificate = "tls_cert = \"engine.pem\"\ntls_key = \"engine.key\"\n";
    let right = settings(&servers, &servers, &format!("{login}{certificate}"));
    let engine = Engine::start_in(Arc::clone(&certificates.home), &right);
    peer.publish(orders(30));
    peer.wait_for("OUT", 30, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    for (verdict, found) in doctor(&engine) {
        assert_eq!(verdict, "good", "{found}");
        assert!(found.contains("nats-server 2.") && found.contains("has its rights"));
    }
    let of = |name: &str| {
        let link = format!("destination west-* at {servers}");
        let series = format!("flipped_lb_nats_link_{name}{{link=\"{link}\"}}");
        Scrape::of(&engine).samples[&series]
    };
    engine.wait("all is acknowledged", |_| of("acknowledged_total") == 30.0);
    assert_eq!(of("connected"), 1.0);
    let link = format!("source {servers}/IN/engine");
    let series = format!("flipped_lb_nats_link_acknowledged_total{{link=\"{link}\"}}");
    engine.wait("the stream is told", |_| {
        Scrape::of(&engine).samples[&series] == 30.0
    });
    assert!(!engine.log().contains(SEED));
    assert_eq!(engine.stop().code, Some(0));
    // Without the certificate, and with another authority: told, and nothing of the seed.
    certificates.authority("other");
    for (more, words) in [
        (login.to_owned(), "not reached"),
        (
            format!("{login}{certificate}").replace("ca.pem", "other.pem"),
            "not reached",
        ),
    ] {
        let home = Arc::clone(&certificates.home);
        let engine = Engine::start_in(home, &settings(&servers, &servers, &more));
        let is_told =
            |stats: &Value, name: &str| waits_for(stats, name).is_some_and(|it| it.contains(words));
        engine.wait(words, |it| {
            is_told(it, "destination") && is_told(it, "source")
        });
        assert!(doctor(&engine).iter().all(|it| it.0 == "bad"));
        let series = format!("flipped_lb_nats_link_failures_total{{link=\"{link}\"}}");
        engine.wait("it is counted", |_| {
            Scrape::of(&engine).samples[&series] >= 1.0
        });
        assert!(!engine.log().contains(SEED), "{}", engine.log());
    }
}

/// The rights in `words`, as the server's configuration has them.
fn rights(words: &str) -> String {
    let (_, words) = words
        .split_once("needs the rights to publish to ")
        .expect(words);
    let (publish, subscribe) = words.split_once("; subscribe to ").expect(words);
    let listed = |all: &str| -> String {
        let all = all.split(", ").map(|it| format!("\"{it}\""));
        all.collect::<Vec<_>>().join(", ")
    };
    format!(
        "publish: [{}], subscribe: [{}]",
        listed(publish),
        listed(subscribe)
    )
}

#[test]
fn who_lacks_rights_is_told_those_that_are_needed_and_with_them_all_goes() {
    let admin = "{ user: \"a\", password: \"b\" }";
    let users = |source: &str, destination: &str| {
        format!(
            "authorization {{ users: [ {admin}, \
             {{ user: \"in\", password: \"x\", permissions: {{ {source} }} }}, \
             {{ user: \"out\", password: \"x\", permissions: {{ {destination} }} }} ] }}"
        )
    };
    let none = "publish: [\"nothing\"], subscribe: [\"_INBOX.>\"]";
    let server = NatsServer::start_with(&users(none, none));
    let login = || ConnectOptions::with_user_and_password("a".to_owned(), "b".to_owned());
    let peer = server.peer_with(login());
    peer.make_streams();
    let at = |user: &str, server: &NatsServer| format!("nats://{user}:x@{}", server.address());
    let by_both = |server: &NatsServer| {
        let both = settings(&at("in", server), &at("out", server), "");
        format!("{both}[ingest]\nlisten = \"127.0.0.1:0\"\n")
    };
    let engine = Engine::start(&by_both(&server));
    let mut producer =
        std::net::TcpStream::connect(engine.ingest.expect("it listens")).expect("in");
    std::io::Write::write_all(
        &mut producer,
        format!("{}\n", frame("p-1", "west-1", 1)).as_bytes(),
    )
    .expect("taken");
    let words = "needs the rights to";
    let stats = engine.wait(words, |it| {
        ["source", "destination"]
            .iter()
            .all(|name| waits_for(it, name).is_some_and(|it| it.contains(words)))
    });
    let (source, destination) = (
        rights(waits_for(&stats, "source").expect("it is told")),
        rights(waits_for(&stats, "destination").expect("it is told")),
    );
    for (verdict, found) in doctor(&engine) {
        assert!(verdict == "bad" || verdict == "unknown", "{found}");
        assert!(
            found.contains("$JS.API") || found.contains("out.*"),
            "{found}"
        );
    }
    drop(engine);
    let asks = |rights: String| rights.replacen('[', "[\"$SYS.REQ.USER.INFO\", ", 1);
    let server = NatsServer::start_with(&users(&asks(source), &asks(destination)));
    let peer = server.peer_with(login());
    peer.make_streams();
    let engine = Engine::start(&by_both(&server));
    peer.publish(orders(30));
    peer.wait_for("OUT", 30, || {
        format!("{}\n{}", engine.stats(), engine.log())
    });
    engine.wait("all is told", |it| {
        it["nats_connected"] == 2 && it["in_flight"] == 0
    });
    assert!(!server.log().contains("Violation"), "{}", server.log());
    let found = doctor(&engine);
    assert!(
        found[0].0 == "good" && found[0].1.contains("has its rights"),
        "{found:?}"
    );
}

#[test]
fn doctor_says_which_stream_is_missing_and_what_is_at_most_once() {
    let server = NatsServer::start();
    let url = server.url();
    let once = format!(
        "[[destination]]\nid = \"east-1\"\nnats = \"{url}\"\nsubject = \"core.east\"\n\
         at_most_once = true\n"
    );
    let engine = Engine::start(&(settings(&url, &url, "") + &once));
    let found = doctor(&engine);
    let verdicts: Vec<_> = found.iter().map(|it| &*it.0).collect();
    assert_eq!(verdicts, ["bad", "good", "bad"], "{found:?}");
    assert!(found[0].1.contains("nats stream add IN"), "{found:?}");
    assert!(
        found[2].1.contains("no stream takes the subject \"out.*\""),
        "{found:?}"
    );
    assert!(found[1].1.contains("at most once"), "{found:?}");
}
