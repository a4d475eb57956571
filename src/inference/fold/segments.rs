//! Which nodes are computed in one go.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::*;

use super::operator::Operator;
use crate::inference::plan::MOST_PORTS;

/// Whether a node computes nothing.
pub fn is_given(node: &TypedNode) -> bool {
    node.op_is::<Const>() || node.op_is::<TypedSource>()
}

/// Nodes that can be computed together, and tract's nodes that need them.
#[derive(Debug, Default)]
pub struct Level {
    /// Ours, in the order of evaluation.
    pub ours: Vec<usize>,
    /// Tract's, which come after ours, in the order of evaluation.
    pub kept: Vec<usize>,
}

/// The nodes of a model by levels. A node's level is the number of times that a way to it passes
/// from tract's nodes to ours: so what a level's own nodes need is known before the first of them
/// is computed, and no way leads from them through one of tract's and back.
///
/// A level's own nodes that only move numbers, or have too many inputs or outputs, are left to
/// tract.
pub fn levels(
    model: &TypedModel,
    order: &[usize],
    operators: &BTreeMap<usize, Operator>,
) -> Vec<Level> {
    let mut level_of = vec![0; model.nodes.len()];
    let mut levels: Vec<Level> = Vec::new();
    for &id in order {
        let node = &model.nodes[id];
        if is_given(node) {
            continue;
        }
        let is_ours = operators.contains_key(&id);
        let needed = node.inputs.iter().map(|input| {
            let is_kept =
                !is_given(&model.nodes[input.node]) && !operators.contains_key(&input.node);
            level_of[input.node] + usize::from(is_ours && is_kept)
        });
        level_of[id] = needed.max().unwrap_or(0);
        levels.resize_with(levels.len().max(level_of[id] + 1), Level::default);
        let level = &mut levels[level_of[id]];
        if is_ours {
            &mut level.ours
        } else {
            &mut level.kept
        }
        .push(id);
    }
    for level in &mut levels {
        let works = level.ours.iter().any(|id| operators[id].computes());
        let ports = super::lower::ports(model, &level.ours);
        if !works || ports.0.len() > MOST_PORTS || ports.1.len() > MOST_PORTS {
            let left: BTreeSet<usize> = level.ours.drain(..).chain(level.kept.drain(..)).collect();
            level
                .kept
                .extend(order.iter().filter(|id| left.contains(id)));
        }
    }
    levels
}
