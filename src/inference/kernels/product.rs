//! The matrix product that all convolutions but depthwise ones are.
//!
//! A tile of pixels times a panel of output channels is summed up in registers. The pixels'
//! numbers are read where they lie, by broadcast; the weights are packed panel by panel, in the
//! order in which they are read. Where a pixel's numbers lie is a list of [`Run`]s, the same for
//! all pixels of a [`Region`]: that covers pointwise and larger kernels, strides, dilation, and
//! borders (whose regions have runs without the taps that lie outside).

use std::ops::Range;

use super::epilogue::{Epilogue, Residual, activate};
use super::packed::AlignedBox;
use crate::inference::simd::{CHUNK, InstructionSet, Simd, instantiate};

/// A convolution as a matrix product: what is known at load.
#[derive(Debug, Clone)]
pub struct Product {
    set: InstructionSet,
    weights: AlignedBox,
    panels: Vec<Panel>,
    runs: Vec<Run>,
    regions: Vec<Region>,
    epilogue: Epilogue,
    /// From one chunk of output channels to the next.
    chunk_stride: usize,
    /// Pixels whose numbers stay in the cache while one panel follows the other.
    block: usize,
    source_len: usize,
    output_len: usize,
}

/// Neighbouring numbers of a pixel that are multiplied with as many rows of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where they begin, from the pixel's own place.
    pub source: usize,
    /// The first of the weights' rows.
    pub row: usize,
    /// How many.
    pub len: usize,
}

/// Output pixels in lines that share their runs. All strides are in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Which of the runs.
    pub runs: Range<usize>,
    /// How many lines.
    pub lines: usize,
    /// Pixels in a line.
    pub pixels: usize,
    /// The first pixel's place in the source, from which its runs count.
    pub source: usize,
    /// From pixel to pixel in the source.
    pub source_pixel: usize,
    /// From line to line in the source.
    pub source_line: usize,
    /// The first pixel's place in the output.
    pub output: usize,
    /// From pixel to pixel in the output.
    pub output_pixel: usize,
    /// From line to line in the output.
    pub output_line: usize,
}

/// Output channels that are summed up together.
#[derive(Debug, Clone, Copy)]
struct Panel {
    /// The first channel.
    channel: usize,
    registers: usize,
    /// Channels that are stored, if not all are.
    partial: Option<usize>,
    /// Where its weights begin.
    weights: usize,
}

/// The most pixels and registers that any instruction set has in a tile.
const MAX_TILE: usize = 14 * 2 * CHUNK;

/// Numbers of the source that a block of pixels may have: half of a small L2 cache.
const BLOCK_LEN: usize = 128 * 1024 / 4;

impl Product {
    /// A product of `rows` x `channels` weights, of which `weight(row, channel)` is one.
    ///
    /// One chunk of output channels is `chunk_stride` behind the other. If the output is `dense`,
    /// nothing beyond the last channel is written; otherwise whole chunks are.
    ///
    /// # Panics
    /// If a run exceeds the rows, or an epilogue lacks channels, or a dense output has a residual.
    #[must_use]
    pub fn new(
        set: InstructionSet,
        (rows, channels): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        (runs, regions): (Vec<Run>, Vec<Region>),
        (chunk_stride, dense): (usize, bool),
        epilogue: Epilogue,
    ) -> Self {
        assert!(runs.iter().all(|run| run.row + run.len <= rows));
        assert!(regions.iter().all(|r| r.runs.end <= runs.len()));
        assert!(epilogue.bias.len() >= channels.next_multiple_of(CHUNK));
        assert!(!dense || channels % CHUNK == 0 || epilogue.residual == Residual::None);

        let longest = regions.iter().map(|r| r.pixels).max().unwrap_or(0);
        let mut panels = Vec::new();
        let mut packed_len = 0;
        let chunks = channels.div_ceil(CHUNK);
        let mut chunk = 0;
        while chunk < chunks {
            let registers = set.panel_registers(chunks - chunk, longest);
            let width = registers * set.lanes();
            let channel = chunk * CHUNK;
            let stored = (channels - channel).min(width);
            panels.push(Panel {
                channel,
                registers,
                partial: (dense && stored < width).then_some(stored),
                weights: packed_len,
            });
            packed_len += rows * width;
            chunk += width / CHUNK;
        }
        let mut weights = AlignedBox::zeros(packed_len);
        for panel in &panels {
            let width = panel.registers * set.lanes();
            let packed = weights[panel.weights..].chunks_exact_mut(width).take(rows);
            for (row, packed) in packed.enumerate() {
                for (channel, packed) in (panel.channel..channels).zip(packed) {
                    *packed = weight(row, channel);
                }
            }
        }

        let reach = |region: &Region| {
            let far = |lines, pixels| (region.lines - 1) * lines + (region.pixels - 1) * pixels;
            let run_end = |run: &Run| run.source + run.len;
            let ends = runs[region.runs.clone()].iter().map(run_end);
            let source = region.source
                + far(region.source_line, region.source_pixel)
                + ends.max().unwrap_or(0);
            let last = if dense {
                channels
            } else {
                (chunks - 1) * chunk_stride + CHUNK
            };
            let output = region.output + far(region.output_line, region.output_pixel) + last;
            (source, output)
        };
        let reaches: Vec<_> = regions.iter().map(reach).collect();
        Self {
            set,
            weights,
            panels,
            runs,
            regions,
            epilogue,
            chunk_stride,
            block: (BLOCK_LEN / rows.max(1)).max(1),
            source_len: reaches.iter().map(|r| r.0).max().unwrap_or(0),
            output_len: reaches.iter().map(|r| r.1).max().unwrap_or(0),
        }
    }

    /// Whether an image is added.
    #[must_use]
    pub fn has_residual(&self) -> bool {
        self.epilogue.residual != Residual::None
    }

    /// Multiplications and additions of one run.
    #[must_use]
    pub fn macs(&self, channels: usize) -> u64 {
        let region = |region: &Region| {
            let rows: usize = self.runs[region.runs.clone()].iter().map(|r| r.len).sum();
            (region.lines * region.pixels * rows * channels) as u64
        };
        self.regions.iter().map(region).sum()
    }

    /// Computes `output` from `source`, and from `residual` if the epilogue has one.
    ///
    /// # Panics
    /// If one of them is too short.
    pub fn run(&self, source: &[f32], residual: &[f32], output: &mut [f32]) {
        assert!(source.len() >= self.source_len && output.len() >= self.output_len);
        assert!(self.epilogue.residual == Residual::None || residual.len() >= self.output_len);
        let call = Call {
            product: self,
            source: source.as_ptr(),
            residual: residual.as_ptr(),
            output: output.as_mut_ptr(),
        };
        // SAFETY: the regions reach no further than the slices, as was just checked; the runs no
        // further than the packed weights, and the panels no further than the epilogue, as was
        // checked when they were made.
        unsafe { product(self.set, &call) }
    }
}

struct Call<'a> {
    product: &'a Product,
    source: *const f32,
    residual: *const f32,
    output: *mut f32,
}

instantiate!(fn product(call: &Call<'_>) = product_on);

#[inline(always)]
unsafe fn product_on<S: Simd>(call: &Call<'_>) {
    let product = call.product;
    for region in &product.regions {
        for line in 0..region.lines {
            let source = region.source + line * region.source_line;
            let output = region.output + line * region.output_line;
            for first in (0..region.pixels).step_by(product.block) {
                let pixels = product.block.min(region.pixels - first);
                let source = source + first * region.source_pixel;
                let output = output + first * region.output_pixel;
                for panel in &product.panels {
                    // SAFETY: the caller's promises about the whole regions.
                    unsafe {
                        let tiles = Tiles {
                            runs: &product.runs[region.runs.clone()],
                            source: call.source.add(source),
                            source_pixel: region.source_pixel,
                            weights: product.weights.as_ptr().add(panel.weights),
                            panel,
                            epilogue: &product.epilogue,
                            residual: call.residual.wrapping_add(
                                output + panel.channel / CHUNK * product.chunk_stride,
                            ),
                            output: call
                                .output
                                .add(output + panel.channel / CHUNK * product.chunk_stride),
                            output_pixel: region.output_pixel,
                            chunk_stride: product.chunk_stride,
                        };
                        tiles.run::<S>(pixels);
                    }
                }
            }
        }
    }
}

/// A line of pixels and a panel.
struct Tiles<'a> {
    runs: &'a [Run],
    source: *const f32,
    source_pixel: usize,
    weights: *const f32,
    panel: &'a Panel,
    epilogue: &'a Epilogue,
    residual: *const f32,
    output: *mut f32,
    output_pixel: usize,
    chunk_stride: usize,
}

/// Calls `$tiles.tile::<S, P, R, STRIDE>` with the wanted number of pixels `P`.
macro_rules! by_pixels {
    ($tiles:ident, $S:ident, $registers:literal, $most:expr, $stride:literal, $first:ident, $count:ident, [$($pixels:literal)*]) => {
        match $count {
            $($pixels if $pixels <= $most => $tiles.tile::<$S, $pixels, $registers, $stride>($first),)*
            _ => {}
        }
    };
}

/// As above, with the panel's own number of registers `R`, where the instruction set has such.
macro_rules! by_registers {
    ($tiles:ident, $S:ident, $stride:literal, $first:ident, $count:ident, [$($registers:literal)*]) => {
        match $tiles.panel.registers {
            $($registers if $registers == $S::TILE.1 || $registers == $S::PER_CHUNK => by_pixels!(
                $tiles, $S, $registers, $S::TILE.0, $stride, $first, $count, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
            ),)*
            $($registers if $registers == $S::NARROW.1 => by_pixels!(
                $tiles, $S, $registers, $S::NARROW.0, $stride, $first, $count, [1 2 3 4 5 6 7]
            ),)*
            _ => {}
        }
    };
}

impl Tiles<'_> {
    /// # Safety
    /// All that is reached from `pixels` pixels is in bounds.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, pixels: usize) {
        let most = if self.panel.registers == S::NARROW.1 {
            S::NARROW.0
        } else {
            S::TILE.0
        };
        // Tiles of nearly the same size, not full ones and a small rest.
        let tiles = pixels.div_ceil(most);
        let mut first = 0;
        for tile in 0..tiles {
            let end = pixels * (tile + 1) / tiles;
            let count = end - first;
            // SAFETY: the caller's promises. In a chunked image a pixel's place is known when
            // the code is made.
            unsafe {
                if self.source_pixel == CHUNK {
                    by_registers!(self, S, 16, first, count, [1 2 4 8]);
                } else {
                    by_registers!(self, S, 0, first, count, [1 2 4 8]);
                }
            }
            first = end;
        }
    }

    /// `P` pixels and `R` registers; `STRIDE` is from pixel to pixel, or 0 if that isn't known.
    ///
    /// # Safety
    /// All that is reached from these pixels is in bounds.
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const R: usize, const STRIDE: usize>(
        &self,
        first: usize,
    ) {
        let stride = if STRIDE == 0 {
            self.source_pixel
        } else {
            STRIDE
        };
        // SAFETY: the caller's promise.
        unsafe {
            let source = self.source.add(first * stride);
            let bias = self.epilogue.bias.as_ptr().add(self.panel.channel);
            let mut sums = [[S::splat(0.0); R]; P];
            for r in 0..R {
                let bias = S::load(bias.add(r * S::LANES));
                for sums in &mut sums {
                    sums[r] = bias;
                }
            }
            for (i, run) in self.runs.iter().enumerate() {
                let mut from = source.add(run.source);
                let mut weights = self.weights.add(run.row * R * S::LANES);
                if let Some(next) = self.runs.get(i + 1) {
                    let next = source.wrapping_add(next.source);
                    for p in 0..P {
                        S::prefetch(next.wrapping_add(p * stride));
                    }
                }
                let done = S::rows(&mut sums, from, stride, weights, run.len);
                from = from.add(done);
                weights = weights.add(done * R * S::LANES);
                let mut left = run.len - done;
                while left >= S::STEP {
                    if S::STEP == 1 {
                        step::<S, P, R>(&mut sums, from, stride, weights);
                    } else {
                        steps::<S, P, R>(&mut sums, from, stride, weights);
                    }
                    from = from.add(S::STEP);
                    weights = weights.add(S::STEP * R * S::LANES);
                    left -= S::STEP;
                }
                if S::STEP > 1 {
                    while left > 0 {
                        step_of_one::<S, P, R>(&mut sums, from, stride, weights);
                        from = from.add(1);
                        weights = weights.add(R * S::LANES);
                        left -= 1;
                    }
                }
            }
            self.finish::<S, P, R>(first, &mut sums);
        }
    }

    /// # Safety
    /// All that is reached from these pixels is in bounds.
    #[inline(always)]
    unsafe fn finish<S: Simd, const P: usize, const R: usize>(
        &self,
        first: usize,
        sums: &mut [[S::V; R]; P],
    ) {
        let place = |p: usize, r: usize| {
            (first + p) * self.output_pixel
                + r / S::PER_CHUNK * self.chunk_stride
                + r % S::PER_CHUNK * S::LANES
        };
        // SAFETY: the caller's promise; a residual has the output's layout.
        unsafe {
            let add_residual = |sums: &mut [[S::V; R]; P]| {
                for p in 0..P {
                    for r in 0..R {
                        sums[p][r] = S::add(sums[p][r], S::load(self.residual.add(place(p, r))));
                    }
                }
            };
            if self.epilogue.residual == Residual::Before {
                add_residual(sums);
            }
            activate::<S, P, R>(&self.epilogue.activation, self.panel.channel, sums);
            if self.epilogue.residual == Residual::After {
                add_residual(sums);
            }
            let Some(stored) = self.panel.partial else {
                for p in 0..P {
                    for r in 0..R {
                        S::store(self.output.add(place(p, r)), sums[p][r]);
                    }
                }
                return;
            };
            let mut whole = [0.0; MAX_TILE];
            for p in 0..P {
                for r in 0..R {
                    S::store(whole.as_mut_ptr().add((p * R + r) * S::LANES), sums[p][r]);
                }
            }
            for p in 0..P {
                let to = self.output.add((first + p) * self.output_pixel);
                let from = whole.as_ptr().add(p * R * S::LANES);
                std::ptr::copy_nonoverlapping(from, to, stored);
            }
        }
    }
}

/// One row of the weights. Each broadcast is used at once: there are no registers to keep them.
///
/// # Safety
/// A number of each pixel and a row of weights are in bounds.
#[inline(always)]
unsafe fn step<S: Simd, const P: usize, const R: usize>(
    sums: &mut [[S::V; R]; P],
    from: *const f32,
    stride: usize,
    weights: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut row = [S::splat(0.0); R];
        for r in 0..R {
            row[r] = S::load(weights.add(r * S::LANES));
        }
        for p in 0..P {
            let factor = S::load_factor(from.add(p * stride));
            for r in 0..R {
                sums[p][r] = S::fma_factor(sums[p][r], row[r], factor, 0);
            }
        }
    }
}

/// `STEP` rows of the weights, from one load for each pixel.
///
/// # Safety
/// `STEP` numbers of each pixel and as many rows of weights are in bounds.
#[inline(always)]
unsafe fn steps<S: Simd, const P: usize, const R: usize>(
    sums: &mut [[S::V; R]; P],
    from: *const f32,
    stride: usize,
    weights: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut factors = [S::load_factor(from); P];
        for p in 1..P {
            factors[p] = S::load_factor(from.add(p * stride));
        }
        // Not a loop: the lane must be known when the code is made.
        macro_rules! lanes {
            ($($lane:literal)*) => {$(
                if $lane < S::STEP {
                    let mut row = [S::splat(0.0); R];
                    for r in 0..R {
                        row[r] = S::load(weights.add(($lane * R + r) * S::LANES));
                    }
                    for p in 0..P {
                        for r in 0..R {
                            sums[p][r] = S::fma_factor(sums[p][r], row[r], factors[p], $lane);
                        }
                    }
                }
            )*};
        }
        lanes!(0 1 2 3);
    }
}

/// One row of the weights, where a whole `STEP` isn't left.
///
/// # Safety
/// A number of each pixel and a row of weights are in bounds.
#[inline(always)]
unsafe fn step_of_one<S: Simd, const P: usize, const R: usize>(
    sums: &mut [[S::V; R]; P],
    from: *const f32,
    stride: usize,
    weights: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut row = [S::splat(0.0); R];
        for r in 0..R {
            row[r] = S::load(weights.add(r * S::LANES));
        }
        for p in 0..P {
            let factor = S::splat(*from.add(p * stride));
            for r in 0..R {
                sums[p][r] = S::fma(sums[p][r], row[r], factor);
            }
        }
    }
}
