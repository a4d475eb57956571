//! A model file: reading it, and checking that it is what its user expects.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use tract_onnx::pb::GraphProto;
use tract_onnx::tract_hir::internal::*;

use super::error::ModelError;
use super::limits::{self, FileError};
use super::{guarded, prelu};

/// What a model must look like. All tensors are float32.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// What the model is for, as errors name it ("palm detection").
    pub purpose: &'static str,
    /// Shape of its only input.
    pub input: &'a [usize],
    /// The outputs that are read, in the order in which [`Network`](super::Network) gives them.
    pub outputs: &'a [ExpectedOutput<'a>],
    /// What to do when the file is missing or wrong ("run `make models`").
    pub remedy: &'static str,
}

/// An output that a model must have.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedOutput<'a> {
    /// Its name. Where a model lacks one of the names, its outputs are taken by place.
    pub name: &'static str,
    /// Its shape; `None` where any size will do.
    pub shape: &'a [Option<usize>],
}

/// An error names no more of a model's parts.
const MOST_NAMED: usize = 8;

/// A model of which every type and shape is known, with its outputs in the expected order.
pub(super) struct CheckedModel {
    pub typed: TypedModel,
    pub metadata: Vec<(String, String)>,
}

/// Reads the file at `path` and holds it to `expect`.
pub(super) fn read(path: &Path, expect: &Expectation<'_>) -> Result<CheckedModel, ModelError> {
    let &Expectation {
        purpose, remedy, ..
    } = expect;
    let too_much = |limit| ModelError::limit(path, expect, limit);
    let bytes = limits::file(path).map_err(|error| match error {
        FileError::Limit(limit) => too_much(limit),
        FileError::Io(error) if error.kind() == ErrorKind::NotFound => ModelError::Missing {
            path: path.into(),
            purpose,
            remedy,
        },
        FileError::Io(error) => ModelError::Unreadable {
            path: path.into(),
            purpose,
            error,
        },
    })?;
    let not_onnx = |found: String| ModelError::NotOnnx {
        path: path.into(),
        bytes: bytes.len(),
        found,
        remedy,
    };
    let wrong_input = |found: String| ModelError::Input {
        path: path.into(),
        purpose,
        expected: format!("one of {:?}", f32::fact(expect.input)),
        found,
        remedy,
    };
    let wrong_outputs = |found: String| ModelError::Outputs {
        path: path.into(),
        purpose,
        expected: describe_outputs(expect),
        found,
        remedy,
    };
    let broken = |e: TractError| ModelError::graph(path, expect, &e);

    let mut onnx = tract_onnx::onnx();
    prelu::register(&mut onnx.op_register);
    for operator in limits::UNKNOWABLE {
        onnx.op_register.0.remove(operator);
    }
    let mut proto = onnx
        .proto_model_for_read(&mut bytes.as_slice())
        .map_err(|e| not_onnx(e.root_cause().to_string()))?;
    let graph = proto
        .graph
        .as_mut()
        .filter(|g| !g.node.is_empty())
        .ok_or_else(|| not_onnx("there is no graph in it".into()))?;
    limits::graph(graph).map_err(too_much)?;
    let graph = &*graph;

    let unknown: BTreeSet<&str> = graph
        .node
        .iter()
        .map(|n| n.op_type.as_str())
        .filter(|op| !onnx.op_register.0.contains_key(*op))
        .collect();
    if !unknown.is_empty() {
        return Err(ModelError::Operators {
            path: path.into(),
            purpose,
            operators: Vec::from_iter(unknown.into_iter().take(MOST_NAMED)).join(", "),
        });
    }
    // tract indexes its table of names with these.
    if let Some(name) = undefined_output(graph) {
        return Err(broken(format_err!("nothing computes the output {name:?}")));
    }

    let names: Vec<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut model = onnx.model_for_proto_model(&proto).map_err(broken)?;
    guarded::guard(&mut model);
    if model.inputs.len() != 1 {
        return Err(wrong_input(format!("{} inputs", model.inputs.len())));
    }
    let mut input = model.input_fact(0).map_err(broken)?.clone();
    let expected = InferenceFact::dt_shape(f32::datum_type(), expect.input);
    if input.unify_with(&expected).is_err() {
        return Err(wrong_input(format!("{input:?}")));
    }
    model.set_input_fact(0, expected).map_err(broken)?;

    let places = output_places(&names, expect).ok_or_else(|| {
        let named = names.iter().take(MOST_NAMED).copied();
        wrong_outputs(format!("only {}", Vec::from_iter(named).join(", ")))
    })?;
    let outlets = places.iter().map(|&i| model.outputs[i]).collect::<Vec<_>>();
    model.select_output_outlets(&outlets).map_err(broken)?;

    let typed = model.into_typed().map_err(broken)?;
    limits::typed(&typed).map_err(broken)?;
    for (i, output) in expect.outputs.iter().enumerate() {
        let fact = typed.output_fact(i).map_err(broken)?;
        if fact.datum_type != f32::datum_type() || !output.fits(fact) {
            return Err(wrong_outputs(format!("{} {fact:?}", names[places[i]])));
        }
    }
    let metadata = proto
        .metadata_props
        .iter()
        .map(|p| (p.key.clone(), p.value.clone()))
        .collect();
    Ok(CheckedModel { typed, metadata })
}

impl ExpectedOutput<'_> {
    fn fits(&self, fact: &TypedFact) -> bool {
        fact.shape.as_concrete().is_some_and(|shape| {
            shape.len() == self.shape.len()
                && shape
                    .iter()
                    .zip(self.shape)
                    .all(|(&is, should)| should.is_none_or(|s| s == is))
        })
    }
}

/// For each expected output its index among the model's: by name, or by place if a name is
/// lacking. `None` if the model has too few.
fn output_places(names: &[&str], expect: &Expectation<'_>) -> Option<Vec<usize>> {
    let wanted = expect.outputs;
    wanted
        .iter()
        .map(|output| names.iter().position(|name| *name == output.name))
        .collect::<Option<_>>()
        .or_else(|| (wanted.len() <= names.len()).then(|| (0..wanted.len()).collect()))
}

fn undefined_output(graph: &GraphProto) -> Option<&str> {
    let computed = graph.node.iter().flat_map(|n| &n.output);
    let given = graph.input.iter().map(|i| &i.name);
    let constant = graph.initializer.iter().map(|t| &t.name);
    let known: BTreeSet<&String> = computed.chain(given).chain(constant).collect();
    let mut outputs = graph.output.iter().map(|o| &o.name);
    outputs
        .find(|name| !known.contains(name))
        .map(String::as_str)
}

/// "boxes 1,2016,18,F32 and scores 1,2016,1,F32", in the notation of tract's facts.
fn describe_outputs(expect: &Expectation<'_>) -> String {
    let describe = |output: &ExpectedOutput<'_>| {
        let dims = output
            .shape
            .iter()
            .map(|d| d.map_or("any,".into(), |d| format!("{d},")));
        format!("{} {}F32", output.name, String::from_iter(dims))
    };
    let all: Vec<String> = expect.outputs.iter().map(describe).collect();
    all.join(" and ")
}
