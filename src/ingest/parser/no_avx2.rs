//! In place of `avx2` on other processors: there is no fast path.

use std::convert::Infallible;

use super::vectors::Work;

/// Nobody has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(Infallible);

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn run<W: Work>(self, _work: W) -> W::Output {
        match self.0 {}
    }
}
