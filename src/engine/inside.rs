//! Connectors to the agents for other parts of the engine, HTTP and NATS: they connect from within the process,
//! and the agents accept them beside TCP's, or dial them.

use std::sync::Arc;

use super::error::{StartError, system};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::counters::Counters;
use crate::nats::{self, Nats, NatsParts, Own};
use crate::net::Tcp;
use crate::net::local::{LocalConnector, LocalListener, local};
use crate::net::offer::Offers;

/// What joins the path from within.
pub(super) struct Inside {
    pub(super) connectors: LocalConnectors,
    pub(super) inward: Inward,
    /// By source, where those offer themselves that are read from NATS.
    pub(super) offers: Offers,
    pub(super) nats: Arc<Nats>,
    /// The user that the destinations at NATS are.
    pub(super) own: Option<Own>,
}

impl Inside {
    /// A reload may bring the first that uses one.
    pub(super) fn new(
        config: &Config,
        counters: &Arc<Counters>,
        clock: SystemClock,
    ) -> Result<Self, StartError> {
        let (connectors, inward) = connectors(config.delivery.agents)?;
        let offers = Offers::default();
        let nats = Nats::new(NatsParts {
            offers: offers.clone(),
            delivery: connectors.to_delivery.clone(),
            counters: Arc::clone(counters),
            clock,
        });
        let slots: Vec<_> = (0..config.sources.len()).collect();
        nats.offer(config, &slots);
        Ok(Self {
            connectors,
            inward,
            offers,
            nats: Arc::new(nats),
            own: nats::own(config, None).map_err(system("randomness"))?,
        })
    }
}

/// The sides that connect; none where nobody does.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalConnectors {
    pub(super) to_ingest: Option<LocalConnector>,
    pub(super) to_delivery: Vec<LocalConnector>,
}

/// The agents' sides: ingest's, then those of the delivery agents, in their order.
#[derive(Default)]
pub(super) struct Inward(Vec<LocalListener>);

impl Inward {
    /// The next agent's sockets accept from within too.
    pub(super) fn join(&mut self, net: Tcp) -> Result<Tcp, StartError> {
        match self.0.is_empty() {
            true => Ok(net),
            false => (net.with_local(self.0.remove(0))).map_err(system("poller")),
        }
    }
}

/// LocalConnectors of ingest and so many delivery agents.
fn connectors(delivery_agents: usize) -> Result<(LocalConnectors, Inward), StartError> {
    let (to_ingest, ingest) = local().map_err(system("descriptor"))?;
    let (mut to_delivery, mut inward) = (Vec::new(), vec![ingest]);
    for _ in 0..delivery_agents {
        let (connector, listener) = local().map_err(system("descriptor"))?;
        to_delivery.push(connector);
        inward.push(listener);
    }
    let connectors = LocalConnectors {
        to_ingest: Some(to_ingest),
        to_delivery,
    };
    Ok((connectors, Inward(inward)))
}
