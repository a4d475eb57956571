//! The process's memory: there before it is needed, and there to stay.
//!
//! The hot loops allocate nothing, but memory that they have may still be missing when they touch
//! it: a page of a stack that was never that deep, or one of the program that was dropped for want
//! of memory and lies on a slow card.

use std::hint::black_box;
use std::io;
use std::mem::MaybeUninit;

/// Stack that a thread may use without a page fault.
const STACK: usize = 256 << 10;

/// Memory can't be locked. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "memory can't be locked (memory.lock): {error}, and the limit is {limit}; allow it with \
     LimitMEMLOCK=infinity in palmd.service, or in a shell with `ulimit -l unlimited`"
)]
pub struct LockError {
    /// The system's answer.
    error: io::Error,
    /// The limit that holds, for people.
    limit: String,
}

/// Brings all of the process's memory in, and keeps it from being swapped out or dropped; also
/// what comes later. The whole of it counts, files that are mapped and addresses that are only
/// reserved included.
///
/// # Errors
/// [`LockError`] where it isn't allowed; nothing is locked then.
pub fn lock() -> Result<(), LockError> {
    // SAFETY: no pointers; it changes where memory is, and not what is in it.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } == 0 {
        return Ok(());
    }
    Err(LockError {
        error: io::Error::last_os_error(),
        limit: lock_limit().map_or("unknown".into(), |bytes| match bytes {
            libc::RLIM_INFINITY => "infinite".into(),
            bytes => format!("{} kB", bytes / 1024),
        }),
    })
}

fn lock_limit() -> Option<libc::rlim_t> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a place for the answer.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (asked == 0).then_some(limit.rlim_cur)
}

/// Gives memory that is free back to the system: loading a model takes more than the model keeps.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers; it may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Brings in what the calling thread's stack will need.
#[inline(never)]
pub fn touch_stack() {
    black_box(&mut [0u8; STACK]);
}

/// Brings in memory that was allocated and not written yet.
pub fn touch<T>(places: &mut [MaybeUninit<T>]) {
    places.fill_with(MaybeUninit::zeroed);
    black_box(places);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::thread_page_faults;

    #[inline(never)]
    fn deep() {
        black_box(&mut [1u8; STACK / 2]);
    }

    #[test]
    fn a_touched_stack_has_fewer_page_faults() {
        let faults = |touched: bool| {
            let work = move || {
                if touched {
                    touch_stack();
                }
                let before = thread_page_faults();
                deep();
                (thread_page_faults() - before).minor
            };
            std::thread::spawn(work).join().expect("no panic")
        };
        let untouched = faults(false);
        // None on a real machine; an emulator has some of its own.
        let touched = faults(true);
        assert!(touched < untouched, "{touched} and {untouched}");
    }

    #[test]
    fn touched_memory_is_written_with_fewer_page_faults() {
        let faults = |touched: bool| {
            let mut block = Vec::<u64>::with_capacity(4 << 20);
            if touched {
                touch(block.spare_capacity_mut());
            }
            let before = thread_page_faults();
            black_box(&mut block).resize(4 << 20, 1);
            (thread_page_faults() - before).minor
        };
        let (untouched, touched) = (faults(false), faults(true));
        assert!(touched < untouched / 2, "{touched} and {untouched}");
    }
}
