//! "A rejected line ... is kept whole in rejected.ndjson", also one that its connection's end has cut off; and a
//! source that ends its side in an orderly way has its last line read, newline or not, and is told of
//! all its lines before the engine closes.

use super::{Checker, Remains, Verdict};
use crate::history::Event;

/// See the module.
#[derive(Default)]
pub struct Ends {
    /// What was cut off in the present life.
    cut_off: Vec<Vec<u8>>,
}

impl Checker for Ends {
    fn name(&self) -> &'static str {
        "ends"
    }

    fn note(&mut self, event: &Event, _now_ns: u64) -> Verdict {
        match event {
            // A life that ends may take with it what it was about to keep.
            Event::Started => self.cut_off.clear(),
            Event::CutOff(line) => self.cut_off.push(line.clone()),
            Event::Dismissed {
                source,
                unread,
                untold,
            } if unread + untold > 0 => {
                return Err(format!(
                    "source {source} has ended its side, and was closed with {unread} lines unread \
                     and {untold} unacknowledged"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, remains: &Remains) -> Verdict {
        match self
            .cut_off
            .iter()
            .find(|it| !remains.rejected.contains(it))
        {
            Some(line) => Err(format!(
                "{:?} was cut off, and is kept nowhere",
                String::from_utf8_lossy(line)
            )),
            None => Ok(()),
        }
    }
}
