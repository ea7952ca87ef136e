//! The HTTP listener: who may connect, and how long a connection may take.
//!
//! It accepts for `server`, whose router answers. At most `max_connections` are open; further
//! ones are answered 503 and closed. A head that does not come, a connection that rests and an
//! answer that is not read are cut after a time of their own, so that none of them holds a place.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::counters::{Counter, Counters};
use crate::limits::{
    HANDSHAKE_TIME_MAX, HTTP_HEAD_LEN_MAX, HTTP_HEAD_TIMEOUT, HTTP_UNREAD_TIMEOUT,
    REFUSED_HELD_MAX, REFUSED_HELD_TIME,
};
use crate::net::admission::{Admission, Refusal};

/// A pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two refusals: some hundred a second.
const REFUSAL_PAUSE: Duration = Duration::from_millis(5);

pub(super) async fn serve(
    (listener, tls): (TcpListener, Option<TlsAcceptor>),
    admission: Admission,
    counters: Arc<Counters>,
    router: Router,
) {
    let admission = Arc::new(admission);
    let refused = Arc::new(Semaphore::new(REFUSED_HELD_MAX));
    let (mut failing, mut full) = (Shown::default(), Shown::default());
    loop {
        let accepted = listener.accept().await;
        failing.show(accepted.is_err(), Counter::ListenersFailing, &counters);
        let Ok((stream, peer)) = accepted else {
            counters.add(Counter::AcceptFailures, 1);
            sleep(PAUSE).await;
            continue;
        };
        let admitted = admission.admit(peer);
        let is_full = admitted == Err(Refusal::Full);
        full.show(is_full, Counter::ListenersFull, &counters);
        match admitted {
            Ok(()) => {
                let place = Place::new(&admission, peer, &counters);
                tokio::spawn(welcome(stream, tls.clone(), router.clone(), place));
            }
            Err(why) => {
                counters.add(Counter::ConnectionsRefused, 1);
                counters.add(why.counter(), 1);
                refuse(stream, admission.words(why), &refused);
                sleep(REFUSAL_PAUSE).await;
            }
        }
    }
}

/// A state of the listener that a gauge shows.
#[derive(Debug, Default)]
struct Shown(bool);

impl Shown {
    fn show(&mut self, is: bool, gauge: Counter, counters: &Counters) {
        match (std::mem::replace(&mut self.0, is), is) {
            (false, true) => counters.add(gauge, 1),
            (true, false) => counters.subtract(gauge, 1),
            _ => {}
        }
    }
}

/// A connection's place, given back when it ends.
struct Place {
    admission: Arc<Admission>,
    peer: SocketAddr,
    counters: Arc<Counters>,
}

impl Place {
    fn new(admission: &Arc<Admission>, peer: SocketAddr, counters: &Arc<Counters>) -> Self {
        counters.add(Counter::HttpConnected, 1);
        Self {
            admission: Arc::clone(admission),
            peer,
            counters: Arc::clone(counters),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counters.subtract(Counter::HttpConnected, 1);
        self.admission.leave(self.peer);
    }
}

/// Shakes hands with a client where that is the way, then answers it.
async fn welcome(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, place: Place) {
    // Where an option cannot be had the other limits hold.
    let _ = set_up(&stream);
    let Some(tls) = tls else {
        return answer(stream, router, place).await;
    };
    match timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => answer(stream, router, place).await,
        _ => place.counters.add(Counter::TlsFailures, 1),
    }
}

/// Answers the requests of one connection.
async fn answer<S>(stream: S, router: Router, place: Place)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut connection = http1::Builder::new();
    connection
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_LEN_MAX);
    let service = TowerToHyperService::new(router);
    // A client that leaves in the middle is no fault.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(place);
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(HTTP_UNREAD_TIMEOUT))?;
    socket.set_tcp_user_timeout(Some(HTTP_UNREAD_TIMEOUT))
}

/// Says why, and gives the client a moment to read it; few of them at once.
fn refuse(mut stream: TcpStream, words: String, refused: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(refused).try_acquire_owned() else {
        return;
    };
    tokio::spawn(async move {
        let told = async {
            stream.write_all(refusal(&words).as_bytes()).await?;
            stream.shutdown().await?;
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        };
        // A client that is gone or does not read in time misses it.
        let _ = timeout(REFUSED_HELD_TIME, told).await;
        drop(place);
    });
}

fn refusal(words: &str) -> String {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{words}\n",
        words.len() + 1
    )
}
