//! The names in a certificate: what a user may be known by.
//!
//! `rustls` has verified it before. What cannot be read as a name is left out.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode as _, Tag, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The common name of a subject.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The common names of the subject, and the DNS names; none where the certificate cannot be read.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let subject = &certificate.tbs_certificate.subject.0;
    let attributes = subject.iter().flat_map(|it| it.0.iter());
    let common = attributes.filter(|it| it.oid == COMMON_NAME);
    let mut names: Vec<String> = common.filter_map(text).collect();
    // A second extension of this kind is no certificate's.
    if let Ok(Some((_, others))) = certificate.tbs_certificate.get::<SubjectAltName>() {
        names.extend(others.0.into_iter().filter_map(dns_name));
    }
    names
}

fn dns_name(name: GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    }
}

fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    let value = &attribute.value;
    match value.tag() {
        Tag::Utf8String => Some(value.decode_as::<Utf8StringRef<'_>>().ok()?.to_string()),
        Tag::PrintableString => Some(
            value
                .decode_as::<PrintableStringRef<'_>>()
                .ok()?
                .to_string(),
        ),
        Tag::Ia5String => Some(value.decode_as::<Ia5StringRef<'_>>().ok()?.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn made(subject: &str, alternative: &str) -> CertificateDer<'static> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("openssl");
        let words = "req -x509 -utf8 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                     -keyout key -out cert -subj";
        command.args(words.split_whitespace()).arg(subject);
        if !alternative.is_empty() {
            command.args(["-addext", &format!("subjectAltName={alternative}")]);
        }
        let made = command.current_dir(home.path()).output().expect("openssl");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        CertificateDer::from_pem_file(home.path().join("cert")).expect("a certificate")
    }

    #[test]
    fn common_names_and_dns_names_are_names_and_nothing_else_is() {
        for (subject, alternative, expected) in [
            ("/CN=till", "", &["till"][..]),
            ("/O=bar/OU=x/CN=K\u{fc}che 1", "", &["K\u{fc}che 1"]),
            (
                "/CN=till",
                "DNS:till.example,IP:127.0.0.1,email:a@b.example,DNS:bar",
                &["till", "till.example", "bar"],
            ),
            ("/O=till", "URI:urn:till", &[]),
        ] {
            let found = names(&made(subject, alternative));
            assert_eq!(found, expected, "{subject} {alternative}");
        }
    }

    proptest! {
        /// Whatever has passed for a certificate, reading its names ends in names.
        #[test]
        fn no_bytes_are_too_strange(
            at in 0_usize..400,
            byte in any::<u8>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            static WHOLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let whole = WHOLE.get_or_init(|| made("/CN=till", "DNS:bar").to_vec());
            let mut damaged = whole.clone();
            if let Some(it) = damaged.get_mut(at) {
                *it = byte;
            }
            names(&CertificateDer::from(damaged));
            names(&CertificateDer::from(bytes));
        }
    }
}
