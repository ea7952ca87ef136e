//! Real nats-servers of a test's own, one or a cluster of three on loopback, each with files of its own.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::nats_program;
use crate::support::ports::free_port;

/// No test waits longer: for an election, a start, an answer.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until there is something.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Server {
    port: u16,
    child: Option<Child>,
}

/// The servers; killed when they are dropped.
pub struct Servers {
    home: tempfile::TempDir,
    servers: Vec<Server>,
}

impl Servers {
    pub fn start(count: usize) -> Self {
        Self::start_with(count, "")
    }

    /// One that has no JetStream.
    pub fn start_without_jetstream() -> Self {
        Self::started(1, "", false)
    }

    /// With these lines in each one's configuration besides.
    pub fn start_with(count: usize, more: &str) -> Self {
        Self::started(count, more, true)
    }

    fn started(count: usize, more: &str, has_jetstream: bool) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let ports: Vec<(u16, u16)> = (0..count).map(|_| (free_port(), free_port())).collect();
        for (index, (port, route)) in ports.iter().enumerate() {
            let routes: Vec<_> = ports
                .iter()
                .map(|it| format!("\"nats://127.0.0.1:{}\"", it.1))
                .collect();
            let cluster = match count {
                1 => String::new(),
                _ => format!(
                    "cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                    routes.join(", ")
                ),
            };
            let store = home.path().join(format!("s{index}"));
            // One that is killed loses nothing that the system has; several agree on what their disks have.
            let sync = if count == 1 { "2m" } else { "always" };
            let jetstream = match has_jetstream {
                true => format!("jetstream {{ store_dir: {store:?}, sync_interval: {sync} }}\n"),
                false => String::new(),
            };
            let text = format!(
                "server_name: s{index}\nlisten: \"127.0.0.1:{port}\"\n{jetstream}{cluster}{more}"
            );
            std::fs::write(home.path().join(format!("s{index}.conf")), text).expect("a file");
        }
        let server = |it: &(u16, u16)| Server {
            port: it.0,
            child: None,
        };
        let mut this = Self {
            home,
            servers: ports.iter().map(server).collect(),
        };
        (0..count).for_each(|it| this.spawn(it));
        (0..count).for_each(|it| this.wait_for(it));
        this
    }

    fn spawn(&mut self, index: usize) {
        let log = self.home.path().join(format!("s{index}.log"));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        let child = Command::new(nats_program::program())
            .arg("-c")
            .arg(self.home.path().join(format!("s{index}.conf")))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect(nats_program::WANTED);
        self.servers[index].child = Some(child);
    }

    fn wait_for(&self, index: usize) {
        let begun = Instant::now();
        while TcpStream::connect(self.address(index)).is_err() {
            let is_in_time = begun.elapsed() < PATIENCE;
            assert!(is_in_time, "it does not listen: {}", self.log(index));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn resume(&mut self, index: usize) {
        self.spawn(index);
        self.wait_for(index);
    }

    /// `kill -9`.
    pub fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.servers[index].child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// Until a server that was told to end has ended.
    pub fn wait_until_ended(&mut self, index: usize) {
        let mut child = self.servers[index].child.take().expect("it runs");
        child.wait().expect("it ends");
    }

    /// Sends a signal by name.
    pub fn signal(&self, index: usize, name: &str) {
        let child = self.servers[index].child.as_ref().expect("it runs");
        let status = Command::new("kill")
            .args([&format!("-{name}"), &child.id().to_string()])
            .status();
        assert!(status.expect("the kill command").success());
    }

    /// Changes a server's configuration; it takes it at its next start, or at the signal HUP.
    pub fn reconfigure(&self, index: usize, change: impl Fn(&str) -> String) {
        let file = self.home.path().join(format!("s{index}.conf"));
        let before = std::fs::read_to_string(&file).expect("it is there");
        let after = change(&before);
        assert_ne!(before, after, "something is changed");
        std::fs::write(&file, after).expect("a file");
    }

    /// The same, and the server takes it now.
    pub fn reload(&self, index: usize, change: impl Fn(&str) -> String) {
        self.reconfigure(index, change);
        let reloads = || {
            self.log(index)
                .matches("Reloaded server configuration")
                .count()
        };
        let before = reloads();
        self.signal(index, "HUP");
        wait("a reload", || (reloads() > before).then_some(()));
    }

    /// What a server has logged.
    pub fn log(&self, index: usize) -> String {
        let file = self.home.path().join(format!("s{index}.log"));
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// A server that was killed has lost all that it had stored.
    pub fn lose_store(&self, index: usize) {
        let store = self.home.path().join(format!("s{index}"));
        std::fs::remove_dir_all(store).expect("it is there");
    }

    /// Removes all messages of a stream.
    pub fn purge(&self, stream: &str) {
        wait("a purged stream", || {
            self.ask(&format!("$JS.API.STREAM.PURGE.{stream}"), &json!({}))
        });
    }

    pub fn address(&self, index: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.servers[index].port).into()
    }

    pub fn urls(&self) -> Vec<String> {
        let urls = (0..self.servers.len()).map(|it| format!("nats://{}", self.address(it)));
        urls.collect()
    }

    /// Asks JetStream, at whichever server answers.
    pub fn ask(&self, subject: &str, payload: &Value) -> Option<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            for url in self.urls() {
                let asked = async {
                    let client = async_nats::connect(&url).await.ok()?;
                    let payload = payload.to_string().into();
                    let answer = client.request(subject.to_owned(), payload).await.ok()?;
                    serde_json::from_slice::<Value>(&answer.payload).ok()
                };
                let answer = tokio::time::timeout(Duration::from_secs(3), asked).await;
                if let Some(answer) = answer.ok().flatten().filter(|it| it.get("error").is_none()) {
                    return Some(answer);
                }
            }
            None
        })
    }

    fn info(&self, stream: &str) -> Option<Value> {
        self.ask(&format!("$JS.API.STREAM.INFO.{stream}"), &json!({}))
    }

    /// Changes a stream's settings.
    pub fn edit(&self, stream: &str, change: impl Fn(&mut Value)) {
        wait("an edited stream", || {
            let mut config = self.info(stream)?["config"].clone();
            change(&mut config);
            self.ask(&format!("$JS.API.STREAM.UPDATE.{stream}"), &config)
        });
    }

    pub fn delete(&self, stream: &str) {
        wait("a deleted stream", || {
            self.ask(&format!("$JS.API.STREAM.DELETE.{stream}"), &json!({}))
        });
    }

    /// The server that leads the stream.
    pub fn leader(&self, stream: &str) -> usize {
        wait("a leader", || {
            let info = self.info(stream)?;
            info["cluster"]["leader"]
                .as_str()?
                .strip_prefix('s')?
                .parse()
                .ok()
        })
    }

    /// Until all replicas have all.
    pub fn wait_for_replicas(&self, stream: &str) {
        wait("replicas", || {
            let info = self.info(stream)?;
            let replicas = info["cluster"]["replicas"].as_array()?;
            let is_current = |it: &Value| it["current"] == true && it.get("offline").is_none();
            (replicas.len() == 2 && replicas.iter().all(is_current)).then_some(())
        });
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        (0..self.servers.len()).for_each(|it| self.kill(it));
    }
}
