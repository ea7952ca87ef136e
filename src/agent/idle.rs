//! Idle strategies: what a thread does between two duty cycles that found no work.

use crate::config::IdleKind;

/// Fruitless cycles with nothing but a pause in between: work that follows at once is met at once.
const SPINS: u32 = 20;
/// Fruitless cycles after these with the core offered to others.
const YIELDS: u32 = 10;
/// First park, in milliseconds.
const PARK_MS_MIN: u32 = 1;
/// Longest park: timers (dials, ageing, acknowledgements) are late by this much at most.
const PARK_MS_MAX: u32 = 64;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Go on, with a hint to the core.
    Spin,
    /// Offer the core to others.
    Yield,
    /// Sleep until woken, this long at most.
    Park {
        /// Milliseconds.
        timeout_ms: u32,
    },
}

/// Counts fruitless cycles.
#[derive(Debug, Clone)]
pub(crate) struct Idle {
    kind: IdleKind,
    fruitless: u32,
    park_ms: u32,
}

impl Idle {
    /// Starts awake.
    #[must_use]
    pub(crate) fn new(kind: IdleKind) -> Self {
        Self {
            kind,
            fruitless: 0,
            park_ms: PARK_MS_MIN,
        }
    }

    /// There was work.
    pub(crate) fn reset(&mut self) {
        self.fruitless = 0;
        self.park_ms = PARK_MS_MIN;
    }

    /// There was none.
    pub(crate) fn rest(&mut self) -> Rest {
        self.fruitless = self.fruitless.saturating_add(1);
        match self.kind {
            IdleKind::Spin => Rest::Spin,
            IdleKind::Yield => Rest::Yield,
            IdleKind::Backoff if self.fruitless <= SPINS => Rest::Spin,
            IdleKind::Backoff if self.fruitless <= SPINS + YIELDS => Rest::Yield,
            IdleKind::Backoff => {
                let timeout_ms = self.park_ms;
                self.park_ms = (self.park_ms * 2).min(PARK_MS_MAX);
                Rest::Park { timeout_ms }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backing_off_spins_then_yields_then_parks_ever_longer() {
        let mut idle = Idle::new(IdleKind::Backoff);
        let rests: Vec<_> = (0..SPINS + YIELDS + 9).map(|_| idle.rest()).collect();
        assert!(rests[..20].iter().all(|it| *it == Rest::Spin));
        assert!(rests[20..30].iter().all(|it| *it == Rest::Yield));
        assert_eq!(
            rests[30],
            Rest::Park {
                timeout_ms: PARK_MS_MIN
            }
        );
        assert_eq!(
            rests.last(),
            Some(&Rest::Park {
                timeout_ms: PARK_MS_MAX
            })
        );
        idle.reset();
        assert_eq!(idle.rest(), Rest::Spin);
    }

    #[test]
    fn the_other_strategies_never_park() {
        for (kind, rest) in [(IdleKind::Spin, Rest::Spin), (IdleKind::Yield, Rest::Yield)] {
            let mut idle = Idle::new(kind);
            assert!((0..1_000).all(|_| idle.rest() == rest));
        }
    }
}
