//! Whose turn it is, and how long the last one took.
//!
//! Everybody's share is drawn anew every now and then, so that agents that are fast for a while are
//! slow, or stand still, for another; that is how rings fill and orders of events come about that
//! no machine shows in a year.

use crate::dice::Dice;
use crate::life::Part;
use crate::plan::Plan;

/// Who can have a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    Source(usize),
    Customer(usize),
    Engine(Part),
}

/// Turns after which the shares are drawn anew, at most.
const SHARES_TURNS_MAX: usize = 4_000;
/// Turns without work after which time begins to pass faster.
const PATIENT_TURNS: usize = 40;
/// A turn takes this long at most, in ns.
const PAUSE_NS_MAX: u64 = 20_000_000;

/// See the module.
#[derive(Debug)]
pub struct Turns {
    dice: Dice,
    stall: u32,
    actors: Vec<Actor>,
    /// A ticket for each turn that an actor gets in a round, on average.
    tickets: Vec<Actor>,
    redraw_in: usize,
    quiet: usize,
    count: usize,
}

impl Turns {
    /// All have the same share.
    pub fn new(plan: &Plan, dice: Dice) -> Self {
        let agents = 6 + plan.agents;
        let engine = (0..agents).map(Part::Agent).chain([Part::Store]);
        let actors: Vec<Actor> = (0..plan.sources.len())
            .map(Actor::Source)
            .chain((0..plan.customers.len()).map(Actor::Customer))
            .chain(engine.map(Actor::Engine))
            .collect();
        Self {
            dice,
            stall: plan.faults.stall,
            tickets: actors.clone(),
            actors,
            redraw_in: 0,
            quiet: 0,
            count: 0,
        }
    }

    /// Who is next.
    pub fn next(&mut self, is_calm: bool) -> Actor {
        self.count += 1;
        if is_calm {
            return self.actors[self.count % self.actors.len()];
        }
        if self.redraw_in == 0 || self.quiet > 2 * PATIENT_TURNS && self.count.is_multiple_of(64) {
            self.redraw();
        }
        self.redraw_in -= 1;
        self.dice.of(&self.tickets)
    }

    fn redraw(&mut self) {
        self.redraw_in = self.dice.skewed(SHARES_TURNS_MAX);
        self.tickets.clear();
        for &actor in &self.actors {
            let stalls = self.dice.chance(self.stall);
            let share = if stalls { 0 } else { self.dice.of(&[1, 4, 16]) };
            self.tickets.extend(std::iter::repeat_n(actor, share));
        }
        if self.tickets.is_empty() {
            self.tickets.clone_from(&self.actors);
        }
    }

    /// Whether the turn was of any use.
    pub fn note(&mut self, worked: bool) {
        self.quiet = if worked { 0 } else { self.quiet + 1 };
    }

    /// Turns of no use since the last that was of use.
    pub fn quiet(&self) -> usize {
        self.quiet
    }

    /// Turns so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How long a turn takes: some microseconds, and longer and longer while nothing happens.
    pub fn pause_ns(&mut self) -> u64 {
        let patience = self.quiet.saturating_sub(PATIENT_TURNS) / 8;
        let longest = 20_000 << patience.min(12);
        (self.dice.skewed(longest) as u64).clamp(1, PAUSE_NS_MAX)
    }
}
