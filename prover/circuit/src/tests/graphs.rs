//! Graphs of one operation each, with inputs that reach its edge cases. All of them are valid.

use vouch_graph::int::{
    Condition, Conv2d, INTEGER_PACKING, INTERPOLATION_POINTS, IntGraph, IntNode, IntOp, IntTensor, Interval,
    LinearShape, Packing, Param, Port, Rescale, RescaleKind, ScaleExp, Source, TensorId, Visibility,
};

/// A graph under construction.
pub(crate) struct Draft {
    graph: IntGraph,
}

impl Draft {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            graph: IntGraph {
                name: name.to_owned(),
                tensors: Vec::new(),
                params: Vec::new(),
                nodes: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
            },
        }
    }

    fn tensor(&mut self, name: &str, len: usize, range: Interval) -> TensorId {
        self.graph.tensors.push(IntTensor { name: name.to_owned(), shape: vec![len], exponent: ScaleExp(0), range });
        TensorId(self.graph.tensors.len() - 1)
    }

    pub(crate) fn input(&mut self, len: usize, bits: u32) -> TensorId {
        self.input_packed(len, Packing::dense(bits))
    }

    pub(crate) fn input_packed(&mut self, len: usize, packing: Packing) -> TensorId {
        let tensor = self.tensor("input", len, Interval::signed(packing.bits));
        self.graph.inputs.push(Port { tensor, visibility: Visibility::Public, packing, minus_infinity: None });
        tensor
    }

    pub(crate) fn param(&mut self, values: Vec<i64>) -> usize {
        self.graph.params.push(Param { name: "weight".to_owned(), values, exponent: ScaleExp(0) });
        self.graph.params.len() - 1
    }

    pub(crate) fn node(&mut self, op: IntOp, inputs: &[TensorId], len: usize) -> TensorId {
        let ranges: Vec<Interval> = inputs.iter().map(|id| self.graph.tensor(*id).range).collect();
        let range = op.range(&ranges, &self.graph.params).output;
        let output = self.tensor("value", len, range);
        let name = format!("node_{}", self.graph.nodes.len());
        self.graph.nodes.push(IntNode { name, op, inputs: inputs.to_vec(), output });
        output
    }

    /// `max(0, x)`, such as a division demands of its numerator.
    pub(crate) fn positive(&mut self, x: TensorId) -> TensorId {
        let len = self.graph.tensor(x).len();
        self.node(clamp(), &[x], len)
    }

    pub(crate) fn output(self, tensor: TensorId) -> IntGraph {
        let graph = self.unvalidated(tensor);
        graph.validate().unwrap_or_else(|error| panic!("{}: {error}", graph.name));
        graph
    }

    /// The graph whether it is valid or not.
    pub(crate) fn unvalidated(mut self, tensor: TensorId) -> IntGraph {
        let packing = Packing::dense(32);
        self.graph.outputs.push(Port { tensor, visibility: Visibility::Public, packing, minus_infinity: None });
        self.graph
    }
}

/// `max(0, x)`.
pub(crate) fn clamp() -> IntOp {
    IntOp::Affine { scale: vec![1], offset: vec![0], rescale: Rescale { shift: 0, kind: RELU } }
}

pub(crate) const SIGNED: RescaleKind = RescaleKind::Signed;
pub(crate) const RELU: RescaleKind = RescaleKind::Relu;

/// Weights in `[-range, range)` that look arbitrary and never change.
pub(crate) fn weights(len: usize, range: i64) -> Vec<i64> {
    (0..len as i64).map(|i| (i * 7919 + 104_729).rem_euclid(2 * range) - range).collect()
}

/// A case: a graph of one operation and inputs for it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) graph: IntGraph,
    pub(crate) inputs: Vec<Vec<i64>>,
}

fn unary(name: &'static str, op: IntOp, input: Vec<i64>, len: usize) -> Case {
    let mut draft = Draft::new(name);
    let x = draft.input(input.len(), 16);
    let y = draft.node(op, &[x], len);
    Case { name, graph: draft.output(y), inputs: vec![input] }
}

pub(crate) fn binary(name: &'static str, op: IntOp, a: Vec<i64>, b: Vec<i64>, len: usize) -> Case {
    let mut draft = Draft::new(name);
    let (x, z) = (draft.input(a.len(), 16), draft.input(b.len(), 16));
    let y = draft.node(op, &[x, z], len);
    Case { name, graph: draft.output(y), inputs: vec![a, b] }
}

pub(crate) fn dense(rows: usize, inner: usize, width: usize, kind: RescaleKind, bias: bool) -> Case {
    dense_over(16, [rows, inner, width], kind, bias)
}

/// A dense layer over rows of values that are too wide to be evaluated in place.
pub(crate) fn gathered_dense(rows: usize, inner: usize, width: usize) -> Case {
    Case { name: "gathered_dense", ..dense_over(17, [rows, inner, width], SIGNED, true) }
}

fn dense_over(bits: u32, [rows, inner, width]: [usize; 3], kind: RescaleKind, bias: bool) -> Case {
    let mut draft = Draft::new("dense");
    let x = draft.input(rows * inner, bits);
    let weight = draft.param(weights(inner * width, 3000));
    let bias = bias.then(|| draft.param(weights(width, 1 << 20)));
    let op = IntOp::Linear {
        shape: LinearShape::Dense { rows, inner },
        width,
        weight,
        bias,
        rescale: Rescale { shift: 14, kind },
    };
    let y = draft.node(op, &[x], rows * width);
    Case { name: "dense", graph: draft.output(y), inputs: vec![weights(rows * inner, 900)] }
}

pub(crate) fn convolution() -> Case {
    let mut draft = Draft::new("convolution");
    let geometry = Conv2d {
        channels: 2,
        first_channel: 0,
        input: [5, 4],
        output: [3, 4],
        kernel: [3, 3],
        stride: [2, 1],
        dilation: [1, 1],
        pad_before: [1, 1],
    };
    let shape = LinearShape::Conv2d(geometry);
    let (inner, positions, width) = (shape.inner(), shape.positions(), 3);
    let x = draft.input(2 * 5 * 4, 16);
    let weight = draft.param(weights(inner * width, 500));
    let bias = Some(draft.param(weights(width, 100_000)));
    let op = IntOp::Linear { shape, width, weight, bias, rescale: Rescale { shift: 9, kind: RELU } };
    let y = draft.node(op, &[x], positions * width);
    Case { name: "convolution", graph: draft.output(y), inputs: vec![weights(40, 700)] }
}

/// `[rows, inner]` times `[inner, cols]`, both inputs of so many bits.
pub(crate) fn matrix_product(name: &'static str, [rows, inner, cols]: [usize; 3], shift: u32, bits: u32) -> Case {
    let mut draft = Draft::new(name);
    let (a, b) = (draft.input(rows * inner, bits), draft.input(inner * cols, bits));
    let op = IntOp::MatMul { rows, inner, cols, rescale: Rescale { shift, kind: SIGNED } };
    let y = draft.node(op, &[a, b], rows * cols);
    Case { name, graph: draft.output(y), inputs: vec![weights(rows * inner, 2000), weights(inner * cols, 1500)] }
}

/// A table whose values are large, small, equal and negative.
pub(crate) fn table() -> Vec<i64> {
    (0..INTERPOLATION_POINTS as i64).map(|i| (i * i * 3) % 4001 - 2000 + 40 * i).collect()
}

/// Two functions over one input, so that one's points can be offered for the other's.
pub(crate) fn two_functions() -> Case {
    let mut draft = Draft::new("two_functions");
    let rescale = Rescale { shift: 8, kind: SIGNED };
    let x = draft.input(4, 16);
    let function = |name: &str, table| IntOp::Function { name: name.to_owned(), table, rescale };
    let first = draft.node(function("first", table()), &[x], 4);
    let second = draft.node(function("second", other_table()), &[x], 4);
    let sum = draft.node(IntOp::Add { ca: 1, cb: 1, c: 0, rescale: Rescale::EXACT }, &[first, second], 4);
    Case { name: "two_functions", graph: draft.output(sum), inputs: vec![vec![-32768, -3, 100, 32767]] }
}

/// A function whose values a layer evaluates in place, on rows with another one between.
pub(crate) fn tracked_function() -> Case {
    let mut draft = Draft::new("tracked_function");
    let x = draft.input(6, 16);
    let rescale = Rescale { shift: 8, kind: SIGNED };
    let x = draft.node(IntOp::Function { name: "test".to_owned(), table: table(), rescale }, &[x], 6);
    let weight = draft.param(weights(4, 300));
    let shape = LinearShape::Dense { rows: 3, inner: 2 };
    let op = IntOp::Linear { shape, width: 2, weight, bias: None, rescale: Rescale { shift: 9, kind: SIGNED } };
    let y = draft.node(op, &[x], 6);
    Case { name: "tracked_function", graph: draft.output(y), inputs: vec![vec![-32768, -3, 100, 32767, 5, 900]] }
}

/// Differs from [`table`] at every point.
pub(crate) fn other_table() -> Vec<i64> {
    table().iter().map(|point| point + 7).collect()
}

/// An input that is passed on, one larger.
fn widths(name: &'static str, packing: Packing, input: Vec<i64>) -> Case {
    let mut draft = Draft::new(name);
    let x = draft.input_packed(input.len(), packing);
    let op = IntOp::Affine { scale: vec![1], offset: vec![1], rescale: Rescale::EXACT };
    let y = draft.node(op, &[x], input.len());
    Case { name, graph: draft.output(y), inputs: vec![input] }
}

/// Quotients, with a numerator that a ReLU bounds.
pub(crate) fn divide(shift: u32, num: Vec<i64>, den: Vec<i64>) -> Case {
    let mut draft = Draft::new("divide");
    let len = num.len();
    let (x, z) = (draft.input(len, 17), draft.input(len, 17));
    let x = draft.positive(x);
    let y = draft.node(IntOp::Div { shift }, &[x, z], len);
    Case { name: "divide", graph: draft.output(y), inputs: vec![num, den] }
}

/// Quotients of numerators of either sign.
pub(crate) fn divide_signed(num: Vec<i64>, den: Vec<i64>) -> Case {
    let len = num.len();
    binary("divide_signed", IntOp::Div { shift: 0 }, num, den, len)
}

/// Square roots of what a ReLU leaves.
pub(crate) fn root(shift: u32, values: Vec<i64>) -> Case {
    let mut draft = Draft::new("root");
    let len = values.len();
    let x = draft.input(len, 17);
    let x = draft.positive(x);
    let y = draft.node(IntOp::Sqrt { shift }, &[x], len);
    Case { name: "root", graph: draft.output(y), inputs: vec![values] }
}

/// Whether values meet a condition.
pub(crate) fn indicator(name: &'static str, condition: Condition, values: Vec<i64>) -> Case {
    let len = values.len();
    unary(name, IntOp::Indicator { condition }, values, len)
}

/// The second or the third input, as the sign of the first says.
pub(crate) fn select(signs: Vec<i64>, a: Vec<i64>, b: Vec<i64>) -> Case {
    let mut draft = Draft::new("select");
    let len = signs.len();
    let [x, y, z] = [(); 3].map(|()| draft.input(len, 16));
    let bit = draft.node(IntOp::Indicator { condition: Condition::NonNegative }, &[x], len);
    let y = draft.node(IntOp::Select, &[bit, y, z], len);
    Case { name: "select", graph: draft.output(y), inputs: vec![signs, a, b] }
}

/// Every operation, with edge cases among its inputs.
pub(crate) fn all() -> Vec<Case> {
    let edges = vec![0, 1, -1, 2, -2, 127, 128, -128, 255, 256, 32767, -32768, 16384, -16384, 3, -3];
    let twins: Vec<i64> = edges.iter().rev().copied().collect();
    let n = edges.len();
    let rescale = |shift, kind| Rescale { shift, kind };
    let halves: Vec<i64> = edges.iter().map(|v| v / 2).collect();
    vec![
        dense(1, 6, 5, RELU, true),
        dense(1, 4, 1, SIGNED, false),
        dense(3, 4, 2, SIGNED, true),
        // Nothing is multiplied by a power of the positions' challenge here.
        Case { name: "dense_without_powers", ..dense(3, 2, 2, SIGNED, false) },
        convolution(),
        binary(
            "add_exact",
            IntOp::Add { ca: 1, cb: -1, c: 5, rescale: Rescale::EXACT },
            edges.clone(),
            twins.clone(),
            n,
        ),
        binary(
            "add_rounded",
            IntOp::Add { ca: 3, cb: 5, c: 0, rescale: rescale(4, SIGNED) },
            edges.clone(),
            twins.clone(),
            n,
        ),
        binary("multiply", IntOp::Mul { c: 1, rescale: rescale(15, RELU) }, edges.clone(), twins, n),
        unary("relu", IntOp::Affine { scale: vec![1], offset: vec![0], rescale: rescale(0, RELU) }, edges.clone(), n),
        unary(
            "affine",
            IntOp::Affine {
                scale: (0..n as i64).map(|i| i - 8).collect(),
                offset: (0..n as i64).map(|i| 1000 * i).collect(),
                rescale: rescale(3, SIGNED),
            },
            weights(n, 2000),
            n,
        ),
        unary("mean", IntOp::Sum { group: 4, c: 1, rescale: rescale(2, SIGNED) }, edges.clone(), n / 4),
        unary("sum_of_odd_length", IntOp::Sum { group: 5, c: 3, rescale: Rescale::EXACT }, weights(15, 3000), 3),
        // A row for each product is cheaper where the matrices are small, or the left one is a single row.
        matrix_product("matrix_product", [2, 3, 2], 10, 16),
        matrix_product("matrix_row", [1, 5, 4], 10, 16),
        // By an identity: with the factor of a shift and without, of several columns and of one.
        matrix_product("matrix_identity", [3, 5, 4], 10, 16),
        matrix_product("matrix_column", [4, 4, 1], 16, 16),
        unary("maximum", IntOp::Max { group: 4 }, edges.clone(), n / 4),
        indicator("not_negative", Condition::NonNegative, edges.clone()),
        indicator("zero", Condition::Zero, edges.clone()),
        unary(
            "function",
            IntOp::Function { name: "test".to_owned(), table: table(), rescale: rescale(8, SIGNED) },
            edges,
            n,
        ),
        two_functions(),
        divide(8, vec![0, 1, 2, 3, 99, 100, 32767, 5], vec![1, 1, 3, 2, 100, 32767, 32767, 10]),
        divide_signed(vec![-6, -5, -1, 1, -32768, 32767, -7, 7], vec![4, 2, 2, 2, 1, 1, 32767, 3]),
        root(4, vec![0, 1, 2, 3, 4, 255, 256, 65535]),
        select(vec![0, -1, 5, -32768], vec![1, 2, 32767, -32768], vec![-7, 32767, 3, -32768]),
        {
            let mut draft = Draft::new("view");
            let x = draft.input(n, 16);
            let sources =
                (0..n as u32).rev().map(|i| Source::Element(0, i)).chain([Source::Constant(-77), Source::Constant(9)]);
            let y = draft.node(IntOp::View { sources: sources.collect() }, &[x], n + 2);
            Case { name: "view", graph: draft.output(y), inputs: vec![halves] }
        },
        widths("input_of_8_bits", Packing::dense(8), vec![0, -1, 127, -128, 5]),
        widths("input_of_12_bits", Packing::dense(12), vec![0, -1, 2047, -2048, 99]),
        widths("input_of_24_bits", Packing::dense(24), vec![0, -1, (1 << 23) - 1, -(1 << 23), 887_272]),
        // Eight a word, as the feature ring packs them, where ten would fit: two words and the start of a third.
        widths("ring", INTEGER_PACKING, (0..18).map(|i| (i - 9) * 99_991).chain([(1 << 23) - 1, -(1 << 23)]).collect()),
    ]
}
