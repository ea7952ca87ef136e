//! What ingest says to a producer, as those read it who are one: HTTP, NATS and `publish`.

use serde::Deserialize;

/// A line to a producer.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ProducerAnswer {
    /// Lines up to this one are in the engine's hands.
    pub(crate) ack: Option<u64>,
    /// Those of them that were rejected, and why.
    #[serde(default)]
    pub(crate) rejected: Vec<(u64, String)>,
    /// Those that are duplicates.
    #[serde(default)]
    pub(crate) duplicates: Vec<u64>,
    /// No more lines are taken, and why.
    pub(crate) error: Option<String>,
    /// Beside the error of a standby: where the active takes producers.
    pub(crate) active: Option<String>,
}
