//! How far the store is behind, and how fast it goes: figures for people.
//!
//! Fed by the follower after each step; writes counters, and decides nothing.

use crate::clock::Now;
use crate::counters::{Counter, Counters};

const NS_PER_SECOND: u64 = 1_000_000_000;
const US_PER_SECOND: u64 = 1_000_000;

/// The figures' memory.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// Since when there is something to follow, us since the epoch; `None`: there is nothing.
    behind_since_us: Option<u64>,
    /// The last sequence that the store is known to have.
    sequence: Option<u64>,
    /// Written since `second_ns`.
    written: u64,
    second_ns: u64,
}

/// What the follower sees after a step.
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

    /// Writes the figures.
    pub(super) fn tell(&mut self, sight: Sight, now: Now, counters: &Counters) {
        let recorded = counters.get(Counter::JournalRecorded);
        // What was there before it looked for the first time counts as followed until rows tell.
        let before = sight.first_sequence.map(|it| it.saturating_sub(1));
        let known = *self.sequence.get_or_insert(before.unwrap_or(recorded));
        let followed = before.map_or(known, |it| it.max(known));
        let (messages, seconds) = match sight.is_behind {
            false => {
                self.behind_since_us = None;
                self.sequence = Some(known.max(recorded));
                (0, 0)
            }
            true => {
                let noticed = *self.behind_since_us.get_or_insert(now.epoch_us);
                let since = sight.oldest_us.unwrap_or(noticed);
                let waited_us = now.epoch_us.saturating_sub(since);
                (recorded.saturating_sub(followed), waited_us / US_PER_SECOND)
            }
        };
        counters.set(Counter::StoreLagMessages, messages);
        counters.set(Counter::StoreLagSeconds, seconds);
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
