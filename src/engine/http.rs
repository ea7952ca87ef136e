//! The start of HTTP for customers and producers.

use std::net::TcpListener;
use std::sync::Arc;

use super::error::{StartError, system};
use super::inside::LocalConnectors;
use crate::access::CurrentUsers;
use crate::cluster::run::lease::PathLease;
use crate::config::Config;
use crate::counters::Counters;
use crate::http::{Http, HttpParts, HttpSettings};
use crate::net::misdirected::Ports;
use crate::net::tls::TlsSwitch;

/// Lets customers and producers in, where there is a listener.
pub(super) fn start(
    (listener, connectors): (Option<TcpListener>, LocalConnectors),
    config: &Config,
    (settings, users): (Arc<HttpSettings>, Arc<CurrentUsers>),
    tls: Arc<TlsSwitch>,
    (counters, lease): (Arc<Counters>, PathLease),
) -> Result<Option<Http>, StartError> {
    let (Some(listener), Some(to_ingest)) = (listener, connectors.to_ingest) else {
        return Ok(None);
    };
    let parts = HttpParts {
        settings,
        max_line: config.ingest.max_line,
        delivery: config.delivery.clone(),
        users,
        tls,
        to_ingest,
        to_delivery: connectors.to_delivery,
        ports: Ports::of(config),
        lease,
        counters,
    };
    Http::start(listener, parts)
        .map(Some)
        .map_err(system("HTTP thread"))
}
