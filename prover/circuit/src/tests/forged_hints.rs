//! Hints forged one at a time at every gadget, with everything behind them consistent and the
//! statement adapted to the forged outputs: each is refused, by exactly the constraints that its row then breaks.

use std::collections::BTreeSet;

use halo2_proofs::halo2curves::bn256::Fr;
use vouch_graph::int::{IntOp, Rescale};

use super::{
    attack::{
        cell_value, claimed, edited, failures, forge, hints, honest, integer, last_site, same_advice, sites, with_cell,
        with_late,
    },
    chains::{HEIGHTS, at_height, convolutions},
    check,
    graphs::{self, Case, Draft, SIGNED},
    grid::moved_lookups,
    network::network,
    plan,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, HintSite, Hints, Layout, ModelCircuit,
    gadget::rescale::SHIFT,
    late::misses,
    layout::{Cell, field},
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
pub(super) fn broken(circuit: &ModelCircuit, honest: &Layout, row: usize) -> BTreeSet<String> {
    let forged = &*circuit.layout;
    let values = |layout: &Layout| {
        let cell = |column| cell_value(layout, Cell { column, row });
        let [abs0, abs1, rem0, rem1] = layout.limbs[row].map(|limb| field(i128::from(limb)));
        let (abs, rem) = (abs0 + abs1 * field(256), rem0 + rem1 * field(256));
        let over = if layout.on(F::Max, row) { cell(A::Y) - cell(A::Q) } else { cell(A::Y) };
        let value = if layout.on(F::Signed, row) { abs - field(1 << 15) } else { over.double() - abs };
        (abs, rem, over, value * field(DIVISOR) + rem - field(1 << 15))
    };
    let (on, cell) = (|selector| forged.on(selector, row), |column| cell_value(forged, Cell { column, row }));
    let (abs, rem, over, pre_activation) = values(forged);
    let branch = over * (over - abs) != field(0);
    let rescaled = on(F::Signed) || on(F::Relu) || on(F::Max);
    let [low, segment, ..] = forged.limbs[row].map(i128::from);
    let coefficient = |column| field(forged.fixed(column, row));
    let [p, q, y] = [A::P, A::Q, A::Y].map(cell);
    let before = row.checked_sub(1).map_or(field(0), |row| cell_value(forged, Cell { column: A::Acc, row }));
    let accumulator = coefficient(F::CoefProduct) * p * q
        + coefficient(F::CoefP) * p
        + coefficient(F::CoefQ) * q
        + coefficient(F::CoefConst)
        + coefficient(F::CoefPrev) * before
        + coefficient(F::Function) * (q * field(256) + y * field(low));
    let slack =
        [A::P, A::Q, A::Y].iter().any(|column| cell(*column) != cell_value(honest, Cell { column: *column, row }));
    let first_phase = |cell: &Cell| !cell.column.is_late();
    let torn = forged.copies.iter().filter(|(left, right)| first_phase(left) && first_phase(right));
    let torn = torn.filter(|(left, right)| cell_value(forged, *left) != cell_value(forged, *right)).count() > 0;
    [
        ("lookup ends", misses(forged, &circuit.plan.shape)),
        // The two sides of a linear layer's identity.
        ("copy", torn || (on(F::Value) && pre_activation != values(honest).3) || (on(F::Slack) && slack)),
        ("accumulator", cell(A::Acc) != accumulator),
        ("rescale", rescaled && !on(F::Value) && pre_activation != cell(A::Acc)),
        ("signed value", (on(F::Signed) || on(F::Input)) && over != abs - field(1 << 15)),
        ("input range", on(F::Input) && coefficient(F::Input) * y != rem - field(1 << 15)),
        ("relu", on(F::Relu) && branch),
        ("max", on(F::Max) && branch),
        ("function input", on(F::Function) && p != field(low + (segment << 8) - (1 << 15))),
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
                    At::Rescale if circuit.layout.on(F::Input, site.row) => {
                        let abs = |layout: &Layout| layout.limbs[site.row][..2].to_vec();
                        if abs(&circuit.layout) == abs(&untouched.layout) { "input range" } else { "signed value" }
                    }
                    At::Rescale => "rescale",
                };
                let failed = failures(&circuit, &claimed(&circuit));
                assert_eq!(failed, broken(&circuit, &untouched.layout, site.row), "{}: {site:?}", case.name);
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

/// The circuit with a limb that no machine integer holds; the lookup argument follows.
pub(super) fn with_limb(circuit: &ModelCircuit, limb: Cell, value: Fr) -> ModelCircuit {
    let (before, old) = (circuit.clone(), cell_value(&circuit.layout, limb));
    with_late(&with_cell(circuit, limb.column, limb.row, value), move |columns, challenges| {
        for (cell, delta) in moved_lookups(&before, limb, old, value, challenges) {
            columns.column_mut(cell.column)[cell.row] += delta;
        }
    })
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
    let limb = Cell { column: A::Abs0, row };
    let circuit = with_limb(&circuit, limb, cell_value(&circuit.layout, limb) - fraction);
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
fn limbs_that_recompose_but_leave_the_byte_range_are_rejected() {
    for low in [0, 2] {
        for by in [1, -1, 255] {
            everywhere(
                "limbs",
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
fn limbs_of_another_number_are_rejected() {
    for limb in 0..4 {
        everywhere("limbs", At::Rescale, &[&|_, limbs| limbs[limb] ^= 1]);
    }
}

#[test]
fn limbs_beyond_their_range_are_rejected_wherever_they_share_a_column() {
    // A rescaling row and the row of a function, at each height: which columns hold what differs.
    let case = graphs::all().into_iter().find(|case| case.name == "function").unwrap();
    for height in HEIGHTS {
        let truth = at_height(&case, &honest(&case), height);
        check(&truth, claimed(&truth)).unwrap();
        for low in [0, 2] {
            let forged = forge(&case, last_site(&case, "limbs"), |limbs| {
                limbs[low] += 256;
                limbs[low + 1] -= 1;
            });
            let forged = at_height(&case, &forged.unwrap(), height);
            let failed = failures(&forged, &claimed(&forged));
            assert_eq!(failed, ["lookup ends".to_owned()].into(), "height {height}, limb {low}");
        }
        let forged = forge(&case, last_site(&case, "function"), |hint| {
            hint[0] += 256;
            hint[1] -= 1;
            (hint[2], hint[3]) = tuple(&graphs::table(), hint[1]);
        });
        let forged = at_height(&case, &forged.unwrap(), height);
        assert_eq!(failures(&forged, &claimed(&forged)), ["lookup ends".to_owned()].into(), "height {height}");
        for index in 1..4 {
            let forged = forge(&case, last_site(&case, "function"), |hint| hint[index] ^= 1);
            let forged = at_height(&case, &forged.unwrap(), height);
            let failed = failures(&forged, &claimed(&forged));
            assert!(failed.contains("lookup ends"), "height {height}, hint {index}: {failed:?}");
        }
    }
}

fn point(table: &[i64], segment: i128) -> i128 {
    usize::try_from(segment).ok().and_then(|at| table.get(at).copied()).unwrap_or(0).into()
}

/// Start and slope of a segment.
fn tuple(table: &[i64], segment: i128) -> (i128, i128) {
    (point(table, segment), point(table, segment + 1) - point(table, segment))
}

/// Moves a function's hint by segments, with the low byte that keeps the sum and the new
/// segment's start and slope.
fn move_segment(place: &Place<'_>, hint: &mut [i128], by: i128) {
    hint[0] -= 256 * by;
    hint[1] += by;
    (hint[2], hint[3]) = tuple(place.table(), hint[1]);
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
fn function_rejects_a_start_or_a_slope_beside_the_table() {
    for by in [1, -1, 1 << 40] {
        everywhere("function", LOOKUP, &[&|_, hint| hint[2] += by, &|_, hint| hint[3] += by]);
    }
}

#[test]
fn function_rejects_a_start_that_the_slope_makes_up_for() {
    // The point at the input stays what it is, or moves by as little as can be.
    let nearest: Change<'_> = &|_, hint| {
        hint[2] -= 1;
        hint[3] += 256 / hint[0].max(1);
    };
    let same_end: Change<'_> = &|_, hint| {
        hint[2] += 1;
        hint[3] -= 1;
    };
    let swapped: Change<'_> = &|_, hint| hint.swap(2, 3);
    everywhere("function", LOOKUP, &[nearest, same_end, swapped]);
}

#[test]
fn function_rejects_the_tuple_of_another_segment() {
    let change: Change<'_> = &|place, hint| (hint[2], hint[3]) = tuple(place.table(), hint[1] ^ 1);
    everywhere("function", LOOKUP, &[change]);
    let start: Change<'_> = &|place, hint| hint[2] = tuple(place.table(), hint[1] ^ 1).0;
    let slope: Change<'_> = &|place, hint| hint[3] = tuple(place.table(), hint[1] ^ 1).1;
    // The ramp of the network has one slope.
    let case = graphs::all().into_iter().find(|case| case.name == "function").unwrap();
    let untouched = honest(&case);
    for site in sites(&case).into_iter().filter(|site| site.gadget == "function") {
        let place = Place { case: &case, honest: &untouched.layout, site };
        for change in [start, slope] {
            let circuit = forge(&case, site, |hint| change(&place, hint)).unwrap();
            assert_eq!(failures(&circuit, &claimed(&circuit)), ["lookup ends".to_owned()].into(), "{site:?}");
        }
    }
}

#[test]
fn function_rejects_what_stands_between_the_tables() {
    // The row in front of the points, that behind them and the last point are entries of tag zero.
    let case = graphs::two_functions();
    for site in sites(&case).into_iter().filter(|site| site.gadget == "function") {
        let (first, second) = (graphs::table(), graphs::other_table());
        let ends = [(0, first[0]), (first[256], second[0] - first[256]), (second[256], -second[256])];
        for (start, slope) in ends.map(|(start, slope)| (i128::from(start), i128::from(slope))) {
            for scale in [1, 2] {
                let circuit = forge(&case, site, |hint| (hint[2], hint[3]) = (scale * start, scale * slope)).unwrap();
                assert_eq!(failures(&circuit, &claimed(&circuit)), ["lookup ends".to_owned()].into(), "{site:?}");
            }
        }
    }
}

#[test]
fn function_rejects_another_functions_points() {
    let case = graphs::two_functions();
    for site in sites(&case).into_iter().filter(|site| site.gadget == "function") {
        let (first, second) = (graphs::table(), graphs::other_table());
        let circuit = forge(&case, site, |hint| {
            let other = if hint[2] == point(&first, hint[1]) { &second } else { &first };
            (hint[2], hint[3]) = tuple(other, hint[1]);
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
fn roots_reject_what_stands_beside_the_right_one() {
    for by in [1, -1, 2, -300] {
        everywhere("root", LOOKUP, &[&|_, hint| hint[0] += by]);
    }
    // The negative root is as good a square root, and leaves a remainder above twice itself.
    wherever("root", |hint| hint[0] != 0, LOOKUP, &[&|_, hint| hint[0] = -hint[0], &|_, hint| hint[0] = -hint[0] - 1]);
}

#[test]
fn a_negative_number_has_no_root() {
    let mut draft = Draft::new("root");
    let x = draft.input(1, 16);
    let y = draft.node(IntOp::Sqrt { shift: 2 }, &[x], 1);
    let mut case = Case { name: "root", graph: draft.output(y), inputs: vec![vec![4]] };
    let site = last_site(&case, "root");
    case.inputs = vec![vec![-4]];
    for root in [1, -1, 4, -4, 32767] {
        let circuit = forge(&case, site, |hint| hint[0] = root).unwrap();
        let failed = failures(&circuit, &claimed(&circuit));
        assert_eq!(failed, ["lookup ends".to_owned()].into(), "root {root}");
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
    impl Hints for Quotient {
        fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
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
    ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut hints).unwrap()
}

#[test]
fn fresh_values_beyond_their_bits_are_rejected() {
    everywhere("fresh", LOOKUP, &[&|place, hint| hint[0] = 1 << (place.bits() - 1)]);
    everywhere("fresh", LOOKUP, &[&|place, hint| hint[0] = -(1 << (place.bits() - 1)) - 1]);
    everywhere("fresh", LOOKUP, &[&|place, hint| hint[0] += 1 << place.bits()]);
    // A root squares the value: further away it would leave what hints can hold.
    everywhere("fresh", LOOKUP, &[&|_, hint| hint[0] += 1 << 26]);
}

#[test]
fn a_fresh_value_other_than_the_public_input_is_rejected() {
    for case in graphs::all() {
        let untouched = honest(&case);
        let statement = claimed(&untouched);
        check(&untouched, statement.clone()).unwrap();
        let site = sites(&case)[0];
        let circuit = forge(&case, site, |hint| hint[0] ^= 1).unwrap();
        let mut expected = broken(&circuit, &untouched.layout, site.row);
        expected.insert("copy".to_owned());
        assert_eq!(failures(&circuit, &statement), expected, "{}", case.name);
    }
}

#[test]
fn every_output_of_every_position_is_bound() {
    // By powers of two challenges, of which none is drawn but for a selector: with a bias and without.
    let product = IntOp::MatMul { rows: 3, inner: 5, cols: 2, rescale: Rescale { shift: 10, kind: SIGNED } };
    let product = graphs::binary("product", product, graphs::weights(15, 700), graphs::weights(10, 500), 6);
    let layers = [(1, 1), (1, 3), (3, 1), (3, 2)].into_iter().flat_map(|(rows, width)| {
        [true, false].map(|bias| {
            let name = if bias { "dense_with_bias" } else { "dense_without_bias" };
            Case { name, ..graphs::dense(rows, 4, width, SIGNED, bias) }
        })
    });
    let mut accepted = Vec::new();
    for case in layers.chain(convolutions()).chain([product]) {
        let layout = honest(&case).layout;
        let outputs = sites(&case).into_iter().filter(|site| site.gadget == "signed" && layout.on(F::Value, site.row));
        for site in outputs {
            let forged = forge(&case, site, |hint| {
                hint[0] += 1;
                hint[2] += 1;
            });
            let forged = forged.unwrap();
            let failed = failures(&forged, &claimed(&forged));
            if failed.is_empty() {
                accepted.push((case.name, site.row));
                continue;
            }
            assert_eq!(failed, ["copy".to_owned()].into(), "{}: {site:?}", case.name);
        }
    }
    assert_eq!(accepted, [], "outputs that anything goes for");
}

#[test]
fn slack_rejects_another_coefficient() {
    everywhere("slack", At::Gate("copy"), &[&|_, hint| hint[0] += 1, &|_, hint| *hint.last_mut().unwrap() -= 1]);
    everywhere("slack", At::Gate("copy"), &[&|_, hint| hint[0] += 1 << 100, &|_, hint| hint[0] = 7 - hint[0]]);
    // All of a row, which do not cancel among themselves.
    everywhere("slack", At::Gate("copy"), &[&|_, hint| hint.iter_mut().for_each(|value| *value += 1)]);
    everywhere("slack", At::Gate("copy"), &[&|_, hint| hint.iter_mut().for_each(|value| *value = 3 - *value)]);
}

/// An output one too large, and a coefficient that no output stands for smaller by as much.
struct Leak {
    output: HintSite,
    slack: HintSite,
    index: usize,
}

impl Hints for Leak {
    fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
        if site == self.output {
            hint[0] += 1;
            hint[2] += 1;
        } else if site == self.slack {
            hint[self.index] -= DIVISOR;
        }
    }

    fn is_adversary(&self) -> bool {
        true
    }
}

#[test]
fn slack_makes_up_for_no_output() {
    let mut pairs = 0;
    for case in convolutions().into_iter().take(5) {
        let (all, truth) = (hints(&case), honest(&case));
        let layout = &truth.layout;
        let outputs: Vec<HintSite> =
            all.iter().map(|(site, _)| *site).filter(|site| layout.on(F::Value, site.row)).collect();
        let outputs: Vec<HintSite> = outputs.into_iter().filter(|site| site.gadget == "signed").collect();
        let slacks: Vec<_> = all.iter().filter(|(site, _)| site.gadget == "slack").collect();
        for (at, (slack, hint)) in slacks.iter().enumerate() {
            // The outputs next to it on either side, and one far away.
            let behind = outputs.partition_point(|site| site.row < slack.row);
            let near = [behind.checked_sub(1), Some(behind), Some((7 * at) % outputs.len())];
            let near: BTreeSet<usize> = near.into_iter().flatten().filter(|output| *output < outputs.len()).collect();
            for (output, index) in near.into_iter().flat_map(|output| (0..hint.len()).map(move |index| (output, index)))
            {
                let mut leak = Leak { output: outputs[output], slack: *slack, index };
                let (plan, graph) = (plan(&case.graph), &case.graph);
                let forged = ModelCircuit::with_hints(graph, plan, &case.inputs, &mut leak).unwrap();
                let statement = claimed(&forged);
                assert_ne!(statement, claimed(&truth), "{}: an output is forged", case.name);
                let failed = failures(&forged, &statement);
                assert_eq!(failed, ["copy".to_owned()].into(), "{}: {slack:?}, {index}", case.name);
                pairs += 1;
            }
        }
    }
    assert!(pairs > 100, "{pairs} pairs");
}

#[test]
fn slack_of_one_output_makes_up_for_no_other_outputs() {
    // The same exponent of the positions, at another power of the challenge of outputs.
    for case in convolutions().into_iter().take(2) {
        let truth = honest(&case);
        let slacks: Vec<HintSite> = sites(&case).into_iter().filter(|site| site.gadget == "slack").collect();
        let (first, last) = (slacks[0], slacks[slacks.len() - 1]);
        struct Moved([HintSite; 2]);
        impl Hints for Moved {
            fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
                let at = self.0.iter().position(|moved| *moved == site);
                at.into_iter().for_each(|at| *hint.last_mut().unwrap() += [1, -1][at]);
            }
            fn is_adversary(&self) -> bool {
                true
            }
        }
        let mut moved = Moved([first, last]);
        let forged = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut moved).unwrap();
        assert_eq!(claimed(&forged), claimed(&truth), "{}", case.name);
        assert_eq!(failures(&forged, &claimed(&forged)), ["copy".to_owned()].into(), "{}", case.name);
    }
}
