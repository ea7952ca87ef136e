//! How many files the process may open, and what of it connections get.
//!
//! Asked at start, and by `check` and `doctor`. The engine's own files come first: what they need is
//! set aside, and the listeners share the rest. So idle connections never take the descriptor of the
//! journal's next segment. Values only, but for [`allowed`] and [`raise`].
//!
//! ```text
//! limit | the engine's own | dialled sources | producers | subscribers | HTTP clients | HTTP customers |
//! ```

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, StoreUrl};
use crate::limits::{
    CONNECTIONS_MIN, DESCRIPTORS_FIXED, DESCRIPTORS_HTTP, DESCRIPTORS_HTTP_CUSTOMER,
    DESCRIPTORS_LOCAL, DESCRIPTORS_LOOKUP, DESCRIPTORS_NATS, DESCRIPTORS_NATS_THREAD,
    DESCRIPTORS_SOCKETS, DESCRIPTORS_STORE, DESCRIPTORS_THREAD, LOOKUPS_MAX, LOOKUPS_SLOW_MAX,
    NATS_ASIDE_MAX, REFUSED_HELD_MAX, THREADS_FIXED,
};
use crate::nats;

/// How many files the process may open once its soft limit is raised; the largest number: any.
#[must_use]
pub(crate) fn allowed() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises the soft limit to the hard one; returns how many files the process may open now.
///
/// # Errors
/// The system does not allow it.
pub(crate) fn raise() -> io::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Those that share what is left: producers, subscribers, HTTP clients, HTTP customers.
const LISTENERS: usize = 4;

/// What becomes of the descriptors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) allowed: u64,
    /// Set aside for the engine's own files, and the sources that it dials.
    pub(crate) own: u64,
    /// What the settings ask for, the engine's own included.
    pub(crate) wanted: u64,
    /// Descriptors for the connections of each listener. An HTTP customer takes several.
    pub(crate) shares: [usize; LISTENERS],
}

impl Budget {
    /// Shares out `allowed` descriptors: no listener gets more than it asked for, and none less than
    /// another one that wants more.
    #[must_use]
    pub(crate) fn new(config: &Config, allowed: u64) -> Self {
        let asked = asked(config);
        let own = own(config);
        let total: usize = asked.iter().sum();
        let left = usize::try_from(allowed.saturating_sub(own)).unwrap_or(usize::MAX);
        Self {
            allowed,
            own,
            wanted: own + total as u64,
            shares: share(asked, left),
        }
    }

    /// Whether the settings ask for more than there are.
    #[must_use]
    pub(crate) fn is_short(&self) -> bool {
        self.wanted > self.allowed
    }

    /// What is missing, what is done about it, and what to do.
    #[must_use]
    pub(crate) fn words(&self) -> String {
        let Self {
            allowed,
            own,
            wanted,
            shares: [producers, subscribers, clients, _],
        } = self;
        let customers = self.customers();
        format!(
            "the process may open {allowed} files, and the settings ask for {wanted}, {own} of them for \
             the engine itself; so at most {producers} producers, {subscribers} subscribers, \
             {clients} HTTP clients and {customers} HTTP customers are connected at once: {}, or \
             lower max_connections",
            self.advice()
        )
    }

    /// HTTP customers that find descriptors: one at least, where they are asked for.
    #[must_use]
    pub(crate) fn customers(&self) -> usize {
        self.shares[LISTENERS - 1].div_ceil(DESCRIPTORS_HTTP_CUSTOMER)
    }

    /// How to allow more.
    #[must_use]
    pub(crate) fn advice(&self) -> String {
        let wanted = self.wanted.next_multiple_of(1024);
        format!("ulimit -n {wanted}, or LimitNOFILE={wanted} in its systemd unit")
    }

    /// The settings with the numbers of connections that fit.
    #[must_use]
    pub(crate) fn fit(&self, config: &Config) -> Config {
        let mut fitted = config.clone();
        let [producers, subscribers, clients, _] = self.shares;
        fitted.ingest.connections.max = producers;
        fitted.delivery.connections.max = subscribers;
        fitted.admin.connections.max = clients;
        fitted.http.connections.max = self.customers();
        fitted
    }
}

/// Descriptors of the connections that the settings allow; none where nobody listens.
fn asked(config: &Config) -> [usize; LISTENERS] {
    let at = |listens: bool, max: usize| if listens { max } else { 0 };
    [
        at(
            config.ingest.listen.is_some(),
            config.ingest.connections.max,
        ),
        config.delivery.connections.max,
        at(config.admin.listen.is_some(), config.admin.connections.max),
        at(
            config.http.listen.is_some(),
            DESCRIPTORS_HTTP_CUSTOMER * config.http.connections.max,
        ),
    ]
}

/// Descriptors of the engine's own.
fn own(config: &Config) -> u64 {
    let store = match config.store.url {
        StoreUrl::None => 0,
        _ => DESCRIPTORS_STORE,
    };
    let listeners = asked(config).iter().filter(|it| **it > 0).count();
    let agents = config.delivery.agents as u64;
    let threads = THREADS_FIXED + agents;
    let http = match config.http.listen {
        Some(_) => DESCRIPTORS_HTTP,
        None => 0,
    };
    DESCRIPTORS_FIXED
        + store
        + nats(config)
        + http
        + DESCRIPTORS_THREAD * threads
        + (DESCRIPTORS_SOCKETS + DESCRIPTORS_LOCAL) * (1 + agents)
        + (listeners * REFUSED_HELD_MAX) as u64
        + config.sources.len() as u64
        + DESCRIPTORS_LOOKUP * config.sources.len().min(LOOKUPS_MAX + LOOKUPS_SLOW_MAX) as u64
}

/// Those of sources and destinations at NATS, and of their thread.
fn nats(config: &Config) -> u64 {
    let sources = config.sources.iter();
    let sources = sources.filter(|it| it.nats.servers.is_some()).count();
    let patterns = config.destination_patterns.iter();
    let patterns = patterns.filter(|it| it.nats.servers.is_some()).count();
    let destinations = nats::destinations(config).count() + patterns * NATS_ASIDE_MAX;
    match (sources + destinations) as u64 {
        0 => 0,
        count => DESCRIPTORS_NATS_THREAD + DESCRIPTORS_NATS * count,
    }
}

/// Each gets what it asked for, or an equal part of what those get that ask for more.
fn share(asked: [usize; LISTENERS], mut left: usize) -> [usize; LISTENERS] {
    let mut order = [0, 1, 2, 3];
    order.sort_unstable_by_key(|&at| asked[at]);
    let mut shares = [0; LISTENERS];
    let wanting = asked.iter().filter(|it| **it > 0).count();
    let mut sharers = wanting;
    for at in order.into_iter().skip(LISTENERS - wanting) {
        let fair = left / sharers;
        shares[at] = asked[at].min(fair.max(CONNECTIONS_MIN));
        left = left.saturating_sub(shares[at]);
        sharers -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        config.ingest.listen = Some(([127, 0, 0, 1], 9001).into());
        config.http.listen = Some(([127, 0, 0, 1], 9080).into());
        config
    }

    #[test]
    fn where_there_is_enough_each_gets_what_it_asked_for() {
        for allowed in [u64::MAX, 1 << 20] {
            let budget = Budget::new(&config(), allowed);
            assert!(!budget.is_short());
            assert_eq!(budget.fit(&config()), config());
        }
        let budget = Budget::new(&config(), u64::MAX);
        assert!(!Budget::new(&config(), budget.wanted).is_short());
        assert!(Budget::new(&config(), budget.wanted - 1).is_short());
    }

    #[test]
    fn what_is_shared_out_never_exceeds_what_is_left() {
        let config = config();
        for allowed in 0..30_000 {
            let budget = Budget::new(&config, allowed);
            let shared: usize = budget.shares.iter().sum();
            let is_enough = allowed >= budget.own + (LISTENERS * CONNECTIONS_MIN) as u64;
            if is_enough {
                assert!(budget.own + shared as u64 <= allowed, "{budget:?}");
            }
            assert!(budget.shares.iter().all(|it| *it >= CONNECTIONS_MIN));
        }
    }

    #[test]
    fn those_that_want_little_get_it_and_the_others_share_the_rest() {
        assert_eq!(
            share([4_096, 20_000, 256, 0], 10_256),
            [4_096, 5_904, 256, 0]
        );
        assert_eq!(
            share([4_096, 20_000, 256, 0], 4_256),
            [2_000, 2_000, 256, 0]
        );
        assert_eq!(share([0, 20_000, 256, 0], 100), [0, 50, 50, 0]);
        assert_eq!(share([10; LISTENERS], 0), [CONNECTIONS_MIN; LISTENERS]);
        assert_eq!(share([1, 2, 3, 4], 0), [1, 2, 3, 4]);
    }

    #[test]
    fn the_words_have_the_numbers_and_the_advice() {
        let budget = Budget::new(&config(), 128);
        let words = budget.words();
        for part in ["may open 128 files", "ulimit -n", "LimitNOFILE="] {
            assert!(words.contains(part), "{words}");
        }
    }
}
