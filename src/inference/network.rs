//! A network: one model with its input tensor and its last outputs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tract_onnx::tract_core::optim::{Optimizer, TypedPass};
use tract_onnx::tract_hir::internal::*;

use super::error::{InferenceError, ModelError};
use super::fold::{self, Folding};
use super::limits;
use super::model_file::{self, Expectation, ExpectedOutput};
use super::patience::{self, Undone};
use super::plan::{Layer, Plan, Team};
use super::pool::Pool;
use palmd_kernels::{AlignedBox, InstructionSet};

/// A model must be ready after so long. A Raspberry Pi takes a second or two for each.
const TIME_TO_LOAD: Duration = Duration::from_secs(60);

/// One model, ready to run again and again on one thread.
#[derive(Debug)]
pub struct Network {
    path: PathBuf,
    purpose: &'static str,
    metadata: Vec<(String, String)>,
    state: TypedSimpleState,
    input: Arc<Tensor>,
    outputs: TVec<TValue>,
    output_shapes: Vec<Vec<usize>>,
    folding: Folding,
    /// An operator has panicked: what it keeps can't be relied on any more.
    broken: bool,
    /// For operators that allocate; `None` if there are none. The last field, so that what is
    /// from it is dropped before it.
    pool: Option<Pool>,
}

impl Network {
    /// Reads, checks and prepares the model at `path`, to be run by a team: its leader is the
    /// thread that calls [`run`](Self::run).
    ///
    /// All this happens on another thread, for which the caller waits no longer than a minute.
    ///
    /// # Errors
    /// [`ModelError`] when the file is missing, is no ONNX model, or is not what is expected; and
    /// when it asks for more than any model may have ([`LimitError`](super::LimitError)), or takes
    /// too long.
    pub fn load(path: &Path, expect: &Expectation<'_>, team: &Team) -> Result<Self, ModelError> {
        Self::load_within(TIME_TO_LOAD, path, expect, team)
    }

    fn load_within(
        limit: Duration,
        path: &Path,
        expect: &Expectation<'_>,
        team: &Team,
    ) -> Result<Self, ModelError> {
        let &Expectation {
            purpose, remedy, ..
        } = expect;
        let prepare = {
            let (path, team) = (path.to_owned(), team.clone());
            let input = expect.input.to_vec();
            let outputs = expect.outputs.iter();
            let outputs: Vec<_> = outputs.map(|o| (o.name, o.shape.to_vec())).collect();
            move || {
                let outputs = outputs.iter();
                let outputs: Vec<_> = outputs
                    .map(|(name, shape)| ExpectedOutput { name, shape })
                    .collect();
                let expect = Expectation {
                    purpose,
                    input: &input,
                    outputs: &outputs,
                    remedy,
                };
                Self::prepare(&path, &expect, &team)
            }
        };
        patience::in_time(limit, prepare).unwrap_or_else(|undone| {
            Err(match undone {
                Undone::TooLong => ModelError::Slow {
                    path: path.into(),
                    purpose,
                    limit,
                    remedy,
                },
                Undone::Panicked(words) | Undone::NoThread(words) => {
                    ModelError::reason(path, expect, &words)
                }
            })
        })
    }

    fn prepare(path: &Path, expect: &Expectation<'_>, team: &Team) -> Result<Self, ModelError> {
        let model_file::CheckedModel { typed, metadata } = model_file::read(path, expect)?;
        let output_shapes = (0..typed.outputs.len())
            .map(|i| {
                Ok(typed
                    .output_fact(i)?
                    .shape
                    .as_concrete()
                    .unwrap_or_default()
                    .to_vec())
            })
            .collect::<TractResult<_>>()
            .map_err(|e| ModelError::graph(path, expect, &e))?;
        let (model, folding) =
            optimize(typed, team).map_err(|e| ModelError::graph(path, expect, &e))?;
        let state = model
            .into_runnable()
            .and_then(|plan| plan.spawn())
            .map_err(|e| ModelError::graph(path, expect, &e))?;
        let input =
            Tensor::zero::<f32>(expect.input).map_err(|e| ModelError::graph(path, expect, &e))?;
        let mut network = Self {
            path: path.into(),
            purpose: expect.purpose,
            metadata,
            state,
            input: Arc::new(input),
            outputs: tvec![],
            output_shapes,
            folding,
            broken: false,
            pool: None,
        };
        log::info!("{}: {}", path.display(), network.folding);
        // What fails, fails at load; and the outputs are there from the beginning.
        let failed = |e| ModelError::graph(path, expect, &e);
        if network.folding.kept.is_empty() {
            network.infer().map_err(failed)?;
        } else {
            network.pool = Pool::warm_up(|| network.infer()).map_err(failed)?;
        }
        Ok(network)
    }

    /// The value of `key` in the model's own metadata (ONNX `metadata_props`).
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// The input tensor in row-major order, to be written before [`run`](Self::run). It keeps
    /// what was written.
    pub fn input(&mut self) -> &mut [f32] {
        let tensor = Arc::make_mut(&mut self.input);
        // SAFETY: the tensor was made as f32, and nothing changes its type.
        unsafe { tensor.as_slice_mut_unchecked::<f32>() }
    }

    /// Computes the outputs from the input. They may hold NaN: that is for the caller to judge.
    ///
    /// # Errors
    /// [`InferenceError`] when an operator fails; the outputs are then empty. After one that
    /// panicked, the network isn't run again.
    pub fn run(&mut self) -> Result<(), InferenceError> {
        let mut pool = self.pool.take();
        let run = || match &mut pool {
            _ if self.broken => Err(format_err!("it has panicked before")),
            Some(pool) => pool.enter(|| self.infer()),
            None => self.infer(),
        };
        let done = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            self.broken = true;
            self.outputs.clear();
            Err(format_err!("{}", patience::words(Some(panic))))
        });
        self.pool = pool;
        done.map_err(|error| InferenceError {
            path: self.path.clone(),
            purpose: self.purpose,
            reason: format!("{error:#}"),
        })
    }

    /// Memory of the pool in which its operators allocate; 0 if none of them does.
    #[must_use]
    pub fn pool_bytes(&self) -> usize {
        self.pool.as_ref().map_or(0, Pool::bytes)
    }

    fn infer(&mut self) -> TractResult<()> {
        // Dropped first, so that whoever made them may write them again.
        self.outputs.clear();
        let input = Arc::clone(&self.input).into_tvalue();
        self.outputs = self.state.run(tvec![input])?;
        Ok(())
    }

    /// Output `i` of the [`Expectation`], in row-major order, from the last [`run`](Self::run);
    /// empty if there is no such output, or the last run failed.
    #[must_use]
    pub fn output(&self, i: usize) -> &[f32] {
        self.outputs
            .get(i)
            .and_then(|tensor| tensor.as_plain_ram()?.as_slice().ok())
            .unwrap_or_default()
    }

    /// What became of the model's nodes.
    #[must_use]
    pub fn folding(&self) -> &Folding {
        &self.folding
    }

    /// Runs the folded layers `runs` times and gives what each costs, in their order; what stays
    /// tract's isn't among them. They work on the present input where they begin with it, on
    /// zeros elsewhere.
    #[must_use]
    pub fn profile(&self, runs: usize) -> Vec<LayerCost> {
        let input = self.input.as_plain_ram();
        let input: &[f32] = input
            .as_ref()
            .and_then(|i| i.as_slice().ok())
            .unwrap_or_default();
        let plans = self.folding.plans.iter();
        plans
            .flat_map(|plan| layer_costs(plan, input, runs))
            .collect()
    }

    /// Shape of output `i` of the [`Expectation`]; empty if there is no such output.
    #[must_use]
    pub fn output_shape(&self, i: usize) -> &[usize] {
        self.output_shapes.get(i).map_or(&[], Vec::as_slice)
    }
}

/// What a folded layer costs.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LayerCost {
    /// The model's node that it ends with.
    pub name: String,
    /// Its kind, in a word.
    pub kind: &'static str,
    /// Multiplications and additions, where they are what counts; zero elsewhere.
    pub macs: u64,
    /// Median time of a run.
    pub median: Duration,
}

fn layer_costs(plan: &Plan, input: &[f32], runs: usize) -> Vec<LayerCost> {
    let zeros = |lens: &[usize]| lens.iter().map(|&len| vec![0.0; len]).collect::<Vec<_>>();
    let (mut inputs, mut outputs) = (zeros(plan.input_lens()), zeros(plan.output_lens()));
    if let [only] = &mut inputs[..]
        && only.len() == input.len()
    {
        only.copy_from_slice(input);
    }
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    let mut arena = AlignedBox::zeros(plan.arena_len());
    let mut times = vec![Vec::with_capacity(runs); plan.layers().len()];
    for _ in 0..runs {
        plan.profile(&mut arena, &inputs, &mut outputs, |i, time| {
            times[i].push(time)
        });
    }
    let cost = |(layer, mut times): (&Layer, Vec<Duration>)| {
        times.sort_unstable();
        LayerCost {
            name: layer.name.clone(),
            kind: layer.kind(),
            macs: layer.macs,
            median: times.get(times.len() / 2).copied().unwrap_or_default(),
        }
    };
    plan.layers().iter().zip(times).map(cost).collect()
}

/// tract's simplifications, our own plans, and tract's choice of kernels for the rest.
fn optimize(model: TypedModel, team: &Team) -> TractResult<(TypedModel, Folding)> {
    let set =
        InstructionSet::chosen().map_err(|e| format_err!("{}: {e}", InstructionSet::VARIABLE))?;
    // To search for a better order of axes takes a third of the time to load, and is for what stays
    // tract's.
    let (mut folded, mut folding) = fold::fold(&declutter(model.clone(), false)?, set, team)?;
    if !folding.kept.is_empty() {
        (folded, folding) = fold::fold(&declutter(model, true)?, set, team)?;
    }
    limits::working_memory(folding.arena_bytes() / size_of::<f32>())?;
    folded.optimize()?;
    Ok((folded, folding))
}

/// tract's simplifications, with or without its search for a better order of axes.
pub(super) fn declutter(mut model: TypedModel, change_axes: bool) -> TractResult<TypedModel> {
    let mut optimizer = Optimizer::declutter();
    let changes_axes = |pass: &dyn TypedPass| format!("{pass:?}").starts_with("ChangeAxes");
    optimizer
        .passes
        .retain(|pass| change_axes || !changes_axes(&**pass));
    optimizer.session().optimize(&mut model)?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use prost::Message;
    use tract_onnx::pb::attribute_proto::AttributeType;
    use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
    use tract_onnx::pb::type_proto::Value;
    use tract_onnx::pb::{
        AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
    };

    use super::super::test_model::{floats, integers, model, node, value};
    use super::*;

    /// `y = prelu(x, [0.5, 2])` and `z = x + x` over x of shape 1x2x3.
    fn two_outputs() -> ModelProto {
        let mut model = model(
            &[1, 2, 3],
            vec![
                node("PRelu", &["x", "slope"], "y"),
                node("Add", &["x", "x"], "z"),
            ],
            vec![floats("slope", &[2, 1], &[0.5, 2.0])],
            &["y", "z"],
        );
        model.metadata_props.push(StringStringEntryProto {
            key: "version".into(),
            value: "7".into(),
        });
        model
    }

    const SHAPE: &[Option<usize>] = &[Some(1), Some(2), None];
    const EXPECT: Expectation<'static> = Expectation {
        purpose: "test",
        input: &[1, 2, 3],
        outputs: &[
            ExpectedOutput {
                name: "z",
                shape: SHAPE,
            },
            ExpectedOutput {
                name: "y",
                shape: SHAPE,
            },
        ],
        remedy: "run `make models`",
    };

    fn load_bytes(bytes: &[u8], expect: &Expectation<'_>) -> Result<Network, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.onnx");
        fs::write(&path, bytes).unwrap();
        Network::load(&path, expect, &Team::default())
    }

    fn load(model: &ModelProto, expect: &Expectation<'_>) -> Result<Network, ModelError> {
        load_bytes(&model.encode_to_vec(), expect)
    }

    /// The error's text, which must be one line that names the file.
    fn refusal(model: &ModelProto, expect: &Expectation<'_>) -> String {
        one_line(load(model, expect).unwrap_err())
    }

    fn one_line(error: ModelError) -> String {
        let text = error.to_string();
        assert!(text.contains("some.onnx: "), "{text}");
        assert!(!text.contains('\n'), "{text}");
        text
    }

    fn graph(model: &mut ModelProto) -> &mut GraphProto {
        model.graph.as_mut().unwrap()
    }

    #[test]
    fn runs_repeatedly_with_outputs_found_by_name() {
        fn assert_send<T: Send>(_: &T) {}
        let mut network = load(&two_outputs(), &EXPECT).unwrap();
        assert_send(&network);
        assert_eq!(network.metadata("version"), Some("7"));
        assert_eq!(network.metadata("labels"), None);
        assert_eq!(network.output_shape(1), [1, 2, 3]);
        for scale in [1.0, 10.0] {
            network
                .input()
                .copy_from_slice(&[-1.0, 0.0, 1.0, -2.0, f32::NAN, 3.0].map(|x| x * scale));
            network.run().unwrap();
            assert_eq!(
                network.output(0)[..4],
                [-2.0, 0.0, 2.0, -4.0].map(|x| x * scale)
            );
            assert_eq!(
                network.output(1)[..4],
                [-0.5, 0.0, 1.0, -4.0].map(|x| x * scale)
            );
            assert!(network.output(1)[4].is_nan());
            assert_eq!(network.output(1)[5], 3.0 * scale);
        }
    }

    #[test]
    fn an_input_that_is_also_an_output_stays_writable() {
        let mut model = two_outputs();
        graph(&mut model).node[1] = node("Identity", &["x"], "z");
        let mut network = load(&model, &EXPECT).unwrap();
        for x in [1.0, 2.0] {
            network.input().fill(x);
            network.run().unwrap();
            assert_eq!(network.output(0), [x; 6]);
        }
    }

    #[test]
    fn outputs_of_other_names_are_taken_by_place() {
        let expect = Expectation {
            outputs: &["first", "second"].map(|name| ExpectedOutput { name, shape: SHAPE }),
            ..EXPECT
        };
        let mut network = load(&two_outputs(), &expect).unwrap();
        network.input().fill(-1.0);
        network.run().unwrap();
        assert_eq!(network.output(1), [-2.0; 6]);
    }

    #[test]
    fn files_that_are_no_models_are_refused() {
        let missing =
            Network::load(Path::new("nowhere/some.onnx"), &EXPECT, &Team::default()).unwrap_err();
        let text = one_line(missing);
        assert!(text.contains("missing; run `make models`"), "{text}");

        let whole = two_outputs().encode_to_vec();
        for bytes in [
            &b""[..],
            b"<!doctype html><p>404</p>",
            &whole[..whole.len() / 2],
            &whole[..whole.len() - 3],
        ] {
            let text = one_line(load_bytes(bytes, &EXPECT).unwrap_err());
            assert!(text.contains("not an ONNX model, or cut short"), "{text}");
            assert!(text.contains(&format!("({} bytes", bytes.len())), "{text}");
        }

        let folder = tempfile::tempdir().unwrap();
        let error = Network::load(folder.path(), &EXPECT, &Team::default()).unwrap_err();
        assert!(error.to_string().contains("can't be read"), "{error}");
    }

    #[test]
    fn other_inputs_and_outputs_are_refused_with_what_was_expected() {
        let mut model = two_outputs();
        graph(&mut model).input[0] = value("x", &[1, 2, 4]);
        let text = refusal(&model, &EXPECT);
        assert!(
            text.contains("1,2,3,F32") && text.contains("1,2,4,F32"),
            "{text}"
        );

        let double = 11;
        graph(&mut model).input[0] = value("x", &[1, 2, 3]);
        let Some(Value::TensorType(tensor)) =
            &mut graph(&mut model).input[0].r#type.as_mut().unwrap().value
        else {
            panic!("not a tensor");
        };
        tensor.elem_type = double;
        assert!(refusal(&model, &EXPECT).contains("1,2,3,F64"));

        let mut model = two_outputs();
        graph(&mut model).input.push(value("x2", &[1]));
        assert!(refusal(&model, &EXPECT).contains("2 inputs"));

        let mut model = two_outputs();
        graph(&mut model).output.pop();
        let text = refusal(&model, &EXPECT);
        assert!(text.contains("there is only y"), "{text}");

        let expect = Expectation {
            outputs: &[ExpectedOutput {
                name: "y",
                shape: &[Some(1), Some(19)],
            }],
            ..EXPECT
        };
        let text = refusal(&two_outputs(), &expect);
        assert!(
            text.contains("y 1,19,F32") && text.contains("y 1,2,3,F32"),
            "{text}"
        );
    }

    #[test]
    fn graphs_that_can_not_run_are_refused() {
        let mut model = two_outputs();
        graph(&mut model).node[1].op_type = "Bessel".into();
        let text = refusal(&model, &EXPECT);
        assert!(text.contains("can't be run here: Bessel;"), "{text}");

        let mut model = two_outputs();
        graph(&mut model).output[0].name = "w".into();
        let text = refusal(&model, &EXPECT);
        assert!(text.contains("nothing computes the output \"w\""), "{text}");

        let mut model = two_outputs();
        graph(&mut model).node[0].input[1] = "nothing".into();
        let text = refusal(&model, &EXPECT);
        assert!(text.contains("can't be prepared"), "{text}");

        let mut model = two_outputs();
        graph(&mut model).initializer[0].dims = vec![1, 2];
        let text = refusal(&model, &EXPECT);
        assert!(text.contains("can't be prepared"), "{text}");
    }

    /// What is said of a model whose output `z` is what `nodes` make of x and `constants`.
    fn refusal_of(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> String {
        let abs = node("Abs", &["x"], "y");
        refusal(
            &model(
                &[1, 2, 3],
                [nodes, vec![abs]].concat(),
                constants,
                &["y", "z"],
            ),
            &EXPECT,
        )
    }

    #[test]
    fn too_large_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.onnx");
        let file = fs::File::create(&path).unwrap();
        file.set_len(40 << 20).unwrap();
        let load = |path: &Path| {
            let error = Network::load(path, &EXPECT, &Team::default()).unwrap_err();
            error.to_string()
        };
        let text = load(&path);
        assert!(text.contains("bytes, and the limit is 33554432"), "{text}");
        let text = load(Path::new("/dev/zero"));
        assert!(text.contains("no regular file"), "{text}");

        // Two bytes each in the file.
        let parts = refusal_of(vec![NodeProto::default(); 300_000], vec![]);
        assert!(parts.contains("parts, and the limit is 250000"), "{parts}");
        let nodes = refusal_of(vec![node("Abs", &["x"], "z"); 10_000], vec![]);
        assert!(
            nodes.contains("10001 nodes, and the limit is 10000"),
            "{nodes}"
        );
    }

    #[test]
    fn tensors_that_fill_the_memory_are_refused_before_they_do() {
        let absurd = |dims: &[i64]| {
            refusal_of(
                vec![node("Add", &["x", "w"], "z")],
                vec![floats("w", dims, &[])],
            )
        };
        let text = absurd(&[1 << 40]);
        let told = "1099511627776 numbers in the tensor \"w\", and the limit is 8388608";
        assert!(text.contains(told), "{text}");
        // Their product would be 0 in 64 bits.
        let text = absurd(&[1 << 32, 1 << 32]);
        assert!(text.contains("numbers in the tensor \"w\""), "{text}");
        let text = absurd(&[1; 100]);
        assert!(text.contains("100 axes in a tensor"), "{text}");

        for (op, sizes) in [
            ("ConstantOfShape", &[100_000, 100_000][..]),
            ("ConstantOfShape", &[1 << 22, 1 << 22, 1 << 22]),
            ("ConstantOfShape", &[1 << 33, 1 << 33]),
            ("Expand", &[10_000, 10_000, 2, 3]),
            ("Tile", &[1000, 1000, 1000]),
            ("Tile", &[1 << 24, 1 << 24, 1 << 24]),
            ("Tile", &[i64::MAX, 2, 1]),
        ] {
            let inputs: &[&str] = match op {
                "ConstantOfShape" => &["sizes"],
                _ => &["x", "sizes"],
            };
            let nodes = vec![node(op, inputs, "large"), node("Add", &["x", "large"], "z")];
            let text = refusal_of(nodes, vec![integers("sizes", sizes)]);
            assert!(text.contains("and the limit is"), "{op} {sizes:?}: {text}");
        }

        // Each of a size that may be, and too many of them.
        let mut nodes = vec![node("Expand", &["x", "sizes"], "0")];
        for i in 0..20 {
            nodes.push(node("Abs", &[&i.to_string()], &(i + 1).to_string()));
        }
        nodes.push(node("ReduceSum", &["20"], "z"));
        let text = refusal_of(nodes, vec![integers("sizes", &[1000, 1000, 2, 3])]);
        assert!(text.contains("numbers in all tensors"), "{text}");
    }

    #[test]
    fn a_model_that_takes_too_long_is_refused() {
        let nodes = vec![
            node("ReduceSum", &["x"], "sum"),
            node("Expand", &["sum", "sizes"], "a"),
            node("MatMul", &["a", "a"], "b"),
            node("MatMul", &["b", "b"], "c"),
            node("ReduceSum", &["c"], "d"),
            node("Add", &["x", "d"], "z"),
        ];
        let text = refusal_of(nodes, vec![integers("sizes", &[1, 2000, 2000])]);
        let told = "16004000006 multiplications in a run, and the limit is 10000000000";
        assert!(text.contains(told), "{text}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.onnx");
        fs::write(&path, two_outputs().encode_to_vec()).unwrap();
        let team = Team::default();
        let late = Network::load_within(Duration::ZERO, &path, &EXPECT, &team).unwrap_err();
        let text = one_line(late);
        assert!(text.contains("isn't ready after 0ns"), "{text}");
    }

    #[test]
    fn what_can_not_be_known_at_load_is_refused() {
        let external = TensorProto {
            data_location: Some(1),
            ..floats("w", &[2, 1], &[])
        };
        let text = refusal_of(vec![node("Add", &["x", "w"], "z")], vec![external]);
        assert!(text.contains("\"w\" are in another file"), "{text}");

        for op in ["Loop", "If", "Scan"] {
            let text = refusal_of(vec![node(op, &["x"], "z")], vec![]);
            assert!(
                text.contains(&format!("can't be run here: {op};")),
                "{text}"
            );
        }
        let mut nested = node("Abs", &["x"], "z");
        nested.attribute.push(AttributeProto {
            g: Some(GraphProto::default()),
            ..Default::default()
        });
        let text = refusal_of(vec![nested], vec![]);
        assert!(text.contains("holds a graph of its own"), "{text}");

        // As many as x has numbers above zero.
        let nodes = vec![
            node("NonZero", &["x"], "where"),
            node("Cast", &["where"], "numbers"),
            node("ReduceSum", &["numbers"], "sum"),
            node("Add", &["x", "sum"], "z"),
        ];
        let mut nodes = nodes;
        nodes[1].attribute.push(AttributeProto {
            name: "to".into(),
            r#type: AttributeType::Int.into(),
            i: 1,
            ..Default::default()
        });
        let text = refusal_of(nodes, vec![]);
        assert!(text.contains("depends on what it is given"), "{text}");
    }

    #[test]
    fn names_stay_on_the_line_and_formulas_are_not_read() {
        for name in ["Ab\x1b[2Js", "Abs\n<3>all is lost", &"A".repeat(2000)] {
            let text = refusal_of(vec![node(name, &["x"], "z")], vec![]);
            assert!(text.contains("control characters, or more than"), "{text}");
        }
        let mut model = two_outputs();
        let Some(Value::TensorType(tensor)) =
            &mut graph(&mut model).input[0].r#type.as_mut().unwrap().value
        else {
            panic!("not a tensor");
        };
        let formula = "(".repeat(1_000_000);
        tensor.shape.as_mut().unwrap().dim[0].value = Some(Dimension::DimParam(formula));
        assert!(load(&model, &EXPECT).is_ok());
    }

    #[test]
    fn a_convolution_of_absurd_strides_is_computed_all_the_same() {
        let mut conv = node("Conv", &["image", "w"], "first");
        for (name, ints) in [("strides", [1 << 20, 1 << 20]), ("dilations", [1 << 20, 1])] {
            conv.attribute.push(AttributeProto {
                name: name.into(),
                r#type: AttributeType::Ints.into(),
                ints: ints.into(),
                ..Default::default()
            });
        }
        let nodes = vec![
            node("Reshape", &["x", "as_image"], "image"),
            conv,
            node("Reshape", &["first", "as_number"], "number"),
            node("Add", &["x", "number"], "z"),
            node("Abs", &["x"], "y"),
        ];
        let constants = vec![
            integers("as_image", &[1, 1, 2, 3]),
            integers("as_number", &[1]),
            floats("w", &[1, 1, 1, 2], &[10.0, 10.0]),
        ];
        let model = model(&[1, 2, 3], nodes, constants, &["y", "z"]);
        let mut network = load(&model, &EXPECT).unwrap();
        network
            .input()
            .copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        network.run().unwrap();
        assert_eq!(network.output(0), [31.0, 32.0, 33.0, 34.0, 35.0, 36.0]);
    }

    #[test]
    fn an_operator_that_panics_is_an_error_and_never_runs_again() {
        // Picks the row that x says.
        let mut cast = node("Cast", &["x"], "rows");
        cast.attribute.push(AttributeProto {
            name: "to".into(),
            r#type: AttributeType::Int.into(),
            i: 7,
            ..Default::default()
        });
        let nodes = vec![
            node("Abs", &["x"], "y"),
            cast,
            node("Gather", &["table", "rows"], "z"),
        ];
        let table = floats("table", &[2], &[5.0, 6.0]);
        let model = model(&[1, 2, 3], nodes, vec![table], &["y", "z"]);
        let mut network = load(&model, &EXPECT).unwrap();
        network.input().fill(1.0);
        network.run().unwrap();
        assert_eq!(network.output(0), [6.0; 6]);
        network.input().fill(7.0);
        assert!(network.run().is_err());
        assert!(network.output(0).is_empty());
        network.input().fill(1.0);
        let again = network.run().unwrap_err().to_string();
        assert!(again.contains("it has panicked before"), "{again}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damage_is_an_error_or_none(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = two_outputs().encode_to_vec();
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Err(error) = load_bytes(&bytes, &EXPECT) {
                one_line(error);
            }
        }
    }
}
