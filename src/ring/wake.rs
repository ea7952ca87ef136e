//! How a thread that parks is woken: the handshake of `parking.rs`, and an event descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use super::parking::Parking;

/// Wakes one thread.
#[derive(Debug)]
pub struct Wake {
    parking: Parking,
    event: OwnedFd,
}

impl Wake {
    /// # Errors
    /// The process has no file descriptor left.
    pub fn new() -> io::Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Arc::new(Self {
            parking: Parking::new(),
            event,
        }))
    }

    /// The thread is about to park: after this it must look at its rings once more.
    pub fn prepare_park(&self) {
        self.parking.begin();
    }

    /// The thread is awake.
    pub fn unpark(&self) {
        self.parking.end();
        let mut count = [0; 8];
        // Fails where nobody wrote to the descriptor: the usual case.
        let _ = rustix::io::read(&self.event, &mut count);
    }

    /// Something was published for the thread: wakes it if it is parked.
    pub fn notify(&self) {
        if self.parking.must_wake() {
            // It can only fail when the count is at its limit, and then the thread wakes anyway.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
