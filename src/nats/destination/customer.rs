//! Whose messages are published to NATS, and how.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::stuck::StuckAfter;
use crate::access::Token;
use crate::config::Nats;
use crate::nats::link::Link;
use crate::net::local::LocalConnector;

/// Whose messages a customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nats) enum Scope {
    One,
    /// All destinations that fit.
    Pattern,
    /// One destination of a pattern, set aside.
    Aside,
}

/// Whose messages are published, and how.
pub(in crate::nats) struct Customer {
    /// Its id, or the pattern of ids.
    pub(in crate::nats) id: String,
    pub(in crate::nats) scope: Scope,
    pub(in crate::nats) nats: Nats,
    pub(in crate::nats) delivery: LocalConnector,
    /// What the engine's own user shows, where there are users.
    pub(in crate::nats) token: Option<Token>,
    pub(in crate::nats) link: Link,
    /// Without an answer for so long, it gives its messages back.
    pub(in crate::nats) stuck_after: StuckAfter,
    /// Nothing more is published from then on, and what was published is answered.
    pub(in crate::nats) stop: watch::Receiver<bool>,
}

impl Customer {
    /// Who the subscriber is to the log and to `/stats`: the first server.
    pub(super) async fn peer(&self) -> SocketAddr {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let servers = self.nats.servers.as_ref();
        let Some(address) = servers.and_then(|it| it.addresses.first()) else {
            return unknown;
        };
        let found = tokio::net::lookup_host(address).await;
        found.ok().and_then(|mut it| it.next()).unwrap_or(unknown)
    }

    /// One destination of this pattern, by itself.
    pub(super) fn aside(&self, destination: &str) -> Self {
        let servers = self.nats.servers.as_ref();
        let servers = servers.map_or_else(String::new, ToString::to_string);
        let link = format!("destination {destination} at {servers}");
        Self {
            id: destination.to_owned(),
            scope: Scope::Aside,
            nats: self.nats.clone(),
            delivery: self.delivery.clone(),
            token: self.token.clone(),
            link: self.link.beside(link),
            stuck_after: self.stuck_after.clone(),
            stop: self.stop.clone(),
        }
    }
}
