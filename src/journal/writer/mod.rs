//! The journal's writer: appends accepted messages and settlements, and says how far it is.
//!
//! The scheduler feeds it runs of records (leased chunk memory, written as it lies there) and
//! settlements. It answers with what is recorded, gives the leases back, and publishes its end
//! position for the store to follow. Retention learns of each segment that begins. Batches grow with
//! the load: a batch is what came while the last one was written. It does not read, and does not
//! decide what may go.
//!
//! ```text
//!             Run, Settled  +--------+      +--------------+  one write
//!  SCHEDULER =============> | staged | ---> | batch writer | -----------> segment file
//!            <============= +--------+      +--------------+  [ header | run | run | ... ]
//!             Recorded,       ^ which messages |              [ header | settlement | ... ]
//!             Returned        |                v
//!                        +---------------+  +---------+
//!                        | database room |  | shortage|       Started, Query ====> RETENTION
//!                        +---------------+  +---------+
//! ```
//!
//! Where the disk is full, runs wait and settlements are written alone, in the reserve if need be:
//! what is settled frees segments, and only they let messages go on. Messages are never written
//! without a reserve. Where not even settlements find room, a counter has the scheduler hand nothing
//! out.

mod agent;
mod parts;

mod staged;

mod batch_writer;
mod database_room;
mod full_disk;
mod shortage;

mod append;
mod error;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use self::agent::JournalAgent;
pub(crate) use self::parts::JournalParts;
