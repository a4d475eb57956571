//! The pool: fixed memory for operators that allocate.
//!
//! palmd's own operators work in memory that was set aside at load. Those of tract ask the
//! allocator in every run. Where a model has such operators, its [`Network`](super::Network) owns
//! a [`Pool`] and runs inside of its scope: until the scope ends, what the thread allocates comes
//! out of the pool, and no system call, lock or page fault is in the way.
//!
//! - The pool finds its size by itself: it grows while the network is tried at load, and is then
//!   [closed](Pool::warm_up) with a margin. Its pages are there from the beginning.
//! - A block may outlive its scope and be freed anywhere, by any thread: its address tells that it
//!   is a pool's, and the pool takes it back when it is next entered. A pool that is dropped
//!   before its blocks leaves its memory to them.
//! - A full pool sends the thread on to the system, and [the miss is
//!   counted](crate::health::AllocatorCalls::misses).
//!
//! All of this needs [`CountingAllocator`](crate::health::CountingAllocator) as the program's
//! allocator; with another one there is never a pool.

mod region;
mod slot;

use std::alloc::Layout;
use std::cell::Cell;
use std::fmt;
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::thread;

use self::slot::Slot;
use super::patience::LOADING_THREAD;
use crate::health::thread_calls;

/// Fixed memory out of which a thread allocates while it is in the pool's scope.
pub struct Pool {
    slot: &'static Slot,
    bytes: usize,
}

/// Rounds at load in which a pool grows. The first one sets up what is kept between rounds, the
/// second drops what the first one kept.
const ROUNDS: usize = 3;

thread_local! {
    // Constant and without a destructor, so that reading it never allocates and it outlives every
    // other thread-local value.
    static ENTERED: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

impl Pool {
    /// Does `work` twice, and if it still asks the system's allocator then, makes a pool that is
    /// large enough for it. `None` if it doesn't, or if there is no memory for a pool.
    ///
    /// # Errors
    /// The first error of `work`.
    pub fn warm_up<E: Send>(
        mut work: impl FnMut() -> Result<(), E> + Send,
    ) -> Result<Option<Self>, E> {
        work()?;
        let before = thread_calls();
        work()?;
        if thread_calls() == before {
            return Ok(None);
        }
        let Some(mut pool) = Self::new() else {
            log::warn!(
                "there is no room for another pool: a network will ask the system for memory"
            );
            return Ok(None);
        };
        // On a thread of its own, as the work will be: what is kept for each thread is then set up
        // anew, and finds its room now.
        let rounds = || (0..ROUNDS).try_for_each(|_| pool.enter(&mut work));
        let done = thread::scope(|scope| {
            let thread = thread::Builder::new().name(LOADING_THREAD.into());
            let thread = thread.spawn_scoped(scope, rounds).ok()?;
            Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let Some(done) = done else {
            return Ok(None);
        };
        done?;
        pool.close();
        Ok(Some(pool))
    }

    /// An empty pool, which grows until it is closed. `None` where all places are taken, or no
    /// addresses are left.
    fn new() -> Option<Self> {
        let slot = slot::take()?;
        Some(Self { slot, bytes: 0 })
    }

    /// Adds a margin, and grows no more.
    fn close(&mut self) {
        // SAFETY: the slot was taken by this pool, whose only user is the caller.
        self.bytes = unsafe { self.slot.heap() }.close();
    }

    /// Memory that it has, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Does `work` with the thread's memory out of this pool. Scopes may be nested; the innermost
    /// pool serves.
    pub fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        // SAFETY: the slot was taken by this pool, whose only user is the caller.
        unsafe { self.slot.collect() };
        let _scope = Scope {
            outer: ENTERED.replace(Some(self.slot)),
        };
        work()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool of {} bytes", self.bytes)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: the slot was taken by this pool, and nobody uses it any more.
        unsafe { self.slot.leave() };
    }
}

/// Ends a pool's scope, also when the work in it panics.
struct Scope {
    outer: Option<&'static Slot>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        ENTERED.set(self.outer);
    }
}

/// What the pool of the scope that the thread is in says to a request.
pub(crate) enum Answer {
    /// There is no scope.
    Outside,
    /// There is no room.
    Full,
    /// A block.
    Block(NonNull<u8>),
}

/// Asks for a block for `layout`. No system call, once the pool is closed.
pub(crate) fn allocate(layout: Layout) -> Answer {
    let Some(slot) = ENTERED.get() else {
        return Answer::Outside;
    };
    // SAFETY: this thread is in the scope of the slot's pool, which borrows the pool mutably; and
    // neither a heap's nor a scope's own work allocates.
    match unsafe { slot.allocate(layout) } {
        Some(block) => Answer::Block(block),
        None => Answer::Full,
    }
}

/// Whether `block` is a pool's. Wait-free.
pub(crate) fn owns(block: *const u8) -> bool {
    region::slot_of(block).is_some()
}

/// Frees `block` if it is a pool's, and tells whether it was. Lock-free.
///
/// # Safety
/// `block` was allocated for `layout`, by a pool or by somebody else, and is no longer in use.
pub(crate) unsafe fn free(block: *mut u8, layout: Layout) -> bool {
    let Some(slot) = slot::slot_of(block) else {
        return false;
    };
    // SAFETY: the block is the slot's and goes back to it as the caller promised; the heap is
    // used as in `allocate`.
    unsafe {
        match NonNull::new(region::whole(block)) {
            Some(block) if is_entered(slot) => slot.heap().free(block, layout),
            _ => slot.give_back(block, layout),
        }
    }
    true
}

/// Makes a pool's block fit `layout`, if the thread is in that pool's scope and there is room.
///
/// # Safety
/// `block` is a pool's, was allocated with the alignment of `layout`, and is no longer in use if
/// the answer is another block.
pub(crate) unsafe fn resize(block: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
    let slot = slot::slot_of(block).filter(|slot| is_entered(slot))?;
    let block = NonNull::new(region::whole(block))?;
    // SAFETY: as promised by the caller; the heap is used as in `allocate`.
    unsafe { slot.heap().resize(block, layout) }
}

fn is_entered(slot: &'static Slot) -> bool {
    ENTERED.get().is_some_and(|entered| ptr::eq(entered, slot))
}

#[cfg(test)]
mod tests;
