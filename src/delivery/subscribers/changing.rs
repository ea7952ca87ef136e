//! Subscribers when the settings change: whose right or destination went is told, and closed. All others
//! stay, with what is on its way to them.

use std::sync::Arc;

use tracing::info;

use super::Subscribers;
use crate::access::{User, Users};
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::lookup::Lookup;
use crate::delivery::reload::DeliveryChange;
use crate::delivery::subscriber::Subscriber;
use crate::message::DestinationIndex;
use crate::net::Key;

/// What becomes of a subscriber.
enum Fate {
    Stays,
    /// It stays, and may receive other destinations than before.
    Looks,
    /// It is told this, and closed.
    Leaves(Counter, String),
}

impl Subscribers {
    /// Takes what is new. It takes some 100 ns a subscriber.
    pub(in crate::delivery) fn change(&mut self, change: &mut DeliveryChange, now: Now) {
        std::mem::swap(&mut self.timeouts, &mut change.timeouts);
        std::mem::swap(&mut self.users, &mut change.users);
        for &destination in &change.closed {
            self.destinations.forget(destination);
        }
        let mut left = 0;
        for key in 0..self.table.len() {
            let Some(mut subscriber) = self.table[key].take() else {
                continue;
            };
            if subscriber.is_subscribed() {
                left += u32::from(self.change_one(key, &mut subscriber, &change.closed, now));
            }
            self.put_back(key, subscriber);
        }
        if left > 0 {
            info!(
                subscribers = left,
                "closed: their destination or their right is not in the settings any more"
            );
        }
    }

    /// Whether it leaves.
    fn change_one(
        &mut self,
        key: Key,
        subscriber: &mut Subscriber,
        closed: &[DestinationIndex],
        now: Now,
    ) -> bool {
        match self.fate(subscriber, closed) {
            Fate::Stays => false,
            Fate::Looks => {
                if !subscriber.requested.patterns.is_empty() {
                    let lookup = Lookup::of_new(&subscriber.requested.patterns, 0);
                    self.begin_lookup(key, subscriber, lookup);
                }
                false
            }
            Fate::Leaves(counter, why) => {
                self.counters.add(counter, 1);
                self.reject(subscriber, &why, now);
                true
            }
        }
    }

    fn fate(&self, subscriber: &mut Subscriber, closed: &[DestinationIndex]) -> Fate {
        let requested = &mut subscriber.requested;
        if let Some(gone) = closed.iter().find(|it| requested.has(**it)) {
            let name = self.destinations.name(*gone).unwrap_or_default();
            let why = format!(
                "destination {name:?} is not in the settings any more; its messages stay until it \
                 comes back. Connect anew for others"
            );
            return Fate::Leaves(Counter::DestinationGone, why);
        }
        match followed(&self.users, requested.user.as_ref()) {
            Err(why) => Fate::Leaves(Counter::RightsRefused, why),
            Ok(None) => {
                requested.user = None;
                Fate::Stays
            }
            Ok(Some(user)) => {
                let before = requested.user.replace(Arc::clone(&user));
                if before.is_some_and(|it| it.receives_as(&user)) {
                    return Fate::Stays;
                }
                let names = requested
                    .indices()
                    .filter_map(|it| self.destinations.name(it));
                let mut refused = names.filter(|it| !user.may_receive(it));
                match refused.next() {
                    Some(name) => Fate::Leaves(
                        Counter::RightsRefused,
                        format!("this user may not receive {name:?} any more"),
                    ),
                    None => Fate::Looks,
                }
            }
        }
    }
}

/// Who a subscriber is now; `None`: nobody is asked.
fn followed(users: &Users, before: Option<&Arc<User>>) -> Result<Option<Arc<User>>, String> {
    let user = users.follow(before.map(|it| &**it))?;
    match user {
        Some(user) if !user.may_receive_any() => Err("this user may receive nothing".to_owned()),
        user => Ok(user.cloned()),
    }
}
