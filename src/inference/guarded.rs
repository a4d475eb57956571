//! tract's operators, held to limits while tract finds out what they compute.
//!
//! An operator of which all inputs are constants is computed on the spot, however large the
//! result; a file of a hundred bytes can ask for terabytes. So its shape is looked at before.

use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::source::Source;

use super::limits;

/// Puts a guard before each operator of a model.
pub fn guard(model: &mut InferenceModel) {
    for node in &mut model.nodes {
        // tract looks for these by their type, and they compute nothing.
        if !node.op_is::<Const>() && !node.op_is::<Source>() {
            node.op = Box::new(Guarded(node.op.clone()));
        }
    }
}

/// An operator and the guard before it.
#[derive(Debug, Clone)]
struct Guarded(Box<dyn InferenceOp>);

impl PartialEq for Guarded {
    fn eq(&self, _other: &Self) -> bool {
        false
    }
}

impl Eq for Guarded {}

impl Op for Guarded {
    fn name(&self) -> StaticName {
        self.0.as_op().name()
    }

    fn validation(&self) -> Validation {
        self.0.as_op().validation()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.0.as_op().info()
    }

    not_a_typed_op!();
}

impl EvalOp for Guarded {
    fn eval(&self, context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.as_op().eval(context, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.0.as_op().eval_out_of_plan(inputs)
    }

    fn state(&self, context: &EvalContext<'_>) -> TractResult<Option<Box<dyn OpState>>> {
        self.0.as_op().state(context)
    }
}

/// What is known of an operator's inputs, outputs and those that it observes.
type Facts = (
    TVec<InferenceFact>,
    TVec<InferenceFact>,
    TVec<InferenceFact>,
);

impl InferenceOp for Guarded {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Facts> {
        let name = self.name();
        for input in &inputs {
            limits::integers(&name, input)?;
        }
        let (i, o, b) = (inputs.clone(), outputs.clone(), observed.clone());
        let facts = self.0.infer_facts(i, o, b)?;
        let mut is_known = true;
        for output in &facts.1 {
            is_known &= limits::output(&name, output)?;
        }
        if is_known {
            self.0.infer(inputs, outputs, observed)
        } else {
            Ok(facts)
        }
    }

    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Facts> {
        self.0.infer_facts(inputs, outputs, observed)
    }

    fn observe_outlets(
        &self,
        model: &InferenceModel,
        node: &InferenceNode,
    ) -> TractResult<Vec<OutletId>> {
        self.0.observe_outlets(model, node)
    }

    fn incorporate(
        &self,
        model: &InferenceModel,
        node: &InferenceNode,
    ) -> TractResult<Option<InferenceModelPatch>> {
        self.0.incorporate(model, node)
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.0.nboutputs()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        self.0.to_typed(source, node, target, mapping)
    }

    as_op!();
}
