//! TLS of a server: the certificate that it shows, and a session beside each socket.
//!
//! `connection` reads and writes through it where the options have one. Nothing here blocks.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::error::SimulatorError;

/// The files of a server that speaks TLS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its certificate, and those that lead to its authority.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authorities that whoever connects must have a certificate of; `None`: nobody is asked.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads them.
    ///
    /// # Errors
    /// One is of no use.
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>, SimulatorError> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|it| wrong(&self.cert, it))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(ca)? {
                    roots.add(certificate).map_err(|it| wrong(ca, it))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|it| wrong(ca, it))?)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|it| wrong(&self.key, it))?;
        let config = builder.with_single_cert(certificates(&self.cert)?, key);
        config.map(Arc::new).map_err(|it| wrong(&self.key, it))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SimulatorError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|it| wrong(path, it))?;
    let found: Result<Vec<_>, _> = found.collect();
    match found.map_err(|it| wrong(path, it))? {
        all if all.is_empty() => Err(wrong(path, "it has no certificate (PEM)")),
        all => Ok(all),
    }
}

fn wrong(path: &Path, why: impl ToString) -> SimulatorError {
    SimulatorError::TlsFile {
        path: path.to_owned(),
        reason: why.to_string(),
    }
}

/// The TLS of one connection.
#[derive(Debug)]
pub(crate) struct Session(ServerConnection);

impl Session {
    pub(crate) fn new(config: &Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self(connection))
    }

    /// Takes bytes in where the handshake is over and all before them is in the socket.
    pub(crate) fn write(&mut self, socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.flush(socket)?;
        if self.0.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = self.0.writer().write(bytes)?;
        match self.flush(socket) {
            // The rest of the record goes with what comes next.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(len),
            flushed => flushed.map(|()| len),
        }
    }

    pub(crate) fn read(&mut self, socket: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.0.read_tls(socket)? == 0 && self.0.is_handshaking() {
                return Ok(0);
            }
            let processed = self.0.process_new_packets();
            match self.flush(socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            processed.map_err(|it| io::Error::new(ErrorKind::InvalidData, it))?;
        }
    }

    /// Hands the socket what it takes.
    pub(crate) fn flush(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(socket)?;
        }
        Ok(())
    }

    /// Says that this side ends.
    pub(crate) fn end(&mut self, socket: &mut TcpStream) {
        self.0.send_close_notify();
        // The peer may be gone.
        let _ = self.flush(socket);
    }

    /// Whether records wait for room in the socket.
    pub(crate) fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }
}
