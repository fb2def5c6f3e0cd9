//! Hints forged one at a time at every gadget, with everything behind them consistent and the
//! statement adapted to the forged outputs: each is refused, by exactly the constraints that its row then breaks.

use std::collections::BTreeSet;

use halo2_proofs::halo2curves::bn256::Fr;
use vouch_graph::int::{IntOp, Rescale};

use super::{
    attack::{
        cell_value, claimed, edited, failures, forge, hints, honest, integer, last_site, same_advice, sites, with_cell,
        with_second_phase,
    },
    check,
    graphs::{self, Case, Draft, SIGNED},
    network::network,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, HintSite, Layout, ModelCircuit,
    gadget::rescale::SHIFT,
    layout::{Cell, field},
    second_phase::misses,
};

/// Sites attacked in each graph, spread over its rows, the first and the last included.
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

/// A looked-up value that no table has: the sum does not close.
const LOOKUP: At = At::Gate("lookup ends");

/// A site under attack and the honest rows around it.
struct Place<'a> {
    case: &'a Case,
    honest: &'a Layout,
    site: HintSite,
}

impl Place<'_> {
    /// Second operand of the row.
    fn q(&self) -> i128 {
        integer(cell_value(self.honest, Cell { column: A::Q, row: self.site.row })).unwrap()
    }

    /// Table of the row's function.
    fn table(&self) -> &[i64] {
        &self.honest.functions[self.honest.fixed(F::Tag, self.site.row) as usize - 1]
    }

    /// Bits of the case's inputs, all of one width.
    fn bits(&self) -> u32 {
        self.case.graph.inputs[0].packing.bits
    }
}

type Change<'c> = &'c dyn Fn(&Place<'_>, &mut [i128]);

/// What a forged row breaks, by its equations over the values that the layout holds. Nothing else can fail but
/// lookups and copies: what follows the row is consistent with it.
pub(super) fn broken(forged: &Layout, honest: &Layout, row: usize) -> BTreeSet<String> {
    let values = |layout: &Layout| {
        let cell = |column| cell_value(layout, Cell { column, row });
        let [abs0, abs1, rem0, rem1] = layout.limbs[row].map(|limb| field(i128::from(limb)));
        let (abs, rem) = (abs0 + abs1 * field(256), rem0 + rem1 * field(256));
        let over = if layout.on(F::Max, row) { cell(A::Y) - cell(A::Q) } else { cell(A::Y) };
        let value = if layout.on(F::Signed, row) { abs - field(1 << 15) } else { over.double() - abs };
        (abs, over, value * field(DIVISOR) + rem - field(1 << 15))
    };
    let (on, cell) = (|selector| forged.on(selector, row), |column| cell_value(forged, Cell { column, row }));
    let (abs, over, pre_activation) = values(forged);
    let branch = over * (over - abs) != field(0);
    let rescaled = on(F::Signed) || on(F::Relu) || on(F::Max);
    let [low, segment, start, end] = forged.limbs[row].map(i128::from);
    let first_phase = |cell: &Cell| !cell.column.is_second_phase();
    let torn = forged.copies.iter().filter(|(left, right)| first_phase(left) && first_phase(right));
    let torn = torn.filter(|(left, right)| cell_value(forged, *left) != cell_value(forged, *right)).count() > 0;
    [
        ("lookup ends", misses(forged)),
        ("copy", torn || (on(F::Value) && pre_activation != values(honest).2)),
        ("rescale", rescaled && !on(F::Value) && pre_activation != cell(A::Acc)),
        ("signed value", on(F::Signed) && over != abs - field(1 << 15)),
        ("relu", on(F::Relu) && branch),
        ("max", on(F::Max) && branch),
        ("function input", on(F::Function) && cell(A::P) != field(low + (segment << 8) - (1 << 15))),
        ("function value", on(F::Function) && cell(A::Acc) != field((start << 8) + (end - start) * low)),
    ]
    .into_iter()
    .filter(|(_, fails)| *fails)
    .map(|(name, _)| name.to_owned())
    .collect()
}

/// Forges at sites of `gadget` in every graph and requires each refusal, at `at` and at whatever else the forged
/// row breaks. Every site is forged by one of the changes at least, and `at` alone refuses each change
/// somewhere.
fn everywhere(gadget: &str, at: At, changes: &[Change<'_>]) {
    wherever(gadget, |_| true, at, changes);
}

/// The same at sites whose honest hint `applies`.
fn wherever(gadget: &str, applies: impl Fn(&[i128]) -> bool, at: At, changes: &[Change<'_>]) {
    let mut alone = vec![false; changes.len()];
    for case in graphs::all().into_iter().chain([network()]) {
        let of_gadget: Vec<_> = hints(&case).into_iter().filter(|(site, _)| site.gadget == gadget).collect();
        let all: Vec<_> = of_gadget.iter().filter(|(_, hint)| applies(hint)).map(|(site, _)| *site).collect();
        let Some(last) = all.len().checked_sub(1) else {
            assert!(of_gadget.is_empty(), "{}: no site of {gadget} applies", case.name);
            continue;
        };
        let untouched = honest(&case);
        let mut chosen: Vec<usize> = (0..SITES).map(|i| i * last / (SITES - 1)).collect();
        chosen.dedup();
        for site in chosen.into_iter().map(|i| all[i]) {
            let place = Place { case: &case, honest: &untouched.layout, site };
            let mut forged = 0;
            for (change, alone) in changes.iter().zip(&mut alone) {
                let Some(circuit) = forge(&case, site, |hint| change(&place, hint)) else { continue };
                assert!(!same_advice(&circuit.layout, &untouched.layout), "{}: {site:?} changed nothing", case.name);
                let named = match at {
                    At::Gate(name) => name,
                    At::Rescale if circuit.layout.on(F::Value, site.row) => "copy",
                    At::Rescale => "rescale",
                };
                let failed = failures(&circuit, &claimed(&circuit));
                assert_eq!(failed, broken(&circuit.layout, &untouched.layout, site.row), "{}: {site:?}", case.name);
                assert!(failed.contains(named), "{}: {site:?}: expected {named}, failed: {failed:?}", case.name);
                forged += 1;
                *alone |= failed.len() == 1;
            }
            assert!(forged > 0, "{}: {site:?} was not forged", case.name);
        }
    }
    for (change, alone) in alone.into_iter().enumerate() {
        assert!(alone, "{gadget}: change {change} is refused by no constraint alone");
    }
}

#[test]
fn signed_rescale_rejects_a_negative_remainder() {
    everywhere(
        "signed",
        LOOKUP,
        &[&|_, hint| {
            hint[0] += 1;
            hint[1] -= DIVISOR;
            hint[2] += 1;
        }],
    );
}

#[test]
fn signed_rescale_rejects_a_remainder_beyond_the_divisor() {
    everywhere(
        "signed",
        LOOKUP,
        &[&|_, hint| {
            hint[0] -= 1;
            hint[1] += DIVISOR;
            hint[2] -= 1;
        }],
    );
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
        everywhere(
            "signed",
            At::Rescale,
            &[&|_, hint| {
                hint[0] += by;
                hint[2] += by;
            }],
        );
    }
}

#[test]
fn signed_rescale_rejects_another_remainder() {
    everywhere("signed", At::Rescale, &[&|_, hint| hint[1] ^= 1]);
}

#[test]
fn signed_rescale_rejects_a_value_that_is_not_its_quotient() {
    everywhere("signed", At::Gate("signed value"), &[&|_, hint| hint[2] += 1, &|_, hint| hint[2] = -hint[2]]);
}

/// `[abs, rem, y]` for the quotient one above, whichever the branch; `base` is what `y` is with a negative
/// quotient.
fn quotient_above(base: i128, hint: &mut [i128]) {
    if hint[2] > base || hint[0] == 0 {
        hint[0] += 1;
        hint[2] += 1;
    } else {
        hint[0] -= 1;
    }
}

fn quotient_below(base: i128, hint: &mut [i128]) {
    if hint[2] > base {
        hint[0] -= 1;
        hint[2] -= 1;
    } else {
        hint[0] += 1;
    }
}

#[test]
fn relu_rejects_a_remainder_outside_the_divisor() {
    let negative: Change<'_> = &|_, hint| {
        quotient_above(0, hint);
        hint[1] -= DIVISOR;
    };
    let beyond: Change<'_> = &|_, hint| {
        quotient_below(0, hint);
        hint[1] += DIVISOR;
    };
    everywhere("relu", LOOKUP, &[negative, beyond]);
}

#[test]
fn relu_rejects_another_quotient() {
    everywhere("relu", At::Rescale, &[&|_, hint| quotient_above(0, hint), &|_, hint| quotient_below(0, hint)]);
}

/// The value of the other branch, with the magnitude that keeps the quotient: negative. At
/// quotient zero both branches are the same witness and there is nothing to forge.
fn other_branch(hint: &mut [i128]) {
    hint[2] -= hint[0];
    hint[0] = -hint[0];
}

/// A value off both branches, with the magnitude that keeps the quotient.
fn no_branch(hint: &mut [i128]) {
    hint[0] += 2;
    hint[2] += 1;
}

#[test]
fn relu_rejects_the_other_branch() {
    wherever("relu", |hint| hint[0] != 0, LOOKUP, &[&|_, hint| other_branch(hint)]);
}

#[test]
fn relu_rejects_a_value_between_the_branches() {
    everywhere("relu", At::Gate("relu"), &[&|_, hint| no_branch(hint)]);
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
    wherever("max", |hint| hint[0] != 0, LOOKUP, &[&|_, hint| other_branch(hint)]);
}

#[test]
fn maximum_rejects_a_value_that_is_neither_operand() {
    everywhere("max", At::Gate("max"), &[&|_, hint| no_branch(hint)]);
}

#[test]
fn maximum_rejects_another_difference() {
    let above: Change<'_> = &|place, hint| quotient_above(place.q(), hint);
    let below: Change<'_> = &|place, hint| quotient_below(place.q(), hint);
    everywhere("max", At::Rescale, &[above, below]);
}

#[test]
fn maximum_rejects_a_difference_that_a_remainder_makes_up_for() {
    let negative: Change<'_> = &|place, hint| {
        quotient_above(place.q(), hint);
        hint[1] -= DIVISOR;
    };
    let beyond: Change<'_> = &|place, hint| {
        quotient_below(place.q(), hint);
        hint[1] += DIVISOR;
    };
    everywhere("max", LOOKUP, &[negative, beyond]);
}

#[test]
fn bytes_that_recompose_but_leave_the_byte_range_are_rejected() {
    for low in [0, 2] {
        for by in [1, -1, 255] {
            everywhere(
                "bytes",
                LOOKUP,
                &[&|_, limbs| {
                    limbs[low] += 256 * by;
                    limbs[low + 1] -= by;
                }],
            );
        }
    }
}

#[test]
fn bytes_of_another_number_are_rejected() {
    for limb in 0..4 {
        everywhere("bytes", At::Rescale, &[&|_, limbs| limbs[limb] ^= 1]);
    }
}

fn point(table: &[i64], segment: i128) -> i128 {
    usize::try_from(segment).ok().and_then(|at| table.get(at).copied()).unwrap_or(0).into()
}

/// Moves a function's hint by segments, with the low byte that keeps the sum and the new
/// segment's points.
fn move_segment(place: &Place<'_>, hint: &mut [i128], by: i128) {
    hint[0] -= 256 * by;
    hint[1] += by;
    (hint[2], hint[3]) = (point(place.table(), hint[1]), point(place.table(), hint[1] + 1));
}

#[test]
fn function_rejects_a_segment_beside_the_inputs() {
    for by in [1, -1, 128] {
        everywhere("function", LOOKUP, &[&|place, hint| move_segment(place, hint, by)]);
    }
}

#[test]
fn function_rejects_the_last_point_as_a_segment() {
    everywhere("function", LOOKUP, &[&|place, hint| move_segment(place, hint, 256 - hint[1])]);
}

#[test]
fn function_rejects_a_point_beside_the_table() {
    everywhere("function", LOOKUP, &[&|_, hint| hint[2] += 1]);
    everywhere("function", LOOKUP, &[&|_, hint| hint[3] -= 1]);
}

#[test]
fn function_rejects_points_of_another_segment() {
    let change: Change<'_> = &|place, hint| {
        let other = hint[1] ^ 1;
        (hint[2], hint[3]) = (point(place.table(), other), point(place.table(), other + 1));
    };
    everywhere("function", LOOKUP, &[change]);
}

#[test]
fn function_rejects_another_functions_points() {
    let case = graphs::two_functions();
    for site in sites(&case).into_iter().filter(|site| site.gadget == "function") {
        let (first, second) = (graphs::table(), graphs::other_table());
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
    let input = At::Gate("function input");
    everywhere("function", input, &[&|_, hint| hint[0] ^= 1, &|_, hint| hint[0] = 255 - hint[0]]);
}

#[test]
fn division_rejects_the_quotients_beside_the_right_one() {
    for by in [1, -1, 2, -300] {
        everywhere("divide", LOOKUP, &[&|_, hint| hint[0] += by]);
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
    everywhere("fresh", LOOKUP, &[&|place, hint| hint[0] = 1 << (place.bits() - 1)]);
    everywhere("fresh", LOOKUP, &[&|place, hint| hint[0] = -(1 << (place.bits() - 1)) - 1]);
    everywhere("fresh", LOOKUP, &[&|place, hint| hint[0] += 1 << place.bits()]);
    everywhere("fresh", LOOKUP, &[&|_, hint| hint[0] += 1 << 40]);
}

#[test]
fn a_fresh_value_other_than_the_public_input_is_rejected() {
    for case in graphs::all() {
        let untouched = honest(&case);
        let statement = claimed(&untouched);
        check(&untouched, statement.clone()).unwrap();
        let site = sites(&case)[0];
        let circuit = forge(&case, site, |hint| hint[0] ^= 1).unwrap();
        let mut expected = broken(&circuit.layout, &untouched.layout, site.row);
        expected.insert("copy".to_owned());
        assert_eq!(failures(&circuit, &statement), expected, "{}", case.name);
    }
}
