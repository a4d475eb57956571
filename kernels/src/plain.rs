//! The kernels that are plain Rust: the compiler vectorises their loops.

use crate::simd::{InstructionSet, Simd, instantiate};
use crate::{Assemble, Gather, Global, ImageShape, Pool, Reduce, Resize, Unary, Zip, softmax};

/// Where a kernel finds its operands: number `i` is what it gives for `i`.
type Operands<'a> = &'a dyn Fn(usize) -> &'a [f32];

/// A kernel that is plain Rust, compiled for each instruction set.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each is documented where it is defined")]
pub enum Plain {
    Pool(Pool),
    Global { global: Global, pixels: usize },
    Resize(Resize),
    ToChunks(ImageShape),
    ToDense(ImageShape),
    Unary(Unary),
    Zip(Zip),
    Assemble(Assemble),
    Gather(Gather),
    Reduce(Reduce),
    Softmax { len: usize },
}

impl Plain {
    /// What kind of work it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pool(_) | Self::Global { .. } => "pool",
            Self::Resize(_) => "resize",
            Self::ToChunks(_) | Self::ToDense(_) => "layout",
            Self::Unary(_) | Self::Zip(_) => "elementwise",
            Self::Assemble(_) | Self::Gather(_) => "rearrange",
            Self::Reduce(_) | Self::Softmax { .. } => "reduce",
        }
    }

    /// Writes `output`; `operand(i)` is its operand `i`.
    ///
    /// # Panics
    /// If an operand or the output is too short.
    pub fn run(&self, set: InstructionSet, operand: Operands<'_>, output: &mut [f32]) {
        // SAFETY: plain Rust asks for nothing.
        unsafe { plain(set, self, operand, output) }
    }
}

instantiate!(fn plain(step: &Plain, operand: Operands<'_>, output: &mut [f32]) = plain_on);

#[inline(always)]
unsafe fn plain_on<S: Simd>(step: &Plain, operand: Operands<'_>, output: &mut [f32]) {
    match step {
        Plain::Pool(pool) => pool.run(operand(0), output),
        Plain::Global { global, pixels } => global.run(*pixels, operand(0), output),
        Plain::Resize(resize) => resize.run(operand(0), output),
        Plain::ToChunks(image) => image.to_chunks(operand(0), output),
        Plain::ToDense(image) => image.to_dense(operand(0), output),
        Plain::Unary(unary) => unary.run(operand(0), output),
        Plain::Zip(zip) => zip.run(operand(0), operand(1), output),
        Plain::Assemble(assemble) => assemble.run(operand, output),
        Plain::Gather(gather) => gather.run(operand(0), output),
        Plain::Reduce(reduce) => reduce.run(operand(0), output),
        Plain::Softmax { len } => softmax(*len, operand(0), output),
    }
}
