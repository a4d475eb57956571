//! How tensors lie in memory: densely, or in chunks of channels.

use std::marker::PhantomData;

use crate::simd::CHUNK;

/// How an image of a batch of one lies in a dense tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// Channels.
    pub channels: usize,
    /// Pixels: the product of all other axes.
    pub pixels: usize,
    /// Whether the channels of a pixel lie side by side (`NHWC`), or the pixels of a channel
    /// (`NCHW`).
    pub channels_last: bool,
}

impl ImageShape {
    /// Numbers in a dense tensor.
    #[must_use]
    pub fn dense_len(&self) -> usize {
        self.channels * self.pixels
    }

    /// Numbers in chunks.
    #[must_use]
    pub fn chunked_len(&self) -> usize {
        self.channels.next_multiple_of(CHUNK) * self.pixels
    }

    /// From one pixel of a dense tensor to the next, and from one channel to the next.
    fn strides(&self) -> (usize, usize) {
        if self.channels_last {
            (self.channels, 1)
        } else {
            (1, self.pixels)
        }
    }

    /// Copies a dense tensor into chunks. What is beyond the last channel becomes zero.
    #[inline(always)]
    pub fn to_chunks(self, dense: &[f32], chunks: &mut [f32]) {
        let (pixel_stride, channel_stride) = self.strides();
        for (c, chunk) in chunks.chunks_exact_mut(self.pixels * CHUNK).enumerate() {
            let first = c * CHUNK;
            let count = CHUNK.min(self.channels.saturating_sub(first));
            for (p, lanes) in chunk.chunks_exact_mut(CHUNK).enumerate() {
                let from = &dense[p * pixel_stride + first * channel_stride..];
                let (lanes, beyond) = lanes.split_at_mut(count);
                if channel_stride == 1 {
                    lanes.copy_from_slice(&from[..count]);
                } else {
                    for (lane, &x) in lanes.iter_mut().zip(from.iter().step_by(channel_stride)) {
                        *lane = x;
                    }
                }
                beyond.fill(0.0);
            }
        }
    }

    /// Copies chunks into a dense tensor.
    #[inline(always)]
    pub fn to_dense(self, chunks: &[f32], dense: &mut [f32]) {
        let (pixel_stride, channel_stride) = self.strides();
        for (c, chunk) in chunks.chunks_exact(self.pixels * CHUNK).enumerate() {
            let first = c * CHUNK;
            let count = CHUNK.min(self.channels.saturating_sub(first));
            for (p, lanes) in chunk.chunks_exact(CHUNK).enumerate() {
                let to = &mut dense[p * pixel_stride + first * channel_stride..];
                if channel_stride == 1 {
                    to[..count].copy_from_slice(&lanes[..count]);
                } else {
                    for (x, &lane) in to.iter_mut().step_by(channel_stride).zip(&lanes[..count]) {
                        *x = lane;
                    }
                }
            }
        }
    }
}

/// Numbers that are written: by one thread, or by several of which each keeps to its own rows.
#[derive(Debug)]
pub struct Sink<'a> {
    numbers: *mut f32,
    len: usize,
    life: PhantomData<&'a mut [f32]>,
}

impl Sink<'_> {
    /// Of `len` numbers.
    ///
    /// # Safety
    /// They are there as long as the sink, and whoever else reads or writes them meanwhile
    /// doesn't touch what is written here.
    pub unsafe fn new(numbers: *mut f32, len: usize) -> Self {
        Self {
            numbers,
            len,
            life: PhantomData,
        }
    }

    /// The same numbers for a while.
    pub fn again(&mut self) -> Sink<'_> {
        Sink { ..*self }
    }

    pub(super) fn as_mut_ptr(&self) -> *mut f32 {
        self.numbers
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl<'a> From<&'a mut [f32]> for Sink<'a> {
    fn from(numbers: &'a mut [f32]) -> Self {
        Self {
            numbers: numbers.as_mut_ptr(),
            len: numbers.len(),
            life: PhantomData,
        }
    }
}

/// Rows of an image in chunks: all of them, or a buffer of some.
#[derive(Debug, Clone, Copy)]
pub struct Rows<T> {
    /// The numbers.
    pub numbers: T,
    /// The image's row with which they begin.
    pub first: usize,
    /// Rows after which the buffer begins anew, where it does.
    pub ring: usize,
}

impl<T> Rows<T> {
    /// All rows of an image.
    pub fn all(numbers: T) -> Self {
        Self::from(numbers, 0)
    }

    /// The rows from `first` on.
    pub fn from(numbers: T, first: usize) -> Self {
        Self {
            numbers,
            first,
            ring: usize::MAX,
        }
    }

    /// Row `y` lies in the place of `y % len`.
    pub fn ring(numbers: T, len: usize) -> Self {
        Self {
            numbers,
            first: 0,
            ring: len,
        }
    }
}

/// The axes of a shape, each as its length and how far apart the numbers are in two tensors: those
/// that can be walked as one become one.
pub(super) fn joint_axes(shape: &[usize], one: &[usize], other: &[usize]) -> Vec<[usize; 3]> {
    let mut axes: Vec<[usize; 3]> = Vec::new();
    let all = shape.iter().zip(one).zip(other);
    for ((&len, &a), &b) in all.filter(|((len, _), _)| **len != 1) {
        match axes.last_mut() {
            Some(last) if last[1] == a * len && last[2] == b * len => {
                *last = [last[0] * len, a, b];
            }
            _ => axes.push([len, a, b]),
        }
    }
    axes
}
