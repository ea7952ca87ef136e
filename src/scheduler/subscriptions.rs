//! Subscriptions: who takes which destination's messages.
//!
//! Delivery's `subscribe` lines feed it; the dispatcher asks it for whom a message is. The first
//! subscriber of a destination is active, the others are standbys in their order. When the active
//! one goes, the next takes over. It moves no message.
//!
//! ```text
//! destination 7   [ subscriber a, active | b, standby | c, standby ]
//! ```

use std::collections::VecDeque;

use super::protocol::SubscriberKey;
use super::subscriber::{Subscriber, SubscriberId};
use crate::limits::RETIRING_SUBSCRIBERS_MAX;
use crate::message::DestinationIndex;

/// A subscriber of a destination.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: SubscriberId,
    /// Where the destination stands in the subscriber's list.
    at: u32,
}

/// The subscribers of one destination; the first one is active.
#[derive(Debug, Default)]
struct Row {
    places: VecDeque<Place>,
    /// One of them has asked for it by its name, as was found out: it stays while they do.
    is_named: bool,
}

/// All subscriptions. Invariant: a subscriber is in the rows of just the destinations that it
/// lists, each of which says where it stands in the list.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// By delivery agent, then key.
    subscribers: Vec<Vec<Option<Subscriber>>>,
    /// By destination.
    rows: Vec<Row>,
}

/// What a subscriber got of what it asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) active: Vec<DestinationIndex>,
    pub(crate) standby: Vec<DestinationIndex>,
}

impl Subscriptions {
    /// None yet, for so many delivery agents.
    pub(crate) fn new(agents: usize) -> Self {
        Self {
            subscribers: (0..agents).map(|_| Vec::new()).collect(),
            rows: Vec::new(),
        }
    }

    /// There are so many destinations now.
    pub(crate) fn grow(&mut self, destinations: usize) {
        if self.rows.len() < destinations {
            self.rows.resize_with(destinations, Row::default);
        }
    }

    /// The active subscriber of a destination.
    #[inline]
    pub(crate) fn active(&self, destination: DestinationIndex) -> Option<SubscriberId> {
        let row = self.rows.get(destination as usize)?;
        row.places.front().map(|it| it.id)
    }

    /// Subscribers that take over when the active one goes.
    pub(crate) fn standbys(&self, destination: DestinationIndex) -> usize {
        let row = self.rows.get(destination as usize);
        row.map_or(0, |row| row.places.len().saturating_sub(1))
    }

    /// A subscriber; `None`: it has gone.
    #[inline]
    pub(crate) fn get(&self, id: SubscriberId) -> Option<&Subscriber> {
        self.subscribers[usize::from(id.agent)]
            .get(id.key as usize)?
            .as_ref()
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers[usize::from(id.agent)]
            .get_mut(id.key as usize)?
            .as_mut()
    }

    /// Assigns destinations that the subscriber has not asked for before. A new subscriber gets
    /// this credit, in bytes.
    pub(crate) fn subscribe(
        &mut self,
        id: SubscriberId,
        destinations: &[DestinationIndex],
        ack: bool,
        credit: i64,
    ) -> Assigned {
        let mut assigned = Assigned::default();
        let most = destinations.iter().max();
        self.grow(most.map_or(0, |&it| it as usize + 1));
        let keys = &mut self.subscribers[usize::from(id.agent)];
        if keys.len() <= id.key as usize {
            keys.resize_with(id.key as usize + 1, || None);
        }
        let subscriber = keys[id.key as usize].get_or_insert_with(|| Subscriber::new(ack, credit));
        for (at, &destination) in (subscriber.destinations.len() as u32..).zip(destinations) {
            let row = &mut self.rows[destination as usize];
            row.places.push_back(Place { id, at });
        }
        subscriber.destinations.extend_from_slice(destinations);
        subscriber.joining += destinations.len();
        for &destination in destinations {
            let list = if self.is_next(destination) {
                &mut assigned.active
            } else {
                &mut assigned.standby
            };
            list.push(destination);
        }
        assigned
    }

    /// Whether all before the last subscriber of a destination have gone.
    fn is_next(&self, destination: DestinationIndex) -> bool {
        let row = &self.rows[destination as usize];
        let mut before = row.places.iter().rev().skip(1);
        before.all(|it| self.get(it.id).is_none_or(|it| it.is_leaving))
    }

    /// A `subscribe` line is complete: the subscriber may be handed messages. Returns the
    /// destinations that the line has added.
    pub(crate) fn complete_line(&mut self, id: SubscriberId) -> Vec<DestinationIndex> {
        let Some(subscriber) = self.get_mut(id) else {
            return Vec::new();
        };
        subscriber.is_answered = true;
        let joining = std::mem::take(&mut subscriber.joining);
        let first = subscriber.destinations.len() - joining;
        subscriber.destinations[first..].to_vec()
    }

    /// A subscriber has gone: it is handed nothing more, and its standbys wait until
    /// [`Subscriptions::leave_some`] has come to their destinations. Returns it with what it had in
    /// flight.
    pub(crate) fn begin_leaving(&mut self, id: SubscriberId) -> Option<Subscriber> {
        let subscriber = self.get_mut(id)?;
        let mut gone = std::mem::replace(subscriber, Subscriber::new(subscriber.ack, 0));
        subscriber.destinations = std::mem::take(&mut gone.destinations);
        subscriber.group = gone.group;
        subscriber.is_leaving = true;
        Some(gone)
    }

    /// Takes a subscriber that has gone out of some of its destinations, and returns them: standbys
    /// take over. Each costs one of `places` and those before it in its row; it stops when they are
    /// used up.
    pub(crate) fn leave_some(
        &mut self,
        id: SubscriberId,
        places: &mut usize,
    ) -> Vec<DestinationIndex> {
        let keys = &mut self.subscribers[usize::from(id.agent)];
        let mut left = Vec::new();
        let Some(Some(subscriber)) = keys.get_mut(id.key as usize) else {
            return left;
        };
        while *places > 0
            && let Some(destination) = subscriber.destinations.pop()
        {
            let row = &mut self.rows[destination as usize];
            let at = row.places.iter().position(|it| it.id == id);
            let at = at.expect("it is in the rows of its destinations");
            row.places.remove(at);
            row.is_named = false;
            *places = places.saturating_sub(at + 1);
            left.push(destination);
        }
        left
    }

    /// Forgets a subscriber that has left all its destinations, and returns it; `None`: it has not, or
    /// was never there.
    pub(crate) fn forget(&mut self, id: SubscriberId) -> Option<Subscriber> {
        let keys = &mut self.subscribers[usize::from(id.agent)];
        let subscriber = keys.get_mut(id.key as usize)?;
        subscriber.take_if(|it| it.destinations.is_empty())
    }

    /// A subscriber has asked for the destination by its name.
    pub(crate) fn note_named(&mut self, destination: DestinationIndex) {
        self.rows[destination as usize].is_named = true;
    }

    /// Whether the destination's name may go, as far as is known here: it has no subscribers, or few
    /// whose patterns it fits and whose lines are complete.
    pub(crate) fn may_go(&self, destination: DestinationIndex) -> bool {
        let Some(row) = self.rows.get(destination as usize) else {
            return true;
        };
        let mut subscribers = row.places.iter().filter_map(|it| self.get(it.id));
        !row.is_named
            && row.places.len() <= RETIRING_SUBSCRIBERS_MAX
            && subscribers.all(|it| it.joining == 0)
    }

    /// The destination's subscribers at a delivery agent.
    pub(crate) fn keys_at(&self, agent: u16, destination: DestinationIndex) -> Vec<SubscriberKey> {
        let places = self.rows.get(destination as usize);
        let places = places.into_iter().flat_map(|row| &row.places);
        let at_agent = places.filter(|it| it.id.agent == agent);
        at_agent.map(|it| it.id.key).collect()
    }

    /// The name of a destination is gone: its subscribers have it no more.
    pub(crate) fn remove_destination(&mut self, destination: DestinationIndex) {
        let row = std::mem::take(&mut self.rows[destination as usize]);
        for Place { id, at } in row.places {
            let Some(subscriber) = self.get_mut(id) else {
                continue;
            };
            subscriber.destinations.swap_remove(at as usize);
            let moved = subscriber.destinations.get(at as usize).copied();
            let places = moved.map(|it| &mut self.rows[it as usize].places);
            let mut places = places.into_iter().flatten();
            if let Some(place) = places.find(|it| it.id == id) {
                place.at = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(key: u32) -> SubscriberId {
        SubscriberId {
            agent: (key % 2) as u16,
            key: key / 2,
        }
    }

    /// A subscriber goes, place by place; returns its destinations.
    fn leave(subscriptions: &mut Subscriptions, id: SubscriberId) -> Vec<DestinationIndex> {
        let mut all = Vec::new();
        subscriptions.begin_leaving(id);
        loop {
            let left = subscriptions.leave_some(id, &mut 1);
            if left.is_empty() {
                break;
            }
            all.extend(left);
        }
        subscriptions.forget(id);
        assert!(subscriptions.get(id).is_none());
        all.sort_unstable();
        all
    }

    #[test]
    fn the_second_stands_by_and_takes_over() {
        let mut subscriptions = Subscriptions::new(2);
        let first = subscriptions.subscribe(id(0), &[1, 2], false, 10);
        assert_eq!(first.active, [1, 2]);
        let second = subscriptions.subscribe(id(1), &[2, 3], true, 10);
        assert_eq!((second.active, second.standby), (vec![3], vec![2]));
        assert_eq!(subscriptions.active(2), Some(id(0)));
        assert_eq!(leave(&mut subscriptions, id(0)), [1, 2]);
        let active = (subscriptions.active(1), subscriptions.active(2));
        assert_eq!(active, (None, Some(id(1))));
        assert!(subscriptions.begin_leaving(id(0)).is_none());
    }

    #[test]
    fn who_comes_while_another_leaves_is_the_next() {
        let mut subscriptions = Subscriptions::new(2);
        subscriptions.subscribe(id(0), &[1, 2, 3], false, 10);
        subscriptions.subscribe(id(1), &[2], false, 10);
        subscriptions.begin_leaving(id(0)).expect("it was there");
        assert_eq!(subscriptions.leave_some(id(0), &mut 1), [3]);
        let next = subscriptions.subscribe(id(2), &[1, 2, 3], false, 10);
        assert_eq!((next.active, next.standby), (vec![1, 3], vec![2]));
        assert!(subscriptions.forget(id(0)).is_none(), "not yet");
        assert_eq!(subscriptions.leave_some(id(0), &mut 9), [2, 1]);
        assert!(subscriptions.forget(id(0)).is_some());
        let active = [1, 2, 3].map(|it| subscriptions.active(it));
        assert_eq!(active, [Some(id(2)), Some(id(1)), Some(id(2))]);
    }

    #[test]
    fn subscriptions_add_up_and_each_line_tells_what_it_added() {
        let mut subscriptions = Subscriptions::new(1);
        let is_open = |it: &Subscriptions| it.get(id(0)).is_some_and(Subscriber::is_open);
        subscriptions.subscribe(id(0), &[1, 2], false, 10);
        assert!(!is_open(&subscriptions), "its line is not complete");
        subscriptions.subscribe(id(0), &[3], false, 10);
        assert_eq!(subscriptions.complete_line(id(0)), [1, 2, 3]);
        assert!(is_open(&subscriptions));
        let later = subscriptions.subscribe(id(0), &[7], false, 10);
        assert_eq!(later.active, [7]);
        assert!(is_open(&subscriptions), "what it had goes on");
        assert_eq!(subscriptions.complete_line(id(0)), [7]);
        assert_eq!(subscriptions.complete_line(id(0)), [] as [u32; 0]);
        assert_eq!(leave(&mut subscriptions, id(0)), [1, 2, 3, 7]);
        assert!((0..8).all(|it| subscriptions.active(it).is_none()));
    }

    proptest! {
        /// Subscribers come for a destination, or go; or the destination does.
        #[test]
        fn the_oldest_subscriber_of_a_destination_that_is_still_there_is_active(
            steps in prop::collection::vec(
                (0..6_u32, prop::option::of(0..4_u32), any::<bool>()), 1..100,
            ),
        ) {
            let mut subscriptions = Subscriptions::new(2);
            let mut model: Vec<(u32, u32)> = Vec::new();
            for (key, destination, goes) in steps {
                match destination {
                    Some(destination) if goes => {
                        (0..6).for_each(|key| drop(subscriptions.complete_line(id(key))));
                        prop_assert!(subscriptions.may_go(destination));
                        let mut keys: Vec<_> = (0..2)
                            .flat_map(|agent| subscriptions.keys_at(agent, destination))
                            .collect();
                        keys.sort_unstable();
                        let has = model.iter().filter(|it| it.1 == destination);
                        let mut expected: Vec<_> = has.map(|it| id(it.0).key).collect();
                        expected.sort_unstable();
                        prop_assert_eq!(keys, expected);
                        subscriptions.grow(4);
                        subscriptions.remove_destination(destination);
                        model.retain(|it| it.1 != destination);
                    }
                    Some(destination) if !model.contains(&(key, destination)) => {
                        let assigned = subscriptions.subscribe(id(key), &[destination], true, 1);
                        let is_first = model.iter().all(|it| it.1 != destination);
                        prop_assert_eq!(assigned.active.is_empty(), !is_first);
                        model.push((key, destination));
                    }
                    Some(_) => {}
                    None => {
                        let gone = leave(&mut subscriptions, id(key));
                        let had = model.iter().filter(|it| it.0 == key).map(|it| it.1);
                        let mut had: Vec<_> = had.collect();
                        had.sort_unstable();
                        prop_assert_eq!(gone, had);
                        model.retain(|it| it.0 != key);
                    }
                }
                for destination in 0..4 {
                    let first = model.iter().find(|it| it.1 == destination);
                    prop_assert_eq!(subscriptions.active(destination), first.map(|it| id(it.0)));
                }
            }
        }
    }
}
