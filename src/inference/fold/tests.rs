//! What is folded computes what tract computes, on every instruction set that this CPU has.

use proptest::prelude::*;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto};

use super::super::network::declutter;
use super::super::prelu;
use super::super::test_model::{floats, integers, model, node};
use super::*;

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int.into(),
        i,
        ..Default::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints.into(),
        ints: ints.into(),
        ..Default::default()
    }
}

fn string(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String.into(),
        s: s.into(),
        ..Default::default()
    }
}

fn with(mut node: NodeProto, attributes: Vec<AttributeProto>) -> NodeProto {
    node.attribute = attributes;
    node
}

/// Numbers without a pattern in -1..1.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let number = |i: u32| (i.wrapping_mul(2_654_435_761) >> 20) as f32 / 2048.0 - 1.0;
    (0..len as u32)
        .map(|i| number(i.wrapping_add(seed.wrapping_mul(97))))
        .collect()
}

fn typed(onnx: &ModelProto) -> TypedModel {
    let mut tract = tract_onnx::onnx();
    prelu::register(&mut tract.op_register);
    tract
        .model_for_proto_model(onnx)
        .and_then(InferenceModelExt::into_typed)
        .unwrap()
}

fn run(model: TypedModel, x: &Tensor) -> Vec<Tensor> {
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let outputs = plan.run(tvec![x.clone().into_tvalue()]).unwrap();
    outputs.into_iter().map(TValue::into_tensor).collect()
}

/// Folds `onnx`, all of it but what `may_stay`, and compares its outputs with tract's. Gives what
/// became of it with its axes in the order that networks are loaded with.
fn check(onnx: &ModelProto, shape: &[usize], x: &[f32], may_stay: &[&str]) -> Folding {
    let theirs = typed(onnx);
    let x = Tensor::from_shape(shape, x).unwrap();
    let expected = run(theirs.clone(), &x);
    let (alone, together) = (Team::default(), Team::new(3));
    let mut last = None;
    for set in InstructionSet::available() {
        for (change_axes, team) in [(true, &together), (false, &alone)] {
            let decluttered = declutter(theirs.clone(), change_axes).unwrap();
            let (ours, folding) = fold(&decluttered, set, team).unwrap();
            let names = folding.kept.iter().map(|(_, op)| op.as_str());
            let kept: Vec<&str> = names.filter(|op| !may_stay.contains(op)).collect();
            assert!(kept.is_empty(), "{set}: {kept:?}");
            for (got, expected) in run(ours, &x).iter().zip(&expected) {
                if let Err(e) = got.close_enough(expected, Approximation::Approximate) {
                    panic!("{set}: {e:#}");
                }
            }
            last = Some(folding);
        }
    }
    last.unwrap()
}

/// Kernel size, stride, dilation, padding before and after.
type Geometry = [i64; 5];

fn geometry() -> impl Strategy<Value = Geometry> {
    prop_oneof![
        (1..6i64, 1..4i64, 1..3i64, 0..4i64, 0..4i64).prop_map(|(k, s, d, b, a)| [k, s, d, b, a]),
        Just([3, 1, 1, 1, 1]),
        Just([5, 1, 1, 2, 2]),
        Just([3, 2, 1, 0, 1]),
        Just([5, 2, 1, 1, 2]),
        Just([1, 1, 1, 0, 0]),
    ]
}

fn fits([k, _, d, before, after]: Geometry, len: i64) -> bool {
    (k - 1) * d < len + before + after
}

fn windows(name: &str, rows: Geometry, columns: Geometry, more: Vec<AttributeProto>) -> NodeProto {
    let inputs: &[&str] = if name == "Conv" {
        &["x", "w", "b"]
    } else {
        &["x"]
    };
    let attributes = vec![
        ints("kernel_shape", &[rows[0], columns[0]]),
        ints("strides", &[rows[1], columns[1]]),
        ints("dilations", &[rows[2], columns[2]]),
        ints("pads", &[rows[3], columns[3], rows[4], columns[4]]),
    ];
    with(node(name, inputs, "y"), [attributes, more].concat())
}

/// What follows a convolution.
#[derive(Debug, Clone, Copy)]
enum Behind {
    Nothing,
    Relu6,
    PRelu,
    AddThenPRelu,
    ReluThenAdd,
}

fn behind() -> impl Strategy<Value = Behind> {
    prop::sample::select(vec![
        Behind::Nothing,
        Behind::Relu6,
        Behind::PRelu,
        Behind::AddThenPRelu,
        Behind::ReluThenAdd,
    ])
}

fn width() -> impl Strategy<Value = i64> {
    prop_oneof![1..33i64, prop::sample::select(vec![6, 7, 12, 14, 24, 28])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn convolutions_with_what_is_fused(
        (inputs, outputs) in (1..40i64, 1..70i64),
        depthwise in any::<bool>(),
        (height, width) in (1..20i64, width()),
        (rows, columns) in (geometry(), geometry()),
        behind in behind(),
        special in prop::sample::select(vec![
            None, None, Some(f32::NAN), Some(f32::INFINITY), Some(f32::NEG_INFINITY),
        ]),
        seed in any::<u32>(),
    ) {
        prop_assume!(fits(rows, height) && fits(columns, width));
        let outputs = if depthwise { inputs } else { outputs };
        let (group, each) = if depthwise { (inputs, 1) } else { (1, inputs) };
        let weights = numbers((outputs * each * rows[0] * columns[0]) as usize, 1);
        let mut nodes = vec![windows("Conv", rows, columns, vec![int("group", group)])];
        // Another image of the same shape.
        nodes.push(NodeProto {
            output: vec!["other".into()],
            ..windows("Conv", rows, columns, vec![int("group", group)])
        });
        let mut step = |op: &str, inputs: &[&str], output: &str| nodes.push(node(op, inputs, output));
        match behind {
            Behind::Nothing => step("Identity", &["y"], "z"),
            Behind::Relu6 => step("Clip", &["y", "zero", "six"], "z"),
            Behind::PRelu => step("PRelu", &["y", "slopes"], "z"),
            Behind::AddThenPRelu => {
                step("Add", &["other", "y"], "sum");
                step("PRelu", &["sum", "slopes"], "z");
            }
            Behind::ReluThenAdd => {
                step("Relu", &["y"], "relu");
                step("Add", &["relu", "other"], "z");
            }
        }
        let onnx = model(
            &[1, inputs, height, width],
            nodes,
            vec![
                floats("w", &[outputs, each, rows[0], columns[0]], &weights),
                floats("b", &[outputs], &numbers(outputs as usize, 2)),
                floats("slopes", &[outputs, 1, 1], &numbers(outputs as usize, 3)),
                floats("zero", &[], &[0.0]),
                floats("six", &[], &[6.0]),
            ],
            &["z"],
        );
        let shape = [1, inputs as usize, height as usize, width as usize];
        let mut x = numbers(shape.iter().product(), seed);
        // What becomes of a NaN that is clipped depends in tract on whether it fuses the clip.
        let clips = matches!(behind, Behind::Relu6);
        if let Some(special) = special.filter(|special| !(clips && special.is_nan())) {
            let at = seed as usize % x.len();
            x[at] = special;
        }
        // tract makes a sum of single pixels the bias of a convolution.
        check(&onnx, &shape, &x, &["Conv"]);
    }

    #[test]
    fn dead_channels_are_left_out(
        (inputs, middle, outputs) in (1..20i64, 2..60i64, 1..40i64),
        (height, width) in (3..9i64, 3..9i64),
        with_depthwise in any::<bool>(),
        with_mean in any::<bool>(),
        activation in prop::sample::select(vec!["Identity", "Relu", "PRelu"]),
        kinds in prop::collection::vec(0..4u8, 60),
        seed in any::<u32>(),
    ) {
        let kinds = &kinds[..middle as usize];
        // Each channel is alive, or always zero, or constant, or multiplied with zeros.
        let silence = |numbers: &mut [f32], each: usize, dead: &dyn Fn(u8) -> bool| {
            for (channel, kind) in numbers.chunks_mut(each).zip(kinds) {
                if dead(*kind) {
                    channel.fill(0.0);
                }
            }
        };
        let (is_zero, is_constant) = (|kind| kind == 1, |kind| kind == 1 || kind == 2);
        let mut w = numbers((middle * inputs) as usize, 1);
        let mut b = numbers(middle as usize, 2);
        let mut d = numbers(middle as usize * 9, 3);
        let mut e = numbers(middle as usize, 4);
        silence(&mut w, inputs as usize, &is_constant);
        silence(&mut b, 1, &is_zero);
        silence(&mut d, 9, &is_constant);
        silence(&mut e, 1, &is_zero);
        let reader: &[i64] = if with_mean { &[outputs, middle] } else { &[outputs, middle, 1, 1] };
        let reading = |name: &str, seed: u32| {
            let mut weights = numbers((outputs * middle) as usize, seed);
            for output in weights.chunks_mut(middle as usize) {
                silence(output, 1, &|kind| kind == 3);
            }
            floats(name, reader, &weights)
        };
        let (u, v) = (reading("u", 5), reading("v", 6));
        let act = |input: &str, output: &str| match activation {
            "PRelu" => node("PRelu", &[input, "slopes"], output),
            other => node(other, &[input], output),
        };
        let mut nodes = vec![node("Conv", &["x", "w", "b"], "first"), act("first", "made")];
        let mut made = "made";
        if with_depthwise {
            let attributes = vec![int("group", middle), ints("pads", &[1, 1, 1, 1])];
            nodes.push(with(node("Conv", &[made, "d", "e"], "second"), attributes));
            nodes.push(act("second", "convolved"));
            made = "convolved";
        }
        if with_mean {
            nodes.push(node("GlobalAveragePool", &[made], "mean"));
            nodes.push(node("Flatten", &["mean"], "flat"));
            for (weights, output) in [("u", "y"), ("v", "z")] {
                let gemm = node("Gemm", &["flat", weights, "c"], output);
                nodes.push(with(gemm, vec![int("transB", 1)]));
            }
        } else {
            nodes.push(node("Conv", &[made, "u", "c"], "y"));
            nodes.push(node("Conv", &[made, "v", "c"], "z"));
        }
        let onnx = model(
            &[1, inputs, height, width],
            nodes,
            vec![
                floats("w", &[middle, inputs, 1, 1], &w),
                floats("b", &[middle], &b),
                floats("d", &[middle, 1, 3, 3], &d),
                floats("e", &[middle], &e),
                floats("slopes", &[middle, 1, 1], &numbers(middle as usize, 7)),
                floats("c", &[outputs], &numbers(outputs as usize, 8)),
                u,
                v,
            ],
            &["y", "z"],
        );
        let shape = [1, inputs as usize, height as usize, width as usize];
        let folding = check(&onnx, &shape, &numbers(shape.iter().product(), seed), &[]);
        let certain = kinds.iter().filter(|kind| **kind == 1 || **kind == 3).count();
        // Constants may be zero as well; and something is always computed.
        if kinds.contains(&0) {
            prop_assert!(folding.dead_channels >= certain, "{folding}");
        }
        prop_assert!(folding.dead_channels < kinds.len());
    }

    #[test]
    fn a_dead_number_of_a_vector_is_no_more_than_a_number(
        (inputs, middle, outputs) in (1..20i64, 2..40i64, 1..20i64),
        dead in 1..40usize,
        is_scaled in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let mut w = numbers((inputs * middle) as usize, 1);
        for row in w.chunks_mut(middle as usize) {
            row.iter_mut().take(dead.min(middle as usize - 1)).for_each(|x| *x = 0.0);
        }
        let scale = if is_scaled { "Mul" } else { "Add" };
        let onnx = model(
            &[1, inputs],
            vec![
                node("MatMul", &["x", "w"], "first"),
                node(scale, &["first", "half"], "scaled"),
                node("MatMul", &["scaled", "u"], "z"),
            ],
            vec![
                floats("w", &[inputs, middle], &w),
                floats("half", &[1, 1], &[0.5]),
                floats("u", &[middle, outputs], &numbers((middle * outputs) as usize, 2)),
            ],
            &["z"],
        );
        check(&onnx, &[1, inputs as usize], &numbers(inputs as usize, seed), &[]);
    }

    #[test]
    fn one_dimensional_convolutions_and_matrix_products(
        (inputs, outputs) in (1..40i64, 1..70i64),
        len in 1..40i64,
        geometry in geometry(),
        seed in any::<u32>(),
    ) {
        prop_assume!(fits(geometry, len));
        let [kernel, stride, dilation, before, after] = geometry;
        let onnx = model(
            &[1, len, inputs],
            vec![
                node("MatMul", &["x", "m"], "product"),
                with(node("Transpose", &["product"], "turned"), vec![ints("perm", &[0, 2, 1])]),
                with(node("Conv", &["turned", "w", "b"], "conv"), vec![
                    ints("kernel_shape", &[kernel]),
                    ints("strides", &[stride]),
                    ints("dilations", &[dilation]),
                    ints("pads", &[before, after]),
                ]),
                node("Tanh", &["conv"], "tanh"),
                node("GlobalAveragePool", &["tanh"], "mean"),
                node("GlobalMaxPool", &["tanh"], "max"),
                with(node("Concat", &["mean", "max"], "features"), vec![int("axis", 1)]),
                with(node("Flatten", &["features"], "flat"), vec![int("axis", 1)]),
                node("Gemm", &["flat", "g", "c"], "logits"),
                with(node("Softmax", &["logits"], "z"), vec![int("axis", 1)]),
            ],
            vec![
                floats("m", &[inputs, 20], &numbers(inputs as usize * 20, 1)),
                floats("w", &[outputs, 20, kernel], &numbers((outputs * 20 * kernel) as usize, 2)),
                floats("b", &[outputs], &numbers(outputs as usize, 3)),
                floats("g", &[2 * outputs, 5], &numbers(outputs as usize * 10, 4)),
                floats("c", &[5], &numbers(5, 5)),
            ],
            &["z"],
        );
        let shape = [1, len as usize, inputs as usize];
        check(&onnx, &shape, &numbers(shape.iter().product(), seed), &[]);
    }

    #[test]
    fn pooling_and_resizing(
        channels in 1..40i64,
        (height, width) in (1..20i64, 1..20i64),
        (rows, columns) in (geometry(), geometry()),
        kind in 0..3usize,
        seed in any::<u32>(),
    ) {
        let window = |[kernel, stride, _, before, after]: Geometry| {
            [kernel, stride, 1, before.min(kernel - 1), after.min(kernel - 1)]
        };
        let (rows, columns) = (window(rows), window(columns));
        prop_assume!(fits(rows, height) && fits(columns, width));
        let (name, more) = match kind {
            0 => ("MaxPool", vec![]),
            1 => ("AveragePool", vec![]),
            _ => ("AveragePool", vec![int("count_include_pad", 1)]),
        };
        let mut pool = windows(name, rows, columns, more);
        pool.attribute.retain(|a| name == "MaxPool" || a.name != "dilations");
        let onnx = model(
            &[1, channels, height, width],
            vec![
                pool,
                with(node("Resize", &["y", "", "scales"], "z"), vec![
                    string("mode", "linear"),
                    string("coordinate_transformation_mode", "half_pixel"),
                ]),
            ],
            vec![floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])],
            &["z"],
        );
        let shape = [1, channels as usize, height as usize, width as usize];
        check(&onnx, &shape, &numbers(shape.iter().product(), seed), &[]);
    }

    #[test]
    fn arithmetic_and_rearrangement(
        (a, b, c) in (1..6i64, 1..20i64, 2..20i64),
        op in prop::sample::select(vec!["Add", "Sub", "Mul", "Div", "Max", "Min"]),
        other in prop::sample::select(vec![0usize, 1, 2, 3, 4]),
        seed in any::<u32>(),
    ) {
        let shape: &[i64] = match other {
            0 => &[],
            1 => &[c],
            2 => &[b, 1],
            3 => &[a, 1, c],
            _ => &[a, b, c],
        };
        let len = shape.iter().product::<i64>() as usize;
        let onnx = model(
            &[a, b, c],
            vec![
                node(op, &["x", "o"], "left"),
                node(op, &["o", "left"], "both"),
                with(node("Transpose", &["both"], "turned"), vec![ints("perm", &[2, 0, 1])]),
                with(node("Slice", &["turned", "one", "far", "zero"], "tail"), vec![]),
                node("Sigmoid", &["turned"], "sigmoid"),
                with(node("Concat", &["tail", "sigmoid", "tail"], "joined"), vec![int("axis", 0)]),
                node("Pad", &["joined", "pads", "half"], "padded"),
                with(node("Gather", &["padded", "picks"], "picked"), vec![int("axis", 1)]),
                with(node("ReduceMax", &["picked"], "most"), vec![ints("axes", &[2]), int("keepdims", 0)]),
                with(node("ReduceMean", &["picked"], "mean"), vec![ints("axes", &[0, 1]), int("keepdims", 1)]),
            ],
            vec![
                floats("o", shape, &numbers(len, 1).iter().map(|x| x + 1.5).collect::<Vec<_>>()),
                floats("half", &[], &[0.5]),
                integers("one", &[1]),
                integers("far", &[1000]),
                integers("zero", &[0]),
                integers("pads", &[0, 1, 0, 2, 0, 1]),
                integers("picks", &[0, -1, 1, 0]),
            ],
            &["most", "mean"],
        );
        let shape = [a, b, c].map(|d| d as usize);
        let x: Vec<f32> = numbers(shape.iter().product(), seed).iter().map(|x| x + 1.5).collect();
        check(&onnx, &shape, &x, &[]);
    }
}
