//! The journal: the append-only log on disk, the engine's only durable truth.

pub mod batch;
pub mod error;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod replay;
pub mod retention;
mod segment;
pub mod storage;
#[cfg(test)]
pub(crate) mod testing;
pub mod writer;
