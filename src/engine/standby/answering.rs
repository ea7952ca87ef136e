//! Tells producers, subscribers and HTTP clients who serves, and closes: a thread with a runtime of its own.
//!
//! A bounded number at once, each for a bounded time. What they send is read and thrown away, for a socket
//! that is closed with bytes unread takes the answer away.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::access::RefusedClients;
use crate::cluster::addresses::Endpoint;
use crate::cluster::status::Status;
use crate::counters::{Counter, Counters};
use crate::http::listener::{linger, refusal};
use crate::limits::{
    HTTP_HEAD_LEN_MAX, LOG_TICK_NS, REFUSED_HELD_TIME, STANDBY_ANSWER_TIME_MAX, STANDBY_ANSWERS_MAX,
};
use crate::net::tls::{self, TlsFailure};

/// A pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound address, and what it shows.
pub(super) struct Listening {
    pub(super) endpoint: Endpoint,
    pub(super) listener: TcpListener,
    /// `None`: it is plain.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// The thread; it ends when this is dropped, and frees the addresses.
#[derive(Debug)]
pub(super) struct Answering {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What each answer is made of.
#[derive(Clone)]
struct Answers {
    endpoint: Endpoint,
    status: Status,
    counters: Arc<Counters>,
    refused: Arc<RefusedClients>,
    tls: Option<TlsAcceptor>,
}

impl Answering {
    pub(super) fn start(
        listeners: Vec<Listening>,
        status: Status,
        (counters, refused): (Arc<Counters>, Arc<RefusedClients>),
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        for endpoint in &listeners {
            endpoint.listener.set_nonblocking(true)?;
        }
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new().name("listeners".to_owned()).spawn(move || {
            runtime.block_on(async {
                for Listening {
                    endpoint,
                    listener,
                    tls,
                } in listeners
                {
                    let answers = Answers {
                        endpoint,
                        status: status.clone(),
                        counters: Arc::clone(&counters),
                        refused: Arc::clone(&refused),
                        tls: tls.map(TlsAcceptor::from),
                    };
                    tokio::spawn(accept(listener, answers));
                }
                tokio::spawn(async move {
                    loop {
                        sleep(Duration::from_nanos(LOG_TICK_NS)).await;
                        refused.log_left_out();
                    }
                });
                // An error says that the handle was dropped.
                let _ = stopped.await;
            });
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that has panicked has ended too.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, answers: Answers) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let places = Arc::new(Semaphore::new(STANDBY_ANSWERS_MAX));
    loop {
        // It fails only where it is closed, which it never is.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, peer)) = listener.accept().await else {
            answers.counters.add(Counter::AcceptFailures, 1);
            sleep(PAUSE).await;
            continue;
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            // Who is gone, or too slow, misses it.
            let _ = timeout(STANDBY_ANSWER_TIME_MAX, answers.welcome(stream, peer)).await;
            drop(place);
        });
    }
}

impl Answers {
    /// Shakes hands where that is the way, and answers.
    async fn welcome(self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let Some(acceptor) = &self.tls else {
            return self.answer(stream).await;
        };
        let mut first = [0];
        if stream.peek(&mut first).await? > 0 && !tls::begins_tls(first[0]) {
            self.note_failure(peer, &tls::not_spoken());
            stream.write_all(tls::WANTS_TLS).await?;
            return end(stream).await;
        }
        let accepted = acceptor.accept(stream).await;
        let stream = accepted.inspect_err(|why| self.note_failure(peer, why))?;
        self.answer(stream).await
    }

    /// There is no TLS with a peer.
    fn note_failure(&self, peer: SocketAddr, why: &io::Error) {
        TlsFailure::of(why).count(&self.counters);
        self.refused.log_handshake(peer, why);
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<()> {
        if self.endpoint == Endpoint::Http {
            read_head(&mut stream).await?;
        }
        let line = self.status.snapshot().standby_line(self.endpoint);
        let answer = match self.endpoint {
            Endpoint::Http => refusal(&line),
            _ => line + "\n",
        };
        // Whoever reads it finds it counted.
        self.counters.add(Counter::ClusterRedirected, 1);
        stream.write_all(answer.as_bytes()).await?;
        end(stream).await
    }
}

/// Reads until the head of a request is over, or longer than one may be.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while head.len() < HTTP_HEAD_LEN_MAX {
        let searched = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if head[searched..].windows(4).any(|it| it == b"\r\n\r\n") {
            return Ok(());
        }
    }
    Ok(())
}

/// The peer has a moment to end its side.
async fn end(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let ended = timeout(REFUSED_HELD_TIME, linger(stream)).await;
    ended.unwrap_or(Ok(()))
}
