//! What a bulk load sends: lines that are written while the server reads those before them.
//!
//! Filled by [`super::session`] for each statement; emptied by the driver when the server asks for
//! the file. The two meet in a channel of a few blocks, so that a load of any length needs the same
//! memory. Where there is time, the blocks are small and far between, and so is the server's work.
//! It does not know whether the statement succeeds.
//!
//! ```text
//! rows -> Writer -> block | block -> the driver's handler -> server
//!         a thread for this load     the store's thread, inside the statement
//! ```

use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};

use mysql::prelude::Queryable as _;
use mysql::{Conn, Error, LocalInfileHandler};

use super::REST;
use super::text::{Form, Writer};
use crate::limits::{STORE_LOAD_BLOCK_LEN, STORE_LOAD_BLOCKS, STORE_LOAD_PIECE_LEN};
use crate::store::pace::Pace;

/// What the next statement is to be given.
type Waiting = Arc<Mutex<Option<Receiver<Vec<u8>>>>>;

/// The lines of one load.
pub(super) struct Lines<I, T> {
    /// What there is a line of.
    pub(super) things: I,
    pub(super) line: fn(&mut Writer, T),
    /// What the ids of this engine count from.
    pub(super) id_base: u64,
    /// How large the blocks are, and whether there are rests between them.
    pub(super) pace: Pace,
}

impl<T, I: Iterator<Item = T>> Lines<I, T> {
    /// Writes and sends until all is sent or the receiver is gone.
    fn send(self, sender: &SyncSender<Vec<u8>>) {
        let len = self.pace.pick(STORE_LOAD_BLOCK_LEN, STORE_LOAD_PIECE_LEN);
        let mut writer = Writer::new(Form::Line, Vec::new(), self.id_base);
        for thing in self.things {
            (self.line)(&mut writer, thing);
            if writer.len() < len {
                continue;
            }
            if sender.send(writer.take()).is_err() {
                return;
            }
            self.pace.rest(REST);
        }
        // Fails only if the receiver is gone.
        let _ = sender.send(writer.finish());
    }
}

/// The bulk loads of one connection.
pub(super) struct Loads {
    waiting: Waiting,
}

impl Loads {
    /// Answers for this connection whatever the server asks for.
    pub(super) fn of(connection: &mut Conn) -> Self {
        let waiting = Waiting::default();
        let source = Arc::clone(&waiting);
        // Whatever file the server asks for, it gets the rows and nothing of this machine.
        let handler = LocalInfileHandler::new(move |_, out| {
            let blocks = take(&source);
            blocks.iter().flatten().try_for_each(|it| {
                out.write_all(&it)?;
                out.flush()
            })
        });
        connection.set_local_infile_handler(Some(handler));
        Self { waiting }
    }

    /// Runs a bulk load of these lines.
    pub(super) fn run<T>(
        &self,
        connection: &mut Conn,
        statement: &str,
        lines: Lines<impl Iterator<Item = T> + Send, T>,
    ) -> Result<(), Error> {
        let (sender, receiver) = sync_channel(STORE_LOAD_BLOCKS);
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
        thread::scope(|scope| {
            let writing = Builder::new()
                .name("store".to_owned())
                .spawn_scoped(scope, move || lines.send(&sender));
            let done = writing
                .map_err(Error::from)
                .and_then(|_| connection.query_drop(statement));
            // A server that refused has not asked for them, and must not be waited for.
            drop(take(&self.waiting));
            done
        })
    }
}

fn take(waiting: &Waiting) -> Option<Receiver<Vec<u8>>> {
    waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::format::Settlement;

    /// The blocks of a load of settlements.
    fn blocks(pace: Pace) -> Vec<Vec<u8>> {
        let settlements: Vec<_> = (1..=1_000)
            .map(|sequence| Settlement {
                sequence,
                settled_us: 1_700_000_000_000_000 + sequence,
            })
            .collect();
        let lines = Lines {
            things: settlements.iter(),
            line: Writer::settlement,
            id_base: 0,
            pace,
        };
        let (sender, receiver) = sync_channel(100);
        lines.send(&sender);
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    fn a_load_in_pieces_sends_the_same_lines_in_many_blocks() {
        let (pieces, one) = (blocks(Pace::Paced), blocks(Pace::Bulk));
        assert_eq!(one.len(), 1);
        assert_eq!(pieces.concat(), one.concat());
        let (last, full) = pieces.split_last().expect("some");
        let lens = STORE_LOAD_PIECE_LEN..STORE_LOAD_PIECE_LEN + 40;
        assert!(full.len() >= 2 && full.iter().all(|it| lens.contains(&it.len())));
        assert!(last.len() < STORE_LOAD_PIECE_LEN);
        assert!(pieces.iter().all(|it| it.ends_with(b"\n")), "whole lines");
    }
}
