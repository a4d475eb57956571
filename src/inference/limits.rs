//! What a model may ask of the machine: one from elsewhere must not hang the daemon, use up its
//! memory or crash it.
//!
//! tract believes what a file says. So the file is held to limits before tract reads it
//! ([`file`], [`graph`]), each operator while tract finds out what it computes
//! ([`Guarded`](super::guarded::Guarded)), and the whole before it is prepared ([`typed`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::internal::*;

use super::records;

/// The longest file, in bytes; the largest of the hand models has a sixth of it.
const FILE_BYTES: u64 = 32 << 20;

/// Parts of a file (nodes, names, tensors, ...): each becomes a structure of hundreds of bytes.
const RECORDS: u64 = 250_000;

/// Nodes; the hand models have some two hundred.
const NODES: u64 = 10_000;

/// Numbers of a tensor, given or computed; the hand models' largest has a twentieth of it.
const TENSOR_NUMBERS: u64 = 8 << 20;

/// Numbers of all tensors together, and of the working memory.
const ALL_NUMBERS: u64 = 64 << 20;

/// Axes of a tensor.
const AXES: u64 = 16;

/// Multiplications of a run; a hand model has a thirtieth of it.
const OPERATIONS: u64 = 10_000_000_000;

/// Integers that shapes are computed from: products of two of them can't overflow.
const INTEGER: u64 = 1 << 24;

/// Bytes of a name.
const NAME_BYTES: usize = 1000;

/// Operators whose integers are no sizes: "to the end" is the largest that there is.
const ANY_INTEGERS: [&str; 3] = ["Slice", "Constant", "ConstantOfShape"];

/// Parts of the names of tract's operators that only pass integers on, such as those for a slice.
const PASS_ON: [&str; 6] = ["slice", "concat", "dims", "squeeze", "identity", "gather"];

/// Operators that hold graphs, or build tensors whose sizes nothing outside of them tells.
pub const UNKNOWABLE: [&str; 4] = ["Attention", "If", "Loop", "Scan"];

/// What a model has that it may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Too much of something.
    #[error("it has {value} {what}, and the limit is {limit}")]
    TooMuch {
        /// Of what.
        what: String,
        /// How much; or more.
        value: u64,
        /// How much there may be.
        limit: u64,
    },
    /// A size that isn't known before the model runs.
    #[error("how much {node:?} computes depends on what it is given; export it with fixed sizes")]
    UnknownSize {
        /// The node.
        node: String,
    },
    /// A name that can't be shown.
    #[error("a name in it has control characters, or more than {NAME_BYTES} bytes")]
    Name,
    /// Numbers outside of the file.
    #[error("the numbers of {tensor:?} are in another file; export it as one file")]
    External {
        /// The tensor.
        tensor: String,
    },
    /// A graph within the graph.
    #[error("{node:?} ({operator}) holds a graph of its own, which can't be run here")]
    Nested {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
    },
}

fn within(what: impl Into<String>, value: u64, limit: u64) -> Result<(), LimitError> {
    if value <= limit {
        return Ok(());
    }
    let what = what.into();
    Err(LimitError::TooMuch { what, value, limit })
}

/// Why a file can't be taken.
#[derive(Debug)]
pub enum FileError {
    Io(io::Error),
    Limit(LimitError),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The bytes of the file at `path`, if there aren't too many of them, nor too many parts.
pub fn file(path: &Path) -> Result<Vec<u8>, FileError> {
    // A pipe would keep us waiting for who writes into it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let bytes = regular_bytes(file)?;
    let limit = |limit: Result<(), LimitError>| limit.map_err(FileError::Limit);
    limit(within("bytes", bytes.len() as u64, FILE_BYTES))?;
    limit(within("parts", records::count(&bytes, RECORDS), RECORDS))?;
    Ok(bytes)
}

fn regular_bytes(file: File) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Looks at a graph before tract does. Shapes whose sizes are formulas lose them: tract would
/// parse them.
pub fn graph(graph: &mut GraphProto) -> Result<(), LimitError> {
    within("nodes", graph.node.len() as u64, NODES)?;
    if !names(graph).all(is_name) {
        return Err(LimitError::Name);
    }
    let mut all = 0;
    for tensor in &graph.initializer {
        all += numbers_of(tensor)?;
    }
    for node in &graph.node {
        all += node_numbers(node)?;
    }
    within("numbers in all tensors", all, ALL_NUMBERS)?;
    let GraphProto {
        input,
        output,
        value_info,
        ..
    } = graph;
    let values = input.iter_mut().chain(output).chain(value_info);
    for value in values {
        check_shape(value)?;
    }
    Ok(())
}

fn names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let nodes = graph.node.iter().flat_map(|node| {
        let own = [&node.name, &node.op_type].into_iter();
        own.chain(&node.input).chain(&node.output)
    });
    let values = graph.input.iter().chain(&graph.output);
    nodes
        .chain(values.map(|value| &value.name))
        .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        .map(String::as_str)
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES && !name.contains(char::is_control)
}

/// Numbers of a tensor that the file gives.
fn numbers_of(tensor: &TensorProto) -> Result<u64, LimitError> {
    let is_external = tensor.data_location == Some(tensor_proto::DataLocation::External as i32);
    if is_external || !tensor.external_data.is_empty() {
        return Err(LimitError::External {
            tensor: tensor.name.clone(),
        });
    }
    within("axes in a tensor", tensor.dims.len() as u64, AXES)?;
    // Below zero is for tract to refuse.
    let dims = tensor.dims.iter().map(|&d| u64::try_from(d).unwrap_or(0));
    let numbers = dims.fold(1, u64::saturating_mul);
    within(
        format!("numbers in the tensor {:?}", tensor.name),
        numbers,
        TENSOR_NUMBERS,
    )?;
    Ok(numbers)
}

/// Numbers of the tensors that a node carries with it.
fn node_numbers(node: &NodeProto) -> Result<u64, LimitError> {
    let mut all = 0;
    for attribute in &node.attribute {
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
            return Err(LimitError::Nested {
                node: node.name.clone(),
                operator: node.op_type.clone(),
            });
        }
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            all += numbers_of(tensor)?;
        }
        if !ANY_INTEGERS.contains(&&*node.op_type) {
            let integers = attribute.ints.iter().chain([&attribute.i]);
            let largest = integers.map(|i| i.unsigned_abs()).max();
            let what = format!("as {:?} of {:?}", attribute.name, node.name);
            within(what, largest.unwrap_or(0), INTEGER)?;
        }
    }
    Ok(all)
}

fn check_shape(value: &mut ValueInfoProto) -> Result<(), LimitError> {
    let tensor = value.r#type.as_mut().and_then(|t| t.value.as_mut());
    let Some(Type::TensorType(tensor)) = tensor else {
        return Ok(());
    };
    let Some(shape) = &mut tensor.shape else {
        return Ok(());
    };
    within("axes in a tensor", shape.dim.len() as u64, AXES)?;
    for dim in &mut shape.dim {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'?';
        match &dim.value {
            Some(Dimension::DimValue(length)) => {
                let what = format!("along an axis of {:?}", value.name);
                within(what, length.unsigned_abs(), TENSOR_NUMBERS)?;
            }
            Some(Dimension::DimParam(name))
                if name.len() > NAME_BYTES || !name.bytes().all(letter) =>
            {
                dim.value = None;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Looks at what an operator is given: integers that shapes may be computed from.
pub fn integers(operator: &str, fact: &InferenceFact) -> TractResult<()> {
    let operator = operator.to_ascii_lowercase();
    if operator == "cast" || PASS_ON.iter().any(|known| operator.contains(known)) {
        return Ok(());
    }
    let Some(tensor) = fact.value.concretize() else {
        return Ok(());
    };
    let is_size = [i32::datum_type(), i64::datum_type(), TDim::datum_type()];
    if !is_size.contains(&tensor.datum_type()) {
        return Ok(());
    }
    // Symbols are no integers.
    let Ok(integers) = tensor.cast_to::<i64>() else {
        return Ok(());
    };
    let integers = integers.try_as_plain_ram()?;
    let largest = integers.as_slice::<i64>()?.iter().map(|i| i.unsigned_abs());
    let what = format!("as a size for {operator}");
    Ok(within(what, largest.max().unwrap_or(0), INTEGER)?)
}

/// Looks at what an operator computes. Whether its size is known.
pub fn output(operator: &str, fact: &InferenceFact) -> TractResult<bool> {
    let Some(shape) = fact.shape.concretize() else {
        return Ok(false);
    };
    within("axes in a tensor", shape.len() as u64, AXES)?;
    let mut numbers: u64 = 1;
    for dim in &shape {
        let Ok(dim) = dim.to_i64() else {
            return Ok(false);
        };
        let dim = u64::try_from(dim).map_err(|_| format_err!("an axis of {dim} in {operator}"))?;
        numbers = numbers.saturating_mul(dim);
    }
    within(
        format!("numbers in what {operator} computes"),
        numbers,
        TENSOR_NUMBERS,
    )?;
    Ok(true)
}

/// Looks at a model of which tract knows every shape: what it would keep, and what a run costs.
pub fn typed(model: &TypedModel) -> TractResult<()> {
    let (mut all, mut operations) = (0_u64, 0_u64);
    for node in &model.nodes {
        for output in &node.outputs {
            let Some(shape) = output.fact.shape.as_concrete() else {
                let node = node.name.clone();
                return Err(LimitError::UnknownSize { node }.into());
            };
            let dims = shape.iter().map(|&d| d as u64);
            let numbers = dims.fold(1, u64::saturating_mul);
            let what = || format!("numbers in what {:?} computes", node.name);
            within(what(), numbers, TENSOR_NUMBERS)?;
            all += numbers;
        }
        if !node.op_is::<Const>() {
            let inputs = model.node_input_facts(node.id)?;
            // An operator that can't tell is held to the time that a run takes.
            let costs = node.op.cost(&inputs).unwrap_or_default();
            let computes = costs.iter().filter(|(cost, _)| cost.is_compute());
            let counts = computes.map(|(_, count)| count.to_i64().unwrap_or(i64::MAX));
            operations = counts.fold(operations, |all, count| {
                all.saturating_add(count.unsigned_abs())
            });
        }
    }
    within("numbers in all tensors", all, ALL_NUMBERS)?;
    Ok(within("multiplications in a run", operations, OPERATIONS)?)
}

/// Looks at the working memory of plans, in numbers.
pub fn working_memory(numbers: usize) -> TractResult<()> {
    let what = "numbers of working memory";
    Ok(within(what, numbers as u64, ALL_NUMBERS)?)
}
