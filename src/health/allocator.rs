//! A global allocator that counts the calls of each thread, and knows the pools.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::{Add, Sub};

use crate::inference::pool::{self, Answer};

/// The system's allocator, and in the scope of a [`Pool`](crate::inference::Pool) that pool.
/// Counts each thread's calls, which costs one thread-local increment a call.
///
/// ```
/// # use palmd::health::CountingAllocator;
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

/// Calls to the allocator: the system's, but for `pooled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct AllocatorCalls {
    /// New blocks.
    pub allocations: u64,
    /// Blocks given back.
    pub frees: u64,
    /// Blocks resized.
    pub reallocations: u64,
    /// Calls that a pool answered.
    pub pooled: u64,
    /// Calls that a full pool passed on to the system.
    pub misses: u64,
}

impl AllocatorCalls {
    /// Calls that the system answered.
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
            pooled: self.pooled + more.pooled,
            misses: self.misses + more.misses,
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
            pooled: self.pooled - earlier.pooled,
            misses: self.misses - earlier.misses,
        }
    }
}

thread_local! {
    // Constant and without a destructor, so that reading it never allocates and it outlives every
    // other thread-local value.
    static CALLS: Cell<AllocatorCalls> = const {
        Cell::new(AllocatorCalls {
            allocations: 0,
            frees: 0,
            reallocations: 0,
            pooled: 0,
            misses: 0,
        })
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

/// A block out of the pool whose scope the thread is in, if it is in one and there is room.
fn from_pool(layout: Layout) -> Option<*mut u8> {
    match pool::allocate(layout) {
        Answer::Outside => None,
        Answer::Full => {
            count(|c| c.misses += 1);
            None
        }
        Answer::Block(block) => {
            count(|c| c.pooled += 1);
            Some(block.as_ptr())
        }
    }
}

// SAFETY: every call goes to a pool or to `System` with the arguments as they came; a block goes
// back to where it is from. Counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        from_pool(layout).unwrap_or_else(|| {
            count(|c| c.allocations += 1);
            // SAFETY: the caller's promises about `layout` are passed on.
            unsafe { System.alloc(layout) }
        })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(block) = from_pool(layout) {
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
            return block;
        }
        count(|c| c.allocations += 1);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from this allocator with this `layout`, and the caller is done
        // with it.
        if unsafe { pool::free(block, layout) } {
            count(|c| c.pooled += 1);
            return;
        }
        count(|c| c.frees += 1);
        // SAFETY: as above, and it isn't a pool's: so it is from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !pool::owns(block) {
            count(|c| c.reallocations += 1);
            // SAFETY: `block` came from this allocator with this `layout`, and as it isn't a
            // pool's, from `System`.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that `size` goes with this alignment, that `block` is of
        // this `layout`, and not to use it if the answer is another one. The two blocks of a copy
        // are apart, and each as large as what is copied.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            if let Some(block) = pool::resize(block, wanted) {
                count(|c| c.pooled += 1);
                return block.as_ptr();
            }
            let new = self.alloc(wanted);
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
