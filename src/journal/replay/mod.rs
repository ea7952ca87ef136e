//! Replay: reads records back from the journal when their messages are to be delivered and have left
//! memory.
//!
//! The scheduler asks for records by position, in the order in which it wants to deliver them, and
//! lends chunks to read them into; they come back as if ingest had just read them. The agent has a
//! thread of its own, for a disk may be slow. It writes no file.
//!
//! ```text
//!                Fetch  +----------+        +---------+ Fetched, Sealed
//!  SCHEDULER =========> | requests | -----> | records | ================> SCHEDULER
//!                       | next,    | <----- | file,   |
//!                       | retry    | failed | batch   | <=== compacted files, Switched ===> RETENTION
//!                       +----------+        +---------+
//! ```

mod agent;

mod chunk;
mod error;
mod records;
mod requests;

pub(crate) use self::agent::{ReplayAgent, ReplayParts};
