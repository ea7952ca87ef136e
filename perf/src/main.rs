//! `flipped-lb-perf`: what the whole engine does, over real sockets, beside a bare relay.
//!
//! ```text
//!  cli -> bench (throughput, latency, ...) -> rounds -> round -> lane, testbed, each part a process
//!                     |                         |                    source ==TCP==> engine | relay
//!                     v                         v                    sink   <==TCP==  engine | relay
//!          report <- aim, picture  <-  figure, spread, curve        compare: two reports
//! ```
//! `plan`, `frames`, `wire` and `clock` are what all processes of a round agree on. README.md says
//! what each benchmark measures and how to read it.

mod bench;
#[path = "../../src/build_info.rs"]
mod build_info;
mod child;
mod cleanup;
mod cli;
mod clock;
mod common;
mod compare;
mod curve;
mod database;
mod disk;
mod engine;
mod figure;
mod frames;
mod http;
mod lane;
mod machine;
mod parts;
mod picture;
mod plan;
mod process;
mod progress;
mod replica;
mod report;
mod round;
mod rounds;
mod spread;
mod strace;
mod testbed;
mod tls;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
