//! Rejected lines: kept whole in `rejected.ndjson`, so that nothing is lost, off the path.
//!
//! Ingest offers each line that it rejects to a ring of bytes; a full ring is an answer, and the
//! line stays with its source. The agent here formats what the ring holds, appends it to rolling
//! files and, with `durability = "synced"`, syncs what a source waits for. Then it says how far
//! lines are durable, and ingest acknowledges them. People read the files; the engine does not.
//!
//! ```text
//!  [ ingest ] == ring of bytes ==> [ rejects ] --> rejected.ndjson, rejected.N.ndjson
//!       ^ <------ durable up to ------- |
//! ```
//!
//! At the limit of the files, or while the disk fails, the ring fills: sources with wrong lines
//! wait, and the others do not.

mod agent;
mod field;
pub(crate) mod format;
mod log;
pub(crate) mod protocol;
mod secrets;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use self::agent::{RejectsAgent, RejectsParts};
