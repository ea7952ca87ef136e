//! Ports for servers and engines whose addresses are written down before they listen.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody listens on. The system hands those from 32,768 on to whoever asks for any, also
/// while a server is down that means to come back; and each test process begins at ports of its own,
/// for else two servers would be told the same one, and one test's engine would go to the other's.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    /// Of a process: three servers of a cluster take 6, three engines up to 12.
    const STRIDE: u32 = 32;
    static STEPS: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(STRIDE) % (PORTS.end - PORTS.start);
    let steps = (0..STRIDE).map(|_| STEPS.fetch_add(1, Ordering::Relaxed) % STRIDE);
    let ports = steps.map(|step| PORTS.start + begin + step);
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("a port")
}

/// The same on loopback.
pub fn free_address() -> SocketAddr {
    ([127, 0, 0, 1], free_port()).into()
}
