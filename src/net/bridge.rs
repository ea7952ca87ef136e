//! The side of a connection from within the process that is no agent: lines out and in, over an end of a
//! socket pair, on a tokio runtime. HTTP and NATS speak to ingest and delivery by it; `local` has the
//! agents' side.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream as Pair;

use memchr::memchr;
use tokio::net::UnixStream;

use super::local::{LocalConnector, LocalPeer};

/// Bytes that one read takes.
const READ_LEN: usize = 16 * 1024;

/// One end of a pair whose other end an agent has, or will have. Any number of tasks may write, one
/// reads.
#[derive(Debug)]
pub(crate) struct Bridge(UnixStream);

impl Bridge {
    /// Takes an end that does not block.
    ///
    /// # Errors
    /// It cannot be polled.
    pub(crate) fn new(end: Pair) -> io::Result<Self> {
        UnixStream::from_std(end).map(Self)
    }

    /// Connects to an agent on behalf of a peer.
    ///
    /// # Errors
    /// No descriptor is left, or the agent has ended.
    pub(crate) fn connect(to: &LocalConnector, peer: impl Into<LocalPeer>) -> io::Result<Self> {
        Self::new(to.connect(peer)?)
    }

    /// Writes all, as fast as the agent takes it.
    ///
    /// # Errors
    /// The agent is gone.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.0.writable().await?;
            match self.0.try_write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Appends what came, once something did; nothing: the agent has ended its side.
    ///
    /// # Errors
    /// The agent is gone.
    pub(crate) async fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            self.0.readable().await?;
            match self.try_read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    /// Appends what is there.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is; or the agent is gone.
    pub(crate) fn try_read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        into.reserve(READ_LEN);
        self.0.try_read_buf(into)
    }

    /// The stream, for whoever polls it.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.0
    }

    /// Ends this side: the agent takes what was written, then ends its own.
    pub(crate) fn shut_down(&self) {
        // It fails only where the agent is gone.
        let _ = socket2::SockRef::from(&self.0).shutdown(std::net::Shutdown::Write);
    }
}

/// An object in one line: between its parts a tab is as good as a newline, and within a string neither is JSON.
pub(crate) fn one_line(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let tab = |it: &u8| match it {
        b'\n' => b'\t',
        other => *other,
    };
    bytes.iter().map(tab)
}

/// Lines out of what an agent sends.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    bytes: Vec<u8>,
    /// Bytes of lines that were given out.
    taken: usize,
}

impl LineReader {
    /// The next line, without its newline; `None`: the agent has ended its side. A call that is given up
    /// loses nothing.
    ///
    /// # Errors
    /// The agent is gone.
    pub(crate) async fn next(&mut self, from: &Bridge) -> io::Result<Option<Vec<u8>>> {
        let mut looked = self.taken;
        loop {
            if let Some(at) = memchr(b'\n', &self.bytes[looked..]) {
                let line = self.bytes[self.taken..looked + at].to_vec();
                self.taken = looked + at + 1;
                return Ok(Some(line));
            }
            self.bytes.drain(..self.taken);
            self.taken = 0;
            looked = self.bytes.len();
            if from.read(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// What was read behind the last line.
    pub(crate) fn into_rest(mut self) -> Vec<u8> {
        self.bytes.split_off(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn lines_come_whole_however_they_were_cut_and_a_call_given_up_loses_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let (mut agent, own) = Pair::pair().expect("a pair");
            own.set_nonblocking(true).expect("an option");
            let bridge = Bridge::new(own).expect("it is polled");
            let mut lines = LineReader::default();
            agent.write_all(b"one\ntwo\n\nth").expect("room");
            for expected in ["one", "two", ""] {
                let line = lines.next(&bridge).await.expect("a line");
                assert_eq!(line.as_deref(), Some(expected.as_bytes()));
            }
            let soon = std::time::Duration::from_millis(20);
            let none = tokio::time::timeout(soon, lines.next(&bridge)).await;
            assert!(none.is_err(), "it is not whole");
            agent.write_all(b"ree\n").expect("room");
            let line = lines.next(&bridge).await.expect("a line");
            assert_eq!(line.as_deref(), Some(b"three".as_slice()));
            bridge.write_all(b"back").await.expect("room");
            bridge.shut_down();
            let mut back = String::new();
            agent.read_to_string(&mut back).expect("its end");
            assert_eq!(back, "back");
            drop(agent);
            assert!(lines.next(&bridge).await.expect("the end").is_none());
            assert!(lines.into_rest().is_empty());
        });
    }
}
