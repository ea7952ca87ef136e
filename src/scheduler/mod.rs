//! The scheduler: decides which message goes next, and owns all state that the decision needs.
//!
//! Ingest feeds it accepted frames, delivery the events of its subscribers; it fills the rings to
//! the journal and to delivery. It does no IO.
//!
//! Read on in `cores.rs` for what each event does, and in `dispatcher.rs` for what goes next: its
//! loop takes it from [`queue::Queues::pop_ready_except`], which decides.
//!
//! ```text
//!          Arrived  +-----------------+  Run                                    +---------+
//! INGEST ---------> | intake          | --------------------------------------> | JOURNAL |
//!    ^              | dedup, sequence,|                          Settled        |         |
//!    |              | level           |       +-------------+ ----------------> |         |
//!    |              +-----------------+       | settlements |                   +---------+
//!    | chunks,              | message         +-------------+                        |
//!    | acknowledgements     v                        ^                               |
//!    |              +-----------------+              |            Recorded           |
//!    +------------- | gate            | <----------- | -----------------------------+
//!                   | what waits for  |              |
//!                   | its record      |              | acknowledged
//!                   +-----------------+              |
//!                           | recorded               |
//!                           v                        |
//!                   +-----------------+  credit  +---------------+  Subscribe, Written
//!                   | dispatcher      | <------- | subscriptions | <------------------ DELIVERY
//!                   | queues: what    | <------- | who takes     |  Acknowledged, Gone    ^
//!                   | goes next       | requeued | what          |                        |
//!                   +-----------------+          +---------------+                        |
//!                           |                        Frame                                |
//!                           +-------------------------------------------------------------+
//!
//!                   messages: the table under all of them, where a message's state lives
//! ```
//!
//! The modules are listed in the order of the data.

pub(crate) mod protocol;

pub(crate) mod agent;
pub(crate) mod cores;
pub(crate) mod parts;
mod rings;

pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod unsettled;

pub mod dedup;
pub(crate) mod intake;
pub mod rules;

mod duplicates;
pub(crate) mod first_accepted;
pub(crate) mod gate;
mod pending;
pub(crate) mod repeats;
pub(crate) mod source_acks;

pub(crate) mod dispatcher;
pub mod queue;

pub(crate) mod reload;
pub(crate) mod retirement;
pub(crate) mod settlements;
pub(crate) mod subscriber;
pub(crate) mod subscriptions;

pub(crate) mod bitmap;
pub(crate) mod chunks;
pub mod recovered;
mod report;

#[cfg(test)]
mod testing;

pub(crate) use self::agent::SchedulerAgent;
pub(crate) use self::parts::{DeliveryLink, ReplayLink, SchedulerParts};
