//! The engine's or nats-server's process: this program, asked to end with its parent, replaced.
//!
//! The request survives the replacement, which is how a program that knows nothing of benchmarks
//! still goes when they do.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Becomes it; comes back only when that fails.
pub(crate) fn become_program(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no program to become")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("starting {program}"))
}
