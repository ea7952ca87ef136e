//! A producer or customer of a group, at the member that serves for now: it looks for a line, and waits for none.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A connection to a member.
pub struct GroupPeer {
    stream: BufReader<TcpStream>,
    partial: String,
    /// When the last line came.
    pub heard: Instant,
}

impl GroupPeer {
    /// Dials and says these words. It waits for `glance` when it looks for a line, and for `silence` where the member
    /// takes no connection or no bytes.
    pub fn connect(
        at: SocketAddr,
        first: &str,
        glance: Duration,
        silence: Duration,
    ) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&at, silence).ok()?;
        stream.set_read_timeout(Some(glance)).ok()?;
        stream.set_write_timeout(Some(silence)).ok()?;
        let mut this = Self {
            stream: BufReader::new(stream),
            partial: String::new(),
            heard: Instant::now(),
        };
        this.say(first).ok()?;
        Some(this)
    }

    /// The next line; `Ok(None)`: none came for now; `Err`: it is over, or the member does not serve.
    pub fn line(&mut self) -> Result<Option<Value>, ()> {
        match self.stream.read_line(&mut self.partial) {
            Ok(_) if self.partial.ends_with('\n') => {
                let value: Value = serde_json::from_str(&self.partial).expect("JSON");
                self.partial.clear();
                self.heard = Instant::now();
                match value.get("error") {
                    Some(_) => Err(()),
                    None => Ok(Some(value)),
                }
            }
            Ok(_) => Err(()),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(None),
                _ => Err(()),
            },
        }
    }

    pub fn say(&mut self, text: &str) -> Result<(), ()> {
        let written = self.stream.get_mut().write_all(text.as_bytes());
        written.map_err(|_| ())
    }
}
