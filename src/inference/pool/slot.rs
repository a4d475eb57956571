//! A pool's place: its heap, on which one thread at a time works, and the blocks that others gave
//! back.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use rlsf::{GRANULARITY, Tlsf};

use super::region::{self, SLOT_BYTES, SLOTS};

/// A heap grows by multiples of this, which is also one of every page size.
const PIECE: usize = 64 << 10;

/// So many first levels let `Tlsf` join the pieces that it is given.
const FIRST_LEVELS: usize = (usize::BITS - GRANULARITY.ilog2()) as usize;
/// Each power of two is divided by so many: a free block may be larger than was asked for by one
/// of these parts.
const SECOND_LEVELS: usize = 16;

/// The slots, at fixed places for as long as the program runs.
static ALL: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];

/// A place for a pool.
pub struct Slot {
    state: AtomicU8,
    /// Blocks that were freed outside of their pool's scope, the last one first.
    returned: AtomicPtr<Returned>,
    heap: UnsafeCell<Heap>,
}

const FREE: u8 = 0;
const TAKEN: u8 = 1;
/// Its pool is gone, but not all of its blocks had come back.
const LEFT: u8 = 2;

// SAFETY: `heap` is handed out to one thread at a time (see `Slot::heap`), the rest is atomic.
unsafe impl Sync for Slot {}

/// Lies in a block that was freed, until the heap has it back.
struct Returned {
    next: *mut Returned,
    align: usize,
}

/// The slot in which `block` lies. Wait-free.
pub fn slot_of(block: *const u8) -> Option<&'static Slot> {
    region::slot_of(block).map(|i| &ALL[i])
}

/// Takes a slot that nobody uses. Its heap is empty and may grow.
pub fn take() -> Option<&'static Slot> {
    region::reserve()?;
    for slot in ALL.iter().filter(|slot| slot.advance(LEFT, TAKEN)) {
        // SAFETY: the slot has just been taken.
        unsafe { slot.leave() };
    }
    let mut slots = ALL.iter().enumerate();
    let (i, slot) = slots.find(|(_, slot)| slot.advance(FREE, TAKEN))?;
    // SAFETY: the slot has just been taken.
    *unsafe { slot.heap() } = Heap::new(i);
    Some(slot)
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            returned: AtomicPtr::new(ptr::null_mut()),
            heap: UnsafeCell::new(Heap::new(0)),
        }
    }

    /// Whether its pool is gone, but not all of its blocks are known to be back.
    #[cfg(test)]
    pub fn waits(&self) -> bool {
        self.state.load(Ordering::Relaxed) == LEFT
    }

    fn advance(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Its heap.
    ///
    /// # Safety
    /// The caller has taken the slot, or works for who has, and there is no other reference to
    /// the heap.
    #[allow(clippy::mut_from_ref, reason = "the caller sees to it")]
    pub unsafe fn heap(&self) -> &mut Heap {
        // SAFETY: as promised by the caller.
        unsafe { &mut *self.heap.get() }
    }

    /// A block for `layout`, or `None` when the heap is full.
    ///
    /// # Safety
    /// As for [`heap`](Self::heap).
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: as promised by the caller; each reference ends before the next one begins.
        unsafe {
            self.heap().allocate(layout).or_else(|| {
                self.collect();
                self.heap().allocate(layout)
            })
        }
    }

    /// Takes `block` back from a thread that isn't in its pool's scope. Lock-free.
    ///
    /// # Safety
    /// `block` lies in this slot, was allocated for `layout`, and is no longer in use.
    pub unsafe fn give_back(&self, block: *mut u8, layout: Layout) {
        let returned = region::whole(block).cast::<Returned>();
        let align = roomy(layout).align();
        let mut next = self.returned.load(Ordering::Relaxed);
        loop {
            // SAFETY: the block is the caller's so far, and `roomy` made it fit.
            unsafe { returned.write(Returned { next, align }) };
            match self.returned.compare_exchange_weak(
                next,
                returned,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(newer) => next = newer,
            }
        }
    }

    /// Puts the blocks that were given back into the heap.
    ///
    /// # Safety
    /// As for [`heap`](Self::heap).
    pub unsafe fn collect(&self) {
        // SAFETY: as promised by the caller.
        let heap = unsafe { self.heap() };
        let mut newest = self.returned.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(returned) = NonNull::new(newest) {
            // SAFETY: `give_back` wrote it into a block of this heap that nobody uses, and the
            // swap made it this thread's alone.
            unsafe {
                let Returned { next, align } = returned.read();
                heap.tlsf.deallocate(returned.cast(), align);
                newest = next;
            }
            heap.live -= 1;
        }
    }

    /// Gives the slot up, and its memory back to the system. If blocks are still in use, it waits
    /// with them for whoever takes a slot later.
    ///
    /// # Safety
    /// The caller has taken the slot, and there is no reference to its heap.
    pub unsafe fn leave(&self) {
        // SAFETY: as promised by the caller.
        let heap = unsafe {
            self.collect();
            self.heap()
        };
        let state = match heap.live {
            0 => {
                // SAFETY: no block is in use, and the next taker begins with a new heap.
                unsafe { region::release(heap.slot) };
                FREE
            }
            _ => LEFT,
        };
        self.state.store(state, Ordering::Release);
    }
}

/// Two-level segregated fit (Masmano et al. 2004) over the first pages of a slot: constant time.
pub struct Heap {
    slot: usize,
    tlsf: Tlsf<'static, usize, u16, FIRST_LEVELS, SECOND_LEVELS>,
    bytes: usize,
    may_grow: bool,
    /// Blocks in use.
    live: usize,
}

impl Heap {
    const fn new(slot: usize) -> Self {
        Self {
            slot,
            tlsf: Tlsf::new(),
            bytes: 0,
            may_grow: true,
            live: 0,
        }
    }

    /// A block for `layout`, or `None` when it is full. No system call, unless it may grow and
    /// must.
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = roomy(layout);
        let block = match self.tlsf.allocate(layout) {
            None => {
                self.grow_for(layout)?;
                self.tlsf.allocate(layout)?
            }
            Some(block) => block,
        };
        self.live += 1;
        Some(block)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` was allocated here for `layout` and is no longer in use.
    pub unsafe fn free(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { self.tlsf.deallocate(block, roomy(layout).align()) };
        self.live -= 1;
    }

    /// Makes a block fit its new `layout`, where it is or elsewhere. `None`, and no change, when
    /// there is no room.
    ///
    /// # Safety
    /// `block` was allocated here with the alignment of `layout`; if the answer is another block,
    /// this one is no longer in use.
    pub unsafe fn resize(&mut self, block: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        let layout = roomy(layout);
        // SAFETY: as promised by the caller.
        let resize = |heap: &mut Self| unsafe { heap.tlsf.reallocate(block, layout) };
        resize(self).or_else(|| {
            self.grow_for(layout)?;
            resize(self)
        })
    }

    /// Grows by another quarter, and then no more. Returns its size in bytes.
    pub fn close(&mut self) -> usize {
        if self.bytes > 0 {
            self.grow(self.bytes / 4);
        }
        self.may_grow = false;
        self.bytes
    }

    fn grow_for(&mut self, layout: Layout) -> Option<()> {
        let part = layout.size() / SECOND_LEVELS + 4 * GRANULARITY;
        let padded = layout.size().checked_add(layout.align())?;
        self.grow(padded.checked_add(part)?)
    }

    fn grow(&mut self, least: usize) -> Option<()> {
        let bytes = least.checked_next_multiple_of(PIECE)?;
        if !self.may_grow || bytes > SLOT_BYTES - self.bytes {
            return None;
        }
        let end = NonNull::new(region::slot_start(self.slot).wrapping_add(self.bytes))?;
        let piece = NonNull::slice_from_raw_parts(end, bytes);
        // SAFETY: the slot's next pages, which nobody has used since it was taken, and which stay
        // until it is left. They begin where the heap's memory ends so far.
        unsafe {
            if !region::back(end.as_ptr(), bytes) {
                return None;
            }
            if self.bytes == 0 {
                self.tlsf.insert_free_block_ptr(piece);
            } else {
                self.tlsf.append_free_block_ptr(piece);
            }
        }
        self.bytes += bytes;
        Some(())
    }
}

/// The layout of a block in which [`Returned`] finds room.
fn roomy(layout: Layout) -> Layout {
    let least = Layout::new::<Returned>();
    let size = layout.size().max(least.size());
    let align = layout.align().max(least.align());
    // It can only fail for sizes that no heap holds.
    Layout::from_size_align(size, align).unwrap_or(layout)
}
