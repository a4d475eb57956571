//! From operators to the layers of a plan: what is fused, and how each tensor lies in memory.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::tract_hir::internal::*;

use super::operator::{Convolution, Operator, constant, dense_strides, shape_of};
use super::prune::prune;
use crate::inference::plan::{BufferId, Builder, Plan, Step, Team};
use palmd_kernels::{
    Activation, AlignedBox, Assemble, Axis, Binary, CHUNK, Depthwise, Epilogue, Gather, Global,
    ImageShape, InstructionSet, Pairing, Part, Plain, Product, Reduce, Reducer, Region, Residual,
    Resize, Run, Strides, Unary, Zip,
};

/// A plan and the outlets that it takes and replaces, in its order.
pub struct Lowered {
    pub plan: Arc<Plan>,
    /// Channels that the plan leaves out.
    pub dead_channels: usize,
    pub inputs: Vec<OutletId>,
    pub outputs: Vec<OutletId>,
}

/// The outlets that a group of nodes needs from outside (constants apart), and those that are
/// needed of it outside.
pub fn ports(model: &TypedModel, nodes: &[usize]) -> (Vec<OutletId>, Vec<OutletId>) {
    let inside: BTreeSet<usize> = nodes.iter().copied().collect();
    let mut inputs: Vec<OutletId> = Vec::new();
    let mut outputs = Vec::new();
    for &id in nodes {
        for &input in &model.nodes[id].inputs {
            let is_constant = model.nodes[input.node].outputs[input.slot]
                .fact
                .konst
                .is_some();
            if !is_constant && !inside.contains(&input.node) && !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        let outlet = OutletId::new(id, 0);
        let readers = &model.nodes[id].outputs[0].successors;
        let is_read_outside = readers.iter().any(|inlet| !inside.contains(&inlet.node));
        if is_read_outside || model.outputs.contains(&outlet) {
            outputs.push(outlet);
        }
    }
    (inputs, outputs)
}

/// Makes a plan of a group of nodes.
pub fn lower(
    model: &TypedModel,
    nodes: &[usize],
    operators: &BTreeMap<usize, Operator>,
    set: InstructionSet,
    team: &Team,
) -> TractResult<Lowered> {
    let (inputs, outputs) = ports(model, nodes);
    let mut lowering = Lowering {
        model,
        operators,
        inside: nodes.iter().copied().collect(),
        outputs: outputs.clone(),
        set,
        builder: Builder::default(),
        values: BTreeMap::new(),
        wanted_in_chunks: BTreeSet::new(),
    };
    lowering.wanted_in_chunks = lowering.wanted_in_chunks(nodes);
    for &outlet in &inputs {
        let len = lowering.shape(outlet).iter().product();
        let buffer = lowering.builder.input(len);
        lowering.values.insert(outlet, Value::dense(buffer));
    }
    let mut chains = lowering.chains(nodes)?;
    let dead_channels = prune(model, operators, &outputs, &mut chains)?;
    let fused: BTreeSet<usize> = chains
        .values()
        .flat_map(|c| c.nodes.iter().copied())
        .collect();
    let ends: BTreeMap<usize, &Chain> = chains.values().map(|c| (c.end(), c)).collect();
    for &id in nodes {
        if let Some(chain) = ends.get(&id) {
            lowering.convolution(chain)?;
        } else if !fused.contains(&id) {
            lowering.operator(id)?;
        }
    }
    for &outlet in &outputs {
        lowering.give(outlet)?;
    }
    Ok(Lowered {
        plan: Arc::new(lowering.builder.finish(set, team)),
        dead_channels,
        inputs,
        outputs,
    })
}

/// A tensor: where its numbers lie, densely, or in chunks, or both.
#[derive(Debug, Clone, Copy)]
struct Value {
    dense: Option<BufferId>,
    chunks: Option<(ImageShape, BufferId)>,
}

impl Value {
    fn dense(buffer: BufferId) -> Self {
        Self {
            dense: Some(buffer),
            chunks: None,
        }
    }

    fn chunks(image: ImageShape, buffer: BufferId) -> Self {
        Self {
            dense: None,
            chunks: Some((image, buffer)),
        }
    }
}

/// A convolution and the nodes behind it that become its epilogue.
pub struct Chain {
    /// In order; the first is the convolution.
    nodes: Vec<usize>,
    /// The convolution, without its dead channels.
    pub conv: Convolution,
    pub bias: Vec<f32>,
    pub activation: Activation,
    pub residual: Option<(Residual, OutletId)>,
}

impl Chain {
    pub fn end(&self) -> usize {
        self.nodes[self.nodes.len() - 1]
    }
}

struct Lowering<'a> {
    model: &'a TypedModel,
    operators: &'a BTreeMap<usize, Operator>,
    inside: BTreeSet<usize>,
    outputs: Vec<OutletId>,
    set: InstructionSet,
    builder: Builder,
    values: BTreeMap<OutletId, Value>,
    wanted_in_chunks: BTreeSet<usize>,
}

impl<'a> Lowering<'a> {
    fn fact(&self, outlet: OutletId) -> &'a TypedFact {
        &self.model.nodes[outlet.node].outputs[outlet.slot].fact
    }

    fn shape(&self, outlet: OutletId) -> &'a [usize] {
        shape_of(self.fact(outlet))
    }

    fn name(&self, node: usize) -> &'a str {
        &self.model.nodes[node].name
    }

    fn constant(&self, outlet: OutletId) -> Option<&'a Arc<Tensor>> {
        constant(self.fact(outlet))
    }

    /// The numbers of an outlet in row-major order.
    fn as_dense(&mut self, outlet: OutletId) -> TractResult<BufferId> {
        if let Some(tensor) = self.constant(outlet) {
            let buffer = self
                .builder
                .constant(tensor.try_as_plain_ram()?.as_slice::<f32>()?);
            return Ok(buffer);
        }
        let value = self.values[&outlet];
        if let Some(buffer) = value.dense {
            return Ok(buffer);
        }
        let (image, chunks) = value.chunks.context("a value lies somewhere")?;
        let name = self.name(outlet.node);
        let step = Plain::ToDense(image);
        let buffer = self
            .builder
            .layer(name, 0, step, &[chunks], image.dense_len());
        self.values.insert(
            outlet,
            Value {
                dense: Some(buffer),
                ..value
            },
        );
        Ok(buffer)
    }

    /// The numbers of an outlet in the chunks of `image`.
    fn as_chunks(&mut self, outlet: OutletId, image: ImageShape) -> TractResult<BufferId> {
        if let Some(Value {
            chunks: Some((has, buffer)),
            ..
        }) = self.values.get(&outlet)
            && (*has == image || has.pixels == 1 && image.pixels == 1)
        {
            return Ok(*buffer);
        }
        let dense = self.as_dense(outlet)?;
        let name = self.name(outlet.node);
        let step = Plain::ToChunks(image);
        let buffer = self
            .builder
            .layer(name, 0, step, &[dense], image.chunked_len());
        if let Some(value) = self.values.get_mut(&outlet) {
            value.chunks = Some((image, buffer));
        }
        Ok(buffer)
    }

    /// The only reader of an outlet, if it has one and is needed nowhere else.
    fn only_reader(&self, outlet: OutletId) -> Option<usize> {
        let readers = &self.model.nodes[outlet.node].outputs[outlet.slot].successors;
        match readers[..] {
            [reader] if !self.outputs.contains(&outlet) => Some(reader.node),
            _ => None,
        }
    }

    /// The image in chunks that an outlet is, if it doesn't lie densely as well.
    fn only_chunks(&self, outlet: OutletId) -> Option<(ImageShape, BufferId)> {
        let value = self.values.get(&outlet)?;
        value.chunks.filter(|_| value.dense.is_none())
    }

    /// The nodes whose output is wanted in chunks by one that reads it.
    fn wanted_in_chunks(&self, nodes: &[usize]) -> BTreeSet<usize> {
        let mut wanted = BTreeSet::new();
        for &id in nodes.iter().rev() {
            let readers = &self.model.nodes[id].outputs[0].successors;
            let wants = |reader: &InletId| match self.operators.get(&reader.node) {
                Some(
                    Operator::Convolution(_) | Operator::Pool { .. } | Operator::Resize { .. },
                ) => self.inside.contains(&reader.node),
                Some(Operator::Unary(_) | Operator::Binary(_)) => wanted.contains(&reader.node),
                _ => false,
            };
            if readers.iter().any(wants) {
                wanted.insert(id);
            }
        }
        wanted
    }

    /// What each convolution takes in. Where two could take the same node, the first does.
    fn chains(&self, nodes: &[usize]) -> TractResult<BTreeMap<usize, Chain>> {
        let mut taken = BTreeSet::new();
        let mut chains = BTreeMap::new();
        for &id in nodes {
            let Operator::Convolution(conv) = &self.operators[&id] else {
                continue;
            };
            let mut chain = Chain {
                nodes: vec![id],
                conv: conv.clone(),
                bias: conv.bias.clone(),
                activation: Activation::Identity,
                residual: None,
            };
            while let Some(next) = self.only_reader(OutletId::new(chain.end(), 0)) {
                let free = self.inside.contains(&next) && !taken.contains(&next);
                if !free || !self.absorb(conv, &mut chain, next)? {
                    break;
                }
                taken.insert(next);
                chain.nodes.push(next);
            }
            chains.insert(id, chain);
        }
        Ok(chains)
    }

    /// Makes the next node part of the epilogue, if it can be.
    fn absorb(&self, conv: &Convolution, chain: &mut Chain, next: usize) -> TractResult<bool> {
        let output = OutletId::new(next, 0);
        let shape = self.shape(output);
        let previous = OutletId::new(chain.end(), 0);
        if shape.iter().product::<usize>() != conv.output.dense_len() {
            return Ok(false);
        }
        let is_identity = matches!(chain.activation, Activation::Identity);
        let binary = match &self.operators[&next] {
            Operator::Binary(binary) => *binary,
            Operator::Unary(Unary::LeakyRelu { slope }) if is_identity => {
                let slopes = vec![*slope; conv.output.channels.next_multiple_of(CHUNK)];
                chain.activation = Activation::PRelu(AlignedBox::of(&slopes));
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let inputs = &self.model.nodes[next].inputs;
        let (is_left, other) = (
            inputs[0] == previous,
            inputs[usize::from(inputs[0] == previous)],
        );
        let Some(tensor) = self.constant(other) else {
            let fits = binary == Binary::Add
                && other != previous
                && chain.residual.is_none()
                && !conv.depthwise
                && self.shape(other) == shape
                && self.shape(previous) == shape;
            if fits {
                let when = if is_identity {
                    Residual::Before
                } else {
                    Residual::After
                };
                chain.residual = Some((when, other));
            }
            return Ok(fits);
        };
        let Some(numbers) = by_channel(tensor, shape, conv.output)? else {
            return Ok(false);
        };
        let uniform = numbers
            .iter()
            .all(|x| *x == numbers[0])
            .then_some(numbers[0]);
        let is_first = is_identity && chain.residual.is_none();
        match (binary, uniform) {
            (Binary::Add, _) if is_first => {
                chain
                    .bias
                    .iter_mut()
                    .zip(&numbers)
                    .for_each(|(bias, x)| *bias += x);
            }
            (Binary::Sub, _) if is_first && is_left => {
                chain
                    .bias
                    .iter_mut()
                    .zip(&numbers)
                    .for_each(|(bias, x)| *bias -= x);
            }
            (Binary::PRelu, _) if is_identity && is_left => {
                chain.activation = Activation::PRelu(AlignedBox::of(&numbers));
            }
            (Binary::Max, Some(low)) if is_identity && low.is_finite() => {
                chain.activation = Activation::Clip {
                    low,
                    high: f32::INFINITY,
                };
            }
            (Binary::Min, Some(bound)) => match &mut chain.activation {
                // After a residual that came later, the bound is of the sum.
                Activation::Clip { low, high } if *high == f32::INFINITY && *low <= bound => {
                    if matches!(chain.residual, Some((Residual::After, _))) {
                        return Ok(false);
                    }
                    *high = bound;
                }
                _ => return Ok(false),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn convolution(&mut self, chain: &Chain) -> TractResult<()> {
        let (id, conv) = (chain.nodes[0], &chain.conv);
        let output = OutletId::new(chain.end(), 0);
        let name = self.name(chain.end());
        let image = conv.output;
        let mut epilogue = Epilogue {
            bias: AlignedBox::of(&chain.bias),
            activation: chain.activation.clone(),
            residual: Residual::None,
        };
        let source = self.model.nodes[id]
            .inputs
            .iter()
            .find(|i| self.constant(**i).is_none());
        let source = *source.context("a convolution has an image")?;
        let values = conv.weights()?;
        if conv.depthwise {
            let operand = self.as_chunks(source, conv.input)?;
            let depthwise = Depthwise::new(
                self.set,
                image.channels,
                (conv.rows, conv.columns),
                |channel, tap| conv.weight(values, tap, 0, channel),
                epilogue,
            );
            let macs = depthwise.macs(image.channels);
            let step = Step::Depthwise(depthwise);
            let buffer = self
                .builder
                .layer(name, macs, step, &[operand], image.chunked_len());
            self.values.insert(output, Value::chunks(image, buffer));
            return Ok(());
        }

        // One pixel lies the same either way; few channels are read where they lie.
        let is_dense = self
            .values
            .get(&source)
            .is_some_and(|value| value.dense.is_some());
        let chunked_source = match conv.input {
            ImageShape { pixels: 1, .. } => !is_dense,
            ImageShape {
                channels,
                channels_last: false,
                ..
            } => !is_dense || channels >= CHUNK,
            _ => true,
        };
        let operand = if chunked_source {
            self.as_chunks(source, conv.input)?
        } else {
            self.as_dense(source)?
        };
        let has_residual = chain.residual.is_some();
        // A residual is read in whole chunks.
        let dense = (image.pixels == 1
            || image.channels_last && !self.wanted_in_chunks.contains(&output.node))
            && !(has_residual && image.channels % CHUNK != 0);
        let mut operands = vec![operand];
        if let Some((when, other)) = chain.residual {
            epilogue.residual = when;
            operands.push(if dense {
                self.as_dense(other)?
            } else {
                self.as_chunks(other, image)?
            });
        }
        let source = Layout::new(conv.input, chunked_source);
        let (runs, regions) = runs_and_regions(conv, &source);
        let output_layout = Layout::new(image, !dense);
        let source_line = conv.columns.input * source.pixel;
        let strides = Strides {
            source_chunk: source.chunk,
            source_line,
            source_pixel: conv.columns.stride * source.pixel,
            source_row: conv.rows.stride * source_line,
            output_chunk: output_layout.chunk,
            output_pixel: output_layout.pixel,
            output_row: conv.columns.output * output_layout.pixel,
        };
        let channels = conv.input.channels;
        let taps = conv.rows.kernel * conv.columns.kernel;
        let product = Product::new(
            self.set,
            (taps * channels, image.channels),
            |row, channel| {
                let (tap, input) = source.tap_and_channel(row, taps, channels);
                conv.weight(values, tap, input, channel)
            },
            (runs, regions),
            (strides, dense),
            epilogue,
        );
        let macs = product.macs(image.channels);
        let len = if dense {
            image.dense_len()
        } else {
            image.chunked_len()
        };
        let axes = (conv.rows, conv.columns);
        let step = Step::Product { product, axes };
        let buffer = self.builder.layer(name, macs, step, &operands, len);
        let value = if dense {
            Value::dense(buffer)
        } else {
            Value::chunks(image, buffer)
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn operator(&mut self, id: usize) -> TractResult<()> {
        let name = self.name(id);
        let inputs = &self.model.nodes[id].inputs;
        let output = OutletId::new(id, 0);
        let shape = self.shape(output);
        let len: usize = shape.iter().product();
        let value = match &self.operators[&id] {
            Operator::Convolution(_) => bail!("a convolution is always in a chain"),
            Operator::Pool { image, pool } => {
                let operand = self.as_chunks(inputs[0], *image)?;
                let image = ImageShape {
                    pixels: pool.rows.output * pool.columns.output,
                    ..*image
                };
                let step = Plain::Pool(pool.clone());
                let buffer = self
                    .builder
                    .layer(name, 0, step, &[operand], image.chunked_len());
                Value::chunks(image, buffer)
            }
            Operator::Resize {
                image,
                input,
                output,
            } => {
                let operand = self.as_chunks(inputs[0], *image)?;
                let image = ImageShape {
                    pixels: output.0 * output.1,
                    ..*image
                };
                let step = Plain::Resize(Resize::new(*input, *output));
                let buffer = self
                    .builder
                    .layer(name, 0, step, &[operand], image.chunked_len());
                Value::chunks(image, buffer)
            }
            Operator::Unary(unary) => {
                let step = Plain::Unary(*unary);
                if let Some((image, chunks)) = self.only_chunks(inputs[0]) {
                    let len = image.chunked_len();
                    Value::chunks(image, self.builder.layer(name, 0, step, &[chunks], len))
                } else {
                    let operand = self.as_dense(inputs[0])?;
                    Value::dense(self.builder.layer(name, 0, step, &[operand], len))
                }
            }
            Operator::Binary(binary) => self.binary(id, *binary)?,
            Operator::Reduce {
                reducer,
                outer,
                len: axis,
                inner,
            } => {
                let global = match reducer {
                    Reducer::Sum => Some(Global::Sum),
                    Reducer::Max => Some(Global::Max),
                    _ => None,
                };
                let of_pixels = |image: &ImageShape| {
                    let others = if image.channels_last { outer } else { inner };
                    *axis == image.pixels && *others == 1
                };
                let chunks = self.only_chunks(inputs[0]);
                let chunks = chunks.filter(|(image, _)| of_pixels(image));
                if let (Some(global), Some((image, chunks))) = (global, chunks) {
                    let pixels = image.pixels;
                    let step = Plain::Global { global, pixels };
                    let image = ImageShape { pixels: 1, ..image };
                    // Where channels were pruned, the shapes that dense tensors go by are too large.
                    let is_pruned = image.channels < len;
                    let len = if is_pruned { image.chunked_len() } else { len };
                    let buffer = self.builder.layer(name, 0, step, &[chunks], len);
                    if is_pruned {
                        Value::chunks(image, buffer)
                    } else {
                        Value::dense(buffer)
                    }
                } else {
                    let operand = self.as_dense(inputs[0])?;
                    let step = Plain::Reduce(Reduce {
                        reducer: *reducer,
                        len: *axis,
                        inner: *inner,
                    });
                    Value::dense(self.builder.layer(name, 0, step, &[operand], len))
                }
            }
            Operator::Softmax { len: axis } => {
                let operand = self.as_dense(inputs[0])?;
                let step = Plain::Softmax { len: *axis };
                Value::dense(self.builder.layer(name, 0, step, &[operand], len))
            }
            Operator::Reshape => match self.values.get(&inputs[0]) {
                Some(value) => *value,
                None => Value::dense(self.as_dense(inputs[0])?),
            },
            Operator::Permute { order } => self.permute(id, order)?,
            Operator::Slice { axis, start, step } => {
                let mut strides = dense_strides(self.shape(inputs[0]));
                let first = start * strides[*axis];
                strides[*axis] *= step;
                let part = Part::new((first, 0), shape, &strides, &dense_strides(shape));
                self.assemble(id, None, vec![part])?
            }
            Operator::Concat { axis } => {
                let strides = dense_strides(shape);
                let mut at = 0;
                let mut parts = Vec::new();
                for input in inputs {
                    let part = self.shape(*input);
                    let to = at * strides[*axis];
                    parts.push(Part::new((0, to), part, &dense_strides(part), &strides));
                    at += part[*axis];
                }
                self.assemble(id, None, parts)?
            }
            Operator::Pad { before, value } => self.pad(id, before, *value)?,
            Operator::Gather { axis, indices } => {
                let operand = self.as_dense(inputs[0])?;
                let source = self.shape(inputs[0]);
                let gather = Gather {
                    axis: source[*axis],
                    inner: source[axis + 1..].iter().product(),
                    indices: indices.clone(),
                };
                Value::dense(
                    self.builder
                        .layer(name, 0, Plain::Gather(gather), &[operand], len),
                )
            }
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn binary(&mut self, id: usize, binary: Binary) -> TractResult<Value> {
        let name = self.name(id);
        let [left, right] = self.model.nodes[id].inputs[..] else {
            bail!("{name} takes two operands");
        };
        let shape = self.shape(OutletId::new(id, 0));
        // An image in chunks, with a number for each channel, or with another one.
        if let Some((image, buffer)) = self.only_chunks(left)
            && self.shape(left) == shape
        {
            let len = image.chunked_len();
            if let Some(tensor) = self.constant(right) {
                if let Some(numbers) = by_channel(tensor, shape, image)? {
                    let right = self.builder.constant(&numbers);
                    let pairing = Pairing::Channels {
                        pixels: image.pixels,
                    };
                    let step = Plain::Zip(Zip { binary, pairing });
                    let buffer = self.builder.layer(name, 0, step, &[buffer, right], len);
                    return Ok(Value::chunks(image, buffer));
                }
            } else if self.shape(right) == shape {
                let right = self.as_chunks(right, image)?;
                let step = Plain::Zip(Zip {
                    binary,
                    pairing: Pairing::Alike,
                });
                let buffer = self.builder.layer(name, 0, step, &[buffer, right], len);
                return Ok(Value::chunks(image, buffer));
            }
        }
        // Aligned to the last axis; an axis of one is read again and again.
        let strides = |own: &[usize]| {
            let mut strides = vec![0; shape.len().saturating_sub(own.len())];
            let dense = own.iter().zip(dense_strides(own));
            strides.extend(dense.map(|(&len, stride)| if len == 1 { 0 } else { stride }));
            strides
        };
        let pairing = Pairing::of(
            shape,
            &strides(self.shape(left)),
            &strides(self.shape(right)),
        );
        let operands = [self.as_dense(left)?, self.as_dense(right)?];
        let step = Plain::Zip(Zip { binary, pairing });
        let len = shape.iter().product();
        Ok(Value::dense(
            self.builder.layer(name, 0, step, &operands, len),
        ))
    }

    fn permute(&mut self, id: usize, order: &[usize]) -> TractResult<Value> {
        let input = self.model.nodes[id].inputs[0];
        let source = self.shape(input);
        // Channels from first to last, or back, leave chunks as they are.
        if let Some((image, buffer)) = self.only_chunks(input) {
            let long: Vec<usize> = order
                .iter()
                .copied()
                .filter(|&axis| source[axis] > 1)
                .collect();
            let channel_axes: &[usize] = match (image.channels_last, &long[..]) {
                (false, [.., last]) => std::slice::from_ref(last),
                (true, [first, ..]) => std::slice::from_ref(first),
                _ => &[],
            };
            let others = if image.channels_last {
                long.get(1..)
            } else {
                long.split_last().map(|l| l.1)
            };
            let in_order = others.unwrap_or_default().is_sorted();
            let moved = match channel_axes {
                [axis] => {
                    let outer: usize = source[..*axis].iter().product();
                    let inner: usize = source[axis + 1..].iter().product();
                    source[*axis] == image.channels
                        && (if image.channels_last { inner } else { outer }) == 1
                }
                _ => false,
            };
            if moved && in_order {
                let image = ImageShape {
                    channels_last: !image.channels_last,
                    ..image
                };
                return Ok(Value::chunks(image, buffer));
            }
        }
        let strides = dense_strides(source);
        let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        let shape = self.shape(OutletId::new(id, 0));
        let part = Part::new((0, 0), shape, &strides, &dense_strides(shape));
        self.assemble(id, None, vec![part])
    }

    fn pad(&mut self, id: usize, before: &[usize], value: f32) -> TractResult<Value> {
        let input = self.model.nodes[id].inputs[0];
        let (source, shape) = (self.shape(input), self.shape(OutletId::new(id, 0)));
        // More channels behind whole chunks of them.
        if let Some((image, buffer)) = self.only_chunks(input)
            && !image.channels_last
            && image.channels % CHUNK == 0
            && before.iter().all(|&b| b == 0)
        {
            let channels = shape.iter().product::<usize>() / image.pixels;
            let padded = ImageShape { channels, ..image };
            let rest = dense_strides(shape)
                .iter()
                .zip(source.iter().zip(shape))
                .find_map(|(&stride, (from, to))| (from != to).then_some((stride, *from)));
            let others_same = source
                .iter()
                .zip(shape)
                .filter(|(from, to)| from != to)
                .count()
                == 1;
            if others_same && rest == Some((image.pixels, image.channels)) {
                let part = Part::new((0, 0), &[image.chunked_len()], &[1], &[1]);
                let step = Plain::Assemble(Assemble {
                    fill: Some(value),
                    parts: vec![part],
                });
                let name = self.name(id);
                let buffer = self
                    .builder
                    .layer(name, 0, step, &[buffer], padded.chunked_len());
                return Ok(Value::chunks(padded, buffer));
            }
        }
        let strides = dense_strides(shape);
        let to = before
            .iter()
            .zip(&strides)
            .map(|(before, stride)| before * stride)
            .sum();
        let part = Part::new((0, to), source, &dense_strides(source), &strides);
        self.assemble(id, Some(value), vec![part])
    }

    /// A dense tensor of parts of the node's inputs.
    fn assemble(&mut self, id: usize, fill: Option<f32>, parts: Vec<Part>) -> TractResult<Value> {
        let inputs = &self.model.nodes[id].inputs;
        let operands: Vec<BufferId> = inputs
            .iter()
            .map(|input| self.as_dense(*input))
            .collect::<TractResult<_>>()?;
        let len = self.shape(OutletId::new(id, 0)).iter().product();
        let step = Plain::Assemble(Assemble { fill, parts });
        Ok(Value::dense(self.builder.layer(
            self.name(id),
            0,
            step,
            &operands,
            len,
        )))
    }

    /// Makes an outlet an output of the plan.
    fn give(&mut self, outlet: OutletId) -> TractResult<()> {
        let buffer = self.as_dense(outlet)?;
        let len: usize = self.shape(outlet).iter().product();
        self.builder
            .output(self.name(outlet.node), buffer, len, || {
                let part = Part::new((0, 0), &[len], &[1], &[1]);
                Plain::Assemble(Assemble {
                    fill: None,
                    parts: vec![part],
                })
            });
        Ok(())
    }
}

/// A constant that is broadcast to `shape` as one number for each channel of `image`, up to whole
/// chunks; `None` if it isn't of that kind.
fn by_channel(
    tensor: &Tensor,
    shape: &[usize],
    image: ImageShape,
) -> TractResult<Option<Vec<f32>>> {
    let numbers = tensor.try_as_plain_ram()?.as_slice::<f32>()?;
    let padded = image.channels.next_multiple_of(CHUNK);
    if let [number] = numbers {
        return Ok(Some(vec![*number; padded]));
    }
    // Of all its axes, only the one of the channels is longer than one.
    let stride = if image.channels_last { 1 } else { image.pixels };
    let strides = dense_strides(shape);
    let offset = shape.len() - tensor.rank().min(shape.len());
    let mut long = (0..tensor.rank()).filter(|&axis| tensor.shape()[axis] != 1);
    let fits = match (long.next(), long.next()) {
        (Some(axis), None) => {
            let at = axis + offset;
            shape.len() >= tensor.rank()
                && tensor.shape()[axis] == image.channels
                && shape[at] == image.channels
                && strides[at] == stride
        }
        _ => false,
    };
    Ok(fits.then(|| {
        let mut numbers = numbers.to_vec();
        numbers.resize(padded, 0.0);
        numbers
    }))
}

/// How an image lies in memory: from pixel to pixel, and from chunk to chunk.
struct Layout {
    chunked: bool,
    channels: usize,
    pixel: usize,
    chunk: usize,
    /// From channel to channel, where there are no chunks.
    channel: usize,
}

impl Layout {
    fn new(image: ImageShape, chunked: bool) -> Self {
        let ImageShape {
            channels,
            pixels,
            channels_last,
        } = image;
        let (pixel, chunk, channel) = match (chunked, channels_last || pixels == 1) {
            (true, _) => (CHUNK, pixels * CHUNK, 1),
            (false, true) => (channels, CHUNK, 1),
            (false, false) => (1, CHUNK * pixels, pixels),
        };
        Self {
            chunked,
            channels,
            pixel,
            chunk,
            channel,
        }
    }

    /// Whether the channels of a pixel, a chunk of them at least, lie side by side.
    fn channels_together(&self) -> bool {
        self.channel == 1
    }

    /// The rows of the weights are in the order in which they are read.
    fn tap_and_channel(&self, row: usize, taps: usize, channels: usize) -> (usize, usize) {
        if self.channels_together() {
            (row / channels, row % channels)
        } else {
            (row % taps, row / taps)
        }
    }

    /// The runs under some taps of a row of the kernel, from the place of the first of them.
    fn runs(
        &self,
        conv: &Convolution,
        rows: &[usize],
        columns: &std::ops::Range<usize>,
        runs: &mut Vec<Run>,
    ) {
        let line = conv.columns.input * self.pixel;
        let (Some(&first_row), first_column) = (rows.first(), columns.start) else {
            return;
        };
        let place = |ty: usize, tx: usize| {
            (ty - first_row) * conv.rows.dilation * line
                + (tx - first_column) * conv.columns.dilation * self.pixel
        };
        let taps = conv.rows.kernel * conv.columns.kernel;
        let tap = |ty: usize, tx: usize| ty * conv.columns.kernel + tx;
        if self.channels_together() {
            let chunk_len = if self.chunked { CHUNK } else { self.channels };
            for &ty in rows {
                for tx in columns.clone() {
                    for first in (0..self.channels).step_by(chunk_len) {
                        runs.push(Run {
                            chunk: first / CHUNK,
                            offset: place(ty, tx),
                            row: tap(ty, tx) * self.channels + first,
                            len: chunk_len.min(self.channels - first),
                        });
                    }
                }
            }
            return;
        }
        let together = conv.columns.dilation == 1;
        for channel in 0..self.channels {
            for &ty in rows {
                let step = if together { columns.len().max(1) } else { 1 };
                for tx in columns.clone().step_by(step) {
                    runs.push(Run {
                        chunk: 0,
                        offset: place(ty, tx) + channel * self.channel,
                        row: channel * taps + tap(ty, tx),
                        len: step,
                    });
                }
            }
        }
    }
}

/// The neighbouring outputs of an axis that have the same taps inside of the input.
fn alike(axis: &Axis) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut groups: Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> = Vec::new();
    for at in 0..axis.output {
        let taps = axis.taps(at);
        match groups.last_mut() {
            Some((outputs, same)) if *same == taps => outputs.end = at + 1,
            _ => groups.push((at..at + 1, taps)),
        }
    }
    groups
}

/// Where a convolution's numbers lie: regions of the output whose pixels have the same taps
/// inside of the image, and the runs of each.
fn runs_and_regions(conv: &Convolution, source: &Layout) -> (Vec<Run>, Vec<Region>) {
    let (rows, columns) = (&conv.rows, &conv.columns);
    let mut runs = Vec::new();
    let mut regions = Vec::new();
    for (ys, row_taps) in alike(rows) {
        for (xs, column_taps) in alike(columns) {
            let begin = runs.len();
            let tap_rows: Vec<usize> = row_taps.clone().collect();
            source.runs(conv, &tap_rows, &column_taps, &mut runs);
            let first = |axis: &Axis, at: usize, tap: usize| {
                (at * axis.stride + tap * axis.dilation).saturating_sub(axis.pad_before)
            };
            let y = first(rows, ys.start, row_taps.start);
            let x = first(columns, xs.start, column_taps.start);
            regions.push(Region {
                runs: begin..runs.len(),
                rows: ys.clone(),
                columns: xs,
                source: (y * columns.input + x) * source.pixel,
            });
        }
    }
    (runs, regions)
}
