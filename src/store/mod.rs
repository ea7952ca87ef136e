//! (placeholder until the store is merged)
#![allow(missing_docs, clippy::all)]
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64},
};
pub struct StoreThread;
#[derive(Debug, thiserror::Error)]
#[error("none")]
pub struct StoreError;
impl StoreThread {
    pub fn start(
        _: &crate::config::Config,
        _: &crate::journal::storage::Directory,
        _: Arc<AtomicU64>,
        _: &Arc<crate::counters::Counters>,
    ) -> Result<Option<Self>, StoreError> {
        Ok(None)
    }
    pub fn finish(self, _: u64, _: &AtomicBool, _: impl FnMut(u64)) -> Result<(), StoreError> {
        Ok(())
    }
}
