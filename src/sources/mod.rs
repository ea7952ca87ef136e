//! What is known of each source: the dialled ones of the settings, and producers that dialled in.
//!
//! ```text
//! ingest: reporter --a report when asked, some sources a cycle--> MONITOR --> /stats, the page
//! ```
//! Ingest counts and says what it waits for; nothing here decides anything.

mod report;

pub use report::{Collector, Reporter, exchange};
pub(crate) use report::{SourceReport, SourceState, State, WaitsFor, Who};
