//! Readings for tests.

use super::Now;

/// So many ns after the clock was made; the other times are 0.
pub(crate) fn at(ns: u64) -> Now {
    Now {
        ns,
        ..Now::default()
    }
}
