//! What is asked of names: whether one is that of an open file still, and which one is free.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::Timestamp;

/// Whether a path names an open file: somebody may have removed or renamed it, and what is written
/// then is in no file that others find.
///
/// # Errors
/// The system does not say.
pub(crate) fn is_named(path: &Path, file: &File) -> io::Result<bool> {
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let opened = file.metadata()?;
    Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino()))
}

/// A name that nothing in a directory has: the prefix, the time, and a number where it needs one.
pub(crate) fn unused(directory: &Path, prefix: &str) -> String {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%S");
    let name = |again: u32| match again {
        0 => format!("{prefix}-{time}"),
        again => format!("{prefix}-{time}-{again}"),
    };
    let mut names = (0..).map(name);
    let unused = names.find(|it| directory.join(it).symlink_metadata().is_err());
    unused.expect("the numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number_be_it_that_of_a_link_to_nothing() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut names = Vec::new();
        for _ in 0..3 {
            let name = unused(home.path(), "old");
            let path = home.path().join(&name);
            std::os::unix::fs::symlink("nothing", path).expect("no other has the name");
            assert!(name.starts_with("old-") && !names.contains(&name));
            names.push(name);
        }
    }
}
