//! `flipped-lb top` over a real engine: in a terminal, and as text for scripts.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use support::ports::free_address;
use support::{ENGINE, Engine, PATIENCE, frame, with_sources};

/// What gives a terminal back: its usual screen, and its cursor.
const RESTORED: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

fn settings() -> String {
    let plain = "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";
    with_sources(&[], plain)
}

fn engine() -> Engine {
    Engine::start(&settings())
}

/// Three messages for table2, which nobody takes.
fn leave_waiting(engine: &Engine) {
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    for number in 0..3 {
        let line = frame(&format!("m{number}"), "table2", 3) + "\n";
        producer.write_all(line.as_bytes()).expect("it reads");
    }
    engine.wait("they wait", |it| {
        it["customers"]["table2"]["waits_for"] == "subscriber"
    });
}

/// `top` in a pseudo terminal of 80 by 24, which the command `script` of util-linux makes.
struct Top {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Top {
    fn start(engine: &Engine) -> Self {
        let admin = engine.admin;
        let shell =
            format!("stty rows 24 cols 80; echo pid=$$=; exec {ENGINE} top --admin {admin}");
        let mut child = Command::new("script")
            .args(["-qec", &shell, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux has it");
        let keys = child.stdin.take().expect("it is piped");
        let mut output = child.stdout.take().expect("it is piped");
        let screen = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                written.lock().expect("whole").push_str(&text);
            }
        });
        Self {
            child,
            keys,
            screen,
        }
    }

    fn screen(&self) -> String {
        self.screen.lock().expect("whole").clone()
    }

    fn wait(&self, words: &str) {
        let begun = Instant::now();
        while !self.screen().contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{words}: {:?}", self.screen());
            std::thread::yield_now();
        }
    }

    /// Its exit code, and all that it wrote.
    fn ended(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                drop(self.keys);
                for words in RESTORED {
                    while !self.screen.lock().expect("whole").contains(words) {
                        assert!(begun.elapsed() < PATIENCE, "not restored: {words:?}");
                        std::thread::yield_now();
                    }
                }
                let screen = self.screen.lock().expect("whole").clone();
                return (status.code(), screen);
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_waiting_customer_is_seen_and_q_gives_the_terminal_back() {
    let engine = engine();
    leave_waiting(&engine);
    let mut top = Top::start(&engine);
    top.wait("table2");
    top.wait("subscriber");
    top.keys.write_all(b"q").expect("it reads");
    let (code, screen) = top.ended();
    assert_eq!(code, Some(0), "{screen:?}");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let engine = engine();
    let top = Top::start(&engine);
    top.wait("table1");
    let screen = top.screen();
    let pid = screen.split('=').nth(1).expect("its pid");
    let killed = Command::new("kill").args(["-TERM", pid]).status();
    assert!(killed.expect("it starts").success(), "{screen:?}");
    let (code, screen) = top.ended();
    assert_eq!(code, Some(0), "{screen:?}");
}

#[test]
fn an_engine_that_goes_is_told_and_its_return_is_seen() {
    let home = Arc::new(tempfile::tempdir().expect("a directory"));
    let admin = free_address();
    let engine = Engine::start_at(admin, Arc::clone(&home), &settings());
    let mut top = Top::start(&engine);
    top.wait("table1");
    engine.kill();
    top.wait("no answer since");
    let again = Engine::start_at(admin, home, &settings());
    leave_waiting(&again);
    top.wait("subscriber");
    top.keys.write_all(b"q").expect("it reads");
    assert_eq!(top.ended().0, Some(0));
}

#[test]
fn scripts_get_one_frame_as_text() {
    let engine = engine();
    leave_waiting(&engine);
    for arguments in [&["--once"][..], &[]] {
        let output = Command::new(ENGINE)
            .args(["top", "--admin", &engine.admin.to_string()])
            .args(arguments)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let table2 = text
            .lines()
            .find(|it| it.starts_with("table2"))
            .expect("it");
        let cells: Vec<_> = table2.split_whitespace().collect();
        assert_eq!(cells[1..4], ["3", "0/0/3", "0"], "{text}");
        assert_eq!(cells[5], "subscriber", "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    let admin = engine.admin.to_string();
    engine.kill();
    let output = Command::new(ENGINE)
        .args(["top", "--once", "--admin", &admin])
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("is the engine running"), "{words}");
}

#[test]
fn an_engine_with_users_wants_a_token() {
    let users = "[[user]]\nname = \"watch\"\ntoken_file = \"watch.token\"\nmay_admin = true\n";
    let home = Arc::new(tempfile::tempdir().expect("a directory"));
    let file = home.path().join("watch.token");
    std::fs::write(&file, "a-token-of-the-test\n").expect("written");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, permissions).expect("set");
    let engine = Engine::start_in(home, &(settings() + users));
    let top = |arguments: &[&str]| {
        let output = Command::new(ENGINE)
            .args(["top", "--once", "--admin", &engine.admin.to_string()])
            .args(arguments)
            .output();
        output.expect("it starts")
    };
    let refused = top(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("--token-file"), "{words}");
    let shown = top(&["--token-file", file.to_str().expect("text")]);
    assert!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("  running  "), "{text}");
}
