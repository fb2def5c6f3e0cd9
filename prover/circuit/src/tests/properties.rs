//! Random graphs and inputs: the circuit accepts what the reference executor computes, gives the
//! same outputs, and refuses the inputs that the executor refuses.

use std::{cell::Cell, fmt::Debug, sync::Arc};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestError, TestRunner},
};
use vouch_graph::{
    exec::execute,
    int::{Condition, Conv2d, INTERPOLATION_POINTS, IntGraph, IntOp, LinearShape, Rescale, RescaleKind, Source},
};

use super::{
    attack::{claimed, plan_with},
    check,
    graphs::{Draft, RELU, SIGNED},
    instances, plan,
};
use crate::{CircuitError, CircuitPlan, Honest, ModelCircuit, WeightPlacement};

const CASES: u32 = 32;

/// Runs a property over random values. It says which of them were provable: `share` percent at least, lest it be
/// about refusals alone.
fn holds<S: Strategy>(share: u32, strategy: S, property: impl Fn(S::Value) -> Result<bool, TestCaseError>)
where
    S::Value: Debug,
{
    let (tried, provable) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        let proven = property(value)?;
        tried.set(tried.get() + 1);
        provable.set(provable.get() + u32::from(proven));
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, value)) => panic!("{reason}\nfor {value:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    let (tried, provable) = (tried.get(), provable.get());
    println!("{provable} of {tried} provable");
    assert!(100 * provable >= share * tried, "{provable} of {tried} cases are provable, {share} % is the least");
}

/// Compares circuit and executor on one input; whether it is provable.
fn agree(graph: &IntGraph, inputs: &[Vec<i64>]) -> Result<bool, TestCaseError> {
    agree_on(graph, plan(graph), inputs)
}

fn agree_on(graph: &IntGraph, plan: Arc<CircuitPlan>, inputs: &[Vec<i64>]) -> Result<bool, TestCaseError> {
    // The builder by itself: `with_witness` asks the executor first.
    let laid_out = ModelCircuit::with_hints(graph, Arc::clone(&plan), inputs, &mut Honest);
    let witness = ModelCircuit::with_witness(graph, plan, inputs);
    match (execute(graph, inputs), laid_out) {
        (Ok(trace), Ok(circuit)) => {
            let expected: Vec<_> = graph.outputs.iter().map(|port| trace.tensor(port.tensor).to_vec()).collect();
            prop_assert_eq!(circuit.outputs(), &expected[..]);
            let witness = witness.map_err(|error| TestCaseError::fail(format!("there is no witness: {error}")))?;
            prop_assert_eq!(witness.outputs(), &expected[..]);
            let statement = instances(graph, &circuit, inputs);
            prop_assert_eq!(&claimed(&circuit), &statement);
            if let Err(failed) = check(&circuit, statement) {
                prop_assert!(false, "an honest witness fails: {:?}", failed);
            }
            Ok(true)
        }
        (Err(_), Err(CircuitError::OutOfRange { .. })) => {
            let refused = matches!(witness, Err(CircuitError::Graph(_)));
            prop_assert!(refused, "there is a witness");
            Ok(false)
        }
        (executed, laid_out) => {
            let message = format!("executor: {:?}, circuit: {:?}", executed.err(), laid_out.err());
            Err(TestCaseError::fail(message))
        }
    }
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
        (weights, bias, shift(8), kind(), input).prop_map(move |(weights, bias, shift, kind, input)| Layer {
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

/// Shifts of which those from `enough` on bring most accumulators into range.
fn shift(enough: u32) -> impl Strategy<Value = u32> {
    prop_oneof![6 => enough..17, 1 => 0..enough.max(1)]
}

/// A height of logical rows and a width of limbs.
fn rows() -> impl Strategy<Value = (usize, u32)> {
    (prop_oneof![Just(1usize), Just(2), Just(4)], prop_oneof![3 => Just(8u32), 1 => Just(16)])
}

/// The plan of the smallest size with such rows.
fn plan_of_rows(graph: &IntGraph, (height, limb_bits): (usize, u32)) -> Arc<CircuitPlan> {
    plan_with(graph, |shape| (shape.height, shape.limb_bits) = (height, limb_bits))
}

#[test]
fn linear_layers_agree_with_the_executor() {
    holds(40, (layer(), vec(-40i64..40, 5), rows()), |(layer, last, rows)| {
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
        let graph = draft.output(y);
        agree_on(&graph, plan_of_rows(&graph, rows), &[layer.input])
    });
}

/// A convolution, its number of outputs a position and its input, of which it may leave a channel out.
#[derive(Debug, Clone)]
struct Convolution {
    geometry: Conv2d,
    width: usize,
    weights: Vec<i64>,
    bias: Vec<i64>,
    input: Vec<i64>,
}

fn convolution() -> impl Strategy<Value = Convolution> {
    let pairs = || (1usize..3, 1usize..3);
    let geometry = (1usize..3, 0usize..2, (3usize..6, 3usize..6), pairs(), (pairs(), pairs()), (0usize..2, 0usize..2));
    (geometry, 1usize..6).prop_flat_map(|((channels, skipped, input, kernel, (stride, dilation), pad), width)| {
        let axis = |input: usize, kernel: usize, stride: usize, dilation: usize, pad: usize| {
            (input + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1
        };
        let geometry = Conv2d {
            channels,
            first_channel: skipped,
            input: input.into(),
            output: [
                axis(input.0, kernel.0, stride.0, dilation.0, pad.0),
                axis(input.1, kernel.1, stride.1, dilation.1, pad.1),
            ],
            kernel: kernel.into(),
            stride: stride.into(),
            dilation: dilation.into(),
            pad_before: pad.into(),
        };
        let weights = vec(-500i64..500, channels * kernel.0 * kernel.1 * width);
        let input = vec(-3000i64..3000, (channels + skipped) * input.0 * input.1);
        (weights, vec(-100_000i64..100_000, width), input).prop_map(move |(weights, bias, input)| Convolution {
            geometry,
            width,
            weights,
            bias,
            input,
        })
    })
}

#[test]
fn convolutions_agree_with_the_executor_on_several_lanes_wherever_the_weights_are() {
    let placement = prop_oneof![Just(WeightPlacement::Private), Just(WeightPlacement::Public)];
    let shape = (2usize..6, placement, rows());
    holds(
        40,
        (convolution(), shift(9), kind(), shape),
        |(layer, shift, kind, (lanes, placement, (height, limb_bits)))| {
            let mut draft = Draft::new("convolution");
            let shape = LinearShape::Conv2d(layer.geometry);
            let x = draft.input(layer.input.len(), 16);
            let (weight, bias) = (draft.param(layer.weights), Some(draft.param(layer.bias)));
            let op = IntOp::Linear { shape, width: layer.width, weight, bias, rescale: Rescale { shift, kind } };
            let y = draft.node(op, &[x], shape.positions() * layer.width);
            let graph = draft.output(y);
            let plan = plan_with(&graph, |shape| {
                (shape.height, shape.limb_bits) = (height, limb_bits);
                (shape.weight_lanes, shape.weights) = (lanes, placement);
            });
            agree_on(&graph, plan, &[layer.input])
        },
    );
}

/// Weights of a layer, the same for the same numbers.
fn some_weights(len: usize, seed: i64) -> Vec<i64> {
    (0..len as i64).map(|i| ((i + seed) * 7919 + seed * 31).rem_euclid(400) - 200).collect()
}

/// What stands between two convolutions.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    /// The values and themselves summed, element by element.
    Sum,
    /// The greatest of pairs of neighbours.
    Pooling,
}

#[test]
fn convolutions_of_convolutions_agree_with_the_executor() {
    // The second reads what the first left: in place where the order of its rows allows, copied otherwise.
    let between = prop_oneof![Just(Between::Nothing), Just(Between::Sum), Just(Between::Pooling)];
    let second = (1usize..4, (1usize..3, 1usize..3), 1usize..3, (0usize..2, 0usize..2));
    holds(40, (convolution(), between, second, kind(), rows()), |(layer, between, second, kind, rows)| {
        let mut draft = Draft::new("convolutions");
        let shape = LinearShape::Conv2d(layer.geometry);
        let x = draft.input(layer.input.len(), 16);
        let (weight, bias) = (draft.param(layer.weights), Some(draft.param(layer.bias)));
        let op = IntOp::Linear { shape, width: layer.width, weight, bias, rescale: Rescale { shift: 13, kind } };
        let (positions, width) = (shape.positions(), layer.width);
        let y = draft.node(op, &[x], positions * width);
        // Channels first, as a convolution reads them.
        let channels_first: Vec<u32> =
            (0..width).flat_map(|o| (0..positions).map(move |p| (p * width + o) as u32)).collect();
        let view =
            |elements: &[u32]| IntOp::View { sources: elements.iter().map(|i| Source::Element(0, *i)).collect() };
        let y = draft.node(view(&channels_first), &[y], positions * width);
        let [mut height, cols] = layer.geometry.output;
        let y = match between {
            Between::Nothing => y,
            Between::Sum => {
                let op = IntOp::Add { ca: 1, cb: 1, c: 3, rescale: Rescale { shift: 1, kind: SIGNED } };
                draft.node(op, &[y, y], positions * width)
            }
            Between::Pooling if height > 1 => {
                let rows = height / 2;
                let at = |o: usize, row: usize, col: usize| ((o * height + row) * cols + col) as u32;
                let pairs: Vec<u32> = (0..width)
                    .flat_map(|o| (0..rows).flat_map(move |row| (0..cols).map(move |col| (o, row, col))))
                    .flat_map(|(o, row, col)| [at(o, 2 * row, col), at(o, 2 * row + 1, col)])
                    .collect();
                height = rows;
                let pairs = draft.node(view(&pairs), &[y], 2 * rows * cols * width);
                draft.node(IntOp::Max { group: 2 }, &[pairs], rows * cols * width)
            }
            Between::Pooling => y,
        };
        let (outputs, kernel, stride, pad) = second;
        let (kernel, pad) = ([kernel.0.min(height), kernel.1.min(cols)], [pad.0, pad.1]);
        let out = |input: usize, axis: usize| (input + 2 * pad[axis] - kernel[axis]) / stride + 1;
        let shape = LinearShape::Conv2d(Conv2d {
            channels: width,
            first_channel: 0,
            input: [height, cols],
            output: [out(height, 0), out(cols, 1)],
            kernel,
            stride: [stride; 2],
            dilation: [1, 1],
            pad_before: pad,
        });
        let weight = draft.param(some_weights(shape.inner() * outputs, 5));
        let rescale = Rescale { shift: 11, kind: SIGNED };
        let op = IntOp::Linear { shape, width: outputs, weight, bias: None, rescale };
        let z = draft.node(op, &[y], shape.positions() * outputs);
        let graph = draft.output(z);
        agree_on(&graph, plan_of_rows(&graph, rows), &[layer.input])
    });
}

#[test]
fn sums_of_two_agree_with_the_executor() {
    let strategy = (pairs(), -9i64..9, -9i64..9, -5000i64..5000, shift(5), kind());
    holds(50, strategy, |((a, b), ca, cb, c, shift, kind)| {
        let (len, operands) = (a.len(), [a, b]);
        let rounded = IntOp::Add { ca, cb, c, rescale: Rescale { shift, kind } };
        let provable = agree(&single(rounded, &operands, len), &operands)?;
        let exact = IntOp::Add { ca, cb, c, rescale: Rescale::EXACT };
        let exact = agree(&single(exact, &operands, len), &operands)?;
        prop_assert!(exact, "an exact sum is always provable");
        Ok(provable)
    });
}

#[test]
fn products_agree_with_the_executor() {
    let operands = (1usize..7).prop_flat_map(|len| (vec(value(), len), vec(-2000i64..2000, len)));
    holds(50, (operands, -3i64..4, shift(13), kind()), |((a, b), c, shift, kind)| {
        let (len, operands) = (a.len(), [a, b]);
        agree(&single(IntOp::Mul { c, rescale: Rescale { shift, kind } }, &operands, len), &operands)
    });
}

#[test]
fn affine_maps_agree_with_the_executor() {
    holds(50, (pairs(), -100_000i64..100_000, shift(15), kind()), |((a, scale), offset, shift, kind)| {
        let len = a.len();
        let op = IntOp::Affine { scale, offset: vec![offset], rescale: Rescale { shift, kind } };
        agree(&single(op, std::slice::from_ref(&a), len), &[a])
    });
}

#[test]
fn sums_of_groups_agree_with_the_executor() {
    holds(50, (1usize..5, vec(value(), 12), -4i64..5, shift(4), kind()), |(group, values, c, shift, kind)| {
        let values = values[..12 / group * group].to_vec();
        let op = IntOp::Sum { group, c, rescale: Rescale { shift, kind } };
        agree(&single(op, std::slice::from_ref(&values), values.len() / group), &[values])
    });
}

/// Two matrices that fit, with their sizes.
fn matrices() -> impl Strategy<Value = ([usize; 3], Vec<i64>, Vec<i64>)> {
    (1usize..5, 1usize..6, 1usize..5).prop_flat_map(|(rows, inner, cols)| {
        let values = |len| vec(-2000i64..2000, len);
        (Just([rows, inner, cols]), values(rows * inner), values(inner * cols))
    })
}

#[test]
fn products_of_matrices_agree_with_the_executor() {
    // Of those that an identity makes cheaper and of those that it does not.
    holds(50, (matrices(), shift(9), kind()), |(([rows, inner, cols], a, b), shift, kind)| {
        let op = IntOp::MatMul { rows, inner, cols, rescale: Rescale { shift, kind } };
        let operands = [a, b];
        agree(&single(op, &operands, rows * cols), &operands)
    });
}

#[test]
fn products_of_products_agree_with_the_executor() {
    // As in attention: both operands of the second are computed, one of them turned round.
    holds(40, (matrices(), 1usize..4, rows()), |(([rows, inner, cols], a, b), width, limbs)| {
        let mut draft = Draft::new("attention");
        let (x, z) = (draft.input(a.len(), 16), draft.input(b.len(), 16));
        let rescale = |shift| Rescale { shift, kind: SIGNED };
        let scores = draft.node(IntOp::MatMul { rows, inner, cols, rescale: rescale(12) }, &[x, z], rows * cols);
        let turned = (0..cols).flat_map(|j| (0..rows).map(move |i| Source::Element(0, (i * cols + j) as u32)));
        let turned = draft.node(IntOp::View { sources: turned.collect() }, &[scores], rows * cols);
        let weight = draft.param(some_weights(cols * width, 3));
        let shape = LinearShape::Dense { rows, inner: cols };
        let op = IntOp::Linear { shape, width, weight, bias: None, rescale: rescale(10) };
        let values = draft.node(op, &[scores], rows * width);
        let op = IntOp::MatMul { rows: cols, inner: rows, cols: width, rescale: rescale(13) };
        let y = draft.node(op, &[turned, values], cols * width);
        let graph = draft.output(y);
        agree_on(&graph, plan_of_rows(&graph, limbs), &[a, b])
    });
}

#[test]
fn maxima_agree_with_the_executor() {
    holds(100, (1usize..6, vec(value(), 15)), |(group, values)| {
        let values = values[..15 / group * group].to_vec();
        agree(&single(IntOp::Max { group }, std::slice::from_ref(&values), values.len() / group), &[values])
    });
}

#[test]
fn functions_agree_with_the_executor() {
    let table = prop_oneof![5 => Just(20_000i64), 1 => Just(60_000)]
        .prop_flat_map(|reach| vec(-reach..reach, INTERPOLATION_POINTS));
    holds(50, (table, vec(value(), 6), kind()), |(table, values, kind)| {
        let op = IntOp::Function { name: "random".to_owned(), table, rescale: Rescale { shift: 8, kind } };
        agree(&single(op, std::slice::from_ref(&values), 6), &[values])
    });
}

/// Numerators and denominators; the quotients of most lists are in range.
fn division() -> impl Strategy<Value = (u32, Vec<i64>, Vec<i64>)> {
    let tame = |shift: u32| {
        let den = prop_oneof![3 => 1i64..65536, 2 => 1i64..40];
        vec((den, 0i64..=1000), 5).prop_map(move |pairs| {
            let numerator = |(den, share): &(i64, i64)| ((den * 32767) >> shift).min(65535) * share / 1000;
            (pairs.iter().map(numerator).collect(), pairs.iter().map(|(den, _)| *den).collect())
        })
    };
    let wild = || (vec(-65535i64..65536, 5), vec(prop_oneof![1i64..65536, 1i64..40, -3i64..1], 5));
    (0u32..17).prop_flat_map(move |shift| {
        prop_oneof![5 => tame(shift), 1 => wild()].prop_map(move |(num, den)| (shift, num, den))
    })
}

#[test]
fn divisions_agree_with_the_executor() {
    holds(60, division(), |(shift, num, den)| {
        let case = super::graphs::divide(shift, num, den);
        agree(&case.graph, &case.inputs)
    });
}

#[test]
fn signed_divisions_agree_with_the_executor() {
    let pair = (-32768i64..32768, prop_oneof![30 => 1i64..32768, 20 => 1i64..40, 1 => -3i64..1]);
    holds(60, vec(pair, 5), |pairs| {
        let (num, den) = pairs.into_iter().unzip();
        let case = super::graphs::divide_signed(num, den);
        agree(&case.graph, &case.inputs)
    });
}

#[test]
fn roots_agree_with_the_executor() {
    holds(60, (0u32..18, vec(-3i64..65536, 5)), |(shift, values)| {
        let case = super::graphs::root(shift, values);
        agree(&case.graph, &case.inputs)
    });
}

#[test]
fn indicators_and_selections_agree_with_the_executor() {
    holds(60, (vec(value(), 5), vec(value(), 5), vec(value(), 5)), |(signs, a, b)| {
        for condition in [Condition::NonNegative, Condition::Zero] {
            let case = super::graphs::indicator("indicator", condition, signs.clone());
            agree(&case.graph, &case.inputs)?;
        }
        let case = super::graphs::select(signs, a, b);
        agree(&case.graph, &case.inputs)
    });
}

#[test]
fn views_agree_with_the_executor() {
    holds(100, (vec(value(), 6), vec(0u32..6, 9), value()), |(values, order, constant)| {
        let sources = order.iter().map(|i| Source::Element(0, *i)).chain([Source::Constant(constant)]).collect();
        agree(&single(IntOp::View { sources }, std::slice::from_ref(&values), 10), &[values])
    });
}

#[test]
fn inputs_of_every_width_agree_with_the_executor() {
    holds(40, (1u32..33, any::<i64>(), 0i64..3), |(bits, seed, beyond)| {
        let mut draft = Draft::new("width");
        let x = draft.input(3, bits);
        let y = draft.node(IntOp::View { sources: (0..3).map(|i| Source::Element(0, i)).collect() }, &[x], 3);
        let half = 1i64 << (bits - 1);
        let inside = seed.rem_euclid(2 * half) - half;
        let values = vec![inside, -half, half - 1 + beyond / 2];
        agree(&draft.output(y), &[values])
    });
}
