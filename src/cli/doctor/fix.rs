//! What `--fix` prints and `--apply` does: commands, and how to undo them.
//!
//! Fed by the findings. A value below `/proc` or `/sys` is safe: it lasts until the next boot, and
//! what
//! it had before puts it back. All else (kernel parameters, services, other programs) is printed
//! only.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::finding::Finding;
use super::machine::Machine;

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
fn echo(path: &str, value: &str) -> String {
    let value = value.replace('\'', "'\\''");
    format!("echo '{value}' > /{path}")
}

fn fixable(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|it| !it.fixes.is_empty())
}

/// The commands as a script; what is not safe is a comment.
pub(super) fn script(findings: &[Finding]) -> String {
    let mut script = "#!/bin/sh\n".to_owned();
    for finding in fixable(findings) {
        // Writing to a String cannot fail.
        let _ = writeln!(script, "\n# {}: {}", finding.subject, finding.found);
        for fix in &finding.fixes {
            let command = fix.command();
            let _ = match fix {
                Fix::Value { .. } => writeln!(script, "{command}"),
                Fix::ByHand(_) => writeln!(script, "# by hand: {command}"),
            };
        }
    }
    script.push_str(
        "\n# Values last until the next boot: have them set by /etc/sysctl.d, /etc/tmpfiles.d or \
         the unit.\n",
    );
    script
}

/// What puts back what [`apply`] changes, the last change first.
pub(super) fn undo_script(findings: &[Finding]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for fix in fixable(findings).flat_map(|it| &it.fixes) {
        if let Fix::Value { undo, .. } = fix {
            lines.push(echo(&undo.0, &undo.1));
        }
    }
    lines.reverse();
    let head = "#!/bin/sh\n# Puts back what `flipped-lb doctor --fix --apply` changed.\n";
    format!("{head}{}\n", lines.join("\n"))
}

/// Whether there is something that [`apply`] would do.
pub(super) fn has_values(findings: &[Finding]) -> bool {
    let mut fixes = fixable(findings).flat_map(|it| &it.fixes);
    fixes.any(|it| matches!(it, Fix::Value { .. }))
}

/// Writes the undo script, which is new, and for its owner.
///
/// # Errors
/// It is there already, or cannot be written.
pub(super) fn write_undo(path: &Path, findings: &[Finding]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(path)?;
    file.write_all(undo_script(findings).as_bytes())?;
    file.sync_all()
}

/// Sets the values. A line each; what could not be done.
pub(super) fn apply(machine: &Machine, findings: &[Finding]) -> (String, usize) {
    let (mut lines, mut failures) = (String::new(), 0);
    for fix in fixable(findings).flat_map(|it| &it.fixes) {
        let command = fix.command();
        let Fix::Value { path, value, .. } = fix else {
            let _ = writeln!(lines, "left to you: {command}");
            continue;
        };
        let _ = match machine.write(path, value) {
            Ok(()) => writeln!(lines, "done: {command}"),
            Err(error) => {
                failures += 1;
                writeln!(lines, "failed: {command}: {error}")
            }
        };
    }
    (lines, failures)
}
