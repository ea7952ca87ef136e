//! What one customer got: how much by level and by type, and the last few messages.
//!
//! [`super::Interval`] feeds [`Customers`] (fixed size, no allocation), [`super::Totals`] keeps
//! [`CustomerTotals`]. It does not know the customer's name, nor what was queued for it.

use std::collections::VecDeque;

use crate::limits::{CUSTOMER_LAST, CUSTOMER_TYPES_MAX, LEVELS_MAX};
use crate::message::{DestinationIndex, Level, Sequence, TypeIndex};

/// One message whose delivery is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Whose it is.
    pub destination: DestinationIndex,
    /// Its effective priority.
    pub level: Level,
    /// Its type.
    pub message_type: TypeIndex,
    /// Its place in the stream.
    pub sequence: Sequence,
    /// How long it took in all, in nanoseconds.
    pub latency_ns: u64,
    /// When, in microseconds since the epoch.
    pub epoch_us: u64,
}

/// One of the last messages that a customer got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Last {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// When its delivery was complete, in microseconds since the epoch.
    pub epoch_us: u64,
    /// How long it took in all, in nanoseconds.
    pub latency_ns: u64,
    /// Its effective priority.
    pub level: Level,
    /// Its type.
    pub message_type: TypeIndex,
}

/// One customer within an interval: 424 bytes.
#[derive(Debug)]
pub(super) struct Customer {
    destination: DestinationIndex,
    other_types: u32,
    delivered: u64,
    by_level: [u32; LEVELS_MAX],
    /// The types seen, in the order of their first use; the first `type_count` are valid.
    types: [TypeIndex; CUSTOMER_TYPES_MAX],
    by_type: [u32; CUSTOMER_TYPES_MAX],
    type_count: usize,
    /// A ring; message number n (from 0) is at n modulo its length.
    last: [Last; CUSTOMER_LAST],
}

const _: () = assert!(size_of::<Customer>() <= 432, "a few hundred bytes");

impl Customer {
    fn new(destination: DestinationIndex) -> Self {
        Self {
            destination,
            other_types: 0,
            delivered: 0,
            by_level: [0; LEVELS_MAX],
            types: [0; CUSTOMER_TYPES_MAX],
            by_type: [0; CUSTOMER_TYPES_MAX],
            type_count: 0,
            last: [Last::default(); CUSTOMER_LAST],
        }
    }

    #[inline]
    fn delivered(&mut self, it: &Delivered) {
        let level = usize::from(it.level.saturating_sub(1)).min(LEVELS_MAX - 1);
        self.by_level[level] = self.by_level[level].saturating_add(1);
        let tally = self.type_tally(it.message_type);
        *tally = tally.saturating_add(1);
        self.last[self.delivered as usize % CUSTOMER_LAST] = Last {
            sequence: it.sequence,
            epoch_us: it.epoch_us,
            latency_ns: it.latency_ns,
            level: it.level,
            message_type: it.message_type,
        };
        self.delivered += 1;
    }

    #[inline]
    fn type_tally(&mut self, message_type: TypeIndex) -> &mut u32 {
        let known = &self.types[..self.type_count];
        if let Some(found) = known.iter().position(|&it| it == message_type) {
            return &mut self.by_type[found];
        }
        if self.type_count == CUSTOMER_TYPES_MAX {
            return &mut self.other_types;
        }
        self.types[self.type_count] = message_type;
        self.type_count += 1;
        &mut self.by_type[self.type_count - 1]
    }

    /// The remembered messages, oldest first.
    fn last(&self) -> impl Iterator<Item = Last> + '_ {
        let kept = self.delivered.min(CUSTOMER_LAST as u64);
        let numbers = self.delivered - kept..self.delivered;
        numbers.map(|number| self.last[number as usize % CUSTOMER_LAST])
    }
}

/// The customers of an interval: room for all that may exist, memory for those that got something.
#[derive(Debug)]
pub(super) struct Customers {
    /// For each destination the place of its customer in `seen`, from 1; 0: none yet.
    places: Vec<u32>,
    /// In the order of their first message. Its capacity is all of `places`: it never grows.
    seen: Vec<Customer>,
}

impl Customers {
    pub(super) fn new(destinations: usize) -> Self {
        Self {
            places: vec![0; destinations],
            seen: Vec::with_capacity(destinations),
        }
    }

    #[inline]
    pub(super) fn delivered(&mut self, it: &Delivered) {
        let Some(place) = self.places.get_mut(it.destination as usize) else {
            debug_assert!(false, "a destination beyond those that may exist");
            return;
        };
        if *place == 0 {
            self.seen.push(Customer::new(it.destination));
            *place = self.seen.len() as u32;
        }
        self.seen[*place as usize - 1].delivered(it);
    }

    pub(super) fn seen(&self) -> &[Customer] {
        &self.seen
    }

    pub(super) fn clear(&mut self) {
        for customer in self.seen.drain(..) {
            self.places[customer.destination as usize] = 0;
        }
    }
}

/// One customer over all intervals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerTotals {
    /// Messages delivered.
    pub delivered: u64,
    /// The same by level; level 1 comes first.
    pub by_level: [u64; LEVELS_MAX],
    /// The same by type, in the order of first use; at most [`CUSTOMER_TYPES_MAX`].
    pub by_type: Vec<(TypeIndex, u64)>,
    /// Messages of types that found no place in `by_type`.
    pub other_types: u64,
    /// The last messages, oldest first; at most [`CUSTOMER_LAST`].
    pub last: VecDeque<Last>,
}

impl CustomerTotals {
    pub(super) fn merge(&mut self, interval: &Customer) {
        self.delivered += interval.delivered;
        for (total, &count) in self.by_level.iter_mut().zip(&interval.by_level) {
            *total += u64::from(count);
        }
        let types = interval.types.iter().zip(&interval.by_type);
        for (&message_type, &count) in types.take(interval.type_count) {
            *self.type_tally(message_type) += u64::from(count);
        }
        self.other_types += u64::from(interval.other_types);
        self.last.extend(interval.last());
        let surplus = self.last.len().saturating_sub(CUSTOMER_LAST);
        self.last.drain(..surplus);
    }

    fn type_tally(&mut self, message_type: TypeIndex) -> &mut u64 {
        let found = self.by_type.iter().position(|&(it, _)| it == message_type);
        match found {
            Some(found) => &mut self.by_type[found].1,
            None if self.by_type.len() == CUSTOMER_TYPES_MAX => &mut self.other_types,
            None => {
                self.by_type.push((message_type, 0));
                let last = self.by_type.len() - 1;
                &mut self.by_type[last].1
            }
        }
    }
}

impl Customer {
    pub(super) fn destination(&self) -> DestinationIndex {
        self.destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: Sequence, message_type: TypeIndex) -> Delivered {
        Delivered {
            destination: 2,
            level: 1 + (sequence % 3) as Level,
            message_type,
            sequence,
            latency_ns: sequence * 10,
            epoch_us: sequence + 1_000,
        }
    }

    #[test]
    fn the_last_messages_are_kept_oldest_first() {
        let mut totals = CustomerTotals::default();
        let mut sequence = 0;
        for deliveries in [3, 2, 11, 0, 1] {
            let mut customers = Customers::new(3);
            for _ in 0..deliveries {
                sequence += 1;
                customers.delivered(&message(sequence, 4));
            }
            customers.seen().iter().for_each(|it| totals.merge(it));
            let kept: Vec<_> = totals.last.iter().map(|it| it.sequence).collect();
            let first = sequence.saturating_sub(CUSTOMER_LAST as u64) + 1;
            assert_eq!(kept, (first..=sequence).collect::<Vec<_>>());
        }
        assert_eq!(totals.delivered, 17);
        assert_eq!(totals.by_type, [(4, 17)]);
        assert_eq!(totals.by_level[..4], [5, 6, 6, 0]);
    }

    #[test]
    fn types_without_a_place_are_counted_together() {
        let mut customers = Customers::new(3);
        for sequence in 1..=40 {
            customers.delivered(&message(sequence, (sequence % 20) as TypeIndex));
        }
        let mut totals = CustomerTotals::default();
        totals.merge(&customers.seen()[0]);
        totals.merge(&customers.seen()[0]);
        assert_eq!(totals.by_type.len(), CUSTOMER_TYPES_MAX);
        assert_eq!(totals.other_types, 2 * 8);
        let told_apart: u64 = totals.by_type.iter().map(|it| it.1).sum();
        assert_eq!(told_apart + totals.other_types, totals.delivered);
    }

    #[test]
    fn a_cleared_table_forgets_and_keeps_its_room() {
        let mut customers = Customers::new(3);
        let room = customers.seen.capacity();
        for round in 0..3 {
            customers.delivered(&message(1 + round, 0));
            assert_eq!(customers.seen().len(), 1);
            assert_eq!(customers.seen()[0].delivered, 1);
            customers.clear();
            assert!(customers.seen().is_empty());
        }
        assert_eq!(customers.seen.capacity(), room);
    }
}
