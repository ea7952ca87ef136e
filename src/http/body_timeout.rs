//! How long a client may pause in the middle of its body: a fixed time in all, and more for each byte it has sent. Time in which the engine does not read is not counted. Values only.

use std::time::Duration;

use crate::limits::{HTTP_BODY_RATE_MIN, HTTP_BODY_REST_MAX};

#[derive(Debug, Default)]
pub(super) struct BodyTimeout {
    rested: Duration,
    bytes: u64,
}

impl BodyTimeout {
    /// So many bytes came after a rest.
    pub(super) fn note(&mut self, bytes: usize, rested: Duration) {
        self.bytes += bytes as u64;
        self.rested += rested;
    }

    /// How long the next rest may be.
    pub(super) fn left(&self) -> Duration {
        let earned = Duration::from_millis(self.bytes.saturating_mul(1000) / HTTP_BODY_RATE_MIN);
        (HTTP_BODY_REST_MAX + earned).saturating_sub(self.rested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_now_and_then_comes_to_an_end_and_a_slow_line_goes_on() {
        let mut loris = BodyTimeout::default();
        let mut sent = 0;
        while loris.left() > Duration::from_secs(1) {
            loris.note(1, Duration::from_secs(1));
            sent += 1;
        }
        assert!(sent <= 10, "{sent}");
        let mut slow = BodyTimeout::default();
        for _ in 0..100_000 {
            slow.note(HTTP_BODY_RATE_MIN as usize, Duration::from_secs(1));
        }
        assert_eq!(slow.left(), HTTP_BODY_REST_MAX);
    }
}
