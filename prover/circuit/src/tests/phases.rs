//! The order of commitments and challenges, read off the constraint system, and forgeries that
//! hold at the constants that MockProver takes for challenges: the real verifier refuses them.

use std::{collections::BTreeSet, sync::Arc};

use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::{Advice, Column, ConstraintSystem, Expression, SecondPhase},
    poly::Rotation,
};
use vouch_graph::int::{IntOp, LinearShape, Rescale};

use super::{
    attack::{claimed, edited, forge, honest, last_site, mock_challenges, plan_with, sites, with_multiplicities},
    chains::{HEIGHTS, at_height, convolutions, stacked},
    check,
    graphs::{self, Case, Draft, SIGNED},
    network::network,
    plan,
    prove::Keys,
};
use crate::{
    AdviceColumn as A, CircuitError, CircuitPlan, FixedColumn as F, HintSite, Hints, ModelCircuit, Shape, VouchConfig,
    WeightPlacement,
    layout::{Cell, field},
    phase_order,
};

fn system_of(shape: &Shape) -> (ConstraintSystem<Fr>, VouchConfig) {
    let mut meta = ConstraintSystem::default();
    let config = VouchConfig::configure(&mut meta, shape.clone());
    (meta, config)
}

/// Each case's shape at each height, and with wide limbs where it can have them.
fn shapes() -> Vec<(&'static str, Shape)> {
    let mut shapes = Vec::new();
    for case in graphs::all().into_iter().chain([network()]) {
        let shape = plan(&case.graph).shape.clone();
        for height in HEIGHTS {
            for limb_bits in if shape.has_functions() { vec![8] } else { vec![8, 16] } {
                for weights in [WeightPlacement::Private, WeightPlacement::Public] {
                    shapes.push((case.name, Shape { height, limb_bits, weights, ..shape.clone() }));
                }
            }
        }
    }
    shapes
}

#[test]
fn every_operand_of_a_challenge_is_committed_before_the_challenge_or_determined_by_such() {
    let mut determined = BTreeSet::new();
    for (name, shape) in shapes() {
        let (meta, config) = system_of(&shape);
        phase_order::check(&meta, &config).unwrap_or_else(|error| panic!("{name}: {error}"));
        let phases = meta.advice_column_phase();
        let place = |kind: A| config.advice(kind).map(|place| place.column.index());
        for kind in shape.advice() {
            let phase = place(kind).map(|column| phases[column]);
            assert_eq!(phase, Some(u8::from(kind.is_late())), "{name}: {kind:?}");
        }
        let late: BTreeSet<usize> = A::ALL.into_iter().filter(|kind| kind.is_late()).filter_map(place).collect();
        for (column, phase) in phases.into_iter().enumerate() {
            assert_eq!(phase == 1, late.contains(&column), "{name}: column {column}");
        }
        assert!(meta.challenge_phase().iter().all(|phase| *phase == 0), "{name}: challenges follow the first phase");
        determined.extend(shape.advice().filter(|kind| kind.is_late()).map(|kind| (shape.height, kind)));
    }
    // The helper is for those shapes alone whose sum has no room.
    assert!(determined.contains(&(1, A::Helper)) && determined.contains(&(2, A::Helper)));
    for kind in [A::WeightAcc, A::Sum, A::X, A::Dot, A::ValueAcc, A::Track] {
        assert!(HEIGHTS.into_iter().all(|height| determined.contains(&(height, kind))), "{kind:?}");
    }
}

/// What is said of a constraint system with something added to a sound one, at a height.
fn order_refusal(height: usize, add: impl FnOnce(&mut ConstraintSystem<Fr>, &VouchConfig)) -> String {
    let case = graphs::dense(3, 4, 2, SIGNED, true);
    let (mut meta, config) = system_of(&plan_with(&case.graph, |shape| shape.height = height).shape);
    phase_order::check(&meta, &config).unwrap();
    add(&mut meta, &config);
    match phase_order::check(&meta, &config) {
        Err(CircuitError::PhaseOrder { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operand_committed_behind_its_challenge_is_refused_before_keys() {
    for height in HEIGHTS {
        let what = order_refusal(height, |meta, _| {
            meta.advice_column_in(SecondPhase);
        });
        assert!(what.starts_with("nothing determines advice column"), "{what}");
        let what = order_refusal(height, |meta, _| {
            let late = meta.advice_column_in(SecondPhase);
            meta.create_gate("late", |cells| vec![cells.query_advice(late, Rotation::cur())]);
        });
        assert_eq!(what, "the gate `late` reads a challenge or a later phase");
        let what = order_refusal(height, |meta, config| {
            let lookup = config.challenges.lookup;
            meta.create_gate("guess", |cells| vec![cells.query_challenge(lookup)]);
        });
        assert_eq!(what, "the gate `guess` reads a challenge or a later phase");
        let what = order_refusal(height, |meta, _| {
            meta.advice_column_in(SecondPhase);
            meta.challenge_usable_after(SecondPhase);
        });
        assert_eq!(what, "a challenge is drawn later than the first phase");
    }
}

#[test]
fn a_gate_that_reads_a_late_column_of_the_circuit_is_refused_before_keys() {
    // Whichever of the kinds that share a column it reads.
    for height in HEIGHTS {
        for kind in [A::WeightAcc, A::X, A::Dot, A::ValueAcc, A::Track, A::Sum] {
            let what = order_refusal(height, |meta, config| {
                let place = config.advice(kind).unwrap();
                meta.create_gate("late", |cells| vec![cells.query_advice(place.column, Rotation(place.offset as i32))]);
            });
            assert_eq!(what, "the gate `late` reads a challenge or a later phase", "{kind:?} at height {height}");
        }
    }
}

#[test]
fn a_late_column_that_is_determined_by_one_behind_it_is_refused_before_keys() {
    // A cell that is a copy of what it determines would be free.
    let case = graphs::dense(3, 4, 2, SIGNED, true);
    for height in HEIGHTS {
        for gate in ["weight evaluation", "lookup sum", "value evaluation", "track"] {
            let mut shape = plan_with(&case.graph, |shape| shape.height = height).shape.clone();
            shape.omitted = Some(gate);
            let (mut meta, config) = system_of(&shape);
            let dot = config.advice(A::Dot).unwrap();
            meta.create_gate(gate, |cells| vec![cells.query_advice(dot.column, Rotation(dot.offset as i32))]);
            match phase_order::check(&meta, &config) {
                Err(CircuitError::PhaseOrder { what }) => {
                    assert_eq!(what, format!("the gate `{gate}` reads a column that nothing determines"));
                }
                other => panic!("{gate} at height {height}: {other:?}"),
            }
        }
    }
}

/// Cells of late columns that are nothing's: where fewer kinds share a circuit column than it has room for.
fn gaps(shape: &Shape, config: &VouchConfig) -> Vec<(Column<Advice>, i32)> {
    let late: Vec<_> = shape.advice().filter(|kind| kind.is_late()).filter_map(|kind| config.advice(kind)).collect();
    let mut gaps = Vec::new();
    for place in &late {
        let taken = |offset| late.iter().any(|other| other.column == place.column && other.offset == offset);
        gaps.extend((0..place.step).filter(|offset| !taken(*offset)).map(|offset| (place.column, offset as i32)));
    }
    gaps
}

#[test]
fn no_gate_reads_a_late_cell_that_is_nothings() {
    // They are committed behind the challenges and determined by nothing.
    let mut seen = BTreeSet::new();
    for (name, shape) in shapes() {
        let (meta, config) = system_of(&shape);
        for (column, offset) in gaps(&shape, &config) {
            for (queried, rotation) in meta.advice_queries() {
                let step = shape.height as i32;
                let reads = *queried == column && (rotation.0 - offset).rem_euclid(step) == 0;
                assert!(!reads, "{name}: {column:?} is read at {rotation:?}");
            }
            seen.insert(shape.height);
        }
    }
    assert_eq!(seen, [2, 4].into(), "both heights leave such cells");
    for height in [2, 4] {
        let what = order_refusal(height, |meta, config| {
            let (column, offset) = gaps(&config.shape, config)[0];
            meta.create_gate("gap", |cells| vec![cells.query_advice(column, Rotation(offset))]);
        });
        assert_eq!(what, "the gate `gap` reads a challenge or a later phase");
    }
}

#[test]
fn a_constraint_system_without_a_determining_gate_is_refused_before_keys() {
    let case = graphs::dense(3, 4, 2, SIGNED, true);
    let mut refused = BTreeSet::new();
    for height in HEIGHTS {
        let whole = plan_with(&case.graph, |shape| shape.height = height);
        for (gate, column) in phase_order::DEFINED {
            let mut plan = (*whole).clone();
            plan.shape.omitted = Some(gate);
            match ModelCircuit::for_keys(&case.graph, Arc::new(plan)) {
                Err(CircuitError::PhaseOrder { what }) => {
                    assert_eq!(what, format!("no gate determines {column:?}"));
                    refused.insert(gate);
                }
                // There is a helper in the widest shape alone.
                other => assert!(other.is_ok() && column == A::Helper && height > 1, "{gate}: {other:?}"),
            }
        }
    }
    assert_eq!(refused, phase_order::DEFINED.into_iter().map(|(gate, _)| gate).collect());
}

#[test]
fn every_factor_of_the_weight_unit_is_a_copy_of_what_is_determined_before_it() {
    for case in graphs::all().into_iter().chain([network()]).chain(stacked()) {
        let layout = honest(&case).layout;
        let reads =
            |row: &usize| [F::WeightEnd, F::DotLoad, F::DotScale].iter().any(|selector| layout.on(*selector, *row));
        let reading: Vec<usize> = (0..layout.rows()).filter(reads).collect();
        let copied: Vec<usize> = layout.x_sources.iter().map(|(row, _)| *row).collect();
        assert_eq!(reading, copied, "{}: each factor is copied, once", case.name);
        for (row, source) in &layout.x_sources {
            let determined = match source.column {
                // A cell of the first phase, which holds a value.
                A::P | A::Q | A::Acc | A::Y => source.row < layout.value_rows,
                // An evaluation of such.
                A::ValueAcc | A::Track => source.row < layout.value_rows,
                // What the rows above have summed, so that no factor depends on itself.
                A::Dot => source.row < *row,
                _ => false,
            };
            assert!(determined, "{}: row {row} multiplies {source:?}", case.name);
            let copy = (*source, Cell { column: A::X, row: *row });
            assert!(layout.copies.contains(&copy), "{}: row {row}", case.name);
        }
        // What else is copied behind the challenges is the two sides of an identity.
        for (left, right) in
            layout.copies.iter().filter(|(left, right)| left.column.is_late() || right.column.is_late())
        {
            let side = |cell: &Cell| matches!(cell.column, A::ValueAcc | A::Dot);
            let factor = right.column == A::X && left.column != A::X;
            assert!(factor || (side(left) && right.column == A::Dot), "{}: {left:?}, {right:?}", case.name);
        }
        assert!(layout.instances.iter().all(|cell| !cell.column.is_late()), "{}", case.name);
    }
}

#[test]
fn a_late_column_that_is_determined_by_a_cell_that_is_nothings_is_refused_before_keys() {
    let case = graphs::dense(3, 4, 2, SIGNED, true);
    for height in [2, 4] {
        for (gate, column) in phase_order::DEFINED.into_iter().filter(|(_, column)| *column != A::Helper) {
            let mut shape = plan_with(&case.graph, |shape| shape.height = height).shape.clone();
            shape.omitted = Some(gate);
            let (mut meta, config) = system_of(&shape);
            let (gap, offset) = gaps(&shape, &config)[0];
            meta.create_gate(gate, |cells| vec![cells.query_advice(gap, Rotation(offset))]);
            let refused = phase_order::check(&meta, &config);
            assert!(
                matches!(refused, Err(CircuitError::PhaseOrder { .. })),
                "{column:?} at height {height}: {refused:?}"
            );
        }
    }
}

#[test]
fn no_gate_exceeds_the_degree_that_halo2_silently_caps() {
    for (name, shape) in shapes() {
        let (meta, _) = system_of(&shape);
        let degree =
            |gate: &halo2_proofs::plonk::Gate<Fr>| gate.polynomials().iter().map(Expression::degree).max().unwrap_or(0);
        for gate in meta.gates() {
            assert!(degree(gate) <= 5, "{name}: {} has degree {}", gate.name(), degree(gate));
        }
        assert_eq!(meta.degree(), meta.gates().iter().map(degree).max().unwrap(), "{name}");
    }
}

/// Steps of the pre-activations of eight outputs that cancel at MockProver's first challenge `r`:
/// `sum_o STEPS[o] r^(7-o) = 0`. Found by lattice reduction.
const STEPS: [i128; 8] =
    [650_952_674, -29_731_536, -995_927_835, -1_079_169_225, -104_760_512, 66_110_142, -874_715_040, 970_384_384];

/// The same for eight positions and the second challenge `s`.
const POSITION_STEPS: [i128; 8] = [
    1_059_049_571,
    1_979_709_973,
    662_942_667,
    1_050_636_255,
    -1_039_751_401,
    1_093_829_566,
    -281_922_857,
    -839_144_451,
];

/// Adds steps to the pre-activations of the last eight rows of a layer.
struct Cancelling {
    rows: std::ops::Range<usize>,
    steps: [i128; 8],
}

impl Hints for Cancelling {
    fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
        if site.gadget == "signed" && self.rows.contains(&site.row) {
            let half = 1 << 15;
            let shifted = ((hint[0] - half) << 16) + hint[1] + self.steps[site.row - self.rows.start];
            let value = shifted >> 16;
            hint.copy_from_slice(&[value + half, shifted & 0xffff, value]);
        }
    }

    fn is_adversary(&self) -> bool {
        true
    }
}

/// Requires that MockProver takes a false statement for true, and that the verifier does not.
fn assert_fools_the_mock_prover_alone(case: &Case, forged: &ModelCircuit) {
    let truth = ModelCircuit::with_witness(&case.graph, Arc::clone(&forged.plan), &case.inputs).unwrap();
    let (true_statement, statement) = (claimed(&truth), claimed(forged));
    let ports = case.graph.inputs.iter().zip(&case.inputs);
    let words: usize = ports.map(|(port, values)| port.packing.pack(values).unwrap().len()).sum();
    assert_eq!(true_statement[..=words], statement[..=words], "{}: the inputs are the true ones", case.name);
    assert_ne!(true_statement, statement, "{}: the outputs are not", case.name);
    check(forged, statement.clone()).expect("MockProver is fooled");
    let keys = Keys::new(&case.graph, &forged.plan);
    assert!(!keys.convinces(forged, &statement), "{}: the verifier is not", case.name);
    assert!(keys.convinces(&truth, &true_statement), "{}: it accepts the truth", case.name);
}

/// Plans at each height, with the weights in each place: with private ones other weights would explain other outputs.
fn plans_of(case: &Case) -> Vec<Arc<CircuitPlan>> {
    let places = [WeightPlacement::Private, WeightPlacement::Public].into_iter();
    let all = places.flat_map(|weights| HEIGHTS.map(|height| (weights, height)));
    all.map(|choice| plan_with(&case.graph, |shape| (shape.weights, shape.height) = choice)).collect()
}

/// The last eight outputs of a case moved by steps that cancel.
fn cancelling(case: &Case, plan: &Arc<CircuitPlan>, steps: [i128; 8]) -> ModelCircuit {
    let last = last_site(case, "signed").row;
    let mut hints = Cancelling { rows: last - 7..last + 1, steps };
    ModelCircuit::with_hints(&case.graph, Arc::clone(plan), &case.inputs, &mut hints).unwrap()
}

fn assert_cancels(steps: [i128; 8], challenge: Fr) {
    let sum = steps.iter().fold(Fr::ZERO, |sum, step| sum * challenge + field(*step));
    assert_eq!(sum, Fr::ZERO, "the steps cancel at MockProver's challenge; find others if it has changed");
}

/// A layer whose true values are small.
fn small_layer(name: &'static str, rows: usize, width: usize) -> Case {
    let mut draft = Draft::new(name);
    let x = draft.input(3 * rows, 16);
    let weight = draft.param(graphs::weights(3 * width, 100));
    let op = IntOp::Linear {
        shape: LinearShape::Dense { rows, inner: 3 },
        width,
        weight,
        bias: None,
        rescale: Rescale { shift: 12, kind: SIGNED },
    };
    let y = draft.node(op, &[x], rows * width);
    Case { name, graph: draft.output(y), inputs: vec![graphs::weights(3 * rows, 100)] }
}

#[test]
fn outputs_that_cancel_at_the_mock_challenge_are_refused_by_the_verifier() {
    let case = small_layer("eight_outputs", 1, 8);
    assert_cancels(STEPS, mock_challenges(&honest(&case)).outputs);
    for plan in plans_of(&case) {
        assert_fools_the_mock_prover_alone(&case, &cancelling(&case, &plan, STEPS));
    }
}

/// A product of two computed matrices whose true values are small, by an identity.
fn small_product() -> Case {
    let op = IntOp::MatMul { rows: 8, inner: 3, cols: 1, rescale: Rescale { shift: 12, kind: SIGNED } };
    graphs::binary("eight_rows", op, graphs::weights(24, 100), graphs::weights(3, 100), 8)
}

#[test]
fn positions_that_cancel_at_the_mock_challenge_are_refused_by_the_verifier() {
    // Products of polynomials in s: of the rows with the weights, and of one matrix with another.
    for case in [small_layer("eight_positions", 8, 1), small_product()] {
        let truth = honest(&case);
        assert_cancels(POSITION_STEPS, mock_challenges(&truth).positions);
        let last = last_site(&case, "signed").row;
        assert!((last - 7..=last).all(|row| truth.layout.on(F::Value, row)), "{}: falling exponents", case.name);
        assert!((last - 6..=last).all(|row| truth.layout.on(F::ValuePosition, row)), "{}", case.name);
        for plan in plans_of(&case) {
            assert_fools_the_mock_prover_alone(&case, &cancelling(&case, &plan, POSITION_STEPS));
        }
    }
}

#[test]
fn slack_that_makes_up_for_an_output_at_the_mock_challenge_is_refused_by_the_verifier() {
    // At one point of s a coefficient that no output stands for can be worth any output: it is committed before.
    for case in convolutions().into_iter().take(3) {
        let site = *sites(&case).iter().rfind(|site| site.gadget == "slack").unwrap();
        let output = forge(&case, last_site(&case, "signed"), |hint| {
            hint[0] += 1;
            hint[2] += 1;
        });
        let (forged, s) = (output.unwrap(), mock_challenges(&honest(&case)).positions);
        let above = last_site(&case, "signed").row;
        // Both belong to the last output, whose evaluation is the last: so many powers of s lie between.
        let (top, bottom) = (above.min(site.row), above.max(site.row));
        let between: u64 = (top + 1..=bottom)
            .map(|row| {
                u64::from(forged.layout.on(F::ValuePosition, row))
                    + 3 * u64::from(forged.layout.on(F::SlackTriple, row))
            })
            .sum();
        let power = s.pow_vartime([between]);
        let factor = if above < site.row { power } else { power.invert().unwrap() };
        let forged = edited(&forged, |layout| layout.advice[A::Y as usize][site.row] -= factor * field(1 << 16));
        for height in HEIGHTS {
            assert_fools_the_mock_prover_alone(&case, &at_height(&case, &forged, height));
        }
    }
}

#[test]
fn counts_that_cancel_at_the_mock_challenge_are_refused_by_the_verifier() {
    // A negative remainder, made up for by a count that only that challenge needs.
    let case = graphs::all().into_iter().find(|case| case.name == "add_rounded").unwrap();
    let site = last_site(&case, "signed");
    let forged = forge(&case, site, |hint| {
        hint[0] += 1;
        hint[1] -= 1 << 16;
        hint[2] += 1;
    })
    .unwrap();
    let alpha = mock_challenges(&forged).lookup;
    let limb = field(i128::from(forged.layout.limbs[site.row][3]));
    let count = (alpha + Fr::from(7)) * (alpha + limb).invert().unwrap();
    let forged = with_multiplicities(&forged, move |counts| counts[7] += count);
    for height in HEIGHTS {
        assert_fools_the_mock_prover_alone(&case, &at_height(&case, &forged, height));
    }
}

#[test]
fn a_tuple_that_holds_at_the_mock_challenges_is_refused_by_the_verifier() {
    // Where the low byte is zero the slope is worth nothing but what it adds to the tuple.
    let mut case = graphs::all().into_iter().find(|case| case.name == "function").unwrap();
    let last = case.inputs[0].len() - 1;
    case.inputs[0][last] = 0;
    let site = last_site(&case, "function");
    let forged = forge(&case, site, |hint| {
        assert_eq!(hint[..2], [0, 128]);
        hint[2] += 5;
    })
    .unwrap();
    let challenges = mock_challenges(&forged);
    let slope = challenges.value * challenges.slope.invert().unwrap() * field(-5);
    let forged = edited(&forged, |layout| layout.advice[A::Y as usize][site.row] += slope);
    let row = forged.layout.point_row(1, 128);
    let forged = with_multiplicities(&forged, move |counts| counts[row] += Fr::ONE);
    for height in HEIGHTS {
        assert_fools_the_mock_prover_alone(&case, &at_height(&case, &forged, height));
    }
}
