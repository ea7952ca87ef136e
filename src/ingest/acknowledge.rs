//! Acknowledging: sources that wish it are told how many of their lines the engine has taken
//! responsibility for.
//!
//! The scheduler says which lines are recorded; what was rejected counts once it is kept.

use std::io::{self, IoSlice, Write};

use super::IngestAgent;
use super::source::Connection;
use crate::agent::Fatal;
use crate::clock::Now;
use crate::counters::Counter;
use crate::message::SourceIndex;
use crate::net::{Key, Network};

impl<N: Network> IngestAgent<N> {
    pub(super) fn note_responsible(&mut self, source: SourceIndex, number: u32, line: u64) {
        let found = self
            .connections
            .iter_mut()
            .enumerate()
            .find_map(|(key, it)| {
                it.as_mut()
                    .filter(|it| it.source == source && it.number == number)
                    .map(|it| (key, it))
            });
        if let Some((key, connection)) = found {
            connection.responsible = line;
            self.owing.push(key);
        }
    }

    /// Tells sources what is taken. Those that wait for a rejected line to be kept come again.
    pub(super) fn acknowledge(&mut self, now: Now) {
        let kept = self.parts.rejected.kept();
        let mut owing = std::mem::take(&mut self.owing);
        for key in owing.drain(..) {
            let Some(mut connection) = self.connections.get_mut(key).and_then(Option::take) else {
                continue;
            };
            connection.unkept.advance(kept);
            if let Some(end) = connection.unkept.wants() {
                self.parts.rejected.want(end);
                if !std::mem::replace(&mut connection.awaits_kept, true) {
                    self.awaiting_kept.push(key);
                }
            }
            match self.acknowledge_one(key, &mut connection) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    self.end(key, connection, &error, now);
                }
                _ => self.connections[key] = Some(connection),
            }
        }
        self.owing = owing;
        self.parts.rejected.begin_sync();
    }

    /// Sees whether more rejected lines are kept than before; who waits for that is looked at.
    pub(super) fn hear_kept(&mut self) -> Result<usize, Fatal> {
        self.parts.rejected.hear_sync()?;
        let kept = self.parts.rejected.kept();
        if std::mem::replace(&mut self.rejected_kept, kept) == kept {
            return Ok(0);
        }
        for key in self.awaiting_kept.drain(..) {
            if let Some(connection) = self.connections.get_mut(key).and_then(Option::as_mut) {
                connection.awaits_kept = false;
                self.owing.push(key);
            }
        }
        Ok(1)
    }

    fn acknowledge_one(&mut self, key: Key, connection: &mut Connection) -> io::Result<()> {
        let line = connection.acknowledgeable();
        if connection.unsent.is_empty() && connection.ack && line > connection.acknowledged {
            connection.acknowledged = line;
            self.parts.counters.add(Counter::AcksSent, 1);
            writeln!(connection.unsent, "{{\"ack\":{line}}}")?;
        }
        while !connection.unsent.is_empty() {
            let taken = self
                .parts
                .net
                .write(key, &[IoSlice::new(&connection.unsent)])?;
            connection.unsent.drain(..taken);
        }
        Ok(())
    }
}
