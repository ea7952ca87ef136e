//! When a stream's peer is told that what it sent has come.
#![allow(unsafe_code)]

use std::os::fd::AsRawFd;

use mio::net::TcpStream;

/// Has the system send the acknowledgement that is due, and put off those to come, in one call.
pub(super) fn confirm_now(stream: &TcpStream) {
    // tcp(7) knows 0 and 1. Linux: any value but 0 sends what is due, and an even one goes back to
    // putting off (`__tcp_sock_set_quickack`).
    let once: libc::c_int = 2;
    // SAFETY: the descriptor is open while the stream lives, and the system reads four bytes of `once`.
    // It fails only where the stream is gone: then nothing is due.
    let _ = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            (&raw const once).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}
