//! HTTP for customers and producers: `POST /publish`, `GET /subscribe/{destination}`, `POST /ack`.
//!
//! A bridge, off the path: it speaks the engine's own protocol to ingest and delivery, over socket pairs
//! within the process ([`crate::net::local`]). So durability, outcomes, credit, acknowledgements,
//! redelivery, standbys and rights are those of TCP, and the path has no code of its own for HTTP. It
//! keeps no message: what a client does not read stays in the engine.
//!
//! ```text
//!                     [ listener -> connection -> guard: host, origin, user ]
//!  producer --body-->   publish: lines, outcomes        == socket pair ==> INGEST
//!           <-lines--
//!  customer <-events-   subscribe: feed, subscriptions  <== socket pair == DELIVERY
//!           --id----->  ack -------------------------------acknowledgement--^
//! ```
//!
//! `lines`, `outcomes`, `feed` and `body_timeout` are cores of bytes and values; the others are their
//! shells. [`listener`] and [`request`] serve the admin address too.

pub(crate) mod listener;
pub(crate) mod request;

mod alive;
mod body;
mod connection;
mod guard;
mod refusal;
mod server;
mod settings;

mod body_timeout;
mod lines;
mod outcomes;
mod publish;

mod ack;
mod events;
mod feed;
mod subscribe;
mod subscriptions;

use std::sync::Arc;

pub(crate) use self::server::Http;
pub(crate) use self::settings::HttpSettings;
use crate::access::CurrentUsers;
use crate::cluster::run::lease::PathLease;
use crate::config;
use crate::counters::Counters;
use crate::net::local::LocalConnector;
use crate::net::misdirected::Ports;
use crate::net::tls::TlsSwitch;

/// What HTTP is made of.
pub(crate) struct HttpParts {
    pub(crate) settings: Arc<HttpSettings>,
    /// The longest line that ingest takes.
    pub(crate) max_line: usize,
    pub(crate) delivery: config::Delivery,
    /// Who may ask.
    pub(crate) users: Arc<CurrentUsers>,
    /// HTTPS where it has a certificate.
    pub(crate) tls: Arc<TlsSwitch>,
    pub(crate) to_ingest: LocalConnector,
    /// One for each delivery agent.
    pub(crate) to_delivery: Vec<LocalConnector>,
    /// Where who is wrong here should go.
    pub(crate) ports: Ports,
    /// Whether frames may be handed out now, and lines are acknowledged.
    pub(crate) lease: PathLease,
    pub(crate) counters: Arc<Counters>,
}
