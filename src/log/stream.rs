//! Standard output and standard error as they are, without the library's buffers and locks: those
//! would be written, and waited for, once more when the process ends.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// A standard stream of the process.
#[derive(Debug)]
pub(super) struct Stream(BorrowedFd<'static>);

impl Stream {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self(rustix::stdio::stdout())
    }

    /// Standard error.
    pub(super) fn stderr() -> Self {
        Self(rustix::stdio::stderr())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.0, bytes) {
                Err(Errno::INTR) => {}
                // Whoever started the process may have made its end of the pipe so.
                Err(Errno::AGAIN) => {
                    let mut waits = [PollFd::new(&self.0, PollFlags::OUT)];
                    match poll(&mut waits, None) {
                        Err(Errno::INTR) => {}
                        result => drop(result?),
                    }
                }
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
