//! The events of one subscriber for the scheduler, summed up until the ring takes them: so it is
//! bounded by the connections, and nothing that comes from the scheduler waits for room in the other
//! direction.

use std::net::SocketAddr;

use super::protocol::{FromDelivery, SubscriberKey};
use crate::message::DestinationIndex;

/// Destinations of a `subscribe` line.
#[derive(Debug)]
pub(super) struct Subscribe {
    pub(super) destinations: Vec<DestinationIndex>,
    pub(super) ack: bool,
    /// No more follows for the same line.
    pub(super) is_last: bool,
}

/// Events of one subscriber that were not sent.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// It is in the queue of those with something to send.
    pub(super) is_queued: bool,
    pub(super) subscribe: Option<Subscribe>,
    /// Frames that are wholly in the socket, their bytes, and when the last one was, in ns.
    written: (u32, u32, u64),
    /// Frames that it has acknowledged.
    pub(super) acknowledged: u32,
    pub(super) gone: bool,
}

impl Report {
    /// Frames are wholly in the socket.
    pub(super) fn add_written(&mut self, frames: u32, bytes: u32, at_ns: u64) {
        self.written = (self.written.0 + frames, self.written.1 + bytes, at_ns);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribe.is_none() && self.written.0 == 0 && self.acknowledged == 0 && !self.gone
    }

    /// The next event: what was written before what was acknowledged, that it has gone last.
    pub(super) fn take(
        &mut self,
        subscriber: SubscriberKey,
        peer: SocketAddr,
    ) -> Option<FromDelivery> {
        if let Some(subscribe) = self.subscribe.take() {
            return Some(FromDelivery::Subscribe {
                subscriber,
                destinations: subscribe.destinations,
                ack: subscribe.ack,
                is_last: subscribe.is_last,
                peer: Box::new(peer),
            });
        }
        if self.written.0 > 0 {
            let (frames, bytes, at_ns) = std::mem::take(&mut self.written);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_summed_up_and_sent_in_the_order_in_which_they_can_be() {
        let mut report = Report::default();
        let peer = ([127, 0, 0, 1], 9).into();
        assert!(report.is_empty() && report.take(7, peer).is_none());
        (report.gone, report.acknowledged) = (true, 2);
        report.subscribe = Some(Subscribe {
            destinations: vec![1],
            ack: true,
            is_last: true,
        });
        report.add_written(2, 20, 5);
        report.add_written(1, 10, 6);
        let sent: Vec<_> = std::iter::from_fn(|| report.take(7, peer)).collect();
        assert!(matches!(
            sent[..],
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
        assert!(report.is_empty());
    }
}
