//! A source within this process: it offers a connection when it has something to say, and the engine
//! dials it in its turn, as any source.
//!
//! ```text
//! whoever has lines --make--> [ one end of a socket pair ] --take--> Tcp, when the source is dialled
//! ```
//! The lock is held for one push or pop, when a connection is made; never for a message.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By source, where those offer themselves that are in this process; a reload changes it. The lock is held
/// for one look, when a source is dialled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers(Arc<Mutex<Vec<Option<Arc<Offer>>>>>);

impl Offers {
    /// They take the place of those that were there.
    pub(crate) fn set(&self, offers: Vec<Option<Arc<Offer>>>) {
        *lock(&self.0) = offers;
    }

    pub(super) fn of(&self, source: usize) -> Option<Arc<Offer>> {
        lock(&self.0).get(source).cloned().flatten()
    }
}

/// A connection that waits to be dialled, or why there is none.
#[derive(Debug)]
pub(crate) struct Offer(Mutex<Result<UnixStream, Arc<str>>>);

impl Offer {
    /// None yet, for this reason.
    pub(crate) fn none(why: &str) -> Self {
        Self(Mutex::new(Err(why.into())))
    }

    /// Offers one end of a new pair. Returns the other one. Neither blocks.
    ///
    /// # Errors
    /// The system has no descriptors.
    pub(crate) fn make(&self) -> io::Result<UnixStream> {
        let (inner, outer) = UnixStream::pair()?;
        inner.set_nonblocking(true)?;
        outer.set_nonblocking(true)?;
        *lock(&self.0) = Ok(inner);
        Ok(outer)
    }

    /// Takes back what nobody has dialled, for this reason.
    pub(crate) fn withdraw(&self, why: &str) {
        *lock(&self.0) = Err(why.into());
    }

    /// Dials.
    ///
    /// # Errors
    /// Nothing is offered; why.
    pub(super) fn take(&self) -> io::Result<UnixStream> {
        let mut offered = lock(&self.0);
        if let Err(why) = &*offered {
            return Err(io::Error::new(io::ErrorKind::NotConnected, why.to_string()));
        }
        let taken = std::mem::replace(&mut *offered, Err("it is connected".into()));
        taken.map_err(|_| io::ErrorKind::NotConnected.into())
    }
}

/// Whoever panicked while it held the lock has ended the process.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::SocketAddr;

    use super::*;
    use crate::net::{Network, SocketOptions, Tcp};

    #[test]
    fn a_source_within_is_dialled_when_it_offers_itself_and_says_why_not() {
        let offer = Arc::new(Offer::none("not yet"));
        let net = Tcp::new(None, SocketOptions::of_sources()).expect("a poller");
        let offers = Offers::default();
        let mut net = net.with_offers(offers.clone());
        offers.set(vec![None, Some(Arc::clone(&offer))]);
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let error = net.connect_to(1, nowhere).expect_err("nothing is offered");
        assert_eq!(error.to_string(), "not yet");
        let mut outer = offer.make().expect("a pair");
        let key = net.connect_to(1, nowhere).expect("it is offered");
        assert!(net.connected(key).expect("it stands"));
        assert!(net.connect_to(1, nowhere).is_err(), "it is taken");
        outer.write_all(b"line\n").expect("sent");
        let mut bytes = [0; 16];
        assert_eq!(net.read(key, &mut bytes).expect("it was sent"), 5);
        drop(outer);
        assert_eq!(net.read(key, &mut bytes).expect("its end"), 0);
        let mut withdrawn = offer.make().expect("a pair");
        offer.withdraw("gone");
        let error = net.connect_to(1, nowhere).expect_err("it was withdrawn");
        assert_eq!(error.to_string(), "gone");
        assert_eq!(withdrawn.read(&mut bytes).expect("its end"), 0);
    }
}
