//! The journal: the append-only log on disk, the engine's only durable truth.

pub mod ahead;
pub mod batch;
pub mod error;
mod gauge;
pub mod kept;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod repair;
pub mod replay;
pub mod retention;
mod segment;
pub mod storage;
#[cfg(test)]
pub(crate) mod testing;
pub mod writer;
