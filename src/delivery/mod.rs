//! Delivery: what subscribers send and get.
//!
//! An agent accepts subscribers, tells the scheduler what they ask for, writes what the scheduler hands
//! it - as many frames as the socket takes in one call - and tells the scheduler what was written, what
//! was acknowledged, and who has gone. It decides nothing about messages.
//!
//! ```text
//!  scheduler --ToDelivery---> [ core: subscribers ] <--> [ sockets ] --writev--> subscriber
//!            <--FromDelivery- [                   ]                  <--lines--- subscriber
//! ```

mod agent;
mod answer;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod lookup;
mod outbox;
pub(crate) mod protocol;
pub(crate) mod reload;
mod report;
mod request;
mod sockets;
mod staging;
mod subscriber;
mod subscribers;

use std::sync::Arc;

pub(crate) use self::agent::DeliveryAgent;
use self::protocol::{FromDelivery, ToDelivery};
use self::reload::DeliveryChange;
pub(crate) use self::subscribers::Timeouts;
use crate::access::Users;
use crate::agent::control::Control;
use crate::arena::View;
use crate::cluster::run::lease::PathLease;
use crate::counters::Counters;
use crate::message::Directory;
use crate::net::admission::Admission;
use crate::net::misdirected::Ports;
use crate::ring::{Receiver, Sender};

/// What a delivery agent is made of.
pub(crate) struct DeliveryParts<N, C> {
    /// Its sockets.
    pub(crate) net: N,
    /// Read after a write, for the time at which it was complete.
    pub(crate) clock: C,
    /// Frames come from here.
    pub(crate) from_scheduler: Receiver<ToDelivery>,
    /// Events go there.
    pub(crate) to_scheduler: Sender<FromDelivery>,
    /// Reads the chunks.
    pub(crate) view: View,
    /// The customers.
    pub(crate) destinations: Directory,
    /// Who may subscribe.
    pub(crate) users: Arc<Users>,
    /// How many may connect; shared by the agents.
    pub(crate) admission: Arc<Admission>,
    /// After how long a subscriber is disconnected.
    pub(crate) timeouts: Timeouts,
    /// What reloads change.
    pub(crate) control: Control<DeliveryChange>,
    /// Where who is wrong here should go.
    pub(crate) ports: Ports,
    /// Whether frames may be handed out, in a group.
    pub(crate) lease: PathLease,
    pub(crate) counters: Arc<Counters>,
}
