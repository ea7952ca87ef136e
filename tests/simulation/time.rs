//! Simulated time: stands still until the world moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use flipped_lb::clock::boot::Past;
use flipped_lb::clock::{Boot, BootTie, Clock, Now};

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

    /// The machine's clocks when it starts now, its `number`-th time.
    pub fn boot(&self, number: u128) -> Machine {
        Machine {
            time: self.clone(),
            booted_ns: self.ns(),
            number,
            wrong_by_us: Arc::default(),
        }
    }
}

/// The clocks of the machine that engines run on: a right one since its start, and a wall clock that
/// is wrong, by more or less as the world sets it.
#[derive(Debug, Clone)]
pub struct Machine {
    time: Time,
    booted_ns: u64,
    number: u128,
    wrong_by_us: Arc<AtomicI64>,
}

impl Machine {
    /// Sets the wall clock.
    pub fn set_wrong(&self, by_us: i64) {
        self.wrong_by_us.store(by_us, Ordering::Relaxed);
    }

    fn boot(&self) -> Boot {
        Boot {
            id: self.number,
            age_us: (self.time.ns() - self.booted_ns) / 1_000,
        }
    }

    /// The wall clock, in us since the epoch.
    pub fn wall_us(&self) -> u64 {
        let right_us = BEGINNING_US + self.time.ns() / 1_000;
        right_us.saturating_add_signed(self.wrong_by_us.load(Ordering::Relaxed))
    }

    /// The clock of an engine that starts now on a journal that says this.
    pub fn clock(&self, past: &Past) -> EngineClock {
        let (boot, wall_us) = (self.boot(), self.wall_us());
        EngineClock {
            machine: self.clone(),
            started_ns: self.time.ns(),
            steady_us: past.goes_on_at(boot, wall_us),
            boot,
        }
    }
}

/// What one life of the engine reads.
#[derive(Debug, Clone)]
pub struct EngineClock {
    machine: Machine,
    started_ns: u64,
    steady_us: u64,
    boot: Boot,
}

impl Clock for EngineClock {
    fn now(&self) -> Now {
        let ns = self.machine.time.ns() - self.started_ns;
        Now {
            ns,
            steady_us: self.steady_us + ns / 1_000,
            epoch_us: self.machine.wall_us(),
        }
    }

    fn boot_tie(&self) -> BootTie {
        BootTie::new(self.boot, self.steady_us)
    }
}
