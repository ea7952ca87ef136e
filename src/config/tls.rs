//! `[tls]`, what a listener says instead, and what a dialled source is spoken to with.

use std::path::PathBuf;

/// Files of a listener that speaks TLS, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its certificate, and those that lead to its authority.
    pub cert: Option<PathBuf>,
    /// The certificate's key.
    pub key: Option<PathBuf>,
    /// The authorities that clients' certificates are signed by; `None`: clients need none.
    pub client_ca: Option<PathBuf>,
}

/// What a listener's section says of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerTls {
    /// It speaks plain TCP, whatever `[tls]` says.
    pub is_off: bool,
    /// Instead of those of `[tls]`.
    pub files: TlsFiles,
}

/// `tls`, `tls_ca`, `tls_name`, `tls_cert` and `tls_key` of a `[[source]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceTls {
    /// Whether it is spoken to by TLS.
    pub is_on: bool,
    /// The authorities that its certificate is signed by.
    pub ca: Option<PathBuf>,
    /// The name in its certificate; `None`: the host of its address.
    pub name: Option<String>,
    /// What the engine shows where the server asks for a certificate, and those that lead to its authority.
    pub cert: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// The files of a listener; `None`: it speaks plain TCP.
    #[must_use]
    pub fn of(&self, listener: &ListenerTls) -> Option<TlsFiles> {
        if listener.is_off {
            return None;
        }
        let own = &listener.files;
        let cert = own.cert.clone().or_else(|| self.cert.clone())?;
        Some(TlsFiles {
            cert: Some(cert),
            key: own.key.clone().or_else(|| self.key.clone()),
            client_ca: own.client_ca.clone().or_else(|| self.client_ca.clone()),
        })
    }
}
