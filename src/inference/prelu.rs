//! PReLU as one operator. tract's importer expands it into a product, a comparison and a
//! selection, which took three quarters of the palm models' time.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_ndarray::Zip;

/// Takes the place of tract's own builder for ONNX `PRelu`.
pub(super) fn register(ops: &mut OnnxOpRegister) {
    ops.insert("PRelu", build);
}

fn build(
    _context: &ParsingContext<'_>,
    _node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Import), vec![]))
}

/// The ONNX operator: `x` and a slope that is broadcast to it.
#[derive(Debug, Clone)]
struct Import;

impl Expansion for Import {
    fn name(&self) -> StaticName {
        "PRelu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        Ok(())
    }

    fn wire(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(name, PRelu, inputs)
    }
}

/// `x` where it is positive, `slope * x` elsewhere, in f32. Works in place where `x` has no other
/// reader.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PRelu;

impl Op for PRelu {
    fn name(&self) -> StaticName {
        "PRelu".into()
    }

    op_as_typed_op!();
}

impl EvalOp for PRelu {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (x, slope) = args_2!(inputs);
        let mut x = x.into_tensor();
        let by_channel = is_by_channel(slope.shape(), x.shape());
        let channels = x.shape().get(1).copied().unwrap_or(1);
        let channel_len = x.shape().iter().skip(2).product();
        {
            let mut x = x.try_as_plain_ram_mut()?;
            let slope = slope.try_as_plain_ram()?;
            if by_channel {
                prelu_by_channel(x.as_slice_mut()?, channels, channel_len, slope.as_slice()?);
            } else {
                let mut x = x.to_array_view_mut::<f32>()?;
                let slope = slope.to_array_view::<f32>()?;
                let slope = slope
                    .broadcast(x.raw_dim())
                    .context("the slope can't be broadcast")?;
                Zip::from(&mut x)
                    .and(slope)
                    .for_each(|x, &slope| *x = prelu(*x, slope));
            }
        }
        Ok(tvec![x.into_tvalue()])
    }
}

impl TypedOp for PRelu {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let &[x, slope] = inputs else {
            bail!("PRelu takes an input and a slope");
        };
        ensure!(
            x.datum_type == f32::datum_type() && slope.datum_type == f32::datum_type(),
            "PRelu is float32 only, not {:?} and {:?}",
            x.datum_type,
            slope.datum_type
        );
        let broadcast = tract_core::broadcast::multi_broadcast(&[&x.shape, &slope.shape])?;
        ensure!(
            *broadcast == *x.shape,
            "PRelu's slope {:?} can't be broadcast to {:?}",
            slope.shape,
            x.shape
        );
        Ok(tvec![x.datum_type.fact(x.shape.clone())])
    }

    as_op!();
}

fn prelu(x: f32, slope: f32) -> f32 {
    if x < 0.0 { slope * x } else { x }
}

/// Whether the slope, aligned to the right of `x`, is one number, or one for each index of the
/// second axis.
fn is_by_channel(slope: &[usize], x: &[usize]) -> bool {
    let mut axes = x.iter().enumerate().rev();
    slope.iter().rev().all(|&dim| {
        axes.next()
            .is_some_and(|(axis, &len)| dim == 1 || axis == 1 && dim == len)
    })
}

fn prelu_by_channel(x: &mut [f32], channels: usize, channel_len: usize, slope: &[f32]) {
    if x.is_empty() {
        return;
    }
    for (i, channel) in x.chunks_exact_mut(channel_len).enumerate() {
        let slope = slope[if slope.len() == 1 { 0 } else { i % channels }];
        for x in channel {
            *x = prelu(*x, slope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(x: Tensor, slope: Tensor) -> Vec<f32> {
        let out = PRelu
            .eval(
                &EvalContext::out_of_plan(),
                tvec![x.into_tvalue(), slope.into_tvalue()],
            )
            .unwrap();
        let plain = out[0].try_as_plain_ram().unwrap();
        plain.as_slice::<f32>().unwrap().to_vec()
    }

    #[test]
    fn slopes_belong_to_channels_in_every_layout_that_broadcasts() {
        let x = tensor4(&[
            [[[-1.0f32, 2.0]], [[-3.0, 4.0]]],
            [[[5.0, -6.0]], [[f32::NAN, -8.0]]],
        ]);
        let expected = [-0.5, 2.0, -30.0, 4.0, 5.0, -3.0, f32::NAN, -80.0];
        for slope in [
            tensor3(&[[[0.5f32]], [[10.0]]]),
            tensor4(&[[[[0.5f32]], [[10.0]]]]),
            // As many slopes as elements: not by channel.
            tensor4(&[
                [[[0.5f32, 0.5]], [[10.0, 10.0]]],
                [[[0.5, 0.5]], [[10.0, 10.0]]],
            ]),
        ] {
            let got = eval(x.clone(), slope);
            let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
            assert!(got.iter().zip(&expected).all(same), "{got:?}");
        }
    }

    #[test]
    fn one_slope_serves_all_and_the_last_axis_is_not_the_channel() {
        let x = tensor2(&[[-1.0f32, -1.0], [-1.0, -1.0]]);
        assert_eq!(eval(x.clone(), tensor1(&[0.25f32])), [-0.25; 4]);
        // Two axes: the last one is the second one.
        assert_eq!(
            eval(x, tensor1(&[0.25f32, 0.5])),
            [-0.25, -0.5, -0.25, -0.5]
        );
        let x = tensor3(&[[[-1.0f32, -1.0], [-1.0, -1.0]]]);
        assert_eq!(
            eval(x, tensor1(&[0.25f32, 0.5])),
            [-0.25, -0.5, -0.25, -0.5]
        );
    }
}
