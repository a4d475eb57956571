//! Folding: the nodes of a tract model that our kernels can compute become operators of ours, each
//! with a static plan.
//!
//! [`Operator::of`] says what a node computes, or that it must stay tract's. [`segments`] groups
//! the nodes that can be computed in one go, [`lower`] makes a plan of a group, and a
//! [`FoldedOp`] runs it inside of tract's own plan.

mod folded_op;
mod lower;
mod operator;
mod prune;
mod segments;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use super::plan::{Plan, Team};
use folded_op::FoldedOp;
use lower::Lowered;
use operator::Operator;
use palmd_kernels::InstructionSet;

/// What became of a model's nodes.
#[derive(Debug, Clone)]
pub struct Folding {
    /// The instruction set of the kernels.
    pub instruction_set: InstructionSet,
    /// Nodes that were folded.
    pub folded: usize,
    /// The plans that they became, in the order in which they run.
    pub(super) plans: Vec<Arc<Plan>>,
    /// Channels that are always zero, or looked at by nobody, and were left out.
    pub dead_channels: usize,
    /// Nodes that stay tract's: their names, and those of their operators.
    pub kept: Vec<(String, String)>,
}

impl Folding {
    /// Bytes of the plans' arenas.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        let lens = self.plans.iter().map(|plan| plan.arena_len());
        let numbers = lens.fold(0, usize::saturating_add);
        numbers.saturating_mul(size_of::<f32>())
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
        if self.dead_channels > 0 {
            write!(f, "; {} dead channels left out", self.dead_channels)?;
        }
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
pub fn fold(
    model: &TypedModel,
    set: InstructionSet,
    team: &Team,
) -> TractResult<(TypedModel, Folding)> {
    let order = model.eval_order()?;
    let mut operators: BTreeMap<usize, Operator> = BTreeMap::new();
    for &node in &order {
        if let Some(operator) = Operator::of(model, &model.nodes[node])? {
            operators.insert(node, operator);
        }
    }
    let mut folding = Folding {
        instruction_set: set,
        folded: 0,
        plans: Vec::new(),
        dead_channels: 0,
        kept: Vec::new(),
    };
    let mut new = Rebuilt::of(model, &order)?;
    for level in segments::levels(model, &order, &operators) {
        if !level.ours.is_empty() {
            let lowered = lower::lower(model, &level.ours, &operators, set, team)?;
            folding.folded += level.ours.len();
            folding.dead_channels += lowered.dead_channels;
            folding.plans.push(Arc::clone(&lowered.plan));
            new.wire_plan(&lowered)?;
        }
        for &id in &level.kept {
            let node = &model.nodes[id];
            folding
                .kept
                .push((node.name.clone(), node.op.name().into_owned()));
            new.wire(id)?;
        }
    }
    Ok((new.finish()?, folding))
}

/// The model anew, node by node, with plans in the place of what is folded.
struct Rebuilt<'a> {
    old: &'a TypedModel,
    new: TypedModel,
    outlets: BTreeMap<OutletId, OutletId>,
}

impl<'a> Rebuilt<'a> {
    /// With sources and constants.
    fn of(old: &'a TypedModel, order: &[usize]) -> TractResult<Self> {
        let mut new = TypedModel {
            symbols: old.symbols.clone(),
            ..TypedModel::default()
        };
        let mut outlets = BTreeMap::new();
        for &input in &old.inputs {
            let name = old.nodes[input.node].name.as_str();
            let source = new.add_source(name, old.outlet_fact(input)?.clone())?;
            outlets.insert(input, source);
        }
        let mut rebuilt = Self { old, new, outlets };
        for &id in order {
            let is_input = rebuilt.outlets.contains_key(&OutletId::new(id, 0));
            if segments::is_given(&old.nodes[id]) && !is_input {
                rebuilt.wire(id)?;
            }
        }
        Ok(rebuilt)
    }

    fn outlets(&self, old: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let outlet = |outlet| self.outlets.get(outlet).copied();
        let all: Option<_> = old.iter().map(outlet).collect();
        all.context("a node comes after all that it needs")
    }

    /// A node as it is.
    fn wire(&mut self, id: usize) -> TractResult<()> {
        let node = &self.old.nodes[id];
        let inputs = self.outlets(&node.inputs)?;
        let outlets = self.new.wire_node(&node.name, node.op.clone(), &inputs)?;
        let old = (0..).map(|slot| OutletId::new(id, slot));
        self.outlets.extend(old.zip(outlets));
        Ok(())
    }

    fn wire_plan(&mut self, lowered: &Lowered) -> TractResult<()> {
        let facts = |outlets: &[OutletId]| -> TractResult<Vec<TypedFact>> {
            let fact = |&outlet| Ok(self.old.outlet_fact(outlet)?.without_value());
            outlets.iter().map(fact).collect()
        };
        let (inputs, outputs) = (facts(&lowered.inputs)?, facts(&lowered.outputs)?);
        let op = FoldedOp::new(&lowered.plan, inputs, outputs);
        let name = format!("folded.{}", self.new.nodes.len());
        let outlets = self
            .new
            .wire_node(name, op, &self.outlets(&lowered.inputs)?)?;
        self.outlets
            .extend(lowered.outputs.iter().copied().zip(outlets));
        Ok(())
    }

    fn finish(mut self) -> TractResult<TypedModel> {
        let outputs = self.outlets(&self.old.outputs)?;
        self.new.select_output_outlets(&outputs)?;
        Ok(self.new)
    }
}
