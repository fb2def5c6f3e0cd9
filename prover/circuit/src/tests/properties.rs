//! Random graphs and inputs: the circuit accepts what the reference executor computes, gives the
//! same outputs, and refuses the inputs that the executor refuses.

use proptest::{collection::vec, prelude::*};
use vouch_graph::{
    exec::execute,
    int::{INTERPOLATION_POINTS, IntGraph, IntOp, LinearShape, Rescale, RescaleKind, Source},
};

use super::{
    attack::claimed,
    check,
    graphs::{Draft, RELU, SIGNED},
    instances, plan,
};
use crate::ModelCircuit;

/// Compares circuit and executor on one input, provable or not.
fn agree(graph: &IntGraph, inputs: &[Vec<i64>]) -> Result<(), TestCaseError> {
    let laid_out = ModelCircuit::with_witness(graph, plan(graph), inputs);
    match (execute(graph, inputs), laid_out) {
        (Ok(trace), Ok(circuit)) => {
            let expected: Vec<_> = graph.outputs.iter().map(|port| trace.tensor(port.tensor).to_vec()).collect();
            prop_assert_eq!(circuit.outputs(), &expected[..]);
            let statement = instances(graph, &circuit, inputs);
            prop_assert_eq!(&claimed(&circuit), &statement);
            if let Err(failed) = check(&circuit, statement) {
                prop_assert!(false, "an honest witness fails: {:?}", failed);
            }
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => prop_assert!(false, "only the circuit refuses: {error}"),
        (Err(error), Ok(_)) => prop_assert!(false, "only the executor refuses: {error}"),
    }
    Ok(())
}

fn kind() -> impl Strategy<Value = RescaleKind> {
    prop_oneof![Just(SIGNED), Just(RELU)]
}

/// Values of 16 bits, with the ends and zero among them more often than chance.
fn value() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -32768i64..32768, 2 => -300i64..300, 1 => Just(0), 1 => Just(-32768), 1 => Just(32767)]
}

fn single(op: IntOp, operands: &[Vec<i64>], len: usize) -> IntGraph {
    let mut draft = Draft::new("property");
    let inputs: Vec<_> = operands.iter().map(|values| draft.input(values.len(), 16)).collect();
    let y = draft.node(op, &inputs, len);
    draft.output(y)
}

#[derive(Debug, Clone)]
struct Layer {
    rows: usize,
    inner: usize,
    width: usize,
    weights: Vec<i64>,
    bias: Option<Vec<i64>>,
    rescale: Rescale,
    input: Vec<i64>,
}

fn layer() -> impl Strategy<Value = Layer> {
    (1usize..4, 1usize..6, 1usize..6).prop_flat_map(|(rows, inner, width)| {
        let weights = vec(-500i64..500, inner * width);
        let bias = proptest::option::of(vec(-100_000i64..100_000, width));
        let input = vec(prop_oneof![5 => -3000i64..3000, 1 => Just(0), 1 => value()], rows * inner);
        (weights, bias, 6u32..17, kind(), input).prop_map(move |(weights, bias, shift, kind, input)| Layer {
            rows,
            inner,
            width,
            weights,
            bias,
            rescale: Rescale { shift, kind },
            input,
        })
    })
}

fn pairs() -> impl Strategy<Value = (Vec<i64>, Vec<i64>)> {
    (1usize..7).prop_flat_map(|len| (vec(value(), len), vec(value(), len)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linear_layers_agree_with_the_executor(layer in layer(), last in vec(-40i64..40, 5)) {
        let mut draft = Draft::new("layers");
        let x = draft.input(layer.input.len(), 16);
        let weight = draft.param(layer.weights.clone());
        let bias = layer.bias.clone().map(|bias| draft.param(bias));
        let shape = LinearShape::Dense { rows: layer.rows, inner: layer.inner };
        let op = IntOp::Linear { shape, width: layer.width, weight, bias, rescale: layer.rescale };
        let hidden = draft.node(op, &[x], layer.rows * layer.width);
        // A second layer reads what the first one's rescale left.
        let weight = draft.param(last[..layer.width].to_vec());
        let op = IntOp::Linear {
            shape: LinearShape::Dense { rows: layer.rows, inner: layer.width },
            width: 1,
            weight,
            bias: None,
            rescale: Rescale { shift: 9, kind: SIGNED },
        };
        let y = draft.node(op, &[hidden], layer.rows);
        agree(&draft.output(y), &[layer.input])?;
    }

    #[test]
    fn sums_of_two_agree_with_the_executor(
        (a, b) in pairs(), ca in -9i64..9, cb in -9i64..9, c in -5000i64..5000, shift in 0u32..17, kind in kind(),
    ) {
        let (len, operands) = (a.len(), [a, b]);
        let rounded = IntOp::Add { ca, cb, c, rescale: Rescale { shift, kind } };
        agree(&single(rounded, &operands, len), &operands)?;
        let exact = IntOp::Add { ca, cb, c, rescale: Rescale::EXACT };
        agree(&single(exact, &operands, len), &operands)?;
    }

    #[test]
    fn products_agree_with_the_executor((a, b) in pairs(), c in -3i64..4, shift in 10u32..17, kind in kind()) {
        let (len, operands) = (a.len(), [a, b]);
        agree(&single(IntOp::Mul { c, rescale: Rescale { shift, kind } }, &operands, len), &operands)?;
    }

    #[test]
    fn affine_maps_agree_with_the_executor(
        (a, scale) in pairs(), offset in -100_000i64..100_000, shift in 8u32..17, kind in kind(),
    ) {
        let len = a.len();
        let op = IntOp::Affine { scale, offset: vec![offset], rescale: Rescale { shift, kind } };
        agree(&single(op, std::slice::from_ref(&a), len), &[a])?;
    }

    #[test]
    fn sums_of_groups_agree_with_the_executor(
        group in 1usize..5, values in vec(value(), 12), c in -4i64..5, shift in 1u32..6, kind in kind(),
    ) {
        let values = values[..12 / group * group].to_vec();
        let op = IntOp::Sum { group, c, rescale: Rescale { shift, kind } };
        agree(&single(op, std::slice::from_ref(&values), values.len() / group), &[values])?;
    }

    #[test]
    fn products_of_matrices_agree_with_the_executor(
        a in vec(-2000i64..2000, 6), b in vec(-2000i64..2000, 6), shift in 8u32..17, kind in kind(),
    ) {
        let op = IntOp::MatMul { rows: 2, inner: 3, cols: 2, rescale: Rescale { shift, kind } };
        let operands = [a, b];
        agree(&single(op, &operands, 4), &operands)?;
    }

    #[test]
    fn maxima_agree_with_the_executor(group in 1usize..6, values in vec(value(), 15)) {
        let values = values[..15 / group * group].to_vec();
        agree(&single(IntOp::Max { group }, std::slice::from_ref(&values), values.len() / group), &[values])?;
    }

    #[test]
    fn functions_agree_with_the_executor(
        table in vec(-20_000i64..20_000, INTERPOLATION_POINTS), values in vec(value(), 6), kind in kind(),
    ) {
        let op = IntOp::Function { name: "random".to_owned(), table, rescale: Rescale { shift: 8, kind } };
        agree(&single(op, std::slice::from_ref(&values), 6), &[values])?;
    }

    #[test]
    fn divisions_agree_with_the_executor(
        num in vec(0i64..32768, 5), den in vec(prop_oneof![1i64..32768, 1i64..40, Just(0)], 5), shift in 0u32..16,
    ) {
        let operands = [num, den];
        agree(&single(IntOp::Div { shift }, &operands, 5), &operands)?;
    }

    #[test]
    fn views_agree_with_the_executor(values in vec(value(), 6), order in vec(0u32..6, 9), constant in value()) {
        let sources = order.iter().map(|i| Source::Element(0, *i)).chain([Source::Constant(constant)]).collect();
        agree(&single(IntOp::View { sources }, std::slice::from_ref(&values), 10), &[values])?;
    }

    #[test]
    fn inputs_of_every_width_agree_with_the_executor(bits in 1u32..33, seed in any::<i64>(), beyond in 0i64..3) {
        let mut draft = Draft::new("width");
        let x = draft.input(3, bits);
        let y = draft.node(IntOp::View { sources: (0..3).map(|i| Source::Element(0, i)).collect() }, &[x], 3);
        let half = 1i64 << (bits - 1);
        let inside = seed.rem_euclid(2 * half) - half;
        let values = vec![inside, -half, half - 1 + beyond / 2];
        agree(&draft.output(y), &[values])?;
    }
}
