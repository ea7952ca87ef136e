//! Who may connect to a listener: at most so many in all, and from one address.
//!
//! A listener's acceptors share one; each connection it admits is given back once. The lock is taken
//! when a connection comes or goes, and held for one look into a table; never for a message.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error_line;
use crate::config::Connections;
use crate::counters::Counter;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The listener has as many as it may have.
    Full,
    /// Its address has as many as one may have.
    Address,
}

impl Refusal {
    /// What counts it.
    #[must_use]
    pub(crate) fn counter(self) -> Counter {
        match self {
            Refusal::Full => Counter::ConnectionsRefusedFull,
            Refusal::Address => Counter::ConnectionsRefusedAddress,
        }
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Admission {
    /// The listener's section of the settings.
    section: &'static str,
    /// How many in all, and from one address; zero: as many as in all. A reload changes them.
    max: AtomicUsize,
    max_per_address: AtomicUsize,
    connected: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Admission {
    /// Nobody is connected yet.
    #[must_use]
    pub(crate) fn new(section: &'static str, limits: Connections) -> Self {
        Self {
            section,
            max: AtomicUsize::new(limits.max),
            max_per_address: AtomicUsize::new(limits.max_per_address),
            connected: AtomicUsize::new(0),
            by_address: Mutex::default(),
        }
    }

    /// From now on these are the limits. Who is there stays.
    pub(crate) fn set_limits(&self, limits: Connections) {
        self.max.store(limits.max, Ordering::Relaxed);
        (self.max_per_address).store(limits.max_per_address, Ordering::Relaxed);
    }

    /// How many in all.
    pub(crate) fn max(&self) -> usize {
        self.limits().max
    }

    fn limits(&self) -> Connections {
        Connections {
            max: self.max.load(Ordering::Relaxed),
            max_per_address: self.max_per_address.load(Ordering::Relaxed),
        }
    }

    /// Takes a connection in.
    ///
    /// # Errors
    /// Why it may not stay.
    pub(crate) fn admit(&self, peer: SocketAddr) -> Result<(), Refusal> {
        let limits = self.limits();
        let below = |connected| (connected < limits.max).then_some(connected + 1);
        // Relaxed: the count is all that is shared.
        let counted = self
            .connected
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        counted.map_err(|_| Refusal::Full)?;
        // Counted where there is no limit, too: there may be one later.
        let mut by_address = self.by_address();
        let count = by_address.entry(peer.ip().to_canonical()).or_default();
        if limits.max_per_address > 0 && *count >= limits.max_per_address {
            drop(by_address);
            self.connected.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Address);
        }
        *count += 1;
        Ok(())
    }

    /// A connection that was taken in is closed.
    pub(crate) fn leave(&self, peer: SocketAddr) {
        let before = self.connected.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "it was taken in");
        let address = peer.ip().to_canonical();
        let mut by_address = self.by_address();
        let count = by_address.get_mut(&address).expect("it was taken in");
        *count -= 1;
        if *count == 0 {
            by_address.remove(&address);
        }
    }

    /// Whether the next one is refused, wherever it comes from.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.connected.load(Ordering::Relaxed) >= self.max.load(Ordering::Relaxed)
    }

    /// The line that tells a peer why.
    #[must_use]
    pub(crate) fn words(&self, why: Refusal) -> String {
        let (section, limits) = (self.section, self.limits());
        let why = match why {
            Refusal::Full => format!(
                "{} connections are open, and that is [{section}] max_connections",
                limits.max
            ),
            Refusal::Address => format!(
                "{} connections are open from your address, and that is [{section}] \
                 max_connections_per_address",
                limits.max_per_address
            ),
        };
        error_line(&format!("{why}; try again later"))
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Whoever panicked while it held the lock has ended the process.
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: u8, port: u16) -> SocketAddr {
        ([127, 0, 0, host], port).into()
    }

    fn admission(max: usize, max_per_address: usize) -> Admission {
        let limits = Connections {
            max,
            max_per_address,
        };
        Admission::new("ingest", limits)
    }

    #[test]
    fn the_limit_is_reached_exactly_and_who_goes_makes_room() {
        let admission = admission(2, 0);
        assert_eq!(admission.admit(peer(1, 1)), Ok(()));
        assert!(!admission.is_full());
        assert_eq!(admission.admit(peer(1, 2)), Ok(()));
        assert!(admission.is_full());
        assert_eq!(admission.admit(peer(2, 1)), Err(Refusal::Full));
        admission.leave(peer(1, 1));
        assert_eq!(admission.admit(peer(2, 1)), Ok(()));
    }

    #[test]
    fn an_address_has_a_limit_of_its_own_and_takes_no_room_when_refused() {
        let admission = admission(3, 1);
        assert_eq!(admission.admit(peer(1, 1)), Ok(()));
        for port in 2..9 {
            assert_eq!(admission.admit(peer(1, port)), Err(Refusal::Address));
        }
        assert_eq!(admission.admit(peer(2, 1)), Ok(()));
        assert_eq!(admission.admit(peer(3, 1)), Ok(()));
        assert_eq!(admission.admit(peer(4, 1)), Err(Refusal::Full));
        admission.leave(peer(1, 1));
        assert_eq!(admission.admit(peer(1, 2)), Ok(()));
    }

    #[test]
    fn an_address_is_the_same_in_both_spellings() {
        let admission = admission(3, 1);
        assert_eq!(admission.admit(peer(1, 1)), Ok(()));
        let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().expect("an address"), 2);
        assert_eq!(admission.admit(mapped), Err(Refusal::Address));
        admission.leave(mapped);
        assert_eq!(admission.admit(peer(1, 1)), Ok(()));
    }

    #[test]
    fn the_words_are_one_line_and_name_the_setting() {
        let admission = admission(7, 3);
        for (why, setting) in [
            (Refusal::Full, "[ingest] max_connections;"),
            (Refusal::Address, "[ingest] max_connections_per_address;"),
        ] {
            let words = admission.words(why);
            let parsed: serde_json::Value = serde_json::from_str(&words).expect("JSON");
            let error = parsed["error"].as_str().expect("a text");
            assert!(error.contains(setting) && !words.contains('\n'), "{words}");
        }
    }
}
