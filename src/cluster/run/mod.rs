//! A member at work: the thread that drives its core, its files, and the path's side of its lease.
//!
//! ```text
//!  scheduler, delivery --may I?--> [ lease ] <--until-- +--------+ ==publish=> JetStream
//!  journal agent ======Filled==========================> | member | <=PubAck,== thread
//!                <=====Opened, Wanted=================== | thread |   records
//!                                                        +--------+ --write, sync--> segments
//!                             Activate, Ended <-- told       |
//!                                 run's owner                '--> status
//! ```
//!
//! **Who owns the segments.** The member's thread, from the run's start to its end, as standby and as active:
//! both write confirmed records and nothing else, so one writer is what makes the bytes of all members the
//! same. A term's journal agent never sees a file: it would have to take them over from the standby and give
//! them back, and two writers of one file is what a crash between them would find.

pub(crate) mod files;
pub(crate) mod lease;
mod leaving;
pub(crate) mod link;
pub(crate) mod member;
mod readiness;
mod reporter;
mod stuck;
pub(crate) mod unconfirmed;
