//! How many messages ingest has handed over for each destination, and how many it may: the window
//! that the scheduler moves on, so that no more than `max_queued` wait.
//!
//! Values only; the agent in `mod` asks before it hands a message over.

use crate::message::DestinationIndex;
use crate::scheduler::allowance::MaxQueued;

#[derive(Debug, Clone, Copy)]
struct Window {
    handed_over: u64,
    until: u64,
}

/// Ingest's side of the allowances.
#[derive(Debug)]
pub struct Allowances {
    max: MaxQueued,
    of: Vec<Window>,
}

impl Allowances {
    /// `waiting` messages wait already, by destination.
    #[must_use]
    pub fn new(max: MaxQueued, waiting: &[usize]) -> Self {
        let mut allowances = Self {
            max,
            of: Vec::new(),
        };
        allowances.meet(waiting.len());
        for (window, &count) in allowances.of.iter_mut().zip(waiting) {
            window.until = window.until.saturating_sub(count as u64);
        }
        allowances
    }

    /// Takes a place in the destination's window; `false`: it is full.
    #[inline]
    pub fn claim(&mut self, destination: DestinationIndex) -> bool {
        if self.of.len() <= destination as usize {
            self.meet(destination as usize + 1);
        }
        let window = &mut self.of[destination as usize];
        let has_room = window.handed_over < window.until;
        window.handed_over += u64::from(has_room);
        has_room
    }

    /// The window goes up to this count now.
    pub fn raise(&mut self, destination: DestinationIndex, until: u64) {
        self.meet(destination as usize + 1);
        let window = &mut self.of[destination as usize];
        window.until = window.until.max(until);
    }

    fn meet(&mut self, destinations: usize) {
        for destination in self.of.len()..destinations {
            self.of.push(Window {
                handed_over: 0,
                until: self.max.of(destination as DestinationIndex),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn a_window_is_full_at_its_bound_until_it_is_raised() {
        let settings = "[scheduler]\nmax_queued = 3\n[[destination]]\nid = 'a'\n\
                        [[destination]]\nid = 'b'\nmax_queued = 2";
        let config = parse("settings", settings, &[]).expect("right");
        let mut allowances = Allowances::new(MaxQueued::new(&config), &[1, 5]);
        let mut claims = |destination| (0..5).filter(|_| allowances.claim(destination)).count();
        assert_eq!([claims(0), claims(1), claims(9)], [2, 0, 3]);
        allowances.raise(1, 0);
        assert!(!allowances.claim(1));
        allowances.raise(1, 1);
        assert!(allowances.claim(1) && !allowances.claim(1));
    }
}
