//! Who can reach the engine's addresses, and what is asked for there.

use super::finding::Finding;
use super::machine::Context;
use crate::access::{Exposure, Listener};

const SUBJECT: &str = "who gets in";

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
    listeners.map(finding).collect()
}
