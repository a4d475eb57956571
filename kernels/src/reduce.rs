//! Reducing axes, and softmax.

/// Reduces the middle one of three axes, `outer x len x inner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduce {
    /// What is made of the numbers of the axis.
    pub reducer: Reducer,
    /// Length of the axis.
    pub len: usize,
    /// Numbers behind each of its indices.
    pub inner: usize,
}

/// What is made of several numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Reducer {
    Sum,
    /// NaN is passed over.
    Max,
    /// NaN is passed over.
    Min,
    MeanOfSquares,
}

impl Reduce {
    /// Writes `output`.
    #[inline(always)]
    pub fn run(&self, source: &[f32], output: &mut [f32]) {
        match self.reducer {
            Reducer::Sum => self.fold(source, output, 0.0, |sum, x| sum + x),
            Reducer::Max => self.fold(source, output, f32::NEG_INFINITY, f32::max),
            Reducer::Min => self.fold(source, output, f32::INFINITY, f32::min),
            Reducer::MeanOfSquares => {
                self.fold(source, output, 0.0, |sum, x| sum + x * x);
                output.iter_mut().for_each(|sum| *sum /= self.len as f32);
            }
        }
    }

    #[inline(always)]
    fn fold(&self, source: &[f32], output: &mut [f32], begin: f32, f: impl Fn(f32, f32) -> f32) {
        output.fill(begin);
        let sources = source.chunks_exact(self.len * self.inner);
        for (source, output) in sources.zip(output.chunks_exact_mut(self.inner)) {
            for source in source.chunks_exact(self.inner) {
                for (out, &x) in output.iter_mut().zip(source) {
                    *out = f(*out, x);
                }
            }
        }
    }
}

/// Softmax over the last `len` numbers, again and again.
#[inline(always)]
pub fn softmax(len: usize, source: &[f32], output: &mut [f32]) {
    for (source, output) in source.chunks_exact(len).zip(output.chunks_exact_mut(len)) {
        let most = source.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (out, &x) in output.iter_mut().zip(source) {
            *out = (x - most).exp();
            sum += *out;
        }
        output.iter_mut().for_each(|x| *x /= sum);
    }
}
