//! How long a destination waits for an answer before it gives up for now: before the engine cuts it, so that
//! its messages wait in their queues and not on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::NATS_STUCK_MAX;

/// In ms; a reload may change it.
#[derive(Debug, Clone, Default)]
pub(in crate::nats) struct StuckAfter(Arc<AtomicU64>);

impl StuckAfter {
    pub(in crate::nats) fn follow(&self, ack_timeout: Duration) {
        let time = NATS_STUCK_MAX.min(ack_timeout * 2 / 3);
        self.0.store(time.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_up_before_the_engine_cuts_it() {
        for (ack_timeout, expected) in [(30, 20), (3, 2), (900, 20)] {
            let stuck_after = StuckAfter::default();
            stuck_after.follow(Duration::from_secs(ack_timeout));
            assert_eq!(stuck_after.get(), Duration::from_secs(expected));
        }
    }
}
