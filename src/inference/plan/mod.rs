//! A static plan: layers in order, and where in one arena each of them finds its operands and
//! leaves its output. Everything is decided at load; a run allocates nothing.
//!
//! A [`Builder`] takes layers and buffers, and places the buffers by how long each is needed.

mod arena;
mod block;
mod builder;
mod layer;
mod team;

pub use builder::{BufferId, Builder};
pub use layer::{Layer, Step};
pub use team::{MOST_THREADS, Team};

use std::time::Duration;

use palmd_kernels::{AlignedBox, InstructionSet, Sink};

/// Inputs, or outputs, that a plan can have: where they lie is kept on the stack.
pub const MOST_PORTS: usize = 16;

/// Layers, ready to run over an arena.
#[derive(Debug, Clone)]
pub struct Plan {
    set: InstructionSet,
    team: Team,
    layers: Vec<Layer>,
    constants: AlignedBox,
    arena_len: usize,
    input_lens: Vec<usize>,
    output_lens: Vec<usize>,
}

/// Numbers that a layer reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    place: Place,
    offset: usize,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Arena,
    Constants,
    Input(usize),
    Output(usize),
}

impl Slot {
    /// One of so many equal parts.
    fn part(&self, i: usize, parts: usize) -> Self {
        let len = self.len / parts;
        Self {
            offset: self.offset + i * len,
            len,
            ..*self
        }
    }
}

/// The operands of a layer.
pub(super) struct Operands<'a> {
    bases: &'a Bases<'a>,
    slots: &'a [Slot],
}

impl Operands<'_> {
    fn get(&self, i: usize) -> &[f32] {
        self.bases.read(&self.slots[i])
    }
}

/// Where the memory of one run is.
struct Bases<'a> {
    arena: *mut f32,
    constants: &'a [f32],
    inputs: &'a [&'a [f32]],
    outputs: heapless::Vec<*mut f32, MOST_PORTS>,
}

impl Bases<'_> {
    fn read(&self, slot: &Slot) -> &[f32] {
        let range = slot.offset..slot.offset + slot.len;
        match slot.place {
            Place::Constants => &self.constants[range],
            Place::Input(i) => &self.inputs[i][range],
            // SAFETY: slots lie within the arena and the outputs, whose lengths `Plan::run`
            // checks, and the output slot of a layer overlaps none of its operands
            // (`arena::place` and the builder see to it).
            Place::Arena => unsafe {
                std::slice::from_raw_parts(self.arena.add(slot.offset), slot.len)
            },
            // SAFETY: as above.
            Place::Output(i) => unsafe {
                std::slice::from_raw_parts(self.outputs[i].add(slot.offset), slot.len)
            },
        }
    }

    fn place(&self, slot: &Slot) -> *mut f32 {
        let base = match slot.place {
            Place::Arena => self.arena,
            Place::Output(i) => self.outputs[i],
            Place::Constants | Place::Input(_) => unreachable!("a layer never writes there"),
        };
        base.wrapping_add(slot.offset)
    }

    /// # Safety
    /// What is written is neither read nor written otherwise as long as the sink lives.
    unsafe fn sink(&self, slot: &Slot) -> Sink<'_> {
        // SAFETY: the slot lies within, as above; the rest is promised by the caller.
        unsafe { Sink::new(self.place(slot), slot.len) }
    }

    /// # Safety
    /// The slot is neither read nor written otherwise as long as the slice lives.
    #[allow(
        clippy::mut_from_ref,
        reason = "the memory is the arena's, not this struct's"
    )]
    unsafe fn write(&self, slot: &Slot) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.place(slot), slot.len) }
    }
}

// SAFETY: whoever writes promises that nobody else reads or writes there.
unsafe impl Sync for Bases<'_> {}

impl Plan {
    /// The layers in the order in which they run.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Numbers of each input.
    #[must_use]
    pub fn input_lens(&self) -> &[usize] {
        &self.input_lens
    }

    /// Numbers of each output.
    #[must_use]
    pub fn output_lens(&self) -> &[usize] {
        &self.output_lens
    }

    /// Numbers of the arena.
    #[must_use]
    pub fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// Computes the outputs. Doesn't allocate.
    ///
    /// # Panics
    /// If the arena, an input or an output is shorter than it must be.
    pub fn run(&self, arena: &mut AlignedBox, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        self.run_layers(arena, inputs, outputs, |run, _| run());
    }

    /// As [`run`](Self::run), and tells `spent` the time of each layer, in their order.
    pub fn profile(
        &self,
        arena: &mut AlignedBox,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        mut spent: impl FnMut(usize, Duration),
    ) {
        self.run_layers(arena, inputs, outputs, |run, layer| {
            let began = std::time::Instant::now();
            run();
            spent(layer, began.elapsed());
        });
    }

    fn run_layers(
        &self,
        arena: &mut AlignedBox,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        mut around: impl FnMut(&mut dyn FnMut(), usize),
    ) {
        assert!(arena.len() >= self.arena_len);
        let long_enough = |(has, must): (usize, &usize)| has >= *must;
        assert!(inputs.len() == self.input_lens.len() && outputs.len() == self.output_lens.len());
        assert!(
            inputs
                .iter()
                .map(|i| i.len())
                .zip(&self.input_lens)
                .all(long_enough)
        );
        assert!(
            outputs
                .iter()
                .map(|o| o.len())
                .zip(&self.output_lens)
                .all(long_enough)
        );
        let bases = Bases {
            arena: arena.as_mut_ptr(),
            constants: &self.constants,
            inputs,
            outputs: outputs.iter_mut().map(|o| o.as_mut_ptr()).collect(),
        };
        for (i, layer) in self.layers.iter().enumerate() {
            around(&mut || layer.run(&bases, self.set, &self.team), i);
        }
    }
}
