//! The TLS of an engine: reads the files that the settings name.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use tracing::warn;

use crate::access::Listener;
use crate::clock::wall_us;
use crate::config::{Config, Source};
use crate::net::tls::{
    Dialled, File, Identity, TlsFileError, TlsSides, TlsSwitch, Validity, dialled, server,
};

/// What each listener shows, and whom each source must be signed by.
#[derive(Debug)]
pub(crate) struct TlsOfEngine {
    pub(crate) ingest: Option<Arc<ServerConfig>>,
    pub(crate) delivery: Option<Arc<ServerConfig>>,
    pub(crate) admin: Option<Arc<ServerConfig>>,
    pub(crate) http: Option<Arc<ServerConfig>>,
    /// By place in the settings.
    dialled: Vec<Option<Dialled>>,
    pub(crate) certificates: Vec<Certificate>,
}

/// A certificate that the engine shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// A listener's section, or `source` with its address.
    pub(crate) place: String,
    path: PathBuf,
    pub(crate) validity: Validity,
}

impl Certificate {
    /// What is wrong with it now; `None`: all is well.
    pub(crate) fn trouble(&self) -> Option<String> {
        let words = self.validity.words(wall_us() / 1_000_000)?;
        Some(format!("{}: {words}", self.name()))
    }

    /// Where it is shown, and its file.
    pub(crate) fn name(&self) -> String {
        format!("certificate of [{}] {}", self.place, self.path.display())
    }
}

/// The certificates that the engine shows now; a reload changes them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Certificates(Arc<Mutex<Vec<Certificate>>>);

impl Certificates {
    pub(crate) fn get(&self) -> Vec<Certificate> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, all: Vec<Certificate>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// What sockets speak TLS with now: pollers look there at each new connection.
#[derive(Debug, Clone)]
pub(crate) struct TlsSwitches {
    pub(crate) ingest: Arc<TlsSwitch>,
    pub(crate) delivery: Arc<TlsSwitch>,
    pub(crate) admin: Arc<TlsSwitch>,
    pub(crate) http: Arc<TlsSwitch>,
    pub(crate) certificates: Certificates,
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
            let listening = listener.map(|it| listen(&it, config)).transpose()?;
            Ok(listening.flatten().unzip())
        };
        let (ingest, of_ingest) = of("ingest")?;
        let (delivery, of_delivery) = of("delivery")?;
        let (admin, of_admin) = of("admin")?;
        let (http, of_http) = of("http")?;
        let shown = [of_delivery, of_ingest, of_admin, of_http];
        let mut certificates: Vec<_> = shown.into_iter().flatten().flatten().collect();
        let mut dialled = Vec::with_capacity(config.sources.len());
        for source in &config.sources {
            let (source, certificate) = dial(source)?.unzip();
            dialled.push(source);
            certificates.extend(certificate.flatten());
        }
        Ok(Self {
            ingest,
            delivery,
            admin,
            http,
            dialled,
            certificates,
        })
    }

    /// Logs what is wrong with the certificates now.
    pub(super) fn warn_of_certificates(&self) {
        for trouble in self.certificates.iter().filter_map(Certificate::trouble) {
            warn!("{trouble}");
        }
    }

    /// `slots` says by which number each source of the settings is dialled.
    fn sides(&self, slots: &[usize]) -> [TlsSides; 4] {
        let mut dialled = vec![None; slots.iter().max().map_or(0, |it| it + 1)];
        for (slot, source) in slots.iter().zip(&self.dialled) {
            dialled[*slot] = source.clone();
        }
        let side = |listener: &Option<_>, dialled| TlsSides {
            listener: listener.clone(),
            dialled,
        };
        [
            side(&self.ingest, dialled),
            side(&self.delivery, Vec::new()),
            side(&self.admin, Vec::new()),
            side(&self.http, Vec::new()),
        ]
    }

    /// For the sockets of an engine that starts: its sources are dialled by their places.
    pub(crate) fn switches(&self) -> TlsSwitches {
        let slots: Vec<_> = (0..self.dialled.len()).collect();
        let [ingest, delivery, admin, http] = self.sides(&slots).map(TlsSwitch::new);
        let certificates = Certificates::default();
        certificates.set(self.certificates.clone());
        TlsSwitches {
            ingest,
            delivery,
            admin,
            http,
            certificates,
        }
    }
}

impl TlsSwitches {
    /// Connections to come speak as these files say.
    pub(crate) fn set(&self, tls: &TlsOfEngine, slots: &[usize]) {
        let [ingest, delivery, admin, http] = tls.sides(slots);
        self.ingest.set(ingest);
        self.delivery.set(delivery);
        self.admin.set(admin);
        self.http.set(http);
        self.certificates.set(tls.certificates.clone());
    }
}

/// What a listener speaks with, and the certificate that it shows.
type Listening = (Arc<ServerConfig>, Option<Certificate>);

fn listen(listener: &Listener, config: &Config) -> Result<Option<Listening>, TlsFileError> {
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
    let identity = Identity {
        cert: named(&of_cert, cert),
        key: named(&of_key, key),
    };
    let (server, validity) = server(identity, client_ca)?;
    let certificate = validity.map(|validity| Certificate {
        place: section.to_owned(),
        path: cert.clone(),
        validity,
    });
    Ok(Some((server, certificate)))
}

fn named<'a>(setting: &'a str, path: &'a Path) -> File<'a> {
    File { setting, path }
}

fn dial(source: &Source) -> Result<Option<(Dialled, Option<Certificate>)>, TlsFileError> {
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
    let identity = source.tls.cert.as_ref().zip(source.tls.key.as_ref());
    let identity = identity.map(|(cert, key)| Identity {
        cert: named("[[source]] tls_cert", cert),
        key: named("[[source]] tls_key", key),
    });
    let (dialled, validity) = dialled(file, identity, name)?;
    let certificate = validity.zip(source.tls.cert.clone());
    let certificate = certificate.map(|(validity, path)| Certificate {
        place: format!("source {}", source.address),
        path,
        validity,
    });
    Ok(Some((dialled, certificate)))
}
