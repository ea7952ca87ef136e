//! An HTTP listener: accepts, and refuses those for whom there is no room.
//!
//! The admin address and `[http] listen` each have one. At most `max_connections` are open; further ones
//! are answered 503 and closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::counters::{Counter, Counters};
use crate::limits::{REFUSED_HELD_MAX, REFUSED_HELD_TIME};
use crate::net::admission::{Admission, Refusal};
use crate::net::error_line;

/// A pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two refusals: some hundred a second.
const REFUSAL_PAUSE: Duration = Duration::from_millis(5);

/// What a client is told whose answer could not be dated.
const CLOCK_WORDS: &str =
    "the wall clock of this machine stands before 1970, where HTTP has no dates: set it";

/// Accepts for ever; `welcome` gets each connection that may stay, with its place.
pub(crate) async fn accept(
    listener: TcpListener,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    welcome: impl Fn(TcpStream, Place),
) {
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
        // The HTTP library panics over such a date, whether it would tell it or not.
        if SystemTime::now() < UNIX_EPOCH {
            counters.add(Counter::ConnectionsRefused, 1);
            refuse(stream, error_line(CLOCK_WORDS), &refused);
            sleep(REFUSAL_PAUSE).await;
            continue;
        }
        let admitted = admission.admit(peer);
        let is_full = admitted == Err(Refusal::Full);
        full.show(is_full, Counter::ListenersFull, &counters);
        match admitted {
            Ok(()) => welcome(stream, Place::new(&admission, peer, &counters)),
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
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    pub(crate) peer: SocketAddr,
    pub(crate) counters: Arc<Counters>,
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

/// Says why, and gives the client a moment to read it; few of them at once.
fn refuse(mut stream: TcpStream, words: String, refused: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(refused).try_acquire_owned() else {
        return;
    };
    tokio::spawn(async move {
        let told = async {
            stream.write_all(refusal(&words).as_bytes()).await?;
            linger(stream).await
        };
        // A client that is gone or does not read in time misses it.
        let _ = timeout(REFUSED_HELD_TIME, told).await;
        drop(place);
    });
}

/// Ends this side, and reads until the peer ends its own: a socket that is closed with bytes unread takes the
/// answer away.
pub(crate) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// The whole answer of a listener that serves nobody.
pub(crate) fn refusal(words: &str) -> String {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{words}\n",
        words.len() + 1
    )
}
