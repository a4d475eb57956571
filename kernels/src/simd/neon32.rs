//! NEON on 32-bit ARM (armv7), where the system says that the CPU has it.
//!
//! Stable Rust has neither its intrinsics nor its target feature there, but it has `asm!`, which takes
//! an `f64` in a `d` register, where NEON sees two numbers; the compiler, which knows 16 of these,
//! finds registers by itself. The matrix product needs all 32 (as 16 `q` registers of four
//! numbers) and therefore is one block of assembly, loop included.

use std::arch::asm;

use super::Simd;

/// 2 lanes.
#[derive(Debug, Clone, Copy)]
pub struct Neon32;

impl Neon32 {
    /// Whether the CPU has NEON with fused multiplication and addition (VFPv4).
    #[must_use]
    pub fn is_available() -> bool {
        const NEON: libc::c_ulong = 1 << 12;
        const VFPV4: libc::c_ulong = 1 << 16;
        // SAFETY: reads a number that the kernel gave the process.
        let has = unsafe { libc::getauxval(libc::AT_HWCAP) };
        has & (NEON | VFPV4) == NEON | VFPV4
    }
}

/// `neon!("vadd.f32 {x}, {x}, {b}", a, b)`: what becomes of `x`, which begins as `a`.
macro_rules! neon {
    ($instruction:literal, $x:expr $(, $name:ident)*) => {{
        let mut x: f64 = $x;
        asm!(".fpu neon-vfpv4", $instruction, x = inout(dreg_low16) x $(, $name = in(dreg_low16) $name)*,
            options(pure, nomem, nostack, preserves_flags));
        x
    }};
}

// SAFETY: every load and store is of one register.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the trait's contract is all there is to say"
)]
unsafe impl Simd for Neon32 {
    type V = f64;
    type Factor = f64;
    const LANES: usize = 2;
    const STEP: usize = 2;
    const TILE: (usize, usize) = (3, 8);
    const NARROW: (usize, usize) = (3, 8);
    const HALF: (usize, usize) = (3, 4);
    const ABREAST: usize = 1;

    #[inline(always)]
    unsafe fn splat(x: f32) -> f64 {
        let splat: f64;
        unsafe {
            asm!(".fpu neon-vfpv4", "vdup.32 {splat}, {x}", splat = out(dreg_low16) splat, x = in(reg) x.to_bits(),
                options(pure, nomem, nostack, preserves_flags));
        }
        splat
    }
    // An unaligned `f64` of Rust's own would go by way of the stack.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> f64 {
        let x: f64;
        unsafe {
            asm!("vldr {x}, [{from}]", x = out(dreg_low16) x, from = in(reg) from,
                options(pure, readonly, nostack, preserves_flags));
        }
        x
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: f64) {
        unsafe {
            asm!("vstr {x}, [{to}]", x = in(dreg_low16) x, to = in(reg) to,
                options(nostack, preserves_flags));
        }
    }
    #[inline(always)]
    unsafe fn load_factor(from: *const f32) -> f64 {
        unsafe { Self::load(from) }
    }
    #[inline(always)]
    unsafe fn fma_factor(sum: f64, b: f64, factor: f64, lane: usize) -> f64 {
        unsafe {
            match lane {
                0 => neon!("vmla.f32 {x}, {b}, {factor}[0]", sum, b, factor),
                _ => neon!("vmla.f32 {x}, {b}, {factor}[1]", sum, b, factor),
            }
        }
    }
    #[inline(always)]
    unsafe fn fma(sum: f64, a: f64, b: f64) -> f64 {
        unsafe { neon!("vfma.f32 {x}, {a}, {b}", sum, a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: f64, b: f64) -> f64 {
        unsafe { neon!("vadd.f32 {x}, {x}, {b}", a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: f64, b: f64) -> f64 {
        unsafe { neon!("vmul.f32 {x}, {x}, {b}", a, b) }
    }
    // `vmax` and `vmin` would give NaN where one of the operands is.
    #[inline(always)]
    unsafe fn max(a: f64, bound: f64) -> f64 {
        unsafe {
            let wins = neon!("vcgt.f32 {x}, {x}, {bound}", a, bound);
            neon!("vbsl {x}, {a}, {bound}", wins, a, bound)
        }
    }
    #[inline(always)]
    unsafe fn min(a: f64, bound: f64) -> f64 {
        unsafe {
            let wins = neon!("vcgt.f32 {x}, {bound}, {x}", a, bound);
            neon!("vbsl {x}, {a}, {bound}", wins, a, bound)
        }
    }
    #[inline(always)]
    unsafe fn where_negative(a: f64, then: f64) -> f64 {
        unsafe {
            let negative = neon!("vclt.f32 {x}, {x}, #0", a);
            neon!("vbsl {x}, {then}, {a}", negative, then, a)
        }
    }
    #[inline(always)]
    unsafe fn rows<const P: usize, const R: usize>(
        sums: &mut [[f64; R]; P],
        from: *const f32,
        stride: usize,
        weights: *const f32,
        len: usize,
    ) -> usize {
        let pairs = len / Self::STEP;
        if pairs == 0 || R != 8 || P > 3 {
            return 0;
        }
        let sums = sums.as_mut_ptr().cast();
        unsafe {
            match P {
                1 => one_pixel(sums, from, weights, pairs),
                2 => two_pixels(sums, from, stride, weights, pairs),
                _ => three_pixels(sums, from, stride, weights, pairs),
            }
        }
        pairs * Self::STEP
    }
}

/// Adds two rows of 16 weights, times two numbers of each pixel, again and again, to 16 sums a pixel:
/// the sums stay in `q4` to `q15`.
macro_rules! pairs {
    ($sums:expr, $weights:expr, $pairs:expr, [$($registers:literal)*], [$($pixel:ident = $from:expr, $factor:literal: $q0:literal $q1:literal $q2:literal $q3:literal);*]) => {
        asm!(
            ".fpu neon-vfpv4",
            $(concat!("vldmia {read}!, {{", $registers, "}}"),)*
            "2:",
            $(concat!("vld1.32 {{", $factor, "}}, [{", stringify!($pixel), "}]!"),)*
            "vld1.32 {{d4-d7}}, [{weights}]!",
            $(concat!("vmla.f32 ", $q0, ", q2, ", $factor, "[0]"), concat!("vmla.f32 ", $q1, ", q3, ", $factor, "[0]"),)*
            "vld1.32 {{d4-d7}}, [{weights}]!",
            $(concat!("vmla.f32 ", $q2, ", q2, ", $factor, "[0]"), concat!("vmla.f32 ", $q3, ", q3, ", $factor, "[0]"),)*
            "vld1.32 {{d4-d7}}, [{weights}]!",
            $(concat!("vmla.f32 ", $q0, ", q2, ", $factor, "[1]"), concat!("vmla.f32 ", $q1, ", q3, ", $factor, "[1]"),)*
            "vld1.32 {{d4-d7}}, [{weights}]!",
            "subs {pairs}, {pairs}, #1",
            $(concat!("vmla.f32 ", $q2, ", q2, ", $factor, "[1]"), concat!("vmla.f32 ", $q3, ", q3, ", $factor, "[1]"),)*
            "bne 2b",
            $(concat!("vstmia {write}!, {{", $registers, "}}"),)*
            read = inout(reg) $sums => _, write = inout(reg) $sums => _,
            weights = inout(reg) $weights => _, pairs = inout(reg) $pairs => _,
            $($pixel = inout(reg) $from => _,)*
            // By these names: named as `q4` to `q7`, rustc 1.96 does not save them for the caller.
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            out("d16") _, out("d17") _, out("d18") _, out("d19") _, out("d20") _, out("d21") _, out("d22") _, out("d23") _,
            out("d24") _, out("d25") _, out("d26") _, out("d27") _, out("d28") _, out("d29") _, out("d30") _, out("d31") _,
            options(nostack),
        )
    };
}

/// # Safety
/// `2 * pairs` numbers, as many rows of 16 weights, and 16 sums are in bounds; so below.
#[inline(never)]
unsafe fn one_pixel(sums: *mut f32, a: *const f32, weights: *const f32, pairs: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        pairs!(sums, weights, pairs, ["d8-d15"], [a = a, "d0": "q4" "q5" "q6" "q7"]);
    }
}

/// # Safety
/// As above, for two pixels `stride` apart.
#[inline(never)]
unsafe fn two_pixels(
    sums: *mut f32,
    a: *const f32,
    stride: usize,
    weights: *const f32,
    pairs: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        pairs!(sums, weights, pairs, ["d8-d15" "d16-d23"],
            [a = a, "d0": "q4" "q5" "q6" "q7"; b = a.add(stride), "d1": "q8" "q9" "q10" "q11"]);
    }
}

/// # Safety
/// As above, for three pixels.
#[inline(never)]
unsafe fn three_pixels(
    sums: *mut f32,
    a: *const f32,
    stride: usize,
    weights: *const f32,
    pairs: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        pairs!(sums, weights, pairs, ["d8-d15" "d16-d31"],
            [a = a, "d0": "q4" "q5" "q6" "q7"; b = a.add(stride), "d1": "q8" "q9" "q10" "q11";
             c = a.add(2 * stride), "d2": "q12" "q13" "q14" "q15"]);
    }
}
