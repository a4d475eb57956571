//! Depthwise convolution: each channel with a kernel of its own.
//!
//! A row of output pixels is summed up in tiles of neighbouring columns, so that the weights of
//! a tap and each input pixel are loaded once for all of the tile. There is no padding in memory:
//! taps outside of the image are dropped, in the usual shapes when the code is made.

use std::ops::Range;

use super::axis::Axis;
use super::epilogue::{Epilogue, Residual, activate};
use super::layout::{Rows, Sink};
use crate::aligned_box::AlignedBox;
use crate::simd::{CHUNK, InstructionSet, Simd, instantiate};

/// A depthwise convolution: what is known at load.
#[derive(Debug, Clone)]
pub struct Depthwise {
    set: InstructionSet,
    channels: usize,
    rows: Axis,
    columns: Axis,
    /// `[chunk][tap][16]`.
    weights: AlignedBox,
    epilogue: Epilogue,
    /// From one chunk of the source, and of the output, to the next.
    chunk_strides: (usize, usize),
}

impl Depthwise {
    /// A convolution of `channels` channels, where `weight(channel, tap)` is a weight and taps are
    /// counted along the rows.
    ///
    /// # Panics
    /// If an axis isn't [sound](Axis::is_sound), or if the epilogue lacks channels or has a
    /// residual.
    #[must_use]
    pub fn new(
        set: InstructionSet,
        channels: usize,
        (rows, columns): (Axis, Axis),
        weight: impl Fn(usize, usize) -> f32,
        epilogue: Epilogue,
    ) -> Self {
        let taps = rows.kernel * columns.kernel;
        let chunks = channels.div_ceil(CHUNK);
        assert!(rows.is_sound() && columns.is_sound());
        assert!(epilogue.covers(channels) && epilogue.residual == Residual::None);
        let mut weights = AlignedBox::zeros(chunks * taps * CHUNK);
        for channel in 0..channels {
            for tap in 0..taps {
                weights[(channel / CHUNK * taps + tap) * CHUNK + channel % CHUNK] =
                    weight(channel, tap);
            }
        }
        Self {
            set,
            channels,
            rows,
            columns,
            weights,
            epilogue,
            chunk_strides: (
                rows.input * columns.input * CHUNK,
                rows.output * columns.output * CHUNK,
            ),
        }
    }

    /// The rows and columns.
    #[must_use]
    pub fn axes(&self) -> (Axis, Axis) {
        (self.rows, self.columns)
    }

    /// Chunks of its images.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.channels.div_ceil(CHUNK)
    }

    /// From one chunk of the source, and of the output, to the next: to be changed where they are
    /// buffers of some rows only.
    pub fn chunk_strides_mut(&mut self) -> &mut (usize, usize) {
        &mut self.chunk_strides
    }

    /// Multiplications and additions of one run.
    #[must_use]
    pub fn macs(&self, channels: usize) -> u64 {
        let taps = |axis: &Axis| {
            (0..axis.output)
                .map(|at| axis.taps(at).len())
                .sum::<usize>()
        };
        (channels * taps(&self.rows) * taps(&self.columns)) as u64
    }

    /// Computes the output's rows from `source`, which may be a ring. The lanes beyond the last
    /// channel are left as they are.
    ///
    /// # Panics
    /// If one of them is too short.
    pub fn run(&self, rows: Range<usize>, source: Rows<&[f32]>, output: Rows<Sink<'_>>) {
        let needs = self.rows.needs(rows.clone());
        let Some(last) = self.chunks().checked_sub(1).filter(|_| !rows.is_empty()) else {
            return;
        };
        let (source_chunk, output_chunk) = self.chunk_strides;
        assert!(needs.start >= source.first && rows.start >= output.first);
        assert!(rows.end <= self.rows.output && needs.len() <= source.ring);
        let source_rows = (needs.end - source.first).min(source.ring);
        let output_rows = rows.end - output.first;
        // Saturated sums are longer than any slice.
        let reach = |chunk: usize, rows: usize, columns: usize| {
            let rows = rows.saturating_mul(columns * CHUNK);
            last.saturating_mul(chunk).saturating_add(rows)
        };
        let needed = reach(source_chunk, source_rows, self.columns.input);
        assert!(needed <= source.numbers.len());
        let needed = reach(output_chunk, output_rows, self.columns.output);
        assert!(needed <= output.numbers.len());
        let part = Part {
            plan: self,
            rows,
            source: source.numbers.as_ptr(),
            source_first: source.first,
            source_ring: source.ring,
            output: output.numbers.as_mut_ptr(),
            output_first: output.first,
        };
        // SAFETY: the slices hold the rows that are needed of each chunk, as was just checked, and
        // `Axis::taps` keeps to the input.
        unsafe { depthwise(self.set, &part) }
    }
}

/// Rows that are computed, and where they are.
struct Part<'a> {
    plan: &'a Depthwise,
    rows: Range<usize>,
    source: *const f32,
    source_first: usize,
    source_ring: usize,
    output: *mut f32,
    output_first: usize,
}

instantiate!(fn depthwise(part: &Part<'_>) = depthwise_on);

#[inline(always)]
unsafe fn depthwise_on<S: Simd>(part: &Part<'_>) {
    let plan = part.plan;
    let (rows, columns) = (&plan.rows, &plan.columns);
    let taps = rows.kernel * columns.kernel;
    let shape = known_shape(rows, columns);
    for chunk in 0..plan.chunks() {
        // Registers beyond the last channel would be for nothing.
        let lanes = CHUNK.min(plan.channels - chunk * CHUNK);
        for lane in (0..lanes).step_by(S::ABREAST * S::LANES) {
            // SAFETY: the caller's promise that the rows are there, and the weights are made
            // for as many chunks.
            unsafe {
                let source = part.source.add(chunk * plan.chunk_strides.0 + lane);
                let weights = plan.weights.as_ptr().add(chunk * taps * CHUNK + lane);
                let output = part.output.add(chunk * plan.chunk_strides.1 + lane);
                for y in part.rows.clone() {
                    let taps = rows.taps(y);
                    let first_row = y * rows.stride + taps.start * rows.dilation;
                    // Without a tap inside, no row is read.
                    let first_row = first_row.saturating_sub(rows.pad_before + part.source_first);
                    let row = Row {
                        plan,
                        channel: chunk * CHUNK + lane,
                        taps: taps.len(),
                        source,
                        source_row: first_row % part.source_ring,
                        source_ring: part.source_ring,
                        weights: weights.add(taps.start * columns.kernel * CHUNK),
                        output: output.add((y - part.output_first) * columns.output * CHUNK),
                    };
                    if const { S::ABREAST == 1 } {
                        row.run::<S, 1>(shape);
                    } else {
                        row.run::<S, 2>(shape);
                    }
                }
            }
        }
    }
}

/// Kernel, stride and columns of a tile, where the code knows at which columns which taps are
/// dropped: with as much padding as keeps (or, with stride 2, halves) an even width.
fn known_shape(rows: &Axis, columns: &Axis) -> Option<(usize, usize, usize)> {
    let Axis { kernel, stride, .. } = *columns;
    let before = match (kernel, stride) {
        (3, 1) => 1,
        (5, 1) => 2,
        (3, 2) => 0,
        (5, 2) => 1,
        _ => return None,
    };
    let is_known = columns.pad_before == before
        && columns.input == columns.output * stride
        && columns.output > 0
        && columns.dilation == 1
        && rows.kernel == kernel;
    let fits = |tile: &usize| columns.output.is_multiple_of(*tile);
    let tile = [7, 6].into_iter().find(fits).filter(|_| is_known)?;
    Some((kernel, stride, tile))
}

/// Repeats a block for each of some columns.
macro_rules! by_column {
    ($column:ident, [$($at:literal)*], $block:block) => {
        $({
            let $column: usize = $at;
            $block
        })*
    };
}

/// A row of output pixels, and the input rows under its taps.
struct Row<'a> {
    plan: &'a Depthwise,
    channel: usize,
    /// Rows of the kernel that lie inside of the image.
    taps: usize,
    source: *const f32,
    /// The row under the first tap, and after how many rows the source begins anew.
    source_row: usize,
    source_ring: usize,
    weights: *const f32,
    output: *mut f32,
}

impl Row<'_> {
    /// Goes from the row under a tap to the one under the next.
    #[inline(always)]
    fn advance(&self, row: &mut usize) {
        *row += self.plan.rows.dilation;
        if *row >= self.source_ring {
            *row -= self.source_ring;
        }
    }

    /// Where column 0 of a row lies.
    #[inline(always)]
    fn line(&self, row: usize) -> *const f32 {
        self.source
            .wrapping_add(row * self.plan.columns.input * CHUNK)
    }

    /// # Safety
    /// All rows are whole.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize>(&self, shape: Option<(usize, usize, usize)>) {
        // SAFETY: the caller's promise. The number after the tile's are the columns that padding
        // takes from the first and the last tile.
        unsafe {
            match shape {
                Some((3, 1, 7)) => self.tiles::<S, R, 3, 1, 7, 1, 1>(),
                Some((5, 1, 7)) => self.tiles::<S, R, 5, 1, 7, 2, 2>(),
                Some((3, 2, 7)) => self.tiles::<S, R, 3, 2, 7, 0, 1>(),
                Some((5, 2, 7)) => self.tiles::<S, R, 5, 2, 7, 1, 2>(),
                Some((3, 1, 6)) => self.tiles::<S, R, 3, 1, 6, 1, 1>(),
                Some((5, 1, 6)) => self.tiles::<S, R, 5, 1, 6, 2, 2>(),
                Some((3, 2, 6)) => self.tiles::<S, R, 3, 2, 6, 0, 1>(),
                Some((5, 2, 6)) => self.tiles::<S, R, 5, 2, 6, 1, 2>(),
                _ => self.any::<S, R>(),
            }
        }
    }

    /// Tiles of `T` columns; `L` columns of padding before the first, `E` after the last one.
    ///
    /// # Safety
    /// All rows are whole.
    #[inline(always)]
    unsafe fn tiles<
        S: Simd,
        const R: usize,
        const K: usize,
        const D: usize,
        const T: usize,
        const L: usize,
        const E: usize,
    >(
        &self,
    ) {
        let tiles = self.plan.columns.output / T;
        // SAFETY: the caller's promise.
        unsafe {
            if tiles == 1 {
                return self.tile::<S, R, K, D, T, L, E>(0, L);
            }
            self.tile::<S, R, K, D, T, L, 0>(0, L);
            for tile in 1..tiles - 1 {
                self.tile::<S, R, K, D, T, 0, 0>(tile * T, L);
            }
            self.tile::<S, R, K, D, T, 0, E>((tiles - 1) * T, L);
        }
    }

    /// `T` columns from `x` on, of which padding takes `L` before and `E` after.
    ///
    /// # Safety
    /// All rows are whole.
    #[inline(always)]
    unsafe fn tile<
        S: Simd,
        const R: usize,
        const K: usize,
        const D: usize,
        const T: usize,
        const L: usize,
        const E: usize,
    >(
        &self,
        x: usize,
        pad_before: usize,
    ) {
        // SAFETY: the caller's promise; columns before `L` and after `E` aren't read.
        unsafe {
            let mut sums = self.bias::<S, T, R>();
            let mut source_row = self.source_row;
            let mut weights = self.weights;
            for _ in 0..self.taps {
                let source = self.line(source_row).wrapping_add(x * D * CHUNK);
                let source = source.wrapping_sub(pad_before * CHUNK);
                let mut row = [[S::splat(0.0); R]; K];
                for k in 0..K {
                    for r in 0..R {
                        row[k][r] = S::load(weights.add(k * CHUNK + r * S::LANES));
                    }
                }
                let span = (T - 1) * D + K;
                // Written out: the sums stay in registers only if no index is left.
                by_column!(column, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16], {
                    if column >= L && column + E < span {
                        for r in 0..R {
                            let at = source.wrapping_add(column * CHUNK + r * S::LANES);
                            let pixel = S::load(at);
                            for k in 0..K {
                                if column >= k && (column - k).is_multiple_of(D) && (column - k) / D < T {
                                    let t = (column - k) / D;
                                    sums[t][r] = S::fma(sums[t][r], pixel, row[k][r]);
                                }
                            }
                        }
                    }
                });
                self.advance(&mut source_row);
                weights = weights.wrapping_add(K * CHUNK);
            }
            self.finish::<S, T, R>(x, &mut sums);
        }
    }

    /// Any kernel: six columns together where no tap is outside, one by one elsewhere.
    ///
    /// # Safety
    /// All rows are whole.
    #[inline(always)]
    unsafe fn any<S: Simd, const R: usize>(&self) {
        let inside = self.plan.columns.inside();
        let mut x = 0;
        while x < self.plan.columns.output {
            // SAFETY: the caller's promise.
            unsafe {
                if x >= inside.start && x + 6 <= inside.end {
                    self.columns::<S, 6, R>(x);
                    x += 6;
                } else {
                    self.columns::<S, 1, R>(x);
                    x += 1;
                }
            }
        }
    }

    /// `T` columns from `x` on, which have the same taps inside.
    ///
    /// # Safety
    /// All rows are whole.
    #[inline(always)]
    unsafe fn columns<S: Simd, const T: usize, const R: usize>(&self, x: usize) {
        let columns = &self.plan.columns;
        // SAFETY: the caller's promise, and `Axis::taps` keeps to the row.
        unsafe {
            let mut sums = self.bias::<S, T, R>();
            let mut source_row = self.source_row;
            for tap_row in 0..self.taps {
                let source = self.line(source_row);
                self.advance(&mut source_row);
                let weights = self.weights.add(tap_row * columns.kernel * CHUNK);
                for tap in columns.taps(x) {
                    let column = x * columns.stride + tap * columns.dilation - columns.pad_before;
                    for r in 0..R {
                        let weight = S::load(weights.add(tap * CHUNK + r * S::LANES));
                        for t in 0..T {
                            let at = (column + t * columns.stride) * CHUNK + r * S::LANES;
                            sums[t][r] = S::fma(sums[t][r], S::load(source.add(at)), weight);
                        }
                    }
                }
            }
            self.finish::<S, T, R>(x, &mut sums);
        }
    }

    #[inline(always)]
    unsafe fn bias<S: Simd, const T: usize, const R: usize>(&self) -> [[S::V; R]; T] {
        // SAFETY: the bias was checked to have as many chunks.
        unsafe {
            let bias = self.plan.epilogue.bias.as_ptr().add(self.channel);
            let mut sums = [[S::splat(0.0); R]; T];
            for r in 0..R {
                let bias = S::load(bias.add(r * S::LANES));
                for sums in &mut sums {
                    sums[r] = bias;
                }
            }
            sums
        }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const T: usize, const R: usize>(
        &self,
        x: usize,
        sums: &mut [[S::V; R]; T],
    ) {
        // SAFETY: the output row is whole.
        unsafe {
            activate::<S, T, R>(&self.plan.epilogue.activation, self.channel, sums);
            for t in 0..T {
                for r in 0..R {
                    S::store(self.output.add((x + t) * CHUNK + r * S::LANES), sums[t][r]);
                }
            }
        }
    }
}
