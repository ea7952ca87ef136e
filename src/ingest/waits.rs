//! Who waits for what: a connection whose next line finds no room is not read on until there is
//! some, at its destination, or, for a wrong line, in the ring to the rejects agent. So is, for a
//! moment, one whose wrong lines, or duplicates, took more than their budget of time.
//!
//! The agent says who begins to wait and where room is again. Others are not concerned, not even
//! those who send to the same destination: each waits by its own next line.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::message::DestinationIndex;
use crate::net::Key;

/// What a connection waits for before it is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its next line is for this destination, which has no room.
    Destination(DestinationIndex),
    /// Its next line is wrong, and the ring to the rejects agent has no room.
    Rejects,
    /// Its wrong lines have spent their budget of time.
    Budget,
    /// It has sent as much as `max_rate` allows, until this time, in ns.
    Rate(u64),
    /// Its duplicates have spent their budget of time, until this time, in ns.
    Duplicates(u64),
    /// Its producer wants outcomes, and has not read those of as many lines as may be open. It goes
    /// on when it is answered, so it is in no list here.
    Answers,
}

/// The connections that wait, each once.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Lists stay when they are empty: there are no more than destinations.
    by_destination: HashMap<DestinationIndex, Vec<Key>>,
    at_destinations: usize,
    for_rejects: VecDeque<Key>,
    for_budget: VecDeque<Key>,
    /// By the time at which each goes on.
    until: BinaryHeap<Reverse<(u64, Key)>>,
}

impl Waits {
    /// A connection that waits for nothing begins to.
    pub(super) fn add(&mut self, key: Key, wait: Wait) {
        match wait {
            Wait::Destination(destination) => {
                self.by_destination
                    .entry(destination)
                    .or_default()
                    .push(key);
                self.at_destinations += 1;
            }
            Wait::Rejects => self.for_rejects.push_back(key),
            Wait::Budget => self.for_budget.push_back(key),
            Wait::Rate(until_ns) | Wait::Duplicates(until_ns) => {
                self.until.push(Reverse((until_ns, key)));
            }
            Wait::Answers => {}
        }
    }

    /// The connection ends.
    pub(super) fn remove(&mut self, key: Key, wait: Wait) {
        match wait {
            Wait::Destination(destination) => {
                let list = self.by_destination.entry(destination).or_default();
                let before = list.len();
                list.retain(|other| *other != key);
                self.at_destinations -= before - list.len();
            }
            Wait::Rejects => self.for_rejects.retain(|other| *other != key),
            Wait::Budget => self.for_budget.retain(|other| *other != key),
            Wait::Rate(_) | Wait::Duplicates(_) => {
                self.until.retain(|Reverse((_, other))| *other != key);
            }
            Wait::Answers => {}
        }
    }

    /// A destination has room again: those that wait for it wait no more, in the order in which
    /// they came.
    pub(super) fn release(&mut self, destination: DestinationIndex) -> impl Iterator<Item = Key> {
        let list = match self.at_destinations {
            0 => None,
            _ => self.by_destination.get_mut(&destination),
        };
        self.at_destinations -= list.as_ref().map_or(0, |list| list.len());
        list.into_iter().flat_map(|list| list.drain(..))
    }

    /// All that wait for a destination wait no more.
    pub(super) fn release_all(&mut self) -> impl Iterator<Item = Key> {
        self.at_destinations = 0;
        self.by_destination
            .values_mut()
            .flat_map(|list| list.drain(..))
    }

    /// The first one for whose wrong line there is room again.
    pub(super) fn release_for_rejects(&mut self) -> Option<Key> {
        self.for_rejects.pop_front()
    }

    /// The one whose budget is checked next.
    pub(super) fn first_for_budget(&self) -> Option<Key> {
        self.for_budget.front().copied()
    }

    /// And waits no more.
    pub(super) fn release_for_budget(&mut self) -> Option<Key> {
        self.for_budget.pop_front()
    }

    /// One whose time has come.
    pub(super) fn release_until(&mut self, now_ns: u64) -> Option<Key> {
        let Reverse((until_ns, _)) = self.until.peek()?;
        if *until_ns > now_ns {
            return None;
        }
        self.until.pop().map(|Reverse((_, key))| key)
    }

    /// How many wait for a destination.
    pub(super) fn at_destinations(&self) -> usize {
        self.at_destinations
    }

    /// How many wait for room for a wrong line.
    pub(super) fn for_rejects(&self) -> usize {
        self.for_rejects.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait() -> impl Strategy<Value = Wait> {
        prop_oneof![
            4 => (0..3_u32).prop_map(Wait::Destination),
            1 => Just(Wait::Rejects),
            1 => Just(Wait::Budget),
            1 => Just(Wait::Rate(7)),
            1 => Just(Wait::Duplicates(7)),
        ]
    }

    proptest! {
        /// The naive model is one list of all who wait.
        #[test]
        fn each_is_released_once_and_in_turn(
            steps in proptest::collection::vec((0..4_usize, 0..8_usize, wait()), 0..60),
        ) {
            let (mut waits, mut model) = (Waits::default(), Vec::<(Key, Wait)>::new());
            for (step, key, wait) in steps {
                let before = model.clone();
                let waiting = before.iter().find(|(other, _)| *other == key);
                match (step, waiting) {
                    (0 | 1, None) => {
                        waits.add(key, wait);
                        model.push((key, wait));
                    }
                    (2, Some((_, wait))) => {
                        waits.remove(key, *wait);
                        model.retain(|(other, _)| *other != key);
                    }
                    (3, _) => {
                        let released: Vec<Key> = match wait {
                            Wait::Destination(destination) => waits.release(destination).collect(),
                            Wait::Answers => Vec::new(),
                            Wait::Rejects => waits.release_for_rejects().into_iter().collect(),
                            Wait::Budget => {
                                let first = waits.first_for_budget();
                                prop_assert_eq!(waits.release_for_budget(), first);
                                first.into_iter().collect()
                            }
                            Wait::Rate(until_ns) | Wait::Duplicates(until_ns) => {
                                prop_assert_eq!(waits.release_until(until_ns - 1), None);
                                let ready = std::iter::from_fn(|| waits.release_until(until_ns));
                                let mut ready: Vec<Key> = ready.collect();
                                // Those of one moment have no order.
                                ready.sort_by_key(|key| {
                                    before.iter().position(|(other, _)| other == key)
                                });
                                ready
                            }
                        };
                        let is_timed = |it| matches!(it, Wait::Rate(_) | Wait::Duplicates(_));
                        let count = match wait {
                            Wait::Destination(_) | Wait::Rate(_) | Wait::Duplicates(_) => usize::MAX,
                            _ => 1,
                        };
                        let expected: Vec<Key> = before
                            .iter()
                            .filter(|(_, other)| *other == wait || is_timed(*other) && is_timed(wait))
                            .map(|(key, _)| *key)
                            .take(count)
                            .collect();
                        model.retain(|(key, _)| !expected.contains(key));
                        prop_assert_eq!(released, expected);
                    }
                    _ => {}
                }
                let at = |wait: &Wait| matches!(wait, Wait::Destination(_));
                let count = model.iter().filter(|(_, wait)| at(wait)).count();
                prop_assert_eq!(waits.at_destinations(), count);
                let count = model.iter().filter(|(_, wait)| *wait == Wait::Rejects).count();
                prop_assert_eq!(waits.for_rejects(), count);
            }
        }
    }
}
