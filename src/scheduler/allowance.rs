//! Allowances: how many more messages ingest may hand over for each destination, so that no more
//! than `max_queued` of them wait.
//!
//! Ingest counts what it hands over; the scheduler tells it up to which count it may go, as a
//! window that moves on when messages are dispatched or turn out to be duplicates. What is on its
//! way between the two is in ingest's count, so the bound holds exactly, whatever the rings hold. A
//! window moves on in steps of a sixteenth: a source that waited reads on for a while.

use crate::config::Config;
use crate::message::DestinationIndex;

/// The window moves on by at least this part of `max_queued`.
const STEPS: i64 = 16;

/// How many messages may wait for each destination.
#[derive(Debug, Clone)]
pub struct MaxQueued {
    configured: Vec<u64>,
    others: u64,
}

impl MaxQueued {
    /// As the settings say.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let others = config.scheduler.max_queued as u64;
        let of = |max: Option<usize>| max.map_or(others, |it| it as u64);
        let destinations = config.destinations.iter();
        Self {
            configured: destinations.map(|it| of(it.max_queued)).collect(),
            others,
        }
    }

    /// That of a destination.
    #[must_use]
    pub fn of(&self, destination: DestinationIndex) -> u64 {
        let configured = self.configured.get(destination as usize);
        configured.copied().unwrap_or(self.others)
    }
}

#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// Messages that may wait.
    max: i64,
    /// Messages that ingest handed over and that wait no more, less those that wait and did not
    /// come from it, or again.
    left: i64,
    /// What `left` was when ingest was told.
    told: i64,
    is_listed: bool,
}

/// The scheduler's side.
#[derive(Debug)]
pub struct Allowances {
    max: MaxQueued,
    of: Vec<Allowance>,
    updates: Vec<DestinationIndex>,
}

impl Allowances {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(max: MaxQueued) -> Self {
        Self {
            max,
            of: Vec::new(),
            updates: Vec::new(),
        }
    }

    /// There are so many destinations now.
    pub fn grow(&mut self, destinations: usize) {
        for destination in self.of.len()..destinations {
            self.of.push(Allowance {
                max: self.max.of(destination as DestinationIndex) as i64,
                left: 0,
                told: 0,
                is_listed: false,
            });
        }
        self.updates.reserve(self.of.len());
    }

    /// So many wait already, of which ingest was told when it was made.
    pub fn load_recovered(&mut self, destination: DestinationIndex, count: usize) {
        let allowance = &mut self.of[destination as usize];
        allowance.left -= count as i64;
        allowance.told = allowance.left;
    }

    /// A message that ingest handed over, or one that came back, waits no more.
    #[inline]
    pub fn leave(&mut self, destination: DestinationIndex) {
        let allowance = &mut self.of[destination as usize];
        allowance.left += 1;
        let step = (allowance.max / STEPS).max(1);
        if allowance.left >= allowance.told + step && !allowance.is_listed {
            allowance.is_listed = true;
            self.updates.push(destination);
        }
    }

    /// A message waits again: its subscriber went.
    pub fn come_back(&mut self, destination: DestinationIndex) {
        self.of[destination as usize].left -= 1;
    }

    /// Whether ingest is to be told something: of each destination once.
    #[must_use]
    pub fn has_updates(&self) -> bool {
        !self.updates.is_empty()
    }

    /// The next destination for which ingest may go on, and the count up to which.
    pub fn next_update(&mut self) -> Option<(DestinationIndex, u64)> {
        let destination = self.updates.pop()?;
        let allowance = &mut self.of[destination as usize];
        allowance.is_listed = false;
        allowance.told = allowance.told.max(allowance.left);
        let until = (allowance.max + allowance.told).max(0);
        Some((destination, until as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowances(max: u64) -> Allowances {
        let mut allowances = Allowances::new(MaxQueued {
            configured: vec![max],
            others: 1_000,
        });
        allowances.grow(2);
        allowances
    }

    #[test]
    fn a_window_moves_on_by_a_sixteenth_and_once_a_look() {
        let mut allowances = allowances(160);
        (0..9).for_each(|_| allowances.leave(0));
        assert_eq!(allowances.next_update(), None);
        (0..3).for_each(|_| allowances.leave(0));
        assert_eq!(allowances.next_update(), Some((0, 172)));
        assert_eq!(allowances.next_update(), None);
    }

    #[test]
    fn a_small_window_moves_on_with_every_message() {
        let mut allowances = allowances(3);
        allowances.leave(0);
        assert_eq!(allowances.next_update(), Some((0, 4)));
        allowances.leave(0);
        assert_eq!(allowances.next_update(), Some((0, 5)));
    }

    #[test]
    fn what_waits_already_or_again_is_taken_from_the_window() {
        let mut allowances = allowances(16);
        allowances.load_recovered(0, 20);
        (0..10).for_each(|_| allowances.leave(0));
        assert_eq!(allowances.next_update(), Some((0, 6)));
        (0..5).for_each(|_| allowances.come_back(0));
        (0..5).for_each(|_| allowances.leave(0));
        assert_eq!(
            allowances.next_update(),
            None,
            "as many wait as ingest was told"
        );
        allowances.leave(0);
        assert_eq!(allowances.next_update(), Some((0, 7)));
    }
}
