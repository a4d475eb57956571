//! AVX-512.

use std::arch::x86_64::*;

use super::Simd;

/// 16 lanes, 32 registers.
#[derive(Debug, Clone, Copy)]
pub struct Avx512;

// SAFETY: every load and store is of one register or one number.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the trait's contract is all there is to say"
)]
unsafe impl Simd for Avx512 {
    type V = __m512;
    type Factor = __m512;
    const LANES: usize = 16;
    const STEP: usize = 1;
    const TILE: (usize, usize) = (14, 2);
    const NARROW: (usize, usize) = (7, 4);
    const HALF: (usize, usize) = (14, 1);
    const ABREAST: usize = 1;

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: __m512) {
        unsafe { _mm512_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn load_factor(from: *const f32) -> __m512 {
        unsafe { _mm512_set1_ps(*from) }
    }
    #[inline(always)]
    unsafe fn fma_factor(sum: __m512, b: __m512, factor: __m512, _lane: usize) -> __m512 {
        unsafe { _mm512_fmadd_ps(b, factor, sum) }
    }
    #[inline(always)]
    unsafe fn fma(sum: __m512, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    // Both give the second operand where one of them is NaN.
    #[inline(always)]
    unsafe fn max(x: __m512, bound: __m512) -> __m512 {
        unsafe { _mm512_max_ps(x, bound) }
    }
    #[inline(always)]
    unsafe fn min(x: __m512, bound: __m512) -> __m512 {
        unsafe { _mm512_min_ps(x, bound) }
    }
    #[inline(always)]
    unsafe fn where_negative(x: __m512, then: __m512) -> __m512 {
        unsafe {
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
            _mm512_mask_mov_ps(x, negative, then)
        }
    }
}
