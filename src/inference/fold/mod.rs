//! Folding: the nodes of a tract model that our kernels can compute become operators of ours, each
//! with a static plan.
//!
//! [`Operator::of`] says what a node computes, or that it must stay tract's. [`segments`] groups
//! the nodes that can be computed in one go, [`lower`] makes a plan of a group, and a
//! [`FoldedOp`] runs it inside of tract's own plan.

mod folded_op;
mod lower;
mod operator;
mod segments;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use super::plan::Plan;
use super::simd::InstructionSet;
use folded_op::FoldedOp;
use operator::Operator;

/// What became of a model's nodes.
#[derive(Debug, Clone)]
pub struct Folding {
    /// The instruction set of the kernels.
    pub instruction_set: InstructionSet,
    /// Nodes that were folded.
    pub folded: usize,
    /// The plans that they became, in the order in which they run.
    pub(super) plans: Vec<Arc<Plan>>,
    /// Nodes that stay tract's: their names, and those of their operators.
    pub kept: Vec<(String, String)>,
}

impl Folding {
    /// Bytes of the plans' arenas.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        let lens = self.plans.iter().map(|plan| plan.arena_len());
        lens.sum::<usize>() * size_of::<f32>()
    }

    /// Multiplications and additions of a run, in the folded layers.
    #[must_use]
    pub fn macs(&self) -> u64 {
        let layers = self.plans.iter().flat_map(|plan| plan.layers());
        layers.map(|layer| layer.macs).sum()
    }
}

/// One line, for the log.
impl fmt::Display for Folding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: Vec<_> = self
            .kept
            .iter()
            .map(|(name, op)| format!("{name} ({op})"))
            .collect();
        let all = self.folded + kept.len();
        write!(
            f,
            "{} of {all} nodes folded, {}",
            self.folded, self.instruction_set
        )?;
        match kept.len() {
            0 => Ok(()),
            1..=8 => write!(f, "; tract computes {}", kept.join(", ")),
            more => write!(
                f,
                "; tract computes {} and {} more",
                kept[..8].join(", "),
                more - 8
            ),
        }
    }
}

/// Folds what can be folded of a decluttered model.
pub fn fold(model: &mut TypedModel, set: InstructionSet) -> TractResult<Folding> {
    let order = model.eval_order()?;
    let mut operators: BTreeMap<usize, Operator> = BTreeMap::new();
    for &node in &order {
        if let Some(operator) = Operator::of(model, &model.nodes[node])? {
            operators.insert(node, operator);
        }
    }
    let segments = segments::of(model, &order, &operators);
    let folded: usize = segments.iter().map(Vec::len).sum();
    let mut plans = Vec::new();
    let mut patches = Vec::new();
    for segment in &segments {
        let lowered = lower::lower(model, segment, &operators, set)?;
        let plan = Arc::new(lowered.plan);
        let facts = |outlets: &[OutletId]| -> TractResult<Vec<TypedFact>> {
            let fact = |&outlet| Ok(model.outlet_fact(outlet)?.without_value());
            outlets.iter().map(fact).collect()
        };
        let op = FoldedOp::new(&plan, facts(&lowered.inputs)?, facts(&lowered.outputs)?);
        let mut patch = TypedModelPatch::new("fold");
        let inputs = patch.taps(model, &lowered.inputs)?;
        let name = format!("folded.{}", plans.len());
        let outputs = patch.wire_node(name, op, &inputs)?;
        for (&old, new) in lowered.outputs.iter().zip(outputs) {
            patch.shunt_outside(model, old, new)?;
        }
        plans.push(plan);
        patches.push(patch);
    }
    for patch in patches {
        patch.apply(model)?;
    }
    model.compact()?;
    let nodes = model.eval_order()?.into_iter().map(|id| &model.nodes[id]);
    let kept = nodes
        .filter(|node| !node.op_is::<FoldedOp>() && !segments::is_given(node))
        .map(|node| (node.name.clone(), node.op.name().into_owned()))
        .collect();
    Ok(Folding {
        instruction_set: set,
        folded,
        plans,
        kept,
    })
}
