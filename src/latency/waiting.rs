//! How long the oldest message of each destination has waited, sampled while it waits.
//!
//! A latency is known when a message is delivered; a customer that is frozen has none. So the monitor
//! adds, each second, one value for each destination that has messages: how long the oldest of them has
//! waited. [`super::Totals`] keeps it; it is not on the path.

use hdrhistogram::Histogram;

use super::grid::Shape;
use crate::limits::{LATENCY_DIGITS, LATENCY_NS_MIN, WAITING_NS_MAX};
use crate::message::DestinationIndex;

/// The word in tags and file names.
pub(super) const LABEL: &str = "waiting";

/// A histogram a destination, made when there is something for it.
#[derive(Debug)]
pub(super) struct Waiting {
    shape: Shape,
    by_slot: Vec<Option<Histogram<u64>>>,
}

impl Waiting {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            by_slot: vec![None; shape.slots],
        }
    }

    /// The oldest message of a destination has waited for `ns`.
    pub(super) fn record(&mut self, destination: DestinationIndex, ns: u64) {
        let slot = &mut self.by_slot[self.shape.slot(destination)];
        slot.get_or_insert_with(histogram).saturating_record(ns);
    }

    /// A destination's name has gone: its values are among the others'.
    pub(super) fn retire(&mut self, destination: DestinationIndex) {
        let (slot, others) = (self.shape.slot(destination), self.shape.others());
        if slot == others {
            return;
        }
        if let Some(gone) = self.by_slot[slot].take() {
            let sum = self.by_slot[others].get_or_insert_with(histogram);
            sum.add(gone).expect("all are of one range");
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_slot.fill(None);
    }

    /// How many values these destinations' slots have.
    pub(super) fn count(&self, slots: impl Iterator<Item = usize>) -> u64 {
        slots
            .filter_map(|it| self.by_slot[it].as_ref())
            .map(Histogram::len)
            .sum()
    }

    /// The values of these destinations' slots together.
    pub(super) fn histogram(&self, slots: impl Iterator<Item = usize>) -> Histogram<u64> {
        let mut sum = histogram();
        for one in slots.filter_map(|it| self.by_slot[it].as_ref()) {
            sum.add(one).expect("all are of one range");
        }
        sum
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LATENCY_NS_MIN, WAITING_NS_MAX, LATENCY_DIGITS)
        .expect("the range is constant and a test makes one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LATENCY_DESTINATIONS_MAX;

    #[test]
    fn each_destination_has_its_own_until_there_are_too_many() {
        let destinations = LATENCY_DESTINATIONS_MAX + 5;
        let shape = Shape::new(1, destinations);
        let mut waiting = Waiting::new(shape);
        for destination in 0..destinations as DestinationIndex {
            waiting.record(destination, 1_000_000_000);
        }
        assert_eq!(waiting.count(0..1), 1);
        assert_eq!(waiting.count(LATENCY_DESTINATIONS_MAX..shape.slots), 5);
        assert_eq!(waiting.histogram(0..shape.slots).len(), destinations as u64);
        waiting.retire(0);
        waiting.retire(LATENCY_DESTINATIONS_MAX as DestinationIndex);
        assert_eq!(waiting.count(0..1), 0);
        assert_eq!(waiting.count(LATENCY_DESTINATIONS_MAX..shape.slots), 6);
        waiting.clear();
        assert_eq!(waiting.count(0..shape.slots), 0);
    }

    #[test]
    fn a_customer_that_is_away_for_long_is_told_so() {
        let mut waiting = Waiting::new(Shape::new(1, 1));
        let day = 24 * 3_600_000_000_000;
        waiting.record(0, day);
        let max = waiting.histogram(0..1).max();
        assert!(max.abs_diff(day) < day / 100, "{max}");
        waiting.record(0, u64::MAX);
        assert_eq!(waiting.count(0..1), 2);
    }
}
