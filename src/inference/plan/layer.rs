//! A layer: one step of arithmetic with the places of its operands and its output.

use super::Slot;
use crate::inference::kernels::{
    Assemble, Depthwise, Gather, Global, ImageShape, Pool, Product, Reduce, Resize, Unary, Zip,
    softmax,
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
    Product(Product),
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
            Self::Product(_) => "product",
            Self::Depthwise(_) => "depthwise",
            Self::Pool(_) | Self::Global { .. } => "pool",
            Self::Resize(_) => "resize",
            Self::ToChunks(_) | Self::ToDense(_) => "layout",
            Self::Unary(_) | Self::Zip(_) => "elementwise",
            Self::Assemble(_) | Self::Gather(_) => "rearrange",
            Self::Reduce(_) | Self::Softmax { .. } => "reduce",
        }
    }

    pub(super) fn run<'a>(&self, operand: impl Fn(usize) -> &'a [f32], output: &mut [f32]) {
        match self {
            Self::Product(product) if product.has_residual() => {
                product.run(operand(0), operand(1), output);
            }
            Self::Product(product) => product.run(operand(0), &[], output),
            Self::Depthwise(depthwise) => depthwise.run(operand(0), output),
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
