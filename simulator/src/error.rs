//! What can be wrong with the options or the machine: what happened, to what, and what to do.
//!
//! Made by `options`, `frame` and `simulation`; shown by the command. Faults of a running
//! connection are no errors: they are counted.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a simulation cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Somebody else has the port.
    #[error(
        "{server} cannot listen on {address}: the port is in use. Stop what listens there, or \
         choose another with --port or --base-port"
    )]
    PortInUse {
        /// The server that wanted it.
        server: String,
        /// The address it wanted.
        address: SocketAddr,
    },
    /// Anything else wrong with the address.
    #[error(
        "{server} cannot listen on {address}: {source}. Choose an address of this machine with \
         --host and a port above 1023 with --port or --base-port"
    )]
    Listen {
        /// The server that wanted it.
        server: String,
        /// The address it wanted.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No thread, or no address of the listening socket.
    #[error("{server} cannot start: {source}. Is a limit of this machine reached (ulimit -a)?")]
    Start {
        /// The server.
        server: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The host's name has no address.
    #[error("{host} is no address: {reason}. Give an IP address, or a name that resolves")]
    Host {
        /// As it was given.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// A file of TLS is of no use.
    #[error("{}: {reason}. Give a certificate and its key in PEM with --tls-cert and --tls-key", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Frames cannot be so short.
    #[error("a frame of {len} bytes has no room for its fields: ask for --size {len_min} or more")]
    FrameTooShort {
        /// Bytes asked for.
        len: usize,
        /// Bytes needed.
        len_min: usize,
    },
    /// Destinations times size are too much memory.
    #[error(
        "frames of this size for so many destinations would take {bytes} bytes of templates, more \
         than {bytes_max}: ask for a smaller --size or fewer --destinations"
    )]
    TooManyTemplates {
        /// Bytes needed.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// A name that the protocol forbids, or that would need escaping.
    #[error(
        "'{name}' cannot name a {what}: use 1 to 50 bytes without quotes, backslashes, control \
         characters"
    )]
    Name {
        /// Server or destination.
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// The same name twice: ids would not be unique.
    #[error("the {what} '{name}' is named twice: give each a name of its own")]
    NamedTwice {
        /// Server or destination.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Nothing to play.
    #[error("there is no {what}: name at least one")]
    None {
        /// Servers or destinations.
        what: &'static str,
    },
    /// A number out of its range.
    #[error("{what} is {value}, but must be {rule}")]
    OutOfRange {
        /// The option.
        what: &'static str,
        /// As it was given.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
}
