//! Which nodes are computed in one go.

use std::collections::BTreeMap;

use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::*;

use super::operator::Operator;
use crate::inference::plan::MOST_PORTS;

/// Whether a node computes nothing.
pub fn is_given(node: &TypedNode) -> bool {
    node.op_is::<Const>() || node.op_is::<TypedSource>()
}

/// Groups of nodes, each in the order of evaluation, between which the nodes that stay tract's
/// stand: what a group needs is known before its first node is computed, and no way leads out of
/// a group and back into it.
///
/// A group that only moves numbers, or has too many inputs or outputs, is left to tract.
pub fn of(
    model: &TypedModel,
    order: &[usize],
    operators: &BTreeMap<usize, Operator>,
) -> Vec<Vec<usize>> {
    // A node's level is the number of times that a way to it has passed from tract's nodes to
    // ours: nodes of one level can be computed together.
    let mut levels = vec![0; model.nodes.len()];
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &id in order {
        let node = &model.nodes[id];
        if is_given(node) {
            continue;
        }
        let ours = operators.contains_key(&id);
        let needed = node.inputs.iter().map(|input| {
            let needed = &model.nodes[input.node];
            let crosses = ours && !is_given(needed) && !operators.contains_key(&input.node);
            levels[input.node] + usize::from(crosses)
        });
        levels[id] = needed.max().unwrap_or(0);
        if ours {
            groups.entry(levels[id]).or_default().push(id);
        }
    }
    let worth_it = |group: &Vec<usize>| {
        let works = group.iter().any(|id| operators[id].computes());
        let ports = super::lower::ports(model, group);
        works && ports.0.len() <= MOST_PORTS && ports.1.len() <= MOST_PORTS
    };
    groups.into_values().filter(worth_it).collect()
}
