//! Where connections come from: a listening socket, or dialing with back-off.
//!
//! `server` asks it for the newest connection.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::connection::Connection;
use crate::limits::{BACK_OFF_NS_MAX, BACK_OFF_NS_MIN, DIAL_TIMEOUT_MS};
use crate::tls::Session;

/// The first line of a producer that wants acknowledgements. It is no message and counts in none.
const HELLO_ACK: &[u8] = b"{\"producer\":{\"ack\":true}}\n";

#[derive(Debug)]
pub(crate) enum Door {
    Listen(Entrance),
    Dial(Dialer),
}

/// Where engines connect to.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    /// `None`: it is plain.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// The newest connection waiting, or the one that dialing brought; `None`: nobody now.
    pub(crate) fn newest(&mut self, now_ns: u64) -> Option<Connection> {
        match self {
            Self::Listen(entrance) => entrance.newest(),
            Self::Dial(dialer) => dialer.try_dial(now_ns),
        }
    }

    /// When to ask again at the latest, if nothing is heard before.
    pub(crate) fn ask_again_ns(&self) -> Option<u64> {
        match self {
            Self::Listen(_) => None,
            Self::Dial(dialer) => Some(dialer.next_ns),
        }
    }

    pub(crate) fn listener(&self) -> Option<&TcpListener> {
        match self {
            Self::Listen(entrance) => Some(&entrance.listener),
            Self::Dial(_) => None,
        }
    }
}

impl Entrance {
    fn newest(&self) -> Option<Connection> {
        let mut newest = None;
        while let Ok((socket, _)) = self.listener.accept() {
            newest = self.welcome(socket).ok().or(newest);
        }
        newest
    }

    fn welcome(&self, socket: TcpStream) -> io::Result<Connection> {
        let session = self.tls.as_ref().map(Session::new);
        Connection::new(socket, session.transpose()?)
    }
}

/// Dials one address, with exponential back-off and full jitter between attempts.
#[derive(Debug)]
pub(crate) struct Dialer {
    address: SocketAddr,
    ack: bool,
    next_ns: u64,
    pause_ns: u64,
    rng: fastrand::Rng,
}

impl Dialer {
    pub(crate) fn new(address: SocketAddr, ack: bool, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self {
            address,
            ack,
            next_ns: 0,
            pause_ns: BACK_OFF_NS_MIN,
            rng,
        }
    }

    fn try_dial(&mut self, now_ns: u64) -> Option<Connection> {
        if now_ns < self.next_ns {
            return None;
        }
        let connection = self.dial().ok();
        self.pause_ns = match connection {
            Some(_) => BACK_OFF_NS_MIN,
            None => (2 * self.pause_ns).min(BACK_OFF_NS_MAX),
        };
        // Also after a success: an engine that accepts and closes at once is not hammered.
        self.next_ns = now_ns + self.rng.u64(..self.pause_ns);
        connection
    }

    fn dial(&self) -> io::Result<Connection> {
        let timeout = Duration::from_millis(DIAL_TIMEOUT_MS);
        let mut socket = TcpStream::connect_timeout(&self.address, timeout)?;
        if self.ack {
            socket.write_all(HELLO_ACK)?;
        }
        Connection::new(socket, None)
    }
}
