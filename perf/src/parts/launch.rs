//! The engine's or nats-server's process: this program, asked to end with its parent, replaced.
//!
//! The request survives the replacement, which is how a program that knows nothing of benchmarks
//! still goes when they do.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::error::PerfError;

/// Becomes it; comes back only when that fails.
pub(crate) fn become_program(command: &[String]) -> Result<(), PerfError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(PerfError::Usage("no program to become".into()));
    };
    let source = Command::new(program).args(arguments).exec();
    Err(PerfError::Io {
        what: format!("starting {program}"),
        source,
    })
}
