//! `[cluster]`: the group whose members share one replicated journal.

use std::time::Duration;

use super::nats::{Nats, check_name};
use crate::limits::NAME_LEN_MAX;
use crate::net::machine;

/// `[cluster]`: of use where `durability` is [`super::Durability::Replicated`], and only there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The servers of NATS that keep the group's stream, and who the engine is to them.
    pub nats: Nats,
    /// The group's name; empty without a group.
    pub group: String,
    /// This member's name: the settings', or the host's; empty without a group.
    pub node: String,
    /// Copies of the stream.
    pub replicas: usize,
    /// How long an active may be silent before a standby takes over: the lease.
    pub take_over_after: Duration,
    /// The name or address by which other machines reach this one; `None`: that of the interface towards
    /// the servers.
    pub advertise: Option<String>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nats: Nats::default(),
            group: String::new(),
            node: String::new(),
            replicas: 3,
            take_over_after: Duration::from_secs(15),
            advertise: None,
        }
    }
}

impl Cluster {
    /// What follows from the keys once all are read.
    pub(super) fn complete(&mut self) {
        if self.node.is_empty() && !self.group.is_empty() {
            self.node = node_of(&machine::name());
        }
    }
}

/// A host's name up to its first dot; empty where that names no node.
fn node_of(host: &str) -> String {
    let first = host.split('.').next().unwrap_or_default();
    let fits = first.len() <= NAME_LEN_MAX && check_name(first).is_ok();
    if fits {
        first.to_owned()
    } else {
        String::new()
    }
}
