//! Servers that die and come back.

use super::*;

/// `server.py`, killed when it is dropped.
struct Python {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it and waits until it listens.
    fn start(port: u16) -> Self {
        let mut child = Command::new("python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/support/server.py"
            ))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut this = Self {
            stdin: child.stdin.take().expect("it is piped"),
            stdout: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        };
        this.await_line("listening\n");
        this
    }

    /// Has it do something, and waits until the kernel has all of it.
    fn run(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").expect("it runs");
        self.await_line("done\n");
    }

    fn await_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        assert_eq!(line, expected);
    }
}

impl Drop for Python {
    /// SIGKILL: nothing is shut down, the kernel ends the connection.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sources_at(port: u16) -> String {
    format!("source = [{{ address = \"127.0.0.1:{port}\" }}]\n")
}

/// The numbers in the ids of `count` frames that [`Python`] sent.
fn numbers(subscriber: &mut Subscriber, count: usize) -> Vec<usize> {
    let frames = subscriber.frames(count);
    let number = |it: &Value| {
        it["messageId"]
            .as_str()?
            .strip_prefix("python-")?
            .parse()
            .ok()
    };
    frames
        .iter()
        .map(|it| number(it).expect("a number"))
        .collect()
}

#[test]
fn a_server_killed_in_the_middle_of_a_line_loses_nothing_that_was_whole() {
    let port = free_port();
    let mut server = Python::start(port);
    let engine = Engine::start(&sources_at(port));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    for round in 0..3 {
        let (first, torn) = (round * 100, round * 100 + 100);
        server.run(&format!("whole {first} {torn}"));
        server.run(&format!("torn {torn}"));
        drop(server);
        let received: Vec<usize> = (first..torn).collect();
        assert_eq!(numbers(&mut subscriber, 100), received);
        // The system ends a killed server's connection in an orderly way: what came is a line.
        let stats = engine.wait("the cut line is kept", |it| it["rejected"] == round + 1);
        assert_eq!(stats["received"], torn + round + 1);
        assert_eq!(stats["rejected_by_reason"]["bad_json"], round + 1);
        server = Python::start(port);
    }
    server.run("whole 300 301");
    assert_eq!(numbers(&mut subscriber, 1), [300]);
    let stats = engine.wait("all is settled", |it| it["settled"] == 301);
    assert_eq!(stats["received"], 304);
    assert_eq!(
        (&stats["duplicates"], &stats["rejected"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(stats["source_connects"], 4);
}

#[test]
fn a_server_killed_under_way_that_sends_all_again_is_delivered_once() {
    const COUNT: usize = 20_000;
    let port = free_port();
    let engine = Engine::start(&sources_at(port));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // It is killed when the system has these, whatever of them the engine has read.
    for reached in [2_000, 7_000] {
        Python::start(port).run(&format!("whole 0 {reached}"));
    }
    let mut server = Python::start(port);
    server.run(&format!("whole 0 {COUNT}"));
    let all: Vec<usize> = (0..COUNT).collect();
    assert_eq!(numbers(&mut subscriber, COUNT), all);
    let stats = engine.wait("all is settled", |it| it["settled"] == COUNT);
    assert_eq!(
        (&stats["accepted"], &stats["rejected"]),
        (&json!(COUNT), &json!(0))
    );
    assert_eq!(stats["duplicates"], 9_000, "{stats}");
}

#[test]
fn a_server_that_is_not_there_at_start_is_no_error() {
    let port = free_port();
    let engine = Engine::start(&sources_at(port));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let stats = engine.wait("it dials again and again", |it| {
        it["source_connect_failures"].as_u64() >= Some(3)
    });
    assert_eq!(stats["phase"], "running");
    assert_eq!(
        (engine.get("/healthz").0, engine.get("/readyz").0),
        (200, 200)
    );
    Python::start(port).run("whole 0 10");
    assert_eq!(numbers(&mut subscriber, 10).len(), 10);
    engine.wait_for_log("not reachable");
    assert_eq!(
        engine.log().matches("not reachable").count(),
        1,
        "said once"
    );
}

#[test]
fn a_name_is_found_whichever_of_its_addresses_its_server_listens_at() {
    let server = Server::listen();
    let port = server.address().port();
    let engine = Engine::start(&format!(
        "source = [{{ address = \"localhost:{port}\" }}, {{ address = \"name.invalid:1\" }}]\n"
    ));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // Looked up anew each time.
    for at in 0..3 {
        let line = frame(&format!("m{at}"), "table1", 1);
        writeln!(server.accept(), "{line}").expect("it reads");
        assert_eq!(subscriber.line(), Some(line));
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_after_seconds() {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).expect("a port");
    listener.listen(0).expect("an option");
    let address = listener.local_addr().expect("it is bound");
    // Its queue is full: the system answers nobody any more.
    let others = [(); 4].map(|()| {
        let other = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        other.set_nonblocking(true).expect("an option");
        let _ = other.connect(&address);
        other
    });
    let address = address.as_socket().expect("an address");
    let settings = format!("source = [{{ address = \"{address}\" }}]");
    let mut hand = Hand::new(&settings, HandClock::at(1_700_000_000_000_000));
    let failures = |it: &Hand<HandClock>| it.count(Counter::SourceConnectFailures);
    hand.turn();
    hand.clock.advance(Duration::from_nanos(CONNECT_NS_MAX - 1));
    hand.turn();
    assert_eq!(failures(&hand), 0);
    hand.clock.advance(Duration::from_nanos(1));
    hand.turn();
    assert_eq!(failures(&hand), 1);
    drop(others);
}

#[test]
fn a_server_that_sends_only_wrong_or_known_lines_is_dialled_ever_more_rarely() {
    // What the server says, and dials in a minute: with pauses of 50 ms on average, and of 2.5 s.
    let wrong = |_: u64| "{}".to_owned();
    let known = |_: u64| frame("m", "table1", 1);
    let new = |at: u64| frame(&format!("m{at}"), "table1", 1);
    let lines: [fn(u64) -> String; 3] = [wrong, known, new];
    for (line, dials) in lines.into_iter().zip([0..80, 0..80, 400..4_000]) {
        let server = Server::listen();
        let settings = format!("source = [{{ address = \"{}\" }}]", server.address());
        let mut hand = Hand::new(&settings, HandClock::at(1_700_000_000_000_000));
        let connects = |it: &Hand<HandClock>| it.count(Counter::SourceConnects);
        for _ in 0..6_000 {
            hand.clock.advance(Duration::from_millis(10));
            let before = connects(&hand);
            hand.turn();
            // A dial is answered at once: what it leads to takes no time either.
            if connects(&hand) > before {
                let lines = connects(&hand);
                writeln!(server.accept(), "{}", line(lines)).expect("it reads");
                hand.turn_until("it disconnects", |it| {
                    it.count(Counter::SourceDisconnects) == lines
                });
                assert_eq!(hand.count(Counter::Received), lines, "each line was read");
            }
        }
        let count = connects(&hand);
        assert!(
            dials.contains(&count),
            "{count} dials, each told {}",
            line(1)
        );
    }
}

#[test]
fn a_server_that_comes_and_goes_does_not_fill_the_log() {
    let server = Server::listen();
    let begun = Instant::now();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let rounds = 40;
    for at in 0..rounds {
        writeln!(server.accept(), "{}", frame(&format!("m{at}"), "table1", 1)).expect("it reads");
    }
    engine.wait("all of them end", |it| it["source_disconnects"] == rounds);
    let windows = 1 + begun.elapsed().as_nanos() as u64 / LOG_WINDOW_NS;
    let lines_max = windows * u64::from(LOG_LINES_PER_WINDOW);
    for cause in [" connected", "disconnected"] {
        engine.wait_for_log(cause);
    }
    let log = engine.log();
    for cause in [" connected", "disconnected"] {
        let lines = log.matches(cause).count() as u64;
        assert!(
            (1..=lines_max).contains(&lines),
            "{lines} times {cause}: {log}"
        );
    }
}
