//! Certificates and keys out of files, as rustls takes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig};
use x509_cert::der::Decode as _;

use super::asked::Asked;
use super::validity::Validity;
use super::{Dialled, pem};

/// A file is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{setting} {}: {why}", path.display())]
pub(crate) struct TlsFileError {
    setting: String,
    path: PathBuf,
    why: String,
}

/// A file of the settings, and the key that names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) setting: &'a str,
    pub(crate) path: &'a Path,
}

/// A certificate and its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) cert: File<'a>,
    pub(crate) key: File<'a>,
}

impl File<'_> {
    /// It is of no use.
    pub(crate) fn wrong(&self, why: impl ToString) -> TlsFileError {
        TlsFileError {
            setting: self.setting.to_owned(),
            path: self.path.to_owned(),
            why: why.to_string(),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
        pem::certificates(self.path).map_err(|it| self.wrong(it))
    }

    fn roots(&self) -> Result<RootCertStore, TlsFileError> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in self.certificates()?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| {
                let number = index + 1;
                self.wrong(format_args!(
                    "certificate {number} in it cannot be an authority's ({error}): have it issued \
                     anew, or leave it out"
                ))
            })?;
        }
        Ok(roots)
    }
}

impl Identity<'_> {
    /// The certificate with those that lead to its authority, and its key.
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFileError> {
        let key = pem::private_key(self.key.path).map_err(|it| self.key.wrong(it))?;
        let chain = self.cert.certificates()?;
        if chain.first().is_some_and(is_of_old_version) {
            return Err(self.cert.wrong(
                "it is a certificate of X.509 version 1 or 2, and TLS takes version 3: have it \
                 issued anew, with the names of this machine (openssl x509 -req -extfile FILE, where \
                 FILE has subjectAltName=DNS:NAME)",
            ));
        }
        let loaded = provider().key_provider.load_private_key(key.clone_key());
        loaded.map_err(|_| {
            self.key.wrong(
                "keys of this kind are not spoken: take ECDSA with P-256 or P-384, Ed25519, or RSA \
                 with 2,048 to 8,192 bits (openssl genpkey -algorithm ED25519)",
            )
        })?;
        Ok((chain, key))
    }

    /// Why rustls does not take the two.
    fn refused(&self, error: &Error) -> TlsFileError {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let cert = self.cert.path.display();
                self.key.wrong(format_args!(
                    "it is not the key of the first certificate in {cert}: name those that belong \
                     together, the engine's own certificate first and its authorities' behind it"
                ))
            }
            _ => self.cert.wrong(format_args!(
                "its first certificate is of no use ({error}): have it issued anew"
            )),
        }
    }
}

/// Versions are numbered from 0. What cannot be read is left to rustls.
fn is_of_old_version(certificate: &CertificateDer<'_>) -> bool {
    let certificate = x509_cert::Certificate::from_der(certificate);
    certificate.is_ok_and(|it| it.tbs_certificate.version != x509_cert::Version::V3)
}

/// What a listener shows, and what it asks for.
///
/// # Errors
/// A file cannot be read, or key and certificate do not belong together.
pub(crate) fn server(
    identity: Identity<'_>,
    client_ca: Option<File<'_>>,
) -> Result<(Arc<ServerConfig>, Option<Validity>), TlsFileError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the ciphers of TLS 1.2 and 1.3");
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(file.roots()?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|it| file.wrong(it))?)
        }
    };
    let (chain, key) = identity.read()?;
    let validity = Validity::of(&chain);
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|it| identity.refused(&it))?;
    // Who comes again need not shake hands in full.
    config.ticketer = Ticketer::new().map_err(|it| identity.cert.wrong(it))?;
    Ok((Arc::new(config), validity))
}

/// Whom a server must be signed by - the system's authorities if there is no `ca` -, and what is shown
/// where it asks for a certificate.
///
/// # Errors
/// A file cannot be read, or certificate and key do not belong together.
pub(crate) fn client(
    ca: Option<File<'_>>,
    identity: Option<Identity<'_>>,
) -> Result<Arc<ClientConfig>, TlsFileError> {
    client_showing(ca, identity).map(|it| it.0)
}

/// The same, and how long what it shows is valid.
fn client_showing(
    ca: Option<File<'_>>,
    identity: Option<Identity<'_>>,
) -> Result<(Arc<ClientConfig>, Option<Validity>), TlsFileError> {
    let roots = match ca {
        Some(ca) => ca.roots()?,
        None => system_roots(),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let Some(identity) = identity else {
        return Ok((Arc::new(builder.with_no_client_auth()), None));
    };
    let (chain, key) = identity.read()?;
    let validity = Validity::of(&chain);
    let config = builder.with_client_auth_cert(chain, key);
    let config = config.map_err(|it| identity.refused(&it))?;
    Ok((Arc::new(config), validity))
}

/// The same for a server of this name, which is dialled again and again.
///
/// # Errors
/// As [`client`].
pub(crate) fn dialled(
    ca: File<'_>,
    identity: Option<Identity<'_>>,
    name: ServerName<'static>,
) -> Result<(Dialled, Option<Validity>), TlsFileError> {
    let asked = identity.is_none().then(Arc::<Asked>::default);
    let (mut config, validity) = client_showing(Some(ca), identity)?;
    if let Some(asked) = &asked {
        let asked = Arc::clone(asked);
        Arc::make_mut(&mut config).client_auth_cert_resolver = asked;
    }
    let dialled = Dialled {
        config,
        name,
        asked,
    };
    Ok((dialled, validity))
}

/// Those that can be read; without any, no server is believed.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
