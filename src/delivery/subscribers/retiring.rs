//! Names of destinations that go: the agent forgets them, and says whether they may.
//!
//! A name that a subscriber has asked for stays while the subscriber does. One that only fits a
//! pattern may go: when it comes again the pattern finds it anew.

use super::Subscribers;
use crate::delivery::protocol::{Consent, SubscriberKey};
use crate::message::DestinationIndex;
use crate::net::Key;

impl Subscribers {
    /// The name may be about to go. Who looks it up from now on waits until that is decided; while
    /// somebody looks up something, it may have been found, and must stay.
    pub(super) fn on_retire(
        &mut self,
        destination: DestinationIndex,
        subscribers: &[SubscriberKey],
    ) {
        self.destinations.forget(destination);
        let is_named = |&key: &SubscriberKey| {
            let subscriber = self.table.get(key as Key).and_then(Option::as_ref);
            subscriber.is_some_and(|it| it.requested.is_named(destination))
        };
        let consent = if subscribers.iter().any(is_named) {
            Consent::Refused
        } else if self.lookups.is_empty() {
            Consent::Given
        } else {
            Consent::NotNow
        };
        self.released.push_back((destination, consent));
    }

    /// The name is gone. Another one may have the index once the scheduler is told.
    pub(super) fn on_retired(
        &mut self,
        destination: DestinationIndex,
        subscribers: &[SubscriberKey],
    ) {
        for &key in subscribers {
            if let Some(subscriber) = self.get_mut(key as Key) {
                subscriber.requested.remove(destination);
                let first = &mut subscriber.first_destinations;
                first.retain(|it| *it != destination);
            }
        }
        self.released.push_back((destination, Consent::Given));
    }
}
