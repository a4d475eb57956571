//! AVX2 with FMA.

use std::arch::x86_64::*;

use super::Simd;

/// 8 lanes, 16 registers.
#[derive(Debug, Clone, Copy)]
pub struct Avx2;

// SAFETY: every load and store is of one register or one number.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the trait's contract is all there is to say"
)]
unsafe impl Simd for Avx2 {
    type V = __m256;
    type Factor = __m256;
    const LANES: usize = 8;
    const STEP: usize = 1;
    const TILE: (usize, usize) = (6, 2);
    const NARROW: (usize, usize) = (3, 4);
    const HALF: (usize, usize) = (12, 1);
    const ABREAST: usize = 1;

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: __m256) {
        unsafe { _mm256_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn load_factor(from: *const f32) -> __m256 {
        unsafe { _mm256_set1_ps(*from) }
    }
    #[inline(always)]
    unsafe fn fma_factor(sum: __m256, b: __m256, factor: __m256, _lane: usize) -> __m256 {
        unsafe { _mm256_fmadd_ps(b, factor, sum) }
    }
    #[inline(always)]
    unsafe fn fma(sum: __m256, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    // Both give the second operand where one of them is NaN.
    #[inline(always)]
    unsafe fn max(x: __m256, bound: __m256) -> __m256 {
        unsafe { _mm256_max_ps(x, bound) }
    }
    #[inline(always)]
    unsafe fn min(x: __m256, bound: __m256) -> __m256 {
        unsafe { _mm256_min_ps(x, bound) }
    }
    #[inline(always)]
    unsafe fn where_negative(x: __m256, then: __m256) -> __m256 {
        unsafe {
            let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_setzero_ps());
            _mm256_blendv_ps(x, then, negative)
        }
    }
}
