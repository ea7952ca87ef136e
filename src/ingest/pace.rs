//! The pace of a producer: `[ingest] max_rate` in lines and bytes a second, kept by not reading.
//!
//! Each of the two is a token bucket of a tenth of a second, and a turn takes what is in it; a longer
//! line is paid for behind it. Values only: the agent reads no more before the bucket has some again,
//! and TCP holds the peer.

use crate::config::MaxRate;
use crate::limits::{LINE_LEN_MIN, PACE_BURST_NS, PACE_TURN_NS, SHORT_READ_LEN, TURN_LINES_MAX};

const SECOND_NS: u128 = 1_000_000_000;

/// What a producer has taken of its rate.
///
/// Invariant: `paid_ns` is the time at which what was taken is paid for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    lines: Bucket,
    bytes: Bucket,
}

/// What one turn takes at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnLimits {
    /// Lines, whatever they are.
    pub(super) lines: usize,
    /// Bytes, by a line more.
    pub(super) bytes: usize,
}

/// What a turn may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

impl Share {
    /// The limits of a turn, and how much is worth reading for it: what is read and may not be taken
    /// waits in memory.
    pub(super) fn bound(self, limits: &mut TurnLimits, read_len: &mut usize) {
        limits.lines = limits.lines.min(self.lines);
        limits.bytes = limits.bytes.min(self.bytes);
        let by_lines = self.lines.saturating_mul(LINE_LEN_MIN);
        let wanted = self.bytes.min(by_lines).max(SHORT_READ_LEN);
        *read_len = wanted.min(*read_len);
    }
}

impl Pace {
    /// What may be taken now.
    ///
    /// # Errors
    /// Nothing, before this time, in ns.
    pub(super) fn share(&self, rate: &MaxRate, now_ns: u64) -> Result<Share, u64> {
        let lines = self.lines.left(rate.lines, now_ns);
        let bytes = self.bytes.left(rate.bytes, now_ns);
        match (lines, bytes) {
            (Ok(lines), Ok(bytes)) => Ok(Share {
                lines: lines.min(TURN_LINES_MAX),
                bytes,
            }),
            (lines, bytes) => Err(lines.err().max(bytes.err()).unwrap_or_default()),
        }
    }

    /// So much was taken.
    pub(super) fn charge(&mut self, rate: &MaxRate, lines: u64, bytes: u64, now_ns: u64) {
        self.lines.charge(rate.lines, lines, now_ns);
        self.bytes.charge(rate.bytes, bytes, now_ns);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    paid_ns: u64,
}

impl Bucket {
    /// How many are in it; at least one, or when there is some again, in ns.
    fn left(&self, per_second: Option<u64>, now_ns: u64) -> Result<usize, u64> {
        let Some(per_second) = per_second else {
            return Ok(usize::MAX);
        };
        if self.paid_ns > now_ns {
            return Err(self.paid_ns + PACE_TURN_NS);
        }
        let saved_ns = (now_ns - self.paid_ns).min(PACE_BURST_NS);
        let count = u128::from(saved_ns) * u128::from(per_second) / SECOND_NS;
        Ok(usize::try_from(count).unwrap_or(usize::MAX).max(1))
    }

    fn charge(&mut self, per_second: Option<u64>, count: u64, now_ns: u64) {
        let Some(per_second) = per_second else {
            return;
        };
        let cost_ns = (u128::from(count) * SECOND_NS).div_ceil(u128::from(per_second.max(1)));
        let cost_ns = u64::try_from(cost_ns).unwrap_or(u64::MAX);
        let from_ns = self.paid_ns.max(now_ns.saturating_sub(PACE_BURST_NS));
        self.paid_ns = from_ns.saturating_add(cost_ns);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(lines: Option<u64>, bytes: Option<u64>) -> MaxRate {
        MaxRate { lines, bytes }
    }

    /// Lines of this length that somebody who always has more gets through in ten seconds.
    fn in_ten_seconds(rate: &MaxRate, len: u64) -> u64 {
        let (mut pace, mut now_ns, mut taken) = (Pace::default(), 5 * SECOND, 0);
        let end_ns = now_ns + 10 * SECOND;
        while now_ns < end_ns {
            match pace.share(rate, now_ns) {
                Ok(share) => {
                    let by_bytes = (share.bytes as u64 / len).max(1);
                    let lines = by_bytes.min(share.lines as u64);
                    pace.charge(rate, lines, lines * len, now_ns);
                    taken += lines;
                    now_ns += 1_000;
                }
                Err(until_ns) => {
                    assert!(until_ns > now_ns);
                    now_ns = until_ns;
                }
            }
        }
        taken
    }

    #[test]
    fn the_rate_is_kept_in_lines_and_in_bytes() {
        for per_second in [1, 50, 5_000, 200_000] {
            let taken = in_ten_seconds(&rate(Some(per_second), None), 400);
            let (min, max) = (10 * per_second * 98 / 100, 10 * per_second * 102 / 100 + 2);
            assert!((min..=max).contains(&taken), "{taken} at {per_second}");
        }
        let taken = in_ten_seconds(&rate(Some(1_000_000), Some(40_000)), 400);
        assert!((980..=1_022).contains(&taken), "{taken}");
    }

    #[test]
    fn without_a_rate_nothing_is_held_back() {
        let none = rate(None, None);
        let mut pace = Pace::default();
        pace.charge(&none, u64::MAX, u64::MAX, 7);
        let share = pace.share(&none, 7).expect("all");
        assert_eq!((share.lines, share.bytes), (TURN_LINES_MAX, usize::MAX));
    }

    #[test]
    fn a_line_that_is_longer_than_what_is_there_is_taken_and_paid_for() {
        let slow = rate(None, Some(1_000));
        let mut pace = Pace::default();
        let now_ns = 9 * SECOND;
        assert!(pace.share(&slow, now_ns).is_ok());
        pace.charge(&slow, 1, 5_000, now_ns);
        let until_ns = pace.share(&slow, now_ns).expect_err("it is paid for");
        assert_eq!(until_ns, now_ns - PACE_BURST_NS + 5 * SECOND + PACE_TURN_NS);
        assert!(pace.share(&slow, until_ns).is_ok());
    }

    proptest! {
        /// However a peer splits what it sends, it gets no more than the rate and one burst.
        #[test]
        fn no_more_than_the_rate_and_a_burst_is_taken(
            per_second in 1_u64..100_000,
            steps in proptest::collection::vec((0_u64..SECOND / 4, 1_u64..5_000), 1..60),
        ) {
            let rate = rate(Some(per_second), None);
            let (mut pace, begin_ns) = (Pace::default(), 7 * SECOND);
            let (mut now_ns, mut taken, mut last) = (begin_ns, 0, 0);
            for (pause_ns, wanted) in steps {
                now_ns += pause_ns;
                if let Ok(share) = pace.share(&rate, now_ns) {
                    last = wanted.min(share.lines as u64);
                    pace.charge(&rate, last, 0, now_ns);
                    taken += last;
                }
            }
            let allowed_ns = now_ns - begin_ns + PACE_BURST_NS;
            let allowed = u128::from(allowed_ns) * u128::from(per_second) / SECOND_NS;
            prop_assert!(u128::from(taken) <= allowed + 1, "{taken} of {allowed}, {last}");
        }
    }
}
