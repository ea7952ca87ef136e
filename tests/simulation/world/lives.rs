//! Lives of the engine: how each begins, what is to become of it, and how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use flipped_lb::counters::Counter;

use super::{Fate, World};
use crate::failure::Failure;
use crate::history::{End, Event};
use crate::life::{Life, read_journal};
use crate::plan::Leak;

/// Turns for which nothing may happen in an engine that was told to stop.
const QUIET_TURNS: usize = 300;
/// A stop is waited for this long, in ns.
const STOP_NS_MAX: u64 = 5_000_000_000;
/// Who was told to die within an operation dies after this long in any case, in ns.
const DEATH_NS_MAX: u64 = 300_000_000;

impl World {
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let max = self.faults.wrong_clock_us;
        let wrong_by_us = self.dice.long(0..=2 * max as u64) as i64 - max;
        let is_calm = self.calm_since_ns.is_some();
        if !is_calm && self.dice.chance(self.faults.within / 4) {
            self.disk.die_soon();
        }
        self.machine.set_wrong(wrong_by_us);
        if wrong_by_us != 0 {
            self.tally.met("wall clock wrong at a start");
        }
        let seed = self.dice.seed();
        let world = (&self.disk, &self.wire, &self.database, &self.rejected);
        let drawn = (self.account, seed, self.plan.scheduler_ring);
        let started =
            (self.account).within(|| Life::start(&self.config, world, &self.machine, drawn));
        match started {
            Ok(mut life) => {
                if self.plan.leaks(Leak::Memory) {
                    life.leak();
                }
                self.life = Some(life);
                self.certain.clone_from(&self.surviving);
                self.outcome.lives += 1;
                self.fate = self.draw_fate();
                self.note(vec![Event::Started])
            }
            Err(_) if self.disk.is_dead() || self.disk.has_failed() => self.end(None),
            Err(error) => self.note(vec![Event::Refused(error.to_string())]),
        }
    }

    pub(super) fn draw_fate(&mut self) -> Fate {
        if self.ends_left == 0 || self.calm_since_ns.is_some() {
            return Fate::Until(u64::MAX);
        }
        let trouble_ms = (self.plan.trouble_ns / 1_000_000) as usize;
        let life_ns = self.dice.skewed(trouble_ms) as u64 * 1_000_000;
        Fate::Until(self.time.ns() + life_ns)
    }

    pub(super) fn look_at_fate(&mut self) -> Result<(), Failure> {
        if self.life.is_none() {
            return Ok(());
        }
        let now_ns = self.time.ns();
        match self.fate {
            Fate::Until(at_ns) if at_ns <= now_ns => self.begin_end(now_ns),
            Fate::Doomed(at_ns) if at_ns <= now_ns => self.end(None),
            Fate::Stopping(at_ns) if at_ns <= now_ns => self.end(None),
            Fate::Stopping(_) if self.turns.quiet() > QUIET_TURNS => self.finish(),
            _ => Ok(()),
        }
    }

    fn begin_end(&mut self, now_ns: u64) -> Result<(), Failure> {
        if self.dice.chance(self.faults.orderly) {
            let life = self.life.as_ref().expect("who has a fate lives");
            life.signals.draining.store(true, Ordering::Relaxed);
            self.fate = Fate::Stopping(now_ns + STOP_NS_MAX);
            return Ok(());
        }
        if !self.dice.chance(self.faults.within) {
            return self.end(None);
        }
        match self.dice.flip() {
            true => self.disk.die_soon(),
            false => self.database.die_soon(),
        }
        self.fate = Fate::Doomed(now_ns + DEATH_NS_MAX);
        Ok(())
    }

    /// Completes an orderly stop, if it is quiet.
    fn finish(&mut self) -> Result<(), Failure> {
        let life = self.life.as_mut().expect("who has a fate lives");
        if !life.signals.drained.load(Ordering::Acquire) {
            return Ok(());
        }
        self.disk.ending();
        let result = life.finish();
        let life_counters = Arc::clone(&life.counters);
        let mut events = self.wire.events();
        events.extend(self.database.events());
        self.note(events)?;
        // What found no room is told, and the exit code says so.
        let is_recorded =
            life_counters.get(Counter::LastSequence) <= life_counters.get(Counter::JournalRecorded);
        // So is what waited behind a wrong line that found none: its source acknowledges nothing.
        let is_all_taken = life_counters.get(Counter::HeldLost) == 0;
        let is_orderly = result.is_ok() && is_recorded && is_all_taken;
        self.end(is_orderly.then_some(End::Orderly))
    }

    /// The present life is over, or an engine that was being started is.
    pub(super) fn end(&mut self, how: Option<End>) -> Result<(), Failure> {
        let power = self.calm_since_ns.is_none() && self.dice.chance(self.faults.power);
        let how = how.unwrap_or(if power { End::PowerLost } else { End::Killed });
        self.tally.met(match how {
            End::Orderly => "ended in an orderly way",
            End::Killed => "killed",
            End::PowerLost => "power lost",
        });
        self.life = None;
        let held = self.account.held();
        let left = self.growth.note_end(held, how == End::PowerLost);
        left.map_err(|what| self.failure("growth", what))?;
        self.ends_left = self.ends_left.saturating_sub(1);
        self.wire.engine_ends(how == End::PowerLost);
        self.disk.restart(how == End::PowerLost);
        self.database.restart();
        self.rejected.restart(how == End::PowerLost);
        if how == End::PowerLost {
            // What a killed life had not synced may be gone now.
            self.surviving.clone_from(&self.certain);
        }
        read_journal(&self.disk.look(), self.plan.segment, &mut self.surviving);
        if how == End::PowerLost {
            self.machine = self.time.boot(self.outcome.lives as u128 + 1);
        }
        self.starts_ns = self.time.ns() + self.dice.skewed(1_000) as u64 * 1_000_000;
        let event = Event::Ended {
            how,
            surviving: self.surviving.clone(),
            storage_well_since_ns: self.disk.troubled_ns(),
        };
        self.note(vec![event])
    }
}
