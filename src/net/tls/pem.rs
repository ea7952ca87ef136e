//! What is in a PEM file of the settings; where it is of no use, why, and what to do.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::setting_file;

/// What a file should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Certificate,
    PrivateKey,
}

/// All certificates, one at least.
///
/// # Errors
/// What is wrong.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if all.is_empty() => Err(none(Wanted::Certificate, &bytes)),
        Ok(all) => Ok(all),
        Err(error) => Err(damaged(&error)),
    }
}

/// The private key.
///
/// # Errors
/// What is wrong.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path)?;
    // Of the old form too, whose headers are no base64.
    if has(&bytes, "ENCRYPTED") {
        return Err(
            "the key is encrypted, and the engine asks for no pass phrase: store it \
                    decrypted, readable by the engine's user alone (openssl pkey -in FILE -out NEW)"
                .to_owned(),
        );
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Err(Error::NoItemsFound) => Err(none(Wanted::PrivateKey, &bytes)),
        Err(error) => Err(damaged(&error)),
        Ok(key) => Ok(key),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    setting_file::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!(
            "it cannot be read ({error}): give the engine's user the right to, with chgrp and chmod \
             640, say"
        ),
        _ => format!("it cannot be read: {error}"),
    })
}

/// Why there is nothing of the kind in a file.
fn none(wanted: Wanted, bytes: &[u8]) -> String {
    let (what, command) = match wanted {
        Wanted::Certificate => ("no certificate (PEM)", "openssl x509"),
        Wanted::PrivateKey => ("no private key (PEM)", "openssl pkey"),
    };
    let why = match wanted {
        // A sequence, as DER begins.
        _ if bytes.first() == Some(&0x30) => {
            format!(", but DER: convert it ({command} -inform der -in FILE -out NEW)")
        }
        Wanted::Certificate if has(bytes, "PRIVATE KEY-----") => {
            ", but a private key: are the two settings mixed up?".to_owned()
        }
        Wanted::Certificate if has(bytes, "BEGIN CERTIFICATE REQUEST") => {
            ", but a request for one: an authority makes the certificate of it".to_owned()
        }
        Wanted::PrivateKey if has(bytes, "BEGIN CERTIFICATE") => {
            ", but a certificate: are the two settings mixed up?".to_owned()
        }
        _ => format!(
            ": a file with \"-----BEGIN {}-----\" is wanted",
            match wanted {
                Wanted::Certificate => "CERTIFICATE",
                Wanted::PrivateKey => "PRIVATE KEY",
            }
        ),
    };
    format!("it has {what}{why}")
}

fn damaged(error: &Error) -> String {
    format!("its PEM is damaged ({error}): copy it anew")
}

fn has(bytes: &[u8], words: &str) -> bool {
    memchr::memmem::find(bytes, words.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_has_instead_is_told() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("file");
        let pem = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
        let said = |bytes: &[u8], wanted| {
            std::fs::write(&path, bytes).expect("written");
            match wanted {
                Wanted::Certificate => certificates(&path).map(drop),
                Wanted::PrivateKey => private_key(&path).map(drop),
            }
            .expect_err("it is of no use")
        };
        for (bytes, wanted, words) in [
            (pem("PRIVATE KEY"), Wanted::Certificate, "mixed up"),
            (pem("CERTIFICATE"), Wanted::PrivateKey, "mixed up"),
            (pem("CERTIFICATE REQUEST"), Wanted::Certificate, "a request"),
            (
                pem("ENCRYPTED PRIVATE KEY"),
                Wanted::PrivateKey,
                "encrypted",
            ),
            ("0\u{3}".to_owned(), Wanted::Certificate, "-inform der"),
            ("0\u{3}".to_owned(), Wanted::PrivateKey, "openssl pkey"),
            (String::new(), Wanted::Certificate, "BEGIN CERTIFICATE"),
            (String::new(), Wanted::PrivateKey, "BEGIN PRIVATE KEY"),
            (
                "-----BEGIN CERTIFICATE-----\nAA".to_owned(),
                Wanted::Certificate,
                "copy it anew",
            ),
        ] {
            let said = said(bytes.as_bytes(), wanted);
            assert!(said.contains(words), "{bytes}: {said}");
        }
        let missing = certificates(&home.path().join("none")).expect_err("it is missing");
        assert!(missing.starts_with("it cannot be read: No such file"));
    }
}
