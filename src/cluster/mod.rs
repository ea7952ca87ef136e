//! A group of engines with one replicated journal: what is below its wiring into the engine.
//!
//! Replication is JetStream's. The stream is a log of messages with numbers; the group's members agree by
//! it on who serves (the *active*), and on each byte of their journals. Nothing of it runs without a
//! group in the settings.
//!
//! ```text
//! active:   ... scheduler -> record -> publish -> PubAck -> own journal -> gate opens
//! standby:  stream -> record, checked -------------------> own journal: same bytes, same positions
//!
//!   record     what one message of the stream holds, and its bytes
//!   core       one member: what it hears, what it decides
//!   log        the stream as a member reaches it, and the driver that puts a core before it
//!   jetstream  the stream on nats-servers
//!   run        a member's thread and files, and what the path may do
//!   restore    the stream made anew from one member's journal
//!   aside      files that the stream does not have, kept in a directory of their own
//!   belonging  whose files a data directory has
//!   status     what a member tells of itself; `words` and `figures` show it
//!   addresses  where it serves
//!   members    what members tell each other beside the stream; `heard` is what was heard last
//! ```

pub mod addresses;
pub(crate) mod aside;
pub(crate) mod belonging;
pub mod core;
pub(crate) mod figures;
pub mod heard;
pub mod jetstream;
pub mod log;
pub mod members;
pub mod record;
pub(crate) mod restore;
pub(crate) mod run;
pub mod status;
mod words;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
