//! What is known of each destination: how much waits, who takes it, what it waits for.
//!
//! ```text
//! scheduler: reporter --a report when asked, some destinations a cycle--> MONITOR: tracker
//!                                                                                |
//!                     /stats /metrics /destinations, the statistics, top <-------+
//! ```
//! The scheduler counts; the tracker compares two reports, so that rates, and what stands still and
//! since when, cost the path nothing. Nothing here decides anything.

mod report;
mod reporter;
mod tracker;

pub(crate) use report::{DestinationState, Report, SubscriberState};
pub use reporter::{Collector, Reporter, exchange};
pub(crate) use tracker::{Tracked, Tracker, WaitsFor};
