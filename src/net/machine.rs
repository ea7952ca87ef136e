//! What the machine calls itself, as `uname -n` tells it.

/// Its name; what in it is not UTF-8 is replaced.
pub(crate) fn name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}
