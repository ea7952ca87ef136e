//! All intervals added up: what the statistics, `/stats`, `/metrics` and the files show.
//!
//! The monitor feeds it with intervals, off the path: it may allocate. It writes nothing itself.

use std::ops::Range;

use hdrhistogram::Histogram;

use super::bins::max;
use super::customer::CustomerTotals;
use super::grid::{Grid, Shape};
use super::interval::Interval;
use super::view::View;
use super::waiting::Waiting;
use super::{Stage, bins};
use crate::limits::LEVELS_MAX;
use crate::message::{DestinationIndex, Level};

/// Latencies and deliveries since the start.
#[derive(Debug)]
pub struct Totals {
    grid: Grid<u64>,
    waiting: Waiting,
    /// By destination; longer than the last one that got something.
    customers: Vec<Option<Box<CustomerTotals>>>,
    /// Messages delivered by level, to customers whose names have gone.
    retired: [u64; LEVELS_MAX],
}

/// A histogram in six figures, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    /// How many latencies.
    pub count: u64,
    /// Their mean.
    pub mean_ns: f64,
    /// Half of them are no longer than this.
    pub p50_ns: u64,
    /// 99 of 100 are no longer than this.
    pub p99_ns: u64,
    /// 999 of 1,000 are no longer than this.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Totals {
    /// Nothing yet; of the same shape as the intervals to come.
    #[must_use]
    pub fn new(levels: Level, destinations: usize) -> Self {
        Self::of_shape(Shape::new(levels, destinations))
    }

    fn of_shape(shape: Shape) -> Self {
        Self {
            grid: Grid::new(shape),
            waiting: Waiting::new(shape),
            customers: Vec::new(),
            retired: [0; LEVELS_MAX],
        }
    }

    /// Adds an interval.
    ///
    /// # Panics
    /// It was made for other levels or destinations: a bug.
    pub fn merge(&mut self, interval: &Interval) {
        self.merge_latencies(interval);
        for customer in interval.customers() {
            let index = customer.destination() as usize;
            if self.customers.len() <= index {
                self.customers.resize_with(index + 1, || None);
            }
            self.customers[index]
                .get_or_insert_default()
                .merge(customer);
        }
    }

    /// Adds an interval's latencies, and not what customers got.
    ///
    /// # Panics
    /// It was made for other levels or destinations: a bug.
    pub fn merge_latencies(&mut self, interval: &Interval) {
        self.grid.merge(interval.grid());
    }

    /// The oldest message of a destination that waits now has waited for `ns`.
    pub(crate) fn record_waiting(&mut self, destination: DestinationIndex, ns: u64) {
        self.waiting.record(destination, ns);
    }

    /// Back to nothing; only what was used is touched.
    pub fn clear(&mut self) {
        self.grid.clear();
        self.waiting.clear();
        self.customers.clear();
        self.retired = [0; LEVELS_MAX];
    }

    /// A customer's name has gone: what it got stays in the sums, and its latencies are among the
    /// others'.
    pub(crate) fn retire(&mut self, destination: DestinationIndex) {
        let shape = self.shape();
        let (slot, others) = (shape.slot(destination), shape.others());
        if slot != others {
            for stage in Stage::ALL {
                for level in 1..=self.levels() {
                    let of = |slot| shape.cell(stage, level, slot);
                    self.grid.move_cell(of(slot), of(others));
                }
            }
        }
        self.waiting.retire(destination);
        let customer = self.customers.get_mut(destination as usize);
        if let Some(customer) = customer.and_then(Option::take) {
            for (sum, count) in self.retired.iter_mut().zip(customer.by_level) {
                *sum += count;
            }
        }
    }

    /// Takes what was added up, leaving nothing.
    #[must_use]
    pub fn take(&mut self) -> Totals {
        let empty = Self::of_shape(self.grid.shape());
        std::mem::replace(self, empty)
    }

    /// How many levels there are.
    #[must_use]
    pub fn levels(&self) -> Level {
        self.shape().levels as Level
    }

    /// The latencies of a view, in nanoseconds.
    #[must_use]
    pub fn histogram(&self, view: View) -> Histogram<u64> {
        if let Some(slots) = self.waiting_slots(view) {
            return self.waiting.histogram(slots);
        }
        let mut histogram = bins::histogram();
        for cell in self.cells(view) {
            self.grid.add_to(cell, &mut histogram);
        }
        histogram
    }

    /// How many latencies a view has.
    #[must_use]
    pub fn count(&self, view: View) -> u64 {
        match self.waiting_slots(view) {
            Some(slots) => self.waiting.count(slots),
            None => self.cells(view).map(|cell| self.grid.count(cell)).sum(),
        }
    }

    /// A view in six figures.
    #[must_use]
    pub fn summary(&self, view: View) -> Summary {
        Summary::of(&self.histogram(view))
    }

    /// The customers that got something, by destination.
    pub(crate) fn customers(&self) -> impl Iterator<Item = (DestinationIndex, &CustomerTotals)> {
        let numbered = (0..).zip(&self.customers);
        numbered.filter_map(|(index, it)| Some((index, it.as_deref()?)))
    }

    /// What a destination got; `None`: nothing.
    pub(crate) fn customer(&self, destination: DestinationIndex) -> Option<&CustomerTotals> {
        self.customers.get(destination as usize)?.as_deref()
    }

    /// One more than the highest destination that got something.
    pub(crate) fn customers_end(&self) -> DestinationIndex {
        self.customers.len() as DestinationIndex
    }

    /// Messages delivered by level, to all customers; level 1 comes first.
    #[must_use]
    pub fn delivered_by_level(&self) -> [u64; LEVELS_MAX] {
        let mut sums = self.retired;
        for (_, customer) in self.customers() {
            for (sum, count) in sums.iter_mut().zip(customer.by_level) {
                *sum += count;
            }
        }
        sums
    }

    pub(super) fn shape(&self) -> Shape {
        self.grid.shape()
    }

    /// The views there are: all stages and levels, and the destinations that got something.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        let mut views = Vec::new();
        for stage in Stage::ALL {
            views.push(View::Stage(stage));
            views.extend((1..=self.levels()).map(|level| View::Level(stage, level)));
        }
        let shape = self.shape();
        let own = shape.others() as DestinationIndex;
        let waiting = (0..own).map(View::WaitingCustomer);
        let waiting = [View::Waiting].into_iter().chain(waiting);
        let waiting = waiting.chain([View::WaitingOthers]);
        views.extend(waiting.filter(|&view| self.count(view) > 0));
        let customers = (0..own).map(View::Customer).chain([View::OtherCustomers]);
        views.extend(customers.filter(|&view| self.count(view) > 0));
        for level in 1..=self.levels() {
            let destinations = (0..own).map(|it| View::Destination(level, it));
            let all = destinations.chain([View::Others(level)]);
            views.extend(all.filter(|&view| self.count(view) > 0));
        }
        views
    }

    /// Of the views of what waits.
    fn waiting_slots(&self, view: View) -> Option<Range<usize>> {
        let shape = self.shape();
        match view {
            View::Waiting => Some(0..shape.slots),
            View::WaitingCustomer(destination) => Some(own_slot(shape, destination)),
            View::WaitingOthers => Some(others_slot(shape)),
            _ => None,
        }
    }

    fn cells(&self, view: View) -> impl Iterator<Item = usize> {
        let shape = self.shape();
        let (stage, levels) = match view {
            View::Stage(stage) => (stage, 1..=self.levels()),
            View::Level(stage, level) => (stage, level..=level),
            View::Destination(level, _) | View::Others(level) => (Stage::Total, level..=level),
            _ => (Stage::Total, 1..=self.levels()),
        };
        let slots = match view {
            View::Destination(_, destination) | View::Customer(destination) => {
                own_slot(shape, destination)
            }
            View::Others(_) | View::OtherCustomers => others_slot(shape),
            _ => 0..shape.slots,
        };
        levels.flat_map(move |level| {
            let slots = slots.clone();
            slots.map(move |slot| shape.cell(stage, level, slot))
        })
    }
}

fn own_slot(shape: Shape, destination: DestinationIndex) -> Range<usize> {
    let slot = shape.slot(destination);
    slot..slot + 1
}

fn others_slot(shape: Shape) -> Range<usize> {
    shape.others()..shape.slots
}

impl Summary {
    /// The figures of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.len(),
            mean_ns: histogram.mean(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: max(histogram),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LATENCY_DESTINATIONS_MAX;

    fn filled() -> Totals {
        let mut interval = Interval::new(2, 3);
        interval.record(Stage::Total, 1, 0, 1_000, 10);
        interval.record(Stage::Total, 1, 2, 2_000, 20);
        interval.record(Stage::Total, 2, 2, 4_000, 30);
        interval.record(Stage::Queue, 2, 1, 8_000, 40);
        let mut totals = Totals::new(2, 3);
        totals.merge(&interval);
        totals.merge(&interval);
        totals
    }

    #[test]
    fn views_add_up_their_cells() {
        let totals = filled();
        assert_eq!(totals.count(View::Stage(Stage::Total)), 120);
        assert_eq!(totals.count(View::Stage(Stage::Queue)), 80);
        assert_eq!(totals.count(View::Stage(Stage::Ingest)), 0);
        assert_eq!(totals.count(View::Level(Stage::Total, 1)), 60);
        assert_eq!(totals.count(View::Destination(1, 2)), 40);
        assert_eq!(totals.count(View::Others(1)), 0);
        for stage in Stage::ALL {
            let view = View::Stage(stage);
            assert_eq!(totals.histogram(view).len(), totals.count(view));
        }
    }

    #[test]
    fn a_customer_has_all_its_levels_and_what_waits_for_it() {
        let mut totals = filled();
        assert_eq!(totals.count(View::Customer(2)), 100);
        let latencies = totals.histogram(View::Customer(2));
        assert!(
            latencies.min() < 2_000 && latencies.max() > 3_900,
            "both levels"
        );
        assert_eq!(totals.count(View::OtherCustomers), 0);
        let views = totals.views();
        let has = |view: View| views.contains(&view);
        assert!(has(View::Customer(0)) && !has(View::Customer(1)) && !has(View::Waiting));
        totals.record_waiting(1, 5_000_000_000);
        totals.record_waiting(2, 1_000);
        let views = totals.views();
        let has = |view: View| views.contains(&view);
        assert!(has(View::WaitingCustomer(1)) && has(View::Waiting) && !has(View::WaitingOthers));
        assert_eq!(totals.count(View::Waiting), 2);
        let max = totals.summary(View::WaitingCustomer(1)).max_ns;
        assert!(max.abs_diff(5_000_000_000) < 50_000_000, "{max}");
        totals.clear();
        assert_eq!(totals.count(View::Waiting), 0);
    }

    #[test]
    fn a_summary_is_within_a_bin_of_the_truth() {
        let summary = filled().summary(View::Stage(Stage::Total));
        assert_eq!(summary.count, 120);
        let mean = (1_000 * 10 + 2_000 * 20 + 4_000 * 30) as f64 / 60.0;
        assert!((summary.mean_ns - mean).abs() < 128.0, "{summary:?}");
        assert!(summary.p50_ns.abs_diff(2_000) < 128, "{summary:?}");
        assert!(summary.max_ns.abs_diff(4_000) < 128, "{summary:?}");
        let nothing = filled().summary(View::Stage(Stage::Ingest));
        assert_eq!(nothing, Summary::default());
    }

    #[test]
    fn destinations_beyond_the_limit_are_in_the_others() {
        let destinations = LATENCY_DESTINATIONS_MAX + 5;
        let mut interval = Interval::new(1, destinations);
        for destination in 0..destinations as u32 {
            interval.record(Stage::Total, 1, destination, 1_000, 1);
        }
        let mut totals = Totals::new(1, destinations);
        totals.merge(&interval);
        assert_eq!(totals.count(View::Destination(1, 0)), 1);
        assert_eq!(totals.count(View::Others(1)), 5);
        assert_eq!(totals.count(View::Stage(Stage::Total)), destinations as u64);
    }

    #[test]
    fn the_longest_of_the_shortest_is_told_by_its_bin_as_percentiles_are() {
        let mut interval = Interval::new(1, 1);
        interval.record(Stage::Queue, 1, 0, 5, 1);
        let mut totals = Totals::new(1, 1);
        totals.merge(&interval);
        let summary = totals.summary(View::Stage(Stage::Queue));
        assert_eq!((summary.p50_ns, summary.max_ns), (127, 127));
    }

    #[test]
    fn a_name_that_has_gone_leaves_its_counts_to_the_sums_and_none_to_the_next_one() {
        let mut interval = Interval::new(2, 3);
        interval.record(Stage::Total, 1, 2, 1_000, 10);
        interval.record(Stage::Total, 1, 1, 1_000, 1);
        let delivered = super::super::Delivered {
            destination: 2,
            level: 1,
            message_type: 0,
            sequence: 1,
            latency_ns: 1,
            epoch_us: 1,
        };
        interval.delivered(delivered);
        let mut totals = Totals::new(2, 3);
        totals.merge(&interval);
        totals.merge(&interval);
        totals.retire(2);
        totals.retire(2);
        assert_eq!(totals.count(View::Destination(1, 2)), 0);
        assert_eq!(totals.count(View::Destination(1, 1)), 2);
        assert_eq!(totals.count(View::Others(1)), 20);
        assert_eq!(totals.count(View::Stage(Stage::Total)), 22);
        assert_eq!(totals.customers().count(), 0);
        assert_eq!(totals.delivered_by_level()[..2], [2, 0]);
        totals.merge(&interval);
        assert_eq!(totals.count(View::Destination(1, 2)), 10);
        assert_eq!(totals.delivered_by_level()[..2], [3, 0]);
    }

    #[test]
    fn cleared_is_as_new() {
        let mut totals = filled();
        totals.clear();
        assert_eq!(totals.count(View::Stage(Stage::Total)), 0);
        assert_eq!(totals.customers().count(), 0);
    }

    #[test]
    fn taking_leaves_nothing() {
        let mut totals = filled();
        assert_eq!(totals.take().count(View::Stage(Stage::Total)), 120);
        assert_eq!(totals.count(View::Stage(Stage::Total)), 0);
    }
}
