//! Health.

use super::*;

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
