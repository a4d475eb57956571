//! The operator that runs a plan inside of tract's.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use crate::inference::plan::{MOST_PORTS, Plan};
use palmd_kernels::AlignedBox;

/// Runs a plan. Its state keeps the arena and the outputs, so that it allocates nothing as long
/// as the outputs of a run are dropped before the next one.
#[derive(Debug, Clone)]
pub struct FoldedOp {
    plan: Arc<Plan>,
    inputs: Vec<TypedFact>,
    outputs: Vec<TypedFact>,
}

impl FoldedOp {
    pub fn new(plan: &Arc<Plan>, inputs: Vec<TypedFact>, outputs: Vec<TypedFact>) -> Self {
        Self {
            plan: Arc::clone(plan),
            inputs,
            outputs,
        }
    }

    fn new_state(&self) -> TractResult<FoldedState> {
        let tensor = |fact: &TypedFact| {
            let shape = fact.shape.as_concrete().context("shapes are known")?;
            Ok(Arc::new(Tensor::zero::<f32>(shape)?))
        };
        Ok(FoldedState {
            plan: Arc::clone(&self.plan),
            arena: AlignedBox::zeros(self.plan.arena_len()),
            outputs: self
                .outputs
                .iter()
                .map(tensor)
                .collect::<TractResult<_>>()?,
        })
    }
}

impl PartialEq for FoldedOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for FoldedOp {}

impl Hash for FoldedOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.plan).hash(state);
    }
}

#[derive(Debug, Clone)]
struct FoldedState {
    plan: Arc<Plan>,
    arena: AlignedBox,
    outputs: Vec<Arc<Tensor>>,
}

impl FoldedState {
    fn run(&mut self, inputs: &TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut sources: heapless::Vec<&[f32], MOST_PORTS> = heapless::Vec::new();
        for input in inputs {
            let numbers = input.try_as_plain_ram()?.as_slice::<f32>()?;
            sources.push(numbers).ok().context("too many inputs")?;
        }
        let mut outputs: heapless::Vec<&mut [f32], MOST_PORTS> = heapless::Vec::new();
        for output in &mut self.outputs {
            // Whoever still reads the outputs of the last run keeps them.
            let tensor = Arc::make_mut(output);
            // SAFETY: the tensors were made as f32, and nothing changes their type.
            let numbers = unsafe { tensor.as_slice_mut_unchecked::<f32>() };
            outputs.push(numbers).ok().context("too many outputs")?;
        }
        self.plan.run(&mut self.arena, &sources, &mut outputs);
        drop(outputs);
        let value = |output: &Arc<Tensor>| Arc::clone(output).into_tvalue();
        Ok(self.outputs.iter().map(value).collect())
    }
}

impl OpState for FoldedState {
    fn eval(
        &mut self,
        _context: &EvalContext<'_>,
        _op: &dyn Op,
        inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        self.run(&inputs)
    }

    fn reset_lanes(&mut self, _lanes: &[LaneId]) -> TractResult<()> {
        Ok(())
    }
}

impl Op for FoldedOp {
    fn name(&self) -> StaticName {
        "Folded".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FoldedOp {
    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        Ok(Some(self.new_state()?.run(&inputs)?))
    }

    fn state(&self, _context: &EvalContext<'_>) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(self.new_state()?)))
    }
}

impl TypedOp for FoldedOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let alike = |(is, should): (&&TypedFact, &TypedFact)| {
            is.datum_type == should.datum_type && is.shape == should.shape
        };
        ensure!(
            inputs.len() == self.inputs.len() && inputs.iter().zip(&self.inputs).all(alike),
            "the plan is for {:?}, not for {inputs:?}",
            self.inputs
        );
        Ok(self.outputs.iter().cloned().collect())
    }

    as_op!();
}
