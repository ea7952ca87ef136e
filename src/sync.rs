//! What threads share is made of. A file that takes it from here can be compiled into a model, which
//! has loom's in its place (`tests/models.rs`): loom then tries every order of the threads' steps.

pub(crate) use std::sync::{Arc, atomic};
