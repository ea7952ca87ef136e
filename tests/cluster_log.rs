//! The group's stream on real nats-servers: members take over, servers die, settings are wrong.
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#[path = "cluster_log/member.rs"]
mod member;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::time::{Duration, Instant};

use flipped_lb::cluster::core::{Check, Event, Publish, Refusal, Role, Unknown};
use flipped_lb::cluster::jetstream::{JetStream, Settings};
use flipped_lb::cluster::log::Log;

use member::TestMember;
use servers::{Servers, wait};
use support::nats_program::old_server;

fn settings(servers: &[String], replicas: usize) -> Settings {
    Settings::to(servers, "east", replicas).expect("addresses")
}

fn log_of(servers: &Servers, replicas: usize) -> JetStream {
    JetStream::start(settings(&servers.urls(), replicas)).expect("a thread")
}

/// Asks until something of this kind comes.
fn heard<T>(
    log: &mut JetStream,
    ask: impl Fn(&mut JetStream),
    take: impl Fn(&Event) -> Option<T>,
) -> T {
    let mut asked = Instant::now() - Duration::from_secs(9);
    wait("an answer", || {
        if asked.elapsed() > Duration::from_secs(1) {
            ask(log);
            asked = Instant::now();
        }
        std::iter::from_fn(|| log.poll()).find_map(|it| take(&it))
    })
}

fn checked(log: &mut JetStream) -> Check {
    heard(
        log,
        |it| it.check(),
        |event| match event {
            Event::Checked(check) => Some(check.clone()),
            _ => None,
        },
    )
}

fn made(log: &mut JetStream) {
    wait("a stream", || {
        log.create();
        matches!(checked(log), Check::Found { .. }).then_some(())
    });
}

fn publish(flight: u64, subject: &str, expected_last: u64, expected_subject: &str) -> Publish {
    Publish {
        flight,
        subject: format!("flb_journal.east.{subject}").into(),
        bytes: format!("record {flight}").into_bytes().into(),
        expected_last,
        expected_subject: format!("flb_journal.east.{expected_subject}").into(),
    }
}

/// What becomes of a publish, asked once.
fn fate(log: &mut JetStream, publish: &Publish) -> Event {
    log.publish(publish);
    heard(
        log,
        |_| {},
        |event| {
            let is_fate = matches!(
                event,
                Event::Acked { .. } | Event::Refused { .. } | Event::Unknown { .. }
            );
            is_fate.then(|| event.clone())
        },
    )
}

#[test]
fn the_stream_is_made_as_it_must_be_and_a_missing_one_is_told() {
    let servers = Servers::start(1);
    let mut log = log_of(&servers, 1);
    assert_eq!(checked(&mut log), Check::Missing);
    made(&mut log);
    let found = Check::Found {
        first: 1,
        last: 0,
        wrong: Vec::new(),
    };
    assert_eq!(checked(&mut log), found);
    let state = log.state();
    assert!(state.server.is_some_and(|it| it.1.starts_with("2.")));
    assert_eq!(state.record_len_max, 1024 * 1024 - 512, "headers count");
}

#[test]
fn wrong_settings_are_told_with_the_command_that_mends_them() {
    let servers = Servers::start(1);
    let mut log = log_of(&servers, 1);
    made(&mut log);
    servers.edit("flb_journal_east", |config| {
        config["discard"] = "old".into();
        config["max_age"] = 3_600_000_000_000_u64.into();
    });
    let Check::Found { wrong, .. } = checked(&mut log) else {
        panic!("it is there")
    };
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("nats stream edit flb_journal_east --discard new"));
    assert!(wrong[1].contains("--max-age 0s"));
}

#[test]
fn both_expectations_are_looked_at_by_the_servers() {
    let servers = Servers::start(1);
    let mut log = log_of(&servers, 1);
    made(&mut log);
    let (flight, sequence) = (1, 1);
    let first = publish(1, "1-a", 0, "1-a");
    assert_eq!(fate(&mut log, &first), Event::Acked { flight, sequence });
    let refused = |flight| Event::Refused {
        flight,
        refusal: Refusal::WrongLast,
    };
    assert_eq!(
        fate(&mut log, &publish(2, "1-a", 0, "1-a")),
        refused(2),
        "the stream's end"
    );
    assert_eq!(
        fate(&mut log, &publish(3, "1-a", 2, "1-a")),
        refused(3),
        "the stream's end"
    );
    // The stream ends at 1, but that is no message of this subject: it lost its end and grew again.
    assert_eq!(
        fate(&mut log, &publish(4, "1-b", 1, "1-b")),
        refused(4),
        "the subject's end"
    );
    let (flight, sequence) = (5, 2);
    let next = publish(5, "2-b", 1, "1-a");
    assert_eq!(fate(&mut log, &next), Event::Acked { flight, sequence });
    let answer = heard(
        &mut log,
        |it| it.ask(1),
        |event| match event {
            Event::Answer { asked: 1, answer } => Some(answer.clone()),
            _ => None,
        },
    );
    assert_eq!(answer.bounds, Some((1, 2)));
    let (at, next) = (
        answer.at.expect("it is there"),
        answer.next.expect("it is there"),
    );
    assert_eq!((at.sequence, &*at.bytes), (1, &b"record 1"[..]));
    assert_eq!((next.sequence, &*next.subject), (2, "flb_journal.east.2-b"));
}

#[test]
fn another_refusal_has_the_servers_words() {
    let servers = Servers::start(1);
    let mut log = log_of(&servers, 1);
    made(&mut log);
    servers.edit("flb_journal_east", |config| {
        config["max_msg_size"] = 3.into()
    });
    let Event::Refused {
        refusal: Refusal::Other(words),
        ..
    } = fate(&mut log, &publish(1, "1-a", 0, "1-a"))
    else {
        panic!("it is too long")
    };
    assert!(words.contains("size"), "{words}");
}

#[test]
fn without_a_server_nothing_is_known_and_nothing_is_kept() {
    let mut servers = Servers::start(1);
    let mut log = log_of(&servers, 1);
    made(&mut log);
    servers.kill(0);
    wait("the loss", || log.state().server.is_none().then_some(()));
    let fate = fate(&mut log, &publish(1, "1-a", 0, "1-a"));
    let why = Unknown::ConnectionLost;
    assert_eq!(fate, Event::Unknown { flight: 1, why });
    servers.resume(0);
    let Check::Found { last, .. } = checked(&mut log) else {
        panic!("it is there")
    };
    assert_eq!(last, 0, "what was published meanwhile was not queued");
}

#[test]
fn a_reader_goes_on_in_order_over_the_death_of_the_server() {
    let mut servers = Servers::start(1);
    let mut log = log_of(&servers, 1);
    made(&mut log);
    let publish_to = |log: &mut JetStream, from: u64, to: u64| {
        for sequence in from..=to {
            let publish = publish(sequence, "1-a", sequence - 1, "1-a");
            let flight = sequence;
            assert_eq!(fate(log, &publish), Event::Acked { flight, sequence });
        }
    };
    publish_to(&mut log, 1, 20);
    let mut reader = log_of(&servers, 1);
    reader.read(Some(5));
    let read_to = |reader: &mut JetStream, from: u64, to: u64| {
        for sequence in from..=to {
            let message = heard(
                reader,
                |_| {},
                |event| match event {
                    Event::Message(message) => Some(message.clone()),
                    _ => None,
                },
            );
            assert_eq!(message.sequence, sequence);
            assert_eq!(*message.bytes, *format!("record {sequence}").as_bytes());
        }
    };
    read_to(&mut reader, 5, 20);
    servers.kill(0);
    servers.resume(0);
    checked(&mut log);
    publish_to(&mut log, 21, 40);
    read_to(&mut reader, 21, 40);
}

#[test]
fn a_server_that_is_too_old_is_refused_with_the_reason() {
    let log = JetStream::start(settings(&[old_server()], 1)).expect("a thread");
    let trouble = wait("the refusal", || log.state().trouble);
    assert!(trouble.contains("2.9.10 is too old"), "{trouble}");
    assert_eq!(log.state().server, None);
}

#[test]
fn a_standby_follows_byte_for_byte_and_takes_over_when_the_active_is_gone() {
    let servers = Servers::start(1);
    let mut first = TestMember::start("first", log_of(&servers, 1), 4_000);
    first.turn_until("it serves", |it| it.role() == Role::Active);
    first.publish(60);
    let mut second = TestMember::start("second", log_of(&servers, 1), 4_000);
    let tip = first.driver.member.sequence();
    second.turn_until("it follows", |it| it.sequence() >= tip);
    second.turn_until("it has written", |it| it.is_ready());
    assert!(second.journal.starts_with(&first.journal));
    assert_eq!(
        second.driver.member.active().map(|it| it.node.as_str()),
        Some("first")
    );
    let journal = std::mem::take(&mut first.journal);
    drop(first);
    second.turn_until("it serves", |it| it.role() == Role::Active);
    second.publish(10);
    assert!(second.journal.starts_with(&journal));
    assert!(second.opened >= 10);
}

#[test]
fn a_goodbye_lets_the_standby_serve_at_once() {
    let servers = Servers::start(1);
    // An hour's lease: who waits for it, waits too long.
    let mut first = TestMember::start("first", log_of(&servers, 1), 3_600_000);
    first.turn_until("it serves", |it| it.role() == Role::Active);
    first.publish(5);
    let mut second = TestMember::start("second", log_of(&servers, 1), 3_600_000);
    let tip = first.driver.member.sequence();
    second.turn_until("it follows", |it| it.sequence() >= tip);
    first.on_event(Event::Finish);
    first.turn_until("it has ended", |it| it.role() == Role::Ended);
    second.turn_until("it serves", |it| it.role() == Role::Active);
    assert!(
        second.journal.starts_with(&first.journal),
        "the goodbye too"
    );
}

#[test]
fn three_servers_lose_the_streams_leader_and_nothing_that_was_confirmed() {
    let mut servers = Servers::start(3);
    let mut active = TestMember::start("first", log_of(&servers, 3), 60_000);
    active.turn_until("it serves", |it| it.role() == Role::Active);
    let mut standby = TestMember::start("second", log_of(&servers, 3), 60_000);
    for _ in 0..3 {
        active.publish(10);
        let leader = servers.leader("flb_journal_east");
        servers.kill(leader);
        active.publish(10);
        servers.resume(leader);
        active.publish(5);
        servers.wait_for_replicas("flb_journal_east");
    }
    assert_eq!(active.driver.member.role(), Role::Active);
    let tip = active.driver.member.sequence();
    standby.turn_until("it follows", |it| it.sequence() >= tip);
    standby.turn_until("it has written", |it| it.is_ready());
    assert!(standby.journal.starts_with(&active.journal));
}
