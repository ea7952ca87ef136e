//! What a bulk load sends: lines that are written while the server reads those before them.
//!
//! Filled by [`super::session`] for each statement; emptied by the driver when the server asks for
//! the file. The two meet in a channel of a few blocks, so that a load of any length needs the same
//! memory. It does not know whether the statement succeeds.
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

use super::text::{Form, Writer};
use crate::limits::{STORE_LOAD_BLOCK_LEN, STORE_LOAD_BLOCKS};

/// What the next statement is to be given.
type Waiting = Arc<Mutex<Option<Receiver<Vec<u8>>>>>;

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
            blocks
                .iter()
                .flatten()
                .try_for_each(|it| out.write_all(&it))
        });
        connection.set_local_infile_handler(Some(handler));
        Self { waiting }
    }

    /// Runs a bulk load of these things, a line each.
    pub(super) fn run<T>(
        &self,
        connection: &mut Conn,
        statement: &str,
        things: impl Iterator<Item = T> + Send,
        id_base: u64,
        line: fn(&mut Writer, T),
    ) -> Result<(), Error> {
        let (sender, receiver) = sync_channel(STORE_LOAD_BLOCKS);
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
        thread::scope(|scope| {
            let send = move || send_lines(&sender, things, id_base, line);
            let writing = Builder::new()
                .name("store".to_owned())
                .spawn_scoped(scope, send);
            let done = writing
                .map_err(Error::from)
                .and_then(|_| connection.query_drop(statement));
            // A server that said no has not asked for them, and nobody may wait for it to do so.
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

/// Writes and sends until all is sent, or nobody takes it any more.
fn send_lines<T>(
    sender: &SyncSender<Vec<u8>>,
    things: impl Iterator<Item = T>,
    id_base: u64,
    line: fn(&mut Writer, T),
) {
    let mut writer = Writer::new(Form::Line, Vec::new(), id_base);
    for thing in things {
        line(&mut writer, thing);
        if writer.len() >= STORE_LOAD_BLOCK_LEN && sender.send(writer.take()).is_err() {
            return;
        }
    }
    // Refused only if nobody takes it any more.
    let _ = sender.send(writer.finish());
}
