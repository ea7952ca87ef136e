//! Doing nothing.

use super::*;

/// The engine's threads with their states, by the letters of `/proc`.
fn threads(engine: &Engine) -> Vec<(String, char)> {
    let folder = format!("/proc/{}/task", engine.pid());
    let tasks = std::fs::read_dir(folder).expect("it runs");
    let thread = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        // The name, in brackets, may hold anything.
        let (name, rest) = stat.rsplit_once(") ")?;
        let (_, name) = name.split_once('(')?;
        Some((name.to_owned(), rest.chars().next()?))
    };
    tasks.filter_map(thread).collect()
}

fn thread_states(engine: &Engine) -> BTreeSet<char> {
    threads(engine).into_iter().map(|it| it.1).collect()
}

#[test]
fn with_spin_threads_beside_the_path_sleep() {
    for mode in ["shared", "dedicated"] {
        let threads_of = format!("[threads]\nmode = \"{mode}\"\nidle = \"spin\"");
        let engine = Engine::start(&settings(&threads_of));
        let mut awake = BTreeSet::from(["rejects", "replay", "retention"]);
        let begun = Instant::now();
        while !awake.is_empty() {
            for (name, _) in threads(&engine).iter().filter(|it| it.1 == 'S') {
                awake.remove(name.as_str());
            }
            assert!(begun.elapsed() < PATIENCE, "{mode}: {awake:?} never slept");
            std::thread::sleep(Duration::from_millis(5));
        }
        engine.stop();
    }
}

#[test]
fn the_last_message_never_waits_for_the_next_one() {
    const ROUNDS: u64 = 500;
    for mode in ["shared", "dedicated"] {
        let engine = Engine::start(&settings(&format!("[threads]\nmode = \"{mode}\"")));
        let mut subscriber = Subscriber::new(&engine, &["table2"], true);
        let mut producer = producer(&engine);
        let mut rng = fastrand::Rng::with_seed(11);
        for number in 1..=ROUNDS {
            let begun = Instant::now();
            // All its threads sleep, or it has had the time.
            while thread_states(&engine) != BTreeSet::from(['S'])
                && begun.elapsed() < Duration::from_millis(20)
            {
                std::thread::yield_now();
            }
            // Then at any moment of a park.
            std::thread::sleep(Duration::from_micros(rng.u64(0..2_000)));
            send(&mut producer, &format!("m{number}"), "table2", 3);
            let frame = subscriber.frame().expect("it comes");
            assert_eq!(frame["messageId"], format!("m{number}"));
            subscriber.ack(number);
        }
        engine.wait("the last one is settled", |it| it["settled"] == ROUNDS);
    }
}

/// As many threads as a message passes, each of which sleeps until the one before it wakes it.
fn sleepers() -> (Sender<()>, Receiver<()>) {
    let (first, mut last) = channel();
    for _ in 0..3 {
        let (next, end) = channel();
        let before = std::mem::replace(&mut last, end);
        std::thread::spawn(move || before.iter().try_for_each(|it| next.send(it)));
    }
    (first, last)
}

#[test]
fn a_parked_thread_is_woken_and_does_not_sleep_its_time_out() {
    const ROUNDS: u64 = 24;
    /// Half of the longest park.
    const NAP: Duration = Duration::from_millis(32);
    let engine = Engine::start(&settings("[threads]\nmode = \"dedicated\""));
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    let mut producer = producer(&engine);
    let (wake, woken) = sleepers();
    let (mut prompt, mut rounds, mut number, started) = (0, 0, 0, Instant::now());
    while rounds < ROUNDS {
        // Time enough for all threads to park as long as they ever do.
        std::thread::sleep(Duration::from_millis(150));
        let begun = Instant::now();
        wake.send(()).expect("they sleep");
        woken.recv().expect("they are woken");
        let is_busy = begun.elapsed() >= NAP;
        let begun = Instant::now();
        number += 1;
        send(&mut producer, &format!("m{number}"), "table2", 3);
        assert!(subscriber.frame().is_some());
        // A machine that takes as long to wake others tells nothing of this engine.
        if !is_busy {
            rounds += 1;
            prompt += u64::from(begun.elapsed() < NAP);
        }
        assert!(started.elapsed() < PATIENCE, "the machine wakes nobody");
    }
    // A message passes three threads that are parked. If none of them were woken, one round of fifty
    // would be this quick.
    assert!(prompt >= ROUNDS / 4, "{prompt} of {ROUNDS} rounds");
}

/// User and system time of the engine, in ticks of 10 ms.
fn cpu_ticks(engine: &Engine) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.pid()));
    let stat = stat.expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split(' ').collect())
        .expect("a name in brackets");
    let field = |at: usize| fields[at].parse::<u64>().expect("a number");
    field(11) + field(12)
}

#[test]
fn an_idle_engine_takes_next_to_no_cpu() {
    const SECONDS: u64 = 4;
    let servers: Vec<Server> = (0..4).map(|_| Server::listen()).collect();
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let engines: Vec<Engine> = ["shared", "dedicated"]
        .map(|mode| {
            let threads = format!("{PLAIN}[threads]\nmode = \"{mode}\"");
            Engine::start(&with_sources(&addresses, &threads))
        })
        .into();
    // Both engines dial the same servers.
    let _sources: Vec<TcpStream> = servers
        .iter()
        .flat_map(|it| [it.accept(), it.accept()])
        .collect();
    let mut subscribers = Vec::new();
    for engine in &engines {
        for destination in ["table1", "table2", "table3", "table4"] {
            subscribers.push(Subscriber::new(engine, &[destination], true));
        }
        engine.wait("all are there", |it| it["sources_connected"] == 4);
    }
    let before: Vec<u64> = engines.iter().map(cpu_ticks).collect();
    std::thread::sleep(Duration::from_secs(SECONDS));
    for (engine, before) in engines.iter().zip(before) {
        // A tick is a hundredth of a second.
        let percent = (cpu_ticks(engine) - before) as f64 / SECONDS as f64;
        let mode = engine.stats()["threading_mode"].clone();
        println!("idle, {mode}: {percent} % of a core");
        assert!(percent < 3.0, "{mode}: {percent} % of a core");
    }
}
