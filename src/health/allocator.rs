//! A global allocator that counts the calls of each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::{Add, Sub};

/// The system's allocator, counting each thread's calls. Costs one thread-local increment a call.
///
/// ```
/// # use palmd::health::CountingAllocator;
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

/// Calls to the allocator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct AllocatorCalls {
    /// New blocks.
    pub allocations: u64,
    /// Blocks given back.
    pub frees: u64,
    /// Blocks resized.
    pub reallocations: u64,
}

impl AllocatorCalls {
    /// All calls together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.allocations + self.frees + self.reallocations
    }
}

impl Add for AllocatorCalls {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            allocations: self.allocations + more.allocations,
            frees: self.frees + more.frees,
            reallocations: self.reallocations + more.reallocations,
        }
    }
}

impl Sub for AllocatorCalls {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations - earlier.allocations,
            frees: self.frees - earlier.frees,
            reallocations: self.reallocations - earlier.reallocations,
        }
    }
}

thread_local! {
    // Constant and without a destructor, so that reading it never allocates and it outlives every
    // other thread-local value.
    static CALLS: Cell<AllocatorCalls> = const {
        Cell::new(AllocatorCalls { allocations: 0, frees: 0, reallocations: 0 })
    };
}

/// What the calling thread has asked of the allocator so far; zeros where
/// [`CountingAllocator`] isn't the program's allocator.
#[must_use]
pub fn thread_calls() -> AllocatorCalls {
    CALLS.get()
}

fn count(change: impl FnOnce(&mut AllocatorCalls)) {
    let mut calls = CALLS.get();
    change(&mut calls);
    CALLS.set(calls);
}

// SAFETY: every call goes on to `System` with the arguments as they came, and counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|c| c.allocations += 1);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(|c| c.allocations += 1);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(|c| c.frees += 1);
        // SAFETY: `block` came from `System` through this allocator, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(|c| c.reallocations += 1);
        // SAFETY: `block` came from `System` through this allocator, with this `layout`.
        unsafe { System.realloc(block, layout, size) }
    }
}
