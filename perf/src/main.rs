//! `flipped-lb-perf`: what the whole engine does, over real sockets, beside a bare relay.
//!
//! ```text
//!  cli -> bench (throughput, latency, target, idle) -> round -> parts, each a process
//!                     |                                  |        source ==TCP==> engine | relay
//!                     v                                  v        sink   <==TCP==  engine | relay
//!                  report  <- spread, curve  <-       outcome
//! ```
//! `plan`, `frames` and `clock` are what all processes of a round agree on. README.md says what
//! each benchmark measures and how to read it.

mod bench;
mod child;
mod cleanup;
mod cli;
mod clock;
mod curve;
mod engine;
mod error;
mod frames;
mod machine;
mod parts;
mod plan;
mod process;
mod report;
mod round;
mod spread;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
