//! The engine's process: this program, asked to end with its parent, replaced by the engine.
//!
//! The request survives the replacement, which is how an engine that knows nothing of benchmarks
//! still goes when they do.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::error::PerfError;

/// Becomes the engine; comes back only when that fails.
pub(crate) fn become_engine(command: &[String]) -> Result<(), PerfError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(PerfError::Usage("no program to become".into()));
    };
    let source = Command::new(program).args(arguments).exec();
    Err(PerfError::Io {
        what: format!("starting {program}"),
        source,
    })
}
