//! An inverted residual block: expansion (where it has one), depthwise convolution and projection,
//! computed a few rows at a time, so that what lies between them stays in the cache.
//!
//! The expansion's rows go round in a ring, where the depthwise convolution finds those that a
//! tile of rows shares with the one before.

use std::ops::Range;

use palmd_kernels::{CHUNK, Depthwise, Product, Rows, Sink};

/// Numbers that the ring and the tile behind it may have together: half of a small L2 cache.
const BUFFERS_LEN: usize = 160 * 1024 / 4;

/// Numbers of weights that may be read again for each tile.
const WEIGHTS_LEN: usize = BUFFERS_LEN / 2;

/// Pixels of a tile: enough to make up for its beginning and its end.
const TILE_PIXELS: usize = 64;

/// An inverted residual block.
#[derive(Debug, Clone)]
pub struct Block {
    expansion: Option<Product>,
    depthwise: Depthwise,
    projection: Product,
    /// Rows that are computed at a time.
    tile: usize,
    /// Rows of the expansion that are kept.
    ring: usize,
    /// Numbers of the ring, and of a tile between convolution and projection.
    buffer_lens: (usize, usize),
}

impl Block {
    /// A block of layers whose images fit; the projection is pointwise. `None` if it isn't worth
    /// it.
    #[must_use]
    pub fn new(
        mut expansion: Option<Product>,
        mut depthwise: Depthwise,
        mut projection: Product,
    ) -> Option<Self> {
        let (rows, columns) = depthwise.axes();
        if (0..rows.output).any(|at| rows.taps(at).is_empty()) || columns.output == 0 {
            return None;
        }
        let ring_of = |tile: usize| {
            let needed =
                (0..rows.output).map(|at| rows.needs(at..(at + tile).min(rows.output)).len());
            needed.max().filter(|_| expansion.is_some()).unwrap_or(0)
        };
        let lens = |tile: usize| {
            let row_lens = (columns.input * CHUNK, columns.output * CHUNK);
            let chunks = depthwise.chunks();
            (
                chunks * ring_of(tile) * row_lens.0,
                chunks * tile * row_lens.1,
            )
        };
        let fits = |&tile: &usize| lens(tile).0 + lens(tile).1 <= BUFFERS_LEN;
        let most = TILE_PIXELS.div_ceil(columns.output).min(rows.output);
        let tile = (1..=most).rev().find(fits).unwrap_or(1);
        let weights = expansion.as_ref().map_or(0, Product::weights_len) + projection.weights_len();
        if tile < rows.output && weights > WEIGHTS_LEN {
            return None;
        }
        let (ring, buffer_lens) = (ring_of(tile), lens(tile));
        let strides = depthwise.chunk_strides_mut();
        if let Some(expansion) = &mut expansion {
            strides.0 = ring * columns.input * CHUNK;
            expansion.strides_mut().output_chunk = strides.0;
        }
        strides.1 = tile * columns.output * CHUNK;
        projection.strides_mut().source_chunk = strides.1;
        Some(Self {
            expansion,
            depthwise,
            projection,
            tile,
            ring,
            buffer_lens,
        })
    }

    /// Numbers that it needs for itself.
    #[must_use]
    pub fn buffers_len(&self) -> usize {
        self.buffer_lens.0 + self.buffer_lens.1
    }

    /// Whether an image is added at the end.
    #[must_use]
    pub fn has_residual(&self) -> bool {
        self.projection.has_residual()
    }

    /// Rows of its output.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.depthwise.axes().0.output
    }

    /// Computes some rows of `output` from `source`, and from `residual` if the projection adds
    /// one.
    ///
    /// # Panics
    /// If one of them, or the buffers, is too short.
    pub fn run(
        &self,
        rows: Range<usize>,
        source: &[f32],
        residual: &[f32],
        mut output: Sink<'_>,
        buffers: &mut [f32],
    ) {
        let (ring, between) = buffers.split_at_mut(self.buffer_lens.0);
        let axis = self.depthwise.axes().0;
        // Rows of the expansion that are there.
        let mut expanded = 0;
        for first in rows.clone().step_by(self.tile) {
            let tile = first..(first + self.tile).min(rows.end);
            let source = match &self.expansion {
                None => Rows::all(source),
                Some(expansion) => {
                    let needed = axis.needs(tile.clone());
                    for part in self.unbroken(expanded.max(needed.start)..needed.end) {
                        let begin = part.start - part.start % self.ring;
                        let output = Rows::from(Sink::from(&mut *ring), begin);
                        expansion.run(part, Rows::all(source), &[], output);
                    }
                    expanded = needed.end;
                    Rows::ring(&*ring, self.ring)
                }
            };
            let convolved = Rows::from(Sink::from(&mut *between), first);
            self.depthwise.run(tile.clone(), source, convolved);
            let convolved = Rows::from(&*between, first);
            let output = Rows::all(output.again());
            self.projection.run(tile, convolved, residual, output);
        }
    }

    /// Rows in parts that lie side by side in the ring: it is as long as the most that are needed.
    fn unbroken(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let middle = rows.start.next_multiple_of(self.ring).min(rows.end);
        let parts = [rows.start..middle, middle..rows.end];
        parts.into_iter().filter(|part| !part.is_empty())
    }
}
