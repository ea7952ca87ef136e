//! How far the store is behind, and how fast it goes: figures for people.
//!
//! Fed by the follower around each step; writes counters, and decides nothing. A follower that waits
//! for a server's answer says nothing: whoever has time tells the lag from what it left in
//! [`Followed`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Now;
use crate::counters::{Counter, Counters};

const NS_PER_SECOND: u64 = 1_000_000_000;
const US_PER_SECOND: u64 = 1_000_000;

/// The figures' memory.
#[derive(Debug, Default)]
pub(super) struct Lag {
    followed: Arc<Followed>,
    /// Since when there is something to follow, us since the epoch; `None`: there is nothing.
    behind_since_us: Option<u64>,
    /// The last sequence that the store is known to have.
    sequence: Option<u64>,
    /// Written since `second_ns`.
    written: u64,
    second_ns: u64,
}

/// How far the store has followed, for other threads. Relaxed: figures for people, and a pair that
/// does not match is put right a moment later.
#[derive(Debug, Default)]
pub struct Followed {
    /// The last sequence that is in the store, or need not be.
    sequence: AtomicU64,
    /// Since when the oldest of the others waits, us since the epoch; zero: there are none.
    waits_since_us: AtomicU64,
}

impl Followed {
    /// Journaled messages that the store has not followed yet.
    #[must_use]
    pub fn messages(&self, counters: &Counters) -> u64 {
        let recorded = counters.get(Counter::JournalRecorded);
        let sequence = self.sequence.load(Ordering::Relaxed);
        match self.waits_since_us.load(Ordering::Relaxed) {
            0 => 0,
            _ => recorded.saturating_sub(sequence),
        }
    }

    /// Writes the lag as it is now.
    pub fn tell(&self, epoch_us: u64, counters: &Counters) {
        let seconds = match self.waits_since_us.load(Ordering::Relaxed) {
            0 => 0,
            since_us => epoch_us.saturating_sub(since_us) / US_PER_SECOND,
        };
        counters.set(Counter::StoreLagMessages, self.messages(counters));
        counters.set(Counter::StoreLagSeconds, seconds);
    }
}

/// What the follower sees, before it writes and after a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// There is something to follow.
    pub(super) is_behind: bool,
    /// When the oldest that was gathered happened: us since the epoch.
    pub(super) oldest_us: Option<u64>,
    /// The first sequence that was gathered.
    pub(super) first_sequence: Option<u64>,
}

impl Lag {
    /// Rows up to a sequence are in the store (`None`: there were updates alone).
    pub(super) fn wrote(&mut self, count: usize, last_sequence: Option<u64>) {
        self.written += count as u64;
        self.sequence = self.sequence.max(last_sequence);
        self.behind_since_us = None;
    }

    /// What others may tell the lag from.
    pub(super) fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }

    /// Writes the figures.
    pub(super) fn tell(&mut self, sight: Sight, now: Now, counters: &Counters) {
        let recorded = counters.get(Counter::JournalRecorded);
        // What was there before it looked for the first time counts as followed until rows tell.
        let before = sight.first_sequence.map(|it| it.saturating_sub(1));
        let known = *self.sequence.get_or_insert(before.unwrap_or(recorded));
        let followed = before.map_or(known, |it| it.max(known));
        let waits_since_us = match sight.is_behind {
            false => {
                self.behind_since_us = None;
                self.sequence = Some(known.max(recorded));
                0
            }
            true => {
                let noticed = *self.behind_since_us.get_or_insert(now.epoch_us);
                sight.oldest_us.unwrap_or(noticed)
            }
        };
        self.followed.sequence.store(followed, Ordering::Relaxed);
        let since = &self.followed.waits_since_us;
        since.store(waits_since_us, Ordering::Relaxed);
        self.followed.tell(now.epoch_us, counters);
        self.tell_rate(now, counters);
    }

    fn tell_rate(&mut self, now: Now, counters: &Counters) {
        let elapsed_ns = now.ns.saturating_sub(self.second_ns);
        if elapsed_ns >= NS_PER_SECOND {
            let rate =
                u128::from(self.written) * u128::from(NS_PER_SECOND) / u128::from(elapsed_ns);
            counters.set(Counter::StoreRowsPerSecond, rate as u64);
            self.written = 0;
            self.second_ns = now.ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_grows_while_the_follower_says_nothing() {
        let counters = Counters::default();
        let lag =
            || [Counter::StoreLagMessages, Counter::StoreLagSeconds].map(|it| counters.get(it));
        let mut follower = Lag::default();
        let now = Now {
            ns: 0,
            steady_us: 0,
            epoch_us: 50 * US_PER_SECOND,
        };
        let sight = |is_behind| Sight {
            is_behind,
            oldest_us: is_behind.then_some(48 * US_PER_SECOND),
            first_sequence: is_behind.then_some(11),
        };
        counters.set(Counter::JournalRecorded, 13);
        follower.tell(sight(true), now, &counters);
        assert_eq!(lag(), [3, 2]);
        counters.set(Counter::JournalRecorded, 20);
        follower.followed().tell(60 * US_PER_SECOND, &counters);
        assert_eq!(lag(), [10, 12]);
        follower.wrote(10, Some(20));
        follower.tell(sight(false), now, &counters);
        follower.followed().tell(70 * US_PER_SECOND, &counters);
        assert_eq!(lag(), [0, 0]);
    }
}
