//! The address range in which all pools lie: a block's address tells whether it is a pool's, and
//! whose.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Pools that may be there at once.
pub const SLOTS: usize = if cfg!(target_pointer_width = "64") {
    16
} else {
    8
};

/// The most that a pool can hold.
pub const SLOT_BYTES: usize = if cfg!(target_pointer_width = "64") {
    32 << 20
} else {
    16 << 20
};

/// Begin of the range; null until the first pool is made. It is never given back.
static START: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// Reserves the range, if nobody has yet. `None` where there is no room for it.
pub fn reserve() -> Option<()> {
    if !START.load(Relaxed).is_null() {
        return Some(());
    }
    let start = map(
        ptr::null_mut(),
        SLOTS * SLOT_BYTES,
        libc::PROT_NONE,
        RESERVE,
    )?;
    if START
        .compare_exchange(ptr::null_mut(), start.as_ptr(), Relaxed, Relaxed)
        .is_err()
    {
        // SAFETY: somebody else was quicker, and nobody knows of this range.
        unsafe { libc::munmap(start.as_ptr().cast(), SLOTS * SLOT_BYTES) };
    }
    Some(())
}

/// The slot in which `block` lies. Wait-free.
pub fn slot_of(block: *const u8) -> Option<usize> {
    // Relaxed is enough: whoever was given a block has been given what came before it.
    let start = START.load(Relaxed);
    let offset = block.addr().wrapping_sub(start.addr());
    (offset < SLOTS * SLOT_BYTES && !start.is_null()).then_some(offset / SLOT_BYTES)
}

/// Begin of slot `i`, with the right to all of it.
pub fn slot_start(i: usize) -> *mut u8 {
    START.load(Relaxed).wrapping_add(i * SLOT_BYTES)
}

/// The pointer to `block` with the right to all of its slot: whoever used the block had the right
/// to the block alone.
pub fn whole(block: *mut u8) -> *mut u8 {
    START.load(Relaxed).with_addr(block.addr())
}

/// Backs `bytes` from `start` on with zeroed memory that is there already; both are multiples of
/// the page size. Returns whether there was memory.
///
/// The pages are made accessible, not mapped anew: a new mapping that fails may leave a hole, and
/// what others map there would be taken for a pool's.
///
/// # Safety
/// The pages lie in a slot of the caller's, and nothing in them is in use.
pub unsafe fn back(start: *mut u8, bytes: usize) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: pages of the range, which is ours for good; nobody uses these.
    let is_ours = unsafe { libc::mprotect(start.cast(), bytes, access) } == 0;
    if is_ours {
        // SAFETY: they have just been made accessible. Writing brings them in.
        unsafe { start.write_bytes(0, bytes) };
    }
    is_ours
}

/// Gives the memory of slot `i` back and keeps its addresses.
///
/// # Safety
/// The slot is the caller's, and nothing in it is in use.
pub unsafe fn release(i: usize) {
    map(
        slot_start(i),
        SLOT_BYTES,
        libc::PROT_NONE,
        RESERVE | libc::MAP_FIXED,
    );
}

const RESERVE: i32 = libc::MAP_NORESERVE;

fn map(start: *mut u8, bytes: usize, access: i32, flags: i32) -> Option<NonNull<u8>> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new range, or (MAP_FIXED) one that `release` was promised.
    let mapped = unsafe { libc::mmap(start.cast(), bytes, access, flags, -1, 0) };
    (mapped != libc::MAP_FAILED)
        .then(|| NonNull::new(mapped.cast()))
        .flatten()
}
