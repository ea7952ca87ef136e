//! Tells errors that pass from those that do not.

use std::io;

use rustix::io::Errno;

/// Whether an operation failed for want of something that comes back: room on the disk, descriptors, a
/// file system that may be written to.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    is_descriptors(error)
        || matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge
                | io::ErrorKind::WriteZero
                | io::ErrorKind::ReadOnlyFilesystem
        )
}

/// Whether the process, or the system, has no descriptor left.
pub(crate) fn is_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}
