//! What passes between the scheduler and a delivery agent.

use crate::arena::{Lease, Returned};
use crate::message::DestinationIndex;

/// What the scheduler tells a delivery agent.
#[derive(Debug)]
pub enum ToDelivery {
    /// A frame for a subscriber.
    Frame {
        /// Whose.
        subscriber: u32,
        /// The frame's record.
        lease: Lease,
        /// It may have been seen before.
        again: bool,
    },
    /// What a subscriber got of what it asked for.
    Assigned {
        /// Whose.
        subscriber: u32,
        /// Destinations whose messages it takes.
        active: Vec<DestinationIndex>,
        /// Destinations for which it stands by.
        standby: Vec<DestinationIndex>,
        /// That is all of one `subscribe` line.
        is_last: bool,
    },
    /// No more frames come for a subscriber that has gone.
    Forget {
        /// Whose.
        subscriber: u32,
    },
}

/// What a delivery agent tells the scheduler.
#[derive(Debug)]
pub enum FromDelivery {
    /// Somebody wants messages.
    Subscribe {
        /// Who.
        subscriber: u32,
        /// Which, besides those that it has asked for before.
        destinations: Vec<DestinationIndex>,
        /// Whether it acknowledges.
        ack: bool,
        /// That is all of one `subscribe` line: it shall get their messages now.
        is_last: bool,
    },
    /// Frames, in the order they were handed over, are wholly in the socket.
    Wrote {
        /// Whose.
        subscriber: u32,
        /// How many.
        frames: u32,
        /// Their bytes, newlines included.
        bytes: u32,
        /// When, in ns.
        at_ns: u64,
    },
    /// Frames, in the order they were handed over, were acknowledged.
    Acknowledged {
        /// Whose.
        subscriber: u32,
        /// How many more.
        frames: u32,
    },
    /// A subscriber has gone; nothing more comes from it.
    Gone {
        /// Who.
        subscriber: u32,
    },
    /// Leases come home.
    Returned(Returned),
}
