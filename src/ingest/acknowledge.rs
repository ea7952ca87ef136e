//! Acknowledging: sources that wish it are told how many of their lines the engine has taken
//! responsibility for.
//!
//! The scheduler says which lines are recorded; what was rejected counts once it is kept.

use std::io::{self, IoSlice, Write};

use super::IngestAgent;
use super::source::Connection;
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

    /// Rejected lines that are not kept yet hold up all acknowledgements: a count covers every line
    /// before it.
    pub(super) fn acknowledge(&mut self, now: Now) {
        if self.parts.rejected.pending() > 0 {
            return;
        }
        let mut owing = std::mem::take(&mut self.owing);
        for key in owing.drain(..) {
            let Some(mut connection) = self.connections.get_mut(key).and_then(Option::take) else {
                continue;
            };
            match self.acknowledge_one(key, &mut connection) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    self.end(key, connection, &error, now);
                }
                _ => self.connections[key] = Some(connection),
            }
        }
        self.owing = owing;
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
