//! Streams that nobody takes.

use super::*;

/// An engine whose streams say nothing: its ports are picked beforehand.
struct Mute {
    child: Child,
    ports: [SocketAddr; 3],
    _home: tempfile::TempDir,
}

impl Mute {
    fn start(stdout: Stdio, stderr: Stdio, rest: &str) -> Self {
        let home = home();
        let ports = [(); 3].map(|()| free_address());
        let file = home.path().join("settings.toml");
        fs::write(&file, settings(rest)).expect("a settings file");
        let child = Command::new(ENGINE)
            .args(["run", "--config"])
            .arg(&file)
            .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
            .env("FLIPPED_LB_DELIVERY_LISTEN", ports[0].to_string())
            .env("FLIPPED_LB_INGEST_LISTEN", ports[1].to_string())
            .env("FLIPPED_LB_ADMIN_LISTEN", ports[2].to_string())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the engine's binary");
        let mut mute = Self {
            child,
            ports,
            _home: home,
        };
        until("it is ready", || {
            assert_eq!(mute.child.try_wait().expect("it can be asked"), None);
            mute.get("/readyz").is_some_and(|it| it.0 == 200)
        });
        mute
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.ports[2], path)
    }

    fn count(&self, name: &str) -> u64 {
        let (_, body) = self.get("/stats").expect("it answers");
        let stats: Value = serde_json::from_str(&body).expect("JSON");
        stats[name].as_u64().expect("a counter")
    }

    /// Sends a message through it.
    fn flows(&self) {
        let mut subscriber = Subscriber::say(self.ports[0], "{\"subscribe\":[\"table1\"]}");
        let mut producer = TcpStream::connect(self.ports[1]).expect("it listens");
        writeln!(producer, "{}", frame("m", "table1", 1)).expect("it reads");
        assert!(subscriber.frame().is_some());
    }

    fn stop(mut self) {
        signal(&self.child, "TERM");
        assert_eq!(ended(&mut self.child).code(), Some(0));
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OFTEN: &str = "[stats]\ninterval = \"100ms\"\n";

#[test]
fn streams_that_nobody_reads_delay_nothing_and_do_not_keep_it_from_ending() {
    let (_out, stdout) = full_pipe();
    let (_err, stderr) = full_pipe();
    let engine = Mute::start(stdio(stdout), stdio(stderr), OFTEN);
    engine.flows();
    assert_eq!(engine.get("/healthz").map(|it| it.0), Some(200));
    engine.stop();
}

#[test]
fn streams_whose_readers_are_gone_are_counted_and_do_no_harm() {
    let broken = || stdio(std::io::pipe().expect("a pipe").1);
    let engine = Mute::start(broken(), broken(), OFTEN);
    engine.flows();
    until("what is lost is counted", || {
        engine.count("log_lines_lost") > 2
    });
    engine.stop();
}

#[test]
fn streams_into_a_full_disk_are_counted_and_do_no_harm() {
    let full = || stdio(File::create("/dev/full").expect("every Linux has it"));
    let engine = Mute::start(full(), full(), OFTEN);
    engine.flows();
    until("what is lost is counted", || {
        engine.count("log_lines_lost") > 2
    });
    engine.stop();
}

/// What is asked for and cannot be written is no success.
#[test]
fn help_into_a_full_disk_fails() {
    let full = File::create("/dev/full").expect("every Linux has it");
    let status = std::process::Command::new(support::ENGINE)
        .arg("help")
        .stdout(full)
        .status();
    assert_eq!(status.expect("the engine's binary").code(), Some(1));
}
