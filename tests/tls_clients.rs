//! The project's own clients over TLS: `publish`, `subscribe`, `top`, `reload`, and the simulated servers.

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use certificates::{Certificates, NAMES};
use message_server_simulator::{Options, Pace, Simulation, TlsFiles, listening};
use support::{ENGINE, Engine, frame};

/// How a command ended.
struct Said {
    code: Option<i32>,
    out: String,
    words: String,
}

/// Runs a command in the certificates' directory, with this input.
fn say(certificates: &Certificates, line: &str, input: &str) -> Said {
    let mut child = Command::new(ENGINE)
        .args(line.split_whitespace())
        .current_dir(certificates.home.path())
        .env_remove("SSL_CERT_FILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the engine's binary");
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that ends before it has read all is a case of its own.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: output.status.code(),
        out: text(&output.stdout),
        words: text(&output.stderr),
    }
}

/// An engine all of whose addresses speak TLS; `rest` goes on with `[tls]`.
fn engine(certificates: &Certificates, rest: &str) -> (Engine, SocketAddr) {
    certificates.issue("engine", NAMES, "ca", None);
    let settings = format!(
        "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[tls]\ncert = \"engine.pem\"\n\
         key = \"engine.key\"\n{rest}"
    );
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
    let ingest = engine.ingest.expect("it listens");
    (engine, ingest)
}

#[test]
fn messages_go_in_and_out_and_figures_are_seen_by_tls_alone() {
    const COUNT: usize = 20_000;
    let certificates = Certificates::new();
    let (engine, ingest) = engine(&certificates, "");
    let (delivery, admin) = (engine.delivery, engine.admin);
    let mut lines: String = (0..COUNT)
        .map(|it| frame(&format!("m{it}"), "table1", 1) + "\n")
        .collect();
    lines.push_str("nonsense\n");
    let publish = format!("publish --address {ingest} --tls-ca ca.pem");
    let said = say(&certificates, &publish, &lines);
    let report = format!("{COUNT} accepted, 1 rejected: bad_json");
    assert!(said.out.contains(&report), "{}{}", said.out, said.words);
    let subscribe =
        format!("subscribe table1 --ack --count {COUNT} --address {delivery} --tls-ca ca.pem");
    let said = say(&certificates, &subscribe, "");
    assert_eq!(said.code, Some(0), "{}", said.words);
    let mut frames = said.out.lines();
    for number in 0..COUNT {
        let expected = frame(&format!("m{number}"), "table1", 1);
        assert_eq!(frames.next(), Some(&*expected), "verbatim, in order");
    }
    let top = format!(
        "top --once --admin localhost:{} --tls-ca ca.pem",
        admin.port()
    );
    let said = say(&certificates, &top, "");
    assert!(
        said.out.contains(&format!("accepted {COUNT}")),
        "{}{}",
        said.out,
        said.words
    );
    let settled = format!("settled {COUNT}");
    let stats = Command::new("curl")
        .args(["-s", "--cacert", "ca.pem"])
        .arg(format!("https://localhost:{}/stats", admin.port()))
        .current_dir(certificates.home.path())
        .output()
        .expect("curl");
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    assert_eq!(stats["settled"], COUNT, "{settled}");
    assert_eq!(stats["tls_failures"], 0);
}

#[test]
fn whose_settings_speak_tls_needs_no_option_to_do_so() {
    let certificates = Certificates::new();
    let (engine, ingest) = engine(&certificates, "");
    let ports = [
        ("FLIPPED_LB_INGEST_LISTEN", ingest),
        ("FLIPPED_LB_DELIVERY_LISTEN", engine.delivery),
        ("FLIPPED_LB_ADMIN_LISTEN", engine.admin),
    ];
    for command in [
        "publish --destination table1",
        "subscribe table1 --count 1",
        "top --once",
    ] {
        let output = Command::new(ENGINE)
            .args(command.split(' '))
            .current_dir(certificates.home.path())
            .env("SSL_CERT_FILE", certificates.path("ca.pem"))
            .envs(ports.map(|(name, address)| (name, address.to_string())))
            .stdin(Stdio::null())
            .output()
            .expect("the engine's binary");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {words}");
    }
}

/// Each way to be wrong, and what the client says of it.
#[test]
fn a_client_that_gets_no_tls_says_what_to_do() {
    let certificates = Certificates::new();
    certificates.authority("other");
    let (engine, ingest) = engine(&certificates, "");
    let (delivery, admin) = (engine.delivery, engine.admin);
    let plain = Engine::start("source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n");
    let plain_ingest = plain.ingest.expect("it listens");
    let publish = |address: SocketAddr| format!("publish --destination table1 --address {address}");
    for (line, words) in [
        (
            publish(ingest) + " --tls-ca other.pem",
            "--tls-ca which authority",
        ),
        (publish(ingest) + " --tls", "--tls-ca which authority"),
        (
            publish(ingest) + " --tls-ca ca.pem --tls-name kitchen",
            "--tls-name",
        ),
        (publish(ingest) + " --tls-ca none.pem", "--tls-ca none.pem"),
        (publish(ingest) + " --tls-ca engine.key", "no certificate"),
        (publish(ingest), "give --tls"),
        (
            publish(plain_ingest) + " --tls-ca ca.pem",
            "leave --tls out",
        ),
        (
            format!("subscribe table1 --address {delivery}"),
            "give --tls",
        ),
        (
            format!(
                "subscribe table1 --address {} --tls-ca ca.pem",
                plain.delivery
            ),
            "leave --tls out",
        ),
        (
            format!("top --once --admin {admin} --tls-ca other.pem"),
            "--tls-ca which authority",
        ),
        (
            format!("top --once --admin {} --tls-ca ca.pem", plain.admin),
            "leave --tls out",
        ),
        (format!("top --once --admin {admin}"), "give --tls"),
    ] {
        let said = say(&certificates, &line, "");
        assert_ne!(said.code, Some(0), "{line}");
        assert!(said.words.contains(words), "{line}: {}", said.words);
    }
    let said = say(
        &certificates,
        &(publish(ingest) + " --tls-cert engine.pem"),
        "",
    );
    assert_eq!(said.code, Some(2), "{}", said.words);
    assert_eq!(plain.count("received"), 0);
}

/// `openssl req -x509` alone makes an authority's certificate, which is no server's whoever trusts it.
#[test]
fn a_client_of_an_engine_that_shows_an_authority_s_certificate_says_how_to_make_another() {
    let certificates = Certificates::new();
    let settings = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[tls]\ncert = \"ca.pem\"\n\
                    key = \"ca.key\"\n[admin]\ntls = \"off\"\n";
    let engine = Engine::start_in(Arc::clone(&certificates.home), settings);
    let ingest = engine.ingest.expect("it listens");
    let line = format!("publish --destination table1 --address {ingest} --tls-ca ca.pem");
    let said = say(&certificates, &line, "");
    assert_eq!(said.code, Some(1));
    assert!(
        said.words.contains("basicConstraints=critical,CA:FALSE"),
        "{}",
        said.words
    );
}

#[test]
fn a_client_shows_its_certificate_where_one_is_asked_for() {
    let certificates = Certificates::new();
    certificates.issue("till", "DNS:till", "ca", None);
    certificates.authority("other");
    certificates.issue("stranger", "DNS:till", "other", None);
    let (engine, ingest) = engine(&certificates, "client_ca = \"ca.pem\"\n");
    let shown = |name: &str| match name {
        "" => String::new(),
        name => format!(" --tls-cert {name}.pem --tls-key {name}.key"),
    };
    for (name, is_in) in [("till", true), ("stranger", false), ("", false)] {
        for command in [
            format!("publish --destination table1 --address {ingest}"),
            format!(
                "subscribe table1 --ack --count 1 --address {}",
                engine.delivery
            ),
            format!("top --once --admin {}", engine.admin),
            format!("reload --admin {}", engine.admin),
        ] {
            let line = format!("{command} --tls-ca ca.pem{}", shown(name));
            let said = say(&certificates, &line, "");
            assert_eq!(said.code, Some(i32::from(!is_in)), "{line}: {}", said.words);
            let is_told = said.words.contains("--tls-cert and --tls-key");
            assert_eq!(is_told, !is_in, "{line}: {}", said.words);
        }
    }
}

/// The simulator's servers by TLS: acknowledged, cut off in the middle of lines, and all is there once.
#[test]
fn simulated_servers_speak_tls() {
    const COUNT: u64 = 3_000;
    let certificates = Certificates::new();
    certificates.issue("kitchen", NAMES, "ca", None);
    let options = Options {
        servers: listening(2, [127, 0, 0, 1].into(), 0),
        pace: Pace::FlatOut,
        count: Some(COUNT),
        disconnect_every: Some(1_000),
        ack: true,
        tls: Some(TlsFiles {
            cert: certificates.path("kitchen.pem"),
            key: certificates.path("kitchen.key"),
            client_ca: None,
        }),
        ..Options::default()
    };
    let servers = Simulation::new(options)
        .expect("of use")
        .start()
        .expect("started");
    let sources = servers.addresses().into_iter().map(|address| {
        format!(
            "[[source]]\naddress = \"{address}\"\nack = true\ntls = true\ntls_ca = \"ca.pem\"\n"
        )
    });
    let settings: String = sources.collect();
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
    let stats = engine.wait("all is accepted", |it| it["accepted"] == 2 * COUNT);
    assert_eq!(stats["tls_failures"], 0);
    assert!(
        stats["duplicates"].as_u64() > Some(0),
        "cut connections repeat: {stats}"
    );
    let begun = std::time::Instant::now();
    while !servers.is_finished() {
        assert!(begun.elapsed() < support::PATIENCE, "all is acknowledged");
        std::thread::yield_now();
    }
    assert_eq!(servers.stop().valid, 2 * COUNT);
}

#[test]
fn a_simulated_server_that_asks_for_certificates_refuses_an_engine_without_one() {
    let certificates = Certificates::new();
    certificates.issue("kitchen", NAMES, "ca", None);
    let options = Options {
        servers: listening(1, [127, 0, 0, 1].into(), 0),
        tls: Some(TlsFiles {
            cert: certificates.path("kitchen.pem"),
            key: certificates.path("kitchen.key"),
            client_ca: Some(certificates.path("ca.pem")),
        }),
        ..Options::default()
    };
    let servers = Simulation::new(options)
        .expect("of use")
        .start()
        .expect("started");
    let address = servers.addresses()[0];
    let settings =
        format!("[[source]]\naddress = \"{address}\"\ntls = true\ntls_ca = \"ca.pem\"\n");
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
    engine.wait_for_log("the server asks for a certificate");
    assert_eq!(engine.count("received"), 0);
    certificates.issue("engine", NAMES, "ca", None);
    let shown = "tls_cert = \"engine.pem\"\ntls_key = \"engine.key\"\n";
    std::fs::write(certificates.path("flipped-lb.toml"), settings + shown).expect("written");
    engine.signal("HUP");
    engine.wait("it shows one now", |it| it["received"].as_u64() > Some(0));
    let lone = Options {
        tls: Some(TlsFiles {
            cert: certificates.path("none.pem"),
            key: certificates.path("kitchen.key"),
            client_ca: None,
        }),
        servers: listening(1, [127, 0, 0, 1].into(), 0),
        ..Options::default()
    };
    let error = Simulation::new(lone)
        .expect("of use")
        .start()
        .expect_err("no file");
    assert!(error.to_string().contains("none.pem"), "{error}");
}
