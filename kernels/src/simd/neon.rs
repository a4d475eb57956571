//! NEON on aarch64, where every CPU has it.

use std::arch::aarch64::*;

use super::Simd;

/// 4 lanes, 32 registers.
#[derive(Debug, Clone, Copy)]
pub struct Neon;

// SAFETY: every load and store is of one register.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the trait's contract is all there is to say"
)]
unsafe impl Simd for Neon {
    type V = float32x4_t;
    type Factor = float32x4_t;
    const LANES: usize = 4;
    const STEP: usize = 4;
    const TILE: (usize, usize) = (5, 4);
    const NARROW: (usize, usize) = (2, 8);
    const HALF: (usize, usize) = (10, 2);
    const ABREAST: usize = 2;

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, readonly, preserves_flags));
        }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: float32x4_t) {
        unsafe { vst1q_f32(to, x) }
    }
    #[inline(always)]
    unsafe fn load_factor(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn fma_factor(
        sum: float32x4_t,
        b: float32x4_t,
        factor: float32x4_t,
        lane: usize,
    ) -> float32x4_t {
        unsafe {
            match lane {
                0 => vfmaq_laneq_f32::<0>(sum, b, factor),
                1 => vfmaq_laneq_f32::<1>(sum, b, factor),
                2 => vfmaq_laneq_f32::<2>(sum, b, factor),
                _ => vfmaq_laneq_f32::<3>(sum, b, factor),
            }
        }
    }
    #[inline(always)]
    unsafe fn fma(sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(sum, a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    // Both give the number where one of the operands is NaN.
    #[inline(always)]
    unsafe fn max(x: float32x4_t, bound: float32x4_t) -> float32x4_t {
        unsafe { vmaxnmq_f32(x, bound) }
    }
    #[inline(always)]
    unsafe fn min(x: float32x4_t, bound: float32x4_t) -> float32x4_t {
        unsafe { vminnmq_f32(x, bound) }
    }
    #[inline(always)]
    unsafe fn where_negative(x: float32x4_t, then: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcltzq_f32(x), then, x) }
    }
}
