//! The executor's operations against their definitions, over random values.

use proptest::prelude::*;
use vouch_graph::{
    GraphError,
    exec::execute,
    int::{
        INTERPOLATION_POINTS, IntGraph, IntNode, IntOp, IntTensor, Interval, Packing, Port, Rescale, RescaleKind,
        ScaleExp, TensorId, Visibility,
    },
};

/// A graph of one operation over inputs of one element, all of `bits` bits.
fn graph(op: IntOp, inputs: usize, bits: u32) -> IntGraph {
    let tensor = |name: String, range| IntTensor { name, shape: vec![1], exponent: ScaleExp(0), range };
    let port = |i: usize, bits| Port {
        tensor: TensorId(i),
        visibility: Visibility::Private,
        packing: Packing::dense(bits),
        minus_infinity: None,
    };
    let mut tensors: Vec<IntTensor> = (0..inputs).map(|i| tensor(format!("in{i}"), Interval::signed(bits))).collect();
    let range = op.range(&vec![Interval::signed(bits); inputs], &[]).output;
    tensors.push(tensor("out".to_owned(), range));
    let graph = IntGraph {
        name: "test".to_owned(),
        tensors,
        params: vec![],
        nodes: vec![IntNode {
            name: "node".to_owned(),
            op,
            inputs: (0..inputs).map(TensorId).collect(),
            output: TensorId(inputs),
        }],
        inputs: (0..inputs).map(|i| port(i, bits)).collect(),
        outputs: vec![port(inputs, 32)],
    };
    graph.validate().unwrap();
    graph
}

/// `max(0, in0) / in1`: a numerator is never negative.
fn division(shift: u32) -> IntGraph {
    let mut division = graph(IntOp::Add { ca: 1, cb: 1, c: 0, rescale: Rescale::EXACT }, 2, 21);
    let positive = IntTensor { name: "positive".to_owned(), ..division.tensors[0].clone() };
    let out = division.tensors.len();
    let rescale = Rescale { shift: 0, kind: RescaleKind::Relu };
    let relu = IntOp::Affine { scale: vec![1], offset: vec![0], rescale };
    let range = relu.range(&[positive.range], &[]).output;
    division.tensors.push(IntTensor { range, ..positive });
    let node = IntNode { name: "relu".to_owned(), op: relu, inputs: vec![TensorId(0)], output: TensorId(out) };
    division.nodes.insert(0, node);
    let divide = &mut division.nodes[1];
    (divide.op, divide.inputs[0]) = (IntOp::Div { shift }, TensorId(out));
    let ranges = [range, division.tensors[1].range];
    division.tensors[2].range = division.nodes[1].op.range(&ranges, &[]).output;
    division.validate().unwrap();
    division
}

fn run(graph: &IntGraph, inputs: &[i64]) -> Result<i64, GraphError> {
    let inputs: Vec<Vec<i64>> = inputs.iter().map(|v| vec![*v]).collect();
    Ok(execute(graph, &inputs)?.tensor(graph.outputs[0].tensor)[0])
}

fn affine(shift: u32, kind: RescaleKind) -> IntGraph {
    let rescale = Rescale { shift, kind };
    graph(IntOp::Affine { scale: vec![1], offset: vec![0], rescale }, 1, 32)
}

proptest! {
    #[test]
    fn rescale_rounds_half_up_and_refuses_what_does_not_fit(
        acc in -(1i64 << 31)..(1i64 << 31), shift in 0u32..=16,
    ) {
        let exact = (acc as f64 / f64::from(1u32 << shift) + 0.5).floor();
        let exact = if shift == 0 { acc as f64 } else { exact };
        let signed = run(&affine(shift, RescaleKind::Signed), &[acc]);
        if (-32768.0..=32767.0).contains(&exact) {
            prop_assert_eq!(signed.unwrap() as f64, exact);
        } else {
            let is_out_of_range = matches!(signed, Err(GraphError::OutOfRange { .. }));
            prop_assert!(is_out_of_range);
        }
        let relu = run(&affine(shift, RescaleKind::Relu), &[acc]);
        if exact.abs() < 65536.0 {
            prop_assert_eq!(relu.unwrap() as f64, exact.max(0.0));
        } else {
            let is_out_of_range = matches!(relu, Err(GraphError::OutOfRange { .. }));
            prop_assert!(is_out_of_range);
        }
    }

    #[test]
    fn function_interpolates_between_its_points(
        a in -32768i64..32768,
        table in prop::collection::vec(-(1i64 << 19)..(1i64 << 19), INTERPOLATION_POINTS),
    ) {
        let at = (a + 32768) as usize;
        let (hi, lo) = (at / 256, (at % 256) as f64 / 256.0);
        let exact = table[hi] as f64 * (1.0 - lo) + table[hi + 1] as f64 * lo;
        let rescale = Rescale { shift: 12, kind: RescaleKind::Signed };
        let op = IntOp::Function { name: "f".to_owned(), table, rescale };
        let rounded = (exact * 256.0 / 4096.0 + 0.5).floor();
        match run(&graph(op, 1, 16), &[a]) {
            Ok(y) => prop_assert_eq!(y as f64, rounded),
            Err(_) => prop_assert!(rounded > 32767.0),
        }
    }

    #[test]
    fn div_rounds_half_up(a in -10i64..(1 << 16), b in -10i64..(1 << 20), shift in 0u32..=20) {
        let result = run(&division(shift), &[a, b]);
        if b <= 0 {
            let is_out_of_range = matches!(result, Err(GraphError::OutOfRange { .. }));
            prop_assert!(is_out_of_range);
            return Ok(());
        }
        let (a, b) = (i128::from(a.max(0)) << shift, i128::from(b));
        let nearest = a / b + i128::from(2 * (a % b) >= b);
        match result {
            Ok(y) => prop_assert_eq!(i128::from(y), nearest),
            Err(_) => prop_assert!(nearest >= 1 << 15),
        }
    }

    #[test]
    fn max_takes_the_greatest_and_refuses_a_wide_spread(
        a in -(1i64 << 17)..(1 << 17), b in -(1i64 << 17)..(1 << 17),
    ) {
        let mut graph = graph(IntOp::Max { group: 1 }, 1, 16);
        graph.tensors[0].shape = vec![2];
        graph.nodes[0].op = IntOp::Max { group: 2 };
        graph.validate().unwrap();
        // Validation refuses the wider range, which is what keeps values together in a valid graph.
        (graph.tensors[0].range, graph.inputs[0].packing) = (Interval::signed(24), Packing::dense(24));
        graph.tensors[1].range = Interval::signed(24);
        prop_assert_eq!(graph.validate().unwrap_err().code(), "invalid_graph");
        let result = execute(&graph, &[vec![a, b]]);
        if (a - b).abs() < 1 << 16 {
            let trace = result.unwrap();
            prop_assert_eq!(trace.tensor(TensorId(1)), [a.max(b)]);
        } else {
            let is_spread = matches!(result, Err(GraphError::Spread { .. }));
            prop_assert!(is_spread);
        }
    }
}
