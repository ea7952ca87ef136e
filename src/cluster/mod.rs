//! A group of engines with one replicated journal. `crate::engine` wires it in.
//!
//! JetStream replicates: its stream is a numbered log, by which the members agree who serves (the *active*)
//! and on each byte of their journals. Nothing here runs without a group in the settings.
//!
//! ```text
//! active:   ... scheduler -> record -> publish -> PubAck -> own journal -> gate opens
//! standby:  stream -> record, checked -------------------> own journal: same bytes, same positions
//!
//!   record     what one message of the stream holds, and its bytes
//!   core       one member: events in, decisions out
//!   log        the stream as a member uses it, and the driver that connects a core to it
//!   jetstream  the stream on nats-servers
//!   run        a member's thread and files, and what the path may do
//!   restore    the stream made anew from one member's journal
//!   aside      files that the stream does not have, kept in a directory of their own
//!   owner      which group owns a data directory
//!   status     the state of a member; `words` and `figures` show it
//!   addresses  where it serves
//!   members    what members tell each other beside the stream; `other_member` is what one said last
//! ```

pub mod addresses;
pub(crate) mod aside;
pub mod core;
pub(crate) mod figures;
pub mod jetstream;
pub mod log;
pub mod members;
pub mod other_member;
pub(crate) mod owner;
pub mod record;
pub(crate) mod restore;
pub(crate) mod run;
pub mod status;
mod words;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
