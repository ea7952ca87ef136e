//! One client's connection: its handshake, its requests, and an end that it can read.
//!
//! `listener` accepts it, `guard` and the router answer its requests. A head that does not come, and a
//! connection that rests between two requests, end after a time; `alive` watches its socket.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use futures_util::future::{Either, select};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::alive::Alive;
use super::listener::{self, Place};
use super::publish::Producer;
use super::server::Shared;
use super::subscriptions::Subscription;
use crate::limits::{
    HANDSHAKE_TIME_MAX, HTTP_HEAD_LEN_MAX, HTTP_HEAD_TIMEOUT, HTTP_LINGER_MAX, HTTP_UNREAD_TIMEOUT,
    SUBSCRIBER_SEND_BUFFER,
};
use crate::net::error_line;
use crate::net::local::LocalPeer;
use crate::net::tls::{self, TlsFailure};

/// What a connection's requests share.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) place: Place,
    /// The names in its client's certificate.
    certificate: Option<Box<[String]>>,
    /// Its client has subscribed.
    pub(super) is_subscriber: Arc<AtomicBool>,
    /// Its connection to ingest, between two requests.
    pub(super) producer: Mutex<Option<Producer>>,
    /// Its subscription, where what is written counts as acknowledged.
    written: Mutex<Option<Arc<Subscription>>>,
}

impl Connection {
    fn new(place: Place) -> Self {
        Self {
            place,
            certificate: None,
            is_subscriber: Arc::default(),
            producer: Mutex::default(),
            written: Mutex::default(),
        }
    }

    /// Whom its connections to agents stand for.
    pub(super) fn peer(&self) -> LocalPeer {
        LocalPeer {
            address: self.place.peer,
            certificate: self.certificate.clone(),
        }
    }

    pub(super) fn certificate(&self) -> Option<&[String]> {
        self.certificate.as_deref()
    }

    /// What is written to its client is acknowledged.
    pub(super) fn acknowledge_written(&self, subscription: &Arc<Subscription>) {
        let subscription = Some(Arc::clone(subscription));
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = subscription;
    }

    fn note_written(&self) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subscription) = &*written {
            subscription.note_written();
        }
    }
}

/// Serves a client until it goes, or HTTP ends.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, router: Router, place: Place) {
    // Where an option cannot be had the other limits hold.
    let _ = set_up(&stream, &shared);
    let (counters, peer) = (Arc::clone(&place.counters), place.peer);
    let no_tls = |failure: &io::Error| {
        TlsFailure::of(failure).count(&counters);
        shared.settings.refused.log_handshake(peer, failure);
    };
    let acceptor = shared.tls.listener().map(TlsAcceptor::from);
    let limit = acceptor
        .as_ref()
        .map_or(HTTP_HEAD_TIMEOUT, |_| HANDSHAKE_TIME_MAX);
    let until = Instant::now() + limit;
    let mut first = [0];
    match timeout_at(until, stream.peek(&mut first)).await {
        Ok(Ok(1)) => {}
        Err(_) if acceptor.is_some() => return no_tls(&tls::too_long()),
        // Who says nothing gets no answer.
        _ => return,
    }
    let speaks_tls = tls::begins_tls(first[0]);
    let mut connection = Connection::new(place);
    let stream = Alive::new(stream, Arc::clone(&connection.is_subscriber));
    let failure = match acceptor {
        None if speaks_tls => {
            let words = "this address speaks no TLS; ask http://";
            return say(stream, &bad_request(words)).await;
        }
        None if first[0] == b'{' => {
            return say(stream, &(shared.ports.answer_at_http() + "\n")).await;
        }
        None => return answer(stream, &shared, router, connection).await,
        Some(_) if !speaks_tls => {
            say(
                stream,
                &bad_request("this address speaks TLS; ask https://"),
            )
            .await;
            tls::not_spoken()
        }
        Some(acceptor) => match timeout_at(until, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let names = tls::certificate(stream.get_ref().1);
                connection.certificate = names.map(Vec::into_boxed_slice);
                return answer(stream, &shared, router, connection).await;
            }
            Ok(Err(error)) => error,
            Err(_) => tls::too_long(),
        },
    };
    no_tls(&failure);
}

fn set_up(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(HTTP_UNREAD_TIMEOUT))?;
    // As delivery's own sockets: what is in the system's buffers cannot be overtaken.
    let delivery = &shared.delivery;
    socket.set_send_buffer_size(SUBSCRIBER_SEND_BUFFER.min(delivery.credit))?;
    let unsent = u32::try_from(delivery.credit_unsent()).unwrap_or(u32::MAX);
    socket.set_tcp_notsent_lowat(unsent)
}

/// Answers the requests of one connection.
async fn answer<S>(stream: S, shared: &Shared, router: Router, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = Arc::new(connection);
    let of_requests = Arc::clone(&connection);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&of_requests));
        Box::pin(service.call(request))
    });
    let stream = Reporting { stream, connection };
    let mut http = http1::Builder::new();
    let mut http = http
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = shared.stopping.clone();
    let served = poll_fn(|cx| http.poll_without_shutdown(cx));
    // A client that leaves in the middle is no fault, nor is HTTP that has ended before.
    let served = match select(served, Box::pin(stopping.wait_for(|it| *it))).await {
        Either::Left((served, _)) => Some(served),
        Either::Right(_) => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            Pin::new(&mut http).graceful_shutdown();
            poll_fn(|cx| http.poll_without_shutdown(cx)).await
        }
    };
    let stream = http.into_parts().io.into_inner();
    if served.is_ok() {
        linger(stream).await;
    }
}

/// Who does not end in time may miss what it was told.
async fn linger(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = timeout(HTTP_LINGER_MAX, listener::linger(stream)).await;
}

/// Tells a client that does not speak as it should.
async fn say(mut stream: Alive, words: &str) {
    if let Ok(Ok(())) = timeout(HTTP_LINGER_MAX, stream.write_all(words.as_bytes())).await {
        linger(stream).await;
    }
}

fn bad_request(words: &str) -> String {
    let body = error_line(words) + "\n";
    let len = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {len}\r\n\r\n{body}"
    )
}

/// A stream that says when all that hyper has is written.
struct Reporting<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Reporting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Reporting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes behind the last byte that it has.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.connection.note_written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
