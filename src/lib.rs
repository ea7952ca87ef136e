//! The Flipped Load Balancer: it takes the messages of many servers, merges them into one stream,
//! orders that by priority, and hands each message to the one customer it is for.
//!
//! ```text
//! sources ==TCP==> INGEST ==ring==> SCHEDULER ==rings==> DELIVERY x N ==TCP==> subscribers
//!                  mio loop         dedup, sequence,      mio loop,
//!                  frame, parse     priority queues       credit, acks
//!                     |                |  ^ recorded position
//!                     |                v  |
//!                     |             JOURNAL ==files==> STORE (batches to a database)
//!                     v             append, sync        off the path, follows the files
//!                  REJECTS             |
//!                  rejected.ndjson     +==files==> REPLAY (reads back what left memory)
//!                                      +==files==> RETENTION (frees segments)
//!                  ADMIN: HTTP, statistics, histograms (off the path)
//! ```
//!
//! Each stage is an agent in a module of its name; `engine/pipeline.rs` makes them and the rings
//! between them. [`scheduler`] draws how a message gets its sequence and its turn;
//! [`scheduler::queue::Queues::pop_ready_except`] picks the one that goes next. `limits/` has every
//! bound. Why it is so: `ARCHITECTURE.md`.
//!
//! The modules are listed in the order in which the data flows.

// The library shows what the binary, the benchmarks and the tests use: all else is `pub(crate)`.
#![warn(unreachable_pub)]

mod access;
pub mod config;
pub mod limits;

pub mod clock;
mod escape;
pub mod log;
mod log_limit;
pub mod message;
mod plural;

mod arena;
mod descriptors;
mod disk;
mod memory;
pub mod net;
pub mod ring;
pub mod rolling;
mod setting_file;
mod space;
mod sync;

pub mod agent;

pub mod ingest;
mod rejects;
pub mod scheduler;

pub mod journal;

pub mod cluster;

mod delivery;

pub mod store;

mod admin;
pub mod counters;
pub mod destinations;
mod faults;
mod files;
mod http;
pub mod latency;
mod nats;

pub mod sources;

pub mod engine;

mod build_info;
pub mod cli;
mod formats;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
