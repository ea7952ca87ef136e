//! `/metrics`: all figures for Prometheus, by the `prometheus-client` crate.
//!
//! ```text
//! Counters --+
//! Shown -----+--> collectors --> the crate's encoder --> exposition --> classic text or OpenMetrics
//! /proc -----+
//! ```
//! The HTTP server asks for it. The collectors read everything when they are scraped, so nothing is
//! counted twice and nothing is added to the path. Names and HELP lines of counters are the
//! catalogue's own ([`crate::counters::Counter`]). It keeps no state between two scrapes.

mod destinations;
mod engine;
mod exposition;
mod families;
mod latency;
mod process;

pub(super) use exposition::Format;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

use super::AdminState;

const PREFIX: &str = "flipped_lb";

/// What one engine exposes.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// That of the engine with this state.
    pub(super) fn new(state: AdminState) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process::new()));
        let own = registry.sub_registry_with_prefix(PREFIX);
        own.register_collector(Box::new(engine::Engine(state)));
        Self { registry }
    }

    /// All of it as it is now.
    pub(super) fn text(&self, format: Format) -> String {
        let mut encoded = String::new();
        encode_registry(&mut encoded, &self.registry).expect("a string takes everything");
        exposition::translate(&encoded, format)
    }
}

#[cfg(test)]
mod tests;
