//! Dead channels: those that are always zero, and those that are multiplied with nothing but
//! zeros. Training leaves many of them behind in networks with ReLU; here they are left out, so
//! that nothing is computed for them.
//!
//! The result is the same but for a channel that is infinite or NaN, which dead weights don't see.

use std::collections::BTreeMap;

use tract_onnx::tract_hir::internal::*;

use super::lower::Chain;
use super::operator::{Convolution, Operator, constant};
use palmd_kernels::{Activation, AlignedBox, Binary, Reducer};

/// Takes the dead channels out of the convolutions of `chains`, whose nodes are all of one group
/// with these `outputs`, and says how many there were.
pub fn prune(
    model: &TypedModel,
    operators: &BTreeMap<usize, Operator>,
    outputs: &[OutletId],
    chains: &mut BTreeMap<usize, Chain>,
) -> TractResult<usize> {
    let graph = Graph {
        model,
        operators,
        outputs,
    };
    let mut dead = 0;
    for first in chains.keys().copied().collect::<Vec<_>>() {
        let Some(path) = Path::from(&graph, first, chains) else {
            continue;
        };
        let alive = path.alive(chains)?;
        let count = alive.iter().filter(|alive| !**alive).count();
        // Something must be left to compute.
        if count > 0 && count < alive.len() {
            path.keep(&alive, chains);
            dead += count;
        }
    }
    Ok(dead)
}

struct Graph<'a> {
    model: &'a TypedModel,
    operators: &'a BTreeMap<usize, Operator>,
    outputs: &'a [OutletId],
}

impl Graph<'_> {
    /// The convolutions that read an image of so many pixels, or its sums over all pixels; `None`
    /// if anything else does.
    fn readers(&self, node: usize, pixels: usize) -> Option<Vec<usize>> {
        let outlet = OutletId::new(node, 0);
        if self.outputs.contains(&outlet) {
            return None;
        }
        let mut found = Vec::new();
        for reader in &self.model.nodes[node].outputs[0].successors {
            let pixels = match self.operators.get(&reader.node)? {
                Operator::Convolution(conv) if conv.input.pixels == pixels => {
                    found.push(reader.node);
                    continue;
                }
                Operator::Reduce {
                    reducer: Reducer::Sum,
                    len,
                    inner: 1,
                    ..
                } if *len == pixels => 1,
                Operator::Binary(Binary::Mul) if self.is_by_one_number(reader) => pixels,
                Operator::Reshape if pixels == 1 => 1,
                _ => return None,
            };
            found.extend(self.readers(reader.node, pixels)?);
        }
        Some(found)
    }

    /// Whether an operand is joined with a single number to its right.
    fn is_by_one_number(&self, operand: &InletId) -> bool {
        let right = self.model.nodes[operand.node].inputs.get(1);
        let fact = right.map(|right| &self.model.nodes[right.node].outputs[right.slot].fact);
        operand.slot == 0
            && fact
                .and_then(constant)
                .is_some_and(|number| number.len() == 1)
    }
}

/// Where the channels that a convolution makes are used.
struct Path {
    /// The convolution and, if there is one behind it, the depthwise one.
    makers: Vec<usize>,
    /// The convolutions that sum them up.
    users: Vec<usize>,
}

impl Path {
    fn from(graph: &Graph<'_>, first: usize, chains: &BTreeMap<usize, Chain>) -> Option<Self> {
        let mut makers = vec![first];
        if chains[&first].conv.depthwise {
            return None;
        }
        loop {
            let last = &chains[makers.last()?];
            let image = last.conv.output;
            let users = graph.readers(last.end(), image.pixels)?;
            let fits = |user: &usize| chains[user].conv.input.channels == image.channels;
            if last.residual.is_some() || users.is_empty() || !users.iter().all(fits) {
                return None;
            }
            match users[..] {
                [next] if chains[&next].conv.depthwise && makers.len() == 1 => makers.push(next),
                _ if users.iter().any(|user| chains[user].conv.depthwise) => return None,
                _ => return Some(Self { makers, users }),
            }
        }
    }

    /// For each channel, whether it must be computed.
    fn alive(&self, chains: &BTreeMap<usize, Chain>) -> TractResult<Vec<bool>> {
        let channels = chains[&self.makers[0]].conv.output.channels;
        let mut is_zero = vec![false; channels];
        for maker in &self.makers {
            let chain = &chains[maker];
            let weights = Weights::of(&chain.conv)?;
            for (channel, is_zero) in is_zero.iter_mut().enumerate() {
                let nothing_in = *is_zero || weights.are_zero_to(channel);
                *is_zero = nothing_in && chain.activated_bias(channel) == 0.0;
            }
        }
        let mut alive = vec![false; channels];
        for user in &self.users {
            let weights = Weights::of(&chains[user].conv)?;
            for (channel, alive) in alive.iter_mut().enumerate() {
                *alive |= !is_zero[channel] && !weights.are_zero_from(channel);
            }
        }
        Ok(alive)
    }

    fn keep(&self, alive: &[bool], chains: &mut BTreeMap<usize, Chain>) {
        for (id, chain) in chains {
            if self.makers.contains(id) {
                chain.keep_channels(alive);
            }
            if self.users.contains(id) || chain.conv.depthwise && self.makers.contains(id) {
                chain.conv.keep_inputs(alive);
            }
        }
    }
}

/// A convolution's weights.
struct Weights<'a> {
    conv: &'a Convolution,
    values: &'a [f32],
    inputs: usize,
    taps: usize,
}

impl<'a> Weights<'a> {
    fn of(conv: &'a Convolution) -> TractResult<Self> {
        Ok(Self {
            conv,
            values: conv.weights()?,
            inputs: if conv.depthwise {
                1
            } else {
                conv.input.channels
            },
            taps: conv.rows.kernel * conv.columns.kernel,
        })
    }

    fn are_zero(&self, input: usize, output: usize) -> bool {
        (0..self.taps).all(|tap| self.conv.weight(self.values, tap, input, output) == 0.0)
    }

    fn are_zero_to(&self, output: usize) -> bool {
        (0..self.inputs).all(|input| self.are_zero(input, output))
    }

    fn are_zero_from(&self, input: usize) -> bool {
        (0..self.conv.output.channels).all(|output| self.are_zero(input, output))
    }
}

impl Chain {
    /// What becomes of a channel into which nothing is summed up.
    fn activated_bias(&self, channel: usize) -> f32 {
        let bias = self.bias[channel];
        match &self.activation {
            Activation::Identity => bias,
            Activation::Clip { low, high } => bias.max(*low).min(*high),
            Activation::PRelu(slopes) if bias < 0.0 => bias * slopes[channel],
            Activation::PRelu(_) => bias,
        }
    }

    fn keep_channels(&mut self, alive: &[bool]) {
        self.bias = kept(&self.bias, alive);
        if let Activation::PRelu(slopes) = &mut self.activation {
            *slopes = AlignedBox::of(&kept(slopes, alive));
        }
        self.conv.keep_outputs(alive);
    }
}

/// The items of the channels that are alive.
pub fn kept<T: Copy>(items: &[T], alive: &[bool]) -> Vec<T> {
    let kept = items.iter().zip(alive).filter(|(_, alive)| **alive);
    kept.map(|(item, _)| *item).collect()
}
