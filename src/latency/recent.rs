//! Latencies of the last ten minutes, a summary a step, and the cells of heat maps.
//!
//! The monitor feeds it with the intervals that it adds to [`super::Totals`], and with the time; the
//! page and `/history` read it. It is off the path, and keeps no histogram longer than a step.
//!
//! ```text
//! interval --> by_level (a stage and level a cell) --+-- every 10 s --> RecentStep, 60 of them
//!          \-> by_slot  (a destination a cell) ------+
//! ```

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::grid::{Grid, Shape};
use super::{Interval, Stage, Summary, Totals, bins};
use crate::clock::Now;
use crate::limits::{RECENT_STEP, RECENT_STEPS};
use crate::message::{DestinationIndex, Level};

/// Rows of a heat map in a decade of latency.
pub(crate) const ROWS_PER_DECADE: i32 = 10;

/// Shorter latencies are in its lowest row, in us.
const ROW_US_MIN: f64 = 0.1;

/// The latencies of one step.
#[derive(Debug)]
pub(crate) struct RecentStep {
    /// In us since the epoch.
    pub(crate) start_us: u64,
    pub(crate) length_us: u64,
    levels: Level,
    /// Of each stage: all levels, level 1, level 2 ...
    summaries: Vec<Summary>,
    /// Of the destinations that got something, by slot.
    customers: Vec<(usize, Summary)>,
    /// Of each stage: rows of a tenth of a decade of us, and how many messages are in them.
    rows: [Vec<(i32, u64)>; Stage::ALL.len()],
}

/// The last steps, and the one that is being filled.
#[derive(Debug)]
pub(crate) struct Recent {
    shape: Shape,
    by_level: Grid<u64>,
    by_slot: Grid<u64>,
    /// When the step began, in ns of the engine's clock and in us since the epoch.
    began: Option<(u64, u64)>,
    steps: VecDeque<RecentStep>,
}

impl Recent {
    /// Nothing yet; of the shape of these totals.
    pub(crate) fn like(totals: &Totals) -> Self {
        let shape = totals.shape();
        let by_level = Shape { slots: 1, ..shape };
        let by_slot = Shape { levels: 1, ..shape };
        Self {
            shape,
            by_level: Grid::new(by_level),
            by_slot: Grid::new(by_slot),
            began: None,
            steps: VecDeque::new(),
        }
    }

    /// Adds an interval to the step.
    ///
    /// # Panics
    /// It is of another shape than the totals: a bug.
    pub(crate) fn merge(&mut self, interval: &Interval) {
        assert_eq!(self.shape, interval.grid().shape(), "one engine, one shape");
        let Shape { levels, slots } = self.shape;
        self.by_level
            .merge_into(interval.grid(), |cell| Some(cell / slots));
        let total = Stage::Total as usize;
        self.by_slot.merge_into(interval.grid(), |cell| {
            let is_total = cell / (levels * slots) == total;
            is_total.then_some(total * slots + cell % slots)
        });
    }

    /// Ends the step if it has lasted long enough.
    pub(crate) fn advance(&mut self, now: Now) {
        let (began_ns, start_us) = *self.began.get_or_insert((now.ns, now.epoch_us));
        let length_ns = now.ns.saturating_sub(began_ns);
        if u128::from(length_ns) < RECENT_STEP.as_nanos() {
            return;
        }
        if self.steps.len() == RECENT_STEPS {
            self.steps.pop_front();
        }
        let step = self.step(start_us, length_ns / 1_000);
        self.steps.push_back(step);
        self.by_level.clear();
        self.by_slot.clear();
        self.began = Some((now.ns, now.epoch_us));
    }

    /// A destination's name has gone: another one may get its slot.
    pub(crate) fn retire(&mut self, destination: DestinationIndex) {
        let slot = self.shape.slot(destination);
        if slot == self.shape.others() {
            return;
        }
        let total = Stage::Total as usize;
        self.by_slot.clear_cell(total * self.shape.slots + slot);
        for step in &mut self.steps {
            step.customers.retain(|(it, _)| *it != slot);
        }
    }

    /// The steps that are complete, oldest first.
    pub(crate) fn steps(&self) -> impl DoubleEndedIterator<Item = &RecentStep> + ExactSizeIterator {
        self.steps.iter()
    }

    /// Where a destination's summaries are; `None`: it shares them with others.
    pub(crate) fn slot(&self, destination: DestinationIndex) -> Option<usize> {
        let slot = self.shape.slot(destination);
        (slot != self.shape.others()).then_some(slot)
    }

    fn step(&self, start_us: u64, length_us: u64) -> RecentStep {
        let levels = self.shape.levels;
        let mut summaries = Vec::with_capacity(Stage::ALL.len() * (levels + 1));
        let rows = Stage::ALL.map(|stage| {
            let mut all = bins::histogram();
            let mut by_level = Vec::with_capacity(levels);
            for level in 0..levels {
                let cell = stage as usize * levels + level;
                let mut one = bins::histogram();
                self.by_level.add_to(cell, &mut one);
                self.by_level.add_to(cell, &mut all);
                by_level.push(Summary::of(&one));
            }
            summaries.push(Summary::of(&all));
            summaries.extend(by_level);
            rows(&all)
        });
        RecentStep {
            start_us,
            length_us,
            levels: levels as Level,
            summaries,
            customers: self.customers(),
            rows,
        }
    }

    fn customers(&self) -> Vec<(usize, Summary)> {
        let total = Stage::Total as usize;
        let cells = (0..self.shape.slots).map(|slot| (slot, total * self.shape.slots + slot));
        let used = cells.filter(|(_, cell)| self.by_slot.count(*cell) > 0);
        let summaries = used.map(|(slot, cell)| {
            let mut histogram = bins::histogram();
            self.by_slot.add_to(cell, &mut histogram);
            (slot, Summary::of(&histogram))
        });
        summaries.collect()
    }
}

impl RecentStep {
    /// A stage, all levels together.
    pub(crate) fn stage(&self, stage: Stage) -> Summary {
        self.level(stage, 0)
    }

    /// A level of a stage; level 0: all of them.
    pub(crate) fn level(&self, stage: Stage, level: Level) -> Summary {
        debug_assert!(level <= self.levels);
        let at = stage as usize * (usize::from(self.levels) + 1) + usize::from(level);
        self.summaries[at]
    }

    /// A destination's slot.
    pub(crate) fn customer(&self, slot: usize) -> Summary {
        let found = self.customers.iter().find(|(it, _)| *it == slot);
        found.map_or_else(Summary::default, |(_, summary)| *summary)
    }

    /// Row `n` is of latencies from 10^(n/10) us; with how many messages.
    pub(crate) fn rows(&self, stage: Stage) -> &[(i32, u64)] {
        &self.rows[stage as usize]
    }
}

fn rows(histogram: &Histogram<u64>) -> Vec<(i32, u64)> {
    let mut rows: Vec<(i32, u64)> = Vec::new();
    for bin in histogram.iter_recorded() {
        let us = (bin.value_iterated_to() as f64 / 1e3).max(ROW_US_MIN);
        let row = (us.log10() * f64::from(ROWS_PER_DECADE)).floor() as i32;
        match rows.last_mut() {
            Some((last, count)) if *last == row => *count += bin.count_at_value(),
            _ => rows.push((row, bin.count_at_value())),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Now {
        Now {
            ns: second * 1_000_000_000,
            steady_us: second * 1_000_000,
            epoch_us: 1_700_000_000_000_000 + second * 1_000_000,
        }
    }

    fn recent() -> Recent {
        Recent::like(&Totals::new(2, 3))
    }

    fn interval(destination: DestinationIndex, ns: u64) -> Interval {
        let mut interval = Interval::new(2, 3);
        for stage in Stage::ALL {
            interval.record(stage, 2, destination, ns, 5);
        }
        interval
    }

    #[test]
    fn a_step_has_what_came_in_it_and_nothing_of_the_one_before() {
        let mut recent = recent();
        recent.advance(at(0));
        recent.merge(&interval(1, 100_000));
        recent.advance(at(9));
        assert_eq!(recent.steps().len(), 0, "too soon");
        recent.advance(at(10));
        recent.merge(&interval(2, 4_000_000));
        recent.advance(at(20));
        let steps: Vec<_> = recent.steps().collect();
        assert_eq!(steps.len(), 2);
        for (step, (slot, ns)) in steps.iter().zip([(1, 100_000_u64), (2, 4_000_000)]) {
            assert_eq!(step.length_us, 10_000_000);
            for stage in Stage::ALL {
                assert_eq!(step.stage(stage).count, 5);
                assert_eq!(step.level(stage, 1).count, 0);
                assert!(step.level(stage, 2).p99_ns.abs_diff(ns) < ns / 50);
            }
            assert_eq!(step.customer(slot).count, 5);
            assert_eq!(step.customer(0).count, 0);
        }
        assert_eq!(steps[0].rows(Stage::Queue), [(20, 5)]);
        assert_eq!(steps[1].rows(Stage::Queue), [(36, 5)]);
    }

    #[test]
    fn old_steps_go() {
        let mut recent = recent();
        for second in 0..=(RECENT_STEPS as u64 + 5) * 10 {
            recent.advance(at(second));
        }
        assert_eq!(recent.steps().len(), RECENT_STEPS);
        let first = recent.steps().next().expect("there are some");
        assert_eq!(first.start_us, at(50).epoch_us);
    }

    #[test]
    fn the_next_name_of_a_slot_begins_with_nothing() {
        let mut recent = recent();
        recent.advance(at(0));
        for second in [10, 20] {
            recent.merge(&interval(1, 100_000));
            if second == 20 {
                recent.retire(1);
            }
            recent.advance(at(second));
        }
        assert!(recent.steps().all(|it| it.customer(1).count == 0));
        assert!(recent.steps().all(|it| it.stage(Stage::Total).count == 5));
        assert_eq!((recent.slot(2), recent.slot(3)), (Some(2), None));
    }

    #[test]
    fn the_shortest_are_in_the_lowest_row() {
        let mut histogram = bins::histogram();
        histogram.record_n(0, 3).unwrap();
        histogram.record_n(100, 4).unwrap();
        assert_eq!(rows(&histogram)[0].0, -9);
        assert!(rows(&bins::histogram()).is_empty());
    }
}
