//! The agents' doors for other parts of the engine, HTTP and NATS: they connect from within the process,
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
    pub(super) doors: Doors,
    pub(super) inward: Inward,
    /// By source, where those offer themselves that are read from NATS.
    pub(super) offers: Offers,
    pub(super) nats: Arc<Nats>,
    /// The user that the destinations at NATS are.
    pub(super) own: Option<Own>,
}

impl Inside {
    /// A reload may bring the first that uses a door.
    pub(super) fn new(
        config: &Config,
        counters: &Arc<Counters>,
        clock: SystemClock,
    ) -> Result<Self, StartError> {
        let (doors, inward) = doors(config.delivery.agents)?;
        let offers = Offers::default();
        let nats = Nats::new(NatsParts {
            offers: offers.clone(),
            delivery: doors.to_delivery.clone(),
            counters: Arc::clone(counters),
            clock,
        });
        let slots: Vec<_> = (0..config.sources.len()).collect();
        nats.offer(config, &slots);
        Ok(Self {
            doors,
            inward,
            offers,
            nats: Arc::new(nats),
            own: nats::own(config, None).map_err(system("randomness"))?,
        })
    }
}

/// The sides that connect; none where nobody does.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors {
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

/// Doors of ingest and so many delivery agents.
fn doors(delivery_agents: usize) -> Result<(Doors, Inward), StartError> {
    let (to_ingest, ingest) = local().map_err(system("descriptor"))?;
    let (mut to_delivery, mut inward) = (Vec::new(), vec![ingest]);
    for _ in 0..delivery_agents {
        let (connector, listener) = local().map_err(system("descriptor"))?;
        to_delivery.push(connector);
        inward.push(listener);
    }
    let doors = Doors {
        to_ingest: Some(to_ingest),
        to_delivery,
    };
    Ok((doors, Inward(inward)))
}
