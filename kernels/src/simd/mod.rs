//! Vectors of `f32`, one type for each instruction set, so that a kernel is written once.
//!
//! A kernel is a generic function over [`Simd`], always inlined into a wrapper that carries the
//! instruction set's `#[target_feature]` (see [`instantiate`]); [`InstructionSet`] chooses among
//! the wrappers once, at load.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod instruction_set;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "arm")]
mod neon32;
mod portable;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use instruction_set::{InstructionSet, UnknownInstructionSet};
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(target_arch = "arm")]
pub use neon32::Neon32;
pub use portable::Portable;

/// Channels in a chunk: one register with AVX-512, two with AVX2, four with NEON.
pub const CHUNK: usize = 16;

/// A vector of `f32` of one instruction set.
///
/// # Safety
/// Implementations read and write exactly as many numbers as they say, and nothing else.
///
/// The methods may only be called where the CPU has the instruction set. Loads and stores need
/// no alignment.
pub unsafe trait Simd: Copy {
    /// A register.
    type V: Copy;
    /// A register that holds [`STEP`](Self::STEP) numbers to be multiplied one after the other.
    type Factor: Copy;

    /// Numbers in a register.
    const LANES: usize;
    /// Numbers in a [`Factor`](Self::Factor).
    const STEP: usize;
    /// Registers in a chunk.
    const PER_CHUNK: usize = CHUNK / Self::LANES;
    /// Pixels and registers whose sums a matrix product keeps in registers.
    const TILE: (usize, usize);
    /// Registers across for a few pixels only: at most `NARROW.0` pixels and `NARROW.1` registers.
    const NARROW: (usize, usize);

    /// The same for the last half of a chunk, where the instruction set has half a chunk.
    const HALF: (usize, usize);
    /// Registers of a chunk that a depthwise convolution sums up at the same time.
    const ABREAST: usize;

    /// Asks for the cache line at an address, which may be anywhere.
    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads [`LANES`](Self::LANES) numbers.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes [`LANES`](Self::LANES) numbers.
    unsafe fn store(to: *mut f32, x: Self::V);
    /// Reads [`STEP`](Self::STEP) numbers.
    unsafe fn load_factor(from: *const f32) -> Self::Factor;
    /// `b * factor[lane] + sum`.
    unsafe fn fma_factor(sum: Self::V, b: Self::V, factor: Self::Factor, lane: usize) -> Self::V;
    /// Adds numbers of `P` pixels, `stride` apart, times rows of `R` registers of weights, where the
    /// instruction set has code of its own for that; and says how many of the `len` rows are done.
    #[inline(always)]
    unsafe fn rows<const P: usize, const R: usize>(
        _sums: &mut [[Self::V; R]; P],
        _from: *const f32,
        _stride: usize,
        _weights: *const f32,
        _len: usize,
    ) -> usize {
        0
    }
    /// `a * b + sum`.
    unsafe fn fma(sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `x.max(bound)`, as [`f32::max`] does it: NaN becomes the bound.
    unsafe fn max(x: Self::V, bound: Self::V) -> Self::V;
    /// `x.min(bound)`, as [`f32::min`] does it: NaN becomes the bound.
    unsafe fn min(x: Self::V, bound: Self::V) -> Self::V;
    /// `then` in the lanes where `x < 0`, `x` in the others.
    unsafe fn where_negative(x: Self::V, then: Self::V) -> Self::V;
}

/// Makes of one generic function a table with a variant for each instruction set.
///
/// `instantiate!(pub fn product(call: &Call<'_>) = product_on)` gives
/// `pub unsafe fn product(set: InstructionSet, call: &Call<'_>)`, which calls `product_on::<S>`.
macro_rules! instantiate {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),*) = $generic:ident) => {
        $(#[$meta])*
        $vis unsafe fn $name(set: $crate::simd::InstructionSet, $($arg: $type),*) {
            use $crate::simd::{self, InstructionSet};
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            unsafe fn avx512($($arg: $type),*) {
                // SAFETY: the caller's promises are passed on, and the features are enabled here.
                unsafe { $generic::<simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $type),*) {
                // SAFETY: as above.
                unsafe { $generic::<simd::Avx2>($($arg),*) }
            }
            // SAFETY: an `InstructionSet` exists only where the CPU has it; the rest is promised
            // by the caller.
            unsafe {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon => $generic::<simd::Neon>($($arg),*),
                    #[cfg(target_arch = "arm")]
                    InstructionSet::Neon32 => $generic::<simd::Neon32>($($arg),*),
                    InstructionSet::Portable => $generic::<simd::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use instantiate;
