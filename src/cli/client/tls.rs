//! How a client speaks TLS: its options, and what they mean.
//!
//! Files are read by `net::tls`, as the engine reads its own. Whoever names a file or a name means TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::Place;
use crate::cli::Failure;
use crate::net::tls::{File, Identity, TlsFileError, client};

/// The options of each client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// Speak TLS; so it is too where one of the options below is given, or the settings' listener speaks it.
    #[arg(long)]
    pub(crate) tls: bool,
    /// The file of the authorities that the engine's certificate is signed by (PEM); without it those of the system.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The name in the engine's certificate, where that is not the host of its address.
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Option<String>,
    /// The file of the own certificate, and those that lead to its authority, for an engine with client_ca (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The file of that certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// What a connection by TLS is begun with.
#[derive(Debug)]
pub(in crate::cli) struct TlsClient {
    pub(in crate::cli) config: Arc<ClientConfig>,
    /// As it stands in the certificate.
    pub(in crate::cli) name: ServerName<'static>,
}

impl TlsArgs {
    /// For an engine at this place; `None`: plain TCP.
    ///
    /// # Errors
    /// A file is of no use, or the name none.
    pub(in crate::cli) fn client(&self, place: &Place) -> Result<Option<TlsClient>, Failure> {
        if !self.is_on() && !place.speaks_tls {
            return Ok(None);
        }
        let name = match &self.tls_name {
            Some(name) => name.as_str(),
            None => host(&place.address),
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Failure::Usage(format!(
                "\"{name}\" is no name of a server ({error}); say which is in the engine's certificate \
                 with --tls-name"
            ))
        })?;
        let config = self.config().map_err(Failure::because)?;
        Ok(Some(TlsClient { config, name }))
    }

    fn is_on(&self) -> bool {
        self.tls || self.tls_ca.is_some() || self.tls_name.is_some() || self.tls_cert.is_some()
    }

    fn config(&self) -> Result<Arc<ClientConfig>, TlsFileError> {
        let ca = self.tls_ca.as_deref().map(|it| file("--tls-ca", it));
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(Identity {
                cert: file("--tls-cert", cert),
                key: file("--tls-key", key),
            }),
            _ => None,
        };
        client(ca, identity)
    }
}

fn file<'a>(setting: &'a str, path: &'a Path) -> File<'a> {
    File { setting, path }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |it| it.0);
    host.trim_matches(['[', ']'])
}
