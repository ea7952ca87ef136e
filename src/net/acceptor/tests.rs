//! The acceptor beside a listener of values.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use super::*;
use crate::clock::testing::at;
use crate::config::Connections;
use crate::limits::LOG_WINDOW_NS;
use crate::log::testing::logged;
use crate::net::{Answer, Ready};

/// A backlog of connections, and what became of them.
#[derive(Default)]
struct Backlog {
    waiting: u64,
    failures: u32,
    refused: Vec<String>,
    is_local: bool,
    /// Of connections that may stay.
    let_in: u32,
    fails_to_let_in: bool,
    closed: u32,
}

impl Network for Backlog {
    fn poll(&mut self, _: &mut Vec<Ready>) -> io::Result<()> {
        Ok(())
    }
    fn look_up(&mut self, _: usize, _: &str, _: Now) {}
    fn looked_up(&mut self, _: Now) -> Option<Answer> {
        None
    }
    fn connect(&mut self, _: SocketAddr) -> io::Result<Key> {
        unreachable!("nobody dials")
    }
    fn connected(&mut self, _: Key) -> io::Result<bool> {
        unreachable!("nobody dials")
    }
    fn accept(&mut self) -> io::Result<(Key, SocketAddr)> {
        if self.failures > 0 {
            self.failures -= 1;
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        self.waiting = match self.waiting.checked_sub(1) {
            Some(left) => left,
            None => return Err(io::ErrorKind::WouldBlock.into()),
        };
        Ok((0, peer()))
    }
    fn let_in(&mut self, _: Key) -> io::Result<()> {
        self.let_in += 1;
        match self.fails_to_let_in {
            true => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            false => Ok(()),
        }
    }
    fn is_local(&self, _: Key) -> bool {
        self.is_local
    }
    fn read(&mut self, _: Key, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("nobody reads")
    }
    fn write(&mut self, _: Key, _: &[IoSlice<'_>]) -> io::Result<usize> {
        unreachable!("nobody writes")
    }
    fn refuse(&mut self, _: Key, line: &str) {
        self.refused.push(line.to_owned());
    }
    fn shut_down(&mut self, _: Key) {}
    fn close(&mut self, _: Key) {
        self.closed += 1;
    }
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn peer() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

fn acceptor(max: usize) -> Acceptor {
    let limits = Connections {
        max,
        max_per_address: 0,
    };
    let admission = Arc::new(Admission::new("delivery", limits));
    let mut acceptor = Acceptor::new("a subscriber", admission);
    acceptor.note_ready();
    acceptor
}

#[test]
fn whoever_finds_it_full_is_told_at_a_bounded_rate_and_none_is_left_waiting() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(2);
    net.waiting = 2 + 50;
    let mut taken = 0;
    let mut periods = 0;
    while net.waiting > 0 {
        let now = at(periods * REFUSALS_NS);
        let before = net.refused.len();
        loop {
            let refused = net.refused.len();
            while acceptor.next(&mut net, &counters, now).is_some() {
                taken += 1;
            }
            let count = net.refused.len() - refused;
            assert_eq!(acceptor.take_refused(), count);
            assert!(count <= 1, "the agent has other work in between");
            if count == 0 {
                break;
            }
        }
        assert!(net.refused.len() - before <= REFUSALS_PER_PERIOD as usize);
        periods += 1;
    }
    assert_eq!((taken, net.refused.len()), (2, 50));
    assert_eq!(net.let_in, 2, "one that is refused costs its refusal alone");
    assert_eq!(periods, 50_u64.div_ceil(u64::from(REFUSALS_PER_PERIOD)));
    assert!(net.refused[0].contains("[delivery] max_connections"));
    assert_eq!(counters.get(Counter::ConnectionsRefused), 50);
    assert_eq!(counters.get(Counter::ConnectionsRefusedFull), 50);
}

#[test]
fn one_that_the_system_does_not_let_in_is_closed_and_gives_its_place_back() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(1);
    (net.waiting, net.fails_to_let_in) = (1, true);
    assert!(acceptor.next(&mut net, &counters, at(0)).is_none());
    assert_eq!((net.closed, acceptor.is_full()), (1, false));
    assert_eq!(counters.get(Counter::ListenersFailing), 1);
    (net.waiting, net.fails_to_let_in) = (1, false);
    assert!(acceptor.next(&mut net, &counters, at(PAUSE_NS)).is_some());
    assert_eq!(counters.get(Counter::ListenersFailing), 0);
}

#[test]
fn lines_that_are_left_out_of_the_log_are_told_though_nobody_comes_any_more() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(0);
    net.waiting = 9;
    let told = logged(|| {
        for _ in 0..9 {
            assert!(acceptor.next(&mut net, &counters, at(0)).is_none());
        }
        acceptor.log_left_out(at(LOG_WINDOW_NS - 1));
    });
    assert_eq!(told.matches("is refused").count(), 5, "{told}");
    let told = logged(|| acceptor.log_left_out(at(LOG_WINDOW_NS)));
    assert!(
        told.contains("was refused again and again count=4"),
        "{told}"
    );
}

#[test]
fn who_goes_makes_room_and_the_listener_is_full_no_more() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(1);
    net.waiting = 2;
    assert!(acceptor.next(&mut net, &counters, at(0)).is_some());
    assert!(acceptor.next(&mut net, &counters, at(0)).is_none());
    assert_eq!(counters.get(Counter::ListenersFull), 1);
    acceptor.closed(&net, 0, peer());
    (net.waiting, acceptor.waiting) = (1, true);
    assert!(acceptor.next(&mut net, &counters, at(1)).is_some());
    assert_eq!(counters.get(Counter::ListenersFull), 0);
}

#[test]
fn who_comes_from_within_the_process_takes_no_place_and_gives_none_back() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(1);
    net.waiting = 1;
    assert!(acceptor.next(&mut net, &counters, at(0)).is_some());
    (net.waiting, net.is_local) = (3, true);
    for _ in 0..3 {
        assert!(acceptor.next(&mut net, &counters, at(0)).is_some());
        acceptor.closed(&net, 0, peer());
    }
    assert!(acceptor.is_full() && net.refused.is_empty());
}

#[test]
fn a_listener_fails_no_more_when_who_waited_has_gone() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(1);
    (net.waiting, net.failures) = (1, 1);
    assert!(acceptor.next(&mut net, &counters, at(0)).is_none());
    assert_eq!(counters.get(Counter::ListenersFailing), 1);
    net.waiting = 0;
    assert!(acceptor.next(&mut net, &counters, at(PAUSE_NS)).is_none());
    assert_eq!(counters.get(Counter::ListenersFailing), 0);
}

#[test]
fn without_descriptors_it_pauses_and_goes_on_by_itself() {
    let (mut net, counters) = (Backlog::default(), Counters::default());
    let mut acceptor = acceptor(1);
    (net.waiting, net.failures) = (1, 2);
    assert!(acceptor.next(&mut net, &counters, at(0)).is_none());
    assert!(acceptor.next(&mut net, &counters, at(1)).is_none());
    assert_eq!(net.failures, 1, "it has paused");
    assert_eq!(counters.get(Counter::ListenersFailing), 1);
    assert!(acceptor.next(&mut net, &counters, at(PAUSE_NS)).is_none());
    assert!(
        acceptor
            .next(&mut net, &counters, at(2 * PAUSE_NS))
            .is_some()
    );
    assert_eq!(counters.get(Counter::ListenersFailing), 0);
    assert_eq!(counters.get(Counter::AcceptFailures), 2);
}
