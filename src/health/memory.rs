//! Memory and page faults, as the kernel counts them.

use std::fs;
use std::mem::MaybeUninit;
use std::ops::{Add, Sub};

/// Memory of this process in bytes; zeros where `/proc` doesn't tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Resident now.
    pub resident_bytes: u64,
    /// The most that was resident.
    pub peak_bytes: u64,
}

impl Memory {
    /// Reads `/proc/self/status`. Allocates: not for the hot loops.
    #[must_use]
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(key)?.trim().strip_suffix("kB"))
                .and_then(|kb| kb.trim().parse::<u64>().ok())
                .map_or(0, |kb| kb * 1024)
        };
        Self {
            resident_bytes: bytes("VmRSS:"),
            peak_bytes: bytes("VmHWM:"),
        }
    }
}

/// Page faults of one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PageFaults {
    /// Served from memory.
    pub minor: u64,
    /// Served from a disk.
    pub major: u64,
}

impl Add for PageFaults {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            minor: self.minor + more.minor,
            major: self.major + more.major,
        }
    }
}

impl Sub for PageFaults {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            minor: self.minor - earlier.minor,
            major: self.major - earlier.major,
        }
    }
}

/// The calling thread's page faults so far. Doesn't allocate.
#[must_use]
pub fn thread_page_faults() -> PageFaults {
    page_faults(libc::RUSAGE_THREAD)
}

/// The process's page faults so far. Doesn't allocate.
#[must_use]
pub fn process_page_faults() -> PageFaults {
    page_faults(libc::RUSAGE_SELF)
}

fn page_faults(whose: libc::c_int) -> PageFaults {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: zeros are a usage, and it is a place for the answer.
    let usage = unsafe {
        libc::getrusage(whose, usage.as_mut_ptr());
        usage.assume_init()
    };
    let count = |n: libc::c_long| u64::try_from(n).unwrap_or(0);
    PageFaults {
        minor: count(usage.ru_minflt),
        major: count(usage.ru_majflt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        let memory = Memory::now();
        assert!(memory.resident_bytes > 100_000);
        assert!(memory.peak_bytes >= memory.resident_bytes);
    }

    #[test]
    fn touching_new_memory_is_a_page_fault() {
        let before = thread_page_faults();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = thread_page_faults();
        drop(block);
        assert!(after.minor > before.minor, "{before:?} {after:?}");
        assert!(process_page_faults().minor >= after.minor);
    }
}
