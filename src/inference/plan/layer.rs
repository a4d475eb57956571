//! A layer: one step of arithmetic with the places of its operands and its output.

use std::ops::Range;

use super::block::Block;
use super::team::Team;
use super::{Bases, Operands, Slot};
use palmd_kernels::{Axis, Depthwise, InstructionSet, Plain, Product, Rows, Sink};

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
        if let Step::Plain(plain) = &self.step {
            // SAFETY: the operands of a layer and its output don't overlap, and no other layer
            // runs meanwhile.
            let output = unsafe { bases.write(&self.output) };
            return plain.run(set, &|i| operands.get(i), output);
        }
        let rows = self.step.rows().unwrap_or(0);
        team.share(self.parts, &|part| {
            let range = rows * part / self.parts..rows * (part + 1) / self.parts;
            // SAFETY: as above, and each part writes its own rows and scratch.
            let (output, scratch) = unsafe {
                let own = |slot: &Slot| bases.write(&slot.part(part, self.parts));
                (bases.sink(&self.output), self.scratch.as_ref().map(own))
            };
            let scratch = scratch.unwrap_or_default();
            self.step.run_rows(range, &operands, output, scratch);
        });
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
    /// Everything else, which is done as a whole.
    Plain(Plain),
}

impl Step {
    fn kind(&self) -> &'static str {
        match self {
            Self::Product { .. } => "product",
            Self::Block(_) => "block",
            Self::Depthwise(_) => "depthwise",
            Self::Plain(plain) => plain.kind(),
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

impl From<Plain> for Step {
    fn from(plain: Plain) -> Self {
        Self::Plain(plain)
    }
}
