//! A hundred reloads under load: nothing is lost, and no connection that stays is dropped.

#[path = "support/reloading.rs"]
mod reloading;
mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use reloading::{refused, reload, write};
use support::{Engine, PATIENCE, Server, Subscriber, frame, with_sources};

const INGEST: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n";

/// Messages of both floods that are on their way at most: what is left at the end takes no time.
const AHEAD_MAX: u64 = 4_000;

/// Messages in one write.
const BURST: u64 = 20;

/// Sends numbered messages, as many as are taken, until told to stop; returns how many.
fn flood(mut stream: impl Write, name: &str, is_over: &AtomicBool, taken: &AtomicU64) -> u64 {
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        // Half of those that are on their way are its own.
        if 2 * sent > taken.load(Ordering::Relaxed) + AHEAD_MAX {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let mut lines = String::new();
        for number in sent..sent + BURST {
            let table = number % 2 + 1;
            lines += &frame(
                &format!("{name}-{number}"),
                &format!("table{table}"),
                1 + (number % 3) as u8,
            );
            lines.push('\n');
        }
        stream
            .write_all(lines.as_bytes())
            .expect("its connection stays");
        sent += BURST;
        std::thread::sleep(Duration::from_millis(2));
    }
    sent
}

/// The settings of a round: what stays, and something that differs from those before and after.
fn of_round(round: u64, stays: SocketAddr, comes: SocketAddr) -> String {
    let source = match round % 2 {
        0 => with_sources(&[stays, comes], ""),
        _ => with_sources(&[stays], ""),
    };
    let rules = (0..round % 4).map(|it| {
        format!(
            "[[rule]]\nmessage_type = \"type{it}\"\ndestination = \"table1\"\npriority = {}\n",
            1 + it % 3
        )
    });
    let more =
        (0..round % 5).map(|it| format!("[[destination]]\nid = \"bar{}\"\n", (round + it) % 7));
    let (rules, more): (String, String) = (rules.collect(), more.collect());
    format!(
        "{source}[[destination]]\nid = \"table1\"\nmax_queued = {}\n\
         [[destination]]\nid = \"table2\"\n{more}{rules}{INGEST}idle_timeout = \"{}s\"\n\
         [log]\nlevel = \"{}\"\n[delivery]\nack_timeout = \"{}s\"\n",
        100_000 + round,
        100 + round,
        ["info", "debug"][(round % 2) as usize],
        60 + round % 9
    )
}

/// Takes all messages of one destination, each once, and says how many.
fn take_all(mut table: Subscriber, taken: &AtomicU64) -> u64 {
    let mut last = [None::<u64>; 6];
    let mut count = 0;
    while let Some(line) = table.line() {
        let Ok(value) = serde_json::from_str::<Value>(&line) else {
            panic!("{line}");
        };
        assert!(value["error"].is_null(), "{line}");
        let Some(id) = value["messageId"].as_str() else {
            continue;
        };
        let (name, number) = id.split_once('-').expect("a name and a number");
        let number: u64 = number.parse().expect("a number");
        // In order by source and own priority, and so each once; a rule may lift none of these.
        let of = usize::from(name == "b") * 3 + (number % 3) as usize;
        assert!(
            last[of].is_none_or(|it| it < number),
            "{id} behind {:?}",
            last[of]
        );
        last[of] = Some(number);
        count += 1;
        taken.fetch_add(1, Ordering::Relaxed);
        if count % 100 == 0 {
            table.ack(count);
        }
    }
    count
}

#[test]
fn a_hundred_reloads_under_load_lose_nothing_and_drop_no_connection_that_stays() {
    const ROUNDS: u64 = 100;
    let (stays, comes) = (Server::listen(), Server::listen());
    let (stays_at, comes_at) = (stays.address(), comes.address());
    let engine = Engine::start(&of_round(1, stays_at, comes_at));
    let (is_over, taken) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let tables: Vec<_> = ["table1", "table2"]
        .into_iter()
        .map(|table| {
            let table = Subscriber::new(&engine, &[table], true);
            let taken = Arc::clone(&taken);
            std::thread::spawn(move || take_all(table, &taken))
        })
        .collect();
    let source = stays.accept();
    let mut producer = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    producer
        .write_all(b"{\"producer\":{}}\n")
        .expect("it reads");
    let floods = [(source, "a"), (producer, "b")].map(|(stream, name)| {
        let (over, taken) = (Arc::clone(&is_over), Arc::clone(&taken));
        std::thread::spawn(move || flood(stream, name, &over, &taken))
    });
    let (mut failures, mut reloads) = (0, 0);
    for round in 2..ROUNDS + 2 {
        if round % 10 == 0 {
            write(&engine, &of_round(round, stays_at, comes_at)[3..]);
            refused(&engine);
            failures += 1;
            continue;
        }
        reload(&engine, &of_round(round, stays_at, comes_at));
        reloads += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    is_over.store(true, Ordering::Relaxed);
    let sent: u64 = floods
        .into_iter()
        .map(|it| it.join().expect("it stays connected"))
        .sum();
    let begun = Instant::now();
    while taken.load(Ordering::Relaxed) < sent {
        let so_far = taken.load(Ordering::Relaxed);
        assert!(
            begun.elapsed() < PATIENCE,
            "{so_far} of {sent}\n{}",
            engine.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let stats = engine.stats();
    let of = |name: &str| stats[name].as_u64().expect("a counter");
    assert_eq!((of("reloads"), of("reload_failures")), (reloads, failures));
    assert_eq!((of("received"), of("accepted")), (sent, sent));
    assert_eq!(of("subscriber_disconnects"), 0);
    assert_eq!(
        (of("rejected"), of("duplicates"), of("redelivered")),
        (0, 0, 0)
    );
    assert_eq!(engine.stop().code, Some(0));
    let got: u64 = tables
        .into_iter()
        .map(|it| it.join().expect("it was told no error"))
        .sum();
    assert_eq!(got, sent);
}
