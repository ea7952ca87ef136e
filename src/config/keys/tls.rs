//! The keys of `[tls]`.

use crate::config::key::{Section, key, set};

pub(super) const TLS: Section = Section {
    name: "tls",
    meaning: "Certificates of the addresses that the engine listens on; with them all of these speak \
              TLS 1.2 and 1.3, and nothing else. Files in PEM, read at start and at a reload.",
    keys: &[
        key(
            "cert",
            "\"none\"",
            "The file of the certificate, and of those that lead to its authority.",
            |c, v| set(&mut c.tls.cert, v.file()?),
        ),
        key("key", "\"none\"", "The file of its key.", |c, v| {
            set(&mut c.tls.key, v.file()?)
        }),
        key(
            "client_ca",
            "\"none\"",
            "The file of the authorities that the certificates of clients are signed by; then whoever \
             has none is refused.",
            |c, v| set(&mut c.tls.client_ca, v.file()?),
        ),
    ],
};
