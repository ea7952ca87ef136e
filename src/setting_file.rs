//! Reads the files that settings name: certificates and keys, tokens, passwords, credentials.
//!
//! Settings feed it, at start, at a reload and in `check`. None of them may wait for a writer of a pipe,
//! or read a device without end. It logs nothing: who asks names the setting.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::limits::SETTING_FILE_LEN_MAX;

/// All bytes of a regular file; a link is followed.
///
/// # Errors
/// It cannot be opened or read, is no regular file, or is longer than [`SETTING_FILE_LEN_MAX`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(open(path)?, SETTING_FILE_LEN_MAX)
}

/// The same as text.
///
/// # Errors
/// As [`read`], or it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// These bytes as text.
///
/// # Errors
/// They are not UTF-8.
pub(crate) fn text(bytes: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(bytes);
    text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Whether it is there and a regular file.
///
/// # Errors
/// It is not.
pub(crate) fn must_be_regular(path: &Path) -> io::Result<()> {
    // Opening is not asked for: of some devices it changes the state.
    if std::fs::metadata(path)?.is_file() {
        Ok(())
    } else {
        Err(not_regular())
    }
}

/// All bytes of a file that a command line names, which may be a pipe; it is waited for.
///
/// # Errors
/// It cannot be opened or read, or is longer than `len_max`.
pub(crate) fn read_argument(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    read_up_to(File::open(path)?, len_max)
}

fn read_up_to(file: File, len_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let len = file.take(len_max + 1).read_to_end(&mut bytes)?;
    if len as u64 > len_max {
        return Err(too_long(len_max));
    }
    Ok(bytes)
}

fn open(path: &Path) -> io::Result<File> {
    must_be_regular(path)?;
    let mut options = OpenOptions::new();
    // Another file may have its name by now: that must not block either.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = options.read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(not_regular())
    }
}

fn not_regular() -> io::Error {
    io::Error::other(
        "it is no regular file, but a pipe, a device or a directory; store it in a file",
    )
}

fn too_long(len_max: u64) -> io::Error {
    io::Error::new(
        ErrorKind::FileTooLarge,
        format!("it is longer than {len_max} bytes; is it the right file?"),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_regular_file_is_read_whole_through_a_link_and_nothing_else_is() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| home.path().join(name);
        fs::write(path("file"), "text").expect("written");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("linked");
        for name in ["file", "link"] {
            assert_eq!(read(&path(name)).expect("a file"), b"text", "{name}");
        }
        // Nobody writes to it: a plain open would wait for ever.
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), mode).expect("a pipe");
        std::os::unix::fs::symlink(path("pipe"), path("linked-pipe")).expect("linked");
        for it in [
            path("pipe"),
            path("linked-pipe"),
            home.path().to_owned(),
            "/dev/zero".into(),
        ] {
            let why = read(&it).expect_err("no regular file").to_string();
            assert!(why.contains("no regular file"), "{}: {why}", it.display());
        }
        let why = read(&path("none")).expect_err("none");
        assert_eq!(why.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_no_byte_more() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("file");
        let file = File::create(&path).expect("made");
        file.set_len(SETTING_FILE_LEN_MAX).expect("room");
        let len = read(&path).expect("it fits").len();
        assert_eq!(len as u64, SETTING_FILE_LEN_MAX);
        file.set_len(SETTING_FILE_LEN_MAX + 1).expect("room");
        let why = read(&path).expect_err("too long").to_string();
        assert!(why.contains("longer than"), "{why}");
        fs::write(&path, [0xff]).expect("written");
        assert!(read_text(&path).is_err());
    }

    #[test]
    fn an_argument_may_be_a_device_but_not_without_end() {
        let read = read_argument(Path::new("/dev/null"), 10).expect("empty");
        assert!(read.is_empty());
        assert!(read_argument(Path::new("/dev/zero"), 10).is_err());
    }
}
