//! Who takes which destination's messages, and how much more each may be sent.
//!
//! A subscriber holds a seat for each of its destinations: active, or in the row of those that
//! stand by. What was handed to it is in flight until it is settled, in the order it was handed
//! over. It is *open* while it has credit: bytes on their way to its socket, and frames that it has
//! not acknowledged, are both limited. Values only; the scheduler's agent moves the messages.

use std::collections::VecDeque;

use super::messages::SlotIndex;
use crate::limits::{LEVELS_MAX, UNACKNOWLEDGED_MAX};
use crate::message::{DestinationIndex, Level};

/// A subscriber: which delivery agent has it, and under which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscriberId {
    /// The delivery agent.
    pub agent: u16,
    /// The agent's key.
    pub key: u32,
}

/// One subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// It acknowledges.
    pub ack: bool,
    /// The destinations that it asked for, without repetitions.
    pub destinations: Vec<DestinationIndex>,
    /// The last so many of them came with a line that is not complete yet.
    joining: usize,
    /// It was answered once: before that it is handed nothing.
    is_answered: bool,
    /// What it was handed and is not settled, oldest first. The first `written` are in its socket.
    pub in_flight: VecDeque<SlotIndex>,
    /// What it will be handed next, in this order, as soon as it was read from the journal.
    pub fetching: VecDeque<SlotIndex>,
    /// It is in the list of those for whose messages a ring had no room.
    pub is_held_up: bool,
    /// How many of them are wholly written.
    pub written: usize,
    /// The others.
    pub unwritten: Unwritten,
    /// Bytes that it may be handed; the last frame may overdraw it.
    pub credit: i64,
}

impl Subscriber {
    /// Whether it may be handed a message.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        self.is_answered
            && self.credit > 0
            && self.in_flight.len() + self.fetching.len() < UNACKNOWLEDGED_MAX as usize
    }

    /// Whether something less urgent than `level` is on its way, and cannot be overtaken.
    #[must_use]
    pub(crate) fn is_ahead_of(&self, level: Level) -> bool {
        self.unwritten.has_beyond(level)
    }
}

/// Frames on their way to a socket, counted by level.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    counts: [u32; LEVELS_MAX + 1],
    /// The levels that have one, one bit each.
    levels: u16,
}

impl Unwritten {
    /// One more of this level.
    #[inline]
    pub(crate) fn add(&mut self, level: Level) {
        self.counts[usize::from(level)] += 1;
        self.levels |= 1 << level;
    }

    /// One less.
    #[inline]
    pub(crate) fn remove(&mut self, level: Level) {
        let count = &mut self.counts[usize::from(level)];
        *count -= 1;
        self.levels &= !(u16::from(*count == 0) << level);
    }

    /// Whether there is one that is less urgent than `level`.
    #[inline]
    fn has_beyond(&self, level: Level) -> bool {
        self.levels >> level >> 1 != 0
    }
}

/// The row of subscribers of one destination; the first one is active.
type Row = VecDeque<SubscriberId>;

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    subscribers: Vec<Vec<Option<Subscriber>>>,
    rows: Vec<Row>,
}

/// What a subscriber got of what it asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// It is active for these.
    pub active: Vec<DestinationIndex>,
    /// It stands by for these.
    pub standby: Vec<DestinationIndex>,
}

impl Subscriptions {
    /// Subscriptions for so many delivery agents.
    #[must_use]
    pub(crate) fn new(agents: usize) -> Self {
        Self {
            subscribers: (0..agents).map(|_| Vec::new()).collect(),
            rows: Vec::new(),
        }
    }

    /// There are so many destinations now.
    pub(crate) fn grow(&mut self, destinations: usize) {
        if self.rows.len() < destinations {
            self.rows.resize_with(destinations, Row::new);
        }
    }

    /// The active subscriber of a destination.
    #[must_use]
    pub(crate) fn active(&self, destination: DestinationIndex) -> Option<SubscriberId> {
        self.rows.get(destination as usize)?.front().copied()
    }

    /// A subscriber; `None`: it has gone.
    pub(crate) fn get_mut(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers[usize::from(id.agent)]
            .get_mut(id.key as usize)?
            .as_mut()
    }

    /// A subscriber takes subscriptions for destinations that it has none for; those that it had stay.
    pub(crate) fn subscribe(
        &mut self,
        id: SubscriberId,
        destinations: &[DestinationIndex],
        ack: bool,
        credit: i64,
    ) -> Assigned {
        let mut assigned = Assigned::default();
        for &destination in destinations {
            self.grow(destination as usize + 1);
            let row = &mut self.rows[destination as usize];
            row.push_back(id);
            let list = if row.len() == 1 {
                &mut assigned.active
            } else {
                &mut assigned.standby
            };
            list.push(destination);
        }
        let keys = &mut self.subscribers[usize::from(id.agent)];
        if keys.len() <= id.key as usize {
            keys.resize_with(id.key as usize + 1, || None);
        }
        let new = || Subscriber {
            ack,
            destinations: Vec::new(),
            joining: 0,
            is_answered: false,
            in_flight: VecDeque::new(),
            fetching: VecDeque::new(),
            is_held_up: false,
            written: 0,
            unwritten: Unwritten::default(),
            credit,
        };
        let subscriber = keys[id.key as usize].get_or_insert_with(new);
        subscriber.destinations.extend_from_slice(destinations);
        subscriber.joining += destinations.len();
        assigned
    }

    /// A line of a subscriber is complete; returns the destinations that it has added.
    pub(crate) fn join(&mut self, id: SubscriberId) -> Vec<DestinationIndex> {
        let Some(subscriber) = self.get_mut(id) else {
            return Vec::new();
        };
        subscriber.is_answered = true;
        let joining = std::mem::take(&mut subscriber.joining);
        let first = subscriber.destinations.len() - joining;
        subscriber.destinations[first..].to_vec()
    }

    /// A subscriber leaves; it is returned with what it had in flight. Who stood by is active now.
    pub(crate) fn leave(&mut self, id: SubscriberId) -> Option<Subscriber> {
        let keys = &mut self.subscribers[usize::from(id.agent)];
        let subscriber = keys.get_mut(id.key as usize).and_then(Option::take)?;
        for &destination in &subscriber.destinations {
            self.rows[destination as usize].retain(|it| *it != id);
        }
        Some(subscriber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: u32) -> SubscriberId {
        SubscriberId { agent: 0, key }
    }

    #[test]
    fn the_second_stands_by_and_takes_over() {
        let mut subscriptions = Subscriptions::new(1);
        assert_eq!(
            subscriptions.subscribe(id(0), &[1, 2], false, 10).active,
            [1, 2]
        );
        let second = subscriptions.subscribe(id(1), &[2, 3], true, 10);
        assert_eq!((second.active, second.standby), (vec![3], vec![2]));
        assert_eq!(subscriptions.active(2), Some(id(0)));
        let gone = subscriptions.leave(id(0)).expect("it was there");
        assert_eq!(gone.destinations, [1, 2]);
        assert_eq!(
            (subscriptions.active(1), subscriptions.active(2)),
            (None, Some(id(1)))
        );
        assert!(subscriptions.leave(id(0)).is_none());
    }

    #[test]
    fn seats_add_up_and_each_line_tells_what_it_added() {
        let mut subscriptions = Subscriptions::new(1);
        subscriptions.subscribe(id(0), &[1, 2], false, 10);
        let is_open = |subscriptions: &mut Subscriptions| {
            subscriptions.get_mut(id(0)).is_some_and(|it| it.is_open())
        };
        assert!(!is_open(&mut subscriptions), "its line is not complete");
        subscriptions.subscribe(id(0), &[3], false, 10);
        assert_eq!(subscriptions.join(id(0)), [1, 2, 3]);
        assert!(is_open(&mut subscriptions));
        assert_eq!(subscriptions.subscribe(id(0), &[7], false, 10).active, [7]);
        assert!(is_open(&mut subscriptions), "what it had goes on");
        assert_eq!(subscriptions.join(id(0)), [7]);
        assert_eq!(subscriptions.join(id(0)), [] as [u32; 0]);
        let gone = subscriptions.leave(id(0)).expect("it was there");
        assert_eq!(gone.destinations, [1, 2, 3, 7]);
        assert!(
            [1, 2, 3, 7]
                .iter()
                .all(|it| subscriptions.active(*it).is_none())
        );
    }

    #[test]
    fn credit_and_unacknowledged_frames_both_close_a_subscriber() {
        let mut subscriptions = Subscriptions::new(1);
        subscriptions.subscribe(id(0), &[0], true, 1);
        subscriptions.join(id(0));
        let subscriber = subscriptions.get_mut(id(0)).expect("it is there");
        assert!(subscriber.is_open());
        subscriber.credit = 0;
        assert!(!subscriber.is_open());
        subscriber.credit = 1;
        subscriber.in_flight.extend(0..UNACKNOWLEDGED_MAX);
        assert!(!subscriber.is_open());
    }

    #[test]
    fn only_less_urgent_frames_on_their_way_are_in_the_way() {
        let mut subscriptions = Subscriptions::new(1);
        subscriptions.subscribe(id(0), &[0], false, 1);
        let subscriber = subscriptions.get_mut(id(0)).expect("it is there");
        subscriber.unwritten.add(2);
        assert!(subscriber.is_ahead_of(1));
        assert!(!subscriber.is_ahead_of(2) && !subscriber.is_ahead_of(3));
        assert!(!subscriber.is_ahead_of(LEVELS_MAX as Level));
        subscriber.unwritten.add(2);
        subscriber.unwritten.remove(2);
        assert!(subscriber.is_ahead_of(1), "one is left");
        subscriber.unwritten.remove(2);
        assert!(!subscriber.is_ahead_of(1));
    }
}
