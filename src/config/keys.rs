//! The one list of all keys, a file a section: name, default, meaning, and how a value is taken.
//!
//! The readers of the file and of the environment look keys up here, errors suggest names from
//! here, and the example file is printed from here. The keys of `[[source]]`, `[[destination]]`,
//! `[[rule]]` and `[[user]]` are in `items`. Bounds across several keys are checked by `checks`.

mod admin;
mod cluster;
mod delivery;
mod http;
mod ingest;
mod journal;
mod scheduler;
mod security;
mod store;
mod threads;
mod tls;
mod top;

use super::key::Section;
use admin::{ADMIN, LATENCY, LOG, STATS};
use cluster::CLUSTER;
use delivery::DELIVERY;
use http::HTTP;
use ingest::INGEST;
use journal::JOURNAL;
use scheduler::{DEDUP, SCHEDULER};
use security::SECURITY;
use store::STORE;
use threads::THREADS;
use tls::TLS;
use top::TOP;

pub use store::store_url;

/// The top of the file, then the sections, in the order of the example file.
pub(super) const SECTIONS: [Section; 16] = [
    TOP, INGEST, SCHEDULER, DEDUP, DELIVERY, HTTP, JOURNAL, CLUSTER, THREADS, STORE, ADMIN, TLS,
    SECURITY, STATS, LATENCY, LOG,
];
