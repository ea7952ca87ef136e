//! Acknowledgements beside a network of values.

use super::super::connection::Origin;
use super::super::testing::Net;
use super::*;
use crate::clock::testing::at;
use crate::limits::OUTCOME_LINES_MAX;
use crate::message::Reason;

const KEY: Key = 0;

struct Rig {
    answering: Answering,
    connections: Connections,
    net: Net,
    counters: Counters,
}

impl Rig {
    /// One source that wants acknowledgements.
    fn new(room: usize) -> Self {
        let mut connections = Connections::new(1, 100, 0);
        connections.open(KEY, Origin::Configured(0), "s".to_owned(), true, 0);
        assert_eq!(connections.next_readable(), Some(KEY));
        Self {
            answering: Answering::default(),
            connections,
            net: Net {
                room,
                ..Net::default()
            },
            counters: Counters::default(),
        }
    }

    fn connection(&mut self) -> &mut Connection {
        self.connections.get_mut(KEY).expect("it is there")
    }

    /// So many lines go to the scheduler and are recorded.
    fn record(&mut self, count: usize) {
        for _ in 0..count {
            let line = self.connection().lines.forward();
            self.connection().lines.note_recorded(line);
        }
        self.answering.owe(KEY);
    }

    /// A cycle; returns the connections that are over.
    fn cycle(&mut self, ns: u64) -> Vec<(Key, ErrorKind)> {
        let mut ended = Vec::new();
        let (net, counters) = (&mut self.net, &self.counters);
        let connections = &mut self.connections;
        (self.answering).acknowledge(connections, net, counters, at(ns), &mut ended);
        (self.answering).close_leaving(connections, at(ns), &mut ended);
        ended
            .iter()
            .map(|(key, error)| (*key, error.kind()))
            .collect()
    }

    fn written(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.net.written)).expect("text")
    }
}

#[test]
fn one_acknowledgement_covers_all_that_is_recorded() {
    let mut rig = Rig::new(usize::MAX);
    rig.record(3);
    assert_eq!(rig.cycle(0), []);
    assert_eq!(rig.written(), "{\"ack\":3}\n");
    rig.answering.owe(KEY);
    assert_eq!(rig.cycle(1), []);
    assert_eq!(rig.written(), "", "nothing new");
    assert_eq!(rig.counters.get(Counter::AcksSent), 1);
}

#[test]
fn a_full_socket_gets_the_rest_first_and_then_the_latest_number() {
    let mut rig = Rig::new(4);
    rig.record(3);
    assert_eq!(rig.cycle(0), []);
    rig.record(4);
    assert_eq!(rig.cycle(1), []);
    assert_eq!(rig.written(), "{\"ac");
    rig.net.room = usize::MAX;
    rig.answering.owe(KEY);
    rig.answering.owe(KEY);
    assert_eq!(rig.cycle(2), []);
    assert_eq!(rig.written(), "k\":3}\n{\"ack\":7}\n");
}

#[test]
fn a_rejected_line_holds_the_number_back_until_it_is_durable() {
    let mut rig = Rig::new(usize::MAX);
    rig.record(1);
    rig.connection().lines.reject(Reason::BadJson, 50);
    rig.record(1);
    assert_eq!(rig.cycle(0), []);
    assert_eq!(rig.written(), "{\"ack\":1}\n");
    assert_eq!(rig.answering.note_durable(0, &mut rig.connections), 0);
    assert_eq!(rig.answering.note_durable(49, &mut rig.connections), 1);
    assert_eq!((rig.cycle(1), rig.written()), (vec![], String::new()));
    assert_eq!(rig.answering.note_durable(50, &mut rig.connections), 1);
    assert_eq!(rig.cycle(2), []);
    assert_eq!(rig.written(), "{\"ack\":3}\n");
}

#[test]
fn a_peer_that_has_ended_is_over_once_it_has_all_its_acknowledgements() {
    let mut rig = Rig::new(usize::MAX);
    let line = rig.connection().lines.forward();
    rig.connection().peer.has_ended = true;
    rig.answering.note_leaving(KEY);
    rig.answering.owe(KEY);
    assert_eq!(rig.cycle(0), [], "its line is not recorded");
    assert_eq!(rig.cycle(UNTAKEN_ACK_NS_MAX), [], "however long that takes");
    rig.connection().lines.note_recorded(line);
    rig.answering.owe(KEY);
    let end = UNTAKEN_ACK_NS_MAX + 1;
    assert_eq!(rig.cycle(end), [(KEY, ErrorKind::UnexpectedEof)]);
    assert_eq!(rig.written(), "{\"ack\":1}\n");
}

#[test]
fn a_peer_that_has_ended_and_takes_no_acknowledgement_is_closed_in_the_end() {
    let mut rig = Rig::new(0);
    rig.connection().peer.has_ended = true;
    rig.answering.note_leaving(KEY);
    rig.record(1);
    assert_eq!(rig.cycle(5), []);
    assert_eq!(rig.cycle(5 + UNTAKEN_ACK_NS_MAX - 1), []);
    let end = 5 + UNTAKEN_ACK_NS_MAX + LEAVING_TICK_NS;
    assert_eq!(rig.cycle(end), [(KEY, ErrorKind::TimedOut)]);
}

/// So many lines of a producer that wants outcomes wait for their answers.
fn waiting_for_answers(rig: &mut Rig) {
    rig.connection().lines.tell_outcomes();
    rig.record(OUTCOME_LINES_MAX);
    assert_eq!(rig.connection().lines.room(), 0);
    rig.connection().waits_for = Some(Wait::Answers);
}

#[test]
fn a_producer_that_reads_its_outcomes_again_is_read_on() {
    let mut rig = Rig::new(4);
    waiting_for_answers(&mut rig);
    rig.connection().lines.note_duplicates(2, 1);
    assert_eq!(rig.cycle(0), []);
    rig.connection().lines.forward();
    assert_eq!(
        rig.connections.next_readable(),
        Some(KEY),
        "all fits one answer"
    );
    rig.net.room = usize::MAX;
    rig.answering.owe(KEY);
    assert_eq!(rig.cycle(1), []);
    let all = OUTCOME_LINES_MAX;
    let expected = format!("{{\"ack\":{all},\"duplicates\":[2]}}\n");
    assert_eq!(rig.written(), expected);
}

#[test]
fn a_producer_that_reads_none_of_its_outcomes_stays_unread() {
    let mut rig = Rig::new(0);
    waiting_for_answers(&mut rig);
    let all = OUTCOME_LINES_MAX as u32;
    rig.connection().lines.note_duplicates(1, all);
    for ns in 0..3 {
        rig.answering.owe(KEY);
        assert_eq!(rig.cycle(ns), []);
        assert_eq!(rig.connections.next_readable(), None);
    }
    rig.net.write_error = Some(ErrorKind::ConnectionReset);
    rig.answering.owe(KEY);
    assert_eq!(rig.cycle(3), []);
    assert_eq!(rig.connections.next_readable(), Some(KEY), "to its end");
    assert!(!rig.connection().lines.wants_outcomes());
}

#[test]
fn after_a_failed_write_a_connection_is_read_on_and_gets_no_more() {
    let mut rig = Rig::new(0);
    rig.net.write_error = Some(ErrorKind::ConnectionReset);
    rig.record(1);
    assert_eq!(rig.cycle(0), []);
    assert_eq!(rig.connections.next_readable(), Some(KEY));
    let reset = Some(ErrorKind::ConnectionReset);
    assert_eq!(rig.connection().peer.broken, reset);
    rig.net.write_error = None;
    rig.net.room = usize::MAX;
    rig.record(1);
    assert_eq!((rig.cycle(1), rig.written()), (vec![], String::new()));
}

#[test]
fn after_a_failed_write_a_connection_that_cannot_be_read_is_over() {
    for (has_ended, wait) in [(true, None), (false, Some(Wait::Destination(3)))] {
        let mut rig = Rig::new(0);
        rig.net.write_error = Some(ErrorKind::ConnectionReset);
        rig.connection().peer.has_ended = has_ended;
        rig.connection().waits_for = wait;
        rig.record(1);
        assert_eq!(rig.cycle(0), [(KEY, ErrorKind::ConnectionReset)]);
        assert_eq!(rig.connections.next_readable(), None);
    }
}
