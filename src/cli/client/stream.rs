//! A client's connection, plain or by TLS: one thread may read while another one writes.
//!
//! ```text
//! write   bytes -> connection (locked) -> records -> socket     the connection is free while the socket
//! read    socket -> records -> connection (locked) -> bytes     takes or gives
//! ```
//! So a peer that does not read until it is read from holds up neither side.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{CertificateError, ClientConnection};

use super::TlsClient;
use crate::cli::Failure;
use crate::limits::TLS_RECORD_LEN;

/// An authority's certificate stands where a server's is wanted.
const CA_SHOWN: &str = "CaUsedAsEndEntity";

/// One side of a connection.
#[derive(Debug)]
pub(in crate::cli) struct Stream {
    socket: TcpStream,
    /// `None`: plain.
    tls: Option<Arc<Tls>>,
}

#[derive(Debug)]
struct Tls {
    connection: Mutex<ClientConnection>,
    /// Records that were read off the socket; held by whoever reads.
    incoming: Mutex<Incoming>,
    /// Records for the socket; held by whoever writes, until it has them.
    outgoing: Mutex<Vec<u8>>,
}

#[derive(Debug)]
struct Incoming {
    bytes: Box<[u8]>,
    /// What is not yet the connection's.
    begin: usize,
    end: usize,
}

impl Stream {
    pub(in crate::cli) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// Shakes hands with the engine; each of its answers has `timeout`.
    ///
    /// # Errors
    /// One of the two does not trust the other, or it speaks no TLS.
    pub(super) fn shake(
        mut socket: TcpStream,
        tls: &TlsClient,
        address: &str,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let wrong = |error: io::Error| {
            let advice = advice(&error);
            Failure::because(format_args!("no TLS with {address}: {error}{advice}"))
        };
        let connection = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        let mut connection = connection.map_err(|it| wrong(io::Error::other(it)))?;
        // They fail on a socket that is closed, which shaking hands tells.
        let _ = socket.set_read_timeout(Some(timeout));
        let _ = socket.set_write_timeout(Some(timeout));
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(wrong)?;
        }
        let _ = socket.set_read_timeout(None);
        let _ = socket.set_write_timeout(None);
        let tls = Tls {
            connection: Mutex::new(connection),
            incoming: Mutex::new(Incoming {
                bytes: vec![0; 2 * TLS_RECORD_LEN].into(),
                begin: 0,
                end: 0,
            }),
            outgoing: Mutex::default(),
        };
        Ok(Self {
            socket,
            tls: Some(Arc::new(tls)),
        })
    }

    /// The same connection, for another thread.
    pub(in crate::cli) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            tls: self.tls.clone(),
        })
    }

    pub(in crate::cli) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    pub(in crate::cli) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(timeout)
    }

    /// Ends this side; the engine may go on.
    ///
    /// # Errors
    /// The connection is gone.
    pub(in crate::cli) fn end(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            let mut records = lock(&tls.outgoing);
            lock(&tls.connection).send_close_notify();
            tls.send(&mut records, &self.socket)?;
        }
        self.socket.shutdown(Shutdown::Write)
    }

    /// Whether the engine has neither sent anything nor ended the connection since it was last read.
    pub(super) fn is_quiet(&self) -> bool {
        let looked = self
            .socket
            .set_nonblocking(true)
            .and_then(|()| self.socket.peek(&mut [0]));
        let is_quiet = matches!(looked, Err(error) if error.kind() == ErrorKind::WouldBlock);
        is_quiet && self.socket.set_nonblocking(false).is_ok()
    }
}

impl Tls {
    fn read(&self, mut socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        let mut incoming = lock(&self.incoming);
        loop {
            if let Some(len) = self.decrypt(&mut incoming, into)? {
                return Ok(len);
            }
            let len = socket.read(&mut incoming.bytes)?;
            (incoming.begin, incoming.end) = (0, len);
            if len == 0 {
                // It says whether the engine has ended the connection, or somebody has cut it.
                lock(&self.connection).read_tls(&mut io::empty())?;
            }
        }
    }

    /// Plaintext of what was read off the socket; `None`: more is wanted.
    fn decrypt(&self, incoming: &mut Incoming, into: &mut [u8]) -> io::Result<Option<usize>> {
        let mut connection = lock(&self.connection);
        loop {
            match connection.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read.map(Some),
            }
            let mut rest = &incoming.bytes[incoming.begin..incoming.end];
            if rest.is_empty() {
                return Ok(None);
            }
            incoming.begin += connection.read_tls(&mut rest)?;
            connection
                .process_new_packets()
                .map_err(|it| io::Error::new(ErrorKind::InvalidData, it))?;
        }
    }

    /// Writes a record at most.
    fn write(&self, socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let mut records = lock(&self.outgoing);
        let bytes = &bytes[..bytes.len().min(TLS_RECORD_LEN)];
        let len = lock(&self.connection).writer().write(bytes)?;
        self.send(&mut records, socket)?;
        Ok(len)
    }

    /// Hands the socket all that the connection has for it.
    fn send(&self, records: &mut Vec<u8>, mut socket: &TcpStream) -> io::Result<()> {
        records.clear();
        let mut connection = lock(&self.connection);
        while connection.wants_write() {
            connection.write_tls(records)?;
        }
        drop(connection);
        socket.write_all(records)
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.read(into),
            Some(tls) => tls.read(&self.socket, into),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.socket).write(bytes),
            Some(tls) => tls.write(&self.socket, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever panics while it holds one ends the command.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the user may do about a handshake that has failed.
fn advice(error: &io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|it| it.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => certificate_advice(why),
        Some(rustls::Error::AlertReceived(_)) => {
            "; the engine refuses it: where it asks for certificates, show one that its client_ca has \
             signed by --tls-cert and --tls-key"
        }
        Some(rustls::Error::InvalidMessage(_)) => "; it speaks plain TCP: leave --tls out",
        _ => "; is it an engine's address, and does TLS stand in its settings?",
    }
}

/// What the user may do about the engine's certificate.
fn certificate_advice(why: &CertificateError) -> &'static str {
    match why {
        // What checks certificates says so only in its own type.
        CertificateError::Other(other) if other.to_string() == CA_SHOWN => {
            "; it is an authority's own, as openssl req -x509 makes it, and no engine may show that: have \
             the engine show one that was made with -addext basicConstraints=critical,CA:FALSE, or that \
             this authority has signed"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "; say by --tls-name which name is in the engine's certificate"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "; the engine needs another one, or a clock is wrong"
        }
        _ => "; say by --tls-ca which authority has signed the engine's certificate",
    }
}

/// The same where TLS ends a connection later: with TLS 1.3 a client is told then that its certificate
/// is refused.
pub(in crate::cli) fn end_words(error: &io::Error) -> String {
    match error.get_ref().and_then(|it| it.downcast_ref()) {
        Some(rustls::Error::AlertReceived(_)) => format!("{error}{}", advice(error)),
        _ => error.to_string(),
    }
}
