//! Destinations of a pattern that are set aside, for their streams refuse them: each is a subscriber of its
//! own, on a connection of its own.
//!
//! ```text
//! pattern   [ w-1 ][ w-2 ][ w-3 ]      w-2 is refused while others are answered
//! aside     stands by for w-2          then the pattern's connection goes, and w-2 is the aside's;
//! pattern   [ w-1 ][ w-3 ], again      it stands by for w-2, and has it back when the aside goes
//! ```
//! An aside goes when it has nothing more to publish, or when it is stuck: then its messages wait in their
//! queue, and the pattern takes them up again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::frame::Line;
use crate::limits::{NATS_ANSWER_MAX, NATS_ASIDE_MAX};
use crate::message::Pattern;

/// A message that its stream does not take.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) destination: String,
    pub(super) since: Instant,
}

impl Refused {
    /// From now on; the frame says whose it is.
    pub(super) fn now(frame: &[u8]) -> Self {
        let Ok(Line::Frame(fields)) = Line::parse(frame) else {
            unreachable!("it was parsed when it came")
        };
        Self {
            destination: fields.destination_id.into_owned(),
            since: Instant::now(),
        }
    }
}

/// The first that is refused while others are answered. Who has a `*` in its name cannot be set aside: its
/// subscription would be one to a pattern.
pub(super) fn first_alone<'a>(
    refused: impl Iterator<Item = &'a Refused>,
    answered_at: Instant,
) -> Option<&'a Refused> {
    let alone = refused.filter(|it| it.since < answered_at);
    alone
        .filter(|it| Pattern::parse(&it.destination).is_none())
        .min_by_key(|it| it.since)
}

/// The names that are set aside.
#[derive(Debug, Clone, Default)]
pub(super) struct Asides(Rc<RefCell<BTreeSet<String>>>);

/// A name that is set aside as long as this lives.
struct Name {
    of: Asides,
    name: String,
}

impl Asides {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.borrow().contains(name)
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.borrow().len() < NATS_ASIDE_MAX
    }

    /// Sets a destination of the pattern aside: `session` is its connection. Comes back when it stands by, or cannot.
    pub(super) async fn begin(
        &self,
        destination: &str,
        is_ready: oneshot::Receiver<()>,
        session: LocalBoxFuture<'static, ()>,
    ) {
        let name = self.add(destination);
        tokio::task::spawn_local(async move {
            let _name = name;
            session.await;
        });
        let _ = tokio::time::timeout(NATS_ANSWER_MAX, is_ready).await;
    }

    fn add(&self, name: &str) -> Name {
        self.0.borrow_mut().insert(name.to_owned());
        Name {
            of: self.clone(),
            name: name.to_owned(),
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.of.0.borrow_mut().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_that_is_refused_alone_goes_and_a_name_like_a_pattern_stays() {
        let begun = Instant::now();
        let after = |s: u64| begun + Duration::from_secs(s);
        let refused = [("w-*", 1), ("w-2", 3), ("w-1", 2), ("w-3", 9)].map(|(name, s)| Refused {
            destination: name.to_owned(),
            since: after(s),
        });
        let first = |answered_s| {
            let first = first_alone(refused.iter(), after(answered_s));
            first.map(|it| it.destination.as_str())
        };
        assert_eq!(first(9), Some("w-1"));
        assert_eq!(first(2), None, "only w-* is refused since before");
    }

    #[test]
    fn a_refused_frame_says_whose_it_is() {
        let frame = br#"{"messageId":"m","sourceServerId":"s","destinationId":"w\n1",
                         "messageType":"t","priority":1,"payload":{}}"#;
        assert_eq!(Refused::now(frame).destination, "w\n1");
    }
}
