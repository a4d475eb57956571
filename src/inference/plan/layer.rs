//! A layer: one step of arithmetic with the places of its operands and its output.

use std::ops::Range;

use super::block::Block;
use super::team::Team;
use super::{Bases, Operands, Slot};
use crate::inference::kernels::{
    Assemble, Axis, Depthwise, Gather, Global, ImageShape, Pool, Product, Reduce, Resize, Rows,
    Sink, Unary, Zip, softmax,
};
use crate::inference::simd::{InstructionSet, Simd, instantiate};

/// A step and where it finds and leaves its numbers.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Name of the node in the model that it ends with.
    pub name: String,
    /// Multiplications and additions, where they are what counts.
    pub macs: u64,
    pub(super) step: Step,
    pub(super) operands: Vec<Slot>,
    pub(super) output: Slot,
    /// Memory that its parts need for themselves.
    pub(super) scratch: Option<Slot>,
    /// Parts of its rows that different threads may compute.
    pub(super) parts: usize,
}

/// Multiplications and additions from which on a layer is shared: what takes a few microseconds
/// is done before another thread has noticed.
const WORTH_SHARING: u64 = if cfg!(test) { 1 } else { 200_000 };

impl Layer {
    /// What kind of work it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.step.kind()
    }

    /// Computes the output, on the threads of a team.
    pub(super) fn run(&self, bases: &Bases<'_>, set: InstructionSet, team: &Team) {
        let operands = Operands {
            bases,
            slots: &self.operands,
        };
        match self.step.rows() {
            Some(rows) => team.share(self.parts, &|part| {
                let range = rows * part / self.parts..rows * (part + 1) / self.parts;
                // SAFETY: the operands of a layer, its output and its scratch don't overlap, no
                // other layer runs meanwhile, and each part writes its own rows and scratch.
                let (output, scratch) = unsafe {
                    let own = |slot: &Slot| bases.write(&slot.part(part, self.parts));
                    (bases.sink(&self.output), self.scratch.as_ref().map(own))
                };
                let scratch = scratch.unwrap_or_default();
                self.step.run_rows(range, &operands, output, scratch);
            }),
            None => {
                // SAFETY: as above.
                let output = unsafe { bases.write(&self.output) };
                // SAFETY: plain Rust asks for nothing.
                unsafe { plain(set, &self.step, &operands, output) }
            }
        }
    }
}

/// One step of arithmetic.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each is documented where it is defined")]
pub enum Step {
    /// A product; a second operand is its residual.
    Product {
        product: Product,
        /// Rows and columns.
        axes: (Axis, Axis),
    },
    /// Layers together; a second operand is the last one's residual.
    Block(Box<Block>),
    Depthwise(Depthwise),
    Pool(Pool),
    Global {
        global: Global,
        pixels: usize,
    },
    Resize(Resize),
    ToChunks(ImageShape),
    ToDense(ImageShape),
    Unary(Unary),
    Zip(Zip),
    Assemble(Assemble),
    Gather(Gather),
    Reduce(Reduce),
    Softmax {
        len: usize,
    },
}

impl Step {
    fn kind(&self) -> &'static str {
        match self {
            Self::Product { .. } => "product",
            Self::Block(_) => "block",
            Self::Depthwise(_) => "depthwise",
            Self::Pool(_) | Self::Global { .. } => "pool",
            Self::Resize(_) => "resize",
            Self::ToChunks(_) | Self::ToDense(_) => "layout",
            Self::Unary(_) | Self::Zip(_) => "elementwise",
            Self::Assemble(_) | Self::Gather(_) => "rearrange",
            Self::Reduce(_) | Self::Softmax { .. } => "reduce",
        }
    }

    /// Whether a second operand is added.
    pub(super) fn has_residual(&self) -> bool {
        match self {
            Self::Product { product, .. } => product.has_residual(),
            Self::Block(block) => block.has_residual(),
            _ => false,
        }
    }

    /// Into how many parts so many threads cut a step of so many multiplications.
    pub(super) fn parts(&self, macs: u64, threads: usize) -> usize {
        let rows = self.rows().filter(|_| macs >= WORTH_SHARING);
        rows.map_or(1, |rows| rows.clamp(1, threads))
    }

    /// Rows of the output, where some can be computed without the others.
    fn rows(&self) -> Option<usize> {
        match self {
            Self::Product { axes, .. } => Some(axes.0.output),
            Self::Block(block) => Some(block.rows()),
            Self::Depthwise(depthwise) => Some(depthwise.axes().0.output),
            _ => None,
        }
    }

    /// Computes some rows, of a step that has such.
    fn run_rows(
        &self,
        rows: Range<usize>,
        operands: &Operands<'_>,
        output: Sink<'_>,
        scratch: &mut [f32],
    ) {
        let source = operands.get(0);
        let residual = if self.has_residual() {
            operands.get(1)
        } else {
            &[]
        };
        match self {
            Self::Product { product, .. } => {
                product.run(rows, Rows::all(source), residual, Rows::all(output));
            }
            Self::Block(block) => block.run(rows, source, residual, output, scratch),
            Self::Depthwise(depthwise) => {
                depthwise.run(rows, Rows::all(source), Rows::all(output));
            }
            _ => {}
        }
    }
}

instantiate!(
    /// The steps that are plain Rust, compiled for each instruction set.
    fn plain(step: &Step, operands: &Operands<'_>, output: &mut [f32]) = plain_on
);

#[inline(always)]
unsafe fn plain_on<S: Simd>(step: &Step, operands: &Operands<'_>, output: &mut [f32]) {
    let source = operands.get(0);
    match step {
        Step::Product { .. } | Step::Block(_) | Step::Depthwise(_) => {}
        Step::Pool(pool) => pool.run(source, output),
        Step::Global { global, pixels } => global.run(*pixels, source, output),
        Step::Resize(resize) => resize.run(source, output),
        Step::ToChunks(image) => image.to_chunks(source, output),
        Step::ToDense(image) => image.to_dense(source, output),
        Step::Unary(unary) => unary.run(source, output),
        Step::Zip(zip) => zip.run(source, operands.get(1), output),
        Step::Assemble(assemble) => assemble.run(|i| operands.get(i), output),
        Step::Gather(gather) => gather.run(source, output),
        Step::Reduce(reduce) => reduce.run(source, output),
        Step::Softmax { len } => softmax(*len, source, output),
    }
}
