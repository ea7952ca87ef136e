//! Epochs: coarse time for the dedup window, 256 of them a window.
//!
//! An epoch knows the number of its first id. The window asks only when an epoch ends or the oldest
//! one expires; between, a claim costs one comparison with [`Epochs::next_ms`].

use std::collections::VecDeque;
use std::time::Duration;

/// Epochs of a window.
const EPOCHS: u64 = 256;

/// A span of time, and the number of the first id in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    /// Its first millisecond.
    pub(super) start_ms: u64,
    /// The number of its first id.
    pub(super) first: u64,
}

/// The epochs that have not expired, oldest first.
#[derive(Debug)]
pub(super) struct Epochs {
    epochs: VecDeque<Epoch>,
    window_ms: u64,
    epoch_ms: u64,
    /// When [`Self::advance`] is due next.
    pub(super) next_ms: u64,
}

impl Epochs {
    pub(super) fn new(window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self {
            // One more for the present epoch, one for the expiring, one for rounding.
            epochs: VecDeque::with_capacity(EPOCHS as usize + 3),
            window_ms,
            epoch_ms: window_ms.div_ceil(EPOCHS).max(1),
            next_ms: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter()
    }

    /// Begins the epoch of `now_ms`, whose first id has the number `next`, and drops expired
    /// epochs. Returns the number of the first id that has not expired.
    #[cold]
    pub(super) fn advance(&mut self, now_ms: u64, next: u64) -> u64 {
        let start_ms = now_ms - now_ms % self.epoch_ms;
        if self
            .epochs
            .back()
            .is_none_or(|last| last.start_ms < start_ms)
        {
            self.epochs.push_back(Epoch {
                start_ms,
                first: next,
            });
        }
        while self
            .epochs
            .front()
            .is_some_and(|epoch| self.ends_ms(epoch) <= now_ms)
        {
            self.epochs.pop_front();
        }
        let oldest_ends_ms = self
            .epochs
            .front()
            .map_or(u64::MAX, |epoch| self.ends_ms(epoch));
        self.next_ms = oldest_ends_ms.min(start_ms.saturating_add(self.epoch_ms));
        self.epochs.front().map_or(next, |epoch| epoch.first)
    }

    /// When the last id that the epoch can hold is `window` old.
    fn ends_ms(&self, epoch: &Epoch) -> u64 {
        epoch
            .start_ms
            .saturating_add(self.epoch_ms)
            .saturating_add(self.window_ms)
    }
}
