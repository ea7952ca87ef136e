//! Producers that send nothing: closed after `idle_timeout`, where that is set, and, while no more
//! connections are taken, those first that have never sent a line. Where users are asked for, one that
//! has not said in time who it is is closed in any case.
//!
//! The agent asks now and then. It leaves alone who has sent something that is not read yet, for
//! the pipeline or its destination has no room, and who waits for acknowledgements at its end.

use std::time::Duration;

use super::connection::{Connection, Origin};
use super::waits::Wait;
use crate::access::Users;
use crate::clock::Now;
use crate::config::Ingest;
use crate::counters::Counter;
use crate::limits::IDLE_LOOK_NS;

/// How long producers may be silent.
#[derive(Debug)]
pub(super) struct Timeouts {
    /// Before their first line, while no more connections are taken, in ns.
    greeting_ns: u64,
    /// They must greet within that time.
    wants_token: bool,
    /// At any time, in ns; `None`: for ever.
    idle_ns: Option<u64>,
    look_at_ns: u64,
}

impl Timeouts {
    pub(super) fn new(settings: &Ingest) -> Self {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            greeting_ns: ns(settings.greeting_timeout),
            wants_token: false,
            idle_ns: Some(ns(settings.idle_timeout)).filter(|idle_ns| *idle_ns > 0),
            look_at_ns: 0,
        }
    }

    /// Producers say who they are, if there are users.
    pub(super) fn of_users(self, users: &Users) -> Self {
        let wants_token = users.want_token();
        Self {
            wants_token,
            ..self
        }
    }

    /// Whether it is time to look at all connections. `is_full`: no more are taken.
    pub(super) fn are_due(&mut self, is_full: bool, now: Now) -> bool {
        if now.ns < self.look_at_ns {
            return false;
        }
        self.look_at_ns = now.ns + IDLE_LOOK_NS;
        is_full || self.wants_token || self.idle_ns.is_some()
    }

    /// Why a connection is closed now, if it is: what counts it, and the words.
    pub(super) fn end_of(
        &self,
        connection: &Connection,
        is_full: bool,
        now: Now,
    ) -> Option<(Counter, String)> {
        let is_unread =
            connection.waits_for == Some(Wait::Answers) && !connection.unsent.is_empty();
        let has_more = connection.is_queued || (connection.waits_for.is_some() && !is_unread);
        let is_producer = matches!(connection.origin, Origin::DialledIn(_));
        if !is_producer || has_more || connection.peer.has_ended {
            return None;
        }
        let open_ns = now.ns.saturating_sub(connection.came_at_ns);
        let is_known = matches!(connection.sender.certificate, Some(Ok(_)));
        let must_greet = self.wants_token && connection.lines.may_greet && !is_known;
        if must_greet && open_ns >= self.greeting_ns {
            let seconds = self.greeting_ns as f64 / 1e9;
            let why = format!("no token was sent within [ingest] greeting_timeout, {seconds} s");
            return Some((Counter::GreetingTimeouts, why));
        }
        let did_ns = match is_unread {
            true => connection.unsent_since_ns,
            false => connection.read_at_ns,
        };
        let silent_ns = now.ns.saturating_sub(did_ns);
        if is_full && connection.lines.is_new && silent_ns >= self.greeting_ns {
            let seconds = silent_ns as f64 / 1e9;
            let why = format!("no line was sent in {seconds:.0} s, and others want to connect");
            return Some((Counter::GreetingTimeouts, why));
        }
        let idle_ns = self.idle_ns.filter(|idle_ns| silent_ns >= *idle_ns)?;
        let limit = idle_ns as f64 / 1e9;
        let did = match is_unread {
            true => "read of its outcomes",
            false => "sent",
        };
        let why = format!("nothing was {did} for [ingest] idle_timeout, {limit} s");
        Some((Counter::IdleTimeouts, why))
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::Connections;
    use super::*;
    use crate::clock::testing::at;
    use crate::config;

    const GREETING_NS: u64 = 5_000_000_000;
    const IDLE_NS: u64 = 60_000_000_000;

    /// What ends a connection of this origin after so long, once it was changed so.
    fn end(
        origin: Origin,
        silent_ns: u64,
        is_full: bool,
        change: impl FnOnce(&mut Connection),
    ) -> Option<Counter> {
        let timeouts = Timeouts::new(&Ingest {
            greeting_timeout: Duration::from_nanos(GREETING_NS),
            idle_timeout: Duration::from_nanos(IDLE_NS),
            ..Ingest::default()
        });
        let mut connections = Connections::new(1, 100, 0);
        connections.open(0, origin, "p".to_owned(), false, 7);
        connections.next_readable();
        let connection = connections.get_mut(0).expect("it is there");
        change(connection);
        let end = timeouts.end_of(connection, is_full, at(7 + silent_ns));
        end.map(|(counter, _)| counter)
    }

    #[test]
    fn a_silent_producer_is_closed_in_its_time_and_a_source_never() {
        let producer = Origin::DialledIn("127.0.0.1:1".parse().expect("an address"));
        let same = |_: &mut Connection| {};
        assert_eq!(end(producer, IDLE_NS - 1, false, same), None);
        assert_eq!(
            end(producer, IDLE_NS, false, same),
            Some(Counter::IdleTimeouts)
        );
        assert_eq!(end(producer, GREETING_NS - 1, true, same), None);
        let greeting = end(producer, GREETING_NS, true, same);
        assert_eq!(greeting, Some(Counter::GreetingTimeouts));
        assert_eq!(
            end(producer, GREETING_NS, true, |it| it.lines.is_new = false),
            None
        );
        assert_eq!(end(Origin::Configured(0), 9 * IDLE_NS, true, same), None);
    }

    #[test]
    fn where_users_are_asked_for_a_byte_now_and_then_keeps_no_place() {
        let users = [config::User {
            token_sha256: Some(config::TokenHash::of("t")),
            ..config::User::named("u")
        }];
        let mut timeouts = Timeouts::new(&Ingest::default()).of_users(&Users::new(&users));
        let timeout_ns = timeouts.greeting_ns;
        let mut connections = Connections::new(1, 100, 0);
        let producer = Origin::DialledIn("127.0.0.1:1".parse().expect("an address"));
        connections.open(0, producer, "p".to_owned(), false, 7);
        connections.next_readable();
        let connection = connections.get_mut(0).expect("it is there");
        connection.read_at_ns = 6 + timeout_ns;
        let end = |it: &Connection, ns| timeouts.end_of(it, false, at(ns));
        assert!(end(connection, 6 + timeout_ns).is_none());
        let (counter, _) = end(connection, 7 + timeout_ns).expect("it is closed");
        assert_eq!(counter, Counter::GreetingTimeouts);
        connection.lines.may_greet = false;
        assert!(
            end(connection, 9 * timeout_ns).is_none(),
            "it has said who it is"
        );
        assert!(timeouts.are_due(false, at(0)));
    }

    #[test]
    fn who_waits_for_the_engine_is_left_alone() {
        let producer = Origin::DialledIn("127.0.0.1:1".parse().expect("an address"));
        let late = |change: fn(&mut Connection)| end(producer, 2 * IDLE_NS, true, change);
        assert_eq!(late(|it| it.is_queued = true), None);
        assert_eq!(late(|it| it.waits_for = Some(Wait::Rejects)), None);
        assert_eq!(late(|it| it.peer.has_ended = true), None);
    }

    #[test]
    fn who_does_not_read_its_outcomes_is_silent() {
        let producer = Origin::DialledIn("127.0.0.1:1".parse().expect("an address"));
        let unread = |it: &mut Connection| {
            (it.waits_for, it.unsent) = (Some(Wait::Answers), b"x".to_vec());
            it.unsent_since_ns = 7;
        };
        assert_eq!(end(producer, IDLE_NS - 1, false, unread), None);
        let timeout = Some(Counter::IdleTimeouts);
        assert_eq!(end(producer, IDLE_NS, false, unread), timeout);
        let unanswered = |it: &mut Connection| it.waits_for = Some(Wait::Answers);
        assert_eq!(end(producer, 2 * IDLE_NS, false, unanswered), None);
    }

    #[test]
    fn all_are_looked_at_now_and_then_and_only_where_somebody_may_be_closed() {
        let mut timeouts = Timeouts::new(&Ingest {
            idle_timeout: Duration::ZERO,
            ..Ingest::default()
        });
        assert!(!timeouts.are_due(false, at(0)), "nobody is closed");
        assert!(!timeouts.are_due(true, at(IDLE_LOOK_NS - 1)));
        assert!(timeouts.are_due(true, at(IDLE_LOOK_NS)));
    }
}
