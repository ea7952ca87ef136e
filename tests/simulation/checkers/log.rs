//! "Nothing outside can stop, stall ... the engine": the path neither writes its log itself nor
//! waits for whoever reads it.

use super::{Checker, Verdict};
use crate::history::Event;

/// See the module.
#[derive(Default)]
pub struct Log;

impl Checker for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            Event::Logged(what) => Err(format!("whoever logged {what}")),
            _ => Ok(()),
        }
    }
}
