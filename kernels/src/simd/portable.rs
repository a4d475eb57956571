//! Plain Rust, for every other CPU and to hold the others to.

use super::Simd;

/// 4 lanes; the compiler finds registers for them.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn zip(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

// SAFETY: every load and store is of one array or one number.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the trait's contract is all there is to say"
)]
unsafe impl Simd for Portable {
    type V = [f32; 4];
    type Factor = f32;
    const LANES: usize = 4;
    const STEP: usize = 1;
    const TILE: (usize, usize) = (2, 4);
    const NARROW: (usize, usize) = (1, 8);
    const HALF: (usize, usize) = (4, 2);
    const ABREAST: usize = 1;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: [f32; 4]) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_factor(from: *const f32) -> f32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn fma_factor(sum: [f32; 4], b: [f32; 4], factor: f32, _lane: usize) -> [f32; 4] {
        unsafe { Self::fma(sum, b, [factor; 4]) }
    }
    // Two roundings: `f32::mul_add` is a call into the C library where the CPU lacks FMA.
    #[inline(always)]
    unsafe fn fma(sum: [f32; 4], a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(sum, zip(a, b, |a, b| a * b), |sum, product| sum + product)
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn max(x: [f32; 4], bound: [f32; 4]) -> [f32; 4] {
        zip(x, bound, |x, bound| if x > bound { x } else { bound })
    }
    #[inline(always)]
    unsafe fn min(x: [f32; 4], bound: [f32; 4]) -> [f32; 4] {
        zip(x, bound, |x, bound| if x < bound { x } else { bound })
    }
    #[inline(always)]
    unsafe fn where_negative(x: [f32; 4], then: [f32; 4]) -> [f32; 4] {
        zip(x, then, |x, then| if x < 0.0 { then } else { x })
    }
}
