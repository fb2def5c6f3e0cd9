//! Hints forged one at a time at every gadget, with everything behind them consistent and the
//! statement adapted to the forged outputs: each is refused, at the constraint that is there for it.

use halo2_proofs::halo2curves::bn256::Fr;
use vouch_graph::int::{IntOp, Rescale};

use super::{
    attack::{
        cell_value, claimed, edited, failures, failures_near, forge, honest, is_linear, last_site, same_advice, sites,
        with_cell, with_second_phase,
    },
    check,
    graphs::{self, Case, Draft, SIGNED},
    network::network,
};
use crate::{
    AdviceColumn as A, ModelCircuit,
    gadget::rescale::SHIFT,
    layout::{Cell, field},
};

/// Sites attacked in each graph, spread over its rows.
const SITES: usize = 5;
const DIVISOR: i128 = 1 << SHIFT;

/// Where a forgery has to fail.
#[derive(Clone, Copy)]
enum At {
    /// At the named gate.
    Gate(&'static str),
    /// Where the accumulator meets its rescale: a gate, or in a linear layer the identity, whose
    /// two sides are tied by a copy constraint.
    Rescale,
}

/// Two functions over one input, so that one's points can be offered for the other's.
fn two_functions() -> Case {
    let mut draft = Draft::new("two_functions");
    let rescale = Rescale { shift: 8, kind: SIGNED };
    let x = draft.input(4, 16);
    let function = |name: &str, table| IntOp::Function { name: name.to_owned(), table, rescale };
    let first = draft.node(function("first", graphs::table()), &[x], 4);
    let second = draft.node(function("second", other_table()), &[x], 4);
    let sum = draft.node(IntOp::Add { ca: 1, cb: 1, c: 0, rescale: Rescale::EXACT }, &[first, second], 4);
    Case { name: "two_functions", graph: draft.output(sum), inputs: vec![vec![-32768, -3, 100, 32767]] }
}

/// Differs from [`graphs::table`] at every point.
fn other_table() -> Vec<i64> {
    graphs::table().iter().map(|point| point + 7).collect()
}

/// Forges at sites of `gadget` in every graph and requires the refusal.
fn everywhere(gadget: &str, at: At, change: impl Fn(&Case, &mut [i128])) {
    let mut forged = 0;
    for case in graphs::all().into_iter().chain([two_functions(), network()]) {
        let all: Vec<_> = sites(&case).into_iter().filter(|site| site.gadget == gadget).collect();
        let Some(last) = all.len().checked_sub(1) else { continue };
        let untouched = honest(&case);
        let mut chosen: Vec<usize> = (0..SITES).map(|i| i * last / (SITES - 1)).collect();
        chosen.dedup();
        for site in chosen.into_iter().map(|i| all[i]) {
            let Some(circuit) = forge(&case, site, |hint| change(&case, hint)) else { continue };
            assert!(!same_advice(&circuit.layout, &untouched.layout), "{}: {site:?} changed nothing", case.name);
            let expected = match at {
                At::Gate(name) => name,
                At::Rescale if is_linear(&circuit.layout, site.row) => "copy",
                At::Rescale => "rescale",
            };
            let failed = failures_near(&circuit, &claimed(&circuit), site.row);
            assert!(failed.contains(expected), "{}: {site:?}: expected {expected}, failed: {failed:?}", case.name);
            forged += 1;
        }
    }
    assert!(forged > 0, "no site of {gadget} was forged");
}

#[test]
fn signed_rescale_rejects_a_negative_remainder() {
    everywhere("signed", At::Gate("lookup ends"), |_, hint| {
        hint[0] += 1;
        hint[1] -= DIVISOR;
        hint[2] += 1;
    });
}

#[test]
fn signed_rescale_rejects_a_remainder_beyond_the_divisor() {
    everywhere("signed", At::Gate("lookup ends"), |_, hint| {
        hint[0] -= 1;
        hint[1] += DIVISOR;
        hint[2] -= 1;
    });
}

#[test]
fn signed_rescale_rejects_a_remainder_equal_to_the_divisor() {
    // Halves round up, so an accumulator of -2^15 leaves remainder zero.
    let mut draft = Draft::new("half");
    let x = draft.input(1, 16);
    let rescale = Rescale { shift: 1, kind: SIGNED };
    let y = draft.node(IntOp::Affine { scale: vec![1], offset: vec![0], rescale }, &[x], 1);
    let case = Case { name: "half", graph: draft.output(y), inputs: vec![vec![-1]] };
    let site = last_site(&case, "signed");
    let circuit = forge(&case, site, |hint| {
        assert_eq!(hint[1..], [0, 0], "the remainder and the rounded half are zero");
        hint[0] -= 1;
        hint[1] = DIVISOR;
        hint[2] -= 1;
    })
    .unwrap();
    assert_eq!(circuit.outputs(), [[-1]]);
    assert_eq!(failures(&circuit, &claimed(&circuit)), ["lookup ends".to_owned()].into());
}

#[test]
fn signed_rescale_rejects_a_quotient_that_wraps_the_modulus() {
    // One more in the remainder and 2^-16 less in the quotient is the same accumulator in the field.
    let mut draft = Draft::new("wrap");
    let x = draft.input(1, 16);
    let rescale = Rescale { shift: 4, kind: SIGNED };
    let y = draft.node(IntOp::Affine { scale: vec![3], offset: vec![0], rescale }, &[x], 1);
    let case = Case { name: "wrap", graph: draft.output(y), inputs: vec![vec![1000]] };
    let row = last_site(&case, "signed").row;
    let fraction = Fr::from(1 << SHIFT).invert().unwrap();
    let circuit = edited(&honest(&case), |layout| {
        layout.limbs[row][2] += 1;
        for (column, at) in [(A::Y, row), (A::P, row + 1), (A::Acc, row + 1)] {
            layout.advice[column as usize][at] -= fraction;
        }
    });
    let old = cell_value(&circuit.layout, Cell { column: A::Abs0, row });
    let circuit = with_second_phase(&with_cell(&circuit, A::Abs0, row, old - fraction), move |columns, challenges| {
        let term = |value: Fr| (challenges.lookup + value).invert().unwrap();
        let delta = term(old - fraction) - term(old);
        columns.column_mut(A::Helper0)[row] += delta;
        columns.column_mut(A::Sum)[row + 1..].iter_mut().for_each(|sum| *sum += delta);
    });
    assert_eq!(claimed(&circuit)[2], claimed(&honest(&case))[2] - fraction, "the output is no integer");
    assert_eq!(failures(&circuit, &claimed(&circuit)), ["lookup ends".to_owned()].into());
    assert_eq!(field(1), fraction * field(DIVISOR));
}

#[test]
fn signed_rescale_rejects_another_quotient() {
    for by in [1, -1, 256] {
        everywhere("signed", At::Rescale, |_, hint| {
            hint[0] += by;
            hint[2] += by;
        });
    }
}

#[test]
fn signed_rescale_rejects_another_remainder() {
    everywhere("signed", At::Rescale, |_, hint| hint[1] ^= 1);
}

#[test]
fn signed_rescale_rejects_a_value_that_is_not_its_quotient() {
    everywhere("signed", At::Gate("signed value"), |_, hint| hint[2] += 1);
    everywhere("signed", At::Gate("signed value"), |_, hint| hint[2] = -hint[2]);
}

/// `[abs, rem, y]` for the quotient one above, whichever the branch.
fn quotient_above(hint: &mut [i128]) {
    if hint[2] > 0 || hint[0] == 0 {
        hint[0] += 1;
        hint[2] += 1;
    } else {
        hint[0] -= 1;
    }
}

fn quotient_below(hint: &mut [i128]) {
    if hint[2] > 0 {
        hint[0] -= 1;
        hint[2] -= 1;
    } else {
        hint[0] += 1;
    }
}

#[test]
fn relu_rejects_a_negative_remainder() {
    everywhere("relu", At::Gate("lookup ends"), |_, hint| {
        quotient_above(hint);
        hint[1] -= DIVISOR;
    });
}

#[test]
fn relu_rejects_a_remainder_beyond_the_divisor() {
    everywhere("relu", At::Gate("lookup ends"), |_, hint| {
        quotient_below(hint);
        hint[1] += DIVISOR;
    });
}

#[test]
fn relu_rejects_another_quotient() {
    everywhere("relu", At::Rescale, |_, hint| quotient_above(hint));
    everywhere("relu", At::Rescale, |_, hint| quotient_below(hint));
}

/// The value of the other branch, with the magnitude that keeps the quotient: negative. At
/// quotient zero both branches are the same witness and there is nothing to forge.
fn other_branch(hint: &mut [i128]) {
    hint[2] -= hint[0];
    hint[0] = -hint[0];
}

#[test]
fn relu_rejects_the_other_branch() {
    everywhere("relu", At::Gate("lookup ends"), |_, hint| other_branch(hint));
}

#[test]
fn relu_rejects_a_value_between_the_branches() {
    everywhere("relu", At::Gate("relu"), |_, hint| {
        hint[0] += 2;
        hint[2] += 1;
    });
}

#[test]
fn relu_has_one_witness_at_zero() {
    let mut draft = Draft::new("zero");
    let x = draft.input(1, 16);
    let rescale = Rescale { shift: 0, kind: graphs::RELU };
    let y = draft.node(IntOp::Affine { scale: vec![1], offset: vec![0], rescale }, &[x], 1);
    let case = Case { name: "zero", graph: draft.output(y), inputs: vec![vec![0]] };
    let site = last_site(&case, "relu");
    assert!(forge(&case, site, other_branch).is_none(), "the branches are one witness");
    for y in [-1, 1, 2] {
        let circuit = forge(&case, site, |hint| hint.copy_from_slice(&[2 * y, hint[1], y])).unwrap();
        let expected = if y < 0 { vec!["lookup ends", "relu"] } else { vec!["relu"] };
        let failed = failures(&circuit, &claimed(&circuit));
        assert_eq!(failed.iter().collect::<Vec<_>>(), expected, "value {y}");
    }
}

#[test]
fn maximum_rejects_the_other_operand() {
    everywhere("max", At::Gate("lookup ends"), |_, hint| other_branch(hint));
}

#[test]
fn maximum_rejects_a_value_that_is_neither_operand() {
    everywhere("max", At::Gate("max"), |_, hint| {
        hint[0] += 2;
        hint[2] += 1;
    });
}

#[test]
fn maximum_rejects_another_difference() {
    everywhere("max", At::Rescale, |_, hint| hint[2] += 1);
    everywhere("max", At::Rescale, |_, hint| hint[0] += 1);
    everywhere("max", At::Gate("lookup ends"), |_, hint| {
        hint[0] += 1;
        hint[1] -= DIVISOR;
        hint[2] += 1;
    });
    everywhere("max", At::Gate("lookup ends"), |_, hint| {
        hint[0] += 1;
        hint[1] += DIVISOR;
    });
}

#[test]
fn bytes_that_recompose_but_leave_the_byte_range_are_rejected() {
    for low in [0, 2] {
        for by in [1, -1, 255] {
            everywhere("bytes", At::Gate("lookup ends"), |_, limbs| {
                limbs[low] += 256 * by;
                limbs[low + 1] -= by;
            });
        }
    }
}

#[test]
fn bytes_of_another_number_are_rejected() {
    for limb in 0..4 {
        everywhere("bytes", At::Rescale, |_, limbs| limbs[limb] ^= 1);
    }
}

fn point(table: &[i64], segment: i128) -> i128 {
    usize::try_from(segment).ok().and_then(|at| table.get(at).copied()).unwrap_or(0).into()
}

/// Moves a function's hint by segments, with the low byte that keeps the sum and the new
/// segment's points.
fn move_segment(hint: &mut [i128], by: i128) {
    hint[0] -= 256 * by;
    hint[1] += by;
    let table = graphs::table();
    (hint[2], hint[3]) = (point(&table, hint[1]), point(&table, hint[1] + 1));
}

#[test]
fn function_rejects_a_segment_beside_the_inputs() {
    for by in [1, -1, 128] {
        everywhere("function", At::Gate("lookup ends"), |_, hint| move_segment(hint, by));
    }
}

#[test]
fn function_rejects_the_last_point_as_a_segment() {
    everywhere("function", At::Gate("lookup ends"), |_, hint| move_segment(hint, 256 - hint[1]));
}

#[test]
fn function_rejects_a_point_beside_the_table() {
    everywhere("function", At::Gate("lookup ends"), |_, hint| hint[2] += 1);
    everywhere("function", At::Gate("lookup ends"), |_, hint| hint[3] -= 1);
}

#[test]
fn function_rejects_points_of_another_segment() {
    everywhere("function", At::Gate("lookup ends"), |_, hint| {
        let table = graphs::table();
        (hint[2], hint[3]) = (point(&table, hint[1] ^ 1), point(&table, (hint[1] ^ 1) + 1));
    });
}

#[test]
fn function_rejects_another_functions_points() {
    let case = two_functions();
    for site in sites(&case).into_iter().filter(|site| site.gadget == "function") {
        let (first, second) = (graphs::table(), other_table());
        let circuit = forge(&case, site, |hint| {
            let other = if hint[2] == point(&first, hint[1]) { &second } else { &first };
            (hint[2], hint[3]) = (point(other, hint[1]), point(other, hint[1] + 1));
        })
        .unwrap();
        assert_eq!(failures(&circuit, &claimed(&circuit)), ["lookup ends".to_owned()].into(), "{site:?}");
    }
}

#[test]
fn function_rejects_another_inputs_low_byte() {
    everywhere("function", At::Gate("function input"), |_, hint| hint[0] ^= 1);
    everywhere("function", At::Gate("function input"), |_, hint| hint[0] = 255 - hint[0]);
}

#[test]
fn division_rejects_the_quotients_beside_the_right_one() {
    for by in [1, -1, 2, -300] {
        everywhere("divide", At::Gate("lookup ends"), |_, hint| hint[0] += by);
    }
}

#[test]
fn division_by_zero_or_less_has_no_witness() {
    let mut divide = graphs::all().into_iter().find(|case| case.name == "divide").unwrap();
    for den in [0, -1, -7] {
        divide.inputs[1][3] = den;
        for y in [0, 1, -1, 32767, -32768] {
            let circuit = forge_fourth_quotient(&divide, y);
            let failed = failures(&circuit, &claimed(&circuit));
            assert_eq!(failed, ["lookup ends".to_owned()].into(), "denominator {den}, quotient {y}");
        }
    }
}

/// The witness of a division whose fourth quotient is `y`.
fn forge_fourth_quotient(case: &Case, y: i128) -> ModelCircuit {
    struct Quotient {
        seen: usize,
        y: i128,
    }
    impl crate::Hints for Quotient {
        fn adjust(&mut self, site: crate::HintSite, hint: &mut [i128]) {
            if site.gadget == "divide" {
                self.seen += 1;
                if self.seen == 4 {
                    hint[0] = self.y;
                }
            }
        }
        fn is_adversary(&self) -> bool {
            true
        }
    }
    let mut hints = Quotient { seen: 0, y };
    ModelCircuit::with_hints(&case.graph, super::plan(&case.graph), &case.inputs, &mut hints).unwrap()
}

#[test]
fn fresh_values_beyond_their_bits_are_rejected() {
    let bits = |case: &Case| case.graph.inputs[0].packing.bits;
    everywhere("fresh", At::Gate("lookup ends"), |case, hint| hint[0] = 1 << (bits(case) - 1));
    everywhere("fresh", At::Gate("lookup ends"), |case, hint| hint[0] = -(1 << (bits(case) - 1)) - 1);
    everywhere("fresh", At::Gate("lookup ends"), |case, hint| hint[0] += 1 << bits(case));
    everywhere("fresh", At::Gate("lookup ends"), |_, hint| hint[0] += 1 << 40);
}

#[test]
fn a_fresh_value_other_than_the_public_input_is_rejected() {
    for case in graphs::all() {
        let untouched = honest(&case);
        let statement = claimed(&untouched);
        check(&untouched, statement.clone()).unwrap();
        let site = sites(&case)[0];
        let circuit = forge(&case, site, |hint| hint[0] ^= 1).unwrap();
        let failed = failures(&circuit, &statement);
        assert!(failed.contains("copy"), "{}: failed: {failed:?}", case.name);
    }
}
