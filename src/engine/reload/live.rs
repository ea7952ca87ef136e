//! What runs, as far as a reload reaches it, and how it takes new settings. Nothing here fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::error;

use super::place::Indices;
use crate::access::{CurrentUsers, Users};
use crate::admin::Shown;
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::delivery::Timeouts;
use crate::delivery::reload::DeliveryChange;
use crate::engine::names::Names;
use crate::engine::pipeline::Remotes;
use crate::engine::tls::{TlsOfEngine, TlsSwitches};
use crate::http::HttpSettings;
use crate::ingest::reload::{IngestChange, SourceChange};
use crate::message::allowance::MaxQueued;
use crate::message::when_full::WhenFullOf;
use crate::message::{Creation, DestinationIndex};
use crate::nats::{Nats, Own};
use crate::net::admission::Admission;
use crate::scheduler::reload::{Configured, SchedulerChange};

/// An agent takes a change within milliseconds; after so long it is told that it has not.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a reload changes while it runs.
pub(in crate::engine) struct Live {
    pub(in crate::engine) counters: Arc<Counters>,
    pub(in crate::engine) names: Names,
    pub(in crate::engine) remotes: Remotes,
    /// The engine's own user, among those of the settings.
    pub(in crate::engine) own: Option<Own>,
    /// Sources and destinations there.
    pub(in crate::engine) nats: Arc<Nats>,
    pub(in crate::engine) tls: TlsSwitches,
    /// Who may ask over HTTP.
    pub(in crate::engine) viewers: Arc<CurrentUsers>,
    /// How many may.
    pub(in crate::engine) admin_admission: Arc<Admission>,
    /// HTTP for customers and producers.
    pub(in crate::engine) http: Arc<HttpSettings>,
    pub(in crate::engine) shown: Arc<Mutex<Shown>>,
    /// `[stats] interval`, in ns.
    pub(in crate::engine) stats_interval_ns: Arc<AtomicU64>,
}

impl Live {
    /// Takes new settings; `slots` are the numbers of their sources. The agents take them one behind the
    /// other; `is_over` says that they are gone.
    pub(super) fn take(
        &mut self,
        config: &Config,
        indices: Indices,
        sources: &[SourceChange],
        (tls, slots): (&TlsOfEngine, &[usize]),
        is_over: &dyn Fn() -> bool,
    ) {
        let Indices {
            destinations,
            rules,
        } = indices;
        // While all is as it was: what they have begun is answered.
        self.nats.leave(config);
        let configured = Configured::of(destinations.iter().copied());
        self.remotes.scheduler.send(SchedulerChange {
            rules,
            max_queued: MaxQueued::placed(config, destinations.iter().copied()),
            configured: configured.clone(),
        });
        let late = || error!("the scheduler has not taken the new settings yet");
        let _ = self.remotes.scheduler.wait(PATIENCE, late, is_over);
        let creation = Creation::of(&config.scheduler);
        let closed =
            (self.names.destinations).configure_creating(creation, |it| configured.has(it));
        // Before a new source is dialled.
        self.tls.set(tls, slots);
        self.nats.offer(config, slots);
        let with_own = Own::among(self.own.as_ref(), config);
        let users = Arc::new(Users::new(&with_own.users));
        self.send_to_doors(config, &destinations, &closed, &users, sources);
        let Remotes {
            ingest, deliveries, ..
        } = &mut self.remotes;
        let late = || error!("ingest has not taken the new settings yet");
        let _ = ingest.wait(PATIENCE, late, is_over);
        for delivery in deliveries {
            let late = || error!("delivery has not taken the new settings yet");
            let _ = delivery.wait(PATIENCE, late, is_over);
        }
        self.take_aside(config, &destinations, users);
        self.nats
            .join(config, self.own.as_ref().map(|it| &it.token));
    }

    /// To the agents with sockets.
    fn send_to_doors(
        &mut self,
        config: &Config,
        destinations: &[DestinationIndex],
        closed: &[DestinationIndex],
        users: &Arc<Users>,
        sources: &[SourceChange],
    ) {
        self.remotes.ingest.send(IngestChange {
            sources: sources.to_vec(),
            users: Arc::clone(users),
            max_queued: MaxQueued::placed(config, destinations.iter().copied()),
            when_full: WhenFullOf::placed(config, destinations.iter().copied()),
            settings: config.ingest.clone(),
            closed: closed.to_vec(),
        });
        for delivery in &mut self.remotes.deliveries {
            delivery.send(DeliveryChange {
                users: Arc::clone(users),
                timeouts: Timeouts::new(&config.delivery),
                closed: closed.to_vec(),
            });
        }
    }

    /// What is beside the path.
    fn take_aside(&self, config: &Config, destinations: &[DestinationIndex], users: Arc<Users>) {
        let [producers, subscribers] = &self.remotes.admissions;
        producers.set_limits(config.ingest.connections);
        subscribers.set_limits(config.delivery.connections);
        self.admin_admission.set_limits(config.admin.connections);
        self.http.set(&config.http);
        self.viewers.set(users);
        let interval = u64::try_from(config.stats.interval.as_nanos()).unwrap_or(u64::MAX);
        self.stats_interval_ns.store(interval, Ordering::Relaxed);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let when_full = WhenFullOf::placed(config, destinations.iter().copied());
        shown.alarms.configure(config.sources.len(), when_full);
        // The scheduler counts them too, when it has work.
        let destinations = self.names.destinations.count();
        (self.counters).set(Counter::Destinations, destinations as u64);
    }
}
