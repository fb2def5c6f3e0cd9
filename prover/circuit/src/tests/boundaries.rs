//! The last value that each constraint lets pass and the first that it does not.

use halo2_proofs::halo2curves::{
    bn256::Fr,
    ff::{Field, PrimeField},
};
use vouch_graph::{
    exec::execute,
    int::{Condition, INTEGER_PACKING, IntGraph, IntOp, LinearShape, Rescale, RescaleKind, Visibility},
};

use super::{
    attack::{
        claimed, edited, failures, failures_near, forge, honest, last_site, plan_with, set_signed, sites, unvalidated,
    },
    chains::{HEIGHTS, at_height},
    check, context,
    forged_hints::{broken, with_limb},
    graphs::{self, Case, Draft, RELU, SIGNED},
    instances, plan,
    prove::Keys,
};
use crate::{
    AdviceColumn as A, CircuitError, CircuitPlan, HintSite, Hints, Honest, ModelCircuit, PlanOptions,
    gadget::rescale::SHIFT,
    layout::{Blank, Cell, field},
};

const DIVISOR: i128 = 1 << SHIFT;

/// Requires that both give the outputs, and that the constraints hold.
fn assert_accepted(graph: &IntGraph, inputs: &[Vec<i64>], output: &[i64]) {
    let circuit = ModelCircuit::with_witness(graph, plan(graph), inputs).unwrap();
    assert_eq!(circuit.outputs(), [output], "{inputs:?}");
    check(&circuit, instances(graph, &circuit, inputs)).unwrap();
}

/// Requires that executor and builder refuse, and that of the witness nothing fails but the lookups.
fn assert_unprovable(case: &Case) {
    assert_eq!(execute(&case.graph, &case.inputs).unwrap_err().code(), "out_of_range", "{:?}", case.inputs);
    let refused = ModelCircuit::with_witness(&case.graph, plan(&case.graph), &case.inputs);
    assert!(matches!(refused, Err(CircuitError::Graph(_))), "{:?}", case.inputs);
    let refused = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut Honest);
    assert!(matches!(refused, Err(CircuitError::OutOfRange { .. })), "{:?}", case.inputs);
    let circuit = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut Blank).unwrap();
    assert_eq!(failures(&circuit, &claimed(&circuit)), ["lookup ends".to_owned()].into(), "{:?}", case.inputs);
}

/// A value of 24 bits, rescaled by nothing.
fn bounded(kind: RescaleKind, value: i64) -> Case {
    let mut draft = Draft::new("bounded");
    let x = draft.input(1, 24);
    let op = IntOp::Affine { scale: vec![1], offset: vec![0], rescale: Rescale { shift: 0, kind } };
    let y = draft.node(op, &[x], 1);
    Case { name: "bounded", graph: draft.output(y), inputs: vec![vec![value]] }
}

/// Requires that a change of the last hint of a gadget is refused by exactly these.
fn assert_forgery_fails(case: &Case, gadget: &str, change: impl Fn(&mut [i128]), by: &[&str]) {
    let circuit = forge(case, last_site(case, gadget), change).unwrap();
    let by = by.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(failures(&circuit, &claimed(&circuit)), by, "{}: {:?}", case.name, case.inputs);
}

/// The last site of a gadget in a case whose inputs have no proof.
fn site_of(case: &Case, gadget: &str) -> HintSite {
    struct Last<'a>(&'a str, Option<HintSite>);
    impl Hints for Last<'_> {
        fn adjust(&mut self, site: HintSite, _: &mut [i128]) {
            if site.gadget == self.0 {
                self.1 = Some(site);
            }
        }
        fn is_adversary(&self) -> bool {
            true
        }
    }
    let mut last = Last(gadget, None);
    ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut last).unwrap();
    last.1.unwrap()
}

/// Another way to write a hint.
type Way<'a> = &'a dyn Fn(&mut [i128]);

/// Requires that each other way to write a value beyond the range is refused, at what it breaks.
fn assert_no_way_round(case: &Case, gadget: &str, ways: &[Way<'_>]) {
    let site = site_of(case, gadget);
    for (i, way) in ways.iter().enumerate() {
        let circuit = forge(case, site, way).unwrap();
        let failed = failures(&circuit, &claimed(&circuit));
        assert_eq!(failed, broken(&circuit, &circuit.layout, site.row), "{:?}, way {i}", case.inputs);
        assert!(!failed.is_empty(), "{:?}, way {i}", case.inputs);
    }
}

#[test]
fn a_signed_rescale_ends_at_two_to_the_fifteenth() {
    for value in [32767, -32768] {
        assert_accepted(&bounded(SIGNED, value).graph, &[vec![value]], &[value]);
    }
    for (value, inward) in [(32768, -1), (-32769, 1)] {
        let case = bounded(SIGNED, value);
        assert_unprovable(&case);
        let remainder: Way<'_> = &|hint| {
            hint[0] += inward;
            hint[1] -= inward * DIVISOR;
            hint[2] += inward;
        };
        let quotient: Way<'_> = &|hint| {
            hint[0] += inward;
            hint[2] += inward;
        };
        let wrapped: Way<'_> = &|hint| {
            hint[0] += inward * DIVISOR;
            hint[2] += inward * DIVISOR;
        };
        assert_no_way_round(&case, "signed", &[remainder, quotient, wrapped]);
    }
}

#[test]
fn a_relu_ends_at_two_to_the_sixteenth_on_both_sides() {
    for (value, output) in [(65535, 65535), (-65535, 0), (1, 1), (-1, 0)] {
        assert_accepted(&bounded(RELU, value).graph, &[vec![value]], &[output]);
    }
    for value in [65536, -65536, 65537, -65537, 1 << 17, -(1 << 17)] {
        let case = bounded(RELU, value);
        assert_unprovable(&case);
        let inward = -i128::from(value.signum());
        let branch: Way<'_> = &|hint| {
            hint[2] -= hint[0];
            hint[0] = -hint[0];
        };
        let remainder: Way<'_> = &|hint| {
            hint[0] -= 1;
            hint[1] -= inward * DIVISOR;
            hint[2] = if value > 0 { hint[2] - 1 } else { 0 };
        };
        let wrapped: Way<'_> = &|hint| {
            hint[0] &= DIVISOR - 1;
            hint[2] &= DIVISOR - 1;
        };
        // A multiple of the bytes' range is zero once it has wrapped: the rescale notices.
        assert_no_way_round(&case, "relu", &[branch, remainder, wrapped]);
    }
}

/// The greatest of 24-bit values: validation refuses the graph, so that the gates stand alone.
fn greatest(values: &[i64]) -> (IntGraph, Vec<Vec<i64>>) {
    let mut draft = Draft::new("greatest");
    let x = draft.input(values.len(), 24);
    let y = draft.node(IntOp::Max { group: values.len() }, &[x], 1);
    (draft.unvalidated(y), vec![values.to_vec()])
}

#[test]
fn a_maximum_compares_values_less_than_two_to_the_sixteenth_apart() {
    for (values, accepted) in [
        ([0, 65535], true),
        ([65535, 0], true),
        ([-32768, 32767], true),
        ([0, 65536], false),
        ([65536, 0], false),
        ([-65536, 0], false),
        ([-32768, 32768], false),
    ] {
        let (graph, inputs) = greatest(&values);
        assert_eq!(execute(&graph, &inputs).is_ok(), accepted, "{values:?}");
        let circuit = unvalidated(&graph, &inputs);
        assert_eq!(circuit.outputs(), [[*values.iter().max().unwrap()]]);
        let failed = failures(&circuit, &claimed(&circuit));
        let expected = if accepted { [].into() } else { ["lookup ends".to_owned()].into() };
        assert_eq!(failed, expected, "{values:?}");
    }
}

#[test]
fn a_spread_that_no_single_step_shows_is_left_to_validation() {
    // Reviewed: the gates bound each step from the running maximum, the executor the whole group.
    let (graph, inputs) = greatest(&[0, 60_000, 120_000]);
    let circuit = unvalidated(&graph, &inputs);
    check(&circuit, claimed(&circuit)).unwrap();
    assert_eq!(execute(&graph, &inputs).unwrap_err().code(), "spread");
    let builder = ModelCircuit::assemble(&graph, circuit.plan.clone(), &inputs, &mut Honest);
    assert!(matches!(builder, Err(CircuitError::OutOfRange { value: 120_000, .. })), "{builder:?}");
    let refused = [
        CircuitPlan::choose(&graph, &PlanOptions::default()).map(|_| ()),
        ModelCircuit::for_keys(&graph, circuit.plan.clone()).map(|_| ()),
        ModelCircuit::with_witness(&graph, circuit.plan, &inputs).map(|_| ()),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(CircuitError::Graph(_))), "{refused:?}");
    }
}

#[test]
fn a_function_ends_with_its_table() {
    for (value, accepted) in [(32767, true), (-32768, true), (32768, false), (-32769, false), (1 << 16, false)] {
        let mut draft = Draft::new("beyond");
        let x = draft.input(1, 24);
        let rescale = Rescale { shift: 8, kind: SIGNED };
        let op = IntOp::Function { name: "test".to_owned(), table: graphs::table(), rescale };
        let y = draft.node(op, &[x], 1);
        let graph = draft.unvalidated(y);
        let inputs = [vec![value]];
        let circuit = unvalidated(&graph, &inputs);
        let expected = if accepted { [].into() } else { ["lookup ends".to_owned()].into() };
        assert_eq!(failures(&circuit, &claimed(&circuit)), expected, "{value}");
        if !accepted {
            assert!(execute(&graph, &inputs).is_err());
            assert!(graph.validate().is_err());
        }
    }
}

#[test]
fn a_quotient_ends_at_two_to_the_fifteenth() {
    for (num, den, y) in [(32767, 1, 32767), (65534, 2, 32767), (0, 1, 0), (0, 65535, 0)] {
        assert_accepted(&graphs::divide(0, vec![num], vec![den]).graph, &[vec![num], vec![den]], &[y]);
    }
    for (num, den) in [(32768, 1), (65535, 2), (65535, 1)] {
        let case = graphs::divide(0, vec![num], vec![den]);
        assert_unprovable(&case);
        let smaller: Way<'_> = &|hint| hint[0] = 32767;
        let wrapped: Way<'_> = &|hint| hint[0] -= DIVISOR;
        assert_no_way_round(&case, "divide", &[smaller, wrapped]);
    }
}

#[test]
fn a_quotient_rounds_half_up_and_the_remainder_stays_below_twice_the_divisor() {
    // Ties leave remainder zero, the greatest remainder is 2 den - 1.
    for (num, den, y, rho) in [
        (1, 2, 1, 0),
        (3, 2, 2, 0),
        (5, 10, 1, 0),
        (1, 3, 0, 5),
        (49, 99, 0, 197),
        (1, 1, 1, 1),
        (65535, 65535, 1, 65535),
    ] {
        assert_eq!(2 * num + den - 2 * den * y, rho, "{num} / {den}");
        let case = graphs::divide(0, vec![num], vec![den]);
        assert_accepted(&case.graph, &case.inputs, &[y]);
        for by in [1, -1] {
            assert_forgery_fails(&case, "divide", |hint| hint[0] += by, &["lookup ends"]);
        }
    }
}

#[test]
fn a_negative_quotient_rounds_half_up_too() {
    for (num, den, y) in [(-6, 4, -1), (-5, 2, -2), (-1, 2, 0), (-3, 2, -1), (-32768, 1, -32768), (-1, 32767, 0)] {
        let case = graphs::divide_signed(vec![num], vec![den]);
        assert_accepted(&case.graph, &case.inputs, &[y]);
        for by in [1, -1] {
            assert_forgery_fails(&case, "divide", |hint| hint[0] += by, &["lookup ends"]);
        }
    }
}

#[test]
fn a_root_is_the_floor_up_to_two_to_the_fifteenth() {
    for (value, shift, y) in [(0, 9, 0), (1, 0, 1), (3, 0, 1), (4, 0, 2), (65535, 0, 255), (32767, 15, 32767)] {
        let case = graphs::root(shift, vec![value]);
        assert_accepted(&case.graph, &case.inputs, &[y]);
    }
    for (value, shift) in [(32768, 15), (65535, 15), (1, 30)] {
        let case = graphs::root(shift, vec![value]);
        assert_unprovable(&case);
        let smaller: Way<'_> = &|hint| hint[0] = 32767;
        let wrapped: Way<'_> = &|hint| hint[0] -= DIVISOR;
        assert_no_way_round(&case, "root", &[smaller, wrapped]);
    }
}

#[test]
fn an_indicator_changes_at_zero_and_reaches_to_two_to_the_sixteenth() {
    for condition in [Condition::NonNegative, Condition::Zero] {
        for value in [-32768, -2, -1, 0, 1, 2, 32767] {
            let case = graphs::indicator("indicator", condition, vec![value]);
            assert_accepted(&case.graph, &case.inputs, &[i64::from(condition.holds(value))]);
        }
        for half in [-32768, -1, 0, 32767] {
            let mut draft = Draft::new("odd");
            let x = draft.input(1, 16);
            let x = draft.node(IntOp::Affine { scale: vec![2], offset: vec![1], rescale: Rescale::EXACT }, &[x], 1);
            let y = draft.node(IntOp::Indicator { condition }, &[x], 1);
            assert_accepted(&draft.output(y), &[vec![half]], &[i64::from(condition.holds(2 * half + 1))]);
        }
    }
}

/// A division whose quotient is `257 / 2` in the field and whose remainder is zero: `5 * 2^9 + 10 = 20 * y`.
fn half_a_quotient() -> (Case, ModelCircuit, usize, Fr) {
    let case = graphs::divide(8, vec![5], vec![10]);
    let row = last_site(&case, "divide").row;
    let y = Fr::from(257) * Fr::TWO_INV;
    let circuit = edited(&honest(&case), |layout| {
        // The product, the remainder and its distance from twice the divisor, the output's word.
        layout.advice[A::P as usize][row + 1] = y;
        layout.advice[A::Acc as usize][row + 1] = field(-20 * 257) * Fr::TWO_INV;
        let centre = (1 << 31) + (1 << 15);
        set_signed(layout, row + 2, -centre);
        set_signed(layout, row + 3, 19 - centre);
        layout.advice[A::P as usize][row + 4] = y;
        layout.advice[A::Acc as usize][row + 4] = y + field(1 << 31);
    });
    let (truth, forged) = (claimed(&honest(&case)), claimed(&circuit));
    assert_eq!(truth[..3], forged[..3], "the inputs are the true ones");
    assert_ne!(truth[3], forged[3], "the output is not");
    (case, circuit, row, y)
}

#[test]
fn a_quotient_that_is_no_integer_is_refused_by_its_range_alone() {
    let (case, whole, row, y) = half_a_quotient();
    // The quotient's row has another value; it has the quotient, but not its limbs; its limbs are none.
    assert_eq!(failures(&whole, &claimed(&whole)), ["copy".to_owned()].into());
    let equal = edited(&whole, |layout| layout.advice[A::Y as usize][row] = y);
    assert_eq!(failures(&equal, &claimed(&equal)), ["input range".to_owned(), "signed value".to_owned()].into());
    let limbs = edited(&equal, |layout| layout.limbs[row] = [0; 4]);
    let limbs = [A::Abs0, A::Rem0]
        .into_iter()
        .fold(limbs, |limbs, column| with_limb(&limbs, Cell { column, row }, y + field(1 << 15)));
    assert_eq!(failures(&limbs, &claimed(&limbs)), ["lookup ends".to_owned()].into());
    let keys = Keys::new(&case.graph, &plan(&case.graph));
    for circuit in [whole, equal, limbs] {
        assert!(!keys.convinces(&circuit, &claimed(&circuit)));
    }
}

#[test]
fn values_that_share_a_word_cannot_carry_into_each_other() {
    // 2^24 more in one value and one less in the next are the same word.
    let case = graphs::all().into_iter().find(|case| case.name == "ring").unwrap();
    let bits = INTEGER_PACKING.bits;
    let truth = honest(&case);
    let packed = INTEGER_PACKING.pack(&case.inputs[0]).unwrap();
    assert_eq!(packed.len(), 3, "twenty values, eight a word");
    let fresh: Vec<HintSite> = sites(&case).into_iter().filter(|site| site.gadget == "fresh").collect();
    struct Carry([HintSite; 2], u32);
    impl Hints for Carry {
        fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
            if site == self.0[0] {
                hint[0] += 1 << self.1;
            } else if site == self.0[1] {
                hint[0] -= 1;
            }
        }
        fn is_adversary(&self) -> bool {
            true
        }
    }
    for at in [0, 6, 8, 18] {
        let mut hints = Carry([fresh[at], fresh[at + 1]], bits);
        let forged = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut hints).unwrap();
        let (forged_statement, statement) = (claimed(&forged), claimed(&truth));
        assert_eq!(forged_statement[..4], statement[..4], "the words are the same");
        assert_ne!(forged_statement, statement, "the outputs are not");
        assert_eq!(failures(&forged, &forged_statement), ["lookup ends".to_owned()].into(), "value {at}");
    }
}

#[test]
fn a_graph_with_nothing_public_has_the_context_for_its_statement() {
    let mut case = graphs::dense(1, 4, 2, SIGNED, true);
    case.graph.inputs[0].visibility = Visibility::Private;
    case.graph.outputs[0].visibility = Visibility::Private;
    let circuit = honest(&case);
    let statement = instances(&case.graph, &circuit, &case.inputs);
    assert_eq!(statement, [context()]);
    check(&circuit, statement.clone()).unwrap();
    let keys = Keys::new(&case.graph, &plan(&case.graph));
    assert!(keys.convinces(&circuit, &statement));
    let proof = keys.prove(&circuit, &statement, 1).unwrap();
    assert!(keys.verify(&proof, &[context() + Fr::ONE]).is_err(), "the context is bound all the same");
    let above = |hint: &mut [i128]| {
        hint[0] += 1;
        hint[2] += 1;
    };
    assert_forgery_fails(&case, "signed", above, &["copy"]);
    assert!(!keys.convinces(&forge(&case, last_site(&case, "signed"), above).unwrap(), &statement));
}

/// Requires that of a witness that hints pass unchecked nothing fails but what is expected, at each height.
fn assert_failures_at_each_height(case: &Case, expected: &[&str]) {
    let circuit = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut Blank).unwrap();
    for height in HEIGHTS {
        let circuit = at_height(case, &circuit, height);
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(failures(&circuit, &claimed(&circuit)), expected, "{:?} at height {height}", case.inputs);
    }
}

#[test]
fn ranges_end_where_they_do_at_every_height() {
    for (kind, value, accepted) in [
        (SIGNED, 32767, true),
        (SIGNED, -32768, true),
        (SIGNED, 32768, false),
        (SIGNED, -32769, false),
        (RELU, 65535, true),
        (RELU, -65535, true),
        (RELU, 65536, false),
        (RELU, -65536, false),
    ] {
        assert_failures_at_each_height(&bounded(kind, value), if accepted { &[] } else { &["lookup ends"] });
    }
}

/// A linear layer of one output, which is its input.
fn neuron(shape: LinearShape, kind: RescaleKind, input: Vec<i64>) -> Case {
    let mut draft = Draft::new("neuron");
    let x = draft.input(input.len(), 24);
    let weight = draft.param(vec![1]);
    let op = IntOp::Linear { shape, width: 1, weight, bias: None, rescale: Rescale { shift: 0, kind } };
    let y = draft.node(op, &[x], input.len());
    Case { name: "neuron", graph: draft.output(y), inputs: vec![input] }
}

#[test]
fn a_linear_layer_ends_where_its_rescale_does_at_every_height() {
    // The accumulator of such a row is no cell: the identity and the limbs alone bound it.
    for (kind, value, accepted) in [
        (SIGNED, 32767, true),
        (SIGNED, -32768, true),
        (SIGNED, 32768, false),
        (SIGNED, -32769, false),
        (RELU, 65535, true),
        (RELU, 65536, false),
        (RELU, -65536, false),
    ] {
        for rows in [1, 2] {
            let case = neuron(LinearShape::Dense { rows, inner: 1 }, kind, vec![value; rows]);
            assert_failures_at_each_height(&case, if accepted { &[] } else { &["lookup ends"] });
        }
    }
}

/// The witness on wide limbs, with the hints of one row changed.
fn wide(case: &Case, row: usize, change: impl Fn(&mut [i128])) -> ModelCircuit {
    struct At<F>(usize, F);
    impl<F: Fn(&mut [i128])> Hints for At<F> {
        fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
            if site.row == self.0 && matches!(site.gadget, "signed" | "relu") {
                (self.1)(hint);
            }
        }
        fn is_adversary(&self) -> bool {
            true
        }
    }
    let plan = plan_with(&case.graph, |shape| (shape.limb_bits, shape.height) = (16, 2));
    ModelCircuit::with_hints(&case.graph, plan, &case.inputs, &mut At(row, change)).unwrap()
}

#[test]
fn wide_limbs_end_where_two_bytes_do() {
    for (kind, value, accepted) in [
        (SIGNED, 32767, true),
        (SIGNED, 32768, false),
        (SIGNED, -32769, false),
        (RELU, -65535, true),
        (RELU, 65536, false),
        (RELU, -65536, false),
    ] {
        let case = bounded(kind, value);
        let row = site_of(&case, if kind == SIGNED { "signed" } else { "relu" }).row;
        let circuit = wide(&case, row, |_| ());
        let expected = if accepted { [].into() } else { ["lookup ends".to_owned()].into() };
        assert_eq!(failures_near(&circuit, &claimed(&circuit), row), expected, "{kind:?} of {value}");
        if value == 32767 {
            // A remainder of the divisor or below zero is no limb either.
            for by in [1, -1] {
                let circuit = wide(&case, row, |hint| {
                    hint[0] += by;
                    hint[1] -= by * DIVISOR;
                    hint[2] += by;
                });
                assert_ne!(claimed(&circuit), claimed(&wide(&case, row, |_| ())), "the output is forged");
                assert!(failures_near(&circuit, &claimed(&circuit), row).contains("lookup ends"), "{by}");
            }
        }
    }
}
