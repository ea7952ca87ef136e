//! The journal: the append-only log on disk, the engine's only durable truth.

pub mod record;
pub mod storage;
pub mod writer;
