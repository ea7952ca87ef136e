//! "Failure is plain. Disk full: the engine stops reading, says so, goes on delivering, and resumes
//! by itself. A failed fsync: stop at once with a clear error; recovery at the next start. Torn or
//! corrupt journal tail: cut, counted, reported."
//!
//! So: an engine stops by itself only where a write, read or sync has failed, and every start
//! succeeds, for no run damages what was synced. That all is done once the faults stop, the world
//! sees itself: it gives up otherwise.

use super::{Checker, Verdict};
use crate::history::Event;

/// See the module.
#[derive(Default)]
pub struct Progress {
    is_running: bool,
}

impl Checker for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Started => self.is_running = true,
            Event::Ended { .. } => self.is_running = false,
            Event::Refused(error) => return Err(format!("the engine does not start: {error}")),
            Event::Failed { error, has_reason } if !has_reason => {
                return Err(format!("the engine stopped without a reason: {error}"));
            }
            Event::Nonsense(what) => return Err(what.clone()),
            _ => {}
        }
        Ok(())
    }
}
