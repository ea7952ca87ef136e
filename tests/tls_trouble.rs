//! Peers with which TLS does not come about: wrong certificates, wrong versions, no TLS, and handshakes
//! that stop. Each gets a clear answer and is counted by its reason, and nobody else is disturbed.

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use certificates::{Certificates, NAMES, python, run, start};
use support::{Engine, PATIENCE, allow_descriptors, frame};

/// A customer by TLS that gets `count` messages, and says so.
fn customer(certificates: &Certificates, engine: &Engine, load: &str, count: usize) -> Command {
    let program = format!(
        "{load}s = dial()\n\
         s.sendall(b'{{\"subscribe\":[\"table1\"],\"ack\":true}}\\n')\n\
         f = s.makefile('rb')\n\
         print(f.readline().decode(), flush=True)\n\
         for n in range({count}):\n    \
             f.readline()\n    \
             s.sendall(b'{{\"ack\":%d}}\\n' % (n + 1))\n\
         s.unwrap()\n"
    );
    python(certificates, engine.delivery, &program)
}

/// What python says of its end of a handshake and of the first line, with this in its context.
fn tried(certificates: &Certificates, address: SocketAddr, load: &str) -> String {
    let program = format!(
        "{load}try:\n    \
             s = dial()\n    \
             s.sendall(b'{{\"subscribe\":[\"table1\"]}}\\n')\n    \
             print(s.makefile('rb').readline().decode())\n\
         except OSError as e:\n    print('refused:', e)\n"
    );
    run(&mut python(certificates, address, &program))
}

#[test]
fn certificates_of_clients_that_are_wrong_are_refused_with_their_reason() {
    let certificates = Certificates::new();
    certificates.authority("other");
    certificates.issue("till", "DNS:till", "ca", None);
    certificates.issue("foreign", "DNS:till", "other", None);
    certificates.issue("expired", "DNS:till", "ca", Some("2020-01-01"));
    certificates.issue("early", "DNS:till", "ca", Some("2099-01-01"));
    let engine = start(&certificates, "client_ca = \"ca.pem\"\n");
    let load = |name: &str| format!("tls.load_cert_chain('{name}.pem', '{name}.key')\n");
    for (name, alert) in [
        // The first few lines of the log are not limited.
        ("", "CERTIFICATE_REQUIRED"),
        ("foreign", "UNKNOWN_CA"),
        // An authority's own is no client's.
        ("other", "CERTIFICATE_UNKNOWN"),
        ("expired", "CERTIFICATE_EXPIRED"),
        ("early", "CERTIFICATE_EXPIRED"),
    ] {
        let load = match name {
            "" => String::new(),
            name => load(name),
        };
        for version in ["TLSv1_2", "TLSv1_3"] {
            let load = format!("tls.maximum_version = ssl.TLSVersion.{version}\n{load}");
            let said = tried(&certificates, engine.delivery, &load);
            let said = said.to_uppercase().replace(' ', "_");
            // TLS 1.2 has no word for a certificate that is missing, and "unknown" for a date to come.
            let is_told = said.contains(alert) || version == "TLSv1_2";
            assert!(
                said.starts_with("REFUSED") && said.contains("ALERT"),
                "{name}: {said}"
            );
            assert!(is_told || name == "early", "{name} {version}: {said}");
        }
    }
    let stats = engine.wait("all are counted", |it| it["tls_failures"] == 10);
    assert_eq!(stats["tls_failures_certificate"], 10, "{stats}");
    for words in [
        "no TLS: invalid peer certificate: UnknownIssuer",
        "no TLS: peer sent no certificates",
    ] {
        engine.wait_for_log(words);
    }
    let said = tried(&certificates, engine.delivery, &load("till"));
    assert!(said.contains("subscribed"), "{said}");
}

#[test]
fn a_client_that_does_not_trust_the_engine_or_speaks_an_old_version_is_counted() {
    let certificates = Certificates::new();
    certificates.authority("other");
    let engine = start(&certificates, "");
    let other = "tls = ssl.create_default_context(cafile='other.pem')\n";
    let said = tried(&certificates, engine.delivery, other);
    assert!(said.contains("CERTIFICATE_VERIFY_FAILED"), "{said}");
    let named = "tls.check_hostname = True\n_dial = tls.wrap_socket\n\
        tls.wrap_socket = lambda s, server_hostname: _dial(s, server_hostname='elsewhere')\n";
    let said = tried(&certificates, engine.delivery, named);
    assert!(said.contains("Hostname mismatch"), "{said}");
    engine.wait("both are counted", |it| it["tls_failures_certificate"] == 2);
    let old = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_1",
            "-cipher",
            "DEFAULT:@SECLEVEL=0",
            "-connect",
        ])
        .arg(engine.delivery.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("openssl");
    let words = String::from_utf8_lossy(&old.stderr).into_owned();
    assert!(
        words.contains("alert handshake failure") || words.contains("alert protocol version"),
        "{words}"
    );
    let stats = engine.wait("it is counted", |it| it["tls_failures"] == 3);
    assert_eq!(stats["tls_failures_certificate"], 2);
}

/// The engine answers from its cache of sessions, or rather by the client's ticket.
#[test]
fn whoever_comes_again_resumes_its_session() {
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    let ingest = engine.ingest.expect("it listens");
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let connect = |session: [&str; 2]| {
            // Without an answer it would wait for ever.
            let mut child = Command::new("timeout")
                .args([
                    "180", "openssl", "s_client", version, "-CAfile", "ca.pem", "-connect",
                ])
                .arg(ingest.to_string())
                .args(session)
                .current_dir(certificates.home.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("openssl");
            let mut input = child.stdin.take().expect("it is piped");
            // The ticket of TLS 1.3 comes behind the handshake, and before this answer.
            let greeting = "{\"producer\":{\"ack\":true,\"outcomes\":true}}";
            writeln!(input, "{greeting}").expect("it reads");
            let mut said = String::new();
            let mut output = child.stdout.take().expect("it is piped");
            let mut buffer = [0; 4096];
            while !said.contains("{\"ack\":0}") {
                let len = output.read(&mut buffer).expect("text");
                assert!(len > 0, "{said}");
                said.push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
            drop(input);
            let _ = child.wait();
            said
        };
        let first = connect(["-sess_out", "session"]);
        assert!(first.contains(&format!("New, {name}")), "{first}");
        let second = connect(["-sess_in", "session"]);
        assert!(second.contains(&format!("Reused, {name}")), "{second}");
    }
    assert_eq!(engine.count("tls_failures"), 0);
}

#[test]
fn a_thousand_peers_that_stop_in_mid_handshake_end_and_hold_up_nobody() {
    const STOPPED: usize = 1_000;
    const MESSAGES: usize = 2_000;
    allow_descriptors(8_192);
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    let mut stopped: Vec<TcpStream> = (0..STOPPED)
        .map(|number| {
            let mut stream = TcpStream::connect(engine.delivery).expect("it listens");
            // Nothing at all, a part of a record, or a record of which 508 bytes do not come.
            let begins: [&[u8]; 3] = [b"", &[0x16, 3], &[0x16, 3, 1, 2, 0, 1, 0, 1, 252]];
            stream.write_all(begins[number % 3]).expect("it reads");
            stream
        })
        .collect();
    let mut customer = customer(&certificates, &engine, "", MESSAGES);
    let reading = thread::spawn(move || run(&mut customer));
    let mut producer = python(
        &certificates,
        engine.ingest.expect("it listens"),
        &format!(
            "s = dial()\n\
             for n in range({MESSAGES}):\n    \
                 s.sendall(sys.argv[2].replace('ID', str(n)).encode() + b'\\n')\n\
             s.unwrap()\n"
        ),
    );
    run(producer.arg(frame("ID", "table1", 1)));
    assert!(reading.join().expect("it ends").contains("subscribed"));
    let stats = engine.wait("all is settled", |it| it["settled"] == MESSAGES);
    assert_eq!(stats["redelivered"], 0);
    let stats = engine.wait("they end", |it| it["tls_failures_timeout"] == STOPPED);
    assert_eq!(stats["tls_failures"], STOPPED);
    for stream in &mut stopped {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        // It is closed, in one way or the other.
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)));
    }
    engine.wait("their places are free", |it| {
        it["subscribers_connected"] == 0
    });
    engine.wait_for_log("no TLS: the handshake was not over in time");
}

#[test]
fn http_where_https_is_spoken_and_the_other_way_round_is_told_and_disturbs_nobody() {
    let certificates = Certificates::new();
    certificates.issue("engine", NAMES, "ca", None);
    let settings = "source = []\n[http]\nlisten = \"127.0.0.1:0\"\n\
                    [tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n";
    let engine = Engine::start_in(Arc::clone(&certificates.home), settings);
    let curl = |url: String| {
        let mut command = Command::new("curl");
        let command = command.args(["-s", "-S", "--cacert", "ca.pem", &url]);
        let output = command
            .current_dir(certificates.home.path())
            .output()
            .expect("curl");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let said = curl(format!("http://localhost:{}/stats", engine.admin.port()));
    assert!(
        said.contains("this address speaks TLS; ask it by https://"),
        "{said}"
    );
    let stats: serde_json::Value = serde_json::from_str(&curl(format!(
        "https://localhost:{}/stats",
        engine.admin.port()
    )))
    .expect("JSON");
    assert_eq!(stats["tls_failures_plain"], 1);
    let http = engine.http.expect("it listens").port();
    let said = curl(format!("http://localhost:{http}/subscribe/table1"));
    assert!(said.contains("this address speaks TLS"), "{said}");
    // Both are told of as the TCP listeners tell.
    let words = "no TLS: the peer does not speak TLS peer=127.0.0.1:";
    engine.wait_until_logged(words, |log| log.matches(words).count() >= 2);
    let plain = Engine::start("source = []\n");
    let said = curl(format!("https://localhost:{}/stats", plain.admin.port()));
    assert!(
        said.to_lowercase().contains("wrong version number"),
        "{said}"
    );
    plain.wait("who asks is left", |it| it["http_connected"] == 1);
}

/// Nothing at all, or a part of a record.
#[test]
fn peers_of_https_that_stop_in_mid_handshake_are_counted() {
    let certificates = Certificates::new();
    let engine = start(&certificates, "[http]\nlisten = \"127.0.0.1:0\"\n");
    let http = engine.http.expect("it listens");
    let stopped = [b"".as_slice(), &[0x16, 3, 1]].map(|begin| {
        let mut stream = TcpStream::connect(http).expect("it listens");
        stream.write_all(begin).expect("it reads");
        stream
    });
    let stats = engine.wait("both are counted", |it| it["tls_failures_timeout"] == 2);
    assert_eq!(stats["tls_failures"], 2);
    for mut stream in stopped {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)));
    }
}

/// Servers in Python that want a certificate of who dials them.
#[test]
fn a_source_that_wants_a_certificate_says_which_setting_is_missing() {
    let certificates = Certificates::new();
    certificates.issue("server", NAMES, "ca", None);
    certificates.authority("other");
    certificates.issue("foreign", "DNS:engine", "other", None);
    let program = "import socket, ssl, sys\n\
         tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
         tls.maximum_version = getattr(ssl.TLSVersion, sys.argv[1])\n\
         tls.load_cert_chain('server.pem', 'server.key')\n\
         tls.load_verify_locations('ca.pem')\n\
         tls.verify_mode = ssl.CERT_REQUIRED\n\
         s = socket.create_server(('127.0.0.1', 0))\n\
         print(s.getsockname()[1], flush=True)\n\
         while True:\n    \
             c, _ = s.accept()\n    \
             try: tls.wrap_socket(c, server_side=True)\n    \
             except OSError: pass\n";
    let serve = |version: &str| {
        let mut child = Command::new("python3")
            .args(["-c", program, version])
            .current_dir(certificates.home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        let output = child.stdout.take().expect("it is piped");
        let read = BufReader::new(output).read_line(&mut port);
        read.expect("it says its port");
        (child, port.trim().to_owned())
    };
    for version in ["TLSv1_2", "TLSv1_3"] {
        let (mut server, port) = serve(version);
        let source = format!(
            "[[source]]\naddress = \"127.0.0.1:{port}\"\ntls = true\ntls_ca = \"ca.pem\"\n"
        );
        for (more, words) in [
            ("", "set tls_cert and tls_key of this [[source]]"),
            (
                "tls_cert = \"foreign.pem\"\ntls_key = \"foreign.key\"\n",
                "see tls_cert and tls_key of this [[source]]",
            ),
        ] {
            let settings = format!("{source}{more}");
            let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
            engine.wait("it is counted", |it| {
                it["tls_failures_certificate"].as_u64() >= Some(1)
            });
            engine.wait_until_logged(version, |log| {
                let mut told = log.lines().filter(|it| it.contains(words));
                told.any(|it| it.contains("WARN"))
            });
        }
        let _ = server.kill();
        let _ = server.wait();
    }
}

/// A server that the engine dials by TLS, and that is none or stops in mid-handshake.
#[test]
fn a_source_that_speaks_no_tls_or_stops_is_told_of_and_dialled_again() {
    let certificates = Certificates::new();
    let [plain, silent] = [support::Server::listen(), support::Server::listen()];
    let source = |server: &support::Server| {
        let address = server.address();
        format!("[[source]]\naddress = \"{address}\"\ntls = true\ntls_ca = \"ca.pem\"\n")
    };
    let settings = source(&plain) + &source(&silent);
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
    let stopped = silent.accept();
    for _ in 0..2 {
        let mut stream = plain.accept();
        writeln!(stream, "{}", frame("a", "table1", 1)).expect("it reads");
        // Until the engine has closed it.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    drop(silent.accept());
    let stats = engine.wait("both are counted", |it| {
        it["tls_failures_plain"].as_u64() >= Some(2)
    });
    assert_eq!(
        (&stats["received"], &stats["sources_connected"]),
        (&0.into(), &0.into())
    );
    engine.wait_for_log("corrupt message");
    drop(stopped);
}
