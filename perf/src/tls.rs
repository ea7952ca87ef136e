//! TLS between the engine and both ends of a round: a certificate of this machine, and the ends' sessions.
//!
//! The certificate is made by openssl for a run, in a folder that goes with it. Sources show it, as the
//! engine does; sources' and subscribers' sockets are blocking, a thread each, so a session is a stream.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use tempfile::TempDir;

use crate::error::{Context, PerfError};

/// The name in the certificate.
pub(crate) const NAME: &str = "localhost";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";

/// The folder of a certificate that is its own authority; it goes when this does.
#[derive(Debug)]
pub(crate) struct Certificate(TempDir);

impl Certificate {
    /// Has openssl make one, with a key for ECDSA on P-256.
    pub(crate) fn make() -> Result<Self, PerfError> {
        let folder = TempDir::new().context("a folder for the certificate")?;
        let words = format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout {KEY} \
             -out {CERT} -subj /CN=flipped-lb-perf -addext subjectAltName=DNS:{NAME},IP:127.0.0.1 \
             -addext basicConstraints=critical,CA:FALSE"
        );
        let made = Command::new("openssl")
            .args(words.split_whitespace())
            .current_dir(folder.path())
            .output()
            .context("running openssl, which makes the certificate")?;
        match made.status.success() {
            true => Ok(Self(folder)),
            false => Err(PerfError::Usage(format!(
                "openssl makes no certificate: {}",
                String::from_utf8_lossy(&made.stderr)
            ))),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

/// The files of a certificate's folder: certificate, key.
pub(crate) fn files(folder: &Path) -> [PathBuf; 2] {
    [CERT, KEY].map(|it| folder.join(it))
}

/// A connection of a source or a subscriber.
#[derive(Debug)]
pub(crate) enum Link {
    Plain(TcpStream),
    Accepted(Box<StreamOwned<ServerConnection, TcpStream>>),
    Dialled(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Link {
    /// Shakes hands with whoever has connected, if there is a certificate to show.
    pub(crate) fn accepted(socket: TcpStream, folder: Option<&Path>) -> Result<Self, PerfError> {
        let Some(folder) = folder else {
            return Ok(Self::Plain(socket));
        };
        let config = server(folder).context("the source's certificate")?;
        let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other);
        let mut stream = StreamOwned::new(connection.context("TLS")?, socket);
        while stream.conn.is_handshaking() {
            let shaken = stream.conn.complete_io(&mut stream.sock);
            shaken.context("shaking hands as a source")?;
        }
        Ok(Self::Accepted(Box::new(stream)))
    }

    /// Shakes hands with whom it has dialled.
    pub(crate) fn dialled(socket: TcpStream, folder: Option<&Path>) -> Result<Self, PerfError> {
        let Some(folder) = folder else {
            return Ok(Self::Plain(socket));
        };
        let config = client(folder).context("the engine's certificate")?;
        let name = ServerName::try_from(NAME).map_err(io::Error::other);
        let connection = ClientConnection::new(Arc::new(config), name.context("its name")?);
        let connection = connection.map_err(io::Error::other).context("TLS")?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            let shaken = stream.conn.complete_io(&mut stream.sock);
            shaken.context("shaking hands as a subscriber")?;
        }
        Ok(Self::Dialled(Box::new(stream)))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Accepted(stream) => stream.get_ref(),
            Self::Dialled(stream) => stream.get_ref(),
        }
    }
}

impl Read for Link {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Accepted(stream) => stream.read(into),
            Self::Dialled(stream) => stream.read(into),
        }
    }
}

impl Write for Link {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Accepted(stream) => stream.write(bytes),
            Self::Dialled(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Accepted(stream) => stream.flush(),
            Self::Dialled(stream) => stream.flush(),
        }
    }
}

fn server(folder: &Path) -> io::Result<ServerConfig> {
    let [_, key] = files(folder);
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates(folder)?, key)
        .map_err(io::Error::other)
}

fn client(folder: &Path) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(folder)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(folder: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let [cert, _] = files(folder);
    let found = CertificateDer::pem_file_iter(cert).map_err(io::Error::other)?;
    found.collect::<Result<_, _>>().map_err(io::Error::other)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn the_two_ends_of_a_round_understand_each_other() {
        let certificate = Certificate::make().expect("openssl");
        let folder = certificate.folder();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        for folder in [Some(&*folder), None] {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (socket, _) = listener.accept().expect("a connection");
                    let mut source = Link::accepted(socket, folder).expect("it shakes hands");
                    source.write_all(b"frames\n").expect("it reads");
                });
                let socket = TcpStream::connect(address).expect("it listens");
                let mut sink = Link::dialled(socket, folder).expect("it shakes hands");
                let mut read = [0; 7];
                sink.read_exact(&mut read).expect("frames");
                assert_eq!(&read, b"frames\n");
                assert_eq!(matches!(sink, Link::Plain(_)), folder.is_none());
            });
        }
    }
}
