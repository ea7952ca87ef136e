//! Streams with their keys: taken in, made known to the poller, let in where they were accepted, given up.

use std::io;
use std::sync::Arc;

use mio::{Interest, Token};
use rustls::ServerConfig;

use super::{Speech, Stream, Tcp, live};
use crate::net::Key;
use crate::net::silence::Silence;
use crate::net::socket::Socket;
use crate::net::tls::Session;

impl Tcp {
    /// Takes a stream in, and has the poller know it.
    pub(super) fn adopt(&mut self, socket: Socket, speech: Speech) -> io::Result<Key> {
        let key = self.hold(socket, speech);
        let registered = self.register(key);
        registered.inspect_err(|_| drop(self.take(key)))?;
        Ok(key)
    }

    /// Gives a stream a key.
    pub(super) fn hold(&mut self, socket: Socket, speech: Speech) -> Key {
        let key = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        self.streams[key] = Some(Stream {
            socket,
            speech,
            silence: Silence::default(),
            is_dead: false,
        });
        key
    }

    fn register(&mut self, key: Key) -> io::Result<()> {
        let stream = live(&mut self.streams, key)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut stream.socket, Token(key), interest)?;
        if let (Speech::Tls(session), Some(tls)) = (&stream.speech, &mut self.tls) {
            tls.handshakes.begun((key, session.began()));
        }
        Ok(())
    }

    /// Sets up a stream that was accepted, and has the poller know it.
    pub(super) fn set_up(&mut self, key: Key) -> io::Result<()> {
        let (config, options) = (self.listener_tls(), self.options);
        let stream = live(&mut self.streams, key)?;
        let Some(socket) = stream.socket.tcp() else {
            return Ok(());
        };
        options.set_up(socket)?;
        stream.speech = match config {
            Some(config) => Speech::Tls(Box::new(Session::accept(&config)?)),
            None => Speech::New,
        };
        self.register(key)
    }

    /// How whoever connects to the listener is spoken to; `None`: plainly.
    pub(super) fn listener_tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref()?.parts.switch.listener()
    }

    /// Gives up a stream and its key.
    pub(super) fn take(&mut self, key: Key) -> Option<Stream> {
        let mut stream = self.streams.get_mut(key).and_then(Option::take)?;
        if !matches!(stream.speech, Speech::Accepted) {
            // Closing the descriptor deregisters it too; failure would change nothing.
            let _ = self.poll.registry().deregister(&mut stream.socket);
        }
        self.free.push(key);
        Some(stream)
    }
}
