//! A layer: one step of arithmetic with the places of its operands and its output.

use super::Slot;
use super::block::Block;
use crate::inference::kernels::{
    Assemble, Axis, Depthwise, Gather, Global, ImageShape, Pool, Product, Reduce, Resize, Rows,
    Unary, Zip, softmax,
};

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

    pub(super) fn run<'a>(
        &self,
        operand: impl Fn(usize) -> &'a [f32],
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        let residual = if self.has_residual() { operand(1) } else { &[] };
        match self {
            Self::Product { product, axes } => {
                let rows = 0..axes.0.output;
                product.run(rows, Rows::all(operand(0)), residual, Rows::all(output));
            }
            Self::Block(block) => block.run(operand(0), residual, output, scratch),
            Self::Depthwise(depthwise) => {
                let rows = 0..depthwise.axes().0.output;
                depthwise.run(rows, Rows::all(operand(0)), Rows::all(output));
            }
            Self::Pool(pool) => pool.run(operand(0), output),
            Self::Global { global, pixels } => global.run(*pixels, operand(0), output),
            Self::Resize(resize) => resize.run(operand(0), output),
            Self::ToChunks(image) => image.to_chunks(operand(0), output),
            Self::ToDense(image) => image.to_dense(operand(0), output),
            Self::Unary(unary) => unary.run(operand(0), output),
            Self::Zip(zip) => zip.run(operand(0), operand(1), output),
            Self::Assemble(assemble) => assemble.run(operand, output),
            Self::Gather(gather) => gather.run(operand(0), output),
            Self::Reduce(reduce) => reduce.run(operand(0), output),
            Self::Softmax { len } => softmax(*len, operand(0), output),
        }
    }
}
