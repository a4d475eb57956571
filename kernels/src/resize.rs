//! Bilinear resizing.

use crate::simd::CHUNK;

/// Bilinear resizing of an image in chunks: half-pixel centres, the outermost pixels go on.
#[derive(Debug, Clone)]
pub struct Resize {
    rows: Vec<Between>,
    columns: Vec<Between>,
    input: (usize, usize),
}

/// Two neighbours, and the share of the second one.
#[derive(Debug, Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

fn between(input: usize, output: usize) -> Vec<Between> {
    let scale = input as f32 / output as f32;
    let last = input - 1;
    (0..output)
        .map(|at| {
            let at = ((at as f32 + 0.5) * scale - 0.5).clamp(0.0, last as f32);
            Between {
                first: at as usize,
                second: (at as usize + 1).min(last),
                share: at.fract(),
            }
        })
        .collect()
}

impl Resize {
    /// From `input` to `output` rows and columns, none of which is 0.
    #[must_use]
    pub fn new(input: (usize, usize), output: (usize, usize)) -> Self {
        Self {
            rows: between(input.0, output.0),
            columns: between(input.1, output.1),
            input,
        }
    }

    /// Computes `output` from `source`, whole chunks both.
    #[inline(always)]
    pub fn run(&self, source: &[f32], output: &mut [f32]) {
        let (height, width) = self.input;
        let sources = source.chunks_exact(height * width * CHUNK);
        let line_len = self.columns.len() * CHUNK;
        let outputs = output.chunks_exact_mut(self.rows.len() * line_len);
        for (source, output) in sources.zip(outputs) {
            let pixels = source.as_chunks::<CHUNK>().0;
            for (y, line) in self.rows.iter().zip(output.chunks_exact_mut(line_len)) {
                let above = &pixels[y.first * width..][..width];
                let below = &pixels[y.second * width..][..width];
                for (x, out) in self.columns.iter().zip(line.as_chunks_mut::<CHUNK>().0) {
                    let corners = [
                        &above[x.first],
                        &above[x.second],
                        &below[x.first],
                        &below[x.second],
                    ];
                    for (lane, out) in out.iter_mut().enumerate() {
                        let [a, b, c, d] = corners.map(|corner| corner[lane]);
                        let above = a + (b - a) * x.share;
                        let below = c + (d - c) * x.share;
                        *out = above + (below - above) * y.share;
                    }
                }
            }
        }
    }
}
