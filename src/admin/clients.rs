//! The HTTP listener of the admin address: how long a connection may take.
//!
//! [`crate::http::listener`] accepts; the router of `server` answers. A head that does not come, a
//! connection that rests and an answer that is not read are cut after a time of their own, so that none
//! of them holds a place.

use std::io;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::guard::Client;
use crate::access::RefusedClients;
use crate::counters::Counters;
use crate::http::listener::{self, Place};
use crate::limits::{
    HANDSHAKE_TIME_MAX, HTTP_HEAD_LEN_MAX, HTTP_HEAD_TIMEOUT, HTTP_UNREAD_TIMEOUT, HTTP_UNSENT_LEN,
    REFUSED_HELD_TIME,
};
use crate::net::admission::Admission;
use crate::net::tls::{self, TlsFailure, TlsSwitch};

/// For a client that speaks plain HTTP where TLS is spoken.
const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    connection: close\r\ncontent-length: 52\r\n\r\nthis address speaks TLS; ask it by https:// instead\n";

pub(super) async fn serve(
    (listener, tls): (TcpListener, Arc<TlsSwitch>),
    admission: Arc<Admission>,
    (counters, refused): (Arc<Counters>, Arc<RefusedClients>),
    router: Router,
) {
    listener::accept(listener, admission, counters, |stream, place| {
        let tls = tls.listener().map(TlsAcceptor::from);
        let (router, refused) = (router.clone(), Arc::clone(&refused));
        tokio::spawn(async move {
            let (counters, peer) = (Arc::clone(&place.counters), place.peer);
            if let Err(failure) = welcome(stream, tls, router, place).await {
                TlsFailure::of(&failure).count(&counters);
                refused.log_handshake(peer, &failure);
            }
        });
    })
    .await;
}

/// Shakes hands with a client where that is the way, then answers it.
///
/// # Errors
/// There is no TLS with it.
async fn welcome(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    place: Place,
) -> io::Result<()> {
    // Where an option cannot be had the other limits hold.
    let _ = set_up(&stream);
    let Some(acceptor) = tls else {
        answer(stream, router, None, place).await;
        return Ok(());
    };
    let shaken = timeout(HANDSHAKE_TIME_MAX, shake(stream, acceptor)).await;
    let stream = shaken.unwrap_or_else(|_| Err(tls::too_long()))?;
    let certificate = tls::certificate(stream.get_ref().1).map(Into::into);
    answer(stream, router, certificate, place).await;
    Ok(())
}

/// Shakes hands; whoever speaks plain HTTP is told that this is not the way.
///
/// # Errors
/// It has failed.
async fn shake(mut stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && !tls::begins_tls(first[0]) {
        stream.write_all(PLAIN_ANSWER.as_bytes()).await?;
        stream.shutdown().await?;
        // A socket that is closed with bytes unread would take the answer away.
        let mut unread = [0; 1024];
        let _ = timeout(REFUSED_HELD_TIME, async {
            while stream.read(&mut unread).await.is_ok_and(|len| len > 0) {}
        })
        .await;
        return Err(tls::not_spoken());
    }
    acceptor.accept(stream).await
}

/// Answers the requests of one connection.
async fn answer<S>(stream: S, router: Router, certificate: Option<Arc<[String]>>, place: Place)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut connection = http1::Builder::new();
    connection
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_LEN_MAX);
    let client = Client {
        peer: place.peer,
        certificate,
    };
    let service = TowerToHyperService::new(router.layer(Extension(client)));
    // A client that leaves in the middle is no fault.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(place);
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(HTTP_UNSENT_LEN)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(HTTP_UNREAD_TIMEOUT))?;
    socket.set_tcp_user_timeout(Some(HTTP_UNREAD_TIMEOUT))
}
