//! What the tests of TLS share: an authority and its certificates, an engine that shows one, and peers
//! that nobody here wrote.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::support::Engine;

/// The names of a server on this machine.
pub const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// An authority, and the certificates that it has signed.
pub struct Certificates {
    pub home: Arc<tempfile::TempDir>,
}

pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("it is installed");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Certificates {
    pub fn new() -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let this = Self { home };
        this.authority("ca");
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn openssl(&self, words: &str) {
        let mut command = Command::new("openssl");
        run(command.args(words.split(' ')).current_dir(self.home.path()));
    }

    pub fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout {name}.key -out {name}.pem -subj /CN={name}"
        ));
    }

    /// A certificate for these names, `DNS:localhost,IP:127.0.0.1`, signed at this time.
    pub fn issue(&self, name: &str, names: &str, authority: &str, at: Option<&str>) {
        self.issue_for(2, name, names, authority, at);
    }

    /// The same, valid for so many days: those of less than a fortnight are a trouble that is told.
    pub fn issue_for(&self, days: u32, name: &str, names: &str, authority: &str, at: Option<&str>) {
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
             -days {days} -extfile names -out {name}.pem"
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

/// An engine whose producers and subscribers come by TLS; `rest` may go on with `[tls]`.
pub fn start(certificates: &Certificates, rest: &str) -> Engine {
    certificates.issue("engine", NAMES, "ca", None);
    let home = Arc::clone(&certificates.home);
    let settings = format!(
        "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[admin]\ntls = \"off\"\n\
         [tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n{rest}"
    );
    Engine::start_in(home, &settings)
}

/// `openssl s_client`; the test ends it.
pub fn s_client(certificates: &Certificates, address: SocketAddr, options: &[&str]) -> Child {
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
pub fn python(certificates: &Certificates, address: SocketAddr, program: &str) -> Command {
    let mut command = Command::new("python3");
    let program = format!(
        "import socket, ssl, sys, json\n\
         host, port = sys.argv[1].split(':')\n\
         tls = ssl.create_default_context(cafile='ca.pem')\n\
         def dial():\n    \
             s = socket.create_connection((host, int(port)))\n    \
             s.settimeout(180)\n    \
             return tls.wrap_socket(s, server_hostname='localhost')\n{program}"
    );
    command
        .args(["-c", &program, &address.to_string()])
        .current_dir(certificates.home.path());
    command
}
