//! How far the store is behind, and how fast it goes: figures for people.
//!
//! Fed by the follower around each step; writes counters, and decides nothing. While the follower waits
//! for a server's answer, or for a core, the monitor publishes the lag from [`Progress`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

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
    /// Messages may have come by another machine's clock: nothing waits for longer than this process follows.
    is_of_group: bool,
    /// When it was first told anything, us since the epoch.
    first_us: Option<u64>,
    /// Written since `second_ns`.
    written: u64,
    second_ns: u64,
}

/// A follower that has nothing to do looks ten times a second. One that has not looked for longer stands
/// still, and what was recorded since is behind.
const LOOK_MAX_US: u64 = US_PER_SECOND;

/// How far the store has followed, for other threads. Relaxed: figures for people; a pair that does
/// not match is corrected a moment later.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last sequence that is in the store, or need not be.
    sequence: AtomicU64,
    /// Since when the oldest of the others waits, us since the epoch; zero: there are none.
    waits_since_us: AtomicU64,
    /// When the follower looked last, us since the epoch.
    looked_us: AtomicU64,
    /// The thread that follows, as the system knows it; zero: there is none yet.
    thread_id: AtomicI32,
}

impl Progress {
    /// This thread follows from now on.
    pub(super) fn set_thread(&self, thread_id: i32) {
        self.thread_id.store(thread_id, Ordering::Relaxed);
    }

    /// The thread that follows, as the system knows it; zero: there is none yet.
    #[must_use]
    pub(crate) fn thread_id(&self) -> i32 {
        self.thread_id.load(Ordering::Relaxed)
    }

    /// Journaled messages that the store has not followed yet, by its own word.
    #[must_use]
    pub(crate) fn messages(&self, counters: &Counters) -> u64 {
        let recorded = counters.get(Counter::JournalRecorded);
        let sequence = self.sequence.load(Ordering::Relaxed);
        match self.waits_since_us.load(Ordering::Relaxed) {
            0 => 0,
            _ => recorded.saturating_sub(sequence),
        }
    }

    /// How many, and since when the oldest waits, us since the epoch; `None`: it is not behind.
    fn behind(&self, epoch_us: u64, counters: &Counters) -> Option<(u64, u64)> {
        let since_us = self.waits_since_us.load(Ordering::Relaxed);
        if since_us != 0 {
            return Some((self.messages(counters), since_us));
        }
        let looked_us = self.looked_us.load(Ordering::Relaxed);
        let stands_still = looked_us != 0 && epoch_us.saturating_sub(looked_us) > LOOK_MAX_US;
        let recorded = counters.get(Counter::JournalRecorded);
        let behind = recorded.saturating_sub(self.sequence.load(Ordering::Relaxed));
        (stands_still && behind > 0).then_some((behind, looked_us))
    }

    /// Writes the lag as it is now.
    pub(crate) fn publish(&self, epoch_us: u64, counters: &Counters) {
        let (messages, seconds) = match self.behind(epoch_us, counters) {
            Some((messages, since_us)) => {
                let us = epoch_us.saturating_sub(since_us);
                (messages, us / US_PER_SECOND)
            }
            None => (0, 0),
        };
        counters.set(Counter::StoreLagMessages, messages);
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
    /// Of a member of a group.
    pub(super) fn of_group() -> Self {
        Self {
            is_of_group: true,
            ..Self::default()
        }
    }

    /// The database has rows up to this sequence, as it said before it was followed into.
    pub(super) fn knows(&mut self, last_sequence: Option<u64>) {
        self.sequence = last_sequence;
    }

    /// Rows up to a sequence are in the store (`None`: there were updates alone).
    pub(super) fn wrote(&mut self, count: usize, last_sequence: Option<u64>) {
        self.written += count as u64;
        self.sequence = last_sequence.or(self.sequence);
        self.behind_since_us = None;
    }

    /// For other threads that publish the lag.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(super) fn publish(&mut self, sample: LagSample, now: Now, counters: &Counters) {
        let followed = match (sample.first_sequence, self.sequence) {
            (Some(first), _) => first.saturating_sub(1),
            (None, Some(known)) => known,
            // What was there at the first look counts as followed until rows show otherwise. Later
            // looks take nothing from the counter: it is ahead of the position that was followed.
            (None, None) => counters.get(Counter::JournalRecorded),
        };
        self.sequence = Some(followed);
        let waits_since_us = if sample.is_behind {
            let noticed = *self.behind_since_us.get_or_insert(now.epoch_us);
            let first_us = *self.first_us.get_or_insert(now.epoch_us);
            let oldest_us = sample.oldest_us.unwrap_or(noticed);
            if self.is_of_group {
                oldest_us.max(first_us)
            } else {
                oldest_us
            }
        } else {
            self.behind_since_us = None;
            0
        };
        self.progress.sequence.store(followed, Ordering::Relaxed);
        let since = &self.progress.waits_since_us;
        since.store(waits_since_us, Ordering::Relaxed);
        (self.progress.looked_us).store(now.epoch_us, Ordering::Relaxed);
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

    const NOW: Now = Now {
        ns: 0,
        steady_us: 0,
        epoch_us: 50 * US_PER_SECOND,
    };

    /// Rows from `first_sequence` on are gathered, or there is nothing to follow.
    fn sample(first_sequence: Option<u64>) -> LagSample {
        LagSample {
            is_behind: first_sequence.is_some(),
            oldest_us: first_sequence.map(|_| 48 * US_PER_SECOND),
            first_sequence,
        }
    }

    fn lag(counters: &Counters) -> [u64; 2] {
        [Counter::StoreLagMessages, Counter::StoreLagSeconds].map(|it| counters.get(it))
    }

    #[test]
    fn the_lag_grows_while_the_follower_says_nothing() {
        let counters = Counters::default();
        let mut follower = Lag::default();
        counters.set(Counter::JournalRecorded, 13);
        follower.publish(sample(Some(11)), NOW, &counters);
        assert_eq!(lag(&counters), [3, 2]);
        counters.set(Counter::JournalRecorded, 20);
        follower.progress().publish(60 * US_PER_SECOND, &counters);
        assert_eq!(lag(&counters), [10, 12]);
        follower.wrote(10, Some(20));
        follower.publish(sample(None), NOW, &counters);
        follower.progress().publish(70 * US_PER_SECOND, &counters);
        assert_eq!(lag(&counters), [0, 0]);
    }

    #[test]
    fn a_follower_that_gets_no_core_is_behind_though_it_says_nothing() {
        let counters = Counters::default();
        let mut follower = Lag::default();
        counters.set(Counter::JournalRecorded, 100);
        follower.publish(sample(None), NOW, &counters);
        counters.set(Counter::JournalRecorded, 5_100);
        let later = |seconds| NOW.epoch_us + seconds * US_PER_SECOND;
        follower.progress().publish(later(1), &counters);
        assert_eq!(lag(&counters), [0, 0], "it looks ten times a second");
        follower.progress().publish(later(12), &counters);
        assert_eq!(lag(&counters), [5_000, 12]);
        // It looks again, and knows of them.
        let now = Now {
            epoch_us: later(13),
            ..NOW
        };
        follower.publish(sample(Some(101)), now, &counters);
        assert_eq!(lag(&counters), [5_000, 15]);
    }

    #[test]
    fn in_a_group_nothing_waits_for_longer_than_it_is_followed() {
        let counters = Counters::default();
        // It came by a clock that is behind this one, or long ago to another member.
        let publish = |follower: &mut Lag, later: u64| {
            let mut sample = sample(Some(11));
            sample.oldest_us = Some(1);
            let now = Now {
                epoch_us: NOW.epoch_us + later * US_PER_SECOND,
                ..NOW
            };
            follower.publish(sample, now, &counters);
            lag(&counters)[1]
        };
        let mut follower = Lag::of_group();
        assert_eq!([0, 7].map(|it| publish(&mut follower, it)), [0, 7]);
        let mut follower = Lag::default();
        assert_eq!([0, 7].map(|it| publish(&mut follower, it)), [49, 56]);
    }

    #[test]
    fn what_was_recorded_during_a_long_write_is_not_taken_for_followed() {
        let counters = Counters::default();
        let mut follower = Lag::default();
        counters.set(Counter::JournalRecorded, 13);
        follower.publish(sample(Some(11)), NOW, &counters);
        counters.set(Counter::JournalRecorded, 80_000);
        follower.wrote(3, Some(13));
        // All up to the position that this step knew is followed.
        follower.publish(sample(None), NOW, &counters);
        follower.publish(sample(Some(14)), NOW, &counters);
        assert_eq!(lag(&counters), [80_000 - 13, 2]);
    }

    #[test]
    fn a_server_that_is_down_at_the_start_has_what_it_says_when_it_is_back() {
        let counters = Counters::default();
        let mut follower = Lag::default();
        counters.set(Counter::JournalRecorded, 100);
        let unreached = LagSample {
            is_behind: true,
            ..sample(None)
        };
        follower.publish(unreached, NOW, &counters);
        assert_eq!(lag(&counters), [0, 0]);
        follower.publish(sample(Some(1)), NOW, &counters);
        assert_eq!(lag(&counters), [100, 2]);
    }
}
