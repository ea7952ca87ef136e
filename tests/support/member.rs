//! A member of a group as a process that may come and go, and whoever asks it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::servers::{PATIENCE, wait};
use crate::support::ENGINE;
use crate::support::ports::free_address;

/// The stream of a member's group.
pub const STREAM: &str = "flb_journal_east";
/// `[cluster]` of a member of a group at one server.
pub const ALONE: &str = "replicas = 1\ntake_over_after = '4s'";
/// `[cluster]` of a member of a group at three servers.
pub const OF_THREE: &str = "replicas = 3\ntake_over_after = '15s'";
/// `[cluster]` of a member at one server whose lease outlasts what a test does meanwhile.
pub const PATIENT: &str = "replicas = 1\ntake_over_after = '30s'";

/// Its group is `east`.
pub struct Member {
    home: tempfile::TempDir,
    node: String,
    pub delivery: SocketAddr,
    pub ingest: SocketAddr,
    pub admin: SocketAddr,
    pub http: Option<SocketAddr>,
    child: Option<Child>,
}

impl Member {
    /// With these lines in `[cluster]`, and these behind all.
    pub fn start(node: &str, servers: &[String], cluster: &str, more: &str) -> Self {
        let at = [(); 3].map(|()| free_address());
        let [delivery, ingest, admin] = at;
        let home = tempfile::tempdir().expect("a directory");
        let settings = format!(
            "data_dir = {:?}\ndurability = 'replicated'\nsource = []\n[cluster]\nservers = {servers:?}\n\
             group = 'east'\nnode = '{node}'\n{cluster}\n\
             [delivery]\nlisten = '{delivery}'\n[ingest]\nlisten = '{ingest}'\n[admin]\nlisten = '{admin}'\n\
             [journal]\nsegment = '4MiB'\n{more}\n",
            home.path().join("data")
        );
        Self::run_in(home, node, &settings, at)
    }

    /// The same with HTTP for customers, and without a database.
    pub fn start_with_http(node: &str, servers: &[String], cluster: &str, more: &str) -> Self {
        let http = free_address();
        let more = format!("[http]\nlisten = '{http}'\n[store]\nurl = 'none'\n{more}");
        let mut this = Self::start(node, servers, cluster, &more);
        this.http = Some(http);
        this
    }

    /// With these settings, which listen there: for subscribers, producers, admin.
    pub fn run(node: &str, settings: &str, at: [SocketAddr; 3]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        Self::run_in(home, node, settings, at)
    }

    fn run_in(home: tempfile::TempDir, node: &str, settings: &str, at: [SocketAddr; 3]) -> Self {
        let [delivery, ingest, admin] = at;
        let mut this = Self {
            home,
            node: node.to_owned(),
            delivery,
            ingest,
            admin,
            http: None,
            child: None,
        };
        std::fs::write(this.settings(), settings).expect("a file");
        this.resume();
        this
    }

    /// Starts the process, with the files that are there.
    pub fn resume(&mut self) {
        self.resume_by(Command::new(ENGINE));
    }

    /// The same by this command, which runs the engine.
    pub fn resume_by(&mut self, mut command: Command) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("log"))
            .expect("a log");
        let child = command
            .args(["run", "--config", "flipped-lb.toml"])
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the engine's binary"));
    }

    /// The directory of its files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub fn settings(&self) -> PathBuf {
        self.home.path().join("flipped-lb.toml")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// `flipped-lb publish` of so many orders for table1: its exit code, and what it says of trouble.
    pub fn publish(&self, count: u64) -> (Option<i32>, String) {
        let (address, count) = (self.ingest.to_string(), count.to_string());
        let (code, _, words) = command(&[
            "publish",
            "--address",
            &address,
            "--destination",
            "table1",
            "--count",
            &count,
        ]);
        (code, words)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(status.expect("the kill command").success());
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn runs(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("it can be asked").is_none()
    }

    /// The exit code, once the process has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        child.wait().expect("it ends").code()
    }

    /// Status and body; `None`: it does not answer just now.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        ask(self.admin, path)
    }

    pub fn json(&self, path: &str) -> Option<Value> {
        serde_json::from_str(&self.get(path)?.1).ok()
    }

    pub fn stats(&self) -> Option<Value> {
        self.json("/stats")
    }

    pub fn count(&self, name: &str) -> u64 {
        wait("figures", || self.stats()?[name].as_u64())
    }

    pub fn is_active(&self) -> bool {
        self.stats()
            .is_some_and(|it| it["cluster"]["role"] == "active")
    }

    /// Waits until `/stats` is so; says what it is shortly before patience ends.
    pub fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{}: {what}", self.node);
        let begun = Instant::now();
        let mut is_told = false;
        wait(&what, || {
            let stats = self.stats();
            if !is_told && begun.elapsed() > PATIENCE * 5 / 6 {
                eprintln!("{what}: {stats:?}\n{}", self.log());
                is_told = true;
            }
            stats.filter(&holds)
        })
    }

    /// The log has a thread of its own.
    pub fn wait_for_log(&self, words: &str) {
        wait(words, || self.log().contains(words).then_some(()));
    }

    pub fn wait_for_role(&self, role: &str) {
        self.wait(role, |it| it["cluster"]["role"] == role);
    }

    /// A standby that has all and could take over.
    pub fn wait_until_ready(&self) {
        self.wait("a ready standby", |it| {
            it["cluster"]["ready"] == true && it["cluster"]["role"] == "standby"
        });
    }

    /// It takes frames.
    pub fn wait_until_serving(&self) {
        wait("it takes frames", || {
            self.get("/readyz").filter(|it| it.0 == 200)
        });
    }

    /// What `/readyz` gives as its reason, once it has these words.
    pub fn wait_for_reason(&self, words: &str) -> String {
        wait(words, || {
            let reason = self.json("/readyz")?["reason"].as_str()?.to_owned();
            reason.contains(words).then_some(reason)
        })
    }

    /// What `doctor` finds with its settings, and the exit code.
    pub fn doctor(&self) -> (Option<i32>, String) {
        let settings = self.settings().display().to_string();
        let (code, found, _) = command(&["doctor", "--seconds", "0", "--config", &settings]);
        (code, found)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {}\n{}", self.node, self.log());
        }
        self.kill();
    }
}

/// All that whoever says these words is told, until the connection is closed.
pub fn said(address: SocketAddr, words: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let _ = stream.write_all(words.as_bytes());
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// What a peer that says these words is told.
pub fn told(address: SocketAddr, words: &str) -> Value {
    wait("a line", || {
        let text = said(address, words)?;
        serde_json::from_str(text.lines().next()?).ok()
    })
}

/// An HTTP request: status and body.
pub fn ask(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let text = said(address, &request)?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
}

/// Exit code, standard output and standard error of a command.
pub fn command(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(ENGINE)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the engine's binary");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}
