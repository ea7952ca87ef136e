//! Why a command did not do what it was asked to, and the exit code for it.
//!
//! Made by the commands; read by `cli::run_args`, which prints it.

use std::fmt::Display;
use std::io;

use crate::config::ConfigError;
use crate::escape::Escaped;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The settings are wrong: exit code 2.
    #[error("the settings are wrong:\n{0}")]
    Settings(#[from] ConfigError),
    /// The command was used wrongly: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It could not be done: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The reader of the output is gone (as `head` does): silent, exit code 0.
    #[error("the reader of the output has gone")]
    OutputClosed,
}

impl Failure {
    /// The process's exit code.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Settings(_) | Failure::Usage(_) => 2,
            Failure::Failed(_) => 1,
            Failure::OutputClosed => 0,
        }
    }

    /// What to say about it, if anything.
    #[must_use]
    pub(crate) fn words(&self) -> Option<String> {
        match self {
            Failure::OutputClosed => None,
            failure => Some(format!("flipped-lb: {failure}")),
        }
    }

    /// It could not be done, for a reason that others gave: a server, the system, a file's name.
    pub(crate) fn because(why: impl Display) -> Failure {
        Failure::Failed(Escaped(why).to_string())
    }

    /// Writing to standard output failed.
    pub(crate) fn output(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Failed(format!("standard output: {error}; redirect it elsewhere")),
        }
    }
}
