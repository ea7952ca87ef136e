//! Which handshakes are under way, and when their time is over. Values only: `Tcp` asks at each poll.
//!
//! All of them have the same time, so the queue is in the order of its ends. A handshake that is over
//! stays in it until it is at the front: what is found there is compared with the stream that has the key
//! now.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits::HANDSHAKE_TIME_MAX;
use crate::net::Key;

/// One of them: its stream, and when it began.
pub(in crate::net) type Handshake = (Key, Instant);

#[derive(Debug, Default)]
pub(in crate::net) struct Handshakes(VecDeque<Handshake>);

impl Handshakes {
    /// A stream has begun to shake hands.
    pub(in crate::net) fn begun(&mut self, handshake: Handshake) {
        self.0.push_back(handshake);
    }

    /// The next handshake that goes on though its time is over. `goes_on` says whether one does.
    pub(in crate::net) fn next_late(
        &mut self,
        now: impl Fn() -> Instant,
        goes_on: impl Fn(Handshake) -> bool,
    ) -> Option<Key> {
        while let Some(&(key, began)) = self.0.front() {
            let goes_on = goes_on((key, began));
            if goes_on && now().saturating_duration_since(began) < HANDSHAKE_TIME_MAX {
                return None;
            }
            self.0.pop_front();
            if goes_on {
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_handshake_ends_at_its_limit_and_one_that_is_over_does_not() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let limit = u64::try_from(HANDSHAKE_TIME_MAX.as_millis()).expect("seconds");
        let mut handshakes = Handshakes::default();
        assert_eq!(handshakes.next_late(|| at(limit), |_| true), None);
        for (key, ms) in [(7, 0), (8, 1), (7, 2), (9, 3)] {
            handshakes.begun((key, at(ms)));
        }
        // The first stream of key 7 has gone, and the second one has its key.
        let goes_on = |it: Handshake| it != (7, at(0)) && it.0 != 9;
        assert_eq!(handshakes.next_late(|| at(limit), goes_on), None);
        assert_eq!(handshakes.next_late(|| at(limit + 1), goes_on), Some(8));
        assert_eq!(handshakes.next_late(|| at(limit + 1), goes_on), None);
        assert_eq!(handshakes.next_late(|| at(limit + 9), goes_on), Some(7));
        assert_eq!(handshakes.next_late(|| at(limit + 9), goes_on), None);
    }
}
