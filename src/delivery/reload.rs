//! A reload at a delivery agent: other users, timeouts and destinations, between two duty cycles.

use std::sync::Arc;

use super::Timeouts;
use crate::access::Users;
use crate::message::DestinationIndex;

/// What is new; after the change, what was before.
#[derive(Debug)]
pub(crate) struct DeliveryChange {
    pub(crate) users: Arc<Users>,
    pub(crate) timeouts: Timeouts,
    /// Destinations that are closed: their subscribers are told, and closed.
    pub(crate) closed: Vec<DestinationIndex>,
}
