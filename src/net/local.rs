//! Connections from within this process: another thread connects, and an agent's [`Tcp`](super::Tcp)
//! accepts, as if somebody had dialled in. HTTP and NATS join the path here, so that all that holds for a TCP
//! connection holds for it: credit, acknowledgements, rights, limits.
//!
//! ```text
//! connector --one end of a socket pair, peer's address--> channel --> listener --> accept
//!           --a byte, if none waits there----------------> socket --> the agent's poller
//! ```

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::socket::Socket;
use crate::limits::LOCAL_SEND_BUFFER;

/// Whom a connection stands for.
#[derive(Debug, Clone)]
pub(crate) struct LocalPeer {
    pub(crate) address: SocketAddr,
    /// The names in the certificate that it has shown.
    pub(crate) certificate: Option<Box<[String]>>,
}

impl From<SocketAddr> for LocalPeer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            certificate: None,
        }
    }
}

type Call = (UnixStream, LocalPeer);

/// The side that connects; never blocks.
#[derive(Debug, Clone)]
pub(crate) struct LocalConnector {
    calls: Sender<Call>,
    wake: Arc<UnixStream>,
}

/// The agent's side.
#[derive(Debug)]
pub(crate) struct LocalListener {
    calls: Receiver<Call>,
    wake: mio::net::UnixStream,
    /// Bytes of the send buffer of what is accepted; `None`: the system's own choice.
    pub(super) send_buffer: Option<usize>,
}

/// Both sides.
///
/// # Errors
/// The system has no descriptor to give.
pub(crate) fn local() -> io::Result<(LocalConnector, LocalListener)> {
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    let (sender, receiver) = channel();
    let connector = LocalConnector {
        calls: sender,
        wake: Arc::new(wake),
    };
    let listener = LocalListener {
        calls: receiver,
        wake: mio::net::UnixStream::from_std(woken),
        send_buffer: None,
    };
    Ok((connector, listener))
}

impl LocalConnector {
    /// Connects on behalf of a peer. The stream does not block.
    ///
    /// # Errors
    /// The system has no descriptor to give, or the agent has ended.
    pub(crate) fn connect(&self, peer: impl Into<LocalPeer>) -> io::Result<UnixStream> {
        let (own, other) = UnixStream::pair()?;
        own.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        SockRef::from(&own).set_send_buffer_size(LOCAL_SEND_BUFFER)?;
        let sent = self.calls.send((other, peer.into()));
        sent.map_err(|_| ErrorKind::ConnectionRefused)?;
        match (&*self.wake).write(&[0]) {
            // It has not yet taken those that are there.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(own),
            Err(error) => Err(error),
            Ok(_) => Ok(own),
        }
    }
}

impl LocalListener {
    /// The poller is woken by calls.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.wake, token, Interest::READABLE)
    }

    /// The next call.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, or its socket cannot be set up.
    pub(super) fn accept(&mut self) -> io::Result<(Socket, LocalPeer)> {
        let call = self.calls.try_recv().or_else(|_| {
            // A call is in the channel before its byte is in the socket: behind an empty socket, the
            // byte of one that is missed here is an event of its own.
            self.take_bytes();
            self.calls.try_recv()
        });
        let (stream, peer) = call.map_err(|_| ErrorKind::WouldBlock)?;
        if let Some(len) = self.send_buffer {
            SockRef::from(&stream).set_send_buffer_size(len)?;
        }
        Ok((mio::net::UnixStream::from_std(stream).into(), peer))
    }

    fn take_bytes(&mut self) {
        let mut bytes = [0; 1024];
        while self.wake.read(&mut bytes).is_ok_and(|len| len > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::super::{Network, Ready, SocketOptions, Tcp};
    use super::*;

    fn peer() -> LocalPeer {
        LocalPeer {
            address: ([192, 0, 2, 7], 9).into(),
            certificate: Some(["till".to_owned()].into()),
        }
    }

    fn net() -> (LocalConnector, Tcp) {
        let (connector, listener) = local().expect("descriptors");
        let net = Tcp::new(None, SocketOptions::of_sources()).expect("a poller");
        let net = net.with_local(listener).expect("it is registered");
        (connector, net)
    }

    fn is_woken(net: &mut Tcp) -> bool {
        let mut ready = Vec::new();
        net.poll(&mut ready).expect("it polls");
        ready.contains(&Ready::Listener)
    }

    #[test]
    fn each_call_is_accepted_once_with_its_peer_s_address_and_wakes_the_agent() {
        let (connector, mut net) = net();
        assert!(!is_woken(&mut net));
        for round in 0..3 {
            let own: Vec<_> = (0..=round).map(|_| connector.connect(peer())).collect();
            assert!(is_woken(&mut net));
            for _ in &own {
                let (key, address) = net.accept().expect("it has called");
                assert_eq!(address, peer().address);
                assert!(net.is_local(key));
                assert_eq!(net.certificate(key), Some(vec!["till".to_owned()]));
            }
            let none = net.accept().expect_err("all were taken");
            assert_eq!(none.kind(), ErrorKind::WouldBlock);
            assert!(!is_woken(&mut net));
        }
    }

    #[test]
    fn bytes_go_both_ways_and_each_side_ends_by_itself() {
        let (connector, mut net) = net();
        let mut own = connector.connect(peer()).expect("a pair");
        let (key, _) = net.accept().expect("it has called");
        own.write_all(b"to the agent").expect("room");
        let mut into = [0; 32];
        assert_eq!(net.read(key, &mut into).expect("it was sent"), 12);
        own.shutdown(std::net::Shutdown::Write).expect("it is open");
        assert_eq!(net.read(key, &mut into).expect("the end"), 0);
        let pieces = [IoSlice::new(b"and "), IoSlice::new(b"back")];
        assert_eq!(net.write(key, &pieces).expect("room"), 8);
        net.confirm(key);
        net.refuse(key, " no");
        let mut back = String::new();
        own.read_to_string(&mut back).expect("an orderly end");
        assert_eq!(back, "and back no\n");
    }

    #[test]
    fn an_agent_that_has_ended_refuses() {
        let (connector, net) = net();
        let mut waiting = connector.connect(peer()).expect("a pair");
        drop(net);
        let error = connector.connect(peer()).expect_err("nobody accepts");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let mut byte = [0];
        assert_eq!(waiting.read(&mut byte).expect("the end"), 0);
    }
}
