//! What the scheduler is told of subscribers.
//!
//! News of a connection is kept with it, summed up, until the ring to the scheduler takes it; so it
//! is bounded by the connections, and nothing that comes from the scheduler waits for room in the
//! other direction.

use super::DeliveryAgent;
use super::protocol::FromDelivery;
use crate::clock::Clock;
use crate::message::DestinationIndex;
use crate::net::{Key, Network};

/// News of one connection that the scheduler has not been told.
#[derive(Debug, Default)]
pub struct News {
    /// It is in the list of connections with news.
    is_listed: bool,
    /// It subscribes to these, acknowledges or not, and that is all of one line or not.
    pub subscribe: Option<(Vec<DestinationIndex>, bool, bool)>,
    /// Frames that are wholly in the socket, their bytes, and when the last one was, in ns.
    wrote: (u32, u32, u64),
    /// Frames that it has acknowledged.
    pub acknowledged: u32,
    /// It has gone.
    pub gone: bool,
}

impl News {
    /// Frames are wholly in the socket.
    pub fn add_written(&mut self, frames: u32, bytes: u32, at_ns: u64) {
        self.wrote = (self.wrote.0 + frames, self.wrote.1 + bytes, at_ns);
    }

    fn is_empty(&self) -> bool {
        self.subscribe.is_none() && self.wrote.0 == 0 && self.acknowledged == 0 && !self.gone
    }

    /// What is to be told next: what was written before what was acknowledged, that it has gone last.
    fn take(&mut self, subscriber: u32) -> Option<FromDelivery> {
        if let Some((destinations, ack, is_last)) = self.subscribe.take() {
            return Some(FromDelivery::Subscribe {
                subscriber,
                destinations,
                ack,
                is_last,
            });
        }
        if self.wrote.0 > 0 {
            let (frames, bytes, at_ns) = std::mem::take(&mut self.wrote);
            return Some(FromDelivery::Written {
                subscriber,
                frames,
                bytes,
                at_ns,
            });
        }
        if self.acknowledged > 0 {
            let frames = std::mem::take(&mut self.acknowledged);
            return Some(FromDelivery::Acknowledged { subscriber, frames });
        }
        std::mem::take(&mut self.gone).then_some(FromDelivery::Gone { subscriber })
    }
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    /// Puts a connection into the list of those with news, if there is any.
    pub(super) fn list_news(&mut self, key: Key) {
        if let Some(connection) = self.get(key)
            && !connection.news.is_listed
            && !connection.news.is_empty()
        {
            connection.news.is_listed = true;
            self.with_news.push_back(key);
        }
    }

    /// Tells the scheduler what is new, as far as its ring takes it; the rest in a later cycle.
    pub(super) fn tell(&mut self) {
        while let Some(&key) = self.with_news.front() {
            let Some(connection) = &mut self.connections[key] else {
                unreachable!("a key stays taken until the scheduler has heard that it has gone");
            };
            while !connection.news.is_empty() {
                let Some(mut permit) = self.parts.to_scheduler.claim(1) else {
                    return;
                };
                if let Some(news) = connection.news.take(key as u32) {
                    permit.send(news);
                }
            }
            connection.news.is_listed = false;
            self.with_news.pop_front();
        }
        while !self.ended_leases.is_empty()
            && let Some(mut permit) = self.parts.to_scheduler.claim(1)
            && let Some(returned) = self.ended_leases.take()
        {
            permit.send(FromDelivery::Returned(returned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_summed_up_and_told_in_the_order_in_which_they_can_be() {
        let mut news = News::default();
        assert!(news.is_empty() && news.take(7).is_none());
        (news.gone, news.acknowledged) = (true, 2);
        news.subscribe = Some((vec![1], true, true));
        news.add_written(2, 20, 5);
        news.add_written(1, 10, 6);
        let told: Vec<_> = std::iter::from_fn(|| news.take(7)).collect();
        assert!(matches!(
            told[..],
            [
                FromDelivery::Subscribe { subscriber: 7, .. },
                FromDelivery::Written {
                    frames: 3,
                    bytes: 30,
                    at_ns: 6,
                    ..
                },
                FromDelivery::Acknowledged { frames: 2, .. },
                FromDelivery::Gone { subscriber: 7 },
            ]
        ));
        assert!(news.is_empty());
    }
}
