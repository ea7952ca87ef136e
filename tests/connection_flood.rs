//! A flood of connections from one address, beside a customer and a producer at another one.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};
use support::{Engine, Subscriber, frame};

/// Connections that one address may have.
const PER_ADDRESS: usize = 8;

/// Threads of the flood: more connections at once than it may have.
const THREADS: usize = 4 * PER_ADDRESS;

/// Where the flood comes from.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What the flood has come to.
#[derive(Default)]
struct Flood {
    stop: AtomicBool,
    /// Connections that were told why they may not stay.
    told: AtomicU64,
}

fn connect_from(address: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.connect(&to.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(support::PATIENCE))?;
    Ok(stream)
}

/// Connects again and again, and hears what it is told; those that may stay do so for a moment.
fn come_again(flood: &Flood, to: SocketAddr, line: &str) {
    while !flood.stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = connect_from(OTHER, to) else {
            continue;
        };
        // One that is refused may be closed already.
        let _ = writeln!(stream, "{line}");
        let mut said = String::new();
        let _ = BufReader::new(stream).read_line(&mut said);
        if said.contains("max_connections_per_address") {
            flood.told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_flood_from_one_address_is_refused_and_others_are_served() {
    const MESSAGES: usize = 2_000;
    let settings = format!(
        "source = []\n[store]\nurl = \"none\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
         max_connections_per_address = {PER_ADDRESS}\n\
         [delivery]\nmax_connections_per_address = {PER_ADDRESS}\n"
    );
    let engine = Engine::start(&settings);
    let ingest = engine.ingest.expect("it listens");
    let mut subscriber = Subscriber::new(&engine, &["table1"], true);
    let mut producer = TcpStream::connect(ingest).expect("it listens");
    let flood = Arc::new(Flood::default());
    let lines = [
        (engine.delivery, "{\"subscribe\":[\"table2\"]}"),
        (ingest, "{\"producer\":{\"ack\":true,\"outcomes\":true}}"),
    ];
    // These stay, so that all others of the flood are one too many.
    let stay = lines.map(|(to, line)| {
        let all = (0..PER_ADDRESS).map(|_| {
            let mut stream = connect_from(OTHER, to).expect("it may");
            writeln!(stream, "{line}").expect("it reads");
            let mut said = String::new();
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut said).expect("it is answered");
            assert!(!said.contains("error"), "{said}");
            stream
        });
        all.collect::<Vec<_>>()
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (flood, (to, line)) = (Arc::clone(&flood), lines[number % lines.len()]);
            thread::spawn(move || come_again(&flood, to, line))
        })
        .collect();
    for number in 0..MESSAGES {
        let id = format!("m{number}");
        writeln!(producer, "{}", frame(&id, "table1", 1)).expect("it reads");
        assert_eq!(subscriber.frames(1)[0]["messageId"], *id);
        subscriber.ack(number as u64 + 1);
    }
    // Whoever comes from another address gets in.
    let newcomer = Subscriber::new(&engine, &["table3"], false);
    assert!(
        newcomer.answer.contains("\"subscribed\":[\"table3\"]"),
        "{}",
        newcomer.answer
    );
    engine.wait("refusals", |it| {
        it["connections_refused_address"].as_u64() > Some(100)
    });
    flood.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("it ends");
    }
    let stats = engine.wait("all is settled", |it| it["settled"] == MESSAGES);
    assert_eq!(
        stats["connections_refused"],
        stats["connections_refused_address"]
    );
    assert_eq!(stats["connections_refused_full"], 0);
    let told = flood.told.load(Ordering::Relaxed);
    let refused = stats["connections_refused_address"].as_u64();
    assert!(
        told > 0 && refused >= Some(told),
        "{told} told, {refused:?} refused"
    );
    assert_eq!(
        (&stats["rejected"], &stats["redelivered"]),
        (&0.into(), &0.into())
    );
    drop(stay);
}
