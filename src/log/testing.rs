//! For tests only: an output that keeps what is written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// An output that any number of writers share.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedOutput(Arc<Mutex<Vec<u8>>>);

impl Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SharedOutput {
    /// All that was written.
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().expect("no writer panics").clone();
        String::from_utf8(bytes).expect("text")
    }
}

/// What `work` logs on this thread.
pub(crate) fn logged(work: impl FnOnce()) -> String {
    let output = SharedOutput::default();
    let to = output.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || to.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    output.text()
}
