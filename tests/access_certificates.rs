//! Client certificates as users: every verb by every kind of certificate, with and without a token.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/http.rs"]
mod http;
mod support;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use certificates::{Certificates, NAMES, python, run};
use http::Sse;
use serde_json::{Value, json};
use support::{ENGINE, Engine, frame};

const TOKEN: &str = "table-1-by-its-token";

/// Each certificate: its file, its names, and who it stands for.
const CERTIFICATES: [(&str, &str); 7] = [
    // By its common name, which is the file's.
    ("kitchen", "DNS:anything"),
    ("table", "DNS:other,DNS:TABLE-1.example"),
    ("admin", "IP:127.0.0.1"),
    ("nobody", "DNS:nobody.example"),
    // It has the names of two users.
    ("both", "DNS:kitchen,DNS:table-1.example"),
    // A user of another destination.
    ("bar", "DNS:bar"),
    // A user without any right.
    ("idle", "DNS:idle"),
];

fn settings() -> String {
    let user = |name: &str, rest: &str| format!("[[user]]\nname = \"{name}\"\n{rest}\n");
    let users = [
        user(
            "kitchen",
            "certificate = \"kitchen\"\nmay_send = [\"table1\"]\nsource = \"test\"",
        ),
        user(
            "table1",
            "certificate = \"table-1.example\"\nmay_receive = [\"table1\"]",
        ),
        user("admin", "certificate = \"admin\"\nmay_admin = true"),
        user("idle", "certificate = \"idle\""),
        user(
            "bar",
            "certificate = \"bar\"\nmay_send = [\"table2\"]\nmay_receive = [\"table2\"]",
        ),
        user(
            "by token",
            "token_file = \"token\"\nmay_receive = [\"table1\"]",
        ),
    ];
    format!(
        "source = []\n[tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\nclient_ca = \"ca.pem\"\n\
         [ingest]\nlisten = \"127.0.0.1:0\"\n{}",
        users.concat()
    )
}

fn start() -> (Certificates, Engine) {
    let certificates = Certificates::new();
    certificates.issue("engine", NAMES, "ca", None);
    for (name, names) in CERTIFICATES {
        certificates.issue(name, names, "ca", None);
    }
    std::fs::write(certificates.path("token"), TOKEN).expect("written");
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings());
    (certificates, engine)
}

/// What the engine answers first to these bytes from a peer with this certificate.
fn said(certificates: &Certificates, address: SocketAddr, name: &str, bytes: &str) -> String {
    let program = format!(
        "tls.load_cert_chain('{name}.pem', '{name}.key')\n\
         s = dial()\n\
         s.sendall(sys.argv[2].encode())\n\
         print(s.makefile('rb').readline().decode())\n"
    );
    run(python(certificates, address, &program).arg(bytes))
        .trim()
        .to_owned()
}

fn published(certificates: &Certificates, engine: &Engine, name: &str, greeting: Value) -> String {
    let lines = format!(
        "{}\n{}\n",
        json!({ "producer": greeting }),
        frame("m", "table1", 1)
    );
    said(
        certificates,
        engine.ingest.expect("it listens"),
        name,
        &lines,
    )
}

/// The status of a path, asked by curl with this certificate.
fn asked(certificates: &Certificates, engine: &Engine, name: &str, path: &str) -> u16 {
    let url = format!("https://localhost:{}{path}", engine.admin.port());
    let output = Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--cacert",
            "ca.pem",
        ])
        .args([
            "--cert",
            &format!("{name}.pem"),
            "--key",
            &format!("{name}.key"),
            &url,
        ])
        .current_dir(certificates.home.path())
        .output()
        .expect("curl");
    String::from_utf8_lossy(&output.stdout)
        .parse()
        .expect("a status")
}

/// Figures, as the admin sees them.
fn stats(certificates: &Certificates, engine: &Engine) -> Value {
    let url = format!("https://localhost:{}/stats", engine.admin.port());
    let mut curl = Command::new("curl");
    curl.args([
        "-s",
        "--cacert",
        "ca.pem",
        "--cert",
        "admin.pem",
        "--key",
        "admin.key",
        &url,
    ]);
    let text = run(curl.current_dir(certificates.home.path()));
    serde_json::from_str(&text).expect("JSON")
}

const PATHS: [&str; 8] = [
    "/stats",
    "/metrics",
    "/destinations",
    "/destinations/table1",
    "/histograms",
    "/histograms/latency.hlog",
    "/healthz",
    "/readyz",
];

fn expected_status(path: &str, name: &str) -> u16 {
    match (path, name) {
        ("/healthz" | "/readyz", _) | (_, "admin") => 200,
        (_, "nobody" | "both") => 401,
        _ => 403,
    }
}

/// Every verb by every kind of certificate: exactly the right cells pass.
#[test]
fn each_certificate_may_do_what_its_user_has_a_right_to_and_nothing_else() {
    let (certificates, engine) = start();
    for (name, _) in CERTIFICATES {
        let said = published(&certificates, &engine, name, json!({ "ack": true }));
        // That of another destination is told of its line by the acknowledgement, and it is rejected.
        let sends = ["kitchen", "bar"].contains(&name);
        assert_eq!(said == "{\"ack\":1}", sends, "{name}: {said}");
        assert_eq!(said.starts_with("{\"error\":"), !sends, "{name}: {said}");
    }
    for (name, _) in CERTIFICATES {
        let asked = "{\"subscribe\":[\"table1\"]}\n";
        let said = said(&certificates, engine.delivery, name, asked);
        let is_in = said == "{\"subscribed\":[\"table1\"],\"standby\":[]}";
        assert_eq!(is_in, name == "table", "{name}: {said}");
    }
    // It is shown once the scheduler has reported.
    let begun = std::time::Instant::now();
    while asked(&certificates, &engine, "admin", "/destinations/table1") != 200 {
        assert!(begun.elapsed() < support::PATIENCE, "a report");
    }
    for path in PATHS {
        for (name, _) in CERTIFICATES {
            let status = asked(&certificates, &engine, name, path);
            assert_eq!(status, expected_status(path, name), "{path} {name}");
        }
    }
    let stats = stats(&certificates, &engine);
    assert_eq!(stats["accepted"], 1);
    assert_eq!(stats["rejected_by_reason"]["forbidden"], 1);
    assert_eq!(stats["tokens_refused"], 2 + 2 + 2 * 6);
    assert_eq!(stats["rights_refused"], 3 + 4 + 4 * 6);
}

#[test]
fn a_producer_with_a_certificate_need_not_greet_and_is_bound_by_its_rights() {
    let (certificates, engine) = start();
    let ingest = engine.ingest.expect("it listens");
    let lines = [
        frame("a", "table1", 1),
        frame("b", "table2", 1),
        frame("c", "table1", 1).replace("\"test\"", "\"other\""),
    ];
    let program = "tls.load_cert_chain('kitchen.pem', 'kitchen.key')\n\
        s = dial()\n\
        s.sendall(sys.argv[2].encode())\n\
        s.unwrap()\n";
    run(python(&certificates, ingest, program).arg(lines.join("\n") + "\n"));
    let begun = std::time::Instant::now();
    let stats = loop {
        let stats = stats(&certificates, &engine);
        if stats["received"] == 3 {
            break stats;
        }
        assert!(begun.elapsed() < support::PATIENCE, "{stats}");
    };
    assert_eq!(stats["accepted"], 1);
    assert_eq!(stats["rejected_by_reason"]["forbidden"], 2);
    let said = said(&certificates, ingest, "nobody", &format!("{}\n", lines[0]));
    assert!(
        said.contains("no user has a name of this certificate"),
        "{said}"
    );
}

#[test]
fn a_token_that_is_shown_decides_and_not_the_certificate() {
    let (certificates, engine) = start();
    let subscribe = |name: &str, token: &str| {
        let line = json!({ "subscribe": ["table1"], "token": token }).to_string() + "\n";
        said(&certificates, engine.delivery, name, &line)
    };
    for name in ["kitchen", "nobody", "both"] {
        let said = subscribe(name, TOKEN);
        assert!(said.contains("subscribed"), "{name}: {said}");
    }
    let said = subscribe("table", "wrong");
    assert!(said.contains("no user has this token"), "{said}");
    let said = published(&certificates, &engine, "kitchen", json!({ "token": TOKEN }));
    assert!(said.contains("may send nothing"), "{said}");
}

/// A resumed session shows no certificate again: it stands for the user of the session that it resumes.
#[test]
fn whoever_resumes_its_session_is_the_same_user() {
    let (certificates, engine) = start();
    for version in [2, 3] {
        let program = format!(
            "tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_{version}\n\
             tls.load_cert_chain('table.pem', 'table.key')\n\
             session = None\n\
             for n in range(3):\n    \
                 s = tls.wrap_socket(socket.create_connection((host, int(port))), \
                 server_hostname='localhost', session=session)\n    \
                 s.sendall(b'{{\"subscribe\":[\"table1\"]}}\\n')\n    \
                 print(s.session_reused, s.makefile('rb').readline().decode().strip())\n    \
                 session = s.session\n    \
                 s.unwrap()\n"
        );
        let said = run(&mut python(&certificates, engine.delivery, &program));
        let answer = "{\"subscribed\":[\"table1\"],\"standby\":[]}";
        let lines: Vec<&str> = said.lines().collect();
        let expected = [false, true, true].map(|reused| match reused {
            true => format!("True {answer}"),
            false => format!("False {answer}"),
        });
        assert_eq!(lines, expected, "TLS 1.{version}");
    }
}

#[test]
fn check_says_which_certificate_a_user_has() {
    let (certificates, engine) = start();
    let output = Command::new(ENGINE)
        .args(["check", "--config", "flipped-lb.toml"])
        .current_dir(certificates.home.path())
        .output()
        .expect("the engine's binary");
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "table1 (certificate table-1.example): sends nothing; receives those of table1",
        "with a certificate that client_ca has signed, and as a user",
    ] {
        assert!(words.contains(line), "{words}");
    }
    drop(engine);
}

#[test]
fn a_reload_that_gives_a_user_another_certificate_closes_its_connections_and_no_others() {
    let (certificates, engine) = start();
    let program = "tls.load_cert_chain(sys.argv[2] + '.pem', sys.argv[2] + '.key')\n\
        s = dial()\n\
        s.sendall(sys.argv[3].encode())\n\
        f = s.makefile('rb')\n\
        for line in f: print(line.decode().strip(), flush=True)\n";
    let connect = |name: &str, line: &str, address: SocketAddr| {
        let mut command = python(&certificates, address, program);
        command
            .args([name, line])
            .stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        (child, lines.map_while(Result::ok))
    };
    let greeting = "{\"producer\":{\"ack\":true,\"outcomes\":true}}\n";
    let subscribe = "{\"subscribe\":[\"table1\"]}\n";
    let ingest = engine.ingest.expect("it listens");
    let (mut kitchen, mut heard) = connect("kitchen", greeting, ingest);
    assert_eq!(heard.next().as_deref(), Some("{\"ack\":0}"));
    let (mut table, mut seen) = connect("table", subscribe, engine.delivery);
    assert!(seen.next().is_some_and(|it| it.contains("subscribed")));
    let settings = settings().replace("\"kitchen\"\nmay_send", "\"nobody\"\nmay_send");
    std::fs::write(certificates.path("flipped-lb.toml"), settings).expect("written");
    let line = format!(
        "reload --admin localhost:{} --tls-ca ca.pem",
        engine.admin.port()
    );
    let mut reload = Command::new(ENGINE);
    reload
        .args(line.split(' '))
        .args(["--tls-cert", "admin.pem", "--tls-key", "admin.key"]);
    let said = run(reload.current_dir(certificates.home.path()));
    assert!(said.contains("[[user]] kitchen"), "{said}");
    let told = heard.next().unwrap_or_default();
    assert!(told.contains("another certificate"), "{told}");
    assert_eq!(heard.next(), None);
    kitchen.wait().expect("it ends");
    // It is somebody else's now, who need not greet; and whoever was there before stays.
    let (mut nobody, _) = connect("nobody", &(frame("a", "table1", 1) + "\n"), ingest);
    assert!(
        seen.next()
            .is_some_and(|it| it.contains("\"messageId\":\"a\""))
    );
    for child in [&mut table, &mut nobody] {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
}

#[test]
fn a_certificate_is_a_user_of_http_for_customers_and_producers() {
    let certificates = Certificates::new();
    certificates.issue("engine", NAMES, "ca", None);
    for (name, names) in CERTIFICATES {
        certificates.issue(name, names, "ca", None);
    }
    std::fs::write(certificates.path("token"), TOKEN).expect("written");
    let settings = settings().replace("[ingest]", "[http]\nlisten = \"127.0.0.1:0\"\n[ingest]");
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
    let port = engine.http.expect("it listens").port();
    let curl = |name: &str, path: &str, args: &[&str]| {
        let mut command = Command::new("curl");
        let command = command
            .args([
                "-sS",
                "-N",
                "--cacert",
                "ca.pem",
                "--cert",
                &format!("{name}.pem"),
            ])
            .args(["--key", &format!("{name}.key"), "-w", "\n%{http_code}"])
            .args(args)
            .arg(format!("https://localhost:{port}{path}"))
            .current_dir(certificates.home.path());
        String::from_utf8_lossy(&command.output().expect("curl").stdout).into_owned()
    };
    let line = frame("m", "table1", 1);
    for (name, words) in [
        ("kitchen", "accepted"),
        ("table", "may send"),
        ("bar", "forbidden"),
        ("nobody", "401"),
        ("both", "401"),
    ] {
        let said = curl(name, "/publish", &["--data-binary", &line]);
        assert!(said.contains(words), "{name}: {said}");
    }
    for (name, words) in [("kitchen", "403"), ("bar", "404"), ("nobody", "401")] {
        let said = curl(name, "/subscribe/table1", &[]);
        assert!(said.contains(words), "{name}: {said}");
    }
    let [ca, pem, key] =
        ["ca.pem", "table.pem", "table.key"].map(|it| certificates.path(it).display().to_string());
    let url = format!("https://localhost:{port}/subscribe/table1");
    let args = ["--cacert", &ca, "--cert", &pem, "--key", &key];
    assert_eq!(Sse::at(&url, &args).message().message(), "m");
}
