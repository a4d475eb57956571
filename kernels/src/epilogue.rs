//! What happens to a sum before it is stored.

use crate::aligned_box::AlignedBox;
use crate::simd::{CHUNK, Simd};

/// What happens to each sum of a convolution before it is stored, in this order: the bias is
/// added, then a [`Residual::Before`], the activation is applied, a [`Residual::After`] is added.
#[derive(Debug, Clone)]
pub struct Epilogue {
    /// One number for each channel, up to whole chunks.
    pub bias: AlignedBox,
    /// The activation.
    pub activation: Activation,
    /// Whether another image is added, and when.
    pub residual: Residual,
}

impl Epilogue {
    /// Whether there are a bias and slopes for so many channels, up to whole chunks.
    pub(super) fn covers(&self, channels: usize) -> bool {
        let slopes = match &self.activation {
            Activation::PRelu(slopes) => slopes.len(),
            Activation::Identity | Activation::Clip { .. } => usize::MAX,
        };
        channels.next_multiple_of(CHUNK) <= self.bias.len().min(slopes)
    }
}

/// An activation function.
#[derive(Debug, Clone)]
pub enum Activation {
    /// As it is.
    Identity,
    /// Not below `low` and not above `high`; NaN becomes `low`.
    Clip {
        /// The lower bound, a finite one.
        low: f32,
        /// The upper bound.
        high: f32,
    },
    /// Times a slope where negative: one for each channel, up to whole chunks.
    PRelu(AlignedBox),
}

/// An image of the output's own shape and layout that is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// There is none.
    None,
    /// Before the activation.
    Before,
    /// After the activation.
    After,
}

/// Applies the activation to `N` x `R` registers that belong to the channels from `channel` on.
///
/// # Safety
/// The CPU has the instruction set, and a PReLU has slopes for `R` registers from `channel` on.
#[inline(always)]
pub(super) unsafe fn activate<S: Simd, const N: usize, const R: usize>(
    activation: &Activation,
    channel: usize,
    sums: &mut [[S::V; R]; N],
) {
    // SAFETY: the caller's promises.
    unsafe {
        match activation {
            Activation::Identity => {}
            Activation::Clip { low, high } => {
                let (low, high) = (S::splat(*low), S::splat(*high));
                for n in 0..N {
                    for r in 0..R {
                        sums[n][r] = S::min(S::max(sums[n][r], low), high);
                    }
                }
            }
            Activation::PRelu(slopes) => {
                let slopes = slopes.as_ptr().add(channel);
                for r in 0..R {
                    let slope = S::load(slopes.add(r * S::LANES));
                    for n in 0..N {
                        let x = sums[n][r];
                        sums[n][r] = S::where_negative(x, S::mul(x, slope));
                    }
                }
            }
        }
    }
}
