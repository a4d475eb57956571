//! Moving numbers without changing them.

use super::layout::joint_axes;

/// A tensor put together from parts of others: concatenation, slices, padding, transposition.
#[derive(Debug, Clone)]
pub struct Assemble {
    /// What lies where no part does.
    pub fill: Option<f32>,
    /// The parts, one for each operand.
    pub parts: Vec<Part>,
}

/// Numbers of an operand and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The first number in the operand.
    pub source: usize,
    /// The first number in the output.
    pub output: usize,
    /// Axes: how long, and how far apart the numbers are in the operand and in the output.
    axes: Vec<[usize; 3]>,
}

impl Part {
    /// A part of a `shape`, with the strides of operand and output.
    #[must_use]
    pub fn new(
        (source, output): (usize, usize),
        shape: &[usize],
        source_strides: &[usize],
        output_strides: &[usize],
    ) -> Self {
        Self {
            source,
            output,
            axes: joint_axes(shape, source_strides, output_strides),
        }
    }

    fn copy(&self, source: &[f32], output: &mut [f32]) {
        copy(
            &self.axes,
            &source[self.source..],
            &mut output[self.output..],
        );
    }
}

fn copy(axes: &[[usize; 3]], source: &[f32], output: &mut [f32]) {
    match axes {
        [] => output[0] = source[0],
        [[len, 1, 1]] => output[..*len].copy_from_slice(&source[..*len]),
        [[len, s, o]] => {
            for i in 0..*len {
                output[i * o] = source[i * s];
            }
        }
        [[len, s, o], inner @ ..] => {
            for i in 0..*len {
                copy(inner, &source[i * s..], &mut output[i * o..]);
            }
        }
    }
}

impl Assemble {
    /// Writes `output`; `operand(i)` is the source of part `i`.
    pub fn run<'a>(&self, operand: impl Fn(usize) -> &'a [f32], output: &mut [f32]) {
        if let Some(fill) = self.fill {
            output.fill(fill);
        }
        for (i, part) in self.parts.iter().enumerate() {
            part.copy(operand(i), output);
        }
    }
}

/// Picks along one axis, by indices that are known at load.
#[derive(Debug, Clone)]
pub struct Gather {
    /// Length of that axis in the operand.
    pub axis: usize,
    /// Numbers behind each index.
    pub inner: usize,
    /// What is picked: each below `axis`.
    pub indices: Vec<usize>,
}

impl Gather {
    /// Writes `output`.
    pub fn run(&self, source: &[f32], output: &mut [f32]) {
        let outputs = output.chunks_exact_mut(self.indices.len() * self.inner);
        for (source, output) in source.chunks_exact(self.axis * self.inner).zip(outputs) {
            for (&index, output) in self.indices.iter().zip(output.chunks_exact_mut(self.inner)) {
                output.copy_from_slice(&source[index * self.inner..][..self.inner]);
            }
        }
    }
}
