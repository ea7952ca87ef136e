//! The journal: the append-only log on disk, the engine's only durable truth.

pub mod ahead;
pub mod batch;
pub mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gauge;
pub mod kept;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod repair;
pub mod replay;
pub mod reserve;
pub mod retention;
mod segment;
mod staged;
pub mod storage;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "some of it is for tests"))]
pub(crate) mod testing;
pub mod writer;
