//! The simulator over real sockets: what a peer gets, and what is sent again after a cut.
//!
//! Nothing here is timed: each test reads until it has what it waits for. A read that gets nothing
//! for three minutes fails instead of hanging.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use message_server_simulator::{
    Endpoint, Handle, Options, Pace, ServerOptions, Simulation, SimulatorError, Totals, listening,
};

fn options(servers: u16, count: u64) -> Options {
    Options {
        servers: listening(servers, [127, 0, 0, 1].into(), 0),
        pace: Pace::FlatOut,
        count: Some(count),
        ..Options::default()
    }
}

fn start(options: Options) -> Handle {
    Simulation::new(options)
        .expect("good options")
        .start()
        .expect("free ports")
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let socket = TcpStream::connect(address).expect("the server listens");
    patient(socket)
}

fn patient(socket: TcpStream) -> BufReader<TcpStream> {
    socket
        .set_read_timeout(Some(Duration::from_secs(180)))
        .expect("a timeout");
    BufReader::new(socket)
}

/// Whole lines until the connection ends; a torn last line is left out.
fn lines(reader: &mut BufReader<TcpStream>) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    while let Some(line) = line(reader) {
        lines.push(line);
    }
    lines
}

fn line(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        Ok(_) if line.last() == Some(&b'\n') => return Some(line),
        Ok(_) => {}
    }
    None
}

fn id(line: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    Some(value["messageId"].as_str()?.to_owned())
}

fn ids(lines: &[Vec<u8>]) -> HashSet<String> {
    lines
        .iter()
        .map(|line| id(line).expect("a valid frame"))
        .collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..180_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("waited three minutes for: {what}");
}

#[test]
fn each_server_sends_its_count_and_ids_differ_between_servers_and_runs() {
    let mut all = HashSet::new();
    for _run in 0..2 {
        let handle = start(Options {
            close_at_end: true,
            ..options(2, 5_000)
        });
        for address in handle.addresses() {
            let lines = lines(&mut connect(address));
            assert_eq!(lines.len(), 5_000);
            all.extend(ids(&lines));
        }
        wait_until("the end", || handle.is_finished());
        let totals = handle.stop();
        assert_eq!(
            (totals.valid, totals.lines(), totals.connections),
            (10_000, 10_000, 2)
        );
        assert_eq!(totals.bytes, 10_000 * 391);
    }
    assert_eq!(all.len(), 20_000);
}

#[test]
fn after_its_count_the_connection_stays_open() {
    let handle = start(options(1, 100));
    let mut reader = connect(handle.addresses()[0]);
    (0..100).for_each(|_| drop(line(&mut reader).expect("a frame")));
    wait_until("the end", || handle.is_finished());
    reader
        .get_ref()
        .set_nonblocking(true)
        .expect("a socket option");
    let error = reader.read(&mut [0]).expect_err("neither bytes nor an end");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(handle.connected(), 1);
    drop(reader);
    wait_until("it to notice that the peer left", || {
        handle.connected() == 0
    });
}

#[test]
fn cuts_repeat_the_torn_frame_so_that_nothing_is_missing() {
    let options = Options {
        disconnect_every: Some(700),
        close_at_end: true,
        duplicates_percent: 2.0,
        malformed_percent: 1.0,
        ..options(1, 10_000)
    };
    let handle = start(options);
    let mut seen: HashMap<Vec<u8>, u64> = HashMap::new();
    while !handle.is_finished() {
        for line in lines(&mut connect(handle.addresses()[0])) {
            *seen.entry(line).or_default() += 1;
        }
    }
    let totals = handle.stop();
    assert_eq!(totals.valid, 10_000);
    assert_eq!(
        seen.values().sum::<u64>(),
        totals.lines(),
        "every line sent arrived"
    );
    let firsts = totals.valid + totals.malformed_total();
    let repeated_by_chance = 100; // malformed lines such as "42" occur more than once
    assert!(seen.len() as u64 <= firsts && seen.len() as u64 + repeated_by_chance > firsts);
    assert_eq!(totals.cuts, (totals.lines() - 1) / 700);
}

#[test]
fn what_was_not_acknowledged_comes_again_with_the_same_bytes() {
    let handle = start(Options {
        ack: true,
        ..options(1, 1_000)
    });
    let address = handle.addresses()[0];
    let mut first = connect(address);
    let before: Vec<_> = (0..1_000)
        .map(|_| line(&mut first).expect("a frame"))
        .collect();
    first.get_ref().write_all(b"{\"ack\":2").expect("sent");
    first.get_ref().write_all(b"50}\n").expect("sent");
    wait_until("acknowledgements", || handle.sent().acknowledged == 250);
    assert!(!handle.is_finished());
    drop(first);

    let mut second = connect(address);
    let again: Vec<_> = (0..750)
        .map(|_| line(&mut second).expect("a frame"))
        .collect();
    assert!(again == before[250..]);
    second
        .get_ref()
        .write_all(b"{\"ack\":750}\n")
        .expect("sent");
    wait_until("the end", || handle.is_finished());
    let totals = handle.stop();
    assert_eq!(
        (totals.valid, totals.resent, totals.acknowledged),
        (1_000, 750, 1_000)
    );
    assert_eq!(totals.reconnects, 1);
}

#[test]
fn cuts_with_acknowledgements_leave_every_frame_acknowledged_once() {
    let handle = start(Options {
        ack: true,
        disconnect_every: Some(100),
        close_at_end: true,
        ..options(1, 2_000)
    });
    let mut seen = HashSet::new();
    while !handle.is_finished() {
        let mut reader = connect(handle.addresses()[0]);
        let mut count = 0_u64;
        while let Some(line) = line(&mut reader) {
            seen.insert(id(&line).expect("a valid frame"));
            count += 1;
            // A write may meet a cut: then the rest comes again.
            let _ = reader
                .get_ref()
                .write_all(format!("{{\"ack\":{count}}}\n").as_bytes());
        }
    }
    assert_eq!(seen.len(), 2_000);
    assert_eq!(handle.stop().acknowledged, 2_000);
}

#[test]
fn the_newest_connection_wins() {
    let handle = start(Options {
        count: None,
        ..options(1, 0)
    });
    let address = handle.addresses()[0];
    let mut older = connect(address);
    let mut seen = ids(&[line(&mut older).expect("a frame")]);
    let mut newer = connect(address);
    seen.extend(lines(&mut older).iter().filter_map(|line| id(line)));
    let next = id(&line(&mut newer).expect("a frame")).expect("a whole one");
    assert!(
        !seen.contains(&next),
        "the newer goes on where the older was cut"
    );
    assert_eq!(handle.sent().connections, 2);
}

#[test]
fn a_producer_dials_says_hello_and_dials_again() {
    let engine = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = engine.local_addr().expect("an address");
    let servers = vec![ServerOptions {
        name: "p".into(),
        endpoint: Endpoint::Dial(address),
    }];
    let handle = start(Options {
        servers,
        ack: true,
        ..options(1, 300)
    });
    for connection in 1..=2 {
        let mut reader = patient(engine.accept().expect("it dials").0);
        let hello = line(&mut reader).expect("a first line");
        assert_eq!(hello, b"{\"producer\":{\"ack\":true}}\n");
        let frames: Vec<_> = (0..300)
            .map(|_| line(&mut reader).expect("a frame"))
            .collect();
        assert_eq!(ids(&frames).len(), 300);
        if connection == 2 {
            reader
                .get_ref()
                .write_all(b"{\"ack\":300}\n")
                .expect("sent");
            wait_until("the end", || handle.is_finished());
        }
    }
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = taken.local_addr().expect("an address");
    let servers = vec![ServerOptions {
        name: "s".into(),
        endpoint: Endpoint::Listen(address),
    }];
    let error = Simulation::new(Options {
        servers,
        ..Options::default()
    })
    .expect("good options")
    .start()
    .expect_err("the port is taken");
    assert!(matches!(error, SimulatorError::PortInUse { .. }));
    assert!(error.to_string().contains("--port"));
}

#[test]
fn nothing_is_sent_while_nobody_is_there() {
    let handle = start(options(2, 10));
    assert_eq!(handle.stop(), Totals::default());
}
