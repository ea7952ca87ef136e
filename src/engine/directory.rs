//! The data directory: made so that its names survive a power loss, and for the engine's user alone.
//!
//! The engine's start makes it; the files in it are made by whoever writes them, with the modes that
//! [`private_files`] leaves them: 0600, and 0700 for directories.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::umask;
use tracing::warn;

use crate::escape::Escaped;

/// What others may do with a directory or a file of theirs.
const OTHERS: u32 = 0o077;

/// Whatever this process makes from now on is its user's alone. For commands that write messages to
/// files; the mode of what is there stays.
pub(crate) fn private_files() {
    umask(Mode::from_raw_mode(OTHERS));
}

/// Makes the directory, and those that it stands in, as far as they are not there. `synced`: each is
/// on the disk in the one above before it is used.
///
/// # Errors
/// One of them cannot be made, or its name may not survive a power loss.
pub(crate) fn make(directory: &Path, synced: bool) -> io::Result<()> {
    match make_one(directory, synced) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(above(directory), synced)?;
            make_one(directory, synced)
        }
        result => result,
    }
}

fn make_one(directory: &Path, synced: bool) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) if synced => sync_names(above(directory)),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Err(_) if !directory.is_dir() => Err(ErrorKind::NotADirectory.into()),
        _ => Ok(()),
    }
}

/// Whether [`make`] can make the directory, as far as that shows before.
///
/// # Errors
/// A file stands there or above it, or it is no name.
pub(crate) fn check(directory: &Path) -> io::Result<()> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => check(above(directory)),
        Err(error) => Err(error),
    }
}

/// Returns when all names in a directory will survive a power loss.
///
/// # Errors
/// They may not.
pub(crate) fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory that one, or a file, stands in.
pub(crate) fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        // A name alone; `/` is there, and is never made.
        _ => Path::new("."),
    }
}

/// Says so where others of the machine may read what is in the directory.
pub(super) fn warn_if_open(directory: &Path) {
    let mode = fs::metadata(directory).as_ref().map_or(0, Metadata::mode);
    if mode & OTHERS != 0 {
        let path = Escaped(directory.display());
        warn!(
            "other users of this machine may look into {path} (mode {:03o}): `chmod -R go= {path}` \
             keeps messages to the engine's own user",
            mode & 0o777
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_down_to_the_last_one_and_may_be_there() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let deep = home.path().join("a/b/c");
        make(&deep, true).expect("it can be made");
        make(&deep, true).expect("it is there");
        assert!(deep.is_dir());
        fs::write(home.path().join("file"), "x").expect("a file");
        check(&home.path().join("d/e/f")).expect("it can be made");
        check(&deep).expect("it is there");
        for wrong in ["file", "file/below", "file/below/that", "a\0b"] {
            let wrong = home.path().join(wrong);
            make(&wrong, true).expect_err("it is a file, or no name");
            check(&wrong).expect_err("the same is known before");
        }
    }

    #[test]
    fn a_name_alone_stands_in_the_current_directory() {
        assert_eq!(above(Path::new("data")), Path::new("."));
        assert_eq!(above(Path::new("/data")), Path::new("/"));
        assert_eq!(above(Path::new("/var/lib/x")), Path::new("/var/lib"));
    }
}
