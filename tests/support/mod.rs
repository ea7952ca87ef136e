//! What the behaviour tests share: an engine as a process, subscribers and sources by hand.
//!
//! Every engine has a directory and ports of its own, and is killed when its test ends.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

pub mod nats_program;
pub mod ports;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;

/// How long anything may take before a test gives up: machines are slow, and some are very slow.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The engine's binary.
pub const ENGINE: &str = env!("CARGO_BIN_EXE_flipped-lb");

/// A running `flipped-lb run`.
pub struct Engine {
    pub home: Arc<tempfile::TempDir>,
    pub delivery: SocketAddr,
    pub admin: SocketAddr,
    pub ingest: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    child: Child,
    stdout: Option<ChildStdout>,
    log: Arc<Mutex<String>>,
    /// What gathers the log, to its end.
    gathering: Option<JoinHandle<()>>,
}

/// Tells a thread of a scope to end, also when the test fails before: the scope would wait for it for ever.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How an engine ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub log: String,
}

impl Engine {
    /// Starts an engine with these settings; `data_dir` and the listeners are given to it.
    pub fn start(settings: &str) -> Self {
        Self::start_in(
            Arc::new(tempfile::tempdir().expect("a temporary directory")),
            settings,
        )
    }

    /// Starts an engine in a directory that may hold an earlier one's data.
    pub fn start_in(home: Arc<tempfile::TempDir>, settings: &str) -> Self {
        Self::start_by(Command::new(ENGINE), home, settings)
    }

    /// Starts an engine by a command that passes its arguments on to [`ENGINE`].
    pub fn start_by(mut command: Command, home: Arc<tempfile::TempDir>, settings: &str) -> Self {
        let file = home.path().join("flipped-lb.toml");
        std::fs::write(&file, settings).expect("a settings file");
        let mut child = command
            .args(["run", "--config"])
            .arg(&file)
            .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
            .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
            .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
            .current_dir(home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the engine's binary");
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut running = None;
        while running.is_none() {
            let Some(Ok(line)) = lines.next() else {
                let _ = child.wait();
                panic!("the engine did not start:\n{}", log.lock().expect("whole"));
            };
            log.lock().expect("whole").push_str(&format!("{line}\n"));
            running = line
                .split_once("running: ")
                .map(|(_, rest)| rest.to_owned());
        }
        let collected = Arc::clone(&log);
        let gathering = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                collected
                    .lock()
                    .expect("whole")
                    .push_str(&format!("{line}\n"));
            }
        });
        let running = running.expect("the loop saw it");
        Self {
            home,
            delivery: address_after(&running, "subscribers on ").expect("it says where"),
            admin: address_after(&running, "://").expect("it says where"),
            ingest: address_after(&running, "producers on "),
            http: address_after(&running, "HTTP customers on "),
            stdout: child.stdout.take(),
            child,
            log,
            gathering: Some(gathering),
        }
    }

    /// Starts an engine at an admin address that is picked beforehand: it comes back there.
    pub fn start_at(admin: SocketAddr, home: Arc<tempfile::TempDir>, settings: &str) -> Self {
        let mut command = Command::new("env");
        command.args([&format!("FLIPPED_LB_ADMIN_LISTEN={admin}"), ENGINE]);
        Self::start_by(command, home, settings)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the engine logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("whole").clone()
    }

    /// `/stats`.
    pub fn stats(&self) -> Value {
        let (status, body) = self.get("/stats");
        assert_eq!(status, 200);
        serde_json::from_str(&body).expect("JSON")
    }

    /// One number of `/stats`.
    pub fn count(&self, name: &str) -> u64 {
        self.stats()[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// An HTTP request to the admin address: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("the admin address");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Waits until the condition holds.
    pub fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let stats = self.stats();
            if condition(&stats) {
                return stats;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: {stats}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the log has these words.
    pub fn wait_for_log(&self, words: &str) {
        self.wait_until_logged(words, |it| it.contains(words));
    }

    /// Waits until the log is so: it has a thread of its own.
    pub fn wait_until_logged(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !is_there(&self.log()) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The lines of `rejected.ndjson`, once all that was rejected is in it.
    pub fn rejected_lines(&self) -> Vec<String> {
        self.wait("all rejected lines are kept", |it| {
            it["rejected_waiting"] == 0
        });
        lines_of(&self.data_dir().join("rejected.ndjson"))
    }

    /// SIGTERM, and everything it said.
    pub fn stop(mut self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    /// SIGKILL; the directory stays with whoever holds `home`.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        let _ = self.child.wait();
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(status.expect("the kill command").success());
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> Ended {
        let mut stdout = String::new();
        let mut pipe = self.stdout.take().expect("asked once");
        pipe.read_to_string(&mut stdout).expect("text");
        let code = self.child.wait().expect("it ends").code();
        let gathering = self.gathering.take().expect("asked once");
        gathering.join().expect("text");
        let log = self.log();
        if code != Some(0) {
            eprintln!("---- it ended with {code:?}\n{log}");
        }
        Ended { code, stdout, log }
    }

    /// Resident memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it runs");
        let line = status
            .lines()
            .find_map(|it| it.strip_prefix("VmRSS:"))
            .expect("it has memory");
        line.trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number")
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("it runs")
            .count()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- it ran when the test failed\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_after(text: &str, mark: &str) -> Option<SocketAddr> {
    let rest = text.split_once(mark)?.1;
    let end = rest.find([',', '/', ' ']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// A subscriber by hand.
pub struct Subscriber {
    pub stream: BufReader<TcpStream>,
    /// The engine's answer to the subscription.
    pub answer: String,
}

impl Subscriber {
    pub fn new(engine: &Engine, destinations: &[&str], ack: bool) -> Self {
        let mut line = serde_json::json!({ "subscribe": destinations });
        if ack {
            line["ack"] = Value::Bool(true);
        }
        Self::say(engine.delivery, &line.to_string())
    }

    /// Connects and sends a first line.
    pub fn say(address: SocketAddr, line: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("the delivery address");
        stream.set_nodelay(true).expect("an option");
        writeln!(stream, "{line}").expect("it takes a line");
        Self::over(stream)
    }

    /// Takes over a connection whose first line was sent.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut this = Self {
            stream: BufReader::with_capacity(1 << 18, stream),
            answer: String::new(),
        };
        this.answer = this.line().unwrap_or_default();
        this
    }

    /// The next line without its newline; `None` at the end of the stream.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches('\n').to_owned()),
        }
    }

    /// The next frame, parsed; engine's own words are passed over.
    pub fn frame(&mut self) -> Option<Value> {
        loop {
            let value: Value = serde_json::from_str(&self.line()?).expect("JSON");
            if value.get("messageId").is_some() {
                return Some(value);
            }
        }
    }

    /// `count` frames.
    pub fn frames(&mut self, count: usize) -> Vec<Value> {
        (0..count)
            .map(|at| {
                self.frame()
                    .unwrap_or_else(|| panic!("frame {at} of {count}"))
            })
            .collect()
    }

    /// Acknowledges.
    pub fn ack(&mut self, through: u64) {
        writeln!(self.stream.get_mut(), "{{\"ack\":{through}}}").expect("it takes a line");
    }

    /// Whether a line comes within this time.
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        self.stream
            .get_mut()
            .set_read_timeout(Some(time))
            .expect("a time-out");
        let line = self.line();
        self.stream
            .get_mut()
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out");
        line
    }
}

/// A valid frame.
pub fn frame(id: &str, destination: &str, priority: u8) -> String {
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"test\",\"destinationId\":\"{destination}\",\
         \"messageType\":\"lunch\",\"priority\":{priority},\"payload\":{{\"n\":1}}}}"
    )
}

/// A message server that a test plays: a listener whose connections the engine makes.
pub struct Server {
    listener: std::net::TcpListener,
}

impl Server {
    pub fn listen() -> Self {
        Self {
            listener: std::net::TcpListener::bind("127.0.0.1:0").expect("a port"),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// The engine's next connection.
    pub fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream
    }
}

/// Settings with these sources, and whatever else.
pub fn with_sources(sources: &[SocketAddr], rest: &str) -> String {
    let sources: Vec<String> = sources
        .iter()
        .map(|it| format!("{{ address = \"{it}\" }}"))
        .collect();
    format!("source = [{}]\n{rest}\n", sources.join(", "))
}

/// The lines of a file.
pub fn lines_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What `flipped-lb user hash` says of a token: a line for its `[[user]]`, and a word where it is short.
pub fn user_hash(token: &str) -> String {
    let mut child = Command::new(ENGINE)
        .args(["user", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the engine's binary");
    writeln!(child.stdin.take().expect("it is piped"), "{token}").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(output.stderr.is_empty(), token.len() >= 16);
    String::from_utf8(output.stdout).expect("text")
}

/// Lets this process, and the engine that it starts, have so many descriptors.
pub fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|it| it < count) {
        limit.current = Some(count);
        setrlimit(Resource::Nofile, limit).expect("the hard limit allows it");
    }
}
