//! A tiny engine for the clients' tests: a listener that plays the other side of the protocol.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::thread::{JoinHandle, spawn};

use super::client::{Place, Stream, TlsArgs, dial};

/// Starts an engine that does `play` with its first client; returns that client's connection.
pub(super) fn engine<T: Send + 'static>(
    play: impl FnOnce(BufReader<TcpStream>) -> T + Send + 'static,
) -> (Stream, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let engine = spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        play(BufReader::new(stream))
    });
    let dialled = dial(&Place::given(&address), &TlsArgs::default());
    (dialled.expect("the engine listens"), engine)
}
