//! Pinning a thread to a core, and seeing that it worked.

use rustix::thread::{CpuSet, sched_getaffinity};

/// A thread could not be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// The core is not among those that this process may use.
    #[error(
        "core {core} is not available to this process, which may use cores {allowed:?}; \
         change the [threads] *_core settings, or start it with a wider taskset or cpuset"
    )]
    NotAllowed {
        /// The core that was asked for.
        core: usize,
        /// The cores there are.
        allowed: Vec<usize>,
    },
    /// The system took the call, and did not do it.
    #[error(
        "the system did not pin thread {thread} to core {core}: it may still run on {actual:?}; \
         remove the [threads] *_core settings, or ask why the system refuses"
    )]
    NotPinned {
        /// The thread's name.
        thread: &'static str,
        /// The core that was asked for.
        core: usize,
        /// Where it may run.
        actual: Vec<usize>,
    },
}

/// The cores that this thread may use, ascending.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return vec![0];
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect()
}

/// Pins the calling thread, and verifies its mask afterwards: the call alone can fail silently.
///
/// # Errors
/// The core is not allowed, or the mask is not what was asked for.
pub fn pin(thread: &'static str, core: usize) -> Result<(), PinError> {
    let allowed = allowed_cores();
    if !allowed.contains(&core) {
        return Err(PinError::NotAllowed { core, allowed });
    }
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let actual = allowed_cores();
    if actual == [core] {
        Ok(())
    } else {
        Err(PinError::NotPinned {
            thread,
            core,
            actual,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_use_its_core_only() {
        std::thread::spawn(|| {
            let core = allowed_cores()[0];
            assert_eq!(pin("test", core), Ok(()));
            assert_eq!(allowed_cores(), [core]);
        })
        .join()
        .expect("the thread ends well");
    }

    #[test]
    fn a_core_that_is_not_there_is_refused_with_those_that_are() {
        let error = pin("test", 1_000).expect_err("no machine of ours has it");
        assert!(error.to_string().contains("may use cores"), "{error}");
    }
}
