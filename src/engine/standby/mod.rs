//! The listeners of a standby: those of the engine, without a pipeline behind them.
//!
//! ```text
//! producers, subscribers, HTTP --> [ thread "listeners" ] --> one line: who serves, and where; the end
//! probes, people, scrapers ------> [ thread "admin" ] --> /healthz 200, /readyz 503, the group's figures
//! ```
//!
//! A member's run opens them, and drops them before the pipeline binds the same addresses.

mod answering;

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tracing::info;

use self::answering::{Answering, Listening};
use super::Addresses;
use super::error::{StartError, system};
use super::listeners::{Listeners, at_addresses};
use super::names::Names;
use super::reload::asking::Reloads;
use super::resources::within_descriptors;
use super::tls::{TlsOfEngine, TlsSwitches};
use crate::access::{CurrentUsers, RefusedClients, Users, with_tokens};
use crate::admin::{Admin, AdminState, Facts, Health, Shown};
use crate::cluster::addresses::Endpoint;
use crate::cluster::status::Handle;
use crate::config::{Config, StoreUrl};
use crate::counters::Counters;
use crate::latency::Totals;
use crate::net::admission::Admission;
use crate::scheduler::rules::Rules;

/// The open listeners; dropped, they are closed and their addresses free.
#[derive(Debug)]
pub(crate) struct StandbyListeners {
    addresses: Addresses,
    admin: Option<Admin>,
    /// Ends with this.
    _answering: Answering,
}

impl StandbyListeners {
    /// Binds all listeners of the settings, and answers there for a member that does not serve.
    ///
    /// # Errors
    /// A file of TLS or a token cannot be read, an address cannot be had, or the system has no thread.
    pub(crate) fn open(config: &Config, member: &Handle) -> Result<Self, StartError> {
        let config = within_descriptors(&with_tokens(config)?)?;
        let tls = TlsOfEngine::load(&config)?.switches();
        let listeners = Listeners::bind(&config)?;
        let addresses = listeners.addresses().map_err(system("local address"))?;
        let config = at_addresses(&config, &addresses);
        let counters = Arc::new(Counters::default());
        let refused = Arc::<RefusedClients>::default();
        let Listeners {
            delivery,
            ingest,
            admin,
            http,
        } = listeners;
        let listeners = [
            (Endpoint::Delivery, Some(delivery), &tls.delivery),
            (Endpoint::Ingest, ingest, &tls.ingest),
            (Endpoint::Http, http, &tls.http),
        ];
        let listeners = listeners
            .into_iter()
            .filter_map(|(endpoint, listener, tls)| {
                let (listener, tls) = (listener?, tls.listener());
                Some(Listening {
                    endpoint,
                    listener,
                    tls,
                })
            });
        let answering = Answering::start(
            listeners.collect(),
            member.status.clone(),
            (Arc::clone(&counters), Arc::clone(&refused)),
        );
        let answering = answering.map_err(system("thread"))?;
        let state = state(&config, member, &tls, (counters, refused));
        let admin = admin.map(|it| Admin::start(it, state)).transpose()?;
        info!(%addresses.delivery, "standby: whoever connects is told who serves");
        Ok(Self {
            addresses,
            admin,
            _answering: answering,
        })
    }

    /// Where they are.
    #[must_use]
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }
}

impl Drop for StandbyListeners {
    fn drop(&mut self) {
        if let Some(admin) = self.admin.take() {
            admin.stop();
        }
    }
}

/// What the admin address shows of a member without a pipeline: the group's figures, and zeros.
fn state(
    config: &Config,
    member: &Handle,
    tls: &TlsSwitches,
    (counters, refused): (Arc<Counters>, Arc<RefusedClients>),
) -> AdminState {
    let rules = Rules::new(&config.rules, &config.destinations, config.scheduler.levels);
    let names = Names::new(config, &rules);
    let destinations_max = names.destinations_max();
    let totals = Totals::new(config.scheduler.levels, destinations_max);
    AdminState {
        counters,
        shown: Arc::new(Mutex::new(Shown::new(totals, config.sources.len()))),
        health: Arc::new(Health::new(std::iter::empty::<String>())),
        names: Arc::new(names),
        users: Arc::new(CurrentUsers::new(Arc::new(Users::new(&config.users)))),
        tls: Arc::clone(&tls.admin),
        certificates: tls.certificates.clone(),
        admission: Arc::new(Admission::new("admin", config.admin.connections)),
        refused,
        // Nobody hears: a standby's settings are read when it starts.
        reloads: Reloads::new().0,
        member: Some(member.clone()),
        facts: Facts {
            version: env!("CARGO_PKG_VERSION"),
            durability: config.durability.name(),
            threading_mode: config.threads.mode.name(),
            started: Instant::now(),
            journal_max_bytes: config.journal.max_bytes,
            started_at: SystemTime::now(),
            has_store: config.store.url != StoreUrl::None,
            hosts: config.admin.hosts.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
