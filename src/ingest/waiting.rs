//! Connections that wait: their next line finds no room, or its turn is put off. They are not read
//! on before that has changed.
//!
//! Turns feed it who waits and for what, the scheduler which destinations have room again; released
//! connections go into the queue of those to read. It holds no socket and no ring.

use tracing::info;

use super::connection::Connections;
use super::waits::{Wait, Waits};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::READS_PER_CYCLE;
use crate::log_limit::LogLimit;
use crate::message::{DestinationIndex, Directory};
use crate::net::Key;

/// The core.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waits: Waits,
    log: LogLimit,
}

impl Waiting {
    /// The connection is not read on before it has what it waits for.
    pub(super) fn add(
        &mut self,
        (key, wait): (Key, Wait),
        connections: &mut Connections,
        destinations: &Directory,
        counters: &Counters,
        now: Now,
    ) {
        let Some(connection) = connections.get_mut(key) else {
            return;
        };
        connection.waits_for = Some(wait);
        self.waits.add(key, wait);
        let counter = match wait {
            Wait::Destination(_) => Counter::QueueFullWaits,
            Wait::Rejects => Counter::RejectedWaits,
            Wait::Budget => Counter::RejectedPaced,
            Wait::Rate(_) => Counter::RatePaced,
            Wait::Duplicates(_) => Counter::DuplicatesPaced,
            Wait::Answers => Counter::OutcomeWaits,
        };
        counters.add(counter, 1);
        if let Wait::Destination(destination) = wait
            && let Some(more) = self.log.admit(now)
        {
            let name = destinations.name(destination).unwrap_or_default();
            let source = &connection.sender.name;
            info!(source = %source, destination = %name, "waits: max_queued is reached{more}");
        }
        self.publish(counters);
    }

    /// The connection, which waits, ends.
    pub(super) fn remove(&mut self, key: Key, wait: Wait, counters: &Counters) {
        self.waits.remove(key, wait);
        self.publish(counters);
    }

    /// A destination has room again: the connections that wait for it are read on.
    pub(super) fn release_at(
        &mut self,
        destination: DestinationIndex,
        connections: &mut Connections,
        counters: &Counters,
    ) {
        if self.waits.at_destinations() == 0 {
            return;
        }
        for key in self.waits.release(destination) {
            connections.resume(key);
        }
        self.publish(counters);
    }

    /// All connections that wait for a destination look again.
    pub(super) fn release_at_all(&mut self, connections: &mut Connections, counters: &Counters) {
        for key in self.waits.release_all() {
            connections.resume(key);
        }
        self.publish(counters);
    }

    /// The ring to the rejects agent has room: the first connections that wait for that are read on,
    /// few in a cycle. Who finds no room after all waits again, behind the others.
    pub(super) fn release_for_rejects(
        &mut self,
        connections: &mut Connections,
        counters: &Counters,
    ) {
        for _ in 0..READS_PER_CYCLE {
            let Some(key) = self.waits.release_for_rejects() else {
                break;
            };
            connections.resume(key);
            self.publish(counters);
        }
    }

    /// There is time for wrong lines again: the first connection that waits for that is read on, if
    /// its own budget is refilled, too.
    pub(super) fn release_for_budget(&mut self, connections: &mut Connections, now: Now) {
        let Some(key) = self.waits.first_for_budget() else {
            return;
        };
        let connection = connections.get_mut(key);
        if connection.is_none_or(|found| found.sender.budget.is_refilled(now.ns)) {
            self.waits.release_for_budget();
            connections.resume(key);
        }
    }

    /// Connections that waited for a time that has come are read on.
    pub(super) fn release_until(&mut self, connections: &mut Connections, now: Now) {
        while let Some(key) = self.waits.release_until(now.ns) {
            connections.resume(key);
        }
    }

    /// Logs how many log lines were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        if let Some(more) = self.log.overdue(now) {
            info!(
                count = more.count,
                "sources have waited: max_queued was reached"
            );
        }
    }

    fn publish(&self, counters: &Counters) {
        let waiting = self.waits.at_destinations() as u64;
        counters.set(Counter::SourcesHeld, waiting);
        let waiting = self.waits.for_rejects() as u64;
        counters.set(Counter::RejectedHeld, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::Origin;
    use super::*;
    use crate::clock::testing::at;

    struct Rig {
        waiting: Waiting,
        connections: Connections,
        destinations: Directory,
        counters: Counters,
    }

    impl Rig {
        /// So many connections, none of which is to be read.
        fn new(count: usize) -> Self {
            let mut connections = Connections::new(count, 100, 0);
            for key in 0..count {
                let name = format!("s{key}");
                connections.open(key, Origin::Configured(key), name, false, 0);
                assert_eq!(connections.next_readable(), Some(key));
            }
            Self {
                waiting: Waiting::default(),
                connections,
                destinations: Directory::new(["a", "b"], false, 2),
                counters: Counters::default(),
            }
        }

        fn add(&mut self, key: Key, wait: Wait) {
            let Self {
                waiting,
                connections,
                destinations,
                counters,
            } = self;
            waiting.add((key, wait), connections, destinations, counters, at(0));
        }

        fn readable(&mut self) -> Vec<Key> {
            std::iter::from_fn(|| self.connections.next_readable()).collect()
        }

        fn held(&self) -> (u64, u64) {
            let of = |counter| self.counters.get(counter);
            (of(Counter::SourcesHeld), of(Counter::RejectedHeld))
        }
    }

    #[test]
    fn those_that_wait_for_a_destination_are_read_on_when_it_has_room_and_no_others() {
        let mut rig = Rig::new(3);
        for (key, destination) in [(0, 1), (1, 0), (2, 1)] {
            rig.add(key, Wait::Destination(destination));
            rig.connections.enqueue(key);
        }
        assert_eq!((rig.readable(), rig.held()), (vec![], (3, 0)));
        (rig.waiting).release_at(1, &mut rig.connections, &rig.counters);
        assert_eq!((rig.readable(), rig.held()), (vec![0, 2], (1, 0)));
        let wait = Wait::Destination(0);
        rig.waiting.remove(1, wait, &rig.counters);
        assert_eq!((rig.readable(), rig.held()), (vec![], (0, 0)));
        assert_eq!(rig.counters.get(Counter::QueueFullWaits), 3);
    }

    #[test]
    fn those_with_wrong_lines_are_read_on_in_turn_some_a_cycle() {
        let count = READS_PER_CYCLE + 2;
        let mut rig = Rig::new(count);
        (0..count).for_each(|key| rig.add(key, Wait::Rejects));
        assert_eq!(rig.held(), (0, count as u64));
        (rig.waiting).release_for_rejects(&mut rig.connections, &rig.counters);
        assert_eq!(rig.readable(), (0..READS_PER_CYCLE).collect::<Vec<_>>());
        assert_eq!(rig.held(), (0, 2));
        rig.add(0, Wait::Rejects);
        (rig.waiting).release_for_rejects(&mut rig.connections, &rig.counters);
        assert_eq!(rig.readable(), [READS_PER_CYCLE, READS_PER_CYCLE + 1, 0]);
    }

    #[test]
    fn who_has_spent_its_budget_is_read_on_when_it_is_refilled() {
        let mut rig = Rig::new(2);
        let connection = rig.connections.get_mut(0).expect("it is there");
        let budget = &mut connection.sender.budget;
        while !budget.is_spent() {
            budget.charge_line(1_000, 0);
        }
        rig.add(0, Wait::Budget);
        rig.add(1, Wait::Budget);
        (rig.waiting).release_for_budget(&mut rig.connections, at(0));
        assert!(rig.readable().is_empty(), "the first one is not refilled");
        let later = at(3_600_000_000_000);
        (rig.waiting).release_for_budget(&mut rig.connections, later);
        assert_eq!(rig.readable(), [0], "one at a time");
        (rig.waiting).release_for_budget(&mut rig.connections, later);
        assert_eq!(rig.readable(), [1]);
        assert_eq!(rig.counters.get(Counter::RejectedPaced), 2);
    }
}
