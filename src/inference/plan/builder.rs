//! Putting a plan together.

use super::arena::{self, Lifetime};
use super::{Layer, Place, Plan, Slot, Step};
use crate::inference::kernels::AlignedBox;
use crate::inference::simd::CHUNK;

/// Numbers that a layer writes, or that are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(usize);

/// A plan in the making.
#[derive(Debug, Default)]
pub struct Builder {
    buffers: Vec<Buffer>,
    constants: Vec<f32>,
    layers: Vec<Draft>,
    input_lens: Vec<usize>,
    output_lens: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Buffer {
    place: Place,
    offset: usize,
    len: usize,
}

#[derive(Debug)]
struct Draft {
    name: String,
    macs: u64,
    step: Step,
    operands: Vec<BufferId>,
    output: BufferId,
}

impl Builder {
    fn buffer(&mut self, place: Place, offset: usize, len: usize) -> BufferId {
        self.buffers.push(Buffer { place, offset, len });
        BufferId(self.buffers.len() - 1)
    }

    /// The next input, of `len` numbers.
    pub fn input(&mut self, len: usize) -> BufferId {
        self.input_lens.push(len);
        self.buffer(Place::Input(self.input_lens.len() - 1), 0, len)
    }

    /// Numbers that never change.
    pub fn constant(&mut self, values: &[f32]) -> BufferId {
        let offset = self.constants.len();
        self.constants.extend(values);
        self.constants
            .resize(self.constants.len().next_multiple_of(CHUNK), 0.0);
        self.buffer(Place::Constants, offset, values.len())
    }

    /// How many numbers a buffer has.
    #[must_use]
    pub fn len(&self, buffer: BufferId) -> usize {
        self.buffers[buffer.0].len
    }

    /// A layer that leaves `len` numbers in a new buffer.
    pub fn layer(
        &mut self,
        name: &str,
        macs: u64,
        step: Step,
        operands: &[BufferId],
        len: usize,
    ) -> BufferId {
        let output = self.buffer(Place::Arena, 0, len);
        self.layers.push(Draft {
            name: name.into(),
            macs,
            step,
            operands: operands.into(),
            output,
        });
        output
    }

    /// Makes `buffer`, `len` numbers of it, the next output; `copy` gives the step that copies it
    /// where it can't be one itself.
    pub fn output(
        &mut self,
        name: &str,
        buffer: BufferId,
        len: usize,
        copy: impl FnOnce() -> Step,
    ) {
        let place = Place::Output(self.output_lens.len());
        self.output_lens.push(len);
        let is_own = self.buffers[buffer.0].place == Place::Arena && self.len(buffer) == len;
        let output = if is_own {
            buffer
        } else {
            self.layer(name, 0, copy(), &[buffer], len)
        };
        self.buffers[output.0].place = place;
    }

    /// Places all buffers.
    #[must_use]
    pub fn finish(mut self) -> Plan {
        let mut lives: Vec<Lifetime> = Vec::new();
        let mut in_arena: Vec<usize> = Vec::new();
        for (id, buffer) in self.buffers.iter().enumerate() {
            if buffer.place != Place::Arena {
                continue;
            }
            let Some(first) = self.layers.iter().position(|l| l.output == BufferId(id)) else {
                continue;
            };
            let reads = |layer: &Draft| layer.operands.contains(&BufferId(id));
            let last = self.layers.iter().rposition(reads).unwrap_or(first);
            lives.push(Lifetime {
                len: buffer.len,
                first,
                last,
            });
            in_arena.push(id);
        }
        let (offsets, arena_len) = arena::place(&lives);
        for (&id, &offset) in in_arena.iter().zip(&offsets) {
            self.buffers[id].offset = offset;
        }
        let buffers = self.buffers;
        let slot = |id: BufferId| {
            let Buffer { place, offset, len } = buffers[id.0];
            Slot { place, offset, len }
        };
        let layer = |draft: Draft| Layer {
            name: draft.name,
            macs: draft.macs,
            step: draft.step,
            operands: draft.operands.into_iter().map(slot).collect(),
            output: slot(draft.output),
        };
        let layers = self.layers.into_iter().map(layer).collect();
        Plan {
            layers,
            constants: AlignedBox::of(&self.constants),
            arena_len,
            input_lens: self.input_lens,
            output_lens: self.output_lens,
        }
    }
}
