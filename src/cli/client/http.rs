//! An engine's admin address: questions over HTTP, by the connections that `client` makes.
//!
//! Used by `top` and `reload`. ureq speaks HTTP and keeps connections; it does not know whether TLS is under them.

use std::io::{self, Read as _, Write as _};
use std::net::ToSocketAddrs as _;
use std::time::Duration;

use ureq::http::Response;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Body, RequestBuilder};

use super::{Place, Stream, TlsArgs, TlsClient, end_words, reach};
use crate::access::Token;
use crate::cli::Failure;
use crate::escape::Escaped;

/// Bytes of a buffer, for each direction.
const BUFFER_LEN: usize = 16 * 1024;

/// Asks one engine.
#[derive(Debug)]
pub(in crate::cli) struct Http {
    address: String,
    /// Of a user, for engines that have users.
    token: Option<Token>,
    agent: Agent,
}

impl Http {
    /// Each question has `timeout`.
    ///
    /// # Errors
    /// The options of TLS are of no use.
    pub(in crate::cli) fn new(
        place: Place,
        tls: &TlsArgs,
        token: Option<Token>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .build();
        let dialler = Dialler {
            address: place.address.clone(),
            tls: tls.client(&place)?,
            timeout,
        };
        Ok(Self {
            address: place.address,
            token,
            agent: Agent::with_parts(config, dialler, DefaultResolver::default()),
        })
    }

    pub(in crate::cli) fn address(&self) -> &str {
        &self.address
    }

    /// The status of the answer, and its text.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(in crate::cli) fn get(&self, path: &str) -> Result<(u16, String), String> {
        heard(self.as_user(self.agent.get(self.url(path))).call())
    }

    /// The same of a POST without a body.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(in crate::cli) fn post(&self, path: &str) -> Result<(u16, String), String> {
        heard(self.as_user(self.agent.post(self.url(path))).send_empty())
    }

    /// Whether TLS is spoken is the dialler's business.
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn as_user<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            None => request,
            Some(token) => request.header("Authorization", format!("Bearer {}", token.reveal())),
        }
    }
}

/// An answer that has come.
fn heard(answer: Result<Response<Body>, ureq::Error>) -> Result<(u16, String), String> {
    let mut answer = answer.map_err(words)?;
    let text = answer.body_mut().read_to_string().map_err(words)?;
    match answer.status().as_u16() {
        400 if text.contains("this address speaks TLS") => Err(format!(
            "{}: give --tls, or --tls-ca",
            Escaped(text.trim_end())
        )),
        status => Ok((status, text)),
    }
}

fn words(error: ureq::Error) -> String {
    match error {
        // Its own words are enough.
        ureq::Error::Io(error) => Escaped(end_words(&error)).to_string(),
        error => Escaped(error).to_string(),
    }
}

/// Makes ureq's connections.
#[derive(Debug)]
struct Dialler {
    address: String,
    tls: Option<TlsClient>,
    timeout: Duration,
}

impl Connector for Dialler {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        let socket = reach(self.address.to_socket_addrs()?, self.timeout)?;
        let stream = match &self.tls {
            None => Stream::plain(socket),
            Some(tls) => Stream::shake(socket, tls, &self.address, self.timeout)
                .map_err(|failure| io::Error::other(failure.to_string()))?,
        };
        let (input, output) = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Connection {
            stream,
            buffers: LazyBuffers::new(input.max(BUFFER_LEN), output.max(BUFFER_LEN)),
        }))
    }
}

/// One of ureq's connections.
#[derive(Debug)]
struct Connection {
    stream: Stream,
    buffers: LazyBuffers,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.set_write_timeout(left(timeout)?)?;
        let output = &self.buffers.output()[..amount];
        (&self.stream)
            .write_all(output)
            .map_err(|it| late(it, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.set_read_timeout(left(timeout)?)?;
        let read = self.stream.read(self.buffers.input_append_buf());
        let len = read.map_err(|it| late(it, timeout))?;
        self.buffers.input_appended(len);
        Ok(len > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.is_quiet()
    }
}

/// The time that is left; `None`: no end.
fn left(timeout: NextTimeout) -> Result<Option<Duration>, ureq::Error> {
    match timeout.after.is_zero() {
        true => Err(ureq::Error::Timeout(timeout.reason)),
        false => Ok(timeout.not_zero().map(|it| *it)),
    }
}

fn late(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}
