//! What passes between the scheduler and a delivery agent.
//!
//! ```text
//!  scheduler --Frame, Assigned, Forget, Retire, Retired------------------> delivery
//!            <--Subscribe, Written, Acknowledged, Gone, Returned, Released--
//! ```

use std::net::SocketAddr;

use crate::arena::{Lease, Returned};
use crate::message::DestinationIndex;

/// A subscriber's connection, as both sides call it; free for another one after `Forget`.
pub(crate) type SubscriberKey = u32;

/// Sent by the scheduler.
#[derive(Debug)]
pub(crate) enum ToDelivery {
    /// The record of a message for a subscriber.
    Frame {
        subscriber: SubscriberKey,
        /// Lent until it is returned.
        lease: Lease,
        /// The message may have been seen before.
        redelivered: bool,
    },
    /// The answer to a `Subscribe`.
    Assigned {
        subscriber: SubscriberKey,
        /// Destinations whose messages it takes.
        active: Vec<DestinationIndex>,
        /// Destinations for which it stands by.
        standby: Vec<DestinationIndex>,
        /// No more follows for the same `subscribe` line.
        is_last: bool,
    },
    /// The answer to `Gone`: no more frames come for the subscriber.
    Forget { subscriber: SubscriberKey },
    /// The name of a destination may be about to go: it is to be forgotten.
    Retire {
        destination: DestinationIndex,
        /// Who has it.
        subscribers: Vec<SubscriberKey>,
    },
    /// The name is gone: its subscribers, whose patterns it fitted, have it no more. Answered too.
    Retired {
        destination: DestinationIndex,
        subscribers: Vec<SubscriberKey>,
    },
}

/// Sent by a delivery agent.
#[derive(Debug)]
pub(crate) enum FromDelivery {
    /// A subscriber wants messages.
    Subscribe {
        subscriber: SubscriberKey,
        /// Whose messages, besides those that it has asked for before.
        destinations: Vec<DestinationIndex>,
        /// Whether it acknowledges.
        ack: bool,
        /// No more follows for the same `subscribe` line: messages may come now.
        is_last: bool,
        /// Where it connects from; boxed, so that the ring's entries stay small.
        peer: Box<SocketAddr>,
    },
    /// Frames, in the order they were handed over, are wholly in the socket.
    Written {
        subscriber: SubscriberKey,
        frames: u32,
        /// Their bytes, newlines included.
        bytes: u32,
        /// When, in ns.
        at_ns: u64,
    },
    /// Frames, in the order they were handed over, were acknowledged.
    Acknowledged {
        subscriber: SubscriberKey,
        frames: u32,
    },
    /// A subscriber is disconnected; nothing more comes from it.
    Gone { subscriber: SubscriberKey },
    /// Leases that have ended.
    Returned(Returned),
    /// The answer to `Retire` and `Retired`: no more subscriptions come with this index, unless the
    /// name stays.
    Released {
        destination: DestinationIndex,
        consent: Consent,
    },
}

/// Whether the name of a destination may go, as a delivery agent sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It may.
    Given,
    /// Names are looked up, and it may be among those that were found.
    NotNow,
    /// A subscriber has asked for it by its name.
    Refused,
}
