//! Who can reach the engine's addresses, what is asked for there, and how long its certificates last.

use super::finding::Finding;
use super::machine::Context;
use crate::access::{Exposure, Listener};
use crate::clock::wall_us;
use crate::engine::tls::{Certificate, TlsOfEngine};
use crate::net::tls::Trouble;

const SUBJECT: &str = "who gets in";
const CERTIFICATE: &str = "certificate";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let config = context.config;
    let listeners = Listener::all(config).into_iter();
    let finding = |listener: Listener| {
        let words = listener.words(config);
        match listener.exposure(config) {
            Exposure::Loopback | Exposure::Users | Exposure::Certificates => {
                Finding::good(SUBJECT, words)
            }
            Exposure::Anonymous => {
                let advice = "add a [[user]] (flipped-lb user hash), or be sure of the network";
                Finding::fair(SUBJECT, words, advice.to_owned())
            }
            Exposure::Open => Finding::bad(SUBJECT, words, listener.refusal()),
        }
    };
    let mut findings: Vec<_> = listeners.map(finding).collect();
    match TlsOfEngine::load(config) {
        Ok(tls) => findings.extend(tls.certificates.iter().map(certificate)),
        Err(error) => {
            let advice = "put it right: flipped-lb check says whether it is".to_owned();
            findings.push(Finding::bad(CERTIFICATE, error.to_string(), advice));
        }
    }
    findings
}

fn certificate(certificate: &Certificate) -> Finding {
    let validity = certificate.validity;
    let found = format!("{}: {}", certificate.name(), validity.end_words());
    match validity.trouble(wall_us() / 1_000_000) {
        None => Finding::good(CERTIFICATE, found),
        Some(Trouble::EndsSoon) => {
            let advice = "renew it, then flipped-lb reload".to_owned();
            Finding::fair(CERTIFICATE, found, advice)
        }
        Some(Trouble::Ended | Trouble::NotBegun) => {
            let advice = certificate.trouble().unwrap_or_default();
            Finding::bad(CERTIFICATE, found, advice)
        }
    }
}
