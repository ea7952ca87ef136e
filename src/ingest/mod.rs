//! Ingest: one event loop for all sources.
//!
//! It dials the configured sources and accepts producers that dial in, cuts what they send into
//! lines, parses these, and hands wrong ones to the rejects agent, and accepted frames - copied
//! once, from the socket's buffer into an arena chunk - to the scheduler. Before it reads it makes
//! sure that a whole read finds room downstream; where it does not, it leaves the bytes in the
//! socket. Connections take turns, a read each, so that none owns the loop.
//!
//! ```text
//!  sockets --read--> buffer --framer--> lines --intake--> records --ring--> scheduler
//!     ^                                   |                 ^ chunks        | chunks return,
//!     | acknowledgements                  v ring to rejects +---------------+ acknowledgements
//! ```
//!
//! The agent (`agent`, `opening`, `reading`, `ending`) polls; the others are cores of
//! values, listed in the order of the data.

pub(crate) mod protocol;

mod agent;
pub(crate) mod answer;
mod ending;
mod opening;
mod parts;
mod reading;
pub(crate) mod reload;
mod reporting;

mod attempts;
mod dial;
mod source;

mod answering;
mod confirm;
mod connection;
mod outcomes;
mod producer_log;
mod read_len;
mod timeouts;
mod waiting;
mod waits;

mod budget;
mod changing;
mod duplicates;
mod greeting;
mod lines;
mod pace;
mod turn;

pub(crate) mod intake;
mod names;
pub mod parser;

mod output;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod testing;

pub(crate) use self::agent::IngestAgent;
pub(crate) use self::parts::IngestParts;
