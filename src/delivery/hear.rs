//! What subscribers say: their lines are read, understood and obeyed, or answered with an error.
//!
//! Sockets feed it; it tells the scheduler who wants what and what was acknowledged.

use std::io;

use tracing::warn;

use super::DeliveryAgent;
use super::subscriber::{Connection, Phase, Request};
use crate::clock::{Clock, Now};
use crate::counters::Counter;
use crate::ingest::framer::Line;
use crate::limits::{
    GREETING_NS_MAX, LEAVING_NS_MAX, NAME_LEN_MAX, READS_PER_CYCLE, SUBSCRIBER_LINE_LEN_MAX,
    SUBSCRIBER_READ_LEN_MAX,
};
use crate::message::DestinationIndex;
use crate::net::{Key, Network};

/// Destinations that an error names.
const NAMES_SHOWN: usize = 10;

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    pub(super) fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        for _ in 0..READS_PER_CYCLE.min(self.readable.len()) {
            let Some(key) = self.readable.pop_front() else {
                break;
            };
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            connection.is_queued = false;
            if connection.phase == Phase::Gone {
                self.connections[key] = Some(connection);
                continue;
            }
            let result = self.read_one(key, &mut connection, now);
            self.connections[key] = Some(connection);
            self.list_news(key);
            match result {
                Ok(()) => {
                    work_count += 1;
                    self.enqueue(key);
                    self.list(key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.list(key),
                Err(_) => self.end(key),
            }
        }
        work_count
    }

    fn read_one(&mut self, key: Key, connection: &mut Connection, now: Now) -> io::Result<()> {
        let kept = connection.framer.restore(&mut self.buffer);
        let room = &mut self.buffer[kept..kept + SUBSCRIBER_READ_LEN_MAX];
        let read_len = self.parts.net.read(key, room)?;
        let filled = kept + read_len;
        while let Some(line) = connection.framer.next_line(&self.buffer[..filled]) {
            self.hear_line(connection, line, now);
        }
        // An orderly end ends the last line too: it may be an acknowledgement.
        if read_len == 0
            && let Some(line) = connection.framer.finish(&self.buffer[..filled])
        {
            self.hear_line(connection, line, now);
        }
        connection.framer.keep(&self.buffer[..filled]);
        match read_len {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn hear_line(&mut self, connection: &mut Connection, line: Line, now: Now) {
        if matches!(connection.phase, Phase::Leaving(_)) {
            return;
        }
        let heard = match line {
            Line::Whole(range) => connection.hear(&self.buffer[range], now.ns),
            Line::Oversize(_) => Err(format!(
                "the line is longer than {SUBSCRIBER_LINE_LEN_MAX} bytes"
            )),
        };
        if let Err(why) = heard.and_then(|request| self.obey(connection, request)) {
            self.turn_away(connection, &why, now);
        }
    }

    fn obey(&mut self, connection: &mut Connection, request: Request) -> Result<(), String> {
        match request {
            Request::Acknowledge(frames) => connection.news.acknowledged += frames,
            Request::Subscribe { destinations, ack } => {
                debug_assert_eq!(connection.phase, Phase::Subscribed { ack });
                let found = destinations.iter().map(|name| self.find(name));
                let destinations = found.collect::<Result<Vec<_>, _>>()?;
                connection.news.subscribe = Some((destinations, ack));
            }
        }
        Ok(())
    }

    fn find(&mut self, name: &str) -> Result<DestinationIndex, String> {
        let directory = &mut self.parts.destinations;
        let before = directory.len();
        let is_name = (1..=NAME_LEN_MAX).contains(&name.len());
        let found = is_name.then(|| directory.find_or_create(name)).flatten();
        let count = directory.len();
        if count > before {
            self.parts.counters.set(Counter::Destinations, count as u64);
        }
        if is_name && found.is_none() && directory.may_create() {
            self.parts.counters.add(Counter::DestinationsFull, 1);
        }
        found.ok_or_else(|| {
            let names = directory.first(NAMES_SHOWN);
            let shown: Vec<&str> = names.iter().map(|it| &**it).collect();
            let more = if count > NAMES_SHOWN { ", ..." } else { "" };
            format!(
                "unknown destination {name:?}; there are {}{more}",
                shown.join(", ")
            )
        })
    }

    /// Says what is wrong, and lets the connection read that before it is closed.
    fn turn_away(&mut self, connection: &mut Connection, why: &str, now: Now) {
        self.parts.counters.add(Counter::SubscriberErrors, 1);
        connection.phase = Phase::Leaving(now.ns + LEAVING_NS_MAX);
        let line = serde_json::json!({ "error": why });
        connection.outbox.push_word(line.to_string());
    }

    /// It has not said what it wants.
    pub(super) fn lose_patience(&mut self, key: Key, now: Now) {
        let Some(mut connection) = self.connections[key].take() else {
            return;
        };
        let seconds = GREETING_NS_MAX / 1_000_000_000;
        let expectation = connection.expectation();
        let why = format!("nothing was asked for in {seconds} s; {expectation}");
        self.turn_away(&mut connection, &why, now);
        self.connections[key] = Some(connection);
        self.list(key);
    }
    /// It owes acknowledgements: it is told so where it still reads, and its messages go to the
    /// next one.
    pub(super) fn cut_overdue(&mut self, key: Key, now: Now) {
        let Some(mut connection) = self.connections[key].take() else {
            return;
        };
        let owed = connection.written - connection.acknowledged;
        let seconds = self.parts.ack_timeout_ns as f64 / 1e9;
        if let Some(more) = self.log_cut.admit(now) {
            let peer = connection.peer;
            warn!(subscriber = %peer, owed, "nothing acknowledged for {seconds} s: cut{more}");
        }
        self.parts.counters.add(Counter::AckTimeouts, 1);
        if !connection.is_writable {
            self.connections[key] = Some(connection);
            self.end(key);
            return;
        }
        let why = format!(
            "nothing acknowledged for {seconds} s, and {owed} frame(s) are owed: they go to the next \
             subscriber; send {{\"ack\":N}} sooner, or raise [delivery] ack_timeout"
        );
        self.turn_away(&mut connection, &why, now);
        self.connections[key] = Some(connection);
        self.list(key);
    }
}
