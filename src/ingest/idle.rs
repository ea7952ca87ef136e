//! Producers that say nothing: closed after `idle_timeout`, where that is set, and, while no more
//! connections are taken, those first that have never sent a line.
//!
//! The clock feeds it. It leaves alone whoever has sent something that is not read yet, for the
//! pipeline or its destination has no room, and whoever waits for acknowledgements at its end.

use std::io;

use super::IngestAgent;
use super::source::Connection;
use crate::clock::Now;
use crate::config::Ingest;
use crate::counters::Counter;
use crate::limits::IDLE_LOOK_NS;
use crate::net::{Key, Network};

/// How long producers may say nothing.
#[derive(Debug)]
pub(super) struct Patience {
    /// Before their first line, while no more connections are taken, in ns.
    greeting_ns: u64,
    /// At any time, in ns; `None`: for ever.
    idle_ns: Option<u64>,
    look_at_ns: u64,
}

impl Patience {
    pub(super) fn new(settings: &Ingest) -> Self {
        let ns = |it: std::time::Duration| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX);
        Self {
            greeting_ns: ns(settings.greeting_timeout),
            idle_ns: Some(ns(settings.idle_timeout)).filter(|it| *it > 0),
            look_at_ns: 0,
        }
    }

    /// Why a producer is closed now, if it is: what counts it, and the words.
    fn end_of(
        &self,
        connection: &Connection,
        is_full: bool,
        now: Now,
    ) -> Option<(Counter, String)> {
        let silent_ns = now.ns.saturating_sub(connection.read_at_ns?);
        let seconds = silent_ns as f64 / 1e9;
        let is_held = connection.is_queued || connection.waits_for.is_some();
        if is_held || connection.has_ended {
            return None;
        }
        if is_full && connection.is_new && silent_ns >= self.greeting_ns {
            let why = format!("no line was sent in {seconds:.0} s, and others want to connect");
            return Some((Counter::GreetingTimeouts, why));
        }
        let idle_ns = self.idle_ns.filter(|it| silent_ns >= *it)?;
        let limit = idle_ns as f64 / 1e9;
        let why = format!("nothing was sent for [ingest] idle_timeout, {limit} s");
        Some((Counter::IdleTimeouts, why))
    }
}

impl<N: Network> IngestAgent<N> {
    /// Now and then, closes those that have been silent for too long.
    pub(super) fn close_idle(&mut self, now: Now) {
        if now.ns < self.patience.look_at_ns {
            return;
        }
        self.patience.look_at_ns = now.ns + IDLE_LOOK_NS;
        let is_full = self.acceptor.is_full();
        if !is_full && self.patience.idle_ns.is_none() {
            return;
        }
        for key in 0..self.connections.len() {
            let connection = self.connections[key].as_ref();
            let ends = connection.and_then(|it| self.patience.end_of(it, is_full, now));
            // Half a line is told the scheduler as a rejected one.
            if let Some((counter, why)) = ends
                && self.parts.to_scheduler.has_room(1)
                && self.close_one(key, &why, now)
            {
                self.parts.counters.add(counter, 1);
            }
        }
    }

    /// `false`: what came of its next line finds no room among the rejected lines: it is tried again.
    fn close_one(&mut self, key: Key, why: &str, now: Now) -> bool {
        let Some(mut connection) = self.connections[key].take() else {
            return false;
        };
        if !self.keep_cut_off(&mut connection, now) {
            self.connections[key] = Some(connection);
            return false;
        }
        let line = format!("{}\n", serde_json::json!({ "error": why }));
        let pieces = [io::IoSlice::new(line.as_bytes())];
        // A peer that is gone is not told.
        let _ = self.parts.net.write(key, &pieces);
        let error = io::Error::new(io::ErrorKind::TimedOut, why.to_owned());
        self.end(key, connection, &error, now);
        true
    }
}
