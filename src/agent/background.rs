//! Threads beside the path: the system lets them keep no core that a thread of the path waits for.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;

use rustix::process::{getpriority_process, setpriority_process};

/// How long such a thread may go on while another one waits for its core, in ns: the least that
/// Linux allows. The usual slice is some 3 ms, and a message waits as long for its subscriber.
const SLICE_NS: u64 = 100_000;
/// The lowest priority that Linux has for a thread.
const NICE_MAX: i32 = 19;

/// The system's `struct sched_attr` in its first form, as `sched_setattr(2)` has it.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// In ns: the thread's slice, where the kernel (6.12 and later) lets each have its own.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Gives the calling thread, for which nobody waits, the lowest priority and the shortest slice; or
/// the priority alone, where the system knows no slices.
///
/// # Errors
/// The system refuses both.
pub(crate) fn lower_priority() -> io::Result<()> {
    set(NICE_MAX).or_else(|_| Ok(setpriority_process(None, NICE_MAX)?))
}

/// Gives the calling thread, for which somebody waits now and then, the shortest slice; its priority
/// stays.
///
/// # Errors
/// The system refuses.
pub(crate) fn shorten_slice() -> io::Result<()> {
    set(getpriority_process(None)?)
}

/// Lets a thread that waits for this core go on first: within a slice nobody else gets it. Between pieces of
/// work that is long beside a message's.
pub(crate) fn give_way() {
    std::thread::yield_now();
}

fn set(nice: i32) -> io::Result<()> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_OTHER as u32,
        nice,
        runtime: SLICE_NS,
        ..SchedAttr::default()
    };
    // SAFETY: the system reads `size` bytes of the struct, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the system says of the calling thread: its slice, in ns; zero: it says none.
    fn slice_ns() -> u64 {
        let mut attr = SchedAttr::default();
        let size = size_of::<SchedAttr>() as u32;
        // SAFETY: the system writes `size` bytes at most, which the struct has.
        let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        attr.runtime
    }

    #[test]
    fn a_background_thread_yields_and_the_others_stay_as_they_are() {
        let own = getpriority_process(None).expect("it can be asked");
        let before_ns = slice_ns();
        std::thread::spawn(move || {
            shorten_slice().expect("anybody may");
            assert_eq!(getpriority_process(None).expect("it can be asked"), own);
            lower_priority().expect("anybody may");
            assert_eq!(
                getpriority_process(None).expect("it can be asked"),
                NICE_MAX
            );
            // Older kernels take it, and have one slice for all.
            assert!([SLICE_NS, before_ns].contains(&slice_ns()));
        })
        .join()
        .expect("all is as it should be");
        assert_eq!(getpriority_process(None).expect("it can be asked"), own);
        assert_eq!(slice_ns(), before_ns);
    }
}
