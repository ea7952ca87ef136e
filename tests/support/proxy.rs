//! What stands between an engine and a server: lets all through, loses what the server answers, or lets
//! nothing through.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses its part"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What becomes of what comes.
#[derive(Default)]
struct Road {
    /// What the server answers is lost.
    swallows: AtomicBool,
    /// It is lost from the next publish on.
    waits_for_publish: AtomicBool,
    /// New connections are closed at once.
    is_closed: AtomicBool,
    /// Both ends of each connection.
    streams: Mutex<Vec<TcpStream>>,
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
        self.road.waits_for_publish.store(true, Ordering::SeqCst);
    }

    /// Cuts all connections; new ones lose nothing.
    pub fn cut(&self) {
        self.road.waits_for_publish.store(false, Ordering::SeqCst);
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

    /// Whoever comes gets through again.
    pub fn open(&self) {
        self.road.is_closed.store(false, Ordering::SeqCst);
    }
}

fn join(engine: TcpStream, server: SocketAddr, road: &Arc<Road>) {
    let clone = |it: &TcpStream| it.try_clone().expect("a descriptor");
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
    std::thread::spawn(move || pump(engine, server_end, |bytes| there.asks(bytes)));
    std::thread::spawn(move || pump(server, engine_end, |_| back.answers()));
}

impl Road {
    /// Whether the engine's bytes get through: all do.
    fn asks(&self, bytes: &[u8]) -> bool {
        let waits = self.waits_for_publish.load(Ordering::SeqCst);
        if waits && bytes.windows(5).any(|it| it == b"HPUB ") {
            self.swallows.store(true, Ordering::SeqCst);
        }
        true
    }

    fn answers(&self) -> bool {
        !self.swallows.load(Ordering::SeqCst)
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, gets_through: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(len) = from.read(&mut bytes) {
        let bytes = &bytes[..len];
        if len == 0 || (gets_through(bytes) && to.write_all(bytes).is_err()) {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
