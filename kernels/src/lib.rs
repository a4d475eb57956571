//! The arithmetic of palmd's networks: kernels over images in chunks of [`CHUNK`] channels.
//!
//! An image of `C` channels and `P` pixels lies in memory as `[ceil(C / 16)][P][16]`: the rows of
//! a chunk follow one another without padding. The lanes beyond the last channel hold anything.
//!
//! Every kernel is one generic source over [`Simd`](simd::Simd). What it may touch is
//! checked against the slices that it is given before it begins; inside it works with pointers.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over registers are unrolled; indices show which"
)]

mod aligned_box;
mod axis;
mod depthwise;
mod elementwise;
mod epilogue;
mod layout;
mod plain;
mod pool;
mod product;
mod rearrange;
mod reduce;
mod resize;
mod simd;

pub use aligned_box::AlignedBox;
pub use axis::Axis;
pub use depthwise::Depthwise;
pub use elementwise::{Binary, Pairing, Unary, Zip};
pub use epilogue::{Activation, Epilogue, Residual};
pub use layout::{ImageShape, Rows, Sink};
pub use plain::Plain;
pub use pool::{Divisor, Global, Pool, PoolKind};
pub use product::{Product, Region, Run, Strides};
pub use rearrange::{Assemble, Gather, Part};
pub use reduce::{Reduce, Reducer, softmax};
pub use resize::Resize;
pub use simd::{CHUNK, InstructionSet, UnknownInstructionSet};
