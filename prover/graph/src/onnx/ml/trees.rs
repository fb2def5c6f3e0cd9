//! Ensembles of decision trees: reading them, and what follows their sums.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Node,
    classes::{self, Transform},
    forest::{Branch, Child, Forest, Gather, Rule},
    ints, matrix, reals, texts,
};
use crate::{
    GraphError,
    float::{Builder, Element, Value},
    int::Condition,
    onnx::{Lowering, tensor},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "TreeEnsemble" => ensemble,
        "TreeEnsembleClassifier" => classifier,
        "TreeEnsembleRegressor" => regressor,
        _ => return None,
    })
}

/// How a branch compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Unequal,
}

impl Mode {
    /// A rule, and whether the branch is taken where it does not hold.
    fn rule(self, value: f64) -> (Rule, bool) {
        let (rule, not) = match self {
            Self::AtMost => (Rule::AtMost(value), false),
            Self::Above => (Rule::AtMost(value), true),
            Self::AtLeast => (Rule::AtLeast(value), false),
            Self::Below => (Rule::AtLeast(value), true),
            Self::Equal => (Rule::Among(vec![value]), false),
            Self::Unequal => (Rule::Among(vec![value]), true),
        };
        if value.is_finite() {
            return (rule, not);
        }
        // Every input is finite: the comparison is known.
        let holds = match self {
            Self::AtMost | Self::Below => value == f64::INFINITY,
            Self::AtLeast | Self::Above => value == f64::NEG_INFINITY,
            Self::Equal => false,
            Self::Unequal => true,
        };
        (Rule::Always, !holds)
    }
}

fn branch(feature: i64, (rule, not): (Rule, bool), (yes, no): (Child, Child)) -> Branch {
    let (yes, no) = if not { (no, yes) } else { (yes, no) };
    Branch { feature: usize::try_from(feature).unwrap_or(usize::MAX), rule, yes, no }
}

/// The parallel lists of the older operators, whose leaves give to a `class` or a `target`.
fn lists(node: &Node<'_>, role: &str, targets: usize) -> Result<Forest, GraphError> {
    let (trees, numbers) = (ints(node, "nodes_treeids"), ints(node, "nodes_nodeids"));
    let (features, yes) = (ints(node, "nodes_featureids"), ints(node, "nodes_truenodeids"));
    let (no, modes) = (ints(node, "nodes_falsenodeids"), texts(node, "nodes_modes"));
    let values = reals(node, "nodes_values")?;
    let n = trees.len();
    if [numbers.len(), features.len(), yes.len(), no.len(), modes.len(), values.len()].iter().any(|l| *l != n) {
        return Err(node.malformed("its lists of nodes differ in length"));
    }
    let mut forest = Forest::new(targets);
    let (mut children, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for at in 0..n {
        let child = if modes[at] == "LEAF" { forest.leaf() } else { Child::Branch(forest.reserve()) };
        if children.insert((trees[at], numbers[at]), child).is_some() {
            return Err(node.malformed(format!("tree {} has two nodes {}", trees[at], numbers[at])));
        }
        // A tree's first node is its root.
        if seen.insert(trees[at]) {
            forest.roots.push(child);
        }
    }
    let child = |tree: i64, number: i64| {
        let found = children.get(&(tree, number)).copied();
        found.ok_or_else(|| node.malformed(format!("tree {tree} has no node {number}")))
    };
    for at in 0..n {
        let mode = match modes[at].as_str() {
            "LEAF" => continue,
            "BRANCH_LEQ" => Mode::AtMost,
            "BRANCH_LT" => Mode::Below,
            "BRANCH_GTE" => Mode::AtLeast,
            "BRANCH_GT" => Mode::Above,
            "BRANCH_EQ" => Mode::Equal,
            "BRANCH_NEQ" => Mode::Unequal,
            other => return Err(node.malformed(format!("the mode {other} does not exist"))),
        };
        let ways = (child(trees[at], yes[at])?, child(trees[at], no[at])?);
        forest.branches.push(branch(features[at], mode.rule(values[at]), ways));
    }
    let (weights, of) = (reals(node, &format!("{role}_weights"))?, ints(node, &format!("{role}_ids")));
    let (in_tree, at_node) = (ints(node, &format!("{role}_treeids")), ints(node, &format!("{role}_nodeids")));
    if [of.len(), in_tree.len(), at_node.len()].iter().any(|l| *l != weights.len()) {
        return Err(node.malformed("its lists of weights differ in length"));
    }
    for (i, weight) in weights.iter().enumerate() {
        // A weight of a branch counts for nothing.
        if let Child::Leaf(leaf) = child(in_tree[i], at_node[i])? {
            forest.give(node, leaf, (of[i], *weight))?;
        }
    }
    Ok(forest)
}

/// Numbers of a tensor attribute, which need not be finite.
fn tensor_of(node: &Node<'_>, name: &str) -> Result<Vec<f64>, GraphError> {
    match node.tensor(name) {
        Some(proto) => Ok(tensor::load_any(proto, node.folder)?.known().unwrap_or_default().to_vec()),
        None => Ok(Vec::new()),
    }
}

/// The lists of version 5: every index is one into a list.
fn indexed(node: &Node<'_>, targets: usize) -> Result<Forest, GraphError> {
    let (modes, splits) = (tensor_of(node, "nodes_modes")?, tensor_of(node, "nodes_splits")?);
    let (features, n) = (ints(node, "nodes_featureids"), modes.len());
    let yes = (ints(node, "nodes_truenodeids"), ints(node, "nodes_trueleafs"));
    let no = (ints(node, "nodes_falsenodeids"), ints(node, "nodes_falseleafs"));
    if [splits.len(), features.len(), yes.0.len(), yes.1.len(), no.0.len(), no.1.len()].iter().any(|l| *l != n) {
        return Err(node.malformed("its lists of nodes differ in length"));
    }
    let (leaves, weights) = (ints(node, "leaf_targetids"), tensor_of(node, "leaf_weights")?);
    if leaves.len() != weights.len() {
        return Err(node.malformed("its lists of leaves differ in length"));
    }
    let mut forest = Forest::new(targets);
    for (target, weight) in leaves.iter().zip(&weights) {
        forest.leaf();
        let leaf = forest.leaves.len() - 1;
        forest.give(node, leaf, (*target, *weight))?;
    }
    let child = |(at, is_leaf): (i64, i64)| {
        let limit = if is_leaf == 0 { n } else { leaves.len() };
        let at = usize::try_from(at).ok().filter(|at| *at < limit);
        let at = at.ok_or_else(|| node.malformed("a child of a node does not exist"))?;
        Ok(if is_leaf == 0 { Child::Branch(at) } else { Child::Leaf(at) })
    };
    let members = tensor_of(node, "membership_values")?;
    let mut sets = members.split(|v| v.is_nan());
    for at in 0..n {
        let ways = (child((yes.0[at], yes.1[at]))?, child((no.0[at], no.1[at]))?);
        let mode = match modes[at] {
            0.0 => Mode::AtMost,
            1.0 => Mode::Below,
            2.0 => Mode::AtLeast,
            3.0 => Mode::Above,
            4.0 => Mode::Equal,
            5.0 => Mode::Unequal,
            6.0 => {
                let set = sets.next().ok_or_else(|| node.malformed("a set of members is missing"))?;
                let set: Vec<f64> = set.iter().copied().filter(|v| v.is_finite()).collect();
                let rule = if set.is_empty() { (Rule::Always, true) } else { (Rule::Among(set), false) };
                forest.branches.push(branch(features[at], rule, ways));
                continue;
            }
            other => return Err(node.malformed(format!("the mode {other} does not exist"))),
        };
        forest.branches.push(branch(features[at], mode.rule(splits[at]), ways));
    }
    for root in ints(node, "tree_roots") {
        forest.roots.push(child((*root, 0))?);
    }
    forest.reserved = forest.branches.len();
    Ok(forest)
}

fn targets(node: &Node<'_>) -> Result<usize, GraphError> {
    let targets = node.int("n_targets").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    targets.ok_or_else(|| node.malformed("it has no number of targets"))
}

fn ensemble(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::numbered(node)?;
    let gather = match node.int("aggregate_function").unwrap_or(1) {
        0 => Gather::Average,
        1 => Gather::Sum,
        2 => Gather::Least,
        3 => Gather::Greatest,
        other => return Err(node.malformed(format!("the aggregate function {other} does not exist"))),
    };
    let targets = targets(node)?;
    let forest = indexed(node, targets)?;
    let scores = forest.scores(b, node, &matrix(node, inputs)?, (gather, &[]))?;
    Ok(vec![transform.apply(b, &scores.reals)?])
}

fn regressor(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::of(node)?;
    let gather = match node.text("aggregate_function").as_deref() {
        None | Some("SUM") => Gather::Sum,
        Some("AVERAGE") => Gather::Average,
        Some("MIN") => Gather::Least,
        Some("MAX") => Gather::Greatest,
        Some(other) => return Err(node.malformed(format!("the aggregate function {other} does not exist"))),
    };
    let targets = targets(node)?;
    let forest = lists(node, "target", targets)?;
    let base = reals(node, "base_values")?;
    let scores = forest.scores(b, node, &matrix(node, inputs)?, (gather, &base))?;
    Ok(vec![transform.apply(b, &scores.reals)?])
}

/// A label a row and scores.
///
/// Two classes whose weights are all of class 0 have one score `s`, which speaks for the second class. With LOGISTIC
/// the scores are those of `-s` and `s`, with SOFTMAX of the pair, and the second class wins above 0. Without a
/// transform they are `1 - s` and `s`, and the second class wins above 1/2.
fn classifier(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::of(node)?;
    let mut labels = classes::labels(node, "classlabels_int64s", "classlabels_strings")?;
    let ids = ints(node, "class_ids");
    if labels == [1.0] {
        labels = vec![0.0, 1.0];
    }
    let uniform = ids.first().filter(|first| ids.iter().all(|id| id == *first)).copied();
    let x = matrix(node, inputs)?;
    let base = reals(node, "base_values")?;
    match (&labels[..], uniform) {
        ([_], _) => Err(node.unsupported("it has one class", "give it two")),
        ([first, second], Some(0)) => {
            let forest = lists(node, "class", 1)?;
            let base: Vec<f64> = base.first().copied().into_iter().collect();
            let scores = forest.scores(b, node, &x, (Gather::Sum, &base))?;
            let limit = if transform == Transform::None { 0.5 } else { 0.0 };
            let below = scores.at_most(b, limit)?.reshaped(vec![x.shape[0]]);
            let label = classes::either(b, &below, (*first, *second))?;
            Ok(vec![label, transform.apply_binary(b, &scores.reals)?])
        }
        ([_, _], Some(_)) => Err(node.unsupported(
            "all its weights are of the second of two classes, which runtimes read in different ways",
            "give the weights to class 0: its score is the second class's",
        )),
        _ => {
            let forest = lists(node, "class", labels.len())?;
            let scores = forest.scores(b, node, &x, (Gather::Sum, &base))?;
            let label = classes::of_greatest(b, scores.finest(), &labels)?;
            Ok(vec![label, transform.apply(b, &scores.reals)?])
        }
    }
}

/// Scores, exact ones where there are any.
pub(super) struct Scores {
    /// `[rows, targets]` integers and the power of two that they are scaled by.
    pub(super) exact: Option<(Value, i32)>,
    /// `[rows, targets]`.
    pub(super) reals: Value,
}

impl Scores {
    /// What comparisons read.
    fn finest(&self) -> &Value {
        self.exact.as_ref().map_or(&self.reals, |(value, _)| value)
    }

    /// Bits: whether a score is at most the limit.
    fn at_most(&self, b: &mut Builder, limit: f64) -> Result<Value, GraphError> {
        let (value, limit) = match &self.exact {
            Some((value, scale)) => (value, (limit * f64::from(*scale).exp2()).floor()),
            None => (&self.reals, limit),
        };
        debug_assert!(self.exact.is_none() || value.element == Element::Integer);
        let below = b.affine(value, vec![-1.0], vec![limit])?;
        b.indicator(&below, Condition::NonNegative)
    }
}
