//! How the sockets of each role are set up.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use crate::config::Delivery;
use crate::limits::SUBSCRIBER_SEND_BUFFER;

/// Events that are taken from the poller at once.
const EVENTS: usize = 1024;

/// A peer that is silent this long is asked whether it lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// ... and then this often ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and so many times, before it is dead: a minute after its last word.
const KEEPALIVE_PROBES: u32 = 3;

/// How sockets of one role are set up.
#[derive(Debug, Clone, Copy)]
pub struct SocketOptions {
    /// Bytes of the kernel's send buffer; `None`: the system's own choice.
    pub send_buffer: Option<usize>,
    /// While fewer bytes wait in the kernel for the peer to have room, it takes more; `None`: as long
    /// as its buffer has room.
    pub unsent: Option<usize>,
    /// A read does not confirm at once what it read: that takes longer than the read itself, and has
    /// time until [`super::Network::confirm`].
    pub confirms_late: bool,
    /// Events taken from the poller at once.
    pub events: usize,
}

impl SocketOptions {
    /// Those of whoever sends to the engine.
    #[must_use]
    pub fn of_sources() -> Self {
        Self {
            send_buffer: None,
            unsent: None,
            confirms_late: true,
            events: EVENTS,
        }
    }

    /// Those of whoever gets messages, with these settings: what is in the kernel's buffer cannot be
    /// overtaken either.
    #[must_use]
    pub fn of_subscribers(settings: &Delivery) -> Self {
        Self {
            send_buffer: Some(SUBSCRIBER_SEND_BUFFER.min(settings.credit)),
            unsent: Some(settings.credit_unsent()),
            confirms_late: false,
            events: EVENTS,
        }
    }

    /// Sets a socket up.
    pub(super) fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        if let Some(len) = self.send_buffer {
            socket.set_send_buffer_size(len)?;
        }
        if let Some(len) = self.unsent {
            socket.set_tcp_notsent_lowat(u32::try_from(len).unwrap_or(u32::MAX))?;
        }
        if self.confirms_late {
            // Where the system has no such option, reads take longer.
            let _ = socket.set_tcp_quickack(false);
        }
        Ok(())
    }
}
