//! A month of the world: shifts with and without trouble, customers who are away for one, nights in
//! which no source answers, and hours that pass in leaps while nothing happens. At the end of each day
//! it is looked at what has grown.

use super::World;
use crate::failure::Failure;
use crate::growth::Remainder;
use crate::plan::{Faults, Leak, Month, SHIFT_NS, SHIFTS, trouble};
use crate::world::Outcome;

/// Shifts in which things go wrong, a customer is away, or, if they may, a life ends; per mille.
const TROUBLE: u32 = 400;
const AWAY: u32 = 150;
const ENDS: u32 = 500;
/// After a shift each source hangs up, or none can be reached until the next one.
const HANGS_UP: u32 = 300;
const UNREACHABLE: u32 = 200;

/// Turns without work after which nothing happens before time has passed: several of everybody.
const IDLE_TURNS: usize = 60;
/// Time that passes at once then, at most, in ms.
const LEAP_MS_MAX: usize = 3_600_000;

impl World {
    /// Runs a month to its end.
    pub fn run_month(&mut self) -> Result<Outcome, Failure> {
        let month = self.plan.month.expect("the plan is of a month");
        if self.plan.leaks(Leak::Descriptor) {
            self.disk.leak();
        }
        if self.plan.leaks(Leak::Connection) {
            self.wire.leak();
        }
        for shift in 0..month.days * SHIFTS {
            let end_ns = (shift as u64 + 1) * SHIFT_NS;
            let is_last_of_day = (shift + 1).is_multiple_of(SHIFTS);
            self.work(shift, end_ns, is_last_of_day)?;
            self.growth.note_shift();
            self.idle_until(end_ns)?;
            if is_last_of_day {
                self.look_at_growth()?;
            }
        }
        self.finish_run()
    }

    /// A shift: its lines come, and all of them are delivered but those for who is away.
    fn work(&mut self, shift: usize, end_ns: u64, is_last_of_day: bool) -> Result<(), Failure> {
        let upto = Month::lines_until(shift);
        self.sources.iter_mut().for_each(|it| it.allow(upto));
        let away = (!is_last_of_day && self.month_dice.chance(AWAY))
            .then(|| self.month_dice.pick(0..=self.customers.len() - 1));
        if let Some(away) = away {
            self.customers[away].stay_away(end_ns);
        }
        if self.month_dice.chance(TROUBLE) {
            self.trouble();
            let until_ns = self.time.ns() + self.month_dice.long(0..=self.plan.trouble_ns);
            while self.time.ns() < until_ns {
                self.step()?;
            }
        }
        self.calm();
        if let Some(away) = away {
            self.customers[away].stay_away(end_ns);
        }
        self.get_done(away.is_some())
    }

    fn trouble(&mut self) {
        let month = self.plan.month.expect("the plan is of a month");
        let faults = trouble(month, self.plan.durability, &mut self.month_dice);
        self.calm_since_ns = None;
        self.faults = faults;
        self.wire.trouble(faults);
        self.disk.trouble(faults);
        self.database.trouble(faults);
        self.rejected.trouble();
        if month.has_ends && self.month_dice.chance(ENDS) {
            self.ends_left = 1;
            self.fate = self.draw_fate();
        }
    }

    /// Nothing happens until then, but what the engine does by itself; time passes in leaps.
    fn idle_until(&mut self, end_ns: u64) -> Result<(), Failure> {
        for source in &mut self.sources {
            if self.month_dice.chance(HANGS_UP) {
                source.hang_up();
            }
        }
        if self.month_dice.chance(UNREACHABLE) {
            self.wire.trouble(Faults {
                refuse: 1_000,
                delay_ns: 50_000,
                ..Faults::default()
            });
        }
        while self.time.ns() < end_ns {
            self.settle()?;
            let leap_ns = self.month_dice.skewed(LEAP_MS_MAX) as u64 * 1_000_000;
            let left_ns = end_ns.saturating_sub(self.time.ns());
            self.time.pass(leap_ns.min(left_ns));
            if let Some(life) = &mut self.life {
                life.collect(left_ns <= leap_ns);
            }
        }
        self.wire.calm();
        self.settle()
    }

    /// Everybody has turns until nothing happens without time passing.
    fn settle(&mut self) -> Result<(), Failure> {
        self.step()?;
        while self.turns.quiet() < IDLE_TURNS {
            self.step()?;
        }
        Ok(())
    }

    fn look_at_growth(&mut self) -> Result<(), Failure> {
        self.disk.forget();
        let remainder = Remainder {
            journal: self.disk.used(),
            rejected: self.rejected.used(),
            open_files: self.disk.open_files() + self.rejected.open_files(),
            sockets: self.wire.sockets(),
            heap: self.account.held(),
            counters: self.counters.clone(),
        };
        let looked = self.growth.look(&self.plan, remainder);
        looked.map_err(|what| self.failure("growth", what))
    }
}
