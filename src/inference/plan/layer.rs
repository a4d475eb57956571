//! A layer: one step of arithmetic with the places of its operands and its output.

use super::block::Block;
use super::{Operands, Slot};
use crate::inference::kernels::{
    Assemble, Axis, Depthwise, Gather, Global, ImageShape, Pool, Product, Reduce, Resize, Rows,
    Unary, Zip, softmax,
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
    /// Memory that it needs for itself.
    pub(super) scratch: Option<Slot>,
}

impl Layer {
    /// What kind of work it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.step.kind()
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
    Block(Block),
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

    pub(super) fn run(
        &self,
        set: InstructionSet,
        operands: &Operands<'_>,
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        let source = operands.get(0);
        let residual = if self.has_residual() {
            operands.get(1)
        } else {
            &[]
        };
        match self {
            Self::Product { product, axes } => {
                let rows = 0..axes.0.output;
                product.run(rows, Rows::all(source), residual, Rows::all(output));
            }
            Self::Block(block) => block.run(source, residual, output, scratch),
            Self::Depthwise(depthwise) => {
                let rows = 0..depthwise.axes().0.output;
                depthwise.run(rows, Rows::all(source), Rows::all(output));
            }
            // SAFETY: plain Rust asks for nothing.
            _ => unsafe { plain(set, self, operands, output) },
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
