//! The Flipped Load Balancer: many message servers in, one scheduled stream, each message to the
//! customer it is for - fast, once, and with nothing lost.
//!
//! ```text
//! sources ==TCP==> INGEST ==ring==> SCHEDULER ==rings==> DELIVERY x N ==TCP==> subscribers
//!                  mio loop         dedup, sequence,      mio loop,
//!                  frame, parse     bucketed queues       credit, acks
//!                                      |  ^ recorded position
//!                                      v  |
//!                                   JOURNAL ==files==> STORE (batches to a database)
//!                                   append              off the path, follows the files
//!                  ADMIN: HTTP, statistics, histograms (off the path)
//! ```
//!
//! The modules are listed in the order the data flows.

pub mod config;
pub mod limits;

pub mod clock;
pub mod escape;
pub mod log;
pub mod log_limit;
pub mod message;

pub mod arena;
pub mod descriptors;
pub mod memory;
pub mod net;
pub mod ring;
pub mod rolling;
mod sync;

pub mod agent;

pub mod ingest;
pub mod rejects;
pub mod scheduler;

pub mod journal;

pub mod delivery;

pub mod store;

pub mod admin;
pub mod counters;
pub mod latency;

pub mod engine;

pub mod cli;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
