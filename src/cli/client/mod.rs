//! What the small clients share: dialling the engine, plain or by TLS, asking it over HTTP, and lines
//! of bounded length.
//!
//! Used by `subscribe`, `publish`, `top` and `reload`. Blocking sockets: a client is no agent, and one slow
//! client must be slow alone.

mod admin;
mod http;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt::Display;
use std::io::{self, BufRead, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

pub(super) use self::admin::{AdminArgs, UserArgs, expect_user, wants_token};
pub(super) use self::http::Http;
pub(super) use self::stream::{Stream, end_words};
pub(super) use self::tls::{TlsArgs, TlsClient};
use super::Failure;
use crate::access::Token;
use crate::config::{ListenerTls, TlsFiles};
use crate::limits::{NAME_LEN_MAX, SETTING_FILE_LEN_MAX};
use crate::setting_file::read_argument;

/// How long one address has to answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest line that a client reads: a longest frame with room to spare.
const LINE_LEN_MAX: u64 = 1024 * 1024;

/// An engine's address, and whether it speaks TLS there, as far as the settings tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: String,
    pub(super) speaks_tls: bool,
}

impl Place {
    /// As the command line has it.
    pub(super) fn given(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            speaks_tls: false,
        }
    }

    /// Where the settings listen.
    pub(super) fn of_listener(listen: SocketAddr, tls: &TlsFiles, own: &ListenerTls) -> Self {
        Self {
            address: reachable(listen),
            speaks_tls: tls.of(own).is_some(),
        }
    }
}

/// Connects to an engine, and shakes hands where TLS is spoken.
pub(super) fn dial(place: &Place, tls: &TlsArgs) -> Result<Stream, Failure> {
    let tls = tls.client(place)?;
    let address = &place.address;
    let found = address.to_socket_addrs().map_err(|error| {
        Failure::Usage(format!(
            "--address {address}: {error}; write host:port, such as 127.0.0.1:9000"
        ))
    })?;
    let socket = reach(found, DIAL_TIMEOUT).map_err(|refused| {
        Failure::Failed(format!(
            "cannot connect to {address}: {refused}; is the engine running, and is this its address?"
        ))
    })?;
    match tls {
        None => Ok(Stream::plain(socket)),
        Some(tls) => Stream::shake(socket, &tls, address, DIAL_TIMEOUT),
    }
}

/// Connects to the first of these addresses that answers in time.
fn reach(addresses: impl Iterator<Item = SocketAddr>, timeout: Duration) -> io::Result<TcpStream> {
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(socket) => {
                // Only latency suffers where this cannot be set.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// What an engine's error line means for whoever has typed the command. A standby says where the active
/// is.
pub(super) fn refused(why: &str, active: Option<&str>) -> Failure {
    if let Some((why, line)) = why.split_once("; send ")
        && line.contains("\"token\"")
    {
        // The rest is for programs that write the line themselves.
        return Failure::because(format_args!(
            "the engine refuses: {why}: --token-file FILE gives a user's token, which is the file's first \
             line"
        ));
    }
    let advice = match active {
        Some(active) => format!(": give --address {}", active),
        None if why.contains("this address speaks TLS") => {
            ": give --tls, and --tls-ca where its authority is none of the system's".to_owned()
        }
        None => String::new(),
    };
    Failure::because(format_args!("the engine refuses: {why}{advice}"))
}

/// The token of `--token-file`: the first line of a file or a pipe.
pub(super) fn token(file: Option<&Path>) -> Result<Option<Token>, Failure> {
    let Some(path) = file else {
        return Ok(None);
    };
    let failed = |why: &dyn Display| {
        let path = path.display();
        Failure::because(format_args!("--token-file {path}: {why}"))
    };
    let text = read_argument(path, SETTING_FILE_LEN_MAX).map_err(|error| failed(&error))?;
    let token = Token::of_first_line(&text);
    Ok(Some(token.map_err(|why| failed(&why))?))
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
