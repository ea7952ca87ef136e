//! Retention: sees to it that the journal does not grow for ever.
//!
//! A segment goes when all in it is settled, stored, and out of the dedup window. Its file becomes
//! a free one, for the journal agent to write over, or is removed where enough of them wait. Where a
//! few unsettled messages hold many segments, these messages are carried forward into a compacted file; where
//! room is short, so are the ids that the dedup window remembers, and nothing else waits for it. In a group
//! nothing is compacted, for the files of all members are the same: the messages become carried records, and a
//! segment goes once all agree.
//! It has a thread of its own, for removing and syncing files takes time; it takes no part in the
//! path.
//!
//! ```text
//!   SCHEDULER <==== UnsettledQuery ======= [           ]
//!                                  [ retention ] === free files ==> JOURNAL
//!   JOURNAL == SegmentStarted, UnsettledQuery ====> [           ] <=== Moved, Switched ===> REPLAY
//! ```

mod agent;
mod parts;

mod core;
mod limit;
pub(crate) mod low;
pub(crate) mod needed;
pub(crate) mod query;
pub(crate) mod ranges;
pub(crate) mod room;
pub(crate) mod window;

mod carrying;
pub(crate) mod compaction;
mod files;
mod group;

pub(crate) use self::agent::RetentionAgent;
pub(crate) use self::parts::{CoreParts, RetentionParts};

#[cfg(test)]
mod tests;
