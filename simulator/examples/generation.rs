//! What a frame costs to make, without sockets: `cargo run --release --example generation`.
//!
//! It fills a buffer as a server does at `--rate max`, after checking that a line is a frame.

use std::hint::black_box;
use std::time::Instant;

use message_server_simulator::limits::{BATCH_BYTES, FRAME_LEN_DEFAULT, MAX_LINE};
use message_server_simulator::{Faults, FrameSpec, Orders, SimulatorError, tables};

const FRAMES: u32 = 20_000_000;

fn main() -> Result<(), SimulatorError> {
    for (name, duplicates_percent) in [("valid only", 0.0), ("1 % duplicates", 1.0)] {
        let spec = FrameSpec {
            server: "server1".into(),
            destinations: tables(4),
            len: Some(FRAME_LEN_DEFAULT),
            fresh: false,
            seed: 1,
            run: 1,
        };
        let faults = Faults {
            duplicates_percent,
            malformed_percent: 0.0,
            max_line: MAX_LINE,
        };
        let ns = ns_per_frame(&mut Orders::new(spec, &faults)?);
        println!("{name:<16}{ns:>6.1} ns a frame of {FRAME_LEN_DEFAULT} bytes");
    }
    Ok(())
}

fn ns_per_frame(orders: &mut Orders) -> f64 {
    let mut out = Vec::with_capacity(2 * BATCH_BYTES);
    orders.append(&mut out, 1_693_123_456_789);
    assert_eq!(out.len(), FRAME_LEN_DEFAULT + 1, "a frame and its newline");
    let started = Instant::now();
    for n in 0..FRAMES {
        if out.len() >= BATCH_BYTES {
            black_box(&out);
            out.clear();
        }
        orders.append(&mut out, 1_693_123_456_789 + u64::from(n / 1_000));
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(FRAMES)
}
