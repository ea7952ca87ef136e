//! What must hold between the settings of TLS: none of them is passed over, and what is asked for is there.

use crate::config::draft::{Draft, item_place};
use crate::config::problem::Problem;
use crate::config::tls::{ListenerTls, SourceTls, TlsFiles};

/// A certificate has its key, and whoever names a key or an authority for clients does not speak plain TCP.
pub(super) fn listeners(draft: &Draft, problems: &mut Vec<Problem>) {
    let config = &draft.config;
    let listeners = [
        ("ingest", &config.ingest.tls, config.ingest.listen.is_some()),
        ("delivery", &config.delivery.tls, true),
        ("admin", &config.admin.tls, config.admin.listen.is_some()),
        ("http", &config.http.tls, config.http.listen.is_some()),
    ];
    let lone = lone_key(&config.tls);
    let is_listener = |own: &ListenerTls| own.files.cert.is_some();
    if let Some(key) = lone
        && !listeners.iter().any(|(_, own, _)| is_listener(own))
    {
        let text = format!(
            "[tls] has {key} and no cert, so that all is spoken in plain; set cert and key, or remove {key}"
        );
        problems.push(Problem::new(draft.given.place(&[("tls", key)]), text));
        return;
    }
    for (section, own, listens) in listeners {
        let files = config.tls.of(own);
        let lone = lone_key(&own.files).or(lone.filter(|_| listens));
        let lone = lone.filter(|_| files.is_none() && !own.is_off);
        if lone.is_none() && files.is_none_or(|it| it.key.is_some()) {
            continue;
        }
        let keys = [
            (section, "tls_cert"),
            (section, "tls_key"),
            (section, "tls_client_ca"),
            ("tls", "cert"),
            ("tls", "key"),
            ("tls", "client_ca"),
        ];
        let text = match lone {
            Some("client_ca") => format!(
                "[{section}] has authorities of clients (client_ca), and no certificate, so that it would \
                 speak in plain; set [tls] cert and key, tls_cert and tls_key here, or tls = \"off\""
            ),
            _ => format!(
                "[{section}] has a certificate or a key for TLS, and not the other one; set [tls] cert \
                 and key, or tls_cert and tls_key here"
            ),
        };
        problems.push(Problem::new(draft.given.place(&keys), text));
    }
}

/// What is set without a certificate, and means nothing without one.
fn lone_key(files: &TlsFiles) -> Option<&'static str> {
    match files {
        TlsFiles { cert: Some(_), .. } => None,
        TlsFiles { key: Some(_), .. } => Some("key"),
        TlsFiles {
            client_ca: Some(_), ..
        } => Some("client_ca"),
        _ => None,
    }
}

/// A source that is spoken to by TLS has an authority, and what is for TLS stands with `tls = true`.
pub(super) fn sources(draft: &Draft, problems: &mut Vec<Problem>) {
    for (index, source) in draft.config.sources.iter().enumerate() {
        let mut add = |text: String| {
            let place = item_place(&draft.given.sources, index);
            problems.push(Problem::new(place, text));
        };
        let tls = &source.tls;
        if source.nats.servers.is_none() {
            if tls.is_on && tls.ca.is_none() {
                let text = "[[source]] tls = true wants tls_ca: the file of the authorities that its \
                            certificate is signed by";
                add(text.to_owned());
            }
            if let Some(key) = first_key(tls).filter(|_| !tls.is_on) {
                add(format!(
                    "[[source]] has {key} and no tls = true, so that it would be spoken to in plain; add \
                     tls = true, or remove {key}"
                ));
                continue;
            }
        }
        if tls.cert.is_some() != tls.key.is_some() {
            add("[[source]] has tls_cert or tls_key, and not the other one; set both".to_owned());
        }
    }
}

/// The first key that means something with `tls = true` only.
fn first_key(tls: &SourceTls) -> Option<&'static str> {
    let keys = [
        ("tls_ca", tls.ca.is_some()),
        ("tls_name", tls.name.is_some()),
        ("tls_cert", tls.cert.is_some()),
        ("tls_key", tls.key.is_some()),
    ];
    keys.iter().find(|(_, is_set)| *is_set).map(|(key, _)| *key)
}
