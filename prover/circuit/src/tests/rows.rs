//! The edges of the layout: the first row, the row that ends the lookups and what is behind it, padding lanes, rows
//! behind the weights, and what the keys depend on.

use std::{collections::BTreeSet, sync::Arc};

use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::ConstraintSystem,
};
use vouch_graph::{
    GraphError,
    int::{IntOp, Packing, Rescale, RescaleKind},
};

use super::{
    attack::{
        claimed, edited, failures, failures_near, forge, honest, last_site, plan_with, run, with_late,
        with_multiplicities,
    },
    chains::{HEIGHTS, at_height, everything},
    check,
    graphs::{self, Case, Draft, RELU, SIGNED},
    grid::{Grid, moved_lookups},
    plan,
    prove::Keys,
};
use crate::{
    AdviceColumn as A, CircuitError, FixedColumn as F, ModelCircuit, VouchConfig,
    layout::{Blank, Cell, field},
};

#[test]
fn the_row_that_ends_the_sum_holds_no_value_no_weight_no_lookup_and_no_table_entry() {
    for case in everything() {
        let circuit = honest(&case);
        for height in HEIGHTS {
            let circuit = at_height(&case, &circuit, height);
            let (layout, last) = (&circuit.layout, circuit.run());
            let (end, usable) = (last * height, circuit.plan.usable_rows);
            assert!(end + height <= usable, "{}: the row is whole", case.name);
            assert!(layout.rows() <= last && layout.limbs.len() <= last, "{}", case.name);
            for (kind, column) in F::ALL.into_iter().zip(&layout.fixed) {
                assert!(column.len() <= last, "{}: {kind:?}", case.name);
            }
            assert!(layout.x_sources.iter().all(|(row, _)| *row < last), "{}", case.name);
            assert!(layout.table_rows() <= end, "{}: the table ends before", case.name);
            // What the key says, and no gate reads a blinding cell: it would fail.
            let (prover, challenges) = run(&circuit, &claimed(&circuit));
            let config = VouchConfig::configure(&mut ConstraintSystem::default(), circuit.plan.shape.clone());
            let fixed = |kind| {
                let cells = prover.fixed_values(config.fixed(kind).unwrap().column);
                cells.iter().map(|cell| match cell {
                    halo2_proofs::dev::CellValue::Assigned(value) => *value,
                    _ => Fr::ZERO,
                })
            };
            for (row, base) in fixed(F::Base).enumerate() {
                let begins = row % height == 0 && row <= end;
                let expected = u64::from(begins) + u64::from(row == 0 || row == end);
                assert_eq!(base, Fr::from(expected), "{}: row {row}", case.name);
            }
            for (row, number) in fixed(F::Table).enumerate() {
                assert_eq!(number != Fr::ZERO, row < end, "{}: row {row}", case.name);
            }
            let grid = Grid::new(&prover, &circuit.plan.shape, &challenges);
            for row in 0..usable {
                assert_eq!(grid.failures(row), BTreeSet::new(), "{}: row {row} at height {height}", case.name);
            }
        }
    }
}

/// An output one too large with a negative remainder.
fn negative_remainder() -> (Case, ModelCircuit) {
    let case = graphs::all().into_iter().find(|case| case.name == "add_rounded").unwrap();
    let forged = forge(&case, last_site(&case, "signed"), |hint| {
        hint[0] += 1;
        hint[1] -= 1 << 16;
        hint[2] += 1;
    });
    (case, forged.unwrap())
}

/// Rows of the circuit from the end of the sum on.
fn rows_behind(circuit: &ModelCircuit) -> std::ops::Range<usize> {
    circuit.run() * circuit.plan.shape.height..circuit.plan.usable_rows
}

#[test]
fn nothing_on_the_row_that_ends_the_sum_or_behind_it_makes_up_for_a_missing_limb() {
    let (case, forged) = negative_remainder();
    let refused_by = |circuit: &ModelCircuit, by: &str| {
        let height = circuit.plan.shape.height;
        assert_eq!(failures(circuit, &claimed(circuit)), [by.to_owned()].into(), "height {height}");
    };
    for height in HEIGHTS {
        let forged = at_height(&case, &forged, height);
        assert_ne!(claimed(&forged), claimed(&honest(&case)));
        refused_by(&forged, "lookup ends");
        let (behind, last) = (rows_behind(&forged), forged.run());
        let end = behind.start;
        let mut attempts = vec![forged.clone()];
        for row in behind.clone() {
            for count in [Fr::ONE, -Fr::ONE] {
                let counted = with_multiplicities(&forged, move |counts| {
                    counts.resize(counts.len().max(row + 1), Fr::ZERO);
                    counts[row] = count;
                });
                refused_by(&counted, "lookup ends");
                attempts.push(counted);
            }
            // Whatever the sum lacks, in the helper or in the sum itself.
            for column in [A::Helper, A::Sum] {
                if forged.plan.shape.advice().all(|kind| kind != column) {
                    continue;
                }
                let helped = with_late(&forged, move |columns, _| {
                    let sum = columns.column(A::Sum)[end];
                    let cells = columns.column_mut(column);
                    cells.resize(cells.len().max(row + 1), Fr::ZERO);
                    cells[row] -= sum;
                });
                refused_by(&helped, if (column, row) == (A::Sum, end) { "lookup sum" } else { "lookup ends" });
                attempts.push(helped);
            }
        }
        // The limb that the table lacks, the other way round, and zeros that are none.
        let missing = forged.layout.limbs[last_site(&case, "signed").row][3];
        for limbs in [[0, 0, 0, -missing], [1, 2, 3, 4], [missing; 4]] {
            let limbs = edited(&forged, |layout| {
                layout.limbs.resize(last + 1, [0; 4]);
                layout.limbs[last] = limbs;
            });
            refused_by(&limbs, "lookup ends");
            attempts.push(limbs);
        }
        let keys = Keys::new(&case.graph, &forged.plan);
        let step = (attempts.len() / 5).max(1);
        for circuit in attempts.into_iter().step_by(step) {
            assert!(!keys.convinces(&circuit, &claimed(&circuit)), "height {height}");
        }
    }
}

#[test]
fn a_sum_that_begins_elsewhere_than_at_zero_is_rejected() {
    let (case, forged) = negative_remainder();
    for height in HEIGHTS {
        let shifted = with_late(&at_height(&case, &forged, height), |columns, _| {
            let end = *columns.column(A::Sum).last().unwrap();
            columns.column_mut(A::Sum).iter_mut().for_each(|sum| *sum -= end);
        });
        assert_eq!(failures(&shifted, &claimed(&shifted)), ["lookup ends".to_owned()].into(), "height {height}");
    }
}

#[test]
fn a_sum_that_skips_a_row_or_jumps_on_one_is_rejected() {
    // On the first row of a logical row, on its others, and on the last that the sum runs over.
    let (case, forged) = negative_remainder();
    for height in HEIGHTS {
        let forged = at_height(&case, &forged, height);
        let end = rows_behind(&forged).start;
        for at in [1, 2, 3, 4, end / 2, end - 1, end] {
            let closed = with_late(&forged, move |columns, _| {
                let sum = columns.column(A::Sum)[end];
                columns.column_mut(A::Sum)[at..].iter_mut().for_each(|cell| *cell -= sum);
            });
            let failed = failures(&closed, &claimed(&closed));
            assert_eq!(failed, ["lookup sum".to_owned()].into(), "row {at} at height {height}");
        }
    }
}

#[test]
fn limbs_of_rows_that_compute_nothing_are_looked_up() {
    // A row between the values and the end of the sum, with the argument adapted to what it holds.
    let case = graphs::dense(1, 4, 1, RELU, false);
    for height in HEIGHTS {
        let circuit = at_height(&case, &honest(&case), height);
        for row in [circuit.layout.value_rows, circuit.run() - 1] {
            for column in circuit.plan.shape.limbs() {
                let limb = Cell { column, row };
                for (number, listed) in [(7, true), (255, true), (256, false), (-1, false)] {
                    let at = A::ALL.iter().position(|kind| *kind == column).unwrap() - A::Abs0 as usize;
                    let changed = edited(&circuit, |layout| {
                        layout.limbs.resize(row + 1, [0; 4]);
                        layout.limbs[row][at] = number;
                    });
                    let unadapted = failures(&changed, &claimed(&changed));
                    let expected = ["lookup helper", "lookup sum"].map(str::to_owned);
                    assert!(unadapted.len() == 1 && unadapted.is_subset(&expected.into()), "{limb:?}: {unadapted:?}");
                    let counted = with_multiplicities(&changed, move |counts| {
                        counts[0] -= Fr::ONE;
                        if let Some(count) = usize::try_from(number).ok().filter(|_| listed) {
                            counts[count] += Fr::ONE;
                        }
                    });
                    let before = edited(&circuit, |layout| layout.limbs.resize(row + 1, [0; 4]));
                    let new = field(number.into());
                    let adapted = with_late(&counted, move |columns, challenges| {
                        for (cell, delta) in moved_lookups(&before, limb, Fr::ZERO, new, challenges) {
                            columns.column_mut(cell.column)[cell.row] += delta;
                        }
                    });
                    let failed = failures(&adapted, &claimed(&adapted));
                    let expected = if listed { [].into() } else { ["lookup ends".to_owned()].into() };
                    assert_eq!(failed, expected, "{limb:?} holds {number} at height {height}");
                }
            }
        }
    }
}

#[test]
fn what_stands_behind_the_sum_says_nothing() {
    // Reviewed: the rows are behind the sum, so their helpers, limbs and counts are as free as blinding.
    let mut helpers = BTreeSet::new();
    for name in ["dense", "function"] {
        let case = graphs::all().into_iter().find(|case| case.name == name).unwrap();
        for height in HEIGHTS {
            let circuit = at_height(&case, &honest(&case), height);
            let (behind, last) = (rows_behind(&circuit), circuit.run());
            let changed = edited(&circuit, |layout| {
                layout.limbs.resize(last + 1, [0; 4]);
                layout.limbs[last] = [300, 5, -1, 7];
            });
            let rows = behind.clone();
            let changed = with_multiplicities(&changed, move |counts| {
                counts.resize(rows.end, Fr::ZERO);
                counts[rows.clone()].iter_mut().for_each(|count| *count = Fr::from(5));
            });
            let helper = circuit.plan.shape.advice().any(|kind| kind == A::Helper);
            if helper {
                helpers.insert((name, height));
            }
            let changed = with_late(&changed, move |columns, _| {
                for (column, first) in [(A::Helper, behind.start), (A::Sum, behind.start + 1)] {
                    let cells = columns.column_mut(column);
                    if column == A::Sum || helper {
                        cells.resize(behind.end, Fr::ZERO);
                        cells[first..].iter_mut().for_each(|cell| *cell = Fr::from(5));
                    }
                }
            });
            check(&changed, claimed(&circuit)).unwrap();
        }
    }
    assert_eq!(helpers, [("dense", 1), ("function", 1), ("function", 2)].into());
}

#[test]
fn accumulators_of_rows_that_compute_nothing_are_zero() {
    let case = graphs::dense(3, 4, 2, SIGNED, true);
    let columns = [
        (A::WeightAcc, "weight evaluation"),
        (A::Dot, "dot product"),
        (A::ValueAcc, "value evaluation"),
        (A::Track, "track"),
    ];
    for height in HEIGHTS {
        let circuit = at_height(&case, &honest(&case), height);
        let last = circuit.run();
        for row in [circuit.layout.rows(), (circuit.layout.rows() + last) / 2, last] {
            for (column, gate) in columns {
                let changed = with_late(&circuit, move |late, _| {
                    late.column_mut(column).resize(last + 1, Fr::ZERO);
                    late.column_mut(column)[row] = Fr::from(5);
                });
                let failed = failures_near(&changed, &claimed(&circuit), row);
                assert_eq!(failed, [gate.to_owned()].into(), "{column:?} on row {row} at height {height}");
            }
            let changed = edited(&circuit, |layout| {
                layout.advice[A::Acc as usize].resize(last + 1, Fr::ZERO);
                layout.advice[A::Acc as usize][row] = Fr::from(5);
            });
            let failed = failures_near(&changed, &claimed(&circuit), row);
            assert_eq!(failed, ["accumulator".to_owned()].into(), "row {row} at height {height}");
            // Reviewed: nothing reads a factor where no weights end and nothing is loaded or scaled.
            let changed = with_late(&circuit, move |late, _| {
                late.column_mut(A::X).resize(last + 1, Fr::ZERO);
                late.column_mut(A::X)[row] = Fr::from(5);
            });
            check(&changed, claimed(&circuit)).unwrap();
        }
    }
}

/// A layer of five outputs at each height, on three lanes, with one padding lane in front of each row of weights,
/// and on four, with three.
fn padded(kind: RescaleKind, inputs: Option<&[i64]>) -> Vec<(Case, ModelCircuit)> {
    let choices = HEIGHTS.into_iter().flat_map(|height| [3, 4].map(|lanes| (height, lanes)));
    let circuit = |(height, lanes)| {
        let mut case = graphs::dense(1, 6, 5, kind, true);
        if let Some(inputs) = inputs {
            case.inputs[0] = inputs.to_vec();
        }
        let plan = plan_with(&case.graph, |shape| (shape.height, shape.weight_lanes) = (height, lanes));
        let circuit = ModelCircuit::with_witness(&case.graph, plan, &case.inputs).unwrap();
        (case, circuit)
    };
    choices.map(circuit).collect()
}

/// Lanes in front of the first weight of a row of the matrix.
fn padding(circuit: &ModelCircuit) -> usize {
    let lanes = circuit.plan.shape.weight_lanes;
    5usize.next_multiple_of(lanes) - 5
}

#[test]
fn the_number_of_lanes_does_not_change_the_outputs() {
    for (case, wide) in padded(RELU, None) {
        check(&wide, claimed(&wide)).unwrap();
        assert_eq!(wide.outputs(), honest(&case).outputs());
    }
}

#[test]
fn a_weight_in_a_padding_lane_is_rejected() {
    for (_, circuit) in padded(RELU, None) {
        let (layout, height) = (&circuit.layout, circuit.plan.shape.height);
        for row in (0..layout.weight_rows).filter(|row| !layout.on(F::WeightContinue, *row)) {
            for lane in 0..padding(&circuit) {
                let zero = circuit.plan.shape.weight_offset();
                assert_eq!(i128::from(layout.lanes[lane][row]), zero, "row {row} is padded");
                let changed = edited(&circuit, |layout| layout.lanes[lane][row] += 3);
                let failed = failures(&changed, &claimed(&changed));
                assert_eq!(failed, ["copy".to_owned()].into(), "lane {lane} of row {row} at height {height}");
            }
        }
    }
}

#[test]
fn padding_that_cancels_between_rows_reaches_no_output() {
    // Reviewed: padding multiplies powers of the challenge beyond the outputs', so it can only
    // cancel with other padding, and the outputs stay what they are.
    for (_, circuit) in padded(SIGNED, Some(&[4, 4, 1, 2, 3, 5])) {
        let height = circuit.plan.shape.height;
        for lane in 0..padding(&circuit) {
            let changed = edited(&circuit, |layout| {
                layout.lanes[lane][0] += 9;
                layout.lanes[lane][2] -= 9;
            });
            check(&changed, claimed(&circuit)).unwrap();
            let forged = edited(&changed, |layout| layout.lanes[padding(&circuit)][0] += 1);
            let failed = failures(&forged, &claimed(&forged));
            assert_eq!(failed, ["copy".to_owned()].into(), "lane {lane} at height {height}");
            // Padding that would make up for an output, were its power of the challenge an output's.
            let output = output_above(&changed);
            for by in [1i64 << 16, -(1 << 16), 1, -1] {
                let forged = edited(&output, |layout| {
                    layout.lanes[lane][0] = layout.lanes[lane][0].wrapping_add_signed(by);
                });
                let failed = failures(&forged, &claimed(&forged));
                assert_eq!(failed, ["copy".to_owned()].into(), "lane {lane} at height {height}");
            }
        }
    }
}

/// The last output of a layer one too large, with all that follows from it.
fn output_above(circuit: &ModelCircuit) -> ModelCircuit {
    let layout = &circuit.layout;
    let row = (0..layout.value_rows).rfind(|row| layout.on(F::Value, *row)).unwrap();
    let copies: Vec<Cell> =
        layout.copies.iter().filter(|(left, _)| *left == Cell { column: A::Y, row }).map(|(_, copy)| *copy).collect();
    assert_eq!(copies.len(), 1, "the word of the outputs reads it");
    assert!(layout.on(F::Signed, row));
    let forged = edited(circuit, |layout| {
        let (y, limbs) = (&mut layout.advice[A::Y as usize][row], &mut layout.limbs[row]);
        *y += Fr::ONE;
        limbs[0] += 1;
        assert!(limbs[0] < 256);
        layout.advice[A::P as usize][copies[0].row] += Fr::ONE;
        let mut moved = Fr::ONE;
        for at in copies[0].row..layout.value_rows {
            if at > copies[0].row {
                moved *= field(layout.fixed(F::CoefPrev, at));
            }
            layout.advice[A::Acc as usize][at] += moved;
        }
    });
    assert_ne!(claimed(&forged), claimed(circuit));
    forged
}

#[test]
fn weights_behind_the_last_weight_row_reach_no_output() {
    // Reviewed: no selector is set there, so that their evaluation is constrained and nothing reads it.
    for (case, circuit) in padded(RELU, None) {
        let (layout, last) = (&circuit.layout, circuit.run());
        let (height, zero) = (circuit.plan.shape.height, circuit.plan.shape.weight_offset() as u64);
        for row in [layout.weight_rows, (layout.weight_rows + last) / 2, last] {
            for selector in [F::WeightEnd, F::WeightContinue, F::DotContinue, F::DotScale, F::DotLoad, F::DotOutput] {
                assert!(!layout.on(selector, row) && !layout.on(selector, row + 1), "{selector:?} on row {row}");
            }
            for lane in 0..layout.lanes.len() {
                let changed = edited(&circuit, |layout| {
                    layout.lanes[lane].resize(row + 1, zero);
                    layout.lanes[lane][row] = zero + 12345;
                });
                let failed = failures_near(&changed, &claimed(&changed), row);
                assert_eq!(failed, ["weight evaluation".to_owned()].into(), "row {row} at height {height}");
                let lanes = layout.lanes.len() as u64;
                let evaluated = with_late(&changed, move |columns, challenges| {
                    columns.column_mut(A::WeightAcc).resize(last + 1, Fr::ZERO);
                    let power = challenges.outputs.pow_vartime([lanes - 1 - lane as u64]);
                    columns.column_mut(A::WeightAcc)[row] = power * Fr::from(12345);
                });
                check(&evaluated, claimed(&circuit)).unwrap();
                let entered = with_late(&changed, move |columns, challenges| {
                    let power = challenges.outputs.pow_vartime([lanes - 1 - lane as u64]);
                    for (column, value) in [(A::WeightAcc, power * Fr::from(12345)), (A::X, Fr::ONE), (A::Dot, power)] {
                        columns.column_mut(column).resize(last + 1, Fr::ZERO);
                        columns.column_mut(column)[row] = value;
                    }
                });
                let failed = failures_near(&entered, &claimed(&entered), row);
                assert_eq!(failed, ["dot product".to_owned()].into(), "row {row} at height {height}");
            }
        }
        assert_eq!(circuit.outputs(), honest(&case).outputs());
    }
}

#[test]
fn the_keys_do_not_depend_on_the_witness() {
    for case in everything() {
        let plan = plan(&case.graph);
        let blank = ModelCircuit::for_keys(&case.graph, plan).unwrap().layout;
        let layout = honest(&case).layout;
        assert_eq!(blank.fixed, layout.fixed, "{}", case.name);
        assert_eq!(blank.copies, layout.copies, "{}", case.name);
        assert_eq!(blank.x_sources, layout.x_sources, "{}", case.name);
        assert_eq!(blank.instances, layout.instances, "{}", case.name);
        assert_eq!(blank.functions, layout.functions, "{}", case.name);
        assert_eq!(blank.limb_bits, layout.limb_bits, "{}", case.name);
        assert_eq!(blank.rows(), layout.rows(), "{}", case.name);
    }
}

#[test]
fn an_output_that_its_packing_cannot_hold_is_refused_before_keys() {
    // Otherwise a value carries into its neighbour, and the word reads as other outputs.
    let mut draft = Draft::new("narrow");
    let x = draft.input(2, 16);
    let op = IntOp::Affine { scale: vec![1], offset: vec![0], rescale: Rescale { shift: 0, kind: RELU } };
    let y = draft.node(op, &[x], 2);
    let mut graph = draft.output(y);
    let plan = plan(&graph);
    graph.outputs[0].packing = Packing::dense(15);
    let error = ModelCircuit::for_keys(&graph, Arc::clone(&plan)).unwrap_err();
    assert!(matches!(error, CircuitError::Graph(GraphError::InvalidGraph { .. })), "{error}");
    // The layout knows as well, without validation.
    let error = ModelCircuit::assemble(&graph, plan, &[vec![0; 2]], &mut Blank).unwrap_err();
    assert!(matches!(error, CircuitError::Malformed { .. }), "{error}");
}
