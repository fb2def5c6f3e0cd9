//! Forgeries that would pass if two challenges were one and the same: each is drawn for itself.

use std::collections::BTreeSet;

use halo2_proofs::{
    halo2curves::{
        bn256::Fr,
        ff::{Field, PrimeField},
    },
    plonk::ConstraintSystem,
};

use super::{
    attack::{claimed, failures, forge, honest, sites, with_multiplicities},
    graphs::{self, Case, SIGNED},
    plan,
    prove::Keys,
};
use crate::{
    FixedColumn as F, HintSite, Hints, ModelCircuit, VouchConfig, gadget::lookup::BYTES, layout::field,
    second_phase::table_row,
};

#[test]
fn no_two_challenges_are_one() {
    let mut seen = 0;
    for case in graphs::all() {
        let mut meta = ConstraintSystem::<Fr>::default();
        let drawn = VouchConfig::configure(&mut meta, plan(&case.graph).shape.clone()).challenges;
        let all = [drawn.outputs, drawn.positions, drawn.tuple, drawn.tag, Some(drawn.lookup)];
        let indices: Vec<usize> = all.into_iter().flatten().map(|challenge| challenge.index()).collect();
        assert_eq!(indices.iter().collect::<BTreeSet<_>>().len(), indices.len(), "{}", case.name);
        seen = seen.max(indices.len());
    }
    assert!(seen >= 3);
}

/// Requires that the statement is false, and that MockProver and the verifier refuse it.
fn assert_refused(case: &Case, forged: &ModelCircuit, by: &str) {
    let statement = claimed(forged);
    assert_ne!(statement, claimed(&honest(case)), "{}: an output is forged", case.name);
    assert_eq!(failures(forged, &statement), [by.to_owned()].into(), "{}", case.name);
    let keys = Keys::new(&case.graph, &plan(&case.graph));
    assert!(!keys.convinces(forged, &statement), "{}: the verifier refuses it", case.name);
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

#[test]
fn outputs_and_positions_have_a_challenge_each() {
    // Output (0, 1) is multiplied by s and output (1, 0) by r: one more and one less cancel at r = s.
    let case = graphs::dense(2, 3, 2, SIGNED, false);
    let layout = honest(&case).layout;
    let rows: Vec<usize> = (0..layout.value_rows).filter(|row| layout.on(F::Value, *row)).collect();
    assert_eq!(rows.len(), 4);
    let mut hints = Moved(&[(rows[1], 1), (rows[2], -1)]);
    let forged = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut hints).unwrap();
    assert_refused(&case, &forged, "copy");
}

/// A point offered for one that the table does not have, and the table row that is counted `count` times for it.
struct Offer {
    /// Of the function whose point is offered.
    tag: usize,
    value: i128,
    row: usize,
    count: Fr,
}

/// Segment of the third input of [`graphs::two_functions`].
const SEGMENT: usize = 128;

/// The offer in place of the first point of the third input, and a count for it.
fn offered(case: &Case, offer: &Offer) -> ModelCircuit {
    let layout = honest(case).layout;
    let takes = |site: &HintSite| {
        site.gadget == "function"
            && layout.fixed(F::Tag, site.row) == offer.tag as i128
            && layout.limbs[site.row][1] == SEGMENT as i64
    };
    let site = sites(case).into_iter().find(takes).unwrap();
    let forged = forge(case, site, |hint| hint[2] = offer.value).unwrap();
    let (row, count) = (offer.row, offer.count);
    with_multiplicities(&forged, move |counts| counts[row] += count)
}

/// What a tuple adds to the sum at challenges for the value, the point and the tag.
fn term([lookup, tuple, tag]: [Fr; 3], row: [i128; 3]) -> Fr {
    let [value, point, of] = row.map(field);
    (lookup + value + tuple * point + tag * of).invert().unwrap()
}

#[test]
fn the_tuples_of_functions_have_three_challenges() {
    let case = graphs::two_functions();
    let circuit = honest(&case);
    let (first, half) = (graphs::table(), Fr::TWO_INV);
    let [a, b] = [Fr::from(1_234_567), Fr::from(7_654_321)];
    // Where the tag is worth a unit of the point, the first table's; else twice a tuple of the first table,
    // or twice a byte, for half a count.
    let offers = [
        ([a, b, b], Offer { tag: 2, value: first[SEGMENT] as i128 - 1, row: BYTES + SEGMENT, count: Fr::ONE }),
        ([a, a, b], Offer { tag: 2, value: 2 * first[SEGMENT / 2] as i128 + 1, row: BYTES + SEGMENT / 2, count: half }),
        ([a, b, a], Offer { tag: 1, value: 0, row: SEGMENT / 2, count: half }),
    ];
    for (equal, offer) in offers {
        let tuple = [SEGMENT as i128, offer.value, offer.tag as i128];
        let row = table_row(&circuit.layout, offer.row);
        assert_eq!(term(equal, tuple), offer.count * term(equal, row), "it passes at {equal:?}");
        assert_refused(&case, &offered(&case, &offer), "lookup ends");
    }
}
