//! The scheduler's cores: what is new, where it waits, and what goes next.
//!
//! All of them are sans-IO: values and `now` in, values out; no clock, no socket, no allocation in
//! the steady state.

pub mod bitmap;
pub mod dedup;
pub mod queue;
pub mod rules;
