//! What a node of a tract model computes, in our own terms.

use tract_onnx::tract_core::ops::array::{Gather as TractGather, Pad, PadMode, Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::downsample::Downsample;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{
    self, CoordTransformer, DataFormat, Interpolator, Reduce as TractReduce, Softmax, SoftmaxKind,
};
use tract_onnx::tract_hir::internal::*;

use crate::inference::prelu::PRelu;
use palmd_kernels::{Axis, Binary, Divisor, ImageShape, Pool, PoolKind, Reducer, Unary};

/// What a node computes. All tensors are float32 of known shapes.
#[derive(Debug)]
pub enum Operator {
    Convolution(Convolution),
    Pool {
        image: ImageShape,
        pool: Pool,
    },
    Resize {
        image: ImageShape,
        input: (usize, usize),
        output: (usize, usize),
    },
    Unary(Unary),
    /// Its operands may be constants.
    Binary(Binary),
    /// `outer x len x inner` becomes `outer x inner`.
    Reduce {
        reducer: Reducer,
        outer: usize,
        len: usize,
        inner: usize,
    },
    Softmax {
        len: usize,
    },
    /// The same numbers in the same order.
    Reshape,
    /// The axes in another order: axis `i` of the output is axis `order[i]` of the input.
    Permute {
        order: Vec<usize>,
    },
    Slice {
        axis: usize,
        start: usize,
        step: usize,
    },
    Concat {
        axis: usize,
    },
    Pad {
        before: Vec<usize>,
        value: f32,
    },
    Gather {
        axis: usize,
        indices: Vec<usize>,
    },
}

/// A convolution, full or depthwise; a matrix product is one with a single tap.
#[derive(Debug, Clone)]
pub struct Convolution {
    pub input: ImageShape,
    pub output: ImageShape,
    pub depthwise: bool,
    pub rows: Axis,
    pub columns: Axis,
    pub bias: Vec<f32>,
    weights: Arc<Tensor>,
    /// Where the weights of an input channel, and of an output channel, begin.
    weights_of_input: Vec<usize>,
    weights_of_output: Vec<usize>,
}

impl Convolution {
    /// The weight of a tap, counted along the rows, of an input and an output channel.
    pub fn weight(&self, values: &[f32], tap: usize, input: usize, output: usize) -> f32 {
        values[self.weights_of_output[output] + self.weights_of_input[input] + tap]
    }

    pub fn weights(&self) -> TractResult<&[f32]> {
        self.weights.try_as_plain_ram()?.as_slice::<f32>()
    }

    /// Leaves out the output channels that are not `alive`.
    pub fn keep_outputs(&mut self, alive: &[bool]) {
        self.bias = kept(&self.bias, alive);
        self.weights_of_output = kept(&self.weights_of_output, alive);
        self.output.channels = self.weights_of_output.len();
    }

    /// Leaves out the input channels that are not `alive`.
    pub fn keep_inputs(&mut self, alive: &[bool]) {
        if !self.depthwise {
            self.weights_of_input = kept(&self.weights_of_input, alive);
        }
        self.input.channels = alive.iter().filter(|alive| **alive).count();
    }
}

/// The items of the channels that are alive.
pub fn kept<T: Copy>(items: &[T], alive: &[bool]) -> Vec<T> {
    let kept = items.iter().zip(alive).filter(|(_, alive)| **alive);
    kept.map(|(item, _)| *item).collect()
}

impl Operator {
    /// What `node` computes, or `None` if it must stay tract's.
    pub fn of(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Self>> {
        let inputs = model.node_input_facts(node.id)?;
        let given = |fact: &TypedFact| {
            fact.datum_type == f32::datum_type()
                && fact
                    .shape
                    .as_concrete()
                    .is_some_and(|shape| shape.iter().all(|&d| d > 0))
        };
        let is_f32 = node.outputs.len() == 1
            && given(&node.outputs[0].fact)
            && inputs.first().is_some_and(|fact| given(fact));
        if !is_f32 {
            return Ok(None);
        }
        let output = shape_of(&node.outputs[0].fact);
        Ok(if let Some(conv) = node.op_as::<Conv>() {
            convolution(conv, &inputs)?
        } else if let Some(einsum) = node.op_as::<EinSum>() {
            product(einsum, &inputs, output)?
        } else if let Some(op) = node.op_as::<MaxPool>() {
            let plain = op.with_index_outputs.is_none();
            plain
                .then(|| pool(&op.pool_spec, inputs[0], PoolKind::Max))
                .flatten()
        } else if let Some(op) = node.op_as::<SumPool>() {
            let divisor = match (op.normalize, op.count_include_pad) {
                (false, _) => Divisor::One,
                (true, false) => Divisor::Inside,
                (true, true) => Divisor::Taps,
            };
            pool(&op.pool_spec, inputs[0], PoolKind::Sum(divisor))
        } else if let Some(op) = node.op_as::<nn::Resize>() {
            resize(op, inputs[0], output)
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            unary(op).map(Self::Unary)
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            let same_types = op.1.is_none() && inputs.iter().all(|fact| given(fact));
            same_types.then(|| binary(op)).flatten().map(Self::Binary)
        } else if node.op_is::<PRelu>() {
            inputs
                .iter()
                .all(|fact| given(fact))
                .then_some(Self::Binary(Binary::PRelu))
        } else if let Some(op) = node.op_as::<TractReduce>() {
            reduce(op, shape_of(inputs[0]))
        } else if let Some(op) = node.op_as::<Softmax>() {
            softmax(op, shape_of(inputs[0]))
        } else if let Some(op) = node.op_as::<AxisOp>() {
            Some(match op {
                AxisOp::Move(from, to) => {
                    let mut order: Vec<usize> = (0..output.len()).collect();
                    let axis = order.remove(*from);
                    order.insert(*to, axis);
                    Self::Permute { order }
                }
                AxisOp::Add(_) | AxisOp::Rm(_) | AxisOp::Reshape(..) => Self::Reshape,
            })
        } else if let Some(op) = node.op_as::<Slice>() {
            op.start.to_usize().ok().map(|start| Self::Slice {
                axis: op.axis,
                start,
                step: 1,
            })
        } else if let Some(op) = node.op_as::<Downsample>() {
            usize::try_from(op.stride).ok().map(|step| Self::Slice {
                axis: op.axis,
                start: op.modulo,
                step,
            })
        } else if let Some(op) = node.op_as::<TypedConcat>() {
            inputs
                .iter()
                .all(|fact| given(fact))
                .then_some(Self::Concat { axis: op.axis })
        } else if let Some(op) = node.op_as::<Pad>() {
            pad(op)?
        } else if let Some(op) = node.op_as::<TractGather>() {
            gather(op, &inputs)?
        } else {
            None
        })
    }

    /// Whether it does more than move numbers.
    pub fn computes(&self) -> bool {
        !matches!(
            self,
            Self::Reshape
                | Self::Permute { .. }
                | Self::Slice { .. }
                | Self::Concat { .. }
                | Self::Pad { .. }
                | Self::Gather { .. }
        )
    }
}

/// The shape of a fact that was found to have a known one.
pub fn shape_of(fact: &TypedFact) -> &[usize] {
    fact.shape.as_concrete().unwrap_or_default()
}

/// The constant behind a fact, where it is one of float32.
pub fn constant(fact: &TypedFact) -> Option<&Arc<Tensor>> {
    fact.konst
        .as_ref()
        .filter(|tensor| tensor.datum_type() == f32::datum_type())
}

/// Runs that a convolution may have (see [`Run`](palmd_kernels::Run)), by the kernel, which makes
/// the regions, and the channels: no network of use comes near, and each takes memory.
const MOST_RUNS: usize = 1 << 22;

/// More than the runs of a convolution over these axes and channels.
fn runs(rows: &Axis, columns: &Axis, channels: usize) -> usize {
    let regions = |axis: &Axis| axis.output.min(2 * axis.kernel + 1);
    [
        regions(rows),
        regions(columns),
        rows.kernel,
        columns.kernel,
        channels,
    ]
    .into_iter()
    .fold(1, usize::saturating_mul)
}

/// Image, rows and columns of a convolution or pooling over one or two axes.
fn image_axes(spec: &PoolSpec, input: &TypedFact) -> Option<(ImageShape, Axis, Axis)> {
    let shape = shape_of(input);
    let (batch, rest) = if spec.data_format.has_n() {
        shape.split_first()?
    } else {
        (&1, shape)
    };
    let channels_last = matches!(spec.data_format, DataFormat::NHWC | DataFormat::HWC);
    let (&channels, geometry) = if channels_last {
        rest.split_last()?
    } else {
        rest.split_first()?
    };
    if *batch != 1 || !(1..=2).contains(&geometry.len()) {
        return None;
    }
    let padding = spec.computed_padding(geometry);
    let axis = |i: usize| Axis {
        input: geometry[i],
        output: padding[i].convoluted,
        kernel: spec.kernel_shape[i],
        stride: spec.stride(i),
        dilation: spec.dilation(i),
        pad_before: padding[i].pad_before,
    };
    let (rows, columns) = match geometry.len() {
        1 => (Axis::pointwise(1), axis(0)),
        _ => (axis(0), axis(1)),
    };
    let image = ImageShape {
        channels,
        pixels: geometry.iter().product(),
        channels_last,
    };
    (rows.is_sound() && columns.is_sound()).then_some((image, rows, columns))
}

fn convolution(conv: &Conv, inputs: &[&TypedFact]) -> TractResult<Option<Operator>> {
    let spec = &conv.pool_spec;
    let (Some((input, rows, columns)), Some(weights), Some(bias)) = (
        image_axes(spec, inputs[0]),
        inputs.get(1).and_then(|fact| constant(fact)),
        inputs.get(2).and_then(|fact| constant(fact)),
    ) else {
        return Ok(None);
    };
    let channels = spec.output_channels;
    let depthwise = conv.group > 1 && conv.group == input.channels && conv.group == channels;
    let plain = conv.q_params.is_none()
        && conv.kernel_fmt == KernelFormat::OIHW
        && constant(inputs[0]).is_none();
    if !plain || !(depthwise || conv.group == 1) {
        return Ok(None);
    }
    let taps = rows.kernel * columns.kernel;
    let inputs_each = if depthwise { 1 } else { input.channels };
    if weights.len() != channels * inputs_each * taps
        || runs(&rows, &columns, inputs_each) > MOST_RUNS
        || bias.len() != 1 && bias.len() != channels
    {
        return Ok(None);
    }
    let bias = bias.try_as_plain_ram()?.as_slice::<f32>()?;
    let output = ImageShape {
        channels,
        pixels: rows.output * columns.output,
        ..input
    };
    Ok(Some(Operator::Convolution(Convolution {
        input,
        output,
        depthwise,
        rows,
        columns,
        bias: bias.iter().copied().cycle().take(channels).collect(),
        weights: Arc::clone(weights),
        weights_of_input: (0..inputs_each).map(|i| i * taps).collect(),
        weights_of_output: (0..channels).map(|o| o * inputs_each * taps).collect(),
    })))
}

/// An axis of a matrix product: how long it is, and its places.
struct ProductAxis {
    len: usize,
    image: Option<usize>,
    weights: Option<usize>,
    output: Option<usize>,
}

/// The axes of a product of an image with weights, those of length 1 left out; `None` if it is
/// more than a matrix product.
fn product_axes(
    einsum: &EinSum,
    (image_slot, weights_slot): (usize, usize),
    (image, weights, output): (&[usize], &[usize], &[usize]),
) -> Option<Vec<ProductAxis>> {
    let only = |positions: &TVec<usize>| match positions[..] {
        [] => Some(None),
        [position] => Some(Some(position)),
        _ => None,
    };
    let mut axes = Vec::new();
    for axis in einsum.axes.iter_all_axes() {
        let places = [
            (only(&axis.inputs[image_slot])?, image),
            (only(&axis.inputs[weights_slot])?, weights),
            (only(&axis.outputs[0])?, output),
        ];
        let lens = places
            .iter()
            .filter_map(|(place, shape)| place.map(|p| shape[p]));
        let len = lens.clone().max().unwrap_or(1);
        if len == 1 {
            continue;
        }
        // In two of the three, and broadcast in none.
        if lens.clone().count() != 2 || lens.clone().any(|other| other != len) {
            return None;
        }
        let [(image, _), (weights, _), (output, _)] = places;
        axes.push(ProductAxis {
            len,
            image,
            weights,
            output,
        });
    }
    Some(axes)
}

/// An einsum of a tensor with a constant one, if it is a matrix product of an image.
fn product(
    einsum: &EinSum,
    inputs: &[&TypedFact],
    output: &[usize],
) -> TractResult<Option<Operator>> {
    let &[left, right] = inputs else {
        return Ok(None);
    };
    let plain = einsum.q_params.is_none() && einsum.operating_dt == f32::datum_type();
    let (image, weights, slots) = match (constant(left), constant(right)) {
        (None, Some(weights)) if plain => (left, weights, (0, 1)),
        (Some(weights), None) if plain => (right, weights, (1, 0)),
        _ => return Ok(None),
    };
    let shapes = (shape_of(image), weights.shape(), output);
    let Some(axes) = product_axes(einsum, slots, shapes) else {
        return Ok(None);
    };
    let in_order = |place: fn(&ProductAxis) -> Option<usize>| {
        let mut axes: Vec<_> = axes.iter().filter(|axis| place(axis).is_some()).collect();
        axes.sort_by_key(|axis| place(axis));
        axes
    };
    let of_image = in_order(|axis| axis.image);
    let of_output = in_order(|axis| axis.output);
    // Channels, which are summed up or made, lie before all pixels or behind them.
    let channels_last = |axes: &[&ProductAxis]| {
        let is_channel: Vec<bool> = axes.iter().map(|axis| axis.weights.is_some()).collect();
        let mut changes = is_channel.windows(2).filter(|pair| pair[0] != pair[1]);
        match (changes.next(), changes.next()) {
            (None, _) => Some(false),
            (Some(pair), None) => Some(pair[1]),
            _ => None,
        }
    };
    let (Some(input_last), Some(output_last)) =
        (channels_last(&of_image), channels_last(&of_output))
    else {
        return Ok(None);
    };
    // The pixels keep their order.
    let pixels = |axes: &[&ProductAxis]| {
        let pixels = axes.iter().filter(|axis| axis.weights.is_none());
        pixels.map(|axis| axis.image).collect::<Vec<_>>()
    };
    if pixels(&of_image) != pixels(&of_output) {
        return Ok(None);
    }
    // Where the weights of each channel begin, channels counted in the tensor's order.
    let strides = dense_strides(weights.shape());
    let offsets = |axes: &[&ProductAxis]| {
        let channels = axes
            .iter()
            .filter_map(|axis| Some((axis.len, strides[axis.weights?])));
        channels.fold(vec![0], |offsets, (len, stride)| {
            let inner = |&offset: &usize| (0..len).map(move |i| offset + i * stride);
            offsets.iter().flat_map(inner).collect::<Vec<usize>>()
        })
    };
    let (weights_of_input, weights_of_output) = (offsets(&of_image), offsets(&of_output));
    let mut of_pixels = of_image.iter().filter(|axis| axis.weights.is_none());
    let pixels = of_pixels.clone().map(|axis| axis.len).product();
    let width = of_pixels.next_back().map_or(1, |axis| axis.len);
    let image = |channels, channels_last| ImageShape {
        channels,
        pixels,
        channels_last,
    };
    Ok(Some(Operator::Convolution(Convolution {
        input: image(weights_of_input.len(), input_last),
        output: image(weights_of_output.len(), output_last),
        depthwise: false,
        rows: Axis::pointwise(pixels / width),
        columns: Axis::pointwise(width),
        bias: vec![0.0; weights_of_output.len()],
        weights: Arc::clone(weights),
        weights_of_input,
        weights_of_output,
    })))
}

/// How far apart the numbers of a dense tensor are along each axis.
pub fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

fn pool(spec: &PoolSpec, input: &TypedFact, kind: PoolKind) -> Option<Operator> {
    let (image, rows, columns) = image_axes(spec, input)?;
    // A window of nothing but padding is nobody's to define.
    let never_empty = |a: &Axis| (0..a.output).all(|at| !a.taps(at).is_empty());
    (never_empty(&rows) && never_empty(&columns)).then_some(Operator::Pool {
        image,
        pool: Pool {
            rows,
            columns,
            kind,
        },
    })
}

fn resize(op: &nn::Resize, input: &TypedFact, output: &[usize]) -> Option<Operator> {
    let plain = matches!(op.coord_transformer, CoordTransformer::HalfPixel)
        && matches!(op.interpolator, Interpolator::Linear);
    match (shape_of(input), output) {
        (&[1, channels, height, width], &[1, same, rows, columns]) if plain && same == channels => {
            Some(Operator::Resize {
                image: ImageShape {
                    channels,
                    pixels: height * width,
                    channels_last: false,
                },
                input: (height, width),
                output: (rows, columns),
            })
        }
        _ => None,
    }
}

fn unary(op: &ElementWiseOp) -> Option<Unary> {
    let op = (op.1.is_none()).then_some(&*op.0)?;
    let known = [
        (op.is::<math::Abs>(), Unary::Abs),
        (op.is::<math::Exp>(), Unary::Exp),
        (op.is::<math::Ln>(), Unary::Ln),
        (op.is::<math::Neg>(), Unary::Neg),
        (op.is::<math::Recip>(), Unary::Recip),
        (op.is::<math::Rsqrt>(), Unary::Rsqrt),
        (op.is::<math::Sqrt>(), Unary::Sqrt),
        (op.is::<math::Square>(), Unary::Square),
        (op.is::<math::Tanh>(), Unary::Tanh),
        (op.is::<nn::Sigmoid>(), Unary::Sigmoid),
    ];
    let simple = known
        .into_iter()
        .find_map(|(is, unary)| is.then_some(unary));
    let leaky = op.downcast_ref::<nn::LeakyRelu>();
    simple.or(leaky.map(|relu| Unary::LeakyRelu { slope: relu.alpha }))
}

fn binary(op: &TypedBinOp) -> Option<Binary> {
    let op = &*op.0;
    let known = [
        (op.is::<math::Add>(), Binary::Add),
        (op.is::<math::Sub>(), Binary::Sub),
        (op.is::<math::Mul>(), Binary::Mul),
        (op.is::<math::Div>(), Binary::Div),
        (op.is::<math::Max>(), Binary::Max),
        (op.is::<math::Min>(), Binary::Min),
    ];
    known
        .into_iter()
        .find_map(|(is, binary)| is.then_some(binary))
}

fn reduce(op: &TractReduce, input: &[usize]) -> Option<Operator> {
    let reducer = match op.reducer {
        nn::Reducer::Sum => Reducer::Sum,
        nn::Reducer::Max => Reducer::Max,
        nn::Reducer::Min => Reducer::Min,
        nn::Reducer::MeanOfSquares => Reducer::MeanOfSquares,
        _ => return None,
    };
    // Axes of length 1 change nothing (but for a square); the others must be neighbours.
    let mut axes: Vec<usize> = op.axes.iter().copied().collect();
    axes.sort_unstable();
    let (&first, &last) = (axes.first()?, axes.last()?);
    let between = (first..=last).filter(|axis| !axes.contains(axis));
    if between.into_iter().any(|axis| input[axis] != 1) {
        return None;
    }
    Some(Operator::Reduce {
        reducer,
        outer: input[..first].iter().product(),
        len: input[first..=last].iter().product(),
        inner: input[last + 1..].iter().product(),
    })
}

fn softmax(op: &Softmax, input: &[usize]) -> Option<Operator> {
    let plain = op.quant_output_dt.is_none() && op.kind == SoftmaxKind::Softmax;
    let first = op.axes.iter().copied().min()?;
    let is_tail = (first..input.len()).all(|axis| op.axes.contains(&axis) || input[axis] == 1);
    (plain && is_tail).then(|| Operator::Softmax {
        len: input[first..].iter().product(),
    })
}

fn pad(op: &Pad) -> TractResult<Option<Operator>> {
    let PadMode::Constant(value) = &op.mode else {
        return Ok(None);
    };
    Ok(Some(Operator::Pad {
        before: op.pads.iter().map(|pad| pad.0).collect(),
        value: value.cast_to_scalar::<f32>()?,
    }))
}

fn gather(op: &TractGather, inputs: &[&TypedFact]) -> TractResult<Option<Operator>> {
    let Some(indices) = inputs.get(1).and_then(|fact| fact.konst.as_ref()) else {
        return Ok(None);
    };
    let len = shape_of(inputs[0])[op.axis] as i64;
    let indices = indices.cast_to::<i64>()?;
    let indices = indices.try_as_plain_ram()?.as_slice::<i64>()?.to_vec();
    let from_begin = |i: i64| if i < 0 { i + len } else { i };
    let in_range = indices.iter().all(|&i| (0..len).contains(&from_begin(i)));
    Ok(in_range.then(|| Operator::Gather {
        axis: op.axis,
        indices: indices.iter().map(|&i| from_begin(i) as usize).collect(),
    }))
}
