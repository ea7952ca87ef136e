//! Standard output, for commands that say all they have at once.

use std::io::Write as _;

use super::Failure;

/// Prints the text, to the last byte.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}
