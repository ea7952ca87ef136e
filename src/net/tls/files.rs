//! Certificates and keys out of files, as rustls takes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

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
        let found = CertificateDer::pem_file_iter(self.path).map_err(|it| self.wrong(it))?;
        let found: Result<Vec<_>, _> = found.collect();
        match found.map_err(|it| self.wrong(it))? {
            all if all.is_empty() => Err(self.wrong("it has no certificate (PEM)")),
            all => Ok(all),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsFileError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|it| self.wrong(it))?;
        }
        Ok(roots)
    }
}

/// What a listener shows, and what it asks for.
///
/// # Errors
/// A file cannot be read, or key and certificate do not belong together.
pub(crate) fn server(
    cert: File<'_>,
    key: File<'_>,
    client_ca: Option<File<'_>>,
) -> Result<Arc<ServerConfig>, TlsFileError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|it| cert.wrong(it))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(file.roots()?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|it| file.wrong(it))?)
        }
    };
    let private = PrivateKeyDer::from_pem_file(key.path).map_err(|it| key.wrong(it))?;
    let config = builder.with_single_cert(cert.certificates()?, private);
    let mut config = config.map_err(|it| key.wrong(it))?;
    // Who comes again need not shake hands in full.
    config.ticketer = Ticketer::new().map_err(|it| cert.wrong(it))?;
    Ok(Arc::new(config))
}

/// Whom a dialled source must be signed by.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn client(ca: File<'_>) -> Result<Arc<ClientConfig>, TlsFileError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|it| ca.wrong(it))?;
    let config = builder.with_root_certificates(ca.roots()?);
    Ok(Arc::new(config.with_no_client_auth()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
