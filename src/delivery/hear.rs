//! What subscribers say: their lines are read, understood and obeyed, or answered with an error.
//!
//! Sockets feed it; it tells the scheduler who wants what and what was acknowledged.

use std::io;

use tracing::warn;

use super::DeliveryAgent;
use super::join::Join;
use super::subscriber::{Connection, Phase, Request};
use crate::clock::{Clock, Now};
use crate::counters::Counter;
use crate::limits::{
    LEAVING_NS_MAX, LONG_LINES_LEN_MAX, READS_PER_CYCLE, SUBSCRIBER_LINE_LEN_MAX,
    SUBSCRIBER_LONG_READ_LEN_MAX, SUBSCRIBER_READ_LEN_MAX,
};
use crate::net::framer::Line;
use crate::net::{Key, Network};

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
        let read_len_max = match kept {
            0 => SUBSCRIBER_READ_LEN_MAX,
            _ => SUBSCRIBER_LONG_READ_LEN_MAX,
        };
        let room = &mut self.buffer[kept..kept + read_len_max];
        let read_len = self.parts.net.read(key, room)?;
        let filled = kept + read_len;
        while let Some(line) = connection.framer.next_line(&self.buffer[..filled]) {
            self.hear_line(key, connection, line, now);
        }
        // An orderly end ends the last line too: it may be an acknowledgement.
        if read_len == 0
            && let Some(line) = connection.framer.finish(&self.buffer[..filled])
        {
            self.hear_line(key, connection, line, now);
        }
        connection.framer.keep(&self.buffer[..filled]);
        self.note_long(connection);
        if !matches!(connection.phase, Phase::Leaving(_))
            && let Err(why) = self.judge_long(connection)
        {
            self.turn_away(connection, &why, now);
        }
        match read_len {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn hear_line(&mut self, key: Key, connection: &mut Connection, line: Line, now: Now) {
        if matches!(connection.phase, Phase::Leaving(_)) {
            return;
        }
        let heard = match line {
            Line::Blank => return,
            Line::Whole(range) => connection.hear(&self.buffer[range], now.ns),
            Line::Oversize(_) => Err(format!(
                "the line is longer than {SUBSCRIBER_LINE_LEN_MAX} bytes"
            )),
        };
        match heard {
            Ok(request) => self.obey(key, connection, request),
            Err(why) => self.turn_away(connection, &why, now),
        }
    }

    fn obey(&mut self, key: Key, connection: &mut Connection, request: Request) {
        match request {
            Request::Acknowledge(frames) => connection.news.acknowledged += frames,
            Request::Subscribe { destinations, ack } => {
                debug_assert_eq!(connection.phase, Phase::Subscribed { ack });
                self.begin_join(key, connection, Join::of_line(destinations));
            }
        }
    }

    /// Keeps account of a connection's unfinished line.
    pub(super) fn note_long(&mut self, connection: &mut Connection) {
        let partial_len = connection.framer.partial_len();
        let long_len = match partial_len > SUBSCRIBER_LONG_READ_LEN_MAX {
            true => partial_len,
            false => 0,
        };
        let before = std::mem::replace(&mut connection.long_len, long_len);
        self.long_len = self.long_len - before + long_len;
        if before > 0 && long_len == 0 {
            connection.framer.release();
        }
    }

    /// Whether an unfinished line may be so long: only a subscription may, and not too many at once.
    fn judge_long(&self, connection: &Connection) -> Result<(), String> {
        if connection.long_len == 0 {
            return Ok(());
        }
        let line = connection.framer.partial().trim_ascii_start();
        if line.first() != Some(&b'{') {
            return Err(format!(
                "the line is longer than {SUBSCRIBER_LONG_READ_LEN_MAX} bytes, and no subscription; {}",
                connection.expectation()
            ));
        }
        if self.long_len > LONG_LINES_LEN_MAX {
            return Err("too many long lines come at once; send patterns, such as \
                        {\"subscribe\":[\"table*\"]}, or several lines"
                .to_owned());
        }
        Ok(())
    }

    /// Says what is wrong, and lets the connection read that before it is closed.
    pub(super) fn turn_away(&mut self, connection: &mut Connection, why: &str, now: Now) {
        self.parts.counters.add(Counter::SubscriberErrors, 1);
        connection.joins.clear();
        connection.phase = Phase::Leaving(now.ns + LEAVING_NS_MAX);
        let line = serde_json::json!({ "error": why });
        connection.outbox.push_word(line.to_string());
    }

    /// It has not said what it wants.
    pub(super) fn lose_patience(&mut self, key: Key, now: Now) {
        let Some(mut connection) = self.connections[key].take() else {
            return;
        };
        let seconds = self.parts.greeting_timeout_ns as f64 / 1e9;
        self.parts.counters.add(Counter::GreetingTimeouts, 1);
        let expectation = connection.expectation();
        let why = format!("nothing was asked for in {seconds} s; {expectation}");
        self.turn_away(&mut connection, &why, now);
        self.connections[key] = Some(connection);
        self.list(key);
    }

    /// Its socket takes nothing: its messages go to the next one. No word of it would arrive.
    pub(super) fn cut_unread(&mut self, key: Key, now: Now) {
        let Some(connection) = &self.connections[key] else {
            return;
        };
        let seconds = self.parts.unread_timeout_ns.unwrap_or_default() as f64 / 1e9;
        let destination = connection
            .first_destination
            .and_then(|it| self.parts.destinations.name(it));
        if let Some(more) = self.log_cut.admit(now) {
            warn!(
                subscriber = %connection.peer,
                destination = ?destination.as_deref().unwrap_or_default(),
                destinations = connection.taken.len(),
                "nothing was read for {seconds} s: cut{more}"
            );
        }
        self.parts.counters.add(Counter::UnreadTimeouts, 1);
        self.end(key);
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
