//! For each gate and each kind of copy constraint, a forged statement that is accepted once the
//! constraint is left out and refused, by that constraint alone, where it is in place.

use std::{collections::BTreeSet, sync::Arc};

use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::ConstraintSystem,
};
use vouch_graph::int::{Conv2d, IntOp, LinearShape, Packing, Rescale, Visibility};

use super::{
    attack::{
        cell_value, claimed, edited, failures, forge, honest, last_site, mock_challenges, plan_with, plan_with_lanes,
        set_signed, sites, with_late, without_gate,
    },
    check,
    graphs::{self, Case, Draft, SIGNED},
    grid::moved_lookups,
    network::network,
    prove::Keys,
};
use crate::{
    AdviceColumn as A, CircuitPlan, FixedColumn as F, HintSite, Hints, Layout, ModelCircuit, VouchConfig,
    WeightPlacement,
    late::{self, ChallengeValues, Late},
    layout::{Cell, LIMB_COLUMNS},
    shape::Shape,
};

/// A witness of a false statement.
type Forgery = (Case, ModelCircuit);

/// Heights of a logical row.
const HEIGHTS: [usize; 3] = [1, 2, 4];

fn case(name: &str) -> Case {
    graphs::all().into_iter().find(|case| case.name == name).unwrap()
}

/// One output, so that the last value row is the whole layer.
fn neuron() -> Case {
    graphs::dense(1, 4, 1, SIGNED, false)
}

/// Three positions of two outputs.
fn rows_of_neurons() -> Case {
    graphs::dense(3, 4, 2, SIGNED, true)
}

/// Forges the last hint of a gadget.
fn forge_last(case: Case, gadget: &str, change: impl Fn(&mut [i128])) -> Forgery {
    let circuit = forge(&case, last_site(&case, gadget), change).unwrap();
    (case, circuit)
}

/// The same witness in a circuit of another shape; what a layout depends on is the same.
fn in_shape((case, mut circuit): Forgery, change: impl FnOnce(&mut Shape)) -> Forgery {
    let plan = plan_with(&case.graph, change);
    let laid_out = |shape: &Shape| (shape.weight_lanes, shape.weight_bits, shape.limb_bits);
    assert_eq!(laid_out(&plan.shape), laid_out(&circuit.plan.shape), "{}: what a layout depends on", case.name);
    circuit.plan = plan;
    (case, circuit)
}

fn at_height(forgery: Forgery, height: usize) -> Forgery {
    in_shape(forgery, |shape| shape.height = height)
}

/// The site of the last value that is rounded.
fn last_rounded(case: &Case) -> HintSite {
    *sites(case).iter().rfind(|site| ["signed", "relu"].contains(&site.gadget)).unwrap()
}

/// Makes a rounded value one too large, or one where it should be zero.
struct Raise(HintSite);

impl Hints for Raise {
    fn adjust(&mut self, site: HintSite, values: &mut [i128]) {
        if site == self.0 {
            values[2] += 1;
            values[0] = if site.gadget == "relu" { values[2] } else { values[0] + 1 };
        }
    }

    fn is_adversary(&self) -> bool {
        true
    }
}

/// A value of a case raised, in a circuit of a plan.
fn raised(case: Case, plan: Arc<CircuitPlan>, site: HintSite) -> Forgery {
    let circuit = ModelCircuit::with_hints(&case.graph, plan, &case.inputs, &mut Raise(site)).unwrap();
    (case, circuit)
}

/// The last rounded value of a case raised.
fn output_above(case: Case) -> Forgery {
    let (plan, site) = (super::plan(&case.graph), last_rounded(&case));
    raised(case, plan, site)
}

/// Rows before `row` from one witness, the others from that of other inputs.
fn spliced(case: Case, row: usize, other: &[Vec<i64>]) -> Forgery {
    let circuit = honest(&case);
    let tail = ModelCircuit::with_witness(&case.graph, circuit.plan.clone(), other).unwrap().layout;
    let circuit = edited(&circuit, |layout| {
        for (column, tail) in layout.advice.iter_mut().zip(&tail.advice) {
            column[row..].copy_from_slice(&tail[row..]);
        }
        layout.limbs[row..].copy_from_slice(&tail.limbs[row..]);
    });
    (case, circuit)
}

/// A product in which the last output alone reads the last element.
fn row_times_matrix() -> Case {
    let op = IntOp::MatMul { rows: 1, inner: 3, cols: 2, rescale: Rescale { shift: 10, kind: SIGNED } };
    graphs::binary("row_times_matrix", op, graphs::weights(3, 2000), graphs::weights(6, 1500), 2)
}

/// The last output of a case computed, from the last row of a gadget on, from another value of one input.
fn from_another(case: Case, gadget: &str, input: (usize, usize), value: i64) -> (Forgery, usize) {
    let row = last_site(&case, gadget).row;
    let mut other = case.inputs.clone();
    other[input.0][input.1] = value;
    (spliced(case, row, &other), row)
}

/// The last element of an element-wise operation computed from another input.
fn other_operand() -> (Forgery, usize) {
    from_another(case("relu"), "relu", (0, 15), 5)
}

/// A quotient by another denominator, which the bound on the remainder does not notice:
/// `5 * 2^9 + 9 - 2 * 9 * 142` is below 20.
fn other_denominator() -> Forgery {
    let ((case, circuit), row) = from_another(case("divide"), "divide", (1, 7), 9);
    let circuit = edited(&circuit, |layout| {
        let bound = row + 3;
        layout.advice[A::P as usize][bound] = Fr::from(10);
        set_signed(layout, bound, 2 * 10 - 1 - 13 - (1 << 31) - (1 << 15));
    });
    (case, circuit)
}

/// For each gadget that copies operands, an output from another operand, and the copies that tell.
fn other_operands() -> Vec<(&'static str, Forgery, A, usize)> {
    vec![
        ("operand of a relu", other_operand().0, A::P, 1),
        ("second operand of a sum", from_another(case("add_rounded"), "signed", (1, 15), 5).0, A::Q, 1),
        ("second operand of a product", from_another(case("multiply"), "relu", (1, 15), -32768).0, A::Q, 1),
        ("second operand of a matrix product", from_another(row_times_matrix(), "signed", (1, 5), 900).0, A::Q, 1),
        ("compared value", from_another(case("maximum"), "max", (0, 15), 30_000).0, A::P, 1),
        ("greatest value before", from_another(case("maximum"), "max", (0, 12), 20_000).0, A::Q, 1),
        ("denominator", other_denominator(), A::Q, 2),
        ("argument of a function", from_another(case("function"), "function", (0, 15), 1000).0, A::P, 1),
    ]
}

fn accumulator() -> Forgery {
    let ((case, circuit), row) = other_operand();
    let original = honest(&case);
    let circuit = edited(&circuit, |layout| {
        layout.advice[A::P as usize][row] = original.layout.advice[A::P as usize][row];
    });
    (case, circuit)
}

/// The last value of a function one too large, from an accumulator that is.
fn interpolation() -> Forgery {
    let (case, circuit) = output_above(case("function"));
    let row = last_site(&case, "function").row;
    let circuit = edited(&circuit, |layout| {
        let acc = &mut layout.advice[A::Acc as usize];
        acc[row] += Fr::from(1 << 8);
        acc[row + 1] += Fr::from(1 << 16);
    });
    (case, circuit)
}

/// The last value of a function from a point that its table does not have.
fn other_point() -> Forgery {
    forge_last(case("function"), "function", |hint| hint[2] += 1)
}

/// The last value of a function along a slope that its table does not have.
fn other_slope() -> Forgery {
    forge_last(case("function"), "function", |hint| hint[3] += 100)
}

/// The output one too large and the remainder negative, in one byte of the remainder.
fn negative_remainder(byte: usize) -> Forgery {
    let (case, circuit) = output_above(case("add_rounded"));
    let row = last_rounded(&case).row;
    let circuit = edited(&circuit, |layout| layout.limbs[row][byte] -= [1 << 16, 1 << 8][byte - 2]);
    (case, circuit)
}

/// A negative value that a ReLU passes on, since its magnitude is negative in one byte.
fn negative_magnitude(byte: usize) -> Forgery {
    let (case, circuit) = forge_last(case("relu"), "relu", |hint| {
        hint[0] = -hint[0];
        hint[2] = hint[0];
    });
    let row = last_rounded(&case).row;
    let circuit = edited(&circuit, |layout| {
        let limbs = &mut layout.limbs[row];
        let value = limbs[0] + 256 * limbs[1];
        assert!(value < 0, "the last value of the case is negative");
        (limbs[0], limbs[1]) = if byte == 0 { (value, 0) } else { (value.rem_euclid(256), value.div_euclid(256)) };
    });
    (case, circuit)
}

/// The same witness with the term of one of a row's limbs left out of the lookup argument, and the gate that tells.
fn hidden((case, circuit): Forgery, cell: Cell) -> (&'static str, Forgery) {
    let shape = &circuit.plan.shape;
    let at = shape.limbs().iter().position(|limb| *limb == cell.column).unwrap();
    let helped = crate::gadget::lookup::helped(shape)[at / shape.height];
    let original = circuit.clone();
    let circuit = with_late(&circuit, move |columns, challenges| {
        let value = cell_value(&original.layout, cell);
        let others =
            if cell.column == A::Abs1 { late::point(&original.layout, cell.row, challenges) } else { Fr::ZERO };
        let term = (challenges.lookup + value + others).invert().unwrap();
        // The cells that any change of the limb moves.
        for (moved, _) in moved_lookups(&original, cell, value, value + Fr::ONE, challenges) {
            columns.column_mut(moved.column)[moved.row] -= term;
        }
    });
    (if helped { "lookup helper" } else { "lookup sum" }, (case, circuit))
}

/// A forgery for each lookup that is left out, and the gate that tells.
fn hidden_lookups(height: usize) -> Vec<(&'static str, Forgery)> {
    let limbs = [negative_magnitude(0), negative_magnitude(1), negative_remainder(2), negative_remainder(3)];
    let mut forgeries: Vec<_> = limbs
        .into_iter()
        .zip(LIMB_COLUMNS)
        .map(|(forgery, column)| {
            let row = last_rounded(&forgery.0).row;
            hidden(at_height(forgery, height), Cell { column, row })
        })
        .collect();
    for forgery in [other_point(), other_slope()] {
        let row = last_site(&forgery.0, "function").row;
        forgeries.push(hidden(at_height(forgery, height), Cell { column: A::Abs1, row }));
    }
    forgeries
}

fn lookup_sum(height: usize) -> Forgery {
    let (case, circuit) = at_height(negative_remainder(3), height);
    (case, with_late(&circuit, |columns, _| columns.column_mut(A::Sum).fill(Fr::ZERO)))
}

/// The cells whose equality is the linear layer's identity.
fn sides(layout: &Layout) -> (Cell, Cell) {
    let mut sides = layout.copies.iter().filter(|(_, right)| right.column == A::Dot);
    let found = *sides.next().unwrap();
    assert!(sides.next().is_none(), "one identity alone");
    found
}

/// Moves a late cell by some amount, and with it all that gates and copies tie to it but for what determines the
/// cell itself.
fn follow(layout: &Layout, columns: &mut Late, challenges: &ChallengeValues, cell: Cell, by: Fr) {
    let (r, s) = (challenges.outputs, challenges.positions);
    let cube = s * s * s;
    let steps = match cell.column {
        A::WeightAcc => vec![(F::WeightContinue, r.pow_vartime([layout.lanes.len() as u64]))],
        A::ValueAcc => vec![(F::ValueOutput, r), (F::ValuePosition, s), (F::SlackTriple, cube)],
        A::Track => {
            vec![(F::TrackKeep, Fr::ONE), (F::TrackPosition, s), (F::TrackOutput, r), (F::TrackTriple, cube)]
        }
        _ => Vec::new(),
    };
    if !steps.is_empty() {
        let mut delta = by;
        for (row, value) in columns.column_mut(cell.column).iter_mut().enumerate().skip(cell.row) {
            if row > cell.row {
                delta *= steps.iter().filter(|(on, _)| layout.on(*on, row)).map(|(_, step)| step).sum::<Fr>();
            }
            *value += delta;
        }
    }
    for row in 0..layout.weight_rows {
        let own = |column| if cell == (Cell { column, row }) { by } else { Fr::ZERO };
        if let Some((_, source)) = layout.x_sources.iter().find(|(at, _)| *at == row) {
            let late = source.column.is_late().then(|| columns.column(source.column)[source.row]);
            columns.column_mut(A::X)[row] = late.unwrap_or_else(|| cell_value(layout, *source)) + own(A::X);
        }
        let [x, weights] = [A::X, A::WeightAcc].map(|column| columns.column(column)[row]);
        let above = row.checked_sub(1).map_or(Fr::ZERO, |above| columns.column(A::Dot)[above]);
        let terms = [
            (F::WeightEnd, x * weights),
            (F::DotLoad, x),
            (F::DotContinue, above),
            (F::DotOutput, r * above),
            (F::DotScale, x * above),
        ];
        let dot: Fr = terms.iter().filter(|(on, _)| layout.on(*on, row)).map(|(_, term)| term).sum();
        columns.column_mut(A::Dot)[row] = dot + own(A::Dot);
    }
}

/// How far apart the sides are once the cell has moved.
fn gap(layout: &Layout, columns: &Late, challenges: &ChallengeValues, cell: Cell, by: Fr) -> Fr {
    let mut columns = columns.clone();
    follow(layout, &mut columns, challenges, cell, by);
    let (left, right) = sides(layout);
    columns.column(left.column)[left.row] - columns.column(right.column)[right.row]
}

/// Whether the sides' distance is a linear function of the cell and changes with it.
fn joins(circuit: &ModelCircuit, columns: &Late, challenges: &ChallengeValues, cell: Cell) -> bool {
    let gap = |by| gap(&circuit.layout, columns, challenges, cell, by);
    let (zero, one, two) = (gap(Fr::ZERO), gap(Fr::ONE), gap(Fr::from(2)));
    zero != one && two - one == one - zero
}

/// The same witness with a late cell moved so far that the sides of the identity meet.
fn rejoined((case, circuit): Forgery, cell: Cell) -> Forgery {
    let layout = Arc::clone(&circuit.layout);
    let circuit = with_late(&circuit, move |columns, challenges| {
        let gap = |by| gap(&layout, columns, challenges, cell, by);
        let (zero, one) = (gap(Fr::ZERO), gap(Fr::ONE));
        let by = zero * (zero - one).invert().unwrap();
        follow(&layout, columns, challenges, cell, by);
    });
    (case, circuit)
}

/// An output of a layer above the true one, and the last cell of a late column moved so that the sides meet.
fn other_evaluation(case: Case, column: A, height: usize) -> Forgery {
    let forgery = at_height(output_above(case), height);
    let layout = &forgery.1.layout;
    let row = match column {
        A::Track => layout.x_sources.iter().rfind(|(_, source)| source.column == A::Track).unwrap().1.row,
        A::ValueAcc => (0..layout.value_rows).rfind(|row| layout.on(F::Value, *row)).unwrap(),
        _ => layout.weight_rows - 1,
    };
    rejoined(forgery, Cell { column, row })
}

/// Forgeries of which each is refused by one gate alone, for each gate of circuits with rows of this height.
fn forgeries(height: usize) -> Vec<(&'static str, Forgery)> {
    let mut forgeries: Vec<_> = vec![
        ("accumulator", accumulator()),
        ("accumulator", interpolation()),
        ("rescale", output_above(case("add_rounded"))),
        ("signed value", forge_last(case("add_rounded"), "signed", |hint| hint[2] += 1)),
        (
            "relu",
            forge_last(case("relu"), "relu", |hint| {
                hint[0] += 2;
                hint[2] += 1;
            }),
        ),
        (
            "max",
            forge_last(case("maximum"), "max", |hint| {
                hint[0] += 2;
                hint[2] += 1;
            }),
        ),
        ("function input", forge_last(case("function"), "function", |hint| hint[0] = 0)),
        ("input range", too_wide_for_its_row()),
        ("lookup ends", negative_remainder(3)),
        ("lookup ends", negative_magnitude(0)),
        ("lookup ends", other_point()),
        ("lookup ends", other_slope()),
    ];
    forgeries = forgeries.into_iter().map(|(gate, forgery)| (gate, at_height(forgery, height))).collect();
    forgeries.push(("lookup sum", lookup_sum(height)));
    forgeries.extend(hidden_lookups(height));
    for (gate, column) in [
        ("weight evaluation", A::WeightAcc),
        ("dot product", A::Dot),
        ("value evaluation", A::ValueAcc),
        ("track", A::Track),
    ] {
        forgeries.push((gate, other_evaluation(rows_of_neurons(), column, height)));
        if column != A::Track {
            forgeries.push((gate, other_evaluation(neuron(), column, height)));
        }
    }
    forgeries
}

/// Requires that the statement keeps the inputs and changes an output.
fn assert_false_statement(case: &Case, circuit: &ModelCircuit, name: &str) {
    let (truth, forged) = (claimed(&honest(case)), claimed(circuit));
    let inputs: usize = case
        .graph
        .inputs
        .iter()
        .filter(|port| port.visibility == Visibility::Public)
        .map(|port| port.packing.words(case.graph.tensor(port.tensor).len()))
        .sum();
    assert_eq!(truth[..=inputs], forged[..=inputs], "{name}: the inputs are the true ones");
    assert_ne!(truth[inputs + 1..], forged[inputs + 1..], "{name}: an output is forged");
}

/// Requires that the gate, and nothing else, refuses the forgery.
fn assert_gate_refuses(gate: &'static str, (case, circuit): &Forgery) {
    let what = format!("{gate}: {} with rows of height {}", case.name, circuit.plan.shape.height);
    assert_false_statement(case, circuit, &what);
    let statement = claimed(circuit);
    check(&without_gate(circuit, gate), statement.clone())
        .unwrap_or_else(|failed| panic!("{what}: without the gate the forgery is accepted: {failed:?}"));
    assert_eq!(failures(circuit, &statement), [gate.to_owned()].into(), "{what}");
}

#[test]
fn each_gate_alone_refuses_a_forgery() {
    for height in HEIGHTS {
        for (gate, forgery) in forgeries(height) {
            assert_gate_refuses(gate, &forgery);
        }
    }
}

#[test]
fn a_gate_alone_refuses_a_limb_that_sixteen_bits_do_not_hold() {
    let mut draft = Draft::new("wide_limbs");
    let x = draft.input(1, 16);
    let op = IntOp::Affine { scale: vec![3], offset: vec![0], rescale: Rescale { shift: 4, kind: SIGNED } };
    let y = draft.node(op, &[x], 1);
    let case = Case { name: "wide_limbs", graph: draft.output(y), inputs: vec![vec![1000]] };
    let plan = plan_with(&case.graph, |shape| shape.limb_bits = 16);
    let site = last_rounded(&case);
    let (case, circuit) = raised(case, plan, site);
    let forgery = (case, edited(&circuit, |layout| layout.limbs[site.row][2] -= 1 << 16));
    assert_gate_refuses("lookup ends", &forgery);
    let (gate, forgery) = hidden(forgery, Cell { column: A::Rem0, row: site.row });
    assert_gate_refuses(gate, &forgery);
}

#[test]
fn the_verifier_refuses_each_forgery() {
    // Copies too: what MockProver calls a broken copy has to break the permutation argument.
    let height = HEIGHTS[0];
    let operands = other_operands().into_iter().map(|(name, forgery, ..)| (name, forgery));
    let sides = linear_cases().into_iter().map(|case| {
        let (plan, site) = (super::plan(&case.graph), linear_outputs(&case)[0]);
        ("copy between sides", raised(case, plan, site))
    });
    let factors = [neuron(), rows_of_neurons()].map(|case| ("copy of a factor", other_evaluation(case, A::X, height)));
    for (constraint, (case, circuit)) in forgeries(height).into_iter().chain(operands).chain(sides).chain(factors) {
        let keys = Keys::new(&case.graph, &circuit.plan);
        assert!(!keys.convinces(&circuit, &claimed(&circuit)), "{constraint}: {}", case.name);
    }
}

#[test]
fn every_gate_of_the_constraint_system_has_a_forgery() {
    for height in HEIGHTS {
        let mut gates = BTreeSet::new();
        for case in graphs::all().into_iter().chain([network()]) {
            let mut meta = ConstraintSystem::<Fr>::default();
            VouchConfig::configure(&mut meta, plan_with(&case.graph, |shape| shape.height = height).shape.clone());
            gates.extend(meta.gates().iter().map(|gate| gate.name().to_owned()));
            assert!(meta.lookups().is_empty(), "lookups are gates here");
        }
        let forged: BTreeSet<_> = forgeries(height).into_iter().map(|(gate, _)| gate.to_owned()).collect();
        assert_eq!(gates, forged, "rows of height {height}");
    }
}

/// A convolution without bias over one channel of an image, by a kernel of one output channel.
fn small_convolution(
    name: &'static str,
    (bits, input): (u32, [usize; 2]),
    (kernel, dilation, output): ([usize; 2], [usize; 2], [usize; 2]),
    (weights, shift): (Vec<i64>, u32),
    values: Vec<i64>,
) -> Case {
    let mut draft = Draft::new(name);
    let x = draft.input(values.len(), bits);
    let shape = LinearShape::Conv2d(Conv2d {
        channels: 1,
        first_channel: 0,
        input,
        output,
        kernel,
        stride: [1, 1],
        dilation,
        pad_before: [0, 0],
    });
    let weight = draft.param(weights);
    let op = IntOp::Linear { shape, width: 1, weight, bias: None, rescale: Rescale { shift, kind: SIGNED } };
    let y = draft.node(op, &[x], shape.positions());
    Case { name, graph: draft.output(y), inputs: vec![values] }
}

/// Two taps over an image of two rows and two columns, whose second column reads padding. The values are too wide
/// to be evaluated in place, and no weight is scaled.
fn pair_of_taps(weights: [i64; 2]) -> Case {
    let values = vec![60_000, -40_000, 30_000, 50_000];
    small_convolution("pair_of_taps", (17, [2, 2]), ([1, 2], [1, 1], [2, 2]), (weights.to_vec(), 16), values)
}

/// Multiplies by a power of the challenge once, the square.
fn square() -> Case {
    let weights = (graphs::weights(2, 300), 8);
    small_convolution("square", (16, [1, 5]), ([1, 2], [1, 2], [1, 3]), weights, graphs::weights(5, 700))
}

/// Has more exponents in a row than three that no output stands for.
fn patches() -> Case {
    let weights = (graphs::weights(4, 300), 8);
    small_convolution("patches", (16, [4, 4]), ([2, 2], [1, 1], [3, 3]), weights, graphs::weights(16, 700))
}

/// Circuits of one linear identity each: of one position and of several, with coefficients that no output stands for
/// and without, of values that are evaluated in place, on rows with others between, and gathered.
fn linear_cases() -> Vec<Case> {
    vec![
        neuron(),
        graphs::dense(1, 3, 5, SIGNED, true),
        rows_of_neurons(),
        case("dense_without_powers"),
        graphs::convolution(),
        pair_of_taps([1, 2]),
        square(),
        patches(),
        case("matrix_identity"),
        case("matrix_column"),
        graphs::matrix_product("gathered_matrix", [3, 3, 3], 12, 17),
        graphs::tracked_function(),
    ]
}

/// The gate that determines a late column of a linear layer, its terms, and those by which it goes on.
const EVALUATIONS: [(&str, A, &[F]); 4] = [
    ("weight evaluation", A::WeightAcc, &[F::WeightContinue]),
    ("dot product", A::Dot, &[F::WeightEnd, F::DotLoad, F::DotContinue, F::DotScale, F::DotOutput]),
    ("value evaluation", A::ValueAcc, &[F::Value, F::ValueOutput, F::ValuePosition, F::Slack, F::SlackTriple]),
    ("track", A::Track, &[F::Track, F::TrackKeep, F::TrackPosition, F::TrackOutput, F::TrackTriple]),
];

#[test]
fn the_gate_of_an_evaluation_refuses_another_one_on_every_kind_of_row() {
    let mut seen: BTreeSet<(A, Vec<F>)> = BTreeSet::new();
    for case in linear_cases() {
        // On one lane, so that a row of the matrix goes on.
        let (plan, site) = (plan_with_lanes(&case.graph, 1, WeightPlacement::Private), last_rounded(&case));
        let (case, circuit) = raised(case, plan, site);
        let challenges = mock_challenges(&circuit);
        let columns = late::compute(&circuit.layout, &circuit.plan.shape, &[], &challenges, circuit.run());
        for (gate, column, terms) in EVALUATIONS {
            for row in 0..columns.column(column).len() {
                let on: Vec<F> = terms.iter().copied().filter(|term| circuit.layout.on(*term, row)).collect();
                let cell = Cell { column, row };
                if seen.contains(&(column, on.clone())) || !joins(&circuit, &columns, &challenges, cell) {
                    continue;
                }
                seen.insert((column, on));
                assert_gate_refuses(gate, &rejoined((again(&case), circuit.clone()), cell));
            }
        }
    }
    let met: BTreeSet<F> = seen.iter().flat_map(|(_, on)| on.iter().copied()).collect();
    let terms: BTreeSet<F> = EVALUATIONS.iter().flat_map(|(_, _, terms)| terms.iter().copied()).collect();
    assert_eq!(met, terms, "every term of the gates is on some row");
    println!("evaluations forged on rows with these terms: {seen:?}");
}

fn again(case: &Case) -> Case {
    Case { name: case.name, graph: case.graph.clone(), inputs: case.inputs.clone() }
}

/// Requires that the forgery is accepted without the copies that it breaks, that these are
/// as many as expected, and that they alone refuse it.
fn assert_copies_refuse((case, circuit): &Forgery, broken: impl Fn(&ModelCircuit, Cell, Cell) -> bool, count: usize) {
    assert_false_statement(case, circuit, case.name);
    let statement = claimed(circuit);
    assert_eq!(failures(circuit, &statement), ["copy".to_owned()].into(), "{}", case.name);
    let mut dropped = 0;
    let without = edited(circuit, |layout| {
        layout.copies.retain(|(left, right)| {
            let drop = broken(circuit, *left, *right);
            dropped += usize::from(drop);
            !drop
        });
    });
    assert_eq!(dropped, count, "{}: copies dropped", case.name);
    check(&without, statement).unwrap_or_else(|failed| panic!("{}: {failed:?}", case.name));
}

/// First-phase cells that a copy ties and that differ.
fn differ(circuit: &ModelCircuit, left: Cell, right: Cell) -> bool {
    !left.column.is_late()
        && !right.column.is_late()
        && cell_value(&circuit.layout, left) != cell_value(&circuit.layout, right)
}

#[test]
fn the_copy_of_each_operand_refuses_another_operand() {
    for (name, forgery, column, count) in other_operands() {
        let torn = |circuit: &ModelCircuit, left: Cell, right: Cell| {
            let differs = differ(circuit, left, right);
            assert!(!differs || right.column == column, "{name}: {left:?} and {right:?}");
            differs
        };
        assert_copies_refuse(&forgery, torn, count);
    }
}

#[test]
fn the_copies_of_a_gathered_activation_refuse_another_activation() {
    // Four exponents: the first value of a polynomial has a row of its own, the others three share one. The values of
    // the right matrix have a row each.
    let dense = |row: usize| (graphs::gathered_dense(4, 2, 2), (0, 2 * row + 1), 50);
    let matrix = |input: usize| (graphs::matrix_product("gathered_matrix", [3, 3, 3], 12, 17), (input, 4), 200);
    for ((case, (input, element), more), column) in
        [(dense(3), A::Y), (dense(2), A::P), (dense(1), A::Q), (dense(0), A::Y), (matrix(0), A::Q), (matrix(1), A::Y)]
    {
        let row = honest(&case).layout.fixed[F::Track as usize].iter().position(|on| *on != 0).unwrap();
        let mut other = case.inputs.clone();
        other[input][element] += more;
        let torn = |circuit: &ModelCircuit, left: Cell, right: Cell| {
            let differs = differ(circuit, left, right);
            assert!(!differs || right.column == column, "{left:?} and {right:?}");
            differs
        };
        assert_copies_refuse(&spliced(case, row, &other), torn, 1);
    }
}

#[test]
fn the_copy_of_a_gap_refuses_padding_that_is_not_zero() {
    let case = pair_of_taps([1, 2]);
    // The second output of the first image row reads the gap by the second tap, which adds two times its value; the
    // first tap takes it to an exponent that no output stands for.
    let padding = Fr::from(1 << 15);
    let (rounded, slack) = (sites_of(&case, "signed"), sites_of(&case, "slack"));
    let site = rounded[rounded.len() - 2];
    let circuit = forge(&case, site, |hint| {
        hint[0] += 1;
        hint[2] += 1;
    });
    let circuit = edited(&circuit.unwrap(), |layout| {
        let gathered = layout.fixed[F::TrackTriple as usize].iter().rposition(|on| *on != 0).unwrap();
        layout.advice[A::P as usize][gathered] += padding;
        layout.advice[A::Y as usize][slack[0].row] += padding;
    });
    assert_copies_refuse(&(case, circuit), differ, 1);
}

fn sites_of(case: &Case, gadget: &str) -> Vec<HintSite> {
    sites(case).into_iter().filter(|site| site.gadget == gadget).collect()
}

#[test]
fn the_copy_of_the_one_behind_the_powers_refuses_a_multiple_of_the_challenge() {
    // Twice the challenge between the taps is the first tap's weight doubled.
    let case = pair_of_taps([1, 2]);
    let original = honest(&case);
    let doubled = honest(&Case { graph: pair_of_taps([2, 2]).graph, ..again(&case) });
    let scale = (0..original.layout.weight_rows).find(|row| original.layout.on(F::DotScale, *row)).unwrap();
    let (_, power) = *original.layout.x_sources.iter().find(|(row, _)| *row == scale).unwrap();
    assert_eq!(power.column, A::Track);
    let mut forged = original.clone();
    forged.layout = Arc::clone(&doubled.layout);
    let circuit = edited(&forged, |layout| {
        layout.lanes.clone_from(&original.layout.lanes);
        layout.advice[A::Y as usize][power.row - 1] = Fr::from(2);
    });
    assert_copies_refuse(&(case, circuit), differ, 1);
}

#[test]
fn the_copy_of_each_factor_refuses_another_factor() {
    // By what the factor is copied from and what it is for.
    let mut seen: BTreeSet<(A, Vec<F>)> = BTreeSet::new();
    for case in linear_cases() {
        let (case, circuit) = output_above(case);
        let challenges = mock_challenges(&circuit);
        let columns = late::compute(&circuit.layout, &circuit.plan.shape, &[], &challenges, circuit.run());
        for (row, source) in circuit.layout.x_sources.clone() {
            let on: Vec<F> = EVALUATIONS[1].2.iter().copied().filter(|term| circuit.layout.on(*term, row)).collect();
            let factor = Cell { column: A::X, row };
            let key = (source.column, on);
            if seen.contains(&key) || !joins(&circuit, &columns, &challenges, factor) {
                continue;
            }
            seen.insert(key);
            let forgery = rejoined((again(&case), circuit.clone()), factor);
            assert_copies_refuse(&forgery, |_, left, right| left == factor || right == factor, 1);
        }
    }
    println!("factors forged by source and terms: {seen:?}");
    let met = |column, term| seen.iter().any(|(source, on)| *source == column && on.contains(&term));
    for (what, column, term) in [
        ("an activation", A::Y, F::WeightEnd),
        ("the one of a bias", A::Acc, F::WeightEnd),
        ("an evaluation of activations", A::Track, F::WeightEnd),
        ("the sum of a bias's positions", A::Dot, F::WeightEnd),
        ("an evaluation of pre-activations", A::ValueAcc, F::DotLoad),
        ("a term of a sum of powers", A::Acc, F::DotLoad),
        ("the challenge, for its square", A::Track, F::DotLoad),
        ("the challenge", A::Track, F::DotScale),
        ("a power of the challenge", A::Dot, F::DotScale),
        ("a sum of products", A::Dot, F::DotLoad),
        ("the factor of a rescale", A::Acc, F::DotScale),
    ] {
        assert!(met(column, term), "{what}");
    }
}

/// The sites of a linear layer's outputs, in the order of their rows.
fn linear_outputs(case: &Case) -> Vec<HintSite> {
    let layout = honest(case).layout;
    let is_output = |site: &HintSite| layout.on(F::Value, site.row) && ["signed", "relu"].contains(&site.gadget);
    sites(case).into_iter().filter(is_output).collect()
}

#[test]
fn the_copy_between_the_sides_of_a_linear_layer_refuses_another_output() {
    for case in linear_cases() {
        let outputs = linear_outputs(&case);
        // The first, one between and the last: other exponents and other outputs.
        for site in BTreeSet::from([0, outputs.len() / 2, outputs.len() - 1]).into_iter().map(|i| outputs[i]) {
            let forgery = raised(again(&case), super::plan(&case.graph), site);
            assert_copies_refuse(&forgery, |_, _, right| right.column == A::Dot, 1);
        }
    }
}

#[test]
fn the_limbs_of_a_fresh_value_refuse_a_fraction() {
    // 2^8 x is one: x is the inverse of 2^8, which the multiple's range alone would let pass.
    let case = private_value("fraction", 8, 1 << 8);
    let fraction = Fr::from(1 << 8).invert().unwrap();
    let circuit = in_shape((again(&case), honest(&case)), |shape| shape.limb_bits = 8).1;
    let circuit = edited(&circuit, |layout| {
        let [p, _, acc, y] = &mut layout.advice;
        y[0] = fraction;
        layout.limbs[0] = [0, 128, 1, 128];
        (p[1], acc[1]) = (fraction, Fr::from(2));
        (p[2], acc[2]) = (Fr::from(2), Fr::from(2) + Fr::from(1 << 31));
    });
    assert_gate_refuses("signed value", &(case, circuit));
}

/// A private value of so many bits, passed on times a factor and one larger.
fn private_value(name: &'static str, bits: u32, factor: i64) -> Case {
    let mut draft = Draft::new(name);
    let x = draft.input_packed(1, Packing::dense(bits));
    let op = IntOp::Affine { scale: vec![factor], offset: vec![1], rescale: Rescale::EXACT };
    let y = draft.node(op, &[x], 1);
    let mut graph = draft.output(y);
    graph.inputs[0].visibility = Visibility::Private;
    Case { name, graph, inputs: vec![vec![0]] }
}

/// A value of nine bits for one of eight, whose multiple is another that sixteen bits hold.
fn too_wide_for_its_row() -> Forgery {
    let (case, circuit) = forge_last(private_value("wide", 8, 1), "fresh", |hint| hint[0] = 1 << 7);
    let circuit = in_shape((again(&case), circuit), |shape| shape.limb_bits = 8).1;
    let circuit = edited(&circuit, |layout| (layout.limbs[0][2], layout.limbs[0][3]) = (0, 0));
    (case, circuit)
}

#[test]
fn the_copy_of_a_fresh_value_refuses_one_that_is_too_wide() {
    // Beside the row that bounds the value to thirty-two bits, another bounds a multiple of it.
    let case = private_value("narrow", 24, 1);
    let bound = honest(&case);
    let circuit = forge(&case, last_site(&case, "fresh"), |hint| hint[0] = 1 << 23).unwrap();
    let circuit = edited(&circuit, |layout| {
        for column in [A::P, A::Acc, A::Y] {
            layout.advice[column as usize][1] = bound.layout.advice[column as usize][1];
        }
        layout.limbs[1] = bound.layout.limbs[1];
    });
    assert_copies_refuse(&(case, circuit), differ, 1);
}

#[test]
fn the_binding_of_an_instance_refuses_another_output() {
    let circuit = honest(&case("add_exact"));
    let mut statement = claimed(&circuit);
    *statement.last_mut().unwrap() += Fr::ONE;
    assert_eq!(failures(&circuit, &statement), ["copy".to_owned()].into());
    let unbound = edited(&circuit, |layout| {
        layout.instances.pop();
    });
    check(&unbound, statement).unwrap();
}
