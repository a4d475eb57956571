//! Placing buffers in one arena: those that are never needed at the same time may share memory.

use palmd_kernels::CHUNK;

/// A buffer: its length, and the layers that write it first and read it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    pub len: usize,
    pub first: usize,
    pub last: usize,
}

/// An offset for each buffer, at the beginning of a cache line, and the length of the arena, which
/// is `usize::MAX` where that is no number.
///
/// The largest buffers come first, each as low as it fits among those that live at the same time.
pub fn place(buffers: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(buffers[i].len));
    let mut offsets = vec![0_usize; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena_len = 0;
    for &i in &order {
        let buffer = buffers[i];
        let len = buffer.len.next_multiple_of(CHUNK);
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| {
                buffer.first <= buffers[other].last && buffers[other].first <= buffer.last
            })
            .map(|&other| {
                (
                    offsets[other],
                    offsets[other].saturating_add(buffers[other].len.next_multiple_of(CHUNK)),
                )
            })
            .collect();
        taken.sort_unstable();
        let mut offset = 0_usize;
        for (begin, end) in taken {
            if offset.saturating_add(len) <= begin {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        arena_len = arena_len.max(offset.saturating_add(len));
        placed.push(i);
    }
    (offsets, arena_len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buffers_that_live_at_the_same_time_never_overlap(
            buffers in prop::collection::vec((0..200usize, 0..20usize, 0..8usize), 0..40)
        ) {
            let buffers: Vec<_> = buffers
                .into_iter()
                .map(|(len, first, lasts)| Lifetime { len, first, last: first + lasts })
                .collect();
            let (offsets, arena_len) = place(&buffers);
            for (i, (a, &at)) in buffers.iter().zip(&offsets).enumerate() {
                prop_assert!(at % CHUNK == 0 && at + a.len <= arena_len);
                for (b, &bt) in buffers.iter().zip(&offsets).skip(i + 1) {
                    let apart = a.last < b.first || b.last < a.first;
                    prop_assert!(apart || at + a.len <= bt || bt + b.len <= at);
                }
            }
        }
    }

    #[test]
    fn a_chain_of_layers_needs_two_buffers() {
        let chain: Vec<_> = (0..10)
            .map(|i| Lifetime {
                len: 160,
                first: i,
                last: i + 1,
            })
            .collect();
        assert_eq!(place(&chain).1, 320);
    }
}
