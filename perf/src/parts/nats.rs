//! The least of a NATS client: connect, subscribe, and answer a ping.
//!
//! Source and sink use it to measure nats-server as they measure the engine; what stands around
//! the frames is `wire`'s.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, ensure};

use crate::tls::Stream;

/// What the server asks now and then, to see whether we live.
pub(super) const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";
const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n";

/// Connects, and waits until the server has answered.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("connecting to nats-server")?;
    stream.set_nodelay(true).context("setting up a socket")?;
    expect(&mut stream, "INFO ")?;
    stream.write_all(CONNECT).context("greeting nats-server")?;
    expect(&mut stream, "PONG")?;
    Ok(stream)
}

/// Subscribes a connection to a destination, and waits until that is so.
pub(super) fn subscribe(mut stream: TcpStream, name: &str) -> Result<Stream> {
    write!(stream, "SUB {name} 1\r\nPING\r\n").context("subscribing")?;
    expect(&mut stream, "PONG")?;
    Ok(Box::new(stream))
}

/// Answers a ping.
pub(super) fn pong(stream: &mut impl Write) -> Result<()> {
    stream.write_all(PONG).context("answering a ping")
}

/// Reads a line that begins so; byte by byte, for frames may follow.
fn expect(stream: &mut TcpStream, begin: &str) -> Result<()> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" {
        stream
            .read_exact(&mut byte)
            .context("hearing nats-server")?;
        line.push(byte[0]);
    }
    if line == PING {
        pong(stream)?;
        return expect(stream, begin);
    }
    let said = String::from_utf8_lossy(&line);
    ensure!(
        said.starts_with(begin),
        "nats-server did not say {begin}\n{said}"
    );
    Ok(())
}
