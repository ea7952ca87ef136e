//! The process and what is around it: its streams, signals, environment, files and threads.

mod support;

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use serde_json::Value;
use support::ports::free_address;
use support::{ENGINE, Engine, PATIENCE, Subscriber, frame, with_sources};

/// Producers dial in, and there is no database.
const PLAIN: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";

fn settings(rest: &str) -> String {
    with_sources(&[], &format!("{PLAIN}{rest}"))
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the process ends", || {
        status = child.try_wait().expect("it can be asked");
        status.is_some()
    });
    status.expect("it has ended")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.expect("the kill command").success());
}

// ---- streams that nobody takes ----

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

/// Status and body; `None`: nobody answers.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A pipe that takes not one byte more, as long as nobody reads it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("an option");
    for len in [4096, 1] {
        let filling = vec![b'x'; len];
        while rustix::io::write(&writer, &filling) != Err(Errno::AGAIN) {}
    }
    fcntl_setfl(&writer, flags).expect("an option");
    (reader, writer)
}

fn stdio(of: impl Into<OwnedFd>) -> Stdio {
    Stdio::from(of.into())
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

// ---- panics ----

/// No test by itself: the process in which a thread panics.
#[test]
fn a_process_that_panics() {
    if std::env::var_os("FLIPPED_LB_TEST_PANICS").is_none() {
        return;
    }
    flipped_lb::log::stderr().expect("a thread");
    flipped_lb::log::end_on_panic();
    let thread = std::thread::Builder::new().name("path".to_owned());
    let thread = thread.spawn(|| panic!("on\npurpose")).expect("a thread");
    let _ = thread.join();
    // The panic ended its thread only.
    std::process::exit(7);
}

fn panicking(stderr: Stdio) -> Child {
    Command::new(std::env::current_exe().expect("its path"))
        .args(["--exact", "a_process_that_panics", "--nocapture"])
        .env("FLIPPED_LB_TEST_PANICS", "1")
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("it can be started")
}

#[test]
fn a_panic_in_any_thread_ends_the_process_with_its_name_and_place() {
    let mut child = panicking(Stdio::piped());
    assert_eq!(ended(&mut child).code(), Some(101));
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut said).expect("text");
    let words = "the path thread panicked at tests/process.rs:";
    assert!(
        said.contains(words) && said.contains("on\\npurpose"),
        "{said}"
    );
}

#[test]
fn a_panic_ends_the_process_also_where_nobody_reads_its_last_words() {
    let (_reader, stderr) = full_pipe();
    let mut child = panicking(stdio(stderr));
    assert_eq!(ended(&mut child).code(), Some(101));
}

// ---- health ----

/// The number of the thread of that name.
fn thread_id(engine: &Engine, name: &str) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", engine.pid())).expect("it runs");
    let task = tasks.map(|it| it.expect("an entry").path()).find(|it| {
        let comm = fs::read_to_string(it.join("comm")).unwrap_or_default();
        comm.trim() == name
    });
    let task = task.expect("there is such a thread");
    task.file_name()
        .expect("a number")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn health_names_a_thread_that_stands_still() {
    let engine = Engine::start(&settings("[threads]\nmode = \"shared\"\n"));
    let tracer = Command::new("strace")
        .args([
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=all:delay_enter=100000000",
        ])
        .args(["-p", &thread_id(&engine, "path")])
        .stderr(Stdio::null())
        .spawn();
    let mut tracer = tracer.expect("test.sh installs strace");
    let begun = Instant::now();
    while engine.get("/healthz").0 == 200 && begun.elapsed() < PATIENCE {
        if tracer.try_wait().expect("it can be asked").is_some() {
            return println!("passed over: strace may not trace here");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for path in ["/healthz", "/readyz"] {
        let (status, body) = engine.get(path);
        assert_eq!(status, 503, "{path}: {body}");
        assert!(
            body.contains("the path thread stands still"),
            "{path}: {body}"
        );
    }
    signal(&tracer, "TERM");
    let _ = tracer.wait();
    until("it goes on", || engine.get("/healthz").0 == 200);
    engine.wait_for_log("the path thread stands still");
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn http_answers_and_signals_are_heeded_while_it_starts() {
    // A database server that takes connections and says nothing.
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!(
        "mysql://u:p@{}/d",
        server.local_addr().expect("it is bound")
    );
    let admin = free_address();
    let home = home();
    let file = home.path().join("settings.toml");
    let text = with_sources(&[], &format!("[store]\nurl = \"{url}\"\n"));
    fs::write(&file, text).expect("a settings file");
    let mut child = Command::new(ENGINE)
        .args(["run", "--config"])
        .arg(&file)
        .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", admin.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the engine's binary");
    let mut answer = None;
    until("it answers", || {
        answer = get(admin, "/readyz");
        answer.is_some()
    });
    let (status, body) = answer.expect("it came");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("starting"), "{body}");
    assert_eq!(get(admin, "/healthz").map(|it| it.0), Some(200));
    signal(&child, "TERM");
    assert_eq!(ended(&mut child).code(), Some(0));
}

// ---- signals and environment ----

#[test]
fn signals_that_mean_nothing_are_said_once_and_do_no_harm() {
    let engine = Engine::start(&settings(""));
    for name in [
        "USR1", "USR1", "USR2", "ALRM", "PIPE", "VTALRM", "PROF", "IO",
    ] {
        engine.signal(name);
    }
    until("it is said", || engine.log().contains("SIGIO"));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    writeln!(producer, "{}", frame("m", "table1", 1)).expect("it reads");
    assert!(subscriber.frame().is_some());
    assert_eq!(
        engine.log().matches("SIGUSR1").count(),
        1,
        "{}",
        engine.log()
    );
    assert_eq!(engine.stop().code, Some(0));
}

/// The thread of its log is the first one that it starts: before its settings are read, and before it watches
/// for signals.
#[test]
fn a_signal_that_means_nothing_does_no_harm_in_the_first_moments() {
    for name in ["HUP", "USR1"] {
        let inject = format!("inject=clone,clone3:signal={name}:when=1");
        let traced = Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "-e", &inject])
            .args([ENGINE, "run", "--config", "/no/such/file"])
            .output();
        let output = traced.expect("test.sh installs strace");
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("ptrace") {
            return println!("passed over: strace may not trace here");
        }
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("there is no such file"), "{said}");
    }
}

#[test]
fn variables_that_kubernetes_sets_are_passed_over_and_said_once() {
    let mut command = Command::new(ENGINE);
    command
        .env("FLIPPED_LB_PORT", "tcp://10.96.0.7:9000")
        .env("FLIPPED_LB_SERVICE_HOST", "10.96.0.7")
        .env("FLIPPED_LB_ADMIN_SERVICE_PORT_HTTP", "9100");
    let ended = Engine::start_by(command, Arc::new(home()), &settings("")).stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(ended.log.matches("Kubernetes").count(), 1, "{}", ended.log);
    assert!(
        ended
            .log
            .contains("FLIPPED_LB_ADMIN_SERVICE_PORT_HTTP, FLIPPED_LB_PORT")
    );
}

// ---- files ----

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

fn assert_private(directory: &Path) {
    assert_eq!(mode(directory), 0o700, "{}", directory.display());
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => assert_private(&path),
            false => assert_eq!(mode(&path), 0o600, "{}", path.display()),
        }
    }
}

#[test]
fn what_it_writes_is_its_own_users_alone() {
    let text = with_sources(&[], "[ingest]\nlisten = \"127.0.0.1:0\"\n");
    let engine = Engine::start(&text);
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    writeln!(producer, "nonsense\n{}", frame("m", "table1", 1)).expect("it reads");
    engine.wait("all is stored", |it| {
        it["received"] == 2 && it["stored"] == 1
    });
    until("what is rejected is kept", || {
        engine.data_dir().join("rejected.ndjson").exists()
    });
    assert_private(&engine.data_dir());
    let home = Arc::clone(&engine.home);
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("may look into"), "{}", ended.log);
    assert_private(&home.path().join("data"));
}

#[test]
fn a_data_dir_that_others_may_read_stays_as_it_is_and_is_told() {
    let home = Arc::new(home());
    let data = home.path().join("data");
    fs::create_dir(&data).expect("a directory");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let ended = Engine::start_in(Arc::clone(&home), &settings("")).stop();
    assert!(ended.log.contains("may look into"), "{}", ended.log);
    assert_eq!(mode(&data), 0o755);
    assert_eq!(mode(&data.join("journal")), 0o700);
}

#[test]
fn an_address_in_use_is_told_before_anything_is_begun() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for variable in ["DELIVERY_LISTEN", "ADMIN_LISTEN", "INGEST_LISTEN"] {
        let home = home();
        let file = home.path().join("settings.toml");
        fs::write(&file, settings("")).expect("a settings file");
        let output = Command::new(ENGINE)
            .args(["run", "--config"])
            .arg(&file)
            .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
            .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
            .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
            .env(format!("FLIPPED_LB_{variable}"), &address)
            .output()
            .expect("the engine's binary");
        assert_eq!(output.status.code(), Some(1));
        let names: Vec<_> = fs::read_dir(home.path().join("data"))
            .expect("a directory")
            .map(|it| it.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["lock"], "{variable}");
    }
}

#[test]
fn lines_that_wait_at_a_stop_are_counted_where_nobody_sends_them_again() {
    for (greeting, is_lost) in [("", true), ("{\"producer\":{\"ack\":true}}\n", false)] {
        let engine = Engine::start(&settings("[scheduler]\nmax_queued = 1\n"));
        let mut producer =
            TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
        let lines: Vec<_> = (0..4)
            .map(|number| frame(&format!("m{number}"), "table1", 1) + "\n")
            .collect();
        let text = greeting.to_owned() + &lines.concat();
        producer.write_all(text.as_bytes()).expect("it reads");
        engine.wait("its source waits", |it| it["sources_held"] == 1);
        let log = engine.stop().log;
        let is_told = log.contains("lines that were read and found no room are lost");
        assert_eq!(is_told, is_lost, "{log}");
        assert_eq!(log.contains("lines=3"), is_lost, "{log}");
    }
}

// ---- words from outside ----

#[test]
fn a_name_from_outside_forges_no_line_of_log_or_statistics() {
    let rest = "[scheduler]\nunknown_destinations = \"create\"\nmax_queued = 1\n";
    let engine = Engine::start(&settings(rest));
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    let name = "t\\nERROR forged\\u001b[2J\\u202e";
    let mut subscriber = Subscriber::new(&engine, &["t\nERROR forged\u{1b}[2J\u{202e}"], false);
    writeln!(producer, "{}", frame("m0", name, 1)).expect("it reads");
    assert!(subscriber.frame().is_some());
    drop(subscriber);
    engine.wait("it has gone", |it| it["subscribers_connected"] == 0);
    for number in 1..4 {
        writeln!(producer, "{}", frame(&format!("m{number}"), name, 1)).expect("it reads");
    }
    engine.wait("its source waits", |it| it["sources_held"] == 1);
    until("it is told", || {
        engine.log().contains("max_queued is reached")
    });
    let ended = engine.stop();
    for text in [&ended.log, &ended.stdout] {
        assert!(
            text.contains("t\\nERROR forged\\u{1b}[2J\\u{202e}"),
            "{text}"
        );
        assert!(
            !text.lines().any(|it| it.starts_with("ERROR forged")),
            "{text}"
        );
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}
