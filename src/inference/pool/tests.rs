use std::sync::mpsc;

use proptest::prelude::*;

use super::*;

/// A block with a pattern in it, which nobody else may touch.
#[derive(Debug)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    pattern: u8,
}

// SAFETY: a block belongs to whoever has it.
unsafe impl Send for Block {}

impl Block {
    /// `None` when the pool is full.
    fn new(size: usize, align: usize, pattern: u8) -> Option<Self> {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        match allocate(layout) {
            Answer::Block(start) => {
                assert_eq!(start.addr().get() % align, 0, "{layout:?}");
                assert!(owns(start.as_ptr()));
                let block = Self {
                    start,
                    layout,
                    pattern,
                };
                block.fill();
                Some(block)
            }
            Answer::Full => None,
            Answer::Outside => panic!("not in a scope"),
        }
    }

    fn fill(&self) {
        // SAFETY: the block's own bytes.
        unsafe { self.start.write_bytes(self.pattern, self.layout.size()) };
    }

    fn check(&self, bytes: usize) {
        // SAFETY: the block's own bytes, which `fill` wrote.
        let bytes = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), bytes) };
        assert!(bytes.iter().all(|b| *b == self.pattern), "{self:?}");
    }

    /// Returns whether there was room.
    fn resize(&mut self, size: usize) -> bool {
        let old = self.layout.size();
        let layout = Layout::from_size_align(size, self.layout.align()).expect("a layout");
        // SAFETY: the block was allocated with that alignment, and is replaced by the new one.
        let Some(start) = (unsafe { resize(self.start.as_ptr(), layout) }) else {
            self.check(old);
            return false;
        };
        (self.start, self.layout) = (start, layout);
        self.check(old.min(size));
        self.fill();
        true
    }

    fn free(self) {
        self.check(self.layout.size());
        // SAFETY: the block was allocated for that layout and ends here.
        assert!(unsafe { free(self.start.as_ptr(), self.layout) });
    }
}

#[derive(Debug, Clone)]
enum Step {
    Allocate { size: usize, align: u32 },
    Resize { which: usize, size: usize },
    Free { which: usize },
    FreeOutside { which: usize },
    FreeElsewhere { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = || prop_oneof![4 => 1..200usize, 2 => 200..20_000usize, 1 => 20_000..300_000usize];
    let step = prop_oneof![
        5 => (size(), 0..13u32).prop_map(|(size, align)| Step::Allocate { size, align }),
        2 => (any::<usize>(), size()).prop_map(|(which, size)| Step::Resize { which, size }),
        3 => any::<usize>().prop_map(|which| Step::Free { which }),
        1 => any::<usize>().prop_map(|which| Step::FreeOutside { which }),
        1 => any::<usize>().prop_map(|which| Step::FreeElsewhere { which }),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn blocks_are_apart_and_come_back(steps in steps(), closed_after in 0..200usize) {
        let mut pool = Pool::new().expect("a pool");
        let mut blocks: Vec<Block> = Vec::new();
        for (i, step) in steps.into_iter().enumerate() {
            if i == closed_after {
                pool.close();
            }
            let mut taken = |which: usize| {
                let len = blocks.len();
                (len > 0).then(|| blocks.swap_remove(which % len))
            };
            match step {
                Step::Allocate { size, align } => {
                    let new = pool.enter(|| Block::new(size, 1 << align, i as u8));
                    prop_assert!(new.is_some() || i >= closed_after);
                    blocks.extend(new);
                }
                Step::Resize { which, size } => {
                    if let Some(mut block) = taken(which) {
                        let done = pool.enter(|| block.resize(size));
                        prop_assert!(done || i >= closed_after);
                        blocks.push(block);
                    }
                }
                Step::Free { which } => {
                    if let Some(block) = taken(which) {
                        pool.enter(|| block.free());
                    }
                }
                Step::FreeOutside { which } => taken(which).into_iter().for_each(Block::free),
                Step::FreeElsewhere { which } => {
                    if let Some(block) = taken(which) {
                        thread::spawn(|| block.free()).join().expect("frees");
                    }
                }
            }
        }
        blocks.into_iter().for_each(Block::free);
        // Nothing got lost, and the pieces are one again.
        pool.close();
        let all = pool.bytes();
        if all > 0 {
            let whole = pool.enter(|| Block::new(all * 7 / 8, 1, 0)).expect("room for all");
            whole.free();
        }
    }
}

#[test]
fn blocks_that_other_threads_free_come_back() {
    let mut pool = Pool::new().expect("a pool");
    let first = pool.enter(|| Block::new(100_000, 8, 1)).expect("room");
    pool.close();
    first.free();
    let (to_first, first) = mpsc::channel::<Block>();
    let (to_second, second) = mpsc::channel::<Block>();
    let freers =
        [first, second].map(|blocks| thread::spawn(|| blocks.into_iter().for_each(Block::free)));
    for i in 0..20_000 {
        // Together more than the pool holds: the others must have given some back.
        let block = loop {
            match pool.enter(|| Block::new(1 + i % 3_000, 8, i as u8)) {
                Some(block) => break block,
                None => thread::yield_now(),
            }
        };
        [&to_first, &to_second][i % 2].send(block).expect("a freer");
    }
    drop((to_first, to_second));
    for freer in freers {
        freer.join().expect("frees");
    }
    pool.enter(|| Block::new(100_000, 8, 1))
        .expect("all is back")
        .free();
}

#[test]
fn a_full_pool_says_so_and_has_room_again() {
    let mut pool = Pool::new().expect("a pool");
    pool.enter(|| Block::new(1000, 8, 1)).expect("room").free();
    pool.close();
    let mut blocks = Vec::new();
    while let Some(block) = pool.enter(|| Block::new(1000, 8, blocks.len() as u8)) {
        blocks.push(block);
    }
    assert!(blocks.len() * 1000 > pool.bytes() / 2);
    blocks.pop().expect("a block").free();
    // Given back outside of the scope, and there as soon as it is needed.
    pool.enter(|| {
        let block = Block::new(1000, 8, 0).expect("room again");
        assert!(Block::new(1000, 8, 0).is_none());
        block.free();
    });
    blocks.into_iter().for_each(Block::free);
}

#[test]
fn what_no_pool_can_hold_is_refused() {
    let mut pool = Pool::new().expect("a pool");
    for size in [region::SLOT_BYTES, isize::MAX as usize - 64] {
        assert!(pool.enter(|| Block::new(size, 8, 0)).is_none());
    }
    pool.enter(|| Block::new(1000, 8, 0))
        .expect("it still works")
        .free();
}

#[test]
fn the_innermost_scope_serves() {
    let (mut outer, mut inner) = (Pool::new().expect("a pool"), Pool::new().expect("another"));
    let slot = |block: &Block| region::slot_of(block.start.as_ptr());
    outer.enter(|| {
        let a = Block::new(10, 1, 1).expect("room");
        let b = inner.enter(|| {
            let b = Block::new(10, 1, 2).expect("room");
            a.check(10);
            b
        });
        let c = Block::new(10, 1, 3).expect("room");
        assert_ne!(slot(&a), slot(&b));
        assert_eq!(slot(&a), slot(&c));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            inner.enter(|| resume_unwind(Box::new("quietly")));
        }));
        assert!(panic.is_err());
        let d = Block::new(10, 1, 4).expect("room");
        assert_eq!(slot(&a), slot(&d));
        [a, b, c, d].into_iter().for_each(Block::free);
    });
    assert!(matches!(allocate(Layout::new::<u8>()), Answer::Outside));
}

#[test]
fn a_pool_that_is_gone_leaves_its_memory_to_its_blocks() {
    let mut pool = Pool::new().expect("a pool");
    let slot = pool.slot;
    let blocks = [1, 2].map(|i| pool.enter(|| Block::new(5000, 8, i)).expect("room"));
    drop(pool);
    for block in blocks {
        // Whoever takes a slot doesn't get this one.
        let other = Pool::new().expect("a pool");
        assert!(!ptr::eq(other.slot, slot));
        block.free();
    }
    let _sweep = Pool::new();
    assert!(!slot.waits());
}
