//! A term of a member, as the engine that serves it is started.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::lock::DirectoryLock;
use super::pipeline::GroupPath;
use crate::cluster::run::member::Activation;
use crate::cluster::status::Handle;
use crate::counters::Counters;
use crate::store::thread::StoreThread;

/// A term of this member, which an engine serves.
pub(crate) struct TermStart {
    pub(crate) activation: Activation,
    pub(crate) path: GroupPath,
    /// The end of what the member has recorded.
    pub(crate) recorded: Arc<AtomicU64>,
    /// What is counted, from the run's start on.
    pub(crate) counters: Arc<Counters>,
    /// What the member tells, and by what it is told to hand over.
    pub(crate) handle: Handle,
    /// The member has the directory.
    pub(crate) lock: Arc<DirectoryLock>,
    /// Follows into the database of this member alone.
    pub(crate) store: Option<StoreThread>,
}
