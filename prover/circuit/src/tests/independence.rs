//! Forgeries that would pass if two challenges were one and the same: each is drawn for itself.

use std::collections::BTreeSet;

use halo2_proofs::{
    halo2curves::{
        bn256::Fr,
        ff::{Field, PrimeField},
    },
    plonk::ConstraintSystem,
};

use vouch_graph::int::{IntOp, Rescale};

use super::{
    attack::{claimed, edited, failures, forge, honest, integer, set_signed, sites, with_multiplicities},
    chains::{convolutions, stacked},
    graphs::{self, Case, SIGNED},
    network::network,
    plan,
    prove::Keys,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, HintSite, Hints, ModelCircuit, VouchConfig,
    late::{self, ChallengeValues, Late},
    layout::{Cell, field},
};

#[test]
fn no_two_challenges_are_one() {
    let mut seen = 0;
    for case in graphs::all().into_iter().chain([network()]) {
        let mut meta = ConstraintSystem::<Fr>::default();
        let drawn = VouchConfig::configure(&mut meta, plan(&case.graph).shape.clone()).challenges;
        let all = [drawn.outputs, drawn.positions, Some(drawn.lookup), drawn.value, drawn.slope, drawn.tag];
        let indices: Vec<usize> = all.into_iter().flatten().map(|challenge| challenge.index()).collect();
        assert_eq!(indices.iter().collect::<BTreeSet<_>>().len(), indices.len(), "{}", case.name);
        assert_eq!(indices.len(), meta.challenge_phase().len(), "{}: no challenge is for nothing", case.name);
        seen = seen.max(indices.len());
    }
    assert_eq!(seen, 6);
}

#[test]
fn every_challenge_that_a_row_multiplies_by_is_drawn() {
    // One that the shape lacks is zero in its gates: what it separates would be free.
    let biasless = [(1, 1), (1, 2), (3, 1), (3, 2)].map(|(rows, width)| graphs::dense(rows, 4, width, SIGNED, false));
    let cases = graphs::all().into_iter().chain([network()]).chain(convolutions()).chain(stacked()).chain(biasless);
    let mut lacking = BTreeSet::new();
    for case in cases {
        let circuit = honest(&case);
        let drawn =
            VouchConfig::configure(&mut ConstraintSystem::<Fr>::default(), circuit.plan.shape.clone()).challenges;
        let used = |selectors: &[F]| {
            let rows = 0..circuit.layout.rows();
            rows.into_iter().any(|row| selectors.iter().any(|selector| circuit.layout.on(*selector, row)))
        };
        let outputs = used(&[F::Value, F::ValueOutput, F::TrackOutput, F::WeightEnd, F::DotOutput]);
        let positions = used(&[F::ValuePosition, F::SlackTriple, F::TrackPosition, F::TrackTriple]);
        let functions = used(&[F::Function, F::Tag]);
        let needs = [
            ("outputs", outputs, drawn.outputs),
            ("positions", positions, drawn.positions),
            ("value", functions, drawn.value),
            ("slope", functions, drawn.slope),
            ("tag", functions, drawn.tag),
        ];
        for (name, needed, challenge) in needs {
            if needed && challenge.is_none() {
                lacking.insert((case.name, name));
            }
        }
    }
    assert_eq!(lacking, BTreeSet::new());
}

/// Requires that the statement is false, and that MockProver and the verifier refuse it.
fn assert_refused(case: &Case, forged: &ModelCircuit, by: &str) {
    let statement = claimed(forged);
    assert_ne!(statement, claimed(&honest(case)), "{}: an output is forged", case.name);
    assert_eq!(failures(forged, &statement), [by.to_owned()].into(), "{}", case.name);
    let keys = Keys::new(&case.graph, &plan(&case.graph));
    assert!(!keys.convinces(forged, &statement), "{}: the verifier refuses it", case.name);
}

/// The late columns at given challenges.
fn late_at(circuit: &ModelCircuit, challenges: &ChallengeValues) -> Late {
    let (layout, shape, rows) = (&circuit.layout, &circuit.plan.shape, circuit.run());
    let counts = late::multiplicities(layout, shape, rows).into_iter().map(Fr::from).collect();
    let counts = circuit.meddling.multiplicities(counts);
    late::compute(layout, shape, &counts, challenges, rows)
}

/// Whether the two sides of every identity agree at given challenges.
fn sides_agree(circuit: &ModelCircuit, challenges: &ChallengeValues) -> bool {
    let columns = late_at(circuit, challenges);
    let sides = circuit.layout.copies.iter().filter(|(left, right)| left.column.is_late() && right.column.is_late());
    let value = |cell: &Cell| columns.column(cell.column)[cell.row];
    sides.into_iter().all(|(left, right)| value(left) == value(right))
}

/// Whether the sum over lookups and table closes at given challenges.
fn sum_closes(circuit: &ModelCircuit, challenges: &ChallengeValues) -> bool {
    late_at(circuit, challenges).column(A::Sum).last() == Some(&Fr::ZERO)
}

/// Six numbers for challenges, all different.
fn different() -> ChallengeValues {
    let [outputs, positions, lookup] = [1_234_567, 7_654_321, 9_999_991].map(Fr::from);
    let [value, slope, tag] = [3_141_592, 2_718_281, 1_618_033].map(Fr::from);
    ChallengeValues { outputs, positions, lookup, value, slope, tag }
}

/// Moves quotients of rows.
struct Moved<'a>(&'a [(usize, i128)]);

impl Hints for Moved<'_> {
    fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
        let by = self.0.iter().find(|(row, _)| *row == site.row && site.gadget == "signed");
        if let Some((_, by)) = by {
            hint[0] += by;
            hint[2] += by;
        }
    }

    fn is_adversary(&self) -> bool {
        true
    }
}

/// Product of two computed matrices, by an identity.
fn square() -> Case {
    let op = IntOp::MatMul { rows: 2, inner: 5, cols: 2, rescale: Rescale { shift: 10, kind: SIGNED } };
    graphs::binary("square", op, graphs::weights(10, 700), graphs::weights(10, 500), 4)
}

#[test]
fn outputs_and_positions_have_a_challenge_each() {
    // Rows are by output and falling position: the second is multiplied by r and the third by s, so one more and
    // one less cancel at r = s. In a product of matrices the first column is laid out last, and it is the same.
    for case in [graphs::dense(2, 3, 2, SIGNED, false), square()] {
        let layout = honest(&case).layout;
        let rows: Vec<usize> = (0..layout.value_rows).filter(|row| layout.on(F::Value, *row)).collect();
        assert_eq!(rows.len(), 4, "{}", case.name);
        let mut hints = Moved(&[(rows[1], 1), (rows[2], -1)]);
        let forged = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut hints).unwrap();
        let equal = ChallengeValues { positions: different().outputs, ..different() };
        assert!(sides_agree(&forged, &equal), "{}: it passes where they are one", case.name);
        assert!(sides_agree(&honest(&case), &different()));
        assert_refused(&case, &forged, "copy");
    }
}

/// A tuple offered for one that the table does not have, and the table row that is counted for it.
struct Offer {
    /// Of the function whose row offers it.
    tag: usize,
    start: Fr,
    slope: Fr,
    /// Tag and point of the table row; tag zero is a limb's.
    row: (usize, usize),
    count: Fr,
}

/// Segment of the third input of [`tuples`].
const SEGMENT: usize = 128;

/// Low byte of that input: even, so that half a slope times it is an integer, and such that half a unit of the start or
/// of the slope at [`SEGMENT`] / 2 does not round to another value.
const LOW: i64 = 4;

/// Two functions of inputs of which the third is for offers.
fn tuples() -> Case {
    let mut case = graphs::two_functions();
    case.inputs[0][2] = LOW;
    case
}

/// A whole number below a field element, and the half that is left, if any.
fn floor_and_half(value: Fr) -> (i128, Fr) {
    let twice = integer(value.double()).unwrap();
    let whole = twice.div_euclid(2);
    (whole, value - field(whole))
}

/// The offer in place of the tuple of the third input, and a count for it.
fn offered(case: &Case, offer: &Offer) -> ModelCircuit {
    let layout = honest(case).layout;
    let takes = |site: &HintSite| {
        site.gadget == "function"
            && layout.fixed(F::Tag, site.row) == offer.tag as i128
            && layout.limbs[site.row][1] == SEGMENT as i64
    };
    let site = sites(case).into_iter().find(takes).unwrap();
    let ((start, half_start), (slope, half_slope)) = (floor_and_half(offer.start), floor_and_half(offer.slope));
    let forged = forge(case, site, |hint| {
        assert_eq!(hint[..2], [i128::from(LOW), SEGMENT as i128]);
        (hint[2], hint[3]) = (start, slope);
    });
    let forged = edited(&forged.unwrap(), |layout| {
        // Halves move the remainder of the next row, not what it rounds to.
        let row = site.row;
        layout.advice[A::Q as usize][row] += half_start;
        layout.advice[A::Y as usize][row] += half_slope;
        let moved = half_start * field(256) + half_slope * field(LOW.into());
        layout.advice[A::Acc as usize][row] += moved;
        let (acc, y) = [A::Acc, A::Y].map(|column| layout.advice[column as usize][row + 1]).into();
        let acc = acc + moved * field(layout.fixed(F::CoefPrev, row + 1));
        set_signed(layout, row + 1, integer(acc).unwrap());
        assert_eq!(layout.advice[A::Y as usize][row + 1], y, "the value behind is the same");
    });
    let (tag, point) = offer.row;
    let row = if tag == 0 { point } else { layout.point_row(tag, point) };
    let count = offer.count;
    with_multiplicities(&forged, move |counts| counts[row] += count)
}

#[test]
fn the_tuples_of_functions_have_four_challenges() {
    let case = tuples();
    let truth = honest(&case);
    assert!(sum_closes(&truth, &different()));
    let tuple = |table: Vec<i64>, at: usize| (field(table[at].into()), field((table[at + 1] - table[at]).into()));
    let (first, second) = (|at| tuple(graphs::table(), at), |at| tuple(graphs::other_table(), at));
    let (one, half) = (Fr::ONE, Fr::TWO_INV);
    let ChallengeValues { lookup, value, slope, .. } = different();
    let (same, half_way) = (SEGMENT, SEGMENT / 2);
    // With `f = limb + tag * (gamma + beta start + delta slope)`, and alpha added to it:
    let offers = [
        // Two more at the start and two less in the slope.
        (
            ChallengeValues { slope: value, ..different() },
            Offer {
                tag: 1,
                start: first(same).0 + field(2),
                slope: first(same).1 - field(2),
                row: (1, same),
                count: one,
            },
        ),
        // The second table's tag is worth a unit of the start, or of the slope.
        (
            ChallengeValues { tag: value, ..different() },
            Offer {
                tag: 1,
                start: second(same).0.double() + one,
                slope: second(same).1.double(),
                row: (2, same),
                count: one,
            },
        ),
        (
            ChallengeValues { tag: slope, ..different() },
            Offer {
                tag: 1,
                start: second(same).0.double(),
                slope: second(same).1.double() + one,
                row: (2, same),
                count: one,
            },
        ),
        // Twice a tuple of the first table, for half a count, with the other alpha in the start or in the slope.
        (
            ChallengeValues { value: lookup, ..different() },
            Offer {
                tag: 2,
                start: first(half_way).0 + half,
                slope: first(half_way).1,
                row: (1, half_way),
                count: half,
            },
        ),
        (
            ChallengeValues { slope: lookup, ..different() },
            Offer {
                tag: 2,
                start: first(half_way).0,
                slope: first(half_way).1 + half,
                row: (1, half_way),
                count: half,
            },
        ),
        // Twice a limb.
        (
            ChallengeValues { tag: lookup, ..different() },
            Offer { tag: 1, start: Fr::ZERO, slope: Fr::ZERO, row: (0, half_way), count: half },
        ),
    ];
    for (i, (equal, offer)) in offers.into_iter().enumerate() {
        let forged = offered(&case, &offer);
        assert!(sum_closes(&forged, &equal), "offer {i} passes where two are one");
        assert!(!sum_closes(&forged, &different()), "offer {i} does not where all differ");
        assert_refused(&case, &forged, "lookup ends");
    }
}
