//! The timestamp by which a message is queued: its own, clamped, so that a wrong clock cannot jump the
//! queue and a source's messages stay in their order.

use crate::limits::BUCKETS;

/// A message's own timestamp, as far as the window of [`BUCKETS`] ms that ends now allows, and never
/// before `floor_ms`, which is what this gave for the message before it from the same source.
#[inline]
#[must_use]
pub(crate) fn clamp_timestamp(own_ms: u64, floor_ms: u64, now_ms: u64) -> u64 {
    own_ms.max(window_start(now_ms)).max(floor_ms).min(now_ms)
}

/// The oldest timestamp that the window allows now.
#[inline]
pub(crate) fn window_start(now_ms: u64) -> u64 {
    (now_ms + 1).saturating_sub(BUCKETS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_clamped_to_the_window_and_never_before_their_sources_last() {
        let start_ms = 1_000 - BUCKETS as u64 + 1;
        assert_eq!(clamp_timestamp(990, 0, 1_000), 990);
        assert_eq!(clamp_timestamp(5_000, 0, 1_000), 1_000);
        assert_eq!(clamp_timestamp(0, 0, 1_000), start_ms);
        assert_eq!(clamp_timestamp(990, 995, 1_000), 995);
        assert_eq!(clamp_timestamp(0, 0, 10), 0);
    }
}
