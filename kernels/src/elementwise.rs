//! Functions of one number and of two.

use super::layout::joint_axes;
use crate::simd::CHUNK;

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unary {
    Abs,
    Exp,
    Ln,
    Neg,
    Recip,
    Rsqrt,
    Sigmoid,
    Sqrt,
    Square,
    Tanh,
    LeakyRelu { slope: f32 },
}

impl Unary {
    /// Computes `output` from `source`, number by number.
    #[inline(always)]
    pub fn run(self, source: &[f32], output: &mut [f32]) {
        fn each(source: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32) {
            for (out, &x) in output.iter_mut().zip(source) {
                *out = f(x);
            }
        }
        match self {
            Self::Abs => each(source, output, f32::abs),
            Self::Exp => each(source, output, f32::exp),
            Self::Ln => each(source, output, f32::ln),
            Self::Neg => each(source, output, |x| -x),
            Self::Recip => each(source, output, f32::recip),
            Self::Rsqrt => each(source, output, |x| x.sqrt().recip()),
            Self::Sigmoid => each(source, output, |x| 1.0 / (1.0 + (-x).exp())),
            Self::Sqrt => each(source, output, f32::sqrt),
            Self::Square => each(source, output, |x| x * x),
            Self::Tanh => each(source, output, f32::tanh),
            Self::LeakyRelu { slope } => {
                each(source, output, |x| if x < 0.0 { slope * x } else { x });
            }
        }
    }
}

/// A function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// `x` times a slope where negative.
    PRelu,
}

/// A function of two tensors, the axes of which are brought together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zip {
    /// The function.
    pub binary: Binary,
    /// Which numbers meet.
    pub pairing: Pairing,
}

/// Which numbers of two tensors meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pairing {
    /// Those at the same place; the shorter of the two is one number, or as long.
    Alike,
    /// An image in chunks on the left, and one number for each of its channels on the right.
    Channels {
        /// Pixels of the image.
        pixels: usize,
    },
    /// Axes of the output: how long, and how far apart the numbers are on the left and on the
    /// right (0 where one number serves all).
    Axes(Vec<[usize; 3]>),
}

impl Zip {
    /// Computes `output` from `left` and `right`.
    #[inline(always)]
    pub fn run(&self, left: &[f32], right: &[f32], output: &mut [f32]) {
        match self.binary {
            Binary::Add => self.pairing.each(left, right, output, |a, b| a + b),
            Binary::Sub => self.pairing.each(left, right, output, |a, b| a - b),
            Binary::Mul => self.pairing.each(left, right, output, |a, b| a * b),
            Binary::Div => self.pairing.each(left, right, output, |a, b| a / b),
            Binary::Max => self.pairing.each(left, right, output, f32::max),
            Binary::Min => self.pairing.each(left, right, output, f32::min),
            Binary::PRelu => {
                self.pairing.each(
                    left,
                    right,
                    output,
                    |x, slope| {
                        if x < 0.0 { x * slope } else { x }
                    },
                )
            }
        }
    }
}

impl Pairing {
    /// For tensors of a shape, with their strides: axes that can be walked as one become one.
    #[must_use]
    pub fn of(shape: &[usize], left: &[usize], right: &[usize]) -> Self {
        let axes = joint_axes(shape, left, right);
        match axes[..] {
            [] | [[_, 1, 1]] | [[_, 1, 0]] | [[_, 0, 1]] => Self::Alike,
            _ => Self::Axes(axes),
        }
    }

    #[inline(always)]
    fn each(
        &self,
        left: &[f32],
        right: &[f32],
        output: &mut [f32],
        f: impl Fn(f32, f32) -> f32 + Copy,
    ) {
        match self {
            Self::Alike if right.len() == 1 && output.len() > 1 => {
                let right = right[0];
                for (out, &x) in output.iter_mut().zip(left) {
                    *out = f(x, right);
                }
            }
            Self::Alike if left.len() == 1 && output.len() > 1 => {
                let left = left[0];
                for (out, &x) in output.iter_mut().zip(right) {
                    *out = f(left, x);
                }
            }
            Self::Alike => {
                for ((out, &l), &r) in output.iter_mut().zip(left).zip(right) {
                    *out = f(l, r);
                }
            }
            Self::Channels { pixels } => {
                let lefts = left.chunks_exact(pixels * CHUNK);
                let outs = output.chunks_exact_mut(pixels * CHUNK);
                for ((left, right), out) in lefts.zip(right.as_chunks::<CHUNK>().0).zip(outs) {
                    let lefts = left.as_chunks::<CHUNK>().0;
                    for (left, out) in lefts.iter().zip(out.as_chunks_mut::<CHUNK>().0) {
                        for ((out, &l), &r) in out.iter_mut().zip(left).zip(right) {
                            *out = f(l, r);
                        }
                    }
                }
            }
            Self::Axes(axes) => walk(axes, left, right, output, f),
        }
    }
}

fn walk(
    axes: &[[usize; 3]],
    left: &[f32],
    right: &[f32],
    output: &mut [f32],
    f: impl Fn(f32, f32) -> f32 + Copy,
) {
    let [[len, l, r], inner @ ..] = axes else {
        output[0] = f(left[0], right[0]);
        return;
    };
    if inner.is_empty() {
        for (i, out) in output.iter_mut().enumerate() {
            *out = f(left[i * l], right[i * r]);
        }
        return;
    }
    for (i, output) in output.chunks_exact_mut(output.len() / len).enumerate() {
        walk(inner, &left[i * l..], &right[i * r..], output, f);
    }
}
