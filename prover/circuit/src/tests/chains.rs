//! Where chains of rows begin and end, what is evaluated in place, and exponents that no output stands for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vouch_graph::{
    exec::execute,
    int::{Conv2d, IntOp, LinearShape, Rescale, Source, TensorId},
};

use super::{
    attack::{cell_value, claimed, honest, plan_with},
    check,
    graphs::{self, Case, Draft, SIGNED, weights},
    network::network,
    plan,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, Layout, ModelCircuit,
    layout::{Cell, field},
    schedule::Schedule,
};

/// Rows of the circuit that a logical row can take.
pub(super) const HEIGHTS: [usize; 3] = [1, 2, 4];

/// The same rows of values and weights in logical rows of another height.
pub(super) fn at_height(case: &Case, circuit: &ModelCircuit, height: usize) -> ModelCircuit {
    let mut circuit = circuit.clone();
    circuit.plan = plan_with(&case.graph, |shape| shape.height = height);
    circuit.plan.covers(&circuit.layout).expect("the rows do not depend on the height");
    circuit
}

fn convolution(draft: &mut Draft, x: TensorId, conv: Conv2d, width: usize, bias: bool) -> TensorId {
    let shape = LinearShape::Conv2d(conv);
    let weight = draft.param(weights(shape.inner() * width, 500));
    let bias = bias.then(|| draft.param(weights(width, 100_000)));
    let op = IntOp::Linear { shape, width, weight, bias, rescale: Rescale { shift: 7, kind: SIGNED } };
    draft.node(op, &[x], shape.positions() * width)
}

/// A square convolution without stride, dilation or padding.
fn plain(channels: usize, input: [usize; 2], kernel: [usize; 2]) -> Conv2d {
    Conv2d {
        channels,
        first_channel: 0,
        input,
        output: [input[0] + 1 - kernel[0], input[1] + 1 - kernel[1]],
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
    }
}

/// Convolutions of two outputs, by stride, padding and dilation, each with a bias and without.
pub(super) fn convolutions() -> Vec<Case> {
    let base = plain(1, [4, 4], [2, 2]);
    let all = [
        ("plain", base),
        (
            "stride",
            Conv2d { input: [6, 7], output: [3, 4], kernel: [3, 3], stride: [2, 2], pad_before: [1, 1], ..base },
        ),
        ("dilation", Conv2d { input: [6, 5], output: [4, 1], kernel: [2, 3], dilation: [2, 2], ..base }),
        ("padding", Conv2d { input: [3, 3], output: [5, 4], kernel: [2, 2], pad_before: [2, 1], ..base }),
        ("tall_stride", Conv2d { channels: 2, output: [2, 3], stride: [2, 1], ..base }),
        ("group", Conv2d { first_channel: 1, ..base }),
        ("point", Conv2d { channels: 2, output: [2, 2], kernel: [1, 1], stride: [2, 2], ..base }),
    ];
    let case = |((name, conv), bias): ((&'static str, Conv2d), bool)| {
        let mut draft = Draft::new(name);
        let len = (conv.first_channel + conv.channels) * conv.input[0] * conv.input[1];
        let x = draft.input(len, 16);
        let y = convolution(&mut draft, x, conv, 2, bias);
        Case { name, graph: draft.output(y), inputs: vec![weights(len, 700)] }
    };
    all.into_iter().flat_map(|conv| [true, false].map(|bias| case((conv, bias)))).collect()
}

/// Each output of each position, position after position, as channels of images.
fn as_image(draft: &mut Draft, x: TensorId, positions: usize, channels: usize) -> TensorId {
    let elements = (0..channels).flat_map(|c| (0..positions).map(move |p| (p * channels + c) as u32));
    let sources = elements.map(|element| Source::Element(0, element)).collect();
    draft.node(IntOp::View { sources }, &[x], positions * channels)
}

/// Layers that read what others compute, so that evaluations in place lie among the coefficients and values of
/// another identity.
pub(super) fn stacked() -> Vec<Case> {
    let rescale = Rescale { shift: 12, kind: SIGNED };
    let finish = |name, draft: Draft, y, inputs| Case { name, graph: draft.output(y), inputs };
    let mut cases = Vec::new();
    for (name, reader) in [
        ("conv_of_conv", plain(2, [4, 4], [2, 2])),
        ("wide_conv_of_conv", Conv2d { output: [4, 6], pad_before: [0, 2], ..plain(2, [4, 4], [1, 3]) }),
        ("strided_conv_of_conv", Conv2d { output: [2, 2], stride: [2, 2], ..plain(2, [4, 4], [2, 2]) }),
    ] {
        let mut draft = Draft::new(name);
        let x = draft.input(25, 16);
        let features = convolution(&mut draft, x, plain(1, [5, 5], [2, 2]), 2, true);
        let features = as_image(&mut draft, features, 16, 2);
        let y = convolution(&mut draft, features, reader, 2, false);
        cases.push(finish(name, draft, y, vec![weights(25, 300)]));
    }
    let dense = |draft: &mut Draft, x, rows, inner, width| {
        let (weight, bias) = (draft.param(weights(inner * width, 900)), Some(draft.param(weights(width, 9000))));
        let op = IntOp::Linear { shape: LinearShape::Dense { rows, inner }, width, weight, bias, rescale };
        draft.node(op, &[x], rows * width)
    };
    let product = |draft: &mut Draft, a, b, [rows, inner, cols]: [usize; 3]| {
        draft.node(IntOp::MatMul { rows, inner, cols, rescale }, &[a, b], rows * cols)
    };
    {
        let mut draft = Draft::new("attention");
        let x = draft.input(16, 16);
        let [queries, keys, values] = [4, 4, 4].map(|width| dense(&mut draft, x, 4, 4, width));
        let sources = (0..16).map(|i| Source::Element(0, 4 * (i % 4) + i / 4)).collect();
        let keys = draft.node(IntOp::View { sources }, &[keys], 16);
        let scores = product(&mut draft, queries, keys, [4, 4, 4]);
        let table = graphs::table();
        let function = IntOp::Function { name: "test".to_owned(), table, rescale: Rescale { shift: 8, kind: SIGNED } };
        let shares = draft.node(function, &[scores], 16);
        let mixed = product(&mut draft, shares, values, [4, 4, 4]);
        let y = dense(&mut draft, mixed, 4, 4, 3);
        cases.push(finish("attention", draft, y, vec![weights(16, 3000)]));
    }
    {
        let mut draft = Draft::new("dense_of_dense");
        let x = draft.input(12, 12);
        let x = dense(&mut draft, x, 3, 4, 5);
        let x = draft.node(graphs::clamp(), &[x], 15);
        let y = dense(&mut draft, x, 3, 5, 2);
        cases.push(finish("dense_of_dense", draft, y, vec![weights(12, 2000)]));
    }
    {
        let mut draft = Draft::new("product_of_products");
        let (a, b) = (draft.input(12, 16), draft.input(16, 8));
        let x = product(&mut draft, a, b, [3, 4, 4]);
        let y = product(&mut draft, x, b, [3, 4, 4]);
        cases.push(finish("product_of_products", draft, y, vec![weights(12, 9000), weights(16, 120)]));
    }
    cases
}

pub(super) fn everything() -> impl Iterator<Item = Case> {
    graphs::all().into_iter().chain([network()]).chain(convolutions()).chain(stacked())
}

#[test]
fn layers_that_read_layers_are_accepted_at_every_height() {
    for case in convolutions().into_iter().chain(stacked()) {
        let circuit = honest(&case);
        for height in HEIGHTS {
            let circuit = at_height(&case, &circuit, height);
            check(&circuit, claimed(&circuit)).unwrap_or_else(|failed| panic!("{}: {failed:?}", case.name));
        }
    }
}

const CONTINUATIONS: [F; 12] = [
    F::CoefPrev,
    F::ValueOutput,
    F::ValuePosition,
    F::SlackTriple,
    F::TrackKeep,
    F::TrackPosition,
    F::TrackOutput,
    F::TrackTriple,
    F::WeightContinue,
    F::DotContinue,
    F::DotScale,
    F::DotOutput,
];

/// What goes on from row to row, and the selectors that make it do so: of each, a row has one at most.
const STEPS: [(A, &[F]); 5] = [
    (A::Acc, &[F::CoefPrev]),
    (A::ValueAcc, &[F::ValueOutput, F::ValuePosition, F::SlackTriple]),
    (A::Track, &[F::TrackKeep, F::TrackPosition, F::TrackOutput, F::TrackTriple]),
    (A::WeightAcc, &[F::WeightContinue]),
    (A::Dot, &[F::DotContinue, F::DotScale, F::DotOutput]),
];

/// The rows of a layout by what they are part of.
struct Rows<'a> {
    layout: &'a Layout,
    /// Late cells that are copied: where evaluations end.
    copied: BTreeSet<(A, usize)>,
}

impl<'a> Rows<'a> {
    fn new(layout: &'a Layout) -> Self {
        let cells = layout.copies.iter().flat_map(|(left, right)| [left, right]);
        let copied = cells.filter(|cell| cell.column.is_late()).map(|cell| (cell.column, cell.row)).collect();
        Self { layout, copied }
    }

    fn any(&self, row: usize, selectors: &[F]) -> bool {
        selectors.iter().any(|selector| self.layout.on(*selector, row))
    }

    /// Whether an evaluation goes on from the row above.
    fn goes_on(&self, column: A, row: usize) -> bool {
        STEPS.iter().any(|(of, steps)| *of == column && self.any(row, steps))
    }

    /// Whether the row's accumulator has terms.
    fn adds(&self, row: usize) -> bool {
        self.any(row, &[F::CoefProduct, F::CoefP, F::CoefQ, F::CoefConst, F::CoefPrev, F::Function])
    }

    /// Whether the row is part of an evaluation of pre-activations.
    fn values(&self, row: usize) -> bool {
        self.any(row, &[F::Value, F::Slack])
    }

    /// Whether it is part of an evaluation of values.
    fn tracks(&self, row: usize) -> bool {
        self.any(row, &[F::Track, F::TrackKeep, F::TrackPosition, F::TrackOutput, F::TrackTriple])
    }

    /// Whether it holds weights of a matrix.
    fn weights(&self, row: usize) -> bool {
        row < self.layout.weight_rows && !self.any(row, &[F::DotLoad, F::DotScale])
    }

    /// Whether the row is part of the evaluation, and not its end: that is copied.
    fn open(&self, column: A, row: usize) -> bool {
        let part = match column {
            A::Acc => self.adds(row),
            A::ValueAcc => self.values(row),
            A::Track => self.tracks(row),
            A::WeightAcc => self.weights(row) && !self.layout.on(F::WeightEnd, row),
            _ => row < self.layout.weight_rows,
        };
        part && !self.copied.contains(&(column, row))
    }

    /// What a continuation demands of its row and of the row above, beyond an evaluation that is open there.
    fn continues(&self, selector: F, row: usize) -> bool {
        let (here, above) =
            (|selectors: &[F]| self.any(row, selectors), |selectors: &[F]| self.any(row - 1, selectors));
        match selector {
            F::CoefPrev => true,
            // Outputs of a layer of one position, one a row.
            F::ValueOutput => here(&[F::Value]) && above(&[F::Value]) && !above(&[F::ValuePosition, F::SlackTriple]),
            // Exponents of one output: values and the coefficients between them.
            F::ValuePosition => self.values(row) && !above(&[F::ValueOutput]),
            F::SlackTriple => here(&[F::Slack]) && !here(&[F::Value]) && !above(&[F::ValueOutput]),
            // An evaluation is in one variable, and it is in place or gathered.
            F::TrackKeep => !above(&[F::TrackTriple]),
            F::TrackPosition => !above(&[F::TrackOutput, F::TrackTriple]),
            F::TrackOutput => !above(&[F::TrackPosition, F::TrackTriple]),
            F::TrackTriple => {
                here(&[F::Track]) && above(&[F::Track]) && !above(&[F::TrackKeep, F::TrackPosition, F::TrackOutput])
            }
            // Weights of one row of a matrix. The sum goes on as well.
            F::WeightContinue => self.weights(row) && here(&[F::DotContinue]),
            // Weights of a layer behind others or behind a power, or a summand behind a product.
            F::DotContinue if self.weights(row) => self.weights(row - 1) || above(&[F::DotScale]),
            F::DotContinue => here(&[F::DotLoad]) && above(&[F::DotScale]),
            // A factor of what a row has summed.
            F::DotScale => !here(&[F::DotLoad, F::WeightEnd]) && above(&[F::DotLoad, F::DotScale, F::WeightEnd]),
            // The evaluations of the outputs, one behind the other.
            F::DotOutput => here(&[F::DotLoad]) && above(&[F::DotLoad]) && !above(&[F::DotContinue, F::DotScale]),
            other => panic!("{other:?} continues nothing"),
        }
    }
}

/// Layouts of a case: with the lanes of its plan, and with fewer.
fn layouts(case: &Case) -> Vec<Arc<Layout>> {
    let mut layouts = vec![honest(case).layout];
    for lanes in 1..plan(&case.graph).shape.weight_lanes.min(3) {
        let plan = plan_with(&case.graph, |shape| shape.weight_lanes = lanes);
        layouts.push(ModelCircuit::with_witness(&case.graph, plan, &case.inputs).unwrap().layout);
    }
    layouts
}

#[test]
fn no_chain_begins_with_a_continuation() {
    // The row above row zero is a blinding row, and the row above a chain belongs to another.
    let mut seen = BTreeSet::new();
    for case in everything() {
        for layout in layouts(&case) {
            let rows = Rows::new(&layout);
            for selector in CONTINUATIONS {
                assert!(!layout.on(selector, 0), "{}: {selector:?}", case.name);
            }
            for row in 1..layout.rows() {
                for (column, steps) in STEPS {
                    let on: Vec<F> = steps.iter().copied().filter(|selector| layout.on(*selector, row)).collect();
                    assert!(on.len() < 2, "{}: {on:?} on row {row}", case.name);
                    for selector in on {
                        assert!(rows.open(column, row - 1), "{}: {selector:?} on row {row}", case.name);
                        assert!(rows.continues(selector, row), "{}: {selector:?} on row {row}", case.name);
                        seen.insert(selector);
                    }
                }
            }
        }
    }
    assert_eq!(seen, CONTINUATIONS.into(), "every continuation is seen");
}

#[test]
fn no_chain_is_left_open() {
    // A pre-activation that no identity takes would be free, and weights that no sum takes would be left out.
    for case in everything() {
        for layout in layouts(&case) {
            let rows = Rows::new(&layout);
            for row in 0..=layout.rows() {
                for column in [A::ValueAcc, A::Track, A::WeightAcc, A::Dot] {
                    let ends = rows.open(column, row) && !rows.goes_on(column, row + 1);
                    assert!(!ends, "{}: {column:?} ends unused on row {row}", case.name);
                }
                let entering = [F::WeightEnd, F::DotLoad].iter().filter(|selector| layout.on(**selector, row));
                assert!(entering.count() < 2, "{}: two summands on row {row}", case.name);
            }
        }
    }
}

#[test]
fn what_is_tracked_is_bound_by_its_own_row_or_a_copy() {
    // The value of a function's row is its slope, and that of a row without a rescale is free unless it is copied.
    let mut seen = BTreeSet::new();
    for case in everything() {
        let layout = honest(&case).layout;
        let copies: BTreeSet<(A, usize)> = layout.copies.iter().map(|(_, copy)| (copy.column, copy.row)).collect();
        for row in (0..layout.value_rows).filter(|row| layout.on(F::Track, *row)) {
            let rescaled = [F::Input, F::Signed, F::Relu, F::Max].iter().any(|selector| layout.on(*selector, row));
            assert!(rescaled || copies.contains(&(A::Y, row)), "{}: row {row}", case.name);
            assert!(!layout.on(F::Function, row) && !layout.on(F::Slack, row), "{}: row {row}", case.name);
            if layout.on(F::TrackTriple, row) {
                let copied = [A::P, A::Q, A::Y].into_iter().all(|column| copies.contains(&(column, row)));
                assert!(copied && !rescaled, "{}: row {row}", case.name);
            }
            seen.insert((rescaled, layout.on(F::TrackTriple, row)));
        }
    }
    assert_eq!(seen, [(true, false), (false, false), (false, true)].into());
}

/// What stands at an exponent of an evaluation of pre-activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coefficient {
    /// The pre-activation of a row.
    Output(usize),
    /// A cell that no output stands for.
    Slack(Cell),
}

/// What stands at each exponent of the evaluation that ends on a row, from the rows alone: each multiplies what is
/// above it.
fn exponents(layout: &Layout, end: usize) -> BTreeMap<usize, Vec<Coefficient>> {
    let mut found: BTreeMap<usize, Vec<Coefficient>> = BTreeMap::new();
    let (mut row, mut exponent) = (end, 0);
    loop {
        let mut holds = |exponent: usize, coefficient| found.entry(exponent).or_default().push(coefficient);
        let cell = |column| Coefficient::Slack(Cell { column, row });
        if layout.on(F::Value, row) {
            holds(exponent, Coefficient::Output(row));
        }
        if layout.on(F::Slack, row) {
            holds(exponent, cell(A::Y));
        }
        let step = if layout.on(F::SlackTriple, row) {
            holds(exponent + 1, cell(A::Q));
            holds(exponent + 2, cell(A::P));
            3
        } else {
            usize::from(layout.on(F::ValuePosition, row))
        };
        if step == 0 {
            return found;
        }
        (row, exponent) = (row - 1, exponent + step);
    }
}

#[test]
fn no_exponent_that_carries_slack_is_an_outputs() {
    let mut slack = 0;
    let convolutional = convolutions().into_iter().chain(stacked()).chain([graphs::convolution(), network()]);
    for case in convolutional.chain([graphs::dense(3, 4, 2, SIGNED, true)]) {
        let layout = honest(&case).layout;
        let (schedule, trace) = (Schedule::of(&case.graph), execute(&case.graph, &case.inputs).unwrap());
        // Each output's evaluation is a summand of its layer, in the order of the layers.
        let ends = layout.x_sources.iter().filter(|(_, source)| source.column == A::ValueAcc);
        let mut ends = ends.map(|(_, source)| source.row);
        for (node, geometry) in case.graph.nodes.iter().zip(&schedule.geometries) {
            let (width, geometry) = match (&node.op, geometry) {
                (IntOp::Linear { width, .. }, Some(geometry)) => (*width, geometry),
                (IntOp::MatMul { cols, .. }, _) => {
                    ends.by_ref().take(*cols).for_each(drop);
                    continue;
                }
                _ => continue,
            };
            let outputs = trace.tensor(node.output);
            let wanted = geometry.coefficients();
            for output in 0..width {
                let found = exponents(&layout, ends.next().unwrap());
                let name = format!("{}, output {output} of {}", case.name, node.name);
                assert_eq!(found.keys().copied().collect::<Vec<_>>(), (0..wanted.len()).collect::<Vec<_>>(), "{name}");
                for (exponent, coefficients) in found {
                    let position = wanted[wanted.len() - 1 - exponent];
                    match (coefficients.as_slice(), position) {
                        ([Coefficient::Output(row)], Some(position)) => {
                            let y = cell_value(&layout, Cell { column: A::Y, row: *row });
                            let value = field(outputs[position * width + output].into());
                            assert_eq!(y, value, "{name}: position {position}");
                            assert_eq!(exponent, geometry.position(position) + geometry.shift, "{name}");
                        }
                        ([Coefficient::Slack(_)], None) => slack += 1,
                        other => panic!("{name}: {other:?} at exponent {exponent}"),
                    }
                }
            }
            let distinct: BTreeSet<i64> = outputs.iter().copied().collect();
            assert!(2 * distinct.len() > outputs.len(), "{}: outputs can be told apart", case.name);
        }
        assert_eq!(ends.next(), None, "{}: every evaluation has its layer", case.name);
    }
    assert!(slack > 100, "{slack} coefficients");
}

#[test]
fn slack_reaches_nothing_but_its_exponent() {
    for case in everything() {
        let layout = honest(&case).layout;
        let slack: Vec<usize> = (0..layout.value_rows).filter(|row| layout.on(F::Slack, *row)).collect();
        let others = [
            F::Value,
            F::Track,
            F::TrackTriple,
            F::Signed,
            F::Relu,
            F::Max,
            F::Function,
            F::Tag,
            F::CoefProduct,
            F::CoefP,
            F::CoefQ,
            F::CoefConst,
            F::CoefPrev,
        ];
        for row in &slack {
            let on: Vec<F> = others.into_iter().filter(|selector| layout.on(*selector, *row)).collect();
            assert!(on.is_empty(), "{}: {on:?} on row {row}", case.name);
        }
        let slack: BTreeSet<usize> = slack.into_iter().collect();
        let first_phase = |cell: &&Cell| !cell.column.is_late();
        let copied = layout.copies.iter().flat_map(|(left, right)| [left, right]).chain(&layout.instances);
        for cell in copied.filter(first_phase) {
            assert!(!slack.contains(&cell.row), "{}: {cell:?} is copied", case.name);
        }
    }
}
