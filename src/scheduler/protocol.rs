//! What the scheduler takes and gives.
//!
//! ```text
//! agent      the scheduler takes                               and gives
//! ingest     Arrived, Rejected, Sealed, Forgotten              Chunk, Ack, Duplicates, Accepted,
//!                                                              Repeated, Allowance, Retire
//! journal    Recorded, Returned                                Run, Settled, Query
//! replay     Fetched, Sealed                                   Fetch, chunks
//! delivery   Subscribe, Written, Acknowledged, Gone, Returned, Frame, Assigned, Forget, Retire,
//!            Released                                          Retired
//! retention  Query, Granted                                    the Query, through the journal
//! ```
//! The entries stand in the protocols of these agents; this is the only file of the scheduler that
//! looks there.

pub(crate) use crate::delivery::protocol::{Consent, FromDelivery, SubscriberKey, ToDelivery};
pub(crate) use crate::ingest::protocol::{Arrival, FromIngest, ToIngest};
pub(crate) use crate::journal::protocol::{
    Fetch, FromJournal, FromReplay, FromRetention, ToJournal,
};
pub(crate) use crate::journal::retention::query::UnsettledQuery;
