//! The dialler beside a network of values.

use std::io::ErrorKind;

use super::super::testing::Net;
use super::*;
use crate::clock::testing::at;
use crate::limits::{CONNECT_NEXT_NS, CONNECT_NS_MAX, RECONNECT_MS_MAX, RECONNECT_MS_MIN};

const PAUSE_NS_MAX: u64 = RECONNECT_MS_MAX * 1_000_000;

struct Rig {
    dialler: Dialler,
    net: Net,
    counters: Counters,
}

impl Rig {
    fn new(addresses: &[&str]) -> Self {
        let sources = addresses.iter();
        let sources = sources.map(|address| Source::new((*address).to_owned(), true));
        Self {
            dialler: Dialler::new(sources.collect(), 7),
            net: Net::default(),
            counters: Counters::default(),
        }
    }

    fn poll(&mut self, ns: u64) -> usize {
        (self.dialler).poll(&mut self.net, &self.counters, at(ns))
    }

    fn writable(&mut self, key: Key, ns: u64) -> Option<usize> {
        let (net, counters) = (&mut self.net, &self.counters);
        self.dialler.note_writable(key, net, counters, at(ns))
    }

    fn answer(&mut self, number: usize, addresses: &[&str]) {
        let found = addresses.iter().map(|it| address(it)).collect();
        self.net.answers.push_back((number, Ok(found)));
    }

    fn failures(&self) -> u64 {
        self.counters.get(Counter::SourceConnectFailures)
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn an_address_is_dialled_at_once_and_a_name_is_looked_up_first() {
    let mut rig = Rig::new(&["127.0.0.1:1", "host:2"]);
    assert_eq!(rig.poll(0), 2);
    assert_eq!(rig.net.dialled, [address("127.0.0.1:1")]);
    assert_eq!(rig.net.asked, [(1, "host:2".to_owned())]);
    rig.answer(1, &["127.0.0.2:2"]);
    assert_eq!(rig.poll(1), 1);
    assert_eq!(rig.net.dialled[1], address("127.0.0.2:2"));
    assert_eq!(rig.poll(2), 0, "nothing is due");
    assert_eq!(rig.writable(1, 3), None, "it does not stand yet");
    rig.net.stands.insert(1, Ok(()));
    assert_eq!(rig.writable(1, 4), Some(1));
    assert_eq!(rig.dialler.wishes(1), ("host:2".to_owned(), true));
    assert_eq!(rig.writable(9, 5), None, "a key that is no attempt");
}

#[test]
fn a_source_that_is_removed_is_dialled_no_more_and_its_slot_is_another_one_s() {
    let mut rig = Rig::new(&["127.0.0.1:1", "127.0.0.1:2"]);
    rig.poll(0);
    rig.dialler.remove(0, &mut rig.net);
    assert_eq!(rig.net.closed, [0], "its attempt is given up");
    rig.poll(10 * PAUSE_NS_MAX);
    assert!(!rig.net.dialled[2..].contains(&address("127.0.0.1:1")));
    rig.dialler.add(
        0,
        Source::new("127.0.0.1:3".to_owned(), false),
        Now::default(),
    );
    rig.poll(10 * PAUSE_NS_MAX + 1);
    assert_eq!(rig.net.dialled.last(), Some(&address("127.0.0.1:3")));
    let key = rig.net.dialled.len() - 1;
    rig.net.stands.insert(key, Ok(()));
    assert_eq!(rig.writable(key, 10 * PAUSE_NS_MAX + 2), Some(0));
    assert_eq!(rig.dialler.wishes(0), ("127.0.0.1:3".to_owned(), false));
    rig.dialler.set_ack(0, true);
    assert!(rig.dialler.wishes(0).1);
}

#[test]
fn an_answer_for_the_former_source_of_a_slot_is_none_for_the_next_one() {
    let mut rig = Rig::new(&["former:1"]);
    rig.poll(0);
    rig.dialler.remove(0, &mut rig.net);
    rig.dialler
        .add(0, Source::new("next:2".to_owned(), true), Now::default());
    rig.poll(1);
    let asked = |rig: &Rig, name: &str| rig.net.asked.iter().filter(|it| it.1 == name).count();
    assert_eq!((asked(&rig, "former:1"), asked(&rig, "next:2")), (1, 1));
    rig.answer(0, &["127.0.0.1:1"]);
    rig.poll(2);
    assert_eq!(rig.net.dialled, [], "it is the former one's");
    assert_eq!(asked(&rig, "next:2"), 2);
    rig.answer(0, &["127.0.0.2:2"]);
    rig.poll(3);
    assert_eq!(rig.net.dialled, [address("127.0.0.2:2")]);
}

#[test]
fn addresses_of_a_name_race_and_the_losers_are_closed() {
    let mut rig = Rig::new(&["host:1"]);
    rig.poll(0);
    rig.answer(0, &["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"]);
    rig.poll(0);
    assert_eq!(rig.net.dialled.len(), 1);
    rig.poll(CONNECT_NEXT_NS);
    assert_eq!(rig.net.dialled.len(), 2, "the first gives no answer");
    rig.net.stands.insert(0, Err(ErrorKind::ConnectionRefused));
    assert_eq!(rig.writable(0, CONNECT_NEXT_NS + 1), None);
    assert_eq!(rig.net.dialled.len(), 3, "after a refusal the next at once");
    rig.net.stands.insert(1, Ok(()));
    assert_eq!(rig.writable(1, CONNECT_NEXT_NS + 2), Some(0));
    assert_eq!(rig.net.closed, [0, 2]);
    assert_eq!(
        (rig.failures(), rig.poll(u64::MAX - 1)),
        (0, 0),
        "it stands"
    );
}

#[test]
fn a_source_that_cannot_be_reached_rests_and_is_dialled_again() {
    let mut rig = Rig::new(&["127.0.0.1:1"]);
    rig.net.refused.push(address("127.0.0.1:1"));
    let mut ns = 0;
    for failures in 1..=20 {
        rig.poll(ns);
        assert_eq!(rig.failures(), failures);
        let ceiling_ms = (RECONNECT_MS_MIN << (failures - 1).min(16)).min(RECONNECT_MS_MAX);
        let pause_ns = rig.dialler.dial_at_ns - ns;
        assert!(pause_ns <= ceiling_ms * 1_000_000, "{failures}: {pause_ns}");
        ns = rig.dialler.dial_at_ns;
    }
    rig.net.refused.clear();
    rig.poll(ns);
    assert_eq!(rig.net.dialled.len(), 1);
    rig.poll(ns + CONNECT_NS_MAX);
    assert_eq!(rig.failures(), 21, "no answer is a failure, too");
    assert_eq!(rig.net.closed, [0]);
}

#[test]
fn a_look_up_has_a_time_limit_and_its_late_answer_is_used() {
    let mut rig = Rig::new(&["host:1"]);
    rig.poll(0);
    rig.poll(LOOKUP_NS_MAX - 1);
    assert_eq!(rig.failures(), 0);
    rig.poll(LOOKUP_NS_MAX);
    assert_eq!((rig.failures(), rig.net.asked.len()), (1, 1));
    rig.answer(0, &["127.0.0.1:1"]);
    rig.poll(LOOKUP_NS_MAX);
    assert_eq!(rig.net.dialled.len(), 1);
    // While that attempt is under way, another answer changes nothing.
    rig.answer(0, &["127.0.0.2:1"]);
    rig.poll(LOOKUP_NS_MAX);
    assert_eq!(rig.net.dialled.len(), 1);
}

#[test]
fn a_name_that_is_unknown_is_looked_up_again() {
    let mut rig = Rig::new(&["host:1"]);
    rig.poll(0);
    let unknown = Err(ErrorKind::NotFound.into());
    rig.net.answers.push_back((0, unknown));
    rig.poll(1);
    assert_eq!(rig.failures(), 1);
    rig.poll(1 + PAUSE_NS_MAX);
    assert_eq!(rig.net.asked.len(), 2);
}

#[test]
fn answers_are_taken_some_a_cycle() {
    let names: Vec<String> = (0..40).map(|it| format!("host{it}:1")).collect();
    let mut rig = Rig::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    rig.poll(0);
    (0..40).for_each(|number| rig.answer(number, &["127.0.0.1:1"]));
    for cycle in 1..=40_usize.div_ceil(LOOKUPS_PER_CYCLE) {
        rig.poll(1);
        assert_eq!(rig.net.dialled.len(), 40.min(cycle * LOOKUPS_PER_CYCLE));
    }
}

#[test]
fn a_connection_that_ends_is_dialled_again_and_soon_only_after_an_accepted_line() {
    let mut rig = Rig::new(&["127.0.0.1:1"]);
    let error = ErrorKind::UnexpectedEof.into();
    let mut ns = 0;
    for key in 0..30 {
        rig.poll(ns);
        rig.net.stands.insert(key, Ok(()));
        assert_eq!(rig.writable(key, ns), Some(0), "attempt {key}");
        if key >= 20 {
            rig.dialler.note_accepted(0, at(ns));
        }
        rig.dialler.note_ended(0, (5, 1), &error, at(ns));
        let pause_ns = rig.dialler.dial_at_ns - ns;
        assert!(pause_ns <= PAUSE_NS_MAX);
        assert!(key < 20 || pause_ns <= RECONNECT_MS_MIN * 1_000_000);
        ns = rig.dialler.dial_at_ns;
    }
    // A source that dialled in is none of those here.
    rig.dialler.note_accepted(5, at(ns));
}
