//! Pooling: over windows, and over the whole image.

use super::axis::Axis;
use crate::simd::CHUNK;

/// Pooling over the windows of an image in chunks.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Rows.
    pub rows: Axis,
    /// Columns.
    pub columns: Axis,
    /// What is made of a window.
    pub kind: PoolKind,
}

/// What is made of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest number. NaN is passed over, and so is padding.
    Max,
    /// The sum, divided by the pixels inside of the image, by all taps, or not at all.
    Sum(Divisor),
}

/// What a sum is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divisor {
    /// Nothing.
    One,
    /// The taps that aren't padding.
    Inside,
    /// All taps.
    Taps,
}

type Lanes = [f32; CHUNK];

#[inline(always)]
fn lanes(numbers: &[f32], at: usize) -> &Lanes {
    let (lanes, _) = numbers.as_chunks::<CHUNK>();
    &lanes[at]
}

#[inline(always)]
fn max(most: &mut Lanes, with: &Lanes) {
    for (most, &x) in most.iter_mut().zip(with) {
        *most = if x > *most { x } else { *most };
    }
}

#[inline(always)]
fn add(sum: &mut Lanes, with: &Lanes) {
    for (sum, &x) in sum.iter_mut().zip(with) {
        *sum += x;
    }
}

impl Pool {
    /// Computes `output` from `source`, whole chunks both.
    #[inline(always)]
    pub fn run(&self, source: &[f32], output: &mut [f32]) {
        let Self {
            rows,
            columns,
            kind,
        } = self;
        let sources = source.chunks_exact(rows.input * columns.input * CHUNK);
        let outputs = output.chunks_exact_mut(rows.output * columns.output * CHUNK);
        for (source, output) in sources.zip(outputs) {
            for (y, line) in output.chunks_exact_mut(columns.output * CHUNK).enumerate() {
                let row_taps = rows.taps(y);
                let row = |tap| y * rows.stride + tap * rows.dilation - rows.pad_before;
                for (x, out) in line.as_chunks_mut::<CHUNK>().0.iter_mut().enumerate() {
                    let column_taps = columns.taps(x);
                    let column =
                        |tap| x * columns.stride + tap * columns.dilation - columns.pad_before;
                    let is_max = *kind == PoolKind::Max;
                    let mut all = [if is_max { f32::NEG_INFINITY } else { 0.0 }; CHUNK];
                    for ty in row_taps.clone() {
                        for tx in column_taps.clone() {
                            let pixel = lanes(source, row(ty) * columns.input + column(tx));
                            if is_max {
                                max(&mut all, pixel);
                            } else {
                                add(&mut all, pixel);
                            }
                        }
                    }
                    let divisor = match kind {
                        PoolKind::Max | PoolKind::Sum(Divisor::One) => 1,
                        PoolKind::Sum(Divisor::Inside) => row_taps.len() * column_taps.len(),
                        PoolKind::Sum(Divisor::Taps) => rows.kernel * columns.kernel,
                    };
                    if divisor > 1 {
                        let scale = 1.0 / divisor as f32;
                        all.iter_mut().for_each(|x| *x *= scale);
                    }
                    *out = all;
                }
            }
        }
    }
}

/// One number for each channel of an image in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// The sum of its pixels.
    Sum,
    /// The greatest of its pixels; NaN is passed over.
    Max,
}

impl Global {
    /// Computes one number for each channel from `pixels` pixels.
    #[inline(always)]
    pub fn run(self, pixels: usize, source: &[f32], output: &mut [f32]) {
        let sources = source.chunks_exact(pixels * CHUNK);
        for (source, output) in sources.zip(output.chunks_mut(CHUNK)) {
            let pixels = source.as_chunks::<CHUNK>().0.iter();
            let (begin, step): (f32, fn(&mut Lanes, &Lanes)) = match self {
                Self::Sum => (0.0, add),
                Self::Max => (f32::NEG_INFINITY, max),
            };
            let mut all = [begin; CHUNK];
            pixels.for_each(|pixel| step(&mut all, pixel));
            output.copy_from_slice(&all[..output.len()]);
        }
    }
}
