//! What subscribers get: frames and answers from the scheduler, as many in one call as the socket
//! takes.
//!
//! The scheduler feeds it; it tells the scheduler what was written, and when.

use std::io::{self, IoSlice};

use super::DeliveryAgent;
use super::protocol::ToDelivery;
use super::subscriber::{Connection, Phase};
use crate::arena::Lease;
use crate::clock::Clock;
use crate::counters::Counter;
use crate::limits::{DISPATCHES_PER_CYCLE, FRAMES_PER_WRITE};
use crate::net::{Key, Network};

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    pub(super) fn hear_scheduler(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE {
            let Some(command) = self.parts.from_scheduler.poll() else {
                break;
            };
            work_count += 1;
            match command {
                ToDelivery::Frame {
                    subscriber,
                    lease,
                    redelivered,
                } => {
                    self.take_frame(subscriber as Key, lease, redelivered);
                }
                ToDelivery::Assigned {
                    subscriber,
                    active,
                    standby,
                    is_last,
                } => self.answer(subscriber as Key, &active, &standby, is_last),
                ToDelivery::Forget { subscriber } => self.forget(subscriber as Key),
            }
        }
        work_count
    }

    fn forget(&mut self, key: Key) {
        if let Some(connection) = self.connections[key].take() {
            self.acceptor.closed(connection.peer);
        }
        self.parts.net.close(key);
    }

    fn take_frame(&mut self, key: Key, lease: Lease, redelivered: bool) {
        let connection = self.connections.get_mut(key).and_then(Option::as_mut);
        match connection.filter(|it| matches!(it.phase, Phase::Subscribed { .. })) {
            Some(connection) => {
                if redelivered && connection.phase == (Phase::Subscribed { ack: true }) {
                    connection.outbox.push_again(lease);
                } else {
                    connection.outbox.push_frame(lease);
                }
                if !connection.is_listed && connection.is_writable {
                    connection.is_listed = true;
                    self.listed.push(key);
                }
            }
            // It has gone; the scheduler hears of that, and hands the message to another.
            None => self.ended_leases.add(lease),
        }
    }

    pub(super) fn write(&mut self) {
        let mut listed = std::mem::take(&mut self.listed);
        for &key in &listed {
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            connection.is_listed = false;
            let result = self.write_one(key, &mut connection);
            let left =
                matches!(connection.phase, Phase::Leaving(_)) && connection.outbox.is_empty();
            self.connections[key] = Some(connection);
            self.list_news(key);
            match result {
                Ok(()) if left => self.parts.net.shut_down(key),
                Ok(()) => {}
                Err(_) => self.end(key),
            }
        }
        listed.clear();
        self.listed = listed;
        self.tell();
    }

    /// Writes until nothing is left or the socket takes no more.
    fn write_one(&mut self, key: Key, connection: &mut Connection) -> io::Result<()> {
        let (mut frames, mut bytes) = (0, 0);
        let result = loop {
            if connection.outbox.is_empty() {
                break Ok(());
            }
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
            let count = connection.outbox.gather(&self.parts.view, &mut slices);
            let pieces = &slices[..count];
            let written = match self.staging.join(pieces) {
                Some(joined) => self.parts.net.write(key, &[joined]),
                None => self.parts.net.write(key, pieces),
            };
            let taken = match written {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.is_writable = false;
                    break Ok(());
                }
                Err(error) => break Err(error),
            };
            let end = |lease| self.ended_leases.add(lease);
            let completed = connection.outbox.advance(taken, end);
            self.parts.counters.add(Counter::BytesOut, taken as u64);
            frames += completed.frames;
            bytes += completed.bytes;
        };
        if frames > 0 {
            let at_ns = self.parts.clock.now().ns;
            connection.note_written(frames, at_ns);
            connection.news.add_written(frames, bytes, at_ns);
        }
        result
    }
}
