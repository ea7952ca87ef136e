//! When a failing store is retried, and how often its failure is logged.
//!
//! Pure: `now` and a random number generator come in, decisions go out.

use std::time::Duration;

use crate::clock::Now;
use crate::limits::{STORE_RETRY_MS_MAX, STORE_RETRY_MS_MIN};
use crate::log_limit::{LeftOut, LogLimit};

/// The same cause is logged again after this long.
const LOG_AGAIN: Duration = Duration::from_secs(60);
const NS_PER_MS: u64 = 1_000_000;

/// The failures since the last success.
#[derive(Debug)]
pub(super) struct Backoff {
    random: fastrand::Rng,
    failures: u32,
    retry_at_ns: u64,
    /// The cause that was logged last, and when.
    logged: Option<(String, u64)>,
    /// Causes may take turns, and the store fail and work by turns.
    log_failures: LogLimit,
    log_recoveries: LogLimit,
}

impl Backoff {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self {
            random,
            failures: 0,
            retry_at_ns: 0,
            logged: None,
            log_failures: LogLimit::default(),
            log_recoveries: LogLimit::default(),
        }
    }

    /// Whether it is too early to try again.
    pub(super) fn must_wait(&self, now: Now) -> bool {
        self.failures > 0 && now.ns < self.retry_at_ns
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Notes a failure: exponential, with full jitter. Returns whether to log it.
    pub(super) fn failed(&mut self, cause: &str, now: Now) -> Option<LeftOut> {
        let ceiling_ms = STORE_RETRY_MS_MIN
            .checked_shl(self.failures.min(16))
            .map_or(STORE_RETRY_MS_MAX, |it| it.min(STORE_RETRY_MS_MAX));
        self.failures = self.failures.saturating_add(1);
        self.retry_at_ns = now.ns + self.random.u64(1..=ceiling_ms * NS_PER_MS);
        let again_ns = LOG_AGAIN.as_nanos() as u64;
        let is_new = match &self.logged {
            Some((logged, at_ns)) => logged != cause || now.ns >= at_ns + again_ns,
            None => true,
        };
        let logged = self.log_failures.admit_if(is_new, now);
        if logged.is_some() {
            self.logged = Some((cause.to_owned(), now.ns));
        }
        logged
    }

    /// Notes a success. Returns how many failures went before it, if that is to be logged.
    pub(super) fn succeeded(&mut self, now: Now) -> Option<(u32, LeftOut)> {
        let failures = std::mem::take(&mut self.failures);
        let logged = self.log_recoveries.admit_if(failures > 0, now)?;
        Some((failures, logged))
    }

    /// Failures and recoveries that were left out of the log, where nothing came since that could say so.
    pub(super) fn left_out(&mut self, now: Now) -> (Option<LeftOut>, Option<LeftOut>) {
        let Self {
            log_failures,
            log_recoveries,
            ..
        } = self;
        (log_failures.overdue(now), log_recoveries.overdue(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now::default().after(Duration::from_millis(ms))
    }

    #[test]
    fn pauses_grow_to_their_limit_and_vary() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        assert!(!backoff.must_wait(at(0)));
        let mut pauses = Vec::new();
        for failure in 0..100_u32 {
            backoff.failed("down", at(1_000));
            assert!(backoff.must_wait(at(1_000)));
            let pause_ns = backoff.retry_at_ns - at(1_000).ns;
            let ceiling_ms = (100 << failure.min(10)).min(STORE_RETRY_MS_MAX);
            assert!(pause_ns <= ceiling_ms * NS_PER_MS);
            pauses.push(pause_ns);
        }
        assert!(pauses.iter().any(|&it| it > 4_000 * NS_PER_MS));
        assert!(pauses[20..].iter().any(|&it| it < 1_000 * NS_PER_MS));
        assert_eq!(backoff.succeeded(at(1_000)).map(|it| it.0), Some(100));
        assert!(!backoff.must_wait(at(1_000)));
    }

    #[test]
    fn a_cause_is_told_once_a_minute_and_a_new_one_at_once() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        assert!(backoff.failed("down", at(0)).is_some());
        assert!(backoff.failed("down", at(59_000)).is_none());
        assert!(backoff.failed("down", at(60_000)).is_some());
        assert!(backoff.failed("full", at(60_001)).is_some());
        assert!(backoff.failed("full", at(60_002)).is_none());
    }

    #[test]
    fn what_was_left_out_is_told_though_the_store_neither_fails_nor_recovers_again() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        for number in 0..9 {
            backoff.failed(&format!("cause {number}"), at(number));
            backoff.succeeded(at(number));
        }
        assert_eq!(backoff.left_out(at(9_000)), (None, None));
        let (failures, recoveries) = backoff.left_out(at(10_000));
        assert_eq!(failures.map(|it| it.count), Some(4));
        assert_eq!(recoveries.map(|it| it.count), Some(4));
        assert_eq!(backoff.left_out(at(60_000)), (None, None));
    }
}
