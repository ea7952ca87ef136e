//! Simulated time: stands still until the world moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flipped_lb::clock::{Clock, Now};

/// When every world begins: 2026-01-31 07:00 UTC, in us since the epoch.
const BEGINNING_US: u64 = 1_769_842_800_000_000;

/// The world's time, in ns since it began; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    /// How old the world is.
    pub fn ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Moves on.
    pub fn pass(&self, ns: u64) {
        self.0.fetch_add(ns, Ordering::Relaxed);
    }

    /// The clock of an engine that starts now, on a machine whose clock is wrong by so much.
    pub fn clock(&self, wrong_by_us: i64) -> EngineClock {
        EngineClock {
            time: self.clone(),
            started_ns: self.ns(),
            wrong_by_us,
        }
    }
}

/// What one life of the engine reads: nanoseconds since its start, and the wall clock.
#[derive(Debug, Clone)]
pub struct EngineClock {
    time: Time,
    started_ns: u64,
    wrong_by_us: i64,
}

impl Clock for EngineClock {
    fn now(&self) -> Now {
        let ns = self.time.ns();
        Now {
            ns: ns - self.started_ns,
            epoch_us: (BEGINNING_US + ns / 1_000).saturating_add_signed(self.wrong_by_us),
        }
    }
}
