//! TLS, with peers that nobody here wrote: openssl, Python's ssl and curl.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use support::{Engine, PATIENCE, Subscriber, frame};

/// An authority, and the certificates that it has signed.
struct Certificates {
    home: Arc<tempfile::TempDir>,
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it is installed");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Certificates {
    fn new() -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let this = Self { home };
        this.authority("ca");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn openssl(&self, words: &str) {
        let mut command = Command::new("openssl");
        run(command.args(words.split(' ')).current_dir(self.home.path()));
    }

    fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout {name}.key -out {name}.pem -subj /CN={name}"
        ));
    }

    /// A certificate for these names, `DNS:localhost,IP:127.0.0.1`, signed at this time.
    fn issue(&self, name: &str, names: &str, authority: &str, at: Option<&str>) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key \
             -out {name}.csr -subj /CN={name}"
        ));
        std::fs::write(
            self.path("names"),
            format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n"),
        )
        .expect("written");
        let words = format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -days 2 -extfile names -out {name}.pem"
        );
        match at {
            None => self.openssl(&words),
            Some(at) => {
                let mut command = Command::new("faketime");
                let command = command.arg(at).arg("openssl").args(words.split(' '));
                run(command.current_dir(self.home.path()));
            }
        }
    }
}

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// An engine whose producers and subscribers come by TLS; `rest` may go on with `[tls]`.
fn start(certificates: &Certificates, rest: &str) -> Engine {
    certificates.issue("engine", NAMES, "ca", None);
    let home = Arc::clone(&certificates.home);
    let settings = format!(
        "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[admin]\ntls = \"off\"\n\
         [tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n{rest}"
    );
    Engine::start_in(home, &settings)
}

/// `openssl s_client`; the test ends it.
fn s_client(certificates: &Certificates, address: SocketAddr, options: &[&str]) -> Child {
    Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-CAfile",
            "ca.pem",
        ])
        .args(["-connect", &address.to_string()])
        .args(options)
        .current_dir(certificates.home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl")
}

/// A Python program with the address in `sys.argv[1]`, and a context `tls` that trusts the authority.
fn python(certificates: &Certificates, address: SocketAddr, program: &str) -> Command {
    let mut command = Command::new("python3");
    let program = format!(
        "import socket, ssl, sys, json\n\
         host, port = sys.argv[1].split(':')\n\
         tls = ssl.create_default_context(cafile='ca.pem')\n\
         def dial():\n    \
             s = socket.create_connection((host, int(port)))\n    \
             s.settimeout(60)\n    \
             return tls.wrap_socket(s, server_hostname='localhost')\n{program}"
    );
    command
        .args(["-c", &program, &address.to_string()])
        .current_dir(certificates.home.path());
    command
}

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

#[test]
fn many_frames_come_whole_and_in_order_to_a_reader_that_is_slow() {
    const COUNT: usize = 20_000;
    let certificates = Certificates::new();
    let engine = start(&certificates, "");
    let producer = format!(
        "s = dial()\n\
         for n in range({COUNT}):\n    \
             s.sendall(json.dumps({{'messageId': str(n), 'sourceServerId': 's', \
             'destinationId': 'table1', 'messageType': 't', 'priority': 1, \
             'payload': {{'x': 'y' * (n % 700)}}}}).encode() + b'\\n')\n\
         s.unwrap()\n"
    );
    run(&mut python(
        &certificates,
        engine.ingest.expect("it listens"),
        &producer,
    ));
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
    assert!(engine.log().contains("no TLS: "), "{}", engine.log());
}

/// A message server in Python that shows this certificate, and sends a line to whoever shakes hands.
fn server(certificates: &Certificates, name: &str) -> (Child, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let program = format!(
        "import socket, ssl, sys\n\
         tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
         tls.load_cert_chain('{name}.pem', '{name}.key')\n\
         s = socket.create_server(('127.0.0.1', {}))\n\
         print('ready', flush=True)\n\
         while True:\n    \
             c, _ = s.accept()\n    \
             try:\n        \
                 c = tls.wrap_socket(c, server_side=True)\n        \
                 c.sendall(b'{}\\n')\n        \
                 c.recv(1000)\n    \
             except OSError: pass\n",
        address.port(),
        frame(name, "table1", 1)
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .current_dir(certificates.home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    let mut ready = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output)
        .read_line(&mut ready)
        .expect("it begins");
    assert_eq!(ready, "ready\n");
    (child, address)
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
    let stats = engine.wait("two are believed, and three are not", |it| {
        it["received"] == 2 && it["tls_failures"].as_u64() >= Some(3)
    });
    assert_eq!(stats["sources_connected"], 2);
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
    let mut plain = TcpStream::connect(engine.admin).expect("it listens");
    plain.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    plain
        .write_all(b"GET /stats HTTP/1.1\r\n\r\n")
        .expect("it reads");
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[test]
fn a_file_that_is_of_no_use_is_named_at_start() {
    let certificates = Certificates::new();
    certificates.issue("one", NAMES, "ca", None);
    certificates.issue("two", NAMES, "ca", None);
    let file = certificates.path("flipped-lb.toml");
    for (tls, words) in [
        ("cert = \"none.pem\"\nkey = \"one.key\"", "none.pem"),
        ("cert = \"one.key\"\nkey = \"one.key\"", "no certificate"),
        ("cert = \"one.pem\"\nkey = \"two.key\"", "two.key"),
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
