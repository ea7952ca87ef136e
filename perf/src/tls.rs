//! TLS between the engine and both ends of a round: a certificate of this machine, and the ends' sessions.
//!
//! The certificate is made by openssl for a run, in a folder that goes with it. Sources show it, as the
//! engine does; sources' and subscribers' sockets are blocking, a thread each, so a session is a stream.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::DerefMut;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig,
    ServerConnection, SideData, StreamOwned,
};
use tempfile::TempDir;

use crate::child::checked;

/// The name in the certificate.
pub(crate) const NAME: &str = "localhost";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";

/// The folder of a certificate that is its own authority; it goes when this does.
#[derive(Debug)]
pub(crate) struct Certificate(TempDir);

impl Certificate {
    /// Has openssl make one, with a key for ECDSA on P-256.
    pub(crate) fn make() -> Result<Self> {
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
        checked(&made, || "openssl makes no certificate".into())?;
        Ok(Self(folder))
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

/// The files of a certificate's folder: certificate, key.
pub(crate) fn files(folder: &Path) -> [PathBuf; 2] {
    [CERT, KEY].map(|it| folder.join(it))
}

/// A connection of a source or a subscriber: plain, or with a session of TLS over it.
pub(crate) type Stream = Box<dyn Duplex>;

/// Bytes both ways.
pub(crate) trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// Shakes hands with whoever has connected, if there is a certificate to show.
pub(crate) fn accepted(socket: TcpStream, folder: Option<&Path>) -> Result<Stream> {
    let Some(folder) = folder else {
        return Ok(Box::new(socket));
    };
    let config = server(folder).context("the source's certificate")?;
    let connection = ServerConnection::new(Arc::new(config)).context("TLS")?;
    shaken(connection, socket).context("shaking hands as a source")
}

/// Shakes hands with whom it has dialled.
pub(crate) fn dialled(socket: TcpStream, folder: Option<&Path>) -> Result<Stream> {
    let Some(folder) = folder else {
        return Ok(Box::new(socket));
    };
    let config = client(folder).context("the engine's certificate")?;
    let name = ServerName::try_from(NAME)?;
    let connection = ClientConnection::new(Arc::new(config), name).context("TLS")?;
    shaken(connection, socket).context("shaking hands as a subscriber")
}

fn shaken<C, S>(connection: C, socket: TcpStream) -> Result<Stream>
where
    C: DerefMut<Target = ConnectionCommon<S>> + Send + 'static,
    S: SideData + 'static,
{
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Box::new(stream))
}

fn server(folder: &Path) -> Result<ServerConfig> {
    let [_, key] = files(folder);
    let key = PrivateKeyDer::from_pem_file(key)?;
    Ok(ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates(folder)?, key)?)
}

fn client(folder: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(folder)? {
        roots.add(certificate)?;
    }
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(folder: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let [cert, _] = files(folder);
    Ok(CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?)
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
                let source = scope.spawn(|| {
                    let (socket, _) = listener.accept().expect("a connection");
                    let mut source = accepted(socket, folder).expect("it shakes hands");
                    source.write_all(b"frames\n").expect("it reads");
                });
                let socket = TcpStream::connect(address).expect("it listens");
                let link = socket.try_clone().expect("a descriptor");
                let mut sink = dialled(socket, folder).expect("it shakes hands");
                source.join().expect("it has sent all");
                let mut raw = [0; 4096];
                let len = link.peek(&mut raw).expect("bytes on the link");
                let is_plain = raw[..len].windows(7).any(|it| it == b"frames\n");
                assert_eq!(is_plain, folder.is_none());
                let mut read = [0; 7];
                sink.read_exact(&mut read).expect("frames");
                assert_eq!(&read, b"frames\n");
            });
        }
    }
}
