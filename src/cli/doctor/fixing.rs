//! What `--fix` prints and `--apply` does: the commands of the findings, and how to undo them.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::finding::Finding;
use super::fix::{Fix, echo};
use super::machine::Machine;

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
