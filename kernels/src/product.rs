//! The matrix product that all convolutions but depthwise ones are.
//!
//! A tile of pixels times a panel of output channels is summed up in registers. The pixels'
//! numbers are read where they lie, by broadcast; the weights are packed panel by panel, in the
//! order in which they are read. Where a pixel's numbers lie is a list of [`Run`]s, the same for
//! all pixels of a [`Region`]: that covers pointwise and larger kernels, strides, dilation, and
//! borders (whose regions have runs without the taps that lie outside).

use std::ops::Range;

use super::epilogue::{Epilogue, Residual, activate};
use super::layout::{Rows, Sink};
use crate::aligned_box::AlignedBox;
use crate::simd::{CHUNK, InstructionSet, Simd, instantiate};

/// A convolution as a matrix product: what is known at load.
#[derive(Debug, Clone)]
pub struct Product {
    set: InstructionSet,
    weights: AlignedBox,
    panels: Vec<Panel>,
    runs: Vec<Run>,
    regions: Vec<Region>,
    strides: Strides,
    epilogue: Epilogue,
    /// Pixels whose numbers stay in the cache while one panel follows the other.
    block: usize,
}

/// Neighbouring numbers of a pixel that are multiplied with as many rows of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The chunk in which they are.
    pub chunk: usize,
    /// Where they begin in it, from the place of the region's first tap.
    pub offset: usize,
    /// The first of the weights' rows.
    pub row: usize,
    /// How many.
    pub len: usize,
}

/// A rectangle of output pixels that share their runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Which of the runs.
    pub runs: Range<usize>,
    /// Rows of the output.
    pub rows: Range<usize>,
    /// Columns of the output.
    pub columns: Range<usize>,
    /// The place in the source of the first tap of the first pixel.
    pub source: usize,
}

/// How far apart things are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// From one chunk of the source to the next.
    pub source_chunk: usize,
    /// From one line of the source to the next.
    pub source_line: usize,
    /// In the source, from an output pixel to the one beside it.
    pub source_pixel: usize,
    /// In the source, from an output pixel to the one below it.
    pub source_row: usize,
    /// From one chunk of the output to the next.
    pub output_chunk: usize,
    /// From one pixel of the output to the one beside it.
    pub output_pixel: usize,
    /// From one pixel of the output to the one below it.
    pub output_row: usize,
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
    /// If the output is `dense`, nothing beyond its last channel is written; otherwise whole
    /// chunks are.
    ///
    /// # Panics
    /// If a run exceeds the rows, or an epilogue lacks channels, or a dense output has chunks that
    /// lie apart, or one that isn't of whole chunks a residual.
    #[must_use]
    pub fn new(
        set: InstructionSet,
        (rows, channels): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        (runs, regions): (Vec<Run>, Vec<Region>),
        (strides, dense): (Strides, bool),
        epilogue: Epilogue,
    ) -> Self {
        let whole = channels.is_multiple_of(CHUNK);
        assert!(runs.iter().all(|r| r.row.saturating_add(r.len) <= rows));
        assert!(regions.iter().all(|r| r.runs.end <= runs.len()));
        assert!(epilogue.covers(channels));
        assert!(!dense || whole || epilogue.residual == Residual::None);
        assert!(!dense || strides.output_chunk == CHUNK);

        let widest = regions.iter().map(|r| r.columns.len() * r.rows.len());
        let widest = widest.max().unwrap_or(0);
        let mut panels = Vec::new();
        let mut packed_len = 0;
        let mut channel = 0;
        while channel < channels {
            let left = channels - channel;
            let registers = set.panel_registers(left, widest);
            let width = registers * set.lanes();
            panels.push(Panel {
                channel,
                registers,
                partial: (dense && left < width).then_some(left),
                weights: packed_len,
            });
            packed_len += rows * width;
            channel += width;
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
        Self {
            set,
            weights,
            panels,
            runs,
            regions,
            strides,
            epilogue,
            block: (BLOCK_LEN / rows.max(1)).max(1),
        }
    }

    /// Numbers of the weights.
    #[must_use]
    pub fn weights_len(&self) -> usize {
        self.weights.len()
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
            (region.rows.len() * region.columns.len() * rows * channels) as u64
        };
        self.regions.iter().map(region).sum()
    }

    /// How far apart things are in memory: to be changed where source or output are buffers of
    /// some rows only.
    pub fn strides_mut(&mut self) -> &mut Strides {
        &mut self.strides
    }

    /// Computes the output's rows from `source`, and from `residual` if the epilogue has one. The
    /// residual begins with the same row as the output.
    ///
    /// # Panics
    /// If one of them is too short.
    pub fn run(
        &self,
        rows: Range<usize>,
        source: Rows<&[f32]>,
        residual: &[f32],
        output: Rows<Sink<'_>>,
    ) {
        let Strides {
            source_line,
            source_pixel,
            source_row,
            output_chunk,
            output_pixel,
            output_row,
            ..
        } = self.strides;
        // From a pixel's first number to its last one. Saturated sums are longer than any slice,
        // here and below.
        let is_dense = self.panels.iter().any(|panel| panel.partial.is_some());
        assert!(output_chunk >= CHUNK && (!is_dense || output_chunk == CHUNK));
        let pixel_len = self.panels.last().map_or(0, |panel| {
            let width = panel.partial.unwrap_or(panel.registers * self.set.lanes());
            let chunks = (panel.channel + width - 1) / CHUNK;
            let within = panel.channel + width - chunks * CHUNK;
            chunks.saturating_mul(output_chunk).saturating_add(within)
        });
        let far = |places: [(usize, usize); 2]| {
            let far = places.map(|(count, stride)| count.saturating_mul(stride));
            far[0].saturating_add(far[1])
        };
        for region in &self.regions {
            let first = region.rows.start.max(rows.start);
            let lines = region.rows.end.min(rows.end).saturating_sub(first);
            let pixels = region.columns.len();
            if lines == 0 || pixels == 0 {
                continue;
            }
            assert!(output.first <= first);
            let runs = &self.runs[region.runs.clone()];
            let run_end = |run: &Run| {
                let chunk = run.chunk.saturating_mul(self.strides.source_chunk);
                chunk.saturating_add(run.offset).saturating_add(run.len)
            };
            let place = far([(1, region.source), (first - region.rows.start, source_row)]);
            let to = far([
                (first - output.first, output_row),
                (region.columns.start, output_pixel),
            ]);
            let mut part = Part {
                product: self,
                runs,
                source: source.numbers.as_ptr(),
                residual: residual.as_ptr().wrapping_add(to),
                output: output.numbers.as_mut_ptr().wrapping_add(to),
                lines,
                pixels,
                source_pixel,
                source_line: source_row,
                output_pixel,
                output_line: output_row,
            };
            if let Some(run_end) = runs.iter().map(run_end).max() {
                let before = source.first.saturating_mul(source_line);
                assert!(before <= place);
                let place = place - before;
                let reach = far([(lines - 1, source_row), (pixels - 1, source_pixel)]);
                let reach = reach.saturating_add(run_end).saturating_add(place);
                assert!(reach <= source.numbers.len());
                part.source = part.source.wrapping_add(place);
            }
            let reach = far([(lines - 1, output_row), (pixels - 1, output_pixel)]);
            let reach = reach.saturating_add(pixel_len).saturating_add(to);
            assert!(reach <= output.numbers.len());
            assert!(!self.has_residual() || reach <= residual.len());
            if source_row == pixels * source_pixel && output_row == pixels * output_pixel {
                part.pixels = lines * pixels;
                part.lines = 1;
            } else if pixels < lines && pixels <= 2 {
                // A narrow strip is walked downwards.
                (part.lines, part.pixels) = (pixels, lines);
                (part.source_line, part.source_pixel) = (source_pixel, source_row);
                (part.output_line, part.output_pixel) = (output_pixel, output_row);
            }
            // SAFETY: what the part reaches lies within the slices, as was just checked; the runs
            // reach no further than the packed weights, and the panels no further than the
            // epilogue, as was checked when they were made.
            unsafe { product(self.set, &part) }
        }
    }
}

/// Lines of pixels that share their runs.
struct Part<'a> {
    product: &'a Product,
    runs: &'a [Run],
    /// Where the first tap of the first pixel lies.
    source: *const f32,
    /// Where the first pixel is stored, and what is added to it.
    residual: *const f32,
    output: *mut f32,
    lines: usize,
    pixels: usize,
    source_pixel: usize,
    source_line: usize,
    output_pixel: usize,
    output_line: usize,
}

instantiate!(fn product(part: &Part<'_>) = product_on);

#[inline(always)]
unsafe fn product_on<S: Simd>(part: &Part<'_>) {
    let product = part.product;
    for line in 0..part.lines {
        for first in (0..part.pixels).step_by(product.block) {
            let pixels = product.block.min(part.pixels - first);
            let source = line * part.source_line + first * part.source_pixel;
            let output = line * part.output_line + first * part.output_pixel;
            for panel in &product.panels {
                let to = output + panel.channel / CHUNK * product.strides.output_chunk;
                // SAFETY: the caller's promise about the whole part.
                unsafe {
                    let tiles = Tiles {
                        runs: part.runs,
                        source: part.source.wrapping_add(source),
                        source_chunk: product.strides.source_chunk,
                        source_pixel: part.source_pixel,
                        weights: product.weights.as_ptr().add(panel.weights),
                        panel,
                        epilogue: &product.epilogue,
                        residual: part.residual.wrapping_add(to),
                        output: part.output.wrapping_add(to),
                        output_pixel: part.output_pixel,
                        chunk_stride: product.strides.output_chunk,
                    };
                    tiles.run::<S>(pixels);
                }
            }
        }
    }
}

/// A line of pixels and a panel.
struct Tiles<'a> {
    runs: &'a [Run],
    source: *const f32,
    source_chunk: usize,
    source_pixel: usize,
    weights: *const f32,
    panel: &'a Panel,
    epilogue: &'a Epilogue,
    residual: *const f32,
    output: *mut f32,
    output_pixel: usize,
    chunk_stride: usize,
}

/// Calls `$tiles.tile::<S, P, R, STRIDE>` with the wanted number of pixels `P`. What the instruction
/// set never needs is sorted out by constants, so that no code is made for it.
macro_rules! by_pixels {
    ($tiles:ident, $S:ident, $registers:literal, $most:expr, $stride:literal, $first:ident, $count:ident, [$($pixels:literal)*]) => {
        match $count {
            $($pixels if const { $pixels <= $most } => $tiles.tile::<$S, $pixels, $registers, $stride>($first),)*
            _ => {}
        }
    };
}

/// As above, with the panel's own number of registers `R`, where the instruction set has such.
macro_rules! by_registers {
    ($tiles:ident, $S:ident, $stride:literal, $first:ident, $count:ident, [$($registers:literal)*]) => {
        match $tiles.panel.registers {
            $($registers if const { has_panel::<$S>($registers) } => by_pixels!(
                $tiles, $S, $registers, most_pixels::<$S>($registers), $stride, $first, $count,
                [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
            ),)*
            _ => {}
        }
    };
}

/// Whether there are panels of so many registers.
#[inline(always)]
const fn has_panel<S: Simd>(registers: usize) -> bool {
    registers == S::TILE.1
        || registers == S::PER_CHUNK
        || registers == S::NARROW.1
        || registers == S::HALF.1
}

/// The most pixels of a tile with so many registers.
#[inline(always)]
const fn most_pixels<S: Simd>(registers: usize) -> usize {
    if registers == S::TILE.1 {
        S::TILE.0
    } else if registers == S::NARROW.1 {
        S::NARROW.0
    } else if registers == S::HALF.1 {
        S::HALF.0
    } else {
        S::TILE.0
    }
}

impl Tiles<'_> {
    /// # Safety
    /// All that is reached from `pixels` pixels is in bounds.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, pixels: usize) {
        let most = most_pixels::<S>(self.panel.registers);
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
            if const { P == 1 } {
                return self.single::<S, R>(first);
            }
            let source = self.source.wrapping_add(first * stride);
            let place = |run: &Run| source.wrapping_add(run.chunk * self.source_chunk + run.offset);
            let bias = self.epilogue.bias.as_ptr().add(self.panel.channel);
            let mut sums = [[S::splat(0.0); R]; P];
            for r in 0..R {
                let bias = S::load(bias.add(r * S::LANES));
                for sums in &mut sums {
                    sums[r] = bias;
                }
            }
            for (i, run) in self.runs.iter().enumerate() {
                let mut from = place(run);
                let mut weights = self.weights.add(run.row * R * S::LANES);
                if let Some(next) = self.runs.get(i + 1).filter(|next| next.chunk != run.chunk) {
                    let next = place(next);
                    for p in 0..P {
                        S::prefetch(next.wrapping_add(p * stride));
                    }
                }
                let done = S::rows(&mut sums, from, stride, weights, run.len);
                from = from.add(done);
                weights = weights.add(done * R * S::LANES);
                let mut left = run.len - done;
                if const { S::STEP > 1 } {
                    while left >= S::STEP {
                        steps::<S, P, R>(&mut sums, from, stride, weights);
                        from = from.add(S::STEP);
                        weights = weights.add(S::STEP * R * S::LANES);
                        left -= S::STEP;
                    }
                }
                while left > 0 {
                    step::<S, P, R>(&mut sums, from, stride, weights);
                    from = from.add(1);
                    weights = weights.add(R * S::LANES);
                    left -= 1;
                }
            }
            self.finish::<S, P, R>(first, &mut sums);
        }
    }

    /// One pixel: four sums of each register, so that they need not wait for one another.
    ///
    /// # Safety
    /// All that is reached from this pixel is in bounds.
    #[inline(always)]
    unsafe fn single<S: Simd, const R: usize>(&self, pixel: usize) {
        const ABREAST: usize = 4;
        // SAFETY: the caller's promise.
        unsafe {
            let source = self.source.wrapping_add(pixel * self.source_pixel);
            let bias = self.epilogue.bias.as_ptr().add(self.panel.channel);
            let mut sums = [[S::splat(0.0); R]; ABREAST];
            for run in self.runs {
                let from = source.wrapping_add(run.chunk * self.source_chunk + run.offset);
                let weights = self.weights.add(run.row * R * S::LANES);
                let mut done = 0;
                while run.len - done >= ABREAST {
                    for i in 0..ABREAST {
                        let factor = S::splat(*from.add(done + i));
                        for r in 0..R {
                            let weights = weights.add(((done + i) * R + r) * S::LANES);
                            sums[i][r] = S::fma(sums[i][r], factor, S::load(weights));
                        }
                    }
                    done += ABREAST;
                }
                while done < run.len {
                    let factor = S::splat(*from.add(done));
                    for r in 0..R {
                        let weights = weights.add((done * R + r) * S::LANES);
                        sums[0][r] = S::fma(sums[0][r], factor, S::load(weights));
                    }
                    done += 1;
                }
            }
            let mut sum = [[S::splat(0.0); R]; 1];
            for r in 0..R {
                let halves = (
                    S::add(sums[0][r], sums[1][r]),
                    S::add(sums[2][r], sums[3][r]),
                );
                let bias = S::load(bias.add(r * S::LANES));
                sum[0][r] = S::add(bias, S::add(halves.0, halves.1));
            }
            self.finish::<S, 1, R>(pixel, &mut sum);
        }
    }

    /// Where register `r` of a pixel is stored.
    #[inline(always)]
    fn place<S: Simd>(&self, pixel: usize, r: usize) -> usize {
        pixel * self.output_pixel
            + r / S::PER_CHUNK * self.chunk_stride
            + r % S::PER_CHUNK * S::LANES
    }

    // Not a closure: those don't inherit the instruction set, and would call each instruction.
    /// # Safety
    /// All that is reached from these pixels is in bounds.
    #[inline(always)]
    unsafe fn add_residual<S: Simd, const P: usize, const R: usize>(
        &self,
        first: usize,
        sums: &mut [[S::V; R]; P],
    ) {
        for p in 0..P {
            for r in 0..R {
                // SAFETY: the caller's promise.
                unsafe {
                    let at = self.residual.add(self.place::<S>(first + p, r));
                    sums[p][r] = S::add(sums[p][r], S::load(at));
                }
            }
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
        // SAFETY: the caller's promise; a residual has the output's layout.
        unsafe {
            if self.epilogue.residual == Residual::Before {
                self.add_residual::<S, P, R>(first, sums);
            }
            activate::<S, P, R>(&self.epilogue.activation, self.panel.channel, sums);
            if self.epilogue.residual == Residual::After {
                self.add_residual::<S, P, R>(first, sums);
            }
            let Some(stored) = self.panel.partial else {
                for p in 0..P {
                    for r in 0..R {
                        S::store(self.output.add(self.place::<S>(first + p, r)), sums[p][r]);
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
            let factor = S::splat(*from.add(p * stride));
            for r in 0..R {
                sums[p][r] = S::fma(sums[p][r], row[r], factor);
            }
        }
    }
}
