//! Classifiers that users bring: they may hold operators that only tract has, and run all the
//! same, right and without a call to the system's allocator.

use std::path::Path;
use std::thread;

use palmd::gesture::Classifier;
use palmd::health::{AllocatorCalls, thread_calls};
use palmd::window::WINDOW_LEN;
use prost::Message;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value::TensorType as OfTensor};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, Tensor, tvec};

const POSES: usize = 30;
const NUMBERS: usize = 63;
const GESTURES: usize = 3;

/// Windows before anything is counted, and after.
const WARM_UP: usize = 5;
const WINDOWS: usize = 3000;

/// Numbers from -1 to 1 that are the same in every run.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }
}

/// A graph from `x` to `probabilities`, in the making.
#[derive(Default)]
struct Graph(GraphProto);

impl Graph {
    fn node(&mut self, op: &str, inputs: &[&str], outputs: &[&str], ints: &[(&str, i64)]) {
        let attribute = |&(name, i): &(&str, i64)| AttributeProto {
            name: name.into(),
            r#type: AttributeType::Int as i32,
            i,
            ..Default::default()
        };
        self.0.node.push(NodeProto {
            name: outputs.concat(),
            op_type: op.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: outputs.iter().map(ToString::to_string).collect(),
            attribute: ints.iter().map(attribute).collect(),
            ..Default::default()
        });
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        self.0.initializer.push(TensorProto {
            name: name.into(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: 1,
            float_data: values,
            ..Default::default()
        });
    }

    fn shape(&mut self, name: &str, shape: &[i64]) {
        self.0.initializer.push(TensorProto {
            name: name.into(),
            dims: vec![shape.len() as i64],
            data_type: 7,
            int64_data: shape.into(),
            ..Default::default()
        });
    }

    /// Probabilities from `features`, a vector of `size` numbers.
    fn head(&mut self, features: &str, size: usize) {
        self.shape("row", &[1, size as i64]);
        self.node("Reshape", &[features, "row"], &["features.row"], &[]);
        let weights = Numbers(9).take(size * GESTURES, 1.0);
        self.floats("head", &[size, GESTURES], weights);
        self.node("MatMul", &["features.row", "head"], &["logits"], &[]);
        self.node("Softmax", &["logits"], &["probabilities"], &[("axis", -1)]);
    }

    fn save(mut self, path: &Path) {
        let value = |name: &str, shape: &[i64]| ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                value: Some(OfTensor(TensorType {
                    elem_type: 1,
                    shape: Some(TensorShapeProto {
                        dim: shape
                            .iter()
                            .map(|&d| Dimension {
                                value: Some(DimValue(d)),
                                ..Default::default()
                            })
                            .collect(),
                    }),
                })),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.0.input = vec![value("x", &[1, POSES as i64, 21, 3])];
        self.0.output = vec![value("probabilities", &[1, GESTURES as i64])];
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                version: 17,
                ..Default::default()
            }],
            metadata_props: vec![StringStringEntryProto {
                key: "labels".into(),
                value: "fist, wave, none".into(),
            }],
            graph: Some(self.0),
            ..Default::default()
        };
        std::fs::write(path, model.encode_to_vec()).expect("the model");
    }
}

/// GRU or LSTM over the poses, with `gates` gates of `hidden` units.
fn recurrent(op: &str, gates: usize, hidden: usize) -> Graph {
    let mut numbers = Numbers(1);
    let mut graph = Graph::default();
    graph.shape("sequence", &[POSES as i64, 1, NUMBERS as i64]);
    graph.node("Reshape", &["x", "sequence"], &["poses"], &[]);
    let rows = gates * hidden;
    for (name, shape) in [
        ("w", vec![1, rows, NUMBERS]),
        ("r", vec![1, rows, hidden]),
        ("b", vec![1, 2 * rows]),
    ] {
        let values = numbers.take(shape.iter().product(), 0.3);
        graph.floats(name, &shape, values);
    }
    let size = [("hidden_size", hidden as i64)];
    graph.node(op, &["poses", "w", "r", "b"], &["", "last"], &size);
    graph.head("last", hidden);
    graph
}

/// One head of self-attention over the poses, behind a layer normalisation.
fn attention(width: usize) -> Graph {
    let mut numbers = Numbers(1);
    let mut graph = Graph::default();
    graph.shape("sequence", &[POSES as i64, NUMBERS as i64]);
    graph.node("Reshape", &["x", "sequence"], &["poses"], &[]);
    graph.floats("gamma", &[NUMBERS], numbers.take(NUMBERS, 1.0));
    graph.floats("beta", &[NUMBERS], numbers.take(NUMBERS, 1.0));
    let norm = ["poses", "gamma", "beta"];
    graph.node("LayerNormalization", &norm, &["norm"], &[("axis", -1)]);
    for (weights, out) in [("wq", "q"), ("wk", "k"), ("wv", "v")] {
        graph.floats(
            weights,
            &[NUMBERS, width],
            numbers.take(NUMBERS * width, 0.3),
        );
        graph.node("MatMul", &["norm", weights], &[out], &[]);
    }
    graph.node("Transpose", &["k"], &["k.t"], &[]);
    graph.node("MatMul", &["q", "k.t"], &["alike"], &[]);
    graph.floats("scale", &[], vec![1.0 / (width as f32).sqrt()]);
    graph.node("Mul", &["alike", "scale"], &["alike.scaled"], &[]);
    graph.node(
        "Softmax",
        &["alike.scaled"],
        &["attention"],
        &[("axis", -1)],
    );
    graph.node("MatMul", &["attention", "v"], &["seen"], &[]);
    graph.node("Add", &["seen", "q"], &["residual"], &[]);
    graph.shape("time", &[0]);
    graph.node(
        "ReduceSum",
        &["residual", "time"],
        &["sum"],
        &[("keepdims", 0)],
    );
    graph.head("sum", width);
    graph
}

/// What a model makes of some windows in palmd, on a thread of its own as in the daemon, and what
/// the thread asked of the allocator meanwhile.
fn classify(path: &Path) -> (Vec<Vec<f32>>, AllocatorCalls) {
    let mut classifier = Classifier::load(path, None).expect("a classifier");
    let windows = windows();
    let work = move || {
        let mut scores = vec![Vec::with_capacity(GESTURES); windows.len()];
        let mut before = thread_calls();
        for i in 0..WINDOWS / super::one_in() + WARM_UP {
            if i == WARM_UP {
                before = thread_calls();
            }
            let of = i % windows.len();
            let score = classifier.score_points(&windows[of]).expect("scores");
            scores[of].clear();
            scores[of].extend_from_slice(score);
        }
        let calls = thread_calls() - before;
        (scores, calls)
    };
    thread::spawn(work).join().expect("no panic")
}

fn windows() -> Vec<[f32; WINDOW_LEN]> {
    let mut numbers = Numbers(5);
    let window = |_| std::array::from_fn(|_| numbers.next());
    (0..WARM_UP).map(window).collect()
}

/// What tract alone makes of the same windows.
fn reference(path: &Path) -> Vec<Vec<f32>> {
    let model = tract_onnx::onnx().model_for_path(path).expect("a model");
    let model = model.into_optimized().expect("it can be optimized");
    let plan = model.into_runnable().expect("it can be run");
    let run = |window: [f32; WINDOW_LEN]| {
        let input = Tensor::from_shape(&[1, POSES, 21, 3], &window).expect("a tensor");
        let output = plan.run(tvec![input.into()]).expect("a run");
        let output = output[0].as_plain_ram().expect("in memory");
        output.as_slice::<f32>().expect("floats").to_vec()
    };
    windows().into_iter().map(run).collect()
}

/// Returns the scores, and how many calls the pool answered.
fn runs_right_and_without_the_system(graph: Graph) -> (Vec<Vec<f32>>, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.onnx");
    graph.save(&path);
    let (scores, calls) = classify(&path);
    assert!(calls.total() == 0 && calls.misses == 0, "{calls:?}");
    let reference = reference(&path);
    for (ours, theirs) in scores.iter().flatten().zip(reference.iter().flatten()) {
        assert!((ours - theirs).abs() < 1e-5, "{scores:?}\n{reference:?}");
    }
    assert_ne!(scores[0], scores[1]);
    (scores, calls.pooled)
}

#[test]
fn a_gru_runs_in_the_pool() {
    let hidden = 4;
    let graph = recurrent("GRU", 3, hidden);
    let tensor = |name: &str| {
        let found = graph.0.initializer.iter().find(|t| t.name == name);
        found.expect(name).float_data.clone()
    };
    let (w, r, b) = (tensor("w"), tensor("r"), tensor("b"));
    let head = Numbers(9).take(hidden * GESTURES, 1.0);
    let (scores, pooled) = runs_right_and_without_the_system(graph);
    assert!(pooled > 0);

    // The formula of the ONNX specification; the gates are z (update), r (reset), h.
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (window, scores) in windows().iter().zip(scores) {
        let mut state = vec![0.0; hidden];
        for pose in window.chunks(NUMBERS) {
            let gate = |gate: usize, i: usize, state: &[f32]| {
                let row = gate * hidden + i;
                dot(&w[row * NUMBERS..][..NUMBERS], pose)
                    + dot(&r[row * hidden..][..hidden], state)
                    + b[row]
                    + b[3 * hidden + row]
            };
            let reset = |i| sigmoid(gate(1, i, &state)) * state[i];
            let kept: Vec<f32> = (0..hidden).map(reset).collect();
            let next = |i| {
                let update = sigmoid(gate(0, i, &state));
                (1.0 - update) * gate(2, i, &kept).tanh() + update * state[i]
            };
            state = (0..hidden).map(next).collect();
        }
        let column = |j| {
            (0..hidden)
                .map(|i| state[i] * head[i * GESTURES + j])
                .sum::<f32>()
        };
        let logits: Vec<f32> = (0..GESTURES).map(column).collect();
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        for (score, logit) in scores.iter().zip(logits) {
            assert!((score - logit.exp() / sum).abs() < 1e-5, "{scores:?}");
        }
    }
}

#[test]
fn an_lstm_runs_in_the_pool() {
    let (_, pooled) = runs_right_and_without_the_system(recurrent("LSTM", 4, 24));
    assert!(pooled > 0);
}

#[test]
fn attention_runs_in_the_pool() {
    runs_right_and_without_the_system(attention(32));
}

#[test]
fn the_shipped_classifier_asks_nobody() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/gestures.onnx");
    let (_, calls) = classify(&path);
    assert!(calls.total() == 0 && calls.misses == 0, "{calls:?}");
}
