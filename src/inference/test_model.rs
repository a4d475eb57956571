//! Tiny ONNX models, so that tests need no files.

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A model with one float32 input `x`, whose outputs have no declared shape.
pub(crate) fn model(
    x: &[i64],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    outputs: &[&str],
) -> ModelProto {
    let output = |name: &&str| ValueInfoProto {
        name: name.to_string(),
        ..Default::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            version: 13,
            ..Default::default()
        }],
        graph: Some(GraphProto {
            node: nodes,
            initializer: constants,
            input: vec![value("x", x)],
            output: outputs.iter().map(output).collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

pub(crate) fn floats(name: &str, shape: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.into(),
        data_type: FLOAT,
        float_data: values.into(),
        ..Default::default()
    }
}

pub(crate) fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: INT64,
        int64_data: values.into(),
        ..Default::default()
    }
}

pub(crate) fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = |&d| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(d)),
        ..Default::default()
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: FLOAT,
                shape: Some(TensorShapeProto {
                    dim: shape.iter().map(dim).collect(),
                }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}
