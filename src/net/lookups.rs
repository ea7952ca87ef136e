//! Which look-ups of names are under way, and which wait for a place: values only, the resolver has the
//! threads.
//!
//! A look-up takes as long as the system likes, and nobody can end it. So places are of two kinds, and
//! who is slow never takes those of the quick:
//!
//! ```text
//! asked --> [ waits, was quick or is new ] --> [ quick: LOOKUPS_MAX places ] --> answered
//!                                                  | takes longer than LOOKUP_SLOW_NS
//!                                                  v
//!           [ waits, was slow ] ---------> [ slow: LOOKUPS_SLOW_MAX places ] --> answered
//! ```
//! Where all slow places are taken, a quick one turns slow where it is; its name waits for a slow place
//! from the next time on. A look-up that hangs for ever costs one place, whoever asks again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::Now;
use crate::limits::{LOOKUP_SLOW_NS, LOOKUPS_MAX, LOOKUPS_SLOW_MAX};

/// A look-up under way.
#[derive(Debug)]
struct Running {
    since_ns: u64,
    /// It has a place among the slow.
    is_slow: bool,
}

/// The look-ups of one agent, each under the number that it was asked for with.
///
/// Invariant: at most `LOOKUPS_MAX` of those under way are not slow, and `LOOKUPS_SLOW_MAX` are.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    running: BTreeMap<usize, Running>,
    /// Those that wait for a quick place, and for a slow one.
    waiting: [VecDeque<usize>; 2],
    /// Their last look-up was slow.
    known_slow: BTreeSet<usize>,
}

impl Lookups {
    /// Whether nothing is under way, nor waits.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Asks for a look-up. One that waits or is under way answers this question too.
    pub(crate) fn ask(&mut self, number: usize) {
        let waits = self.waiting.iter().any(|it| it.contains(&number));
        if !waits && !self.running.contains_key(&number) {
            let is_slow = self.known_slow.contains(&number);
            self.waiting[usize::from(is_slow)].push_back(number);
        }
    }

    /// The next look-up that has found a place, and is begun now.
    pub(crate) fn next(&mut self, now: Now) -> Option<usize> {
        if self.waiting.iter().all(VecDeque::is_empty) {
            return None;
        }
        let mut slow = self.running.values().filter(|it| it.is_slow).count();
        for running in self.running.values_mut().filter(|it| !it.is_slow) {
            running.is_slow = is_late(running, now) && slow < LOOKUPS_SLOW_MAX;
            slow += usize::from(running.is_slow);
        }
        let quick = self.running.len() - slow;
        let has_place = [quick < LOOKUPS_MAX, slow < LOOKUPS_SLOW_MAX];
        let kind = (0..2).find(|&it| has_place[it] && !self.waiting[it].is_empty())?;
        let number = self.waiting[kind].pop_front()?;
        let running = Running {
            since_ns: now.ns,
            is_slow: kind == 1,
        };
        self.running.insert(number, running);
        Some(number)
    }

    /// A look-up is answered: its place is free.
    pub(crate) fn finish(&mut self, number: usize, now: Now) {
        let Some(running) = self.running.remove(&number) else {
            return;
        };
        match is_late(&running, now) {
            true => drop(self.known_slow.insert(number)),
            false => drop(self.known_slow.remove(&number)),
        }
    }
}

fn is_late(running: &Running, now: Now) -> bool {
    now.ns.saturating_sub(running.since_ns) >= LOOKUP_SLOW_NS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Now {
        Now::default().after(Duration::from_millis(ms))
    }

    fn begun(lookups: &mut Lookups, now: Now) -> Vec<usize> {
        std::iter::from_fn(|| lookups.next(now)).collect()
    }

    #[test]
    fn a_few_are_under_way_at_once_and_one_that_is_asked_for_again_is_not_begun_again() {
        let mut lookups = Lookups::default();
        assert!(lookups.is_idle());
        (0..LOOKUPS_MAX + 2).for_each(|it| lookups.ask(it));
        (0..LOOKUPS_MAX + 2).for_each(|it| lookups.ask(it));
        assert_eq!(begun(&mut lookups, at(0)).len(), LOOKUPS_MAX);
        lookups.finish(3, at(1));
        assert_eq!(begun(&mut lookups, at(1)), [LOOKUPS_MAX]);
        lookups.ask(3);
        (0..LOOKUPS_MAX + 1).for_each(|it| lookups.finish(it, at(2)));
        assert_eq!(begun(&mut lookups, at(2)), [LOOKUPS_MAX + 1, 3]);
    }

    #[test]
    fn names_that_hang_for_ever_leave_the_others_their_places() {
        let mut lookups = Lookups::default();
        let healthy = 1_000;
        // More of them than there are places of both kinds.
        (0..2 * (LOOKUPS_MAX + LOOKUPS_SLOW_MAX)).for_each(|it| lookups.ask(it));
        let mut under_way = Vec::new();
        for ms in (0..5_000).step_by(100) {
            under_way.extend(begun(&mut lookups, at(ms)));
        }
        assert_eq!(under_way.len(), LOOKUPS_MAX + LOOKUPS_SLOW_MAX);
        // They give up one after the other, and are asked for again at once.
        let mut ms = 5_000;
        for _ in 0..200 {
            ms += 100;
            let number = under_way.remove(0);
            lookups.finish(number, at(ms));
            lookups.ask(number);
            under_way.extend(begun(&mut lookups, at(ms)));
        }
        lookups.ask(healthy);
        assert_eq!(begun(&mut lookups, at(ms)), [healthy]);
    }

    proptest! {
        #[test]
        fn the_places_are_never_exceeded_and_all_are_answered(
            steps in proptest::collection::vec((0_usize..60, 0_u64..400), 1..400),
        ) {
            let mut lookups = Lookups::default();
            let mut under_way = VecDeque::new();
            let mut ms = 0;
            for (number, pause_ms) in steps {
                ms += pause_ms;
                match pause_ms % 3 {
                    0 => if let Some(number) = under_way.pop_front() {
                        lookups.finish(number, at(ms));
                    },
                    _ => lookups.ask(number),
                }
                under_way.extend(begun(&mut lookups, at(ms)));
                let slow = lookups.running.values().filter(|it| it.is_slow).count();
                prop_assert!(slow <= LOOKUPS_SLOW_MAX);
                prop_assert!(lookups.running.len() - slow <= LOOKUPS_MAX);
            }
            while let Some(number) = under_way.pop_front() {
                lookups.finish(number, at(ms));
                under_way.extend(begun(&mut lookups, at(ms)));
            }
            prop_assert!(lookups.is_idle());
        }
    }
}
