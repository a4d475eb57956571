//! Memory for numbers that registers are loaded from.

use std::ops::{Deref, DerefMut};

use crate::inference::simd::CHUNK;

/// Numbers at the beginning of a cache line; as many as are wanted, rounded up to whole chunks.
#[derive(Clone, Default)]
pub struct AlignedBox {
    chunks: Box<[Line]>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; CHUNK]);

impl AlignedBox {
    /// `len` zeros, or more.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self {
            chunks: vec![Line([0.0; CHUNK]); len.div_ceil(CHUNK)].into(),
        }
    }

    /// The numbers of `values`, and zeros up to a whole chunk.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let mut new = Self::zeros(values.len());
        new[..values.len()].copy_from_slice(values);
        new
    }
}

impl Deref for AlignedBox {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is nothing but 16 f32.
        unsafe {
            std::slice::from_raw_parts(self.chunks.as_ptr().cast(), self.chunks.len() * CHUNK)
        }
    }
}

impl DerefMut for AlignedBox {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: a `Line` is nothing but 16 f32.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.chunks.as_mut_ptr().cast(),
                self.chunks.len() * CHUNK,
            )
        }
    }
}

impl std::fmt::Debug for AlignedBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} numbers", self.len())
    }
}
