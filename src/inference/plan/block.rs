//! Layers that are computed together, a few rows at a time, so that what lies between them stays in
//! the cache: the expansion, depthwise convolution and projection of an inverted residual block.
//!
//! Between two layers there is a buffer of rows. Before the next tile is computed, the rows that
//! it shares with the one before are moved to the buffer's beginning.

use std::ops::Range;

use crate::inference::kernels::{Axis, Depthwise, Product, Rows};
use crate::inference::simd::CHUNK;

/// The most layers in a block.
const MOST_STAGES: usize = 3;

/// Numbers that the buffers between the layers may have together: half of a small L2 cache.
const BUFFERS_LEN: usize = 160 * 1024 / 4;

/// Layers that are computed together.
#[derive(Debug, Clone)]
pub struct Block {
    stages: Vec<Stage>,
    /// Rows of the last output that are computed at a time.
    tile: usize,
    rows: usize,
}

#[derive(Debug, Clone)]
struct Stage {
    work: Work,
    rows: Axis,
    /// The buffer behind it; none behind the last.
    buffer: Option<Buffer>,
}

/// A layer that can compute some of its rows.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each is documented where it is defined")]
pub enum Work {
    Product { product: Product, rows: Axis },
    Depthwise(Depthwise),
}

/// The shape of a layer's output: chunks, and numbers in a row of one.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    pub chunks: usize,
    pub row_len: usize,
}

/// A buffer of some rows.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    between: Between,
    offset: usize,
    capacity: usize,
}

impl Buffer {
    fn chunk_stride(&self) -> usize {
        self.capacity * self.between.row_len
    }

    fn len(&self) -> usize {
        self.between.chunks * self.chunk_stride()
    }

    /// Moves the rows from `drop` on to the beginning; `keep` of them are kept.
    fn shift(&self, numbers: &mut [f32], drop: usize, keep: usize) {
        let row_len = self.between.row_len;
        for chunk in numbers
            .chunks_exact_mut(self.chunk_stride())
            .take(self.between.chunks)
        {
            chunk.copy_within(drop * row_len..(drop + keep) * row_len, 0);
        }
    }
}

impl Block {
    /// A block of layers, each with what is between it and the next one. `None` if they
    /// aren't two or three, or if it isn't worth it.
    #[must_use]
    pub fn new(layers: Vec<(Work, Between)>) -> Option<Self> {
        if !(2..=MOST_STAGES).contains(&layers.len()) {
            return None;
        }
        let axes: Vec<Axis> = layers.iter().map(|(work, _)| work.rows()).collect();
        let rows = axes.last()?.output;
        let sound = |axis: &Axis| (0..axis.output).all(|at| !axis.taps(at).is_empty());
        let joined = axes.windows(2).all(|pair| pair[0].output == pair[1].input);
        if !joined || !axes.iter().all(sound) {
            return None;
        }
        let capacities = |tile: usize| {
            let mut most = vec![0; axes.len()];
            for first in (0..rows).step_by(tile) {
                let mut needed = first..(first + tile).min(rows);
                for i in (1..axes.len()).rev() {
                    needed = axes[i].needs(needed);
                    most[i - 1] = needed.len().max(most[i - 1]);
                }
            }
            most
        };
        let len = |capacities: &[usize]| -> usize {
            let each = capacities.iter().zip(&layers);
            each.map(|(rows, (_, between))| rows * between.row_len * between.chunks)
                .sum()
        };
        let fits = |tile: &usize| len(&capacities(*tile)) <= BUFFERS_LEN;
        let tile = (1..=rows).rev().find(fits).unwrap_or(1);
        // The weights are read again for each tile.
        let weights: usize = layers.iter().map(|(work, _)| work.weights_len()).sum();
        if tile < rows && weights > BUFFERS_LEN / 2 {
            return None;
        }
        let capacities = capacities(tile);
        let count = layers.len();
        let mut offset = 0;
        let mut stages: Vec<Stage> = Vec::with_capacity(count);
        for (i, (mut work, between)) in layers.into_iter().enumerate() {
            let buffer = (i + 1 < count).then_some(Buffer {
                between,
                offset,
                capacity: capacities[i],
            });
            let source = stages.last().and_then(|stage| stage.buffer);
            work.set_strides(
                source.map(|b| b.chunk_stride()),
                buffer.map(|b| b.chunk_stride()),
            );
            offset += buffer.map_or(0, |b| b.len());
            let rows = work.rows();
            stages.push(Stage { work, rows, buffer });
        }
        Some(Self { stages, tile, rows })
    }

    /// Numbers of the buffers together.
    #[must_use]
    pub fn buffers_len(&self) -> usize {
        let buffers = self.stages.iter().filter_map(|stage| stage.buffer);
        buffers.map(|buffer| buffer.len()).sum()
    }

    /// Whether an image is added at the end.
    #[must_use]
    pub fn has_residual(&self) -> bool {
        self.stages
            .last()
            .is_some_and(|stage| stage.work.has_residual())
    }

    /// Computes `output` from `source`, and from `residual` if the last layer adds one.
    ///
    /// # Panics
    /// If one of them, or the buffers, is too short.
    pub fn run(&self, source: &[f32], residual: &[f32], output: &mut [f32], buffers: &mut [f32]) {
        let last = self.stages.len() - 1;
        // The rows that each buffer has.
        let mut have: [Range<usize>; MOST_STAGES] = [const { 0..0 }; MOST_STAGES];
        for first in (0..self.rows).step_by(self.tile) {
            let mut need: [Range<usize>; MOST_STAGES] = [const { 0..0 }; MOST_STAGES];
            need[last] = first..(first + self.tile).min(self.rows);
            for i in (0..last).rev() {
                need[i] = self.stages[i + 1].rows.needs(need[i + 1].clone());
            }
            for (i, stage) in self.stages.iter().enumerate() {
                let begin = stage.buffer.map_or(buffers.len(), |buffer| buffer.offset);
                let (before, behind) = buffers.split_at_mut(begin);
                let source = match i
                    .checked_sub(1)
                    .and_then(|i| Some((i, self.stages[i].buffer?)))
                {
                    None => Rows::all(source),
                    Some((i, buffer)) => Rows {
                        numbers: &before[buffer.offset..][..buffer.len()],
                        first: have[i].start,
                    },
                };
                let Some(buffer) = stage.buffer else {
                    stage
                        .work
                        .run(need[i].clone(), source, residual, Rows::all(output));
                    continue;
                };
                let numbers = &mut behind[..buffer.len()];
                let keep = need[i].start.max(have[i].start)..have[i].end.max(need[i].start);
                if keep.start > have[i].start {
                    buffer.shift(numbers, keep.start - have[i].start, keep.len());
                }
                have[i] = need[i].start..need[i].end.max(keep.end);
                let missing = keep.end..need[i].end;
                let output = Rows {
                    numbers,
                    first: have[i].start,
                };
                stage.work.run(missing, source, &[], output);
            }
        }
    }
}

impl Work {
    fn rows(&self) -> Axis {
        match self {
            Self::Product { rows, .. } => *rows,
            Self::Depthwise(depthwise) => depthwise.axes().0,
        }
    }

    fn weights_len(&self) -> usize {
        match self {
            Self::Product { product, .. } => product.weights_len(),
            Self::Depthwise(_) => 0,
        }
    }

    fn has_residual(&self) -> bool {
        matches!(self, Self::Product { product, .. } if product.has_residual())
    }

    fn set_strides(&mut self, source_chunk: Option<usize>, output_chunk: Option<usize>) {
        let (source, output) = match self {
            Self::Product { product, .. } => {
                let strides = product.strides_mut();
                (&mut strides.source_chunk, &mut strides.output_chunk)
            }
            Self::Depthwise(depthwise) => {
                let (source, output) = depthwise.chunk_strides_mut();
                (source, output)
            }
        };
        *source = source_chunk.unwrap_or(*source);
        *output = output_chunk.unwrap_or(*output);
    }

    fn run(
        &self,
        rows: Range<usize>,
        source: Rows<&[f32]>,
        residual: &[f32],
        output: Rows<&mut [f32]>,
    ) {
        match self {
            Self::Product { product, .. } => product.run(rows, source, residual, output),
            Self::Depthwise(depthwise) => depthwise.run(rows, source, output),
        }
    }
}

impl Between {
    /// Of an image of so many channels and columns.
    #[must_use]
    pub fn new(channels: usize, columns: usize) -> Self {
        Self {
            chunks: channels.div_ceil(CHUNK),
            row_len: columns * CHUNK,
        }
    }
}
