//! Putting a plan together.

use super::arena::{self, Lifetime};
use super::block::Block;
use super::{Layer, Place, Plan, Slot, Step, Team};
use palmd_kernels::{AlignedBox, Axis, CHUNK, InstructionSet, Plain};

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
    scratch: Option<BufferId>,
    parts: usize,
}

/// The layers of a block.
#[derive(Debug, Clone, Copy)]
struct Parts {
    expansion: Option<usize>,
    depthwise: usize,
    projection: usize,
}

/// Numbers between two layers from which on they are worth to be computed together: what is
/// smaller stays in an L2 cache.
const WORTH_A_BLOCK: usize = 96 * 1024 / 4;

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
        step: impl Into<Step>,
        operands: &[BufferId],
        len: usize,
    ) -> BufferId {
        let output = self.buffer(Place::Arena, 0, len);
        self.layers.push(Draft {
            name: name.into(),
            macs,
            step: step.into(),
            operands: operands.into(),
            output,
            scratch: None,
            parts: 1,
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
        copy: impl FnOnce() -> Plain,
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

    /// The layer that writes a buffer which only one layer reads.
    fn only_source(&self, buffer: BufferId) -> Option<usize> {
        let readers = self
            .layers
            .iter()
            .filter(|l| l.operands.contains(&buffer))
            .count();
        let in_arena = self.buffers[buffer.0].place == Place::Arena;
        let writer = self.layers.iter().position(|layer| layer.output == buffer);
        writer.filter(|_| in_arena && readers == 1)
    }

    /// Joins depthwise convolutions with the products before and behind them, where what lies
    /// between is large.
    fn join_blocks(&mut self) {
        let mut at = 0;
        while at < self.layers.len() {
            let joined = self.block_ending(at).and_then(|parts| self.join(&parts));
            at = at + 1 - joined.unwrap_or(0);
        }
    }

    /// The parts of a block that ends with the layer at `last`, if there is one.
    fn block_ending(&self, last: usize) -> Option<Parts> {
        let is_large = |layer: usize| self.len(self.layers[layer].output) >= WORTH_A_BLOCK;
        let Step::Product { axes, .. } = &self.layers[last].step else {
            return None;
        };
        let depthwise = self.only_source(self.layers[last].operands[0])?;
        let Step::Depthwise(layer) = &self.layers[depthwise].step else {
            return None;
        };
        let (rows, columns) = layer.axes();
        let is_pointwise = |(r, c): &(Axis, Axis)| {
            (*r, *c) == (Axis::pointwise(r.input), Axis::pointwise(c.input))
        };
        if !is_pointwise(axes) || (axes.0.input, axes.1.input) != (rows.output, columns.output) {
            return None;
        }
        let expansion = self
            .only_source(self.layers[depthwise].operands[0])
            .filter(|&first| {
                let Step::Product { product, axes } = &self.layers[first].step else {
                    return false;
                };
                let fits = (axes.0.output, axes.1.output) == (rows.input, columns.input);
                fits && !product.has_residual() && is_large(first)
            });
        (expansion.is_some() || is_large(depthwise)).then_some(Parts {
            expansion,
            depthwise,
            projection: last,
        })
    }

    /// Puts a block in the place of its last layer, and gives how many layers went.
    fn join(&mut self, parts: &Parts) -> Option<usize> {
        let product = |layer: usize| match &self.layers[layer].step {
            Step::Product { product, .. } => Some(product.clone()),
            _ => None,
        };
        let Step::Depthwise(depthwise) = &self.layers[parts.depthwise].step else {
            return None;
        };
        let expansion = parts.expansion.and_then(product);
        let block = Block::new(expansion, depthwise.clone(), product(parts.projection)?)?;
        let first = parts.expansion.unwrap_or(parts.depthwise);
        let source = self.layers[first].operands[0];
        let before = [Some(parts.depthwise), parts.expansion];
        let macs: u64 = before
            .iter()
            .flatten()
            .map(|&at| self.layers[at].macs)
            .sum();
        let joined = &mut self.layers[parts.projection];
        joined.operands[0] = source;
        joined.macs += macs;
        joined.step = Step::Block(Box::new(block));
        let mut gone: Vec<usize> = before.into_iter().flatten().collect();
        gone.sort_unstable_by(|a, b| b.cmp(a));
        for &at in &gone {
            self.layers.remove(at);
        }
        Some(gone.len())
    }

    /// Places all buffers.
    #[must_use]
    pub fn finish(mut self, set: InstructionSet, team: &Team) -> Plan {
        self.join_blocks();
        for at in 0..self.layers.len() {
            let draft = &mut self.layers[at];
            draft.parts = draft.step.parts(draft.macs, team.threads());
            if let Step::Block(block) = &draft.step {
                let len = block.buffers_len() * draft.parts;
                self.layers[at].scratch = Some(self.buffer(Place::Arena, 0, len));
            }
        }
        let mut lives: Vec<Lifetime> = Vec::new();
        let mut in_arena: Vec<usize> = Vec::new();
        for (id, buffer) in self.buffers.iter().enumerate() {
            if buffer.place != Place::Arena {
                continue;
            }
            let writes = |l: &Draft| l.output == BufferId(id) || l.scratch == Some(BufferId(id));
            let Some(first) = self.layers.iter().position(writes) else {
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
            scratch: draft.scratch.map(slot),
            parts: draft.parts,
        };
        let layers = self.layers.into_iter().map(layer).collect();
        Plan {
            set,
            team: team.clone(),
            layers,
            constants: AlignedBox::of(&self.constants),
            arena_len,
            input_lens: self.input_lens,
            output_lens: self.output_lens,
        }
    }
}
