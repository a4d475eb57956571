//! Dead channels: those that are always zero, and those that are multiplied with nothing but
//! zeros. Training leaves many of them behind in networks with ReLU; here they are left out, so
//! that nothing is computed for them.
//!
//! The result is the same but for a channel that is infinite or NaN, which dead weights don't see.

use std::collections::BTreeMap;

use tract_onnx::tract_hir::internal::*;

use super::lower::Chain;
use super::operator::{Convolution, Operator, constant, kept};
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
    /// The convolutions that read the image that a node makes, of so many pixels, or its sums over all
    /// pixels; `None` if anything else does.
    fn readers(&self, node: usize, pixels: usize) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        // Images with their pixels, and sums.
        let mut tensors = vec![(node, Some(pixels))];
        while let Some((node, pixels)) = tensors.pop() {
            let outlet = OutletId::new(node, 0);
            if self.outputs.contains(&outlet) {
                return None;
            }
            for reader in &self.model.nodes[node].outputs[0].successors {
                match (self.operators.get(&reader.node)?, pixels) {
                    (Operator::Convolution(conv), _)
                        if conv.input.pixels == pixels.unwrap_or(1) =>
                    {
                        found.push(reader.node);
                    }
                    (
                        Operator::Reduce {
                            reducer: Reducer::Sum,
                            len,
                            inner: 1,
                            ..
                        },
                        Some(pixels),
                    ) if *len == pixels && pixels > 1 => {
                        tensors.push((reader.node, None));
                    }
                    (Operator::Reshape, None) => tensors.push((reader.node, None)),
                    (Operator::Binary(Binary::Mul), None)
                        if self.is_scaled_by(outlet, reader.node) =>
                    {
                        tensors.push((reader.node, None));
                    }
                    _ => return None,
                }
            }
        }
        Some(found)
    }

    /// Whether a node does no more to the operand on its left than to multiply it with a number.
    fn is_scaled_by(&self, left: OutletId, node: usize) -> bool {
        let fact = |outlet: OutletId| &self.model.nodes[outlet.node].outputs[outlet.slot].fact;
        let is_one_number =
            |right: OutletId| constant(fact(right)).is_some_and(|number| number.len() == 1);
        let same_shape = fact(left).shape == fact(OutletId::new(node, 0)).shape;
        match self.model.nodes[node].inputs[..] {
            [first, right] => first == left && same_shape && is_one_number(right),
            _ => false,
        }
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
        for maker in &self.makers {
            if let Some(chain) = chains.get_mut(maker) {
                chain.keep_channels(alive);
            }
        }
        for reader in self.makers.iter().skip(1).chain(&self.users) {
            if let Some(chain) = chains.get_mut(reader) {
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
