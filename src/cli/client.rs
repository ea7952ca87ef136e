//! What the small clients share: dialling the engine, and lines of bounded length.
//!
//! Used by `subscribe` and `publish`. Plain blocking sockets: a client is no agent, and one slow
//! client must be slow alone.

use std::fs;
use std::io::{self, BufRead, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::Failure;
use crate::access::Token;
use crate::limits::NAME_LEN_MAX;

/// How long one address has to answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest line that a client reads: a longest frame with room to spare.
const LINE_LEN_MAX: u64 = 1024 * 1024;

/// Connects to `host:port`.
pub(super) fn dial(address: &str) -> Result<TcpStream, Failure> {
    let addresses = address.to_socket_addrs().map_err(|error| {
        Failure::Usage(format!(
            "--address {address}: {error}; write host:port, such as 127.0.0.1:9000"
        ))
    })?;
    let mut refused = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, DIAL_TIMEOUT) {
            Ok(stream) => {
                // Only latency suffers where this cannot be set.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => refused = error.to_string(),
        }
    }
    Err(Failure::Failed(format!(
        "cannot connect to {address}: {refused}; is the engine running, and is this its address?"
    )))
}

/// The token of `--token-file`: the file's first line.
pub(super) fn token(file: Option<&Path>) -> Result<Option<Token>, Failure> {
    let Some(path) = file else {
        return Ok(None);
    };
    let text = fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::because(format_args!("--token-file {path}: {error}"))
    })?;
    let token = text.lines().next().unwrap_or_default().trim();
    Ok(Some(Token::new(token)))
}

/// Why `answer` is none of the engine's on the port that `setting` names; `None`: it may be.
pub(super) fn foreign(answer: &[u8], setting: &str) -> Option<Failure> {
    answer.starts_with(b"HTTP/").then(|| {
        Failure::Failed(format!(
            "this is not {setting}: an HTTP server answers here, as at [admin] listen; give the \
             port of {setting} with --address HOST:PORT"
        ))
    })
}

/// The address to dial for one that the engine listens on.
pub(super) fn reachable(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port()).to_string()
}

/// What [`read_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line, with its newline.
    Whole,
    /// The end, with or without some bytes before it.
    End,
}

/// Reads a line with its newline into `line`, which is cleared first.
pub(super) fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    from.take(LINE_LEN_MAX).read_until(b'\n', line)?;
    match line.last() {
        Some(b'\n') => Ok(Line::Whole),
        _ if line.len() as u64 == LINE_LEN_MAX => {
            let why = format!("a line is longer than {LINE_LEN_MAX} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        _ => Ok(Line::End),
    }
}

/// Checks a name on the command line: 1 to 50 bytes.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=NAME_LEN_MAX => Ok(text.to_owned()),
        len => Err(format!(
            "it has {len} bytes, and a name has 1 to {NAME_LEN_MAX}"
        )),
    }
}
