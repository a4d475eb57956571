//! Depthwise convolution, several pixels of a row at a time. tract's own goes pixel by pixel, which
//! took three fifths of the landmark models' time.

use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_hir::internal::*;

/// Takes the place of tract's operator in a decluttered model, wherever it can.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::default()
        .with_rule_for("depthwise", |_: &(), model, node, name, conv: &Conv| {
            let Some(op) = DepthwiseConv::of(conv, &model.node_input_facts(node.id)?)? else {
                return Ok(None);
            };
            TypedModelPatch::replace_single_op(model, node, &node.inputs, op)
                .map(|patch| Some(patch.with_context(name)))
        })
        .rewrite(&(), model)
}

/// A 2-D convolution of each channel with a kernel of its own: f32, `C x H x W`, with or without
/// a leading 1.
///
/// Inputs: the image, the kernels (`C x 1 x KH x KW`), and a bias (one number, or `C`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DepthwiseConv {
    channels: usize,
    input_shape: TVec<usize>,
    output_shape: TVec<usize>,
    rows: Axis,
    columns: Axis,
}

/// One of the two axes of the image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad_before: usize,
}

/// Outputs that are computed together.
const LANES: usize = 16;

impl DepthwiseConv {
    /// tract's convolution as one of these, if it is of the kind.
    fn of(conv: &Conv, inputs: &[&TypedFact]) -> TractResult<Option<Self>> {
        let pool = &conv.pool_spec;
        let (input_shape, channels, height, width) = match inputs[0].shape.as_concrete() {
            Some(shape @ &[1, c, h, w]) if pool.data_format == DataFormat::NCHW => (shape, c, h, w),
            Some(shape @ &[c, h, w]) if pool.data_format == DataFormat::CHW => (shape, c, h, w),
            _ => return Ok(None),
        };
        let is_of_the_kind = conv.group == channels
            && pool.output_channels == channels
            && conv.q_params.is_none()
            && conv.kernel_fmt == KernelFormat::OIHW
            && inputs.iter().all(|f| f.datum_type == f32::datum_type());
        if !is_of_the_kind {
            return Ok(None);
        }
        let padding = pool.computed_padding(&[height, width]);
        let axis = |i: usize| Axis {
            input: padding[i].deconvoluted,
            output: padding[i].convoluted,
            kernel: pool.kernel_shape[i],
            stride: pool.stride(i),
            dilation: pool.dilation(i),
            pad_before: padding[i].pad_before,
        };
        let (rows, columns) = (axis(0), axis(1));
        if [&rows, &columns]
            .iter()
            .any(|a| a.output == 0 || a.kernel == 0)
        {
            return Ok(None);
        }
        let mut output_shape: TVec<usize> = input_shape.into();
        let rank = output_shape.len();
        output_shape[rank - 2] = rows.output;
        output_shape[rank - 1] = columns.output;
        Ok(Some(Self {
            channels,
            input_shape: input_shape.into(),
            output_shape,
            rows,
            columns,
        }))
    }

    fn convolve(&self, image: &[f32], kernel: &[f32], bias: &[f32], output: &mut [f32]) {
        let (rows, columns) = (&self.rows, &self.columns);
        let mut padded = Padded::new(rows, columns);
        let taps: Vec<usize> = (0..rows.kernel)
            .flat_map(|ky| (0..columns.kernel).map(move |kx| (ky, kx)))
            .map(|(ky, kx)| padded.offset(ky * rows.dilation, kx * columns.dilation))
            .collect();
        let channels = image
            .chunks_exact(rows.input * columns.input)
            .zip(kernel.chunks_exact(taps.len()))
            .zip(bias.iter().cycle())
            .zip(output.chunks_exact_mut(rows.output * columns.output));
        for (((image, kernel), &bias), output) in channels {
            padded.fill(image);
            for (y, output) in output.chunks_exact_mut(columns.output).enumerate() {
                let row = padded.offset(y * rows.stride, 0);
                for (i, output) in output.chunks_mut(LANES).enumerate() {
                    let pixels = &padded.pixels[row + i * LANES..];
                    let sums = weighted_sums(pixels, kernel, &taps, bias);
                    output.copy_from_slice(&sums[..output.len()]);
                }
            }
        }
    }
}

/// Outputs side by side: each pixel under a tap times its weight, and the bias.
// A function of its own, so that the sums stay in registers.
#[inline(never)]
fn weighted_sums(pixels: &[f32], weights: &[f32], taps: &[usize], bias: f32) -> [f32; LANES] {
    let mut sums = [bias; LANES];
    for (&weight, &tap) in weights.iter().zip(taps) {
        if let Some(pixels) = pixels[tap..].first_chunk::<LANES>() {
            for (sum, pixel) in sums.iter_mut().zip(pixels) {
                *sum += weight * pixel;
            }
        }
    }
    sums
}

/// One channel of the image with its padding. The columns of each row are sorted by their
/// remainder of the stride, so that what one tap meets from output to output lies side by side.
struct Padded<'a> {
    rows: &'a Axis,
    columns: &'a Axis,
    /// Columns of one remainder, as many as whole groups of outputs reach.
    phase_len: usize,
    pixels: Vec<f32>,
}

impl<'a> Padded<'a> {
    fn new(rows: &'a Axis, columns: &'a Axis) -> Self {
        let reach = (columns.kernel - 1) * columns.dilation / columns.stride;
        let phase_len = columns.output.next_multiple_of(LANES) + reach;
        let height = (rows.output - 1) * rows.stride + (rows.kernel - 1) * rows.dilation + 1;
        Self {
            rows,
            columns,
            phase_len,
            pixels: vec![0.0; height * columns.stride * phase_len],
        }
    }

    /// Where a pixel is, counted with the padding. Offsets add up if one of the columns is a
    /// multiple of the stride.
    fn offset(&self, row: usize, column: usize) -> usize {
        let stride = self.columns.stride;
        (row * stride + column % stride) * self.phase_len + column / stride
    }

    /// Takes another channel. The padding stays zero.
    fn fill(&mut self, image: &[f32]) {
        let (rows, columns) = (self.rows, self.columns);
        let row_len = columns.stride * self.phase_len;
        let padded_rows = self.pixels.chunks_exact_mut(row_len).skip(rows.pad_before);
        for (padded, row) in padded_rows.zip(image.chunks_exact(columns.input)) {
            if columns.stride == 1 {
                let padded = &mut padded[columns.pad_before..];
                let len = row.len().min(padded.len());
                padded[..len].copy_from_slice(&row[..len]);
                continue;
            }
            for (column, &pixel) in (columns.pad_before..).zip(row) {
                let index = column / columns.stride;
                if index < self.phase_len {
                    padded[column % columns.stride * self.phase_len + index] = pixel;
                }
            }
        }
    }
}

impl Op for DepthwiseConv {
    fn name(&self) -> StaticName {
        "DepthwiseConv".into()
    }

    op_as_typed_op!();
}

impl EvalOp for DepthwiseConv {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (image, kernel, bias) = args_3!(inputs);
        let mut output = Tensor::zero::<f32>(&self.output_shape)?;
        self.convolve(
            image.try_as_plain_ram()?.as_slice()?,
            kernel.try_as_plain_ram()?.as_slice()?,
            bias.try_as_plain_ram()?.as_slice()?,
            output.try_as_plain_ram_mut()?.as_slice_mut()?,
        );
        Ok(tvec![output.into_tvalue()])
    }
}

impl TypedOp for DepthwiseConv {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let &[image, kernel, bias] = inputs else {
            bail!("a depthwise convolution takes an image, kernels and a bias");
        };
        let kernel_len = self.channels * self.rows.kernel * self.columns.kernel;
        ensure!(
            image.shape.as_concrete() == Some(&self.input_shape)
                && kernel.shape.volume() == kernel_len.to_dim()
                && [1.to_dim(), self.channels.to_dim()].contains(&bias.shape.volume()),
            "no depthwise convolution of {image:?} with {kernel:?} and {bias:?}"
        );
        Ok(tvec![f32::fact(&self.output_shape)])
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tract_onnx::pb::AttributeProto;
    use tract_onnx::pb::attribute_proto::AttributeType;

    use super::super::test_model::{floats, model, node};
    use super::*;

    /// Kernel size, stride, dilation, padding before and after.
    type Geometry = [i64; 5];

    fn geometry() -> impl Strategy<Value = Geometry> {
        (1..6i64, 1..4i64, 1..3i64, 0..4i64, 0..4i64).prop_map(|(k, s, d, b, a)| [k, s, d, b, a])
    }

    fn ints(name: &str, ints: &[i64]) -> AttributeProto {
        AttributeProto {
            name: name.into(),
            r#type: AttributeType::Ints.into(),
            ints: ints.into(),
            ..Default::default()
        }
    }

    /// Numbers without a pattern, and now and then one that isn't finite.
    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let number = |i: u32| match i.wrapping_mul(2_654_435_761) >> 20 {
            77 if seed.is_multiple_of(4) => f32::NAN,
            x => x as f32 / 2048.0 - 1.0,
        };
        (0..len as u32)
            .map(|i| number(i.wrapping_add(seed.wrapping_mul(97))))
            .collect()
    }

    fn run(model: TypedModel, x: &Tensor) -> Tensor {
        let plan = model.into_optimized().unwrap().into_runnable().unwrap();
        let mut outputs = plan.run(tvec![x.clone().into_tvalue()]).unwrap();
        outputs.remove(0).into_tensor()
    }

    proptest! {
        #[test]
        fn computes_what_tract_computes(
            (channels, height, width) in (1..5i64, 1..24i64, 1..40i64),
            (rows, columns) in (geometry(), geometry()),
            with_bias in any::<bool>(),
            seed in any::<u32>(),
        ) {
            let fits = |[k, _, d, before, after]: Geometry, len| (k - 1) * d < len + before + after;
            prop_assume!(fits(rows, height) && fits(columns, width));
            let mut conv = node("Conv", &["x", "w", "b"][..if with_bias { 3 } else { 2 }], "y");
            conv.attribute = vec![
                AttributeProto {
                    name: "group".into(),
                    r#type: AttributeType::Int.into(),
                    i: channels,
                    ..Default::default()
                },
                ints("kernel_shape", &[rows[0], columns[0]]),
                ints("strides", &[rows[1], columns[1]]),
                ints("dilations", &[rows[2], columns[2]]),
                ints("pads", &[rows[3], columns[3], rows[4], columns[4]]),
            ];
            let weights = numbers((channels * rows[0] * columns[0]) as usize, 1);
            let bias = numbers(channels as usize, 2);
            let onnx = model(
                &[1, channels, height, width],
                vec![conv],
                vec![
                    floats("w", &[channels, 1, rows[0], columns[0]], &weights),
                    floats("b", &[channels], &bias),
                ],
                &["y"],
            );
            let theirs = tract_onnx::onnx()
                .model_for_proto_model(&onnx)
                .and_then(InferenceModelExt::into_typed)
                .and_then(TypedModel::into_decluttered)
                .unwrap();
            let mut ours = theirs.clone();
            replace(&mut ours).unwrap();
            // tract makes something else of a convolution with one channel or a 1x1 kernel.
            let replaced = ours.nodes().iter().any(|n| n.op_is::<DepthwiseConv>());
            prop_assert!(replaced || channels == 1 || rows[0] * columns[0] == 1);

            let shape = [1, channels as usize, height as usize, width as usize];
            let x = Tensor::from_shape(&shape, &numbers(shape.iter().product(), seed)).unwrap();
            run(ours, &x).close_enough(&run(theirs, &x), Approximation::Approximate).unwrap();
        }
    }
}
