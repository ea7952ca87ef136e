//! A way to mend a finding: a value of the running kernel, or a command.
//!
//! A value below `/proc` or `/sys` is safe: it lasts until the next boot, and what it had before puts it back. All
//! else (kernel parameters, services, other programs) is left to a person.

/// A way to mend a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fix {
    /// A value of the running kernel.
    Value {
        /// Below the root, without a slash at the beginning.
        path: String,
        value: String,
        /// Where and what to write to have it as before.
        undo: (String, String),
    },
    /// A command that somebody decides on.
    ByHand(String),
}

impl Fix {
    /// Sets a value, and knows what it was.
    pub(super) fn value(path: &str, value: &str, before: &str) -> Self {
        Self::Value {
            path: path.to_owned(),
            value: value.to_owned(),
            undo: (path.to_owned(), before.to_owned()),
        }
    }

    pub(super) fn by_hand(command: impl Into<String>) -> Self {
        Self::ByHand(command.into())
    }

    pub(super) fn command(&self) -> String {
        match self {
            Self::Value { path, value, .. } => echo(path, value),
            Self::ByHand(command) => command.clone(),
        }
    }
}

/// In single quotes, which nothing leaves: the value comes from a file that others may have
/// written.
pub(super) fn echo(path: &str, value: &str) -> String {
    let value = value.replace('\'', "'\\''");
    format!("echo '{value}' > /{path}")
}
