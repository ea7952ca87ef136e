//! TLS, with peers that nobody here wrote: openssl, Python's ssl and curl.

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::cell::Cell;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use certificates::{Certificates, NAMES, python, run, s_client, start};
use support::{Engine, Subscriber, frame};

#[test]
fn producers_and_subscribers_speak_tls_1_2_and_1_3() {
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    for (version, number) in [("-tls1_2", 2), ("-tls1_3", 3)] {
        let id = format!("m{number}");
        let ingest = engine.ingest.expect("it listens");
        let mut producer = s_client(&certificates, ingest, &[version]);
        let mut input = producer.stdin.take().expect("it is piped");
        let greeting = "{\"producer\":{\"ack\":true}}";
        writeln!(input, "{greeting}\n{}", frame(&id, "table1", 1)).expect("it reads");
        let mut output = BufReader::new(producer.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("an acknowledgement");
        assert_eq!(line, "{\"ack\":1}\n", "{version}");
        // It does not end with its input.
        producer.kill().expect("it runs");
        let _ = producer.wait();
        let program = format!(
            "tls.maximum_version = ssl.TLSVersion.TLSv1_{number}\n\
             tls.minimum_version = ssl.TLSVersion.TLSv1_{number}\n\
             s = dial()\n\
             s.sendall(b'{{\"subscribe\":[\"table1\"],\"ack\":true}}\\n')\n\
             f = s.makefile('rb')\n\
             print(f.readline().decode(), f.readline().decode(), s.version())\n\
             s.sendall(b'{{\"ack\":1}}\\n')\n\
             s.unwrap()\n"
        );
        let said = run(&mut python(&certificates, engine.delivery, &program));
        assert!(
            said.contains(&id) && said.contains(&format!("TLSv1.{number}")),
            "{said}"
        );
        engine.wait("it is settled", |it| it["settled"] == number - 1);
    }
    assert_eq!(engine.count("tls_failures"), 0);
}

/// So many orders for table1, whose ids are their numbers `n`, and whose payload's `x` has this length.
fn send_numbered(certificates: &Certificates, engine: &Engine, count: impl Display, len: &str) {
    let producer = format!(
        "s = dial()\n\
         for n in range({count}):\n    \
             s.sendall(json.dumps({{'messageId': str(n), 'sourceServerId': 's', \
             'destinationId': 'table1', 'messageType': 't', 'priority': 1, \
             'payload': {{'x': 'y' * ({len})}}}}).encode() + b'\\n')\n\
         s.unwrap()\n"
    );
    let ingest = engine.ingest.expect("it listens");
    run(&mut python(certificates, ingest, &producer));
}

#[test]
fn many_frames_come_whole_and_in_order_to_a_reader_that_is_slow() {
    const COUNT: usize = 20_000;
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    send_numbered(&certificates, &engine, COUNT, "n % 700");
    engine.wait("all is accepted", |it| it["accepted"] == COUNT);
    let subscriber = format!(
        "import time\n\
         s = dial()\n\
         s.sendall(b'{{\"subscribe\":[\"table1\"],\"ack\":true}}\\n')\n\
         f = s.makefile('rb')\n\
         f.readline()\n\
         for n in range({COUNT}):\n    \
             m = json.loads(f.readline())\n    \
             assert m['messageId'] == str(n) and len(m['payload']['x']) == n % 700, (n, m)\n    \
             if n % 2000 == 0: time.sleep(0.05)\n    \
             if n % 500 == 499: s.sendall(b'{{\"ack\":%d}}\\n' % (n + 1))\n\
         s.unwrap()\n"
    );
    run(&mut python(&certificates, engine.delivery, &subscriber));
    engine.wait("all is settled", |it| it["settled"] == COUNT);
}

/// A socket that takes no more has a part of a record, and the frames in that are neither written nor to be
/// taken back: who is sent away then gets no half frame, and what it did not get goes to the next one.
#[test]
fn who_is_sent_away_while_its_socket_is_full_gets_whole_frames_and_the_next_one_the_rest() {
    const COUNT: u64 = 40_000;
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    send_numbered(&certificates, &engine, COUNT, "400");
    engine.wait("all is accepted", |it| it["accepted"] == COUNT);
    let first = "s = dial()\n\
         s.sendall(b'{\"subscribe\":[\"table1\"],\"ack\":true}\\n')\n\
         print('subscribed', flush=True)\n\
         sys.stdin.readline()\n\
         s.sendall(b'nonsense\\n')\n\
         data = b''\n\
         try:\n    \
             while (more := s.recv(65536)): data += more\n\
         except OSError: pass\n\
         lines = data.split(b'\\n')\n\
         ids = [json.loads(it).get('messageId') for it in lines[:-1]]\n\
         ids = [int(it) for it in ids if it is not None]\n\
         assert ids and ids == list(range(len(ids))), ids[-3:]\n";
    let mut first = python(&certificates, engine.delivery, first)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut input = first.stdin.take().expect("it is piped");
    let mut output = BufReader::new(first.stdout.take().expect("it is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it subscribes");
    let last = Cell::new(0);
    engine.wait("its socket is full", |it| {
        let written = it["written"].as_u64().unwrap_or_default();
        let stands = last.replace(written) == written && written > 0;
        stands && it["in_flight"].as_u64() > Some(written)
    });
    writeln!(input).expect("it reads");
    let rest = "s = dial()\n\
         s.sendall(b'{\"subscribe\":[\"table1\"],\"ack\":true}\\n')\n\
         f = s.makefile('rb')\n\
         f.readline()\n\
         count, again = 0, 0\n\
         while count < int(sys.argv[2]):\n    \
             it = json.loads(f.readline())\n    \
             again = it.get('again', again)\n    \
             if 'messageId' not in it: continue\n    \
             assert int(it['messageId']) == count, (it, count)\n    \
             count += 1\n    \
             if count % 500 == 0: s.sendall(b'{\"ack\":%d}\\n' % count)\n\
         assert again > 0\n\
         s.unwrap()\n";
    let mut next = python(&certificates, engine.delivery, rest);
    run(next.arg(COUNT.to_string()));
    engine.wait("all is settled", |it| it["settled"] == COUNT);
    assert!(first.wait().expect("it ends").success());
}

#[test]
fn who_speaks_plain_to_tls_or_tls_to_plain_is_told_and_disturbs_nobody() {
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    for address in [engine.delivery, engine.ingest.expect("it listens")] {
        let subscriber = Subscriber::say(address, "{\"subscribe\":[\"table1\"]}");
        assert!(
            subscriber.answer.contains("speaks TLS"),
            "{}",
            subscriber.answer
        );
    }
    engine.wait("both are counted", |it| it["tls_failures"] == 2);
    let plain = Engine::start("source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n");
    for address in [plain.delivery, plain.ingest.expect("it listens")] {
        let program = "try:\n    dial()\nexcept ssl.SSLError as e:\n    print(e.reason)\n";
        let said = run(&mut python(&certificates, address, program));
        assert!(said.contains("WRONG_VERSION_NUMBER"), "{said}");
        let hello = "\u{16}\u{3}\u{1}\u{2}";
        let answer: serde_json::Value =
            serde_json::from_str(&Subscriber::say(address, hello).answer)
                .expect("the protocol's error line");
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|it| it.contains("no TLS")),
            "{answer}"
        );
    }
    let mut subscriber = Subscriber::new(&plain, &["table1"], false);
    assert!(subscriber.answer.contains("subscribed"));
    let mut producer = TcpStream::connect(plain.ingest.expect("it listens")).expect("it listens");
    writeln!(producer, "{}", frame("a", "table1", 1)).expect("it reads");
    assert_eq!(subscriber.frames(1)[0]["messageId"], "a");
    assert_eq!(plain.count("rejected"), 0);
}

#[test]
fn peers_that_stop_in_mid_handshake_hold_up_nobody() {
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    let stopped: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(engine.delivery).expect("it listens");
            // A record of 512 bytes that does not come.
            stream
                .write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1])
                .expect("it reads");
            stream
        })
        .collect();
    let program = "s = dial()\n\
        s.sendall(b'{\"subscribe\":[\"table1\"]}\\n')\n\
        print(s.makefile('rb').readline().decode())\n";
    let said = run(&mut python(&certificates, engine.delivery, program));
    assert!(said.contains("subscribed"), "{said}");
    drop(stopped);
}

#[test]
fn with_client_ca_whoever_shows_no_certificate_is_refused() {
    let certificates = Certificates::new();
    certificates.issue("till", "DNS:till", "ca", None);
    certificates.authority("other");
    certificates.issue("stranger", "DNS:till", "other", None);
    let engine = start(&certificates, "client_ca = \"ca.pem\"\n");
    let program = |name: Option<&str>| {
        let load = name.map_or(String::new(), |it| {
            format!("tls.load_cert_chain('{it}.pem', '{it}.key')\n")
        });
        format!(
            "{load}try:\n    \
             s = dial()\n    \
             s.sendall(b'{{\"subscribe\":[\"table1\"]}}\\n')\n    \
             print(s.makefile('rb').readline().decode())\n\
             except OSError as e:\n    print('refused', e)\n"
        )
    };
    for (name, is_in) in [
        (Some("till"), true),
        (Some("stranger"), false),
        (None, false),
    ] {
        let said = run(&mut python(&certificates, engine.delivery, &program(name)));
        assert_eq!(said.contains("subscribed"), is_in, "{name:?}: {said}");
    }
    engine.wait("both are counted", |it| it["tls_failures"] == 2);
    engine.wait_for_log("no TLS: ");
}

/// A message server in Python that shows this certificate, and sends a line to whoever shakes hands.
fn server(certificates: &Certificates, name: &str) -> (Child, SocketAddr) {
    let program = format!(
        "import socket, ssl, sys\n\
         tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
         tls.load_cert_chain('{name}.pem', '{name}.key')\n\
         s = socket.create_server(('127.0.0.1', 0))\n\
         print('127.0.0.1:%d' % s.getsockname()[1], flush=True)\n\
         while True:\n    \
             c, _ = s.accept()\n    \
             try:\n        \
                 c = tls.wrap_socket(c, server_side=True)\n        \
                 c.sendall(b'{}\\n')\n        \
                 c.recv(1000)\n    \
             except OSError: pass\n",
        frame(name, "table1", 1)
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .current_dir(certificates.home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    let mut address = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output)
        .read_line(&mut address)
        .expect("it begins");
    (child, address.trim().parse().expect("its address"))
}

#[test]
fn a_source_is_believed_only_with_a_certificate_of_its_name_that_is_valid_now() {
    let certificates = Certificates::new();
    certificates.authority("other");
    certificates.issue("right", NAMES, "ca", None);
    certificates.issue("foreign", NAMES, "other", None);
    certificates.issue("expired", NAMES, "ca", Some("2020-01-01"));
    certificates.issue("misnamed", "DNS:elsewhere", "ca", None);
    let mut servers = Vec::new();
    let mut settings = String::from("[admin]\ntls = \"off\"\n");
    for name in ["right", "foreign", "expired", "misnamed"] {
        let (child, address) = server(&certificates, name);
        servers.push(child);
        settings +=
            &format!("[[source]]\naddress = \"{address}\"\ntls = true\ntls_ca = \"ca.pem\"\n");
    }
    let (child, address) = server(&certificates, "misnamed");
    servers.push(child);
    settings += &format!(
        "[[source]]\naddress = \"{address}\"\ntls = true\ntls_ca = \"ca.pem\"\n\
         tls_name = \"elsewhere\"\n"
    );
    let engine = Engine::start_in(Arc::clone(&certificates.home), &settings);
    engine.wait("two are believed, and three are not", |it| {
        it["received"] == 2
            && it["tls_failures"].as_u64() >= Some(3)
            && it["sources_connected"] == 2
    });
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut ids: Vec<String> = subscriber
        .frames(2)
        .iter()
        .map(|it| it["messageId"].to_string())
        .collect();
    ids.sort();
    assert_eq!(ids, ["\"misnamed\"", "\"right\""]);
    for mut server in servers {
        let _ = server.kill();
        let _ = server.wait();
    }
}

#[test]
fn figures_are_served_over_https() {
    let certificates = Certificates::new();
    certificates.issue("engine", NAMES, "ca", None);
    let home = certificates.home.path();
    let settings = "source = []\n[tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n";
    let engine = Engine::start_in(Arc::clone(&certificates.home), settings);
    let url = format!("https://localhost:{}/stats", engine.admin.port());
    let curl = |ca: &Path| {
        let mut command = Command::new("curl");
        command.args(["-s", "--cacert"]).arg(ca).arg(&url);
        command.output().expect("curl")
    };
    let answer = curl(&home.join("ca.pem"));
    assert!(String::from_utf8_lossy(&answer.stdout).contains("\"received\":0"));
    certificates.authority("other");
    assert_eq!(
        curl(&home.join("other.pem")).status.code(),
        Some(60),
        "not believed"
    );
}

#[test]
fn a_file_that_is_of_no_use_is_named_at_start() {
    let certificates = Certificates::new();
    certificates.issue("one", NAMES, "ca", None);
    certificates.issue("two", NAMES, "ca", None);
    // Without extensions openssl makes a certificate of version 1.
    certificates.openssl("req -new -key one.key -out old.csr -subj /CN=old");
    certificates.openssl("x509 -req -in old.csr -CA ca.pem -CAkey ca.key -days 2 -out old.pem");
    certificates.openssl("pkey -in one.key -aes256 -passout pass:secret -out locked.key");
    let file = certificates.path("flipped-lb.toml");
    for (tls, words) in [
        ("cert = \"none.pem\"\nkey = \"one.key\"", "none.pem"),
        ("cert = \"one.key\"\nkey = \"one.key\"", "no certificate"),
        ("cert = \"one.pem\"\nkey = \"two.key\"", "two.key"),
        (
            "cert = \"one.pem\"\nkey = \"two.key\"",
            "it is not the key of",
        ),
        ("cert = \"old.pem\"\nkey = \"one.key\"", "cert old.pem: "),
        (
            "cert = \"old.pem\"\nkey = \"one.key\"",
            "TLS takes version 3",
        ),
        (
            "cert = \"one.pem\"\nkey = \"locked.key\"",
            "key locked.key: the key is encrypted",
        ),
        ("cert = \"one.pem\"", "cert and key"),
    ] {
        std::fs::write(&file, format!("[tls]\n{tls}\n")).expect("written");
        for command in ["check", "run"] {
            let output = Command::new(support::ENGINE)
                .args([command, "--config"])
                .arg(&file)
                .current_dir(certificates.home.path())
                .output()
                .expect("the engine's binary");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && said.contains(words),
                "{command}: {said}"
            );
        }
    }
}
