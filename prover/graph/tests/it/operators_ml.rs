//! Operators of classical machine learning: the float graph and the integer graph against numbers worked out by
//! the operators' definitions.

use crate::onnx;

use onnx::{Attribute, Attribute::*, Onnx, noise};
use tract_onnx::pb::{AttributeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType};
use vouch_graph::{
    data::Sample,
    int::{IntGraph, IntOp},
};

use crate::support::{Compiled, refuses, sample};

const ML: &str = "ai.onnx.ml";

/// Checks output number `i` of both graphs for each row, which is all of the model's input, after calibration on all.
#[track_caller]
fn expect(
    model: &Onnx,
    rows: &[Vec<f64>],
    i: usize,
    tolerance: f64,
    expected: impl Fn(&[f64]) -> Vec<f64>,
) -> IntGraph {
    let samples: Vec<Sample> = rows.iter().map(|row| sample(&[row])).collect();
    let compiled = Compiled::new(model, &samples);
    for (row, sample) in rows.iter().zip(&samples) {
        compiled.outputs(sample).are(i, &expected(row), tolerance);
    }
    compiled.int
}

fn one(op: &str, shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, &["x"], "y", attributes).domain(ML).output("y")
}

fn classifier(op: &str, shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, &["x"], "label,p", attributes).domain(ML).output("label").output("p")
}

/// Rows of numbers on a grid of eighths, so that thresholds are met.
fn grid(seed: u64, count: usize, features: usize, scale: f64) -> Vec<Vec<f64>> {
    let row = |n: usize| {
        noise(seed + n as u64, features).iter().map(|v| (f64::from(*v) * scale * 8.0).round() / 8.0).collect()
    };
    (0..count).map(row).collect()
}

/// Parallel lists of a tree ensemble.
#[derive(Debug, Clone, Default)]
struct Trees {
    tree: Vec<i64>,
    node: Vec<i64>,
    feature: Vec<i64>,
    value: Vec<f32>,
    mode: Vec<&'static str>,
    yes: Vec<i64>,
    no: Vec<i64>,
    leaf: [Vec<i64>; 3],
    weight: Vec<f32>,
}

/// Classes or targets and what a leaf adds to them.
type Votes<'a> = &'a [(i64, f32)];

impl Trees {
    fn push(&mut self, (tree, node): (i64, i64), mode: &'static str, feature: i64, value: f32, ways: (i64, i64)) {
        self.tree.push(tree);
        self.node.push(node);
        self.mode.push(mode);
        self.feature.push(feature);
        self.value.push(value);
        self.yes.push(ways.0);
        self.no.push(ways.1);
    }

    fn leaf(&mut self, tree: i64, node: i64, weights: &[(i64, f32)]) {
        self.push((tree, node), "LEAF", 0, 0.0, (0, 0));
        for (target, weight) in weights {
            for (list, v) in self.leaf.iter_mut().zip([tree, node, *target]) {
                list.push(v);
            }
            self.weight.push(*weight);
        }
    }

    /// A branch with two leaves.
    fn stump(&mut self, mode: &'static str, feature: i64, value: f32, (yes, no): (Votes<'_>, Votes<'_>)) {
        let tree = self.tree.last().map_or(0, |t| t + 1);
        self.push((tree, 0), mode, feature, value, (1, 2));
        self.leaf(tree, 1, yes);
        self.leaf(tree, 2, no);
    }

    /// A full tree of some depth; `weights` gives a leaf's.
    fn full(&mut self, depth: u32, features: i64, seed: u64, weights: impl Fn(i64) -> Vec<(i64, f32)>) {
        let tree = self.tree.last().map_or(0, |t| t + 1);
        let inner = (1i64 << depth) - 1;
        let values = noise(seed, inner as usize * 2);
        for at in 0..inner {
            let pick = |i: i64| values[i as usize];
            let feature = ((pick(at) + 1.0) * 1000.0) as i64 % features;
            let threshold = (pick(at + inner) * 16.0).round() / 8.0;
            let mode = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"][at as usize % 4];
            self.push((tree, at), mode, feature, threshold, (2 * at + 1, 2 * at + 2));
        }
        (inner..2 * inner + 1).for_each(|at| self.leaf(tree, at, &weights(at)));
    }

    fn attributes<'a>(&'a self, role: &'static str, more: &[Attribute<'a>]) -> Vec<Attribute<'a>> {
        let names = match role {
            "class" => ["class_treeids", "class_nodeids", "class_ids", "class_weights"],
            _ => ["target_treeids", "target_nodeids", "target_ids", "target_weights"],
        };
        let own = [
            Ints("nodes_treeids", &self.tree),
            Ints("nodes_nodeids", &self.node),
            Ints("nodes_featureids", &self.feature),
            Floats("nodes_values", &self.value),
            Texts("nodes_modes", &self.mode),
            Ints("nodes_truenodeids", &self.yes),
            Ints("nodes_falsenodeids", &self.no),
            Ints(names[0], &self.leaf[0]),
            Ints(names[1], &self.leaf[1]),
            Ints(names[2], &self.leaf[2]),
            Floats(names[3], &self.weight),
        ];
        own.into_iter().chain(more.iter().copied()).collect()
    }

    /// Sums over the trees, each walked from its root.
    fn sums(&self, x: &[f64], targets: usize) -> Vec<f64> {
        let mut sums = vec![0.0; targets];
        for tree in 0..=*self.tree.last().unwrap() {
            let find =
                |node: i64| (0..self.tree.len()).find(|i| (self.tree[*i], self.node[*i]) == (tree, node)).unwrap();
            let mut at = self.tree.iter().position(|t| *t == tree).unwrap();
            while self.mode[at] != "LEAF" {
                let (x, t) = (x[self.feature[at] as usize], f64::from(self.value[at]));
                let holds = match self.mode[at] {
                    "BRANCH_LEQ" => x <= t,
                    "BRANCH_LT" => x < t,
                    "BRANCH_GTE" => x >= t,
                    "BRANCH_GT" => x > t,
                    "BRANCH_EQ" => x == t,
                    _ => x != t,
                };
                at = find(if holds { self.yes[at] } else { self.no[at] });
            }
            let here = (0..self.weight.len()).filter(|i| (self.leaf[0][*i], self.leaf[1][*i]) == (tree, self.node[at]));
            here.for_each(|i| sums[self.leaf[2][i] as usize] += f64::from(self.weight[i]));
        }
        sums
    }
}

#[test]
fn branches_of_every_mode_decide_ties_as_they_should() {
    let mut trees = Trees::default();
    let modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
    for (i, mode) in modes.into_iter().enumerate() {
        trees.stump(mode, 0, 0.3, (&[(0, (1 << i) as f32)], &[(0, 0.0)]));
    }
    let model = one("TreeEnsembleRegressor", &[1, 1], &trees.attributes("target", &[Int("n_targets", 1)]));
    let tie = f64::from(0.3f32);
    let rows: Vec<Vec<f64>> = [tie - 0.01, tie, tie + 0.01, -1.0, 0.9].iter().map(|x| vec![*x]).collect();
    expect(&model, &rows, 0, 0.01, |x| trees.sums(x, 1));
}

#[test]
fn equal_rules_share_one_bit_and_thresholds_may_lie_anywhere() {
    let mut trees = Trees::default();
    for value in [0.25, 0.25, 0.25, -1e9, 1e9, f32::INFINITY, f32::NAN] {
        trees.stump("BRANCH_LEQ", 1, value, (&[(0, 1.0)], &[(0, 0.125)]));
    }
    let model = one("TreeEnsembleRegressor", &[1, 2], &trees.attributes("target", &[Int("n_targets", 1)]));
    let int = expect(&model, &grid(3, 9, 2, 1.0), 0, 1e-3, |x| trees.sums(x, 1));
    let bits: usize =
        int.nodes.iter().filter(|n| matches!(n.op, IntOp::Indicator { .. })).map(|n| int.tensor(n.output).len()).sum();
    assert_eq!(bits, 3);
}

#[test]
fn deep_trees_of_one_target_and_of_many_give_what_walking_them_gives() {
    for targets in [1usize, 8] {
        let mut trees = Trees::default();
        for tree in 0..12 {
            trees.full(4, 5, 40 + tree, |at| {
                let list = noise(900 + tree * 100 + at as u64, targets);
                list.iter().enumerate().map(|(t, w)| (t as i64, *w)).collect()
            });
        }
        let more = [Int("n_targets", targets as i64), Floats("base_values", &[0.5])];
        let model = one("TreeEnsembleRegressor", &[1, 5], &trees.attributes("target", &more));
        let int =
            expect(&model, &grid(7, 40, 5, 2.0), 0, 1e-3, |x| trees.sums(x, targets).iter().map(|s| s + 0.5).collect());
        let layer = int.nodes.iter().any(|n| matches!(n.op, IntOp::Linear { .. }));
        assert_eq!(layer, targets == 8, "paths are for leaves of many targets");
    }
}

#[test]
fn several_rows_have_a_value_each() {
    let mut trees = Trees::default();
    trees.full(3, 2, 5, |at| vec![(at % 2, at as f32)]);
    trees.stump("BRANCH_LT", 1, 0.5, (&[(0, 1.0)], &[(1, 2.0)]));
    for aggregate in ["SUM", "AVERAGE"] {
        let more = [Int("n_targets", 2), Text("aggregate_function", aggregate)];
        let model = one("TreeEnsembleRegressor", &[3, 2], &trees.attributes("target", &more));
        let share = if aggregate == "SUM" { 1.0 } else { 0.5 };
        expect(&model, &grid(1, 9, 6, 2.0), 0, 2e-3, |x| {
            x.chunks(2).flat_map(|row| trees.sums(row, 2)).map(|s| s * share).collect()
        });
    }
}

#[test]
fn extremes_over_trees_are_those_of_their_leaves() {
    let mut trees = Trees::default();
    trees.stump("BRANCH_LEQ", 0, 0.0, (&[(0, 1.0)], &[(0, -3.0)]));
    trees.stump("BRANCH_LEQ", 0, 0.5, (&[(0, -1.0)], &[(0, 2.0)]));
    for (aggregate, expected) in [("MIN", [-1.0, -3.0, -3.0]), ("MAX", [1.0, -1.0, 2.0])] {
        let more = [Int("n_targets", 1), Text("aggregate_function", aggregate)];
        let model = one("TreeEnsembleRegressor", &[1, 1], &trees.attributes("target", &more));
        let rows = [vec![-1.0], vec![0.25], vec![1.0]];
        expect(&model, &rows, 0, 1e-3, |x| vec![expected[rows.iter().position(|r| r == x).unwrap()]]);
    }
    trees.leaf[2][0] = 1;
    let more = [Int("n_targets", 2), Text("aggregate_function", "MIN")];
    let model = one("TreeEnsembleRegressor", &[1, 1], &trees.attributes("target", &more));
    refuses(&model, "no value for some target");
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn two_classes_of_one_score_and_labels_of_any_number() {
    let mut trees = Trees::default();
    trees.stump("BRANCH_LEQ", 0, 0.5, (&[(0, -0.3)], &[(0, 0.4)]));
    trees.stump("BRANCH_LEQ", 0, 1.5, (&[(0, 0.0)], &[(0, 0.3)]));
    let rows = [vec![0.0], vec![1.0], vec![2.0]];
    let labels = [Ints("classlabels_int64s", &[3, 8]), Text("post_transform", "LOGISTIC")];
    let model = classifier("TreeEnsembleClassifier", &[1, 1], &trees.attributes("class", &labels));
    expect(&model, &rows, 0, 0.0, |x| vec![if trees.sums(x, 1)[0] > 0.0 { 8.0 } else { 3.0 }]);
    expect(&model, &rows, 1, 1e-3, |x| [-1.0, 1.0].map(|sign| sigmoid(sign * trees.sums(x, 1)[0])).to_vec());
    // Without a transform the score is the second class's probability.
    let labels = [Texts("classlabels_strings", &["no", "yes"])];
    let model = classifier("TreeEnsembleClassifier", &[1, 1], &trees.attributes("class", &labels));
    expect(&model, &rows, 0, 0.0, |x| vec![if trees.sums(x, 1)[0] > 0.5 { 1.0 } else { 0.0 }]);
    expect(&model, &rows, 1, 1e-3, |x| vec![1.0 - trees.sums(x, 1)[0], trees.sums(x, 1)[0]]);
}

#[test]
fn the_first_of_equal_scores_wins() {
    let mut trees = Trees::default();
    trees.stump("BRANCH_LEQ", 0, 0.5, (&[(1, 0.5), (2, 0.5)], &[(0, 0.25), (2, 0.25)]));
    for (transform, share) in [("SOFTMAX", 0.0), ("SOFTMAX_ZERO", 1.0)] {
        let more = [Ints("classlabels_int64s", &[4, 7, 6]), Text("post_transform", transform)];
        let model = classifier("TreeEnsembleClassifier", &[1, 1], &trees.attributes("class", &more));
        let rows = [vec![0.0], vec![1.0]];
        expect(&model, &rows, 0, 0.0, |x| vec![if x[0] <= 0.5 { 7.0 } else { 4.0 }]);
        expect(&model, &rows, 1, 1e-3, |x| {
            // Where a zero has no share, the two others have halves.
            let (w, zero) = if x[0] <= 0.5 { (0.5f64, 0) } else { (0.25, 1) };
            let total = 2.0 * w.exp() + (1.0 - share);
            (0..3).map(|c| if c == zero { (1.0 - share) / total } else { w.exp() / total }).collect()
        });
    }
}

#[test]
fn features_of_very_different_scales_keep_their_thresholds() {
    let mut trees = Trees::default();
    for (i, t) in [0.003_3f32, 0.003_5, 0.004_2].into_iter().enumerate() {
        trees.stump("BRANCH_LEQ", 0, t, (&[(0, (1 << i) as f32)], &[(0, 0.0)]));
    }
    trees.stump("BRANCH_LT", 1, 2501.5, (&[(0, 8.0)], &[(0, 0.0)]));
    let model = one("TreeEnsembleRegressor", &[1, 2], &trees.attributes("target", &[Int("n_targets", 1)]));
    let rows: Vec<Vec<f64>> =
        [0.003_25, 0.003_45, 0.0036, 0.01].iter().flat_map(|a| [2501.4, 2501.6, 4000.0].map(|b| vec![*a, b])).collect();
    let int = expect(&model, &rows, 0, 0.01, |x| trees.sums(x, 1));
    assert_eq!(int.inputs[0].packing.bits, 31);
    // Numbers that lie far from every threshold stay what they are.
    let mut trees = Trees::default();
    trees.stump("BRANCH_LEQ", 0, 7.5, (&[(0, 1.0)], &[(0, 0.0)]));
    let model = one("TreeEnsembleRegressor", &[1, 1], &trees.attributes("target", &[Int("n_targets", 1)]));
    let int = expect(&model, &[vec![7.0], vec![8.0], vec![16.0]], 0, 1e-3, |x| trees.sums(x, 1));
    assert_eq!(int.inputs[0].packing.bits, 16);
}

#[test]
fn integer_features_are_compared_with_thresholds_between_them() {
    let mut trees = Trees::default();
    for (mode, t) in
        [("BRANCH_LEQ", 2.5), ("BRANCH_LT", 3.0), ("BRANCH_GTE", -1.5), ("BRANCH_EQ", 0.5), ("BRANCH_NEQ", 2.0)]
    {
        trees.stump(mode, 0, t, (&[(0, 1.5)], &[(0, 0.25)]));
    }
    let attributes = trees.attributes("target", &[Int("n_targets", 1)]);
    let model = Onnx::new()
        .typed_input("x", &[1, 1], DataType::Int64)
        .node("TreeEnsembleRegressor", &["x"], "y", &attributes)
        .domain(ML)
        .output("y");
    let rows: Vec<Vec<f64>> = (-3..5).map(|x| vec![f64::from(x)]).collect();
    expect(&model, &rows, 0, 1e-3, |x| trees.sums(x, 1));
}

/// An attribute that is a tensor.
fn tensor_attribute(name: &str, data: DataType, values: &[f32]) -> AttributeProto {
    let bytes = data == DataType::Uint8;
    let tensor = TensorProto {
        dims: vec![values.len() as i64],
        data_type: data as i32,
        int32_data: if bytes { values.iter().map(|v| *v as i32).collect() } else { Vec::new() },
        float_data: if bytes { Vec::new() } else { values.to_vec() },
        ..TensorProto::default()
    };
    let r#type = AttributeType::Tensor as i32;
    AttributeProto { name: name.to_owned(), r#type, t: Some(tensor), ..AttributeProto::default() }
}

/// Leaves of an ensemble of operator set 5 in order: what each adds to which target.
type Leaves = [(i64, f32); 5];

/// Two trees: `x0 <= 0.5` has leaf 0, otherwise `x1 > -1` leaf 1 or 2; `x1` among 1 and 2 leaf 3 or 4.
fn ensemble(leaves: &Leaves, targets: i64, (aggregate, transform): (i64, i64)) -> Onnx {
    let (ids, weights) = (leaves.map(|leaf| leaf.0), leaves.map(|leaf| leaf.1));
    let attributes = [
        Ints("tree_roots", &[0, 2]),
        Ints("nodes_featureids", &[0, 1, 1]),
        Ints("nodes_truenodeids", &[0, 1, 3]),
        Ints("nodes_trueleafs", &[1, 1, 1]),
        Ints("nodes_falsenodeids", &[1, 2, 4]),
        Ints("nodes_falseleafs", &[0, 1, 1]),
        Ints("leaf_targetids", &ids),
        Int("n_targets", targets),
        Int("aggregate_function", aggregate),
        Int("post_transform", transform),
    ];
    let mut model = one("TreeEnsemble", &[1, 2], &attributes);
    model.graph.node[0].attribute.extend([
        tensor_attribute("nodes_modes", DataType::Uint8, &[0.0, 3.0, 6.0]),
        tensor_attribute("nodes_splits", DataType::Float, &[0.5, -1.0, 0.0]),
        tensor_attribute("membership_values", DataType::Float, &[1.0, 2.0, f32::NAN]),
        tensor_attribute("leaf_weights", DataType::Float, &weights),
    ]);
    model
}

/// Its leaves for a row.
fn reached(x: &[f64]) -> [usize; 2] {
    let first = if x[0] <= 0.5 {
        0
    } else if x[1] > -1.0 {
        1
    } else {
        2
    };
    [first, if [1.0, 2.0].contains(&x[1]) { 3 } else { 4 }]
}

fn rows_of_every_leaf() -> Vec<Vec<f64>> {
    [0.0, 0.5, 0.625].iter().flat_map(|a| [-2.0, -1.0, 1.0, 1.5, 2.0].map(|b| vec![*a, b])).collect()
}

#[test]
fn ensembles_of_operator_set_5_aggregate_their_leaves() {
    let leaves: Leaves = [(0, 1.0), (0, -0.5), (0, 0.25), (0, 2.0), (0, -1.5)];
    type Aggregate = fn(f64, f64) -> f64;
    let aggregates: [Aggregate; 4] = [|a, b| (a + b) / 2.0, |a, b| a + b, f64::min, f64::max];
    for (number, aggregate) in aggregates.into_iter().enumerate() {
        let model = ensemble(&leaves, 1, (number as i64, 0));
        expect(&model, &rows_of_every_leaf(), 0, 1e-3, |x| {
            let [a, b] = reached(x).map(|leaf| f64::from(leaves[leaf].1));
            vec![aggregate(a, b)]
        });
    }
    refuses(&ensemble(&leaves, 1, (4, 0)), "the aggregate function 4 does not exist");
}

#[test]
fn ensembles_of_operator_set_5_transform_their_scores() {
    let leaves: Leaves = [(0, 1.0), (1, -0.5), (0, 0.25), (1, 2.0), (0, -1.5)];
    let scores = |x: &[f64]| {
        let mut scores = [0.0; 2];
        reached(x).into_iter().for_each(|leaf| scores[leaves[leaf].0 as usize] += f64::from(leaves[leaf].1));
        scores
    };
    let shares = |exp: [f64; 2]| exp.map(|e| e / (exp[0] + exp[1])).to_vec();
    type Transform<'a> = &'a dyn Fn([f64; 2]) -> Vec<f64>;
    let transforms: [Transform<'_>; 4] = [
        &|s| s.to_vec(),
        &|s| shares(s.map(f64::exp)),
        &|s| s.map(sigmoid).to_vec(),
        // A score of zero has no share.
        &|s| shares(s.map(|s| if s == 0.0 { 0.0 } else { s.exp() })),
    ];
    for (number, transform) in transforms.into_iter().enumerate() {
        let model = ensemble(&leaves, 2, (1, number as i64));
        expect(&model, &rows_of_every_leaf(), 0, 1e-3, |x| transform(scores(x)));
    }
    refuses(&ensemble(&leaves, 2, (1, 4)), "PROBIT");
    refuses(&ensemble(&leaves, 2, (1, 5)), "the post-transform 5 does not exist");
}

#[test]
fn ensembles_that_are_none_are_refused() {
    let mut trees = Trees::default();
    trees.stump("BRANCH_LEQ", 0, 0.5, (&[(0, 1.0)], &[(0, 2.0)]));
    let refused = |trees: &Trees, more: &[Attribute<'_>], why: &str| {
        refuses(&classifier("TreeEnsembleClassifier", &[1, 1], &trees.attributes("class", more)), why);
    };
    let labels = Ints("classlabels_int64s", &[0, 1]);
    refused(&trees, &[labels, Text("post_transform", "PROBIT")], "PROBIT");
    refused(&trees, &[], "no labels");
    let mut cycle = trees.clone();
    cycle.yes[0] = 0;
    refused(&cycle, &[labels], "leads back");
    let mut missing = trees.clone();
    missing.no[0] = 9;
    refused(&missing, &[labels], "has no node 9");
    let mut beyond = trees.clone();
    beyond.feature[0] = 4;
    refused(&beyond, &[labels], "feature 4 of 1");
}

#[test]
fn linear_models_agree_with_their_formula() {
    let coefficients = noise(4, 6);
    let score =
        |x: &[f64], o: usize| (0..3).map(|f| x[f] * f64::from(coefficients[o * 3 + f])).sum::<f64>() + [0.5, -0.25][o];
    let own = [Floats("coefficients", &coefficients), Floats("intercepts", &[0.5, -0.25])];
    let rows = grid(2, 20, 3, 2.0);
    let attributes: Vec<_> = own.iter().copied().chain([Int("targets", 2)]).collect();
    expect(&one("LinearRegressor", &[1, 3], &attributes), &rows, 0, 1e-3, |x| vec![score(x, 0), score(x, 1)]);
    let attributes: Vec<_> =
        own.iter().copied().chain([Ints("classlabels_ints", &[5, 9]), Text("post_transform", "SOFTMAX")]).collect();
    let model = classifier("LinearClassifier", &[1, 3], &attributes);
    expect(&model, &rows, 0, 0.0, |x| vec![if score(x, 0) >= score(x, 1) { 5.0 } else { 9.0 }]);
    expect(&model, &rows, 1, 1e-3, |x| {
        let first = sigmoid(score(x, 0) - score(x, 1));
        vec![first, 1.0 - first]
    });
    // One score of two classes.
    let single = [
        Floats("coefficients", &coefficients[..3]),
        Floats("intercepts", &[0.5]),
        Ints("classlabels_ints", &[0, 1]),
        Text("post_transform", "LOGISTIC"),
    ];
    let model = classifier("LinearClassifier", &[1, 3], &single);
    expect(&model, &rows, 0, 0.0, |x| vec![f64::from(u8::from(score(x, 0) > 0.0))]);
    expect(&model, &rows, 1, 1e-3, |x| vec![sigmoid(-score(x, 0)), sigmoid(score(x, 0))]);
}

#[test]
fn layers_and_scalers_keep_features_of_very_different_scales() {
    let rows: Vec<Vec<f64>> = (0..30)
        .map(|n| {
            let v: Vec<f64> = noise(100 + n, 3).iter().map(|v| f64::from(*v)).collect();
            vec![0.02 + v[0] * 0.01, 2000.0 + v[1] * 1500.0, v[2] * 3.0]
        })
        .collect();
    let coefficients = [120.0f32, 0.001, -0.5];
    let layer = one("LinearRegressor", &[1, 3], &[Floats("coefficients", &coefficients), Floats("intercepts", &[1.0])]);
    let score = |x: &[f64]| 1.0 + (0..3).map(|i| x[i] * f64::from(coefficients[i])).sum::<f64>();
    let int = expect(&layer, &rows, 0, 3e-3, |x| vec![score(x)]);
    assert!(int.inputs[0].packing.bits > 16);
    let (offset, scale) = ([0.02f32, 2000.0, 0.0], [100.0f32, 0.001, 0.5]);
    let scaler = one("Scaler", &[1, 3], &[Floats("offset", &offset), Floats("scale", &scale)]);
    expect(&scaler, &rows, 0, 1e-3, |x| (0..3).map(|i| (x[i] - f64::from(offset[i])) * f64::from(scale[i])).collect());
}

/// Kernels by their definition.
fn kernel(name: &str, x: &[f64], v: &[f32]) -> f64 {
    let v: Vec<f64> = v.iter().map(|v| f64::from(*v)).collect();
    let dot: f64 = x.iter().zip(&v).map(|(x, v)| x * v).sum();
    let distance: f64 = x.iter().zip(&v).map(|(x, v)| (x - v).powi(2)).sum();
    match name {
        "LINEAR" => dot,
        "POLY" => (0.5 * dot + 0.25).powi(3),
        "RBF" => (-0.5 * distance).exp(),
        _ => (0.5 * dot + 0.25).tanh(),
    }
}

#[test]
fn support_vectors_of_every_kernel_agree_with_their_formula() {
    let (vectors, coefficients) = (noise(8, 12), noise(9, 8));
    let rows = grid(6, 24, 3, 1.5);
    for name in ["LINEAR", "POLY", "RBF", "SIGMOID"] {
        let kernels = [
            Text("kernel_type", name),
            Floats("kernel_params", &[0.5, 0.25, 3.0]),
            Floats("support_vectors", &vectors),
        ];
        let sum = |x: &[f64], weights: &[f32]| -> f64 {
            (0..4).map(|j| f64::from(weights[j]) * kernel(name, x, &vectors[j * 3..j * 3 + 3])).sum()
        };
        let own = [Floats("coefficients", &coefficients[..4]), Floats("rho", &[0.125]), Int("n_supports", 4)];
        let attributes: Vec<_> = kernels.iter().chain(&own).copied().collect();
        let regressor = one("SVMRegressor", &[1, 3], &attributes);
        expect(&regressor, &rows, 0, 0.01, |x| vec![0.125 + sum(x, &coefficients[..4])]);
        // Three classes of 1, 2 and 1 vectors: of each pair, the vectors of both.
        let rho = [0.25f32, -0.125, 0.5];
        let own = [
            Floats("coefficients", &coefficients),
            Floats("rho", &rho),
            Ints("vectors_per_class", &[1, 2, 1]),
            Ints("classlabels_ints", &[10, 20, 30]),
        ];
        let attributes: Vec<_> = kernels.iter().chain(&own).copied().collect();
        let c = &coefficients;
        let pairs = [[c[0], c[1], c[2], 0.0], [c[4], 0.0, 0.0, c[3]], [0.0, c[5], c[6], c[7]]];
        let scores = |x: &[f64]| (0..3).map(|p| f64::from(rho[p]) + sum(x, &pairs[p])).collect::<Vec<f64>>();
        let model = classifier("SVMClassifier", &[1, 3], &attributes);
        expect(&model, &rows, 1, 0.01, scores);
        let best = |x: &[f64]| {
            let mut votes = [0; 3];
            let pairs = [(0, 1), (0, 2), (1, 2)];
            pairs.iter().zip(scores(x)).for_each(|((i, j), s)| votes[if s > 0.0 { *i } else { *j }] += 1);
            (0..3).max_by_key(|i| (votes[*i], 2 - i)).unwrap()
        };
        expect(&model, &rows, 0, 0.0, |x| vec![10.0 * (best(x) as f64 + 1.0)]);
    }
}

#[test]
fn probabilities_of_support_vectors_are_a_sigmoid_of_their_score() {
    let (vectors, coefficients) = (noise(8, 12), [0.75f32, -0.5, 1.0, -1.25]);
    let machine = [
        Text("kernel_type", "RBF"),
        Floats("kernel_params", &[0.5, 0.0, 3.0]),
        Floats("support_vectors", &vectors),
        Floats("coefficients", &coefficients),
        Floats("rho", &[0.125]),
        Ints("vectors_per_class", &[2, 2]),
        Ints("classlabels_ints", &[3, 8]),
    ];
    let score = |x: &[f64]| -> f64 {
        let part = |j: usize| f64::from(coefficients[j]) * kernel("RBF", x, &vectors[j * 3..j * 3 + 3]);
        0.125 + (0..4).map(part).sum::<f64>()
    };
    let with = |more: &[Attribute<'_>]| {
        classifier("SVMClassifier", &[1, 3], &machine.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let rows = grid(6, 24, 3, 1.5);
    let model = with(&[Floats("prob_a", &[-1.5]), Floats("prob_b", &[0.25])]);
    expect(&model, &rows, 0, 0.0, |x| vec![if score(x) > 0.0 { 3.0 } else { 8.0 }]);
    expect(&model, &rows, 1, 0.01, |x| {
        let first = sigmoid(1.5 * score(x) - 0.25);
        vec![first, 1.0 - first]
    });
    // Without probabilities there are the score's two signs, or what a transform makes of them.
    expect(&with(&[]), &rows, 1, 0.01, |x| vec![-score(x), score(x)]);
    let logistic = with(&[Text("post_transform", "LOGISTIC")]);
    expect(&logistic, &rows, 1, 0.01, |x| vec![sigmoid(-score(x)), sigmoid(score(x))]);
    refuses(&with(&[Floats("prob_a", &[-1.5])]), "prob_a and prob_b differ in length");
    let three = [
        Floats("support_vectors", &vectors),
        Floats("coefficients", &noise(9, 8)),
        Floats("rho", &[0.25, -0.125, 0.5]),
        Floats("prob_a", &[-1.0; 3]),
        Floats("prob_b", &[0.0; 3]),
        Ints("vectors_per_class", &[1, 2, 1]),
        Ints("classlabels_ints", &[10, 20, 30]),
    ];
    refuses(&classifier("SVMClassifier", &[1, 3], &three), "probabilities of more than two classes");
}

#[test]
fn machines_without_vectors_are_linear_and_those_of_one_class_tell_what_is_outside() {
    let coefficients = noise(4, 6);
    let rows = grid(2, 20, 3, 2.0);
    let score = |x: &[f64], o: usize| 0.25 + (0..3).map(|f| x[f] * f64::from(coefficients[o * 3 + f])).sum::<f64>();
    let labels = [Floats("coefficients", &coefficients), Floats("rho", &[0.25]), Ints("classlabels_ints", &[5, 9])];
    let model = classifier("SVMClassifier", &[1, 3], &labels);
    expect(&model, &rows, 0, 0.0, |x| vec![if score(x, 0) >= score(x, 1) { 5.0 } else { 9.0 }]);
    expect(&model, &rows, 1, 1e-3, |x| vec![score(x, 0), score(x, 1)]);
    let own = [Floats("coefficients", &coefficients[..3]), Floats("rho", &[0.25])];
    expect(&one("SVMRegressor", &[1, 3], &own), &rows, 0, 1e-3, |x| vec![score(x, 0)]);
    let outlier = one("SVMRegressor", &[1, 3], &[own[0], own[1], Int("one_class", 1)]);
    expect(&outlier, &rows, 0, 0.0, |x| vec![if score(x, 0) > 0.0 { 1.0 } else { -1.0 }]);
}

#[test]
fn preparation_of_features_agrees_with_its_definition() {
    let rows = grid(5, 10, 4, 2.0);
    let shape = [1i64, 4];
    for norm in ["MAX", "L1", "L2"] {
        let mut rows = rows.clone();
        rows.push(vec![0.0; 4]);
        expect(&one("Normalizer", &shape, &[Text("norm", norm)]), &rows, 0, 2e-3, |x| {
            let size = match norm {
                "MAX" => x.iter().fold(0.0f64, |m, v| m.max(v.abs())),
                "L1" => x.iter().map(|v| v.abs()).sum(),
                _ => x.iter().map(|v| v * v).sum::<f64>().sqrt(),
            };
            x.iter().map(|v| if size > 0.0 { v / size } else { 0.0 }).collect()
        });
    }
    expect(&one("Binarizer", &shape, &[Float("threshold", 0.5)]), &rows, 0, 0.0, |x| {
        x.iter().map(|v| f64::from(u8::from(*v > 0.5))).collect()
    });
    let imputer = [Floats("imputed_value_floats", &[1.5, -1.0, 0.5, 0.25]), Float("replaced_value_float", 0.5)];
    expect(&one("Imputer", &shape, &imputer), &rows, 0, 1e-3, |x| {
        x.iter().zip([1.5, -1.0, 0.5, 0.25]).map(|(v, i)| if *v == 0.5 { i } else { *v }).collect()
    });
    let model = Onnx::new()
        .input("x", &shape)
        .ints("at", &[2, 0])
        .node("ArrayFeatureExtractor", &["x", "at"], "y", &[])
        .domain(ML)
        .output("y");
    expect(&model, &rows, 0, 1e-3, |x| vec![x[2], x[0]]);
    let model = Onnx::new()
        .input("x", &shape)
        .node("FeatureVectorizer", &["x", "x"], "y", &[Ints("inputdimensions", &[2, 5])])
        .domain(ML)
        .output("y");
    expect(&model, &rows, 0, 1e-3, |x| vec![x[0], x[1], x[0], x[1], x[2], x[3], 0.0]);
}

#[test]
fn categories_and_labels_are_found_by_value() {
    let rows: Vec<Vec<f64>> = [[3.0, -7.0], [40.0, 5.0], [3.0, 3.0]].iter().map(|r| r.to_vec()).collect();
    let typed = |op: &str, attributes: &[Attribute<'_>]| {
        Onnx::new().typed_input("x", &[2], DataType::Int64).node(op, &["x"], "y", attributes).domain(ML).output("y")
    };
    expect(&typed("OneHotEncoder", &[Ints("cats_int64s", &[3, 40])]), &rows, 0, 0.0, |x| {
        x.iter().flat_map(|v| [3.0, 40.0].map(|c| f64::from(u8::from(*v == c)))).collect()
    });
    let whole = |list: &'static [f64], default: f64| {
        move |x: &[f64]| -> Vec<f64> {
            x.iter().map(|v| [3.0, 40.0, -7.0].iter().position(|k| k == v).map_or(default, |i| list[i])).collect()
        }
    };
    let keys = Ints("keys_int64s", &[3, 40, -7]);
    let to = [keys, Ints("values_int64s", &[100_000, -2, 7]), Int("default_int64", -9)];
    expect(&typed("LabelEncoder", &to), &rows, 0, 0.0, whole(&[100_000.0, -2.0, 7.0], -9.0));
    let to = [keys, Floats("values_floats", &[0.5, 2.25, -1.0]), Float("default_float", 0.125)];
    expect(&typed("LabelEncoder", &to), &rows, 0, 1e-3, whole(&[0.5, 2.25, -1.0], 0.125));
    // Text stands for its index.
    let to = [keys, Texts("values_strings", &["a", "b", "c"])];
    expect(&typed("LabelEncoder", &to), &rows, 0, 0.0, whole(&[0.0, 1.0, 2.0], -1.0));
    let text = [Texts("keys_strings", &["a"]), Ints("values_int64s", &[1])];
    refuses(&typed("LabelEncoder", &text), "keys are text");
    refuses(&typed("OneHotEncoder", &[Texts("cats_strings", &["a"])]), "text");
}
