//! How far the store is behind, and how fast it goes: figures for people.
//!
//! Fed by the follower around each step; writes counters, and decides nothing. While the follower waits
//! for a server's answer, the monitor publishes the lag from [`Progress`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Now;
use crate::counters::{Counter, Counters};

const NS_PER_SECOND: u64 = 1_000_000_000;
const US_PER_SECOND: u64 = 1_000_000;

/// What the figures are made of.
#[derive(Debug, Default)]
pub(super) struct Lag {
    progress: Arc<Progress>,
    /// Since when there is something to follow, us since the epoch; `None`: there is nothing.
    behind_since_us: Option<u64>,
    /// The last sequence that the store is known to have.
    sequence: Option<u64>,
    /// Written since `second_ns`.
    written: u64,
    second_ns: u64,
}

/// How far the store has followed, for other threads. Relaxed: figures for people; a pair that does
/// not match is corrected a moment later.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last sequence that is in the store, or need not be.
    sequence: AtomicU64,
    /// Since when the oldest of the others waits, us since the epoch; zero: there are none.
    waits_since_us: AtomicU64,
}

impl Progress {
    /// Journaled messages that the store has not followed yet.
    #[must_use]
    pub(crate) fn messages(&self, counters: &Counters) -> u64 {
        let recorded = counters.get(Counter::JournalRecorded);
        let sequence = self.sequence.load(Ordering::Relaxed);
        match self.waits_since_us.load(Ordering::Relaxed) {
            0 => 0,
            _ => recorded.saturating_sub(sequence),
        }
    }

    /// Writes the lag as it is now.
    pub(crate) fn publish(&self, epoch_us: u64, counters: &Counters) {
        let seconds = match self.waits_since_us.load(Ordering::Relaxed) {
            0 => 0,
            since_us => epoch_us.saturating_sub(since_us) / US_PER_SECOND,
        };
        counters.set(Counter::StoreLagMessages, self.messages(counters));
        counters.set(Counter::StoreLagSeconds, seconds);
    }
}

/// What the follower knows before a write and after a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct LagSample {
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

    /// For other threads that publish the lag.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(super) fn publish(&mut self, sample: LagSample, now: Now, counters: &Counters) {
        let recorded = counters.get(Counter::JournalRecorded);
        // What was there at the first look counts as followed until rows show otherwise.
        let before = sample.first_sequence.map(|it| it.saturating_sub(1));
        let known = *self.sequence.get_or_insert(before.unwrap_or(recorded));
        let followed = before.map_or(known, |it| it.max(known));
        let waits_since_us = match sample.is_behind {
            false => {
                self.behind_since_us = None;
                self.sequence = Some(known.max(recorded));
                0
            }
            true => {
                let noticed = *self.behind_since_us.get_or_insert(now.epoch_us);
                sample.oldest_us.unwrap_or(noticed)
            }
        };
        self.progress.sequence.store(followed, Ordering::Relaxed);
        let since = &self.progress.waits_since_us;
        since.store(waits_since_us, Ordering::Relaxed);
        self.progress.publish(now.epoch_us, counters);
        self.publish_rate(now, counters);
    }

    fn publish_rate(&mut self, now: Now, counters: &Counters) {
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
        let sample = |is_behind| LagSample {
            is_behind,
            oldest_us: is_behind.then_some(48 * US_PER_SECOND),
            first_sequence: is_behind.then_some(11),
        };
        counters.set(Counter::JournalRecorded, 13);
        follower.publish(sample(true), now, &counters);
        assert_eq!(lag(), [3, 2]);
        counters.set(Counter::JournalRecorded, 20);
        follower.progress().publish(60 * US_PER_SECOND, &counters);
        assert_eq!(lag(), [10, 12]);
        follower.wrote(10, Some(20));
        follower.publish(sample(false), now, &counters);
        follower.progress().publish(70 * US_PER_SECOND, &counters);
        assert_eq!(lag(), [0, 0]);
    }
}
