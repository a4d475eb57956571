//! One axis of a convolution or pooling.

use std::ops::Range;

/// One axis of a convolution or pooling over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Pixels of the input.
    pub input: usize,
    /// Pixels of the output.
    pub output: usize,
    /// Taps of the kernel.
    pub kernel: usize,
    /// Input pixels from output to output.
    pub stride: usize,
    /// Input pixels from tap to tap.
    pub dilation: usize,
    /// Pixels of zeros before the first one.
    pub pad_before: usize,
}

/// The longest axis, kernel, stride, dilation and padding for which there are kernels: sums of
/// products of two of them fit into 32 bits.
const LONGEST: usize = 1 << 14;

impl Axis {
    /// Whether an axis is one that the kernels can walk: nothing is zero that must not be, and
    /// nothing so long that places along it can't be computed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let &Self {
            input,
            output,
            kernel,
            stride,
            dilation,
            pad_before,
        } = self;
        let steps = [output, kernel, stride, dilation];
        steps.iter().all(|n| (1..=LONGEST).contains(n)) && input.max(pad_before) <= LONGEST
    }

    /// An axis of `len` pixels, each of which is an output.
    #[must_use]
    pub fn pointwise(len: usize) -> Self {
        Self {
            input: len,
            output: len,
            kernel: 1,
            stride: 1,
            dilation: 1,
            pad_before: 0,
        }
    }

    /// The taps that lie inside of the input at output `at`.
    #[inline(always)]
    #[must_use]
    pub fn taps(&self, at: usize) -> Range<usize> {
        let begin = at * self.stride;
        let first = self
            .pad_before
            .saturating_sub(begin)
            .div_ceil(self.dilation);
        let room = (self.input + self.pad_before).saturating_sub(begin);
        let end = room.div_ceil(self.dilation).min(self.kernel);
        first.min(end)..end
    }

    /// The inputs that some outputs need.
    #[must_use]
    pub fn needs(&self, outputs: Range<usize>) -> Range<usize> {
        let mut inside = outputs.filter(|&at| !self.taps(at).is_empty());
        let Some(first) = inside.next() else {
            return 0..0;
        };
        let last = inside.next_back().unwrap_or(first);
        let place =
            |at: usize, tap: usize| at * self.stride + tap * self.dilation - self.pad_before;
        place(first, self.taps(first).start)..place(last, self.taps(last).end - 1) + 1
    }

    /// The outputs at which no tap lies outside.
    #[must_use]
    pub fn inside(&self) -> Range<usize> {
        let end = (self.input + self.pad_before)
            .checked_sub((self.kernel - 1) * self.dilation + 1)
            .map_or(0, |last| last / self.stride + 1)
            .min(self.output);
        self.pad_before.div_ceil(self.stride).min(end)..end
    }
}
