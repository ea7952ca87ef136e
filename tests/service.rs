//! The engine under a service manager: what systemd is told, the log that a collector reads, and
//! the unit and the pages that a package installs.

mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Engine, PATIENCE};

const ENGINE: &str = env!("CARGO_BIN_EXE_flipped-lb");

/// A service manager's end of the notification socket.
struct Manager {
    socket: UnixDatagram,
    home: Arc<tempfile::TempDir>,
}

impl Manager {
    fn new() -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let socket = UnixDatagram::bind(home.path().join("notify")).expect("a socket");
        let wait = Some(Duration::from_millis(100));
        socket.set_read_timeout(wait).expect("a time");
        Self { socket, home }
    }

    fn start(&self, watchdog: Duration) -> Engine {
        let mut command = Command::new(ENGINE);
        command
            .env("NOTIFY_SOCKET", self.home.path().join("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Engine::start_by(command, Arc::clone(&self.home), "source = []\n")
    }

    /// The next words; `None`: there are none for now.
    fn hear(&self) -> Option<String> {
        let mut buffer = [0; 1024];
        let len = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    /// Waits until it is told something with these words.
    fn wait(&self, words: &str) -> String {
        let begun = Instant::now();
        let mut all = Vec::new();
        while begun.elapsed() < PATIENCE {
            let Some(said) = self.hear() else { continue };
            if said.contains(words) {
                return said;
            }
            all.push(said);
        }
        panic!("{words}: {all:?}");
    }
}

#[test]
fn systemd_is_told_that_it_serves_how_it_goes_and_that_it_stops() {
    let manager = Manager::new();
    let engine = manager.start(Duration::from_secs(3));
    manager.wait("READY=1");
    let alive = manager.wait("WATCHDOG=1");
    assert!(
        alive.contains("STATUS=0 sources, 0 subscribers, 0 queued, 0 delivered"),
        "{alive}"
    );
    manager.wait("WATCHDOG=1");
    assert_eq!(engine.stop().code, Some(0));
    manager.wait("STOPPING=1");
    manager.wait("STATUS=stopping: ");
}

#[test]
fn the_log_as_json_is_an_object_a_line_to_the_last() {
    let engine = Engine::start("source = []\n[log]\nformat = 'json'\nlevel = 'debug'\n");
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let events = ended.log.lines().map(|line| {
        let event = serde_json::from_str::<Value>(line);
        event.unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let events: Vec<Value> = events.collect();
    for event in &events {
        let has = |name: &str| event[name].is_string();
        assert!(
            has("timestamp") && has("level") && has("message"),
            "{event}"
        );
    }
    let says = |words: &str| {
        let message = |it: &Value| {
            it["message"]
                .as_str()
                .is_some_and(|it| it.starts_with(words))
        };
        events.iter().any(message)
    };
    assert!(says("running: ") && says("stopping: "), "{events:?}");
}

#[test]
fn the_least_level_of_the_log_is_a_setting() {
    let engine = Engine::start("source = []\n[log]\nlevel = 'error'\n");
    let ended = engine.stop();
    assert!(!ended.log.contains("INFO"), "{}", ended.log);
    assert!(ended.log.contains("running: "), "{}", ended.log);
}

#[test]
fn a_package_gets_pages_for_all_commands_and_completions() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let run = |arguments: &[&str]| {
        let output = Command::new(ENGINE).args(arguments).output();
        let output = output.expect("the command");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    run(&["man", "--out", &folder.path().to_string_lossy()]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name));
    for name in [
        "flipped-lb.1",
        "flipped-lb-run.1",
        "flipped-lb-journal-verify.1",
    ] {
        assert!(page(name).expect("a page").starts_with(".ie"), "{name}");
    }
    assert_eq!(
        run(&["man", "run"]),
        page("flipped-lb-run.1").expect("a page")
    );
    assert!(run(&["completions", "bash"]).contains("complete -F _flipped"));
    let wrong = Command::new(ENGINE)
        .args(["man", "rum"])
        .output()
        .expect("it runs");
    assert_eq!(wrong.status.code(), Some(2));
    let words = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        words.contains("write one of") && words.contains("run"),
        "{words}"
    );
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/flipped-lb.service");
    let unit = std::fs::read_to_string(unit).expect("the unit");
    let here = folder.path().join("flipped-lb.service");
    std::fs::write(&here, unit.replace("/usr/bin/flipped-lb", ENGINE)).expect("a file");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&here)
        .output()
        .expect("systemd-analyze, which test.sh installs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = words
        .lines()
        .filter(|it| it.contains("flipped-lb"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{words}");
}

/// What `flipped-lb health` says of an engine, and its exit code.
fn health(admin: std::net::SocketAddr, option: &[&str]) -> (Option<i32>, String) {
    let mut health = Command::new(ENGINE);
    health.arg("health").arg("--admin").arg(admin.to_string());
    let output = health.args(option).output().expect("the binary");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn health_is_told_by_words_and_exit_codes() {
    // Users are no hindrance: a container's probe has no token.
    let engine = Engine::start(
        "source = []\n[[user]]\nname = \"a\"\ntoken_sha256 = \
         \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n",
    );
    let admin = engine.admin;
    assert_eq!(health(admin, &[]), (Some(0), "ok\n".to_owned()));
    let (code, said) = health(admin, &["--ready"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\"ready\":true"), "{said}");
    engine.signal("STOP");
    let (code, said) = health(admin, &[]);
    engine.signal("CONT");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(engine.stop().code, Some(0));
    let (code, said) = health(admin, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&admin.to_string()), "{said}");
    // What is no address is a wrong command line.
    for wrong in ["nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:0"] {
        let output = Command::new(ENGINE)
            .args(["health", "--admin", wrong])
            .output();
        assert_eq!(
            output.expect("the binary").status.code(),
            Some(2),
            "{wrong}"
        );
    }
}
