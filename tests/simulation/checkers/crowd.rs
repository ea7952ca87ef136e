//! "Every listener has a limit": connections that say nothing take no more places than there are, and
//! none for ever. That others get in all the same is seen by the world: it gives up otherwise.

use super::{Checker, Verdict};
use crate::history::Event;

/// See the module.
#[derive(Default)]
pub struct Crowd;

impl Checker for Crowd {
    fn name(&self) -> &'static str {
        "crowd"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Crowded { held, limit } => {
                Err(format!("a listener holds {held} connections of {limit}"))
            }
            _ => Ok(()),
        }
    }
}
