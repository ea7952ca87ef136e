//! What stands between an engine and a server: lets all through, loses what the server answers, has it come
//! late, holds what is published, or lets nothing through.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses its part"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What becomes of what comes.
#[derive(Default)]
struct Road {
    /// What the server answers is lost.
    swallows: AtomicBool,
    /// It is lost from when the engine sends this on.
    swallows_behind: Mutex<Option<Vec<u8>>>,
    /// PubAcks, and all behind them, come so many milliseconds late at most.
    late_ms_max: AtomicU64,
    /// Answers that nobody is there for what the engine has sent.
    no_responders: AtomicU64,
    /// The next publish, and all that its connection sends behind it, is held.
    holds_next: AtomicBool,
    held: Mutex<Vec<Held>>,
    /// New connections are closed at once.
    is_closed: AtomicBool,
    /// Both ends of each connection.
    streams: Mutex<Vec<TcpStream>>,
}

/// What an engine has sent, and the server has not got.
struct Held {
    bytes: Vec<u8>,
    server: TcpStream,
    pongs: Arc<AtomicU64>,
}

/// A proxy on loopback.
pub struct Proxy {
    address: SocketAddr,
    road: Arc<Road>,
}

impl Proxy {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let road = Arc::new(Road::default());
        let shared = Arc::clone(&road);
        std::thread::spawn(move || {
            for engine in listener.incoming().map_while(Result::ok) {
                join(engine, server, &shared);
            }
        });
        Self { address, road }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// What the server answers from now on is lost.
    pub fn swallow(&self) {
        self.road.swallows.store(true, Ordering::SeqCst);
    }

    /// The answer to the next publish is lost, and all that comes behind it.
    pub fn swallow_from_next_publish(&self) {
        self.swallow_behind("HPUB ");
    }

    /// The answer to what has these words is lost, and all that comes behind it.
    pub fn swallow_behind(&self, words: &str) {
        *self.road.swallows_behind.lock().expect("whole") = Some(words.into());
    }

    /// From now on three of four PubAcks come late, by a time between nothing and this.
    pub fn delay_pubacks(&self, most: Duration) {
        let most = most.as_millis() as u64;
        self.road.late_ms_max.store(most, Ordering::SeqCst);
    }

    /// The next publish does not get through before it is released; other connections do.
    pub fn hold_next_publish(&self) {
        self.road.holds_next.store(true, Ordering::SeqCst);
    }

    /// Answers of 503, that nobody is there for what the engine has sent, so far.
    pub fn no_responders(&self) -> u64 {
        self.road.no_responders.load(Ordering::SeqCst)
    }

    /// Whether one is held.
    pub fn holds(&self) -> bool {
        !self.road.held.lock().expect("whole").is_empty()
    }

    /// What is held gets through, over the connection that it came by; returns once the server has taken it.
    pub fn release(&self) {
        let held: Vec<Held> = std::mem::take(&mut *self.road.held.lock().expect("whole"));
        assert!(!held.is_empty(), "nothing is held");
        for mut it in held {
            let before = it.pongs.load(Ordering::SeqCst);
            it.bytes.extend_from_slice(b"PING\r\n");
            it.server.write_all(&it.bytes).expect("the server lives");
            while it.pongs.load(Ordering::SeqCst) == before {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Cuts all connections; new ones lose nothing.
    pub fn cut(&self) {
        *self.road.swallows_behind.lock().expect("whole") = None;
        for stream in self.road.streams.lock().expect("whole").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.road.swallows.store(false, Ordering::SeqCst);
    }

    /// Cuts all connections, and whoever comes is refused.
    pub fn close(&self) {
        self.road.is_closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Whoever comes is refused; connections that there are go on.
    pub fn refuse(&self) {
        self.road.is_closed.store(true, Ordering::SeqCst);
    }

    /// Whoever comes gets through again.
    pub fn open(&self) {
        self.road.is_closed.store(false, Ordering::SeqCst);
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a descriptor")
}

fn join(engine: TcpStream, server: SocketAddr, road: &Arc<Road>) {
    // Held to the end: whoever comes while the road is being closed is cut, or is not let in.
    let mut streams = road.streams.lock().expect("whole");
    if road.is_closed.load(Ordering::SeqCst) {
        return;
    }
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    streams.extend([&engine, &server].map(clone));
    let (engine_end, server_end) = (clone(&engine), clone(&server));
    let (there, back) = (Arc::clone(road), Arc::clone(road));
    let pongs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&pongs);
    std::thread::spawn(move || ask(engine, server_end, &pongs, &there));
    std::thread::spawn(move || answer(server, engine_end, &counted, &back));
}

impl Road {
    /// Whether these bytes of the engine are held.
    fn holds(&self, bytes: &[u8]) -> bool {
        has(bytes, b"HPUB ") && self.holds_next.swap(false, Ordering::SeqCst)
    }

    fn hold(&self, bytes: &[u8], server: &TcpStream, pongs: &Arc<AtomicU64>) {
        let mut all = self.held.lock().expect("whole");
        let is_it = |it: &&mut Held| Arc::ptr_eq(&it.pongs, pongs);
        match all.iter_mut().find(is_it) {
            Some(held) => held.bytes.extend_from_slice(bytes),
            None => all.push(Held {
                bytes: bytes.to_vec(),
                server: clone(server),
                pongs: Arc::clone(pongs),
            }),
        }
    }

    /// How late an answer comes.
    fn delay(&self, answer: &[u8]) -> Duration {
        let most = self.late_ms_max.load(Ordering::SeqCst);
        let is_late =
            most > 0 && has(answer, b"\"stream\":\"flb_journal_") && fastrand::u8(..) >= 64;
        match is_late {
            true => Duration::from_millis(fastrand::u64(0..=most)),
            false => Duration::ZERO,
        }
    }
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|it| it == word)
}

/// From the engine to the server.
fn ask(mut engine: TcpStream, mut server: TcpStream, pongs: &Arc<AtomicU64>, road: &Road) {
    let mut bytes = [0; 16 * 1024];
    let mut is_held = false;
    while let Ok(len) = engine.read(&mut bytes) {
        let bytes = &bytes[..len];
        if len == 0 {
            break;
        }
        let behind = road.swallows_behind.lock().expect("whole").clone();
        if behind.is_some_and(|it| has(bytes, &it)) {
            road.swallows.store(true, Ordering::SeqCst);
        }
        is_held = is_held || road.holds(bytes);
        if is_held {
            road.hold(bytes, &server, pongs);
        } else if server.write_all(bytes).is_err() {
            break;
        }
    }
    // What is held is sent over this connection, though the engine has given it up.
    if !is_held {
        let _ = server.shutdown(Shutdown::Both);
    }
}

/// From the server to the engine: what is late is written by a thread of its own, in order.
fn answer(mut server: TcpStream, engine: TcpStream, pongs: &AtomicU64, road: &Road) {
    let (late, due) = channel();
    std::thread::spawn(move || write_when_due(&due, engine));
    let mut bytes = [0; 16 * 1024];
    let mut last = Instant::now();
    while let Ok(len) = server.read(&mut bytes) {
        let bytes = &bytes[..len];
        if len == 0 {
            break;
        }
        if has(bytes, b"PONG") {
            pongs.fetch_add(1, Ordering::SeqCst);
        }
        if has(bytes, b"NATS/1.0 503") {
            road.no_responders.fetch_add(1, Ordering::SeqCst);
        }
        if !road.swallows.load(Ordering::SeqCst) {
            last = last.max(Instant::now() + road.delay(bytes));
            // An engine that is gone is told nothing.
            let _ = late.send((last, bytes.to_vec()));
        }
    }
}

fn write_when_due(late: &Receiver<(Instant, Vec<u8>)>, mut engine: TcpStream) {
    for (at, bytes) in late {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if engine.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = engine.shutdown(Shutdown::Both);
}
