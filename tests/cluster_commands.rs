//! What surrounds a group of engines: a standby's answers, `/readyz`, `cluster status`, `cluster hand-over`,
//! `doctor`, and the troubles of servers and stream in words. Real processes, a real nats-server.
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/member.rs"]
mod member;
#[path = "support/servers.rs"]
mod servers;
mod support;

use certificates::{Certificates, NAMES};
use member::{ALONE, Member, PATIENT, STREAM, ask, command, told};
use serde_json::Value;
use servers::{Servers, wait};
use support::nats_program::old_server;
use support::ports::{free_address, free_port};
use support::user_hash;

fn pair(servers: &Servers) -> (Member, Member) {
    let first = Member::start_with_http("n1", &servers.urls(), PATIENT, "");
    first.wait_for_role("active");
    let second = Member::start_with_http("n2", &servers.urls(), PATIENT, "");
    second.wait_until_ready();
    (first, second)
}

#[test]
fn a_standby_tells_each_peer_where_the_active_takes_it_and_probes_why_it_is_not_ready() {
    let servers = Servers::start(1);
    let (active, standby) = pair(&servers);
    for (at, words, there) in [
        (
            standby.delivery,
            "{\"subscribe\":[\"table1\"]}\n",
            active.delivery,
        ),
        (
            standby.ingest,
            "{\"producer\":{\"ack\":true}}\n",
            active.ingest,
        ),
    ] {
        let told = told(at, words);
        assert_eq!(told["error"], "standby: n1 serves group east");
        assert_eq!(told["active"], there.to_string());
    }
    let [here, there] = [&standby, &active].map(|it| it.http.expect("it listens"));
    let (status, body) = wait("an answer", || ask(here, "/subscribe/table1"));
    assert_eq!(status, 503);
    assert!(body.contains(&there.to_string()), "{body}");
    assert_eq!(wait("an answer", || standby.get("/healthz")).0, 200);
    let ready = wait("an answer", || standby.json("/readyz"));
    assert_eq!(
        (&ready["ready"], &ready["active_node"]),
        (&false.into(), &"n1".into())
    );
    assert_eq!(ready["active"], active.admin.to_string());
    // The clients say where to go.
    let address = standby.delivery.to_string();
    let (code, _, words) = command(&["subscribe", "table1", "--address", &address]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains(&format!("give --address {}", active.delivery)),
        "{words}"
    );
    let (code, words) = standby.publish(1);
    assert_eq!(code, Some(1));
    assert!(
        words.contains(&format!("give --address {}", active.ingest)),
        "{words}"
    );
}

#[test]
fn status_shows_all_members_and_hand_over_moves_the_term() {
    let servers = Servers::start(1);
    let (first, second) = pair(&servers);
    second.wait("it hears the other", |it| it["cluster_members"] == 1);
    let admin = second.admin.to_string();
    let (code, text, _) = command(&["cluster", "status", "--admin", &admin]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with("group east: served by n1, term 1 since 20"),
        "{text}"
    );
    let rows: Vec<_> = text
        .lines()
        .filter(|it| it.starts_with("n1 ") || it.starts_with("n2 "))
        .collect();
    assert!(
        rows.iter()
            .any(|it| it.contains("active") && it.contains(&first.admin.to_string())),
        "{text}"
    );
    // A standby does not hand over, and a node that is not there is told.
    let (code, _, words) = command(&["cluster", "hand-over", "--admin", &admin]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("n2 does not serve: standby: n1 serves group east"),
        "{words}"
    );
    let settings = first.settings().display().to_string();
    let (code, _, words) = command(&["cluster", "hand-over", "n9", "--config", &settings]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("no standby n9 of group east is heard"),
        "{words}"
    );
    first.wait("it hears the standby", |it| {
        it["cluster_members_ready"] == 1
    });
    let (code, text, words) = command(&["cluster", "hand-over", "n2", "--config", &settings]);
    assert_eq!(code, Some(0), "{text}{words}");
    assert!(text.starts_with("n2 serves now, after "), "{text}");
    second.wait_for_role("active");
    first.wait_until_ready();
    let (_, json, _) = command(&["cluster", "status", "--json", "--config", &settings]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["active"], &json["epoch"]), (&"n2".into(), &2.into()));
    assert_eq!(json["members"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_standby_that_is_named_takes_over_and_another_one_where_it_is_gone() {
    let servers = Servers::start(1);
    let nodes = ["n1", "n2", "n3"];
    let members = nodes.map(|it| Member::start(it, &servers.urls(), "replicas = 1", ""));
    let mut now = wait("an active", || members.iter().position(Member::is_active));
    let hand_over = |from: usize, to: &str| {
        members[from].wait("it hears both", |it| it["cluster_members_ready"] == 2);
        let settings = members[from].settings().display().to_string();
        command(&["cluster", "hand-over", to, "--config", &settings])
    };
    for steps in [1, 1, 2, 2, 1, 2] {
        let next = (now + steps) % 3;
        let (code, text, words) = hand_over(now, nodes[next]);
        assert_eq!(code, Some(0), "{text}{words}");
        let told = format!("{} serves now, after ", nodes[next]);
        assert!(text.starts_with(&told), "{text}");
        now = next;
    }
    let (gone, other) = ((now + 1) % 3, (now + 2) % 3);
    members[now].wait("it hears both", |it| it["cluster_members_ready"] == 2);
    members[gone].signal("STOP");
    let (code, _, words) = hand_over(now, nodes[gone]);
    members[gone].signal("CONT");
    assert_eq!(code, Some(1));
    let told = format!("{} serves now", nodes[other]);
    assert!(
        words.contains(&told) && words.contains(&format!("{} has not taken over", nodes[gone])),
        "{words}"
    );
}

#[test]
fn a_member_alone_does_not_hand_over() {
    let servers = Servers::start(1);
    let alone = Member::start_with_http("n1", &servers.urls(), ALONE, "");
    alone.wait_for_role("active");
    let admin = alone.admin.to_string();
    let (code, _, words) = command(&["cluster", "hand-over", "--admin", &admin]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("no standby of group east is heard: nobody would serve"),
        "{words}"
    );
    assert_eq!(
        alone.stats().expect("it serves on")["cluster"]["role"],
        "active"
    );
}

#[test]
fn wrong_settings_of_the_stream_and_a_stream_that_is_gone_are_told_with_what_mends_them() {
    let servers = Servers::start(1);
    let alone = Member::start_with_http("n1", &servers.urls(), ALONE, "");
    alone.wait_for_role("active");
    alone.wait_until_serving();
    servers.edit(STREAM, |it| it["discard"] = "old".into());
    let reason = alone.wait_for_reason("nats stream edit flb_journal_east --discard new");
    assert!(
        reason.contains("since 20") && reason.contains("sources wait"),
        "{reason}"
    );
    let stats = alone.wait("trouble", |it| it["cluster_trouble"] == 1);
    assert!(
        stats["cluster"]["trouble"]
            .as_str()
            .is_some_and(|it| it.contains("--discard new"))
    );
    let (_, found) = alone.doctor();
    assert!(
        found.contains("nats stream edit flb_journal_east --discard new"),
        "{found}"
    );
    servers.edit(STREAM, |it| it["discard"] = "new".into());
    alone.wait_until_serving();
    servers.delete(STREAM);
    let reason = alone.wait_for_reason("the group's stream is gone");
    assert!(reason.contains("flipped-lb cluster restore"), "{reason}");
}

#[test]
fn a_server_that_dies_is_named_and_its_return_mends_all() {
    let mut servers = Servers::start(1);
    let alone = Member::start_with_http("n1", &servers.urls(), ALONE, "");
    alone.wait_for_role("active");
    servers.kill(0);
    alone.wait_for_reason("paused");
    let stats = alone.wait("no server", |it| it["cluster_connected"] == 0);
    assert_eq!(
        (&stats["cluster_paused"], &stats["cluster_active"]),
        (&1.into(), &1.into())
    );
    let admin = alone.admin.to_string();
    let (code, text, words) = command(&["cluster", "status", "--admin", &admin]);
    assert_eq!(code, Some(1));
    assert!(words.contains("n1 is paused"), "{words}");
    assert!(
        text.contains("n1 is connected to no server") && text.contains("trouble: "),
        "{text}"
    );
    servers.resume(0);
    alone.wait_until_serving();
}

#[test]
fn a_server_that_is_too_old_is_refused_with_the_reason() {
    let alone = Member::start_with_http("n1", &[old_server()], ALONE, "");
    let reason = alone.wait_for_reason("2.9.10");
    assert!(
        reason.contains("too old") && reason.contains("2.12.3"),
        "{reason}"
    );
    let (code, found) = alone.doctor();
    assert_eq!(code, Some(1));
    assert!(found.contains("2.9.10 is too old"), "{found}");
}

#[test]
fn doctor_says_what_servers_stream_and_member_are() {
    let servers = Servers::start(1);
    let alone = Member::start_with_http("n1", &servers.urls(), ALONE, "");
    alone.wait_for_role("active");
    let (_, found) = alone.doctor();
    assert!(
        found.contains(&format!("{}: nats-server 2.", servers.urls()[0])),
        "{found}"
    );
    assert!(found.contains("flb_journal_east: 1 replicas"), "{found}");
    assert!(found.contains("n1: active, 0 records behind"), "{found}");
}

#[test]
fn a_user_without_rights_and_a_wrong_password_are_told_without_the_password() {
    let users = "authorization { users: [\n\
         { user: engine, password: s3cret }\n\
         { user: reader, password: r3ader, permissions: { publish: [\"_INBOX.>\"], subscribe: [\">\"] } }\n] }\n";
    let servers = Servers::start_with(1, users);
    let url = |login: &str| servers.urls()[0].replace("//", &format!("//{login}@"));
    let fine = Member::start_with_http("n1", &[url("engine:s3cret")], ALONE, "");
    fine.wait_for_role("active");
    let wrong = Member::start_with_http("n2", &[url("engine:wr0ng")], ALONE, "");
    let reason = wrong.wait_for_reason("credentials");
    assert!(!reason.contains("wr0ng"), "{reason}");
    let reader = Member::start_with_http("n3", &[url("reader:r3ader")], ALONE, "");
    reader.wait("it says so", |it| {
        it["cluster"]["ready"] == false && it["cluster"]["role"] == "starting"
    });
    let (code, found) = reader.doctor();
    assert_eq!(code, Some(1));
    assert!(
        found.contains("$JS.API.>") && !found.contains("r3ader"),
        "{found}"
    );
    for member in [&fine, &wrong, &reader] {
        for secret in ["s3cret", "wr0ng", "r3ader"] {
            assert!(!member.log().contains(secret), "{}", member.log());
        }
    }
}

#[test]
fn servers_that_take_no_whole_message_are_told_with_what_to_change() {
    let servers = Servers::start_with(1, "max_payload: 32768\n");
    let alone = Member::start_with_http("n1", &servers.urls(), ALONE, "");
    let reason = alone.wait_for_reason("raise their max_payload, or lower [ingest] max_line");
    assert!(reason.contains("records of "), "{reason}");
    let taken = alone.stats().expect("it answers")["cluster"]["epoch"].clone();
    assert_eq!(taken, 0, "it claims nothing that it could not serve");
    let (_, found) = alone.doctor();
    assert!(found.contains("messages of 32768 bytes"), "{found}");
}

#[test]
fn a_standby_speaks_tls_where_its_listeners_do() {
    let certificates = Certificates::new();
    certificates.issue("engine", NAMES, "ca", None);
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let tls = format!(
        "[tls]\ncert = {:?}\nkey = {:?}\n",
        certificates.path("engine.pem"),
        certificates.path("engine.key")
    );
    let standby = Member::start_with_http("n1", &[nobody], ALONE, &tls);
    standby.wait_for_log("standby: node n1");
    let ca = certificates.path("ca.pem").display().to_string();
    let ca = ["--tls-ca", &ca];
    let address = standby.delivery.to_string();
    let (code, _, words) =
        command(&[&["subscribe", "table1", "--address", &address], &ca[..]].concat());
    assert_eq!(code, Some(1));
    assert!(
        words.contains("standby: no member is known to serve group east now"),
        "{words}"
    );
    let admin = standby.admin.to_string();
    let (code, _, words) = command(&[&["health", "--ready", "--admin", &admin], &ca[..]].concat());
    assert_eq!(code, Some(1));
    assert!(words.contains("no member is known to serve"), "{words}");
    // Whoever speaks no TLS is told so, as at an engine.
    let plain = "{\"messageId\":\"1\"}\n";
    let answer = told(standby.ingest, plain);
    assert!(
        answer["error"]
            .as_str()
            .is_some_and(|it| it.contains("speaks TLS")),
        "{answer}"
    );
    // That is logged as an engine does it, and of many the number is told, though none comes after them.
    for _ in 0..9 {
        told(standby.ingest, plain);
    }
    for words in [
        "no TLS: the peer does not speak TLS",
        "more TLS handshakes have failed",
    ] {
        standby.wait_for_log(words);
    }
}

/// A member of `ops/examples/one-group`, on free ports.
fn of_example(node: &str, ports: [&str; 3], server: &str) -> Member {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/ops/examples/one-group");
    let text = std::fs::read_to_string(format!("{folder}/{node}.toml")).expect("the example");
    let mut text = text.replace("nats://127.0.0.1:4222", server);
    let at = [(); 3].map(|()| free_address());
    for (from, to) in ports.iter().zip(at) {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, &to.to_string());
    }
    Member::run(node, &text, at)
}

#[test]
fn the_example_of_one_group_does_what_its_page_says() {
    let servers = Servers::start(1);
    let server = servers.urls().remove(0);
    let first = of_example(
        "n1",
        ["127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9100"],
        &server,
    );
    first.wait_for_role("active");
    let second = of_example(
        "n2",
        ["127.0.0.1:9010", "127.0.0.1:9011", "127.0.0.1:9110"],
        &server,
    );
    second.wait_until_ready();
    first.wait("it hears the standby", |it| {
        it["cluster_members_ready"] == 1
    });
    let (one, two) = (
        first.settings().display().to_string(),
        second.settings().display().to_string(),
    );
    let (code, words) = first.publish(10);
    assert_eq!(code, Some(0), "{words}");
    let (code, text, words) = command(&["cluster", "hand-over", "--config", &one]);
    assert_eq!(code, Some(0), "{text}{words}");
    second.wait_until_serving();
    let (code, text, words) = command(&["subscribe", "table1", "--count", "10", "--config", &two]);
    assert_eq!((code, text.lines().count()), (Some(0), 10), "{text}{words}");
    let (code, words) = first.publish(10);
    assert_eq!(code, Some(1));
    assert!(
        words.contains(&format!("give --address {}", second.ingest)),
        "{words}"
    );
}

#[test]
fn who_may_not_reload_may_not_hand_over_and_a_standby_reloads_nothing() {
    let servers = Servers::start(1);
    let user = |name: &str, token: &str, more: &str| {
        format!("[[user]]\nname = '{name}'\n{}{more}\n", user_hash(token))
    };
    let users =
        user("admin", "t0ken", "may_admin = true") + &user("till", "t1ll", "may_send = ['*']");
    let standby = Member::start_with_http(
        "n1",
        &[format!("nats://127.0.0.1:{}", free_port())],
        ALONE,
        &users,
    );
    let active = Member::start_with_http("n2", &servers.urls(), ALONE, &users);
    active.wait_until_serving();
    let tokens = tempfile::tempdir().expect("a directory");
    let token = |name: &str, token: &str| {
        let path = tokens.path().join(name);
        std::fs::write(&path, token).expect("a file");
        path.display().to_string()
    };
    let (admin, till) = (token("admin", "t0ken"), token("till", "t1ll"));
    let at = active.admin.to_string();
    for (file, words) in [
        (None, "--token-file"),
        (Some(&till), "may_admin"),
        (Some(&admin), "no standby of group east"),
    ] {
        let mut args = vec!["cluster", "hand-over", "--admin", &at];
        args.extend(file.iter().flat_map(|it| ["--token-file", it.as_str()]));
        let (code, _, said) = command(&args);
        assert_eq!(code, Some(1));
        assert!(said.contains(words), "{said}");
    }
    let at = standby.admin.to_string();
    let (code, _, said) = wait("an answer", || {
        let it = command(&["reload", "--admin", &at, "--token-file", &admin]);
        (!it.2.contains("no answer")).then_some(it)
    });
    assert_eq!(code, Some(1));
    assert!(said.contains("reads its settings when it starts"), "{said}");
}
