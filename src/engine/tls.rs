//! The TLS of an engine: reads the files that the settings name.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::ServerName;

use crate::access::Listener;
use crate::config::{Config, Source};
use crate::counters::Counters;
use crate::net::tls::{Dialled, File, TlsFileError, TlsParts, client, server};

/// What each listener shows, and whom each source must be signed by.
#[derive(Debug)]
pub(crate) struct TlsOfEngine {
    pub(crate) ingest: Option<Arc<ServerConfig>>,
    pub(crate) delivery: Option<Arc<ServerConfig>>,
    pub(crate) admin: Option<Arc<ServerConfig>>,
    dialled: Vec<Option<Dialled>>,
}

impl TlsOfEngine {
    /// Reads all files.
    ///
    /// # Errors
    /// One is of no use.
    pub(crate) fn load(config: &Config) -> Result<Self, TlsFileError> {
        let of = |section| {
            let listeners = Listener::all(config);
            let listener = listeners.into_iter().find(|it| it.section == section);
            listener.map(|it| listen(&it, config)).transpose()
        };
        Ok(Self {
            ingest: of("ingest")?.flatten(),
            delivery: of("delivery")?.flatten(),
            admin: of("admin")?.flatten(),
            dialled: config.sources.iter().map(dial).collect::<Result<_, _>>()?,
        })
    }

    /// For ingest's sockets; `None`: all of them are plain.
    pub(super) fn of_ingest(&self, counters: &Arc<Counters>) -> Option<TlsParts> {
        let is_used = self.ingest.is_some() || self.dialled.iter().any(Option::is_some);
        is_used.then(|| TlsParts {
            listener: self.ingest.clone(),
            dialled: self.dialled.clone(),
            counters: Arc::clone(counters),
        })
    }

    /// The same for a delivery agent's.
    pub(super) fn of_delivery(&self, counters: &Arc<Counters>) -> Option<TlsParts> {
        let listener = self.delivery.clone();
        listener.is_some().then(|| TlsParts {
            listener,
            dialled: Vec::new(),
            counters: Arc::clone(counters),
        })
    }
}

fn listen(listener: &Listener, config: &Config) -> Result<Option<Arc<ServerConfig>>, TlsFileError> {
    let Some(files) = listener.tls(config) else {
        return Ok(None);
    };
    let (Some(cert), Some(key)) = (&files.cert, &files.key) else {
        unreachable!("settings with one of them alone are refused");
    };
    let section = listener.section;
    let setting = |key: &str| format!("TLS of [{section}], {key}");
    let (of_cert, of_key, of_ca) = (setting("cert"), setting("key"), setting("client_ca"));
    let client_ca = files.client_ca.as_deref();
    let client_ca = client_ca.map(|path| named(&of_ca, path));
    server(named(&of_cert, cert), named(&of_key, key), client_ca).map(Some)
}

fn named<'a>(setting: &'a str, path: &'a Path) -> File<'a> {
    File { setting, path }
}

fn dial(source: &Source) -> Result<Option<Dialled>, TlsFileError> {
    let Some(ca) = source.tls.ca.as_ref().filter(|_| source.tls.is_on) else {
        return Ok(None);
    };
    let host = source.address.rsplit_once(':').map_or("", |it| it.0);
    let name = source
        .tls
        .name
        .as_deref()
        .unwrap_or(host.trim_matches(['[', ']']));
    let file = named("[[source]] tls_ca", ca);
    let name = ServerName::try_from(name.to_owned()).map_err(|error| {
        file.wrong(format_args!(
            "{}: \"{name}\" is no name of a server ({error}); set tls_name",
            source.address
        ))
    })?;
    let config = client(file)?;
    Ok(Some(Dialled { config, name }))
}
