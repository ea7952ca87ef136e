//! What was read is confirmed to its sender's system at once, whatever the sizes of its writes.
//!
//! A sender with Nagle's algorithm (the default of most) holds a small write back until all before it is
//! confirmed; a receiver that puts its confirmation off lets it wait for the system's own, 40 ms. Seen
//! here without a clock: the agents find nothing more to do, and bytes of the sender are still not sent
//! or not confirmed. A plain server, which reads whatever comes, is the measure.
#![allow(
    unsafe_code,
    reason = "no crate at hand asks a socket how much of its data is not confirmed"
)]

mod support;

#[path = "support/hand.rs"]
mod hand;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use flipped_lb::clock::SystemClock;
use flipped_lb::counters::Counter;

use hand::Hand;
use support::frame;

/// Looks in a row that find nothing to do before the sender is believed to wait: some milliseconds,
/// below the system's 40, and enough for the loopback device to deliver.
const FRUITLESS_MAX: usize = 300;

const KIB: usize = 1024;

/// Sizes of writes, one behind the other.
const PATTERNS: [&[usize]; 16] = [
    &[1],
    &[1, 1],
    &[1, 1, 1],
    &[400],
    &[400, 400, 400],
    &[4 * KIB - 1, 1],
    &[4 * KIB, 1],
    &[4 * KIB + 1, 200],
    &[1, 4 * KIB, 1],
    &[8 * KIB, 300, 1],
    &[20 * KIB, 200],
    &[64 * KIB - 1, 64 * KIB + 1],
    &[64 * KIB, 1, 1],
    &[100 * KIB, 4 * KIB, 200],
    &[256 * KIB, 1],
    &[256 * KIB, 256 * KIB, 400],
];

/// Bytes that the system has of a sender, and that the other side has not confirmed.
fn unconfirmed(stream: &TcpStream) -> usize {
    let mut len: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the system writes an int there.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    usize::try_from(len).expect("a count")
}

/// Lines that are new, each: wrong ones and duplicates would be read no more for a moment.
#[derive(Default)]
struct Lines {
    count: usize,
    rest: Vec<u8>,
}

impl Lines {
    /// The next bytes; the last line is finished by those behind them.
    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.rest.len() < len {
            let line = frame(&self.count.to_string(), "table1", 1) + "\n";
            self.rest.extend(line.as_bytes());
            self.count += 1;
        }
        self.rest.drain(..len).collect()
    }
}

/// Makes the writes one behind the other, lets `work` look for something to do, and says which bytes
/// wait where it finds nothing.
fn exchange(
    sender: &mut TcpStream,
    lines: &mut Lines,
    sizes: &[usize],
    mut work: impl FnMut() -> bool,
) -> Result<(), String> {
    let mut fruitless = 0;
    for (at, &size) in sizes.iter().enumerate() {
        let bytes = lines.take(size);
        let mut written = 0;
        while written < size {
            match sender.write(&bytes[written..]) {
                Ok(taken) => written += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            fruitless = if work() { 0 } else { fruitless + 1 };
            if fruitless > FRUITLESS_MAX {
                return Err(format!("write {at} finds no room behind {written} bytes"));
            }
        }
    }
    while unconfirmed(sender) > 0 {
        fruitless = if work() { 0 } else { fruitless + 1 };
        if fruitless > FRUITLESS_MAX {
            return Err(format!("{} bytes wait", unconfirmed(sender)));
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn sender(address: std::net::SocketAddr, no_delay: bool) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(no_delay).expect("an option");
    stream.set_nonblocking(true).expect("an option");
    stream
}

/// Reads once; says whether there was anything.
fn read_plainly(server: &mut TcpStream, buffer: &mut [u8]) -> bool {
    match server.read(buffer) {
        Ok(len) => len > 0,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

fn to_plain_server(sizes: &[usize], no_delay: bool) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut sender = sender(listener.local_addr().expect("it is bound"), no_delay);
    let (mut server, _) = listener.accept().expect("a connection");
    server.set_nonblocking(true).expect("an option");
    let mut buffer = vec![0; 256 * KIB];
    let mut lines = Lines::default();
    for _ in 0..20 {
        exchange(&mut sender, &mut lines, sizes, || {
            read_plainly(&mut server, &mut buffer)
        })?;
    }
    Ok(())
}

fn to_engine(sizes: &[usize], no_delay: bool) -> Result<(), String> {
    let mut hand = Hand::new("", SystemClock::start());
    let mut sender = sender(hand.ingest, no_delay);
    hand.turn_until("it is accepted", |it| {
        it.count(Counter::SourcesConnected) == 1
    });
    let mut lines = Lines::default();
    for _ in 0..20 {
        exchange(&mut sender, &mut lines, sizes, || hand.turn() > 0)?;
    }
    Ok(())
}

#[test]
fn no_pattern_of_writes_waits_for_its_confirmation() {
    for sizes in PATTERNS {
        for no_delay in [false, true] {
            let what = format!("writes of {sizes:?} bytes, TCP_NODELAY {no_delay}");
            let plain = to_plain_server(sizes, no_delay);
            assert_eq!(plain, Ok(()), "a plain server, {what}");
            let engine = to_engine(sizes, no_delay);
            assert_eq!(engine, Ok(()), "the engine, {what}");
        }
    }
}
