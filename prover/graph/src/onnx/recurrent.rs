//! Recurrent layers, unrolled over time.

use super::{Lowering, Node, activation::bounded, matmul::product};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatSource, Function, Value},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "RNN" => |b, n, i| recurrent(b, n, i, Kind::Plain),
        "GRU" => |b, n, i| recurrent(b, n, i, Kind::Gru),
        "LSTM" => |b, n, i| recurrent(b, n, i, Kind::Lstm),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Gru,
    Lstm,
}

impl Kind {
    fn gates(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    fn default_activations(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// An activation with its coefficients.
#[derive(Clone)]
struct Gate {
    name: String,
    alpha: f64,
    beta: f64,
    /// Bound of its argument.
    clip: Option<f64>,
}

/// Coefficients that an activation takes, alpha and beta, with their defaults.
fn coefficients(name: &str) -> Option<(Option<f64>, Option<f64>)> {
    Some(match name {
        "Relu" | "Tanh" | "Sigmoid" | "Softsign" | "Softplus" => (None, None),
        "LeakyRelu" => (Some(0.01), None),
        "ThresholdedRelu" | "Elu" => (Some(1.0), None),
        "Affine" | "ScaledTanh" => (Some(1.0), Some(if name == "Affine" { 0.0 } else { 1.0 })),
        "HardSigmoid" => (Some(0.2), Some(0.5)),
        _ => return None,
    })
}

impl Gate {
    fn apply(&self, b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
        let (alpha, beta) = (self.alpha, self.beta);
        let x = &bounded(b, x, self.clip.map(|c| -c), self.clip)?;
        match self.name.as_str() {
            "Relu" => b.relu(x, 1.0, 0.0),
            "Tanh" => b.function(x, Function::Tanh),
            "Softsign" => b.function(x, Function::Softsign),
            "Softplus" => b.function(x, Function::Softplus),
            "Elu" => b.function(x, Function::Elu { alpha }),
            "Affine" => b.affine(x, vec![alpha], vec![beta]),
            "LeakyRelu" => {
                let positive = b.relu(x, 1.0, 0.0)?;
                b.add((alpha, x), (1.0 - alpha, &positive))
            }
            "ThresholdedRelu" => {
                // Not above the threshold: zero.
                let short = b.affine(x, vec![-1.0], vec![alpha])?;
                let short = b.indicator(&short, Condition::NonNegative)?;
                let zero = Value::constant(vec![0.0; x.len()], x.shape.clone(), x.element);
                b.select(&short, &zero, x)
            }
            "ScaledTanh" => {
                let inner = b.affine(x, vec![beta], vec![0.0])?;
                let bent = b.function(&inner, Function::Tanh)?;
                b.affine(&bent, vec![alpha], vec![0.0])
            }
            "HardSigmoid" => {
                let line = b.affine(x, vec![alpha], vec![beta])?;
                bounded(b, &line, Some(0.0), Some(1.0))
            }
            _ => b.function(x, Function::Sigmoid),
        }
    }
}

/// Activations of every direction, in their order, with coefficients from the lists that name those that take any.
fn gates(node: &Node<'_>, kind: Kind, directions: usize) -> Result<Vec<Vec<Gate>>, GraphError> {
    let defaults = kind.default_activations();
    let given = node.texts("activations").filter(|names| !names.is_empty());
    let names = given.unwrap_or_else(|| defaults.iter().map(|n| (*n).to_owned()).collect());
    let per = defaults.len();
    if names.len() != per && names.len() != per * directions {
        return Err(node.malformed(format!("activations {names:?} for {directions} directions")));
    }
    let clip = node.float("clip").filter(|c| *c > 0.0);
    let mut alphas = node.floats("activation_alpha").unwrap_or_default().iter();
    let mut betas = node.floats("activation_beta").unwrap_or_default().iter();
    let mut gates = Vec::with_capacity(names.len());
    for name in &names {
        // Some writers have them in small letters.
        let same = |known: &&str| known.eq_ignore_ascii_case(name);
        let known = [
            "Relu",
            "Tanh",
            "Sigmoid",
            "Softsign",
            "Softplus",
            "LeakyRelu",
            "ThresholdedRelu",
            "Elu",
            "Affine",
            "ScaledTanh",
            "HardSigmoid",
        ];
        let found = known.into_iter().find(same).and_then(|name| Some((name, coefficients(name)?)));
        let (name, (alpha, beta)) = found.ok_or_else(|| node.malformed(format!("activation `{name}`")))?;
        let next = |default: Option<f64>, list: &mut std::slice::Iter<'_, f32>| {
            default.map_or(0.0, |default| list.next().map_or(default, |v| f64::from(*v)))
        };
        let (alpha, beta) = (next(alpha, &mut alphas), next(beta, &mut betas));
        gates.push(Gate { name: name.to_owned(), alpha, beta, clip });
    }
    let each: Vec<Vec<Gate>> = gates.chunks(per).map(<[Gate]>::to_vec).collect();
    Ok((0..directions).map(|d| each[d % each.len()].clone()).collect())
}

/// One direction of a layer.
struct Cell<'a> {
    node: &'a Node<'a>,
    kind: Kind,
    gates: Vec<Gate>,
    features: usize,
    hidden: usize,
    batch: usize,
    /// `[gates * hidden, features]`.
    w: Value,
    /// `[gates * hidden, hidden]`.
    r: Value,
    /// `[2 * gates * hidden]`.
    bias: Option<Value>,
    /// `[3 * hidden]`, of input, output and forget gate.
    peepholes: Option<Value>,
}

/// What a cell carries from step to step, `[batch, hidden]` each.
#[derive(Clone)]
struct State {
    h: Value,
    c: Value,
}

/// What a direction computes: its states at each time, and the last.
struct Run {
    steps: Vec<Value>,
    last: State,
}

/// All directions. Lengths of sequences may be computed: a state stays as it is beyond its sequence's end, in reverse
/// until its sequence begins.
fn recurrent(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], kind: Kind) -> Result<Vec<Value>, GraphError> {
    let given = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let direction = node.text("direction").unwrap_or_else(|| "forward".to_owned());
    let reversed: &[bool] = match direction.as_str() {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(node.malformed(format!("direction `{other}`"))),
    };
    let batched = node.flag("layout", false)?;
    let x = node.required(inputs, 0)?;
    if x.shape.len() != 3 || x.len() == 0 {
        return Err(node.malformed(format!("an input of shape {:?}", x.shape)));
    }
    let x = if batched { b.transpose(x, &[1, 0, 2])? } else { x.clone() };
    let (time, batch, features) = (x.shape[0], x.shape[1], x.shape[2]);
    let (w, r) = (node.required(inputs, 1)?, node.required(inputs, 2)?);
    let (directions, hidden) = (reversed.len(), r.shape.last().copied().unwrap_or(0));
    let rows = kind.gates() * hidden;
    let states: &[usize] = if batched { &[batch, directions, hidden] } else { &[directions, batch, hidden] };
    let expected: [(usize, &[usize]); 7] = [
        (1, &[directions, rows, features]),
        (2, &[directions, rows, hidden]),
        (3, &[directions, 2 * rows]),
        (4, &[batch]),
        (5, states),
        (6, states),
        (7, &[directions, 3 * hidden]),
    ];
    for (i, shape) in expected {
        if let Some(v) = given(i).filter(|v| v.shape != shape || v.len() == 0) {
            return Err(node.malformed(format!("input {i} of shape {:?}, which has to be {shape:?}", v.shape)));
        }
    }
    let gates = gates(node, kind, directions)?;
    let lengths = given(4).cloned();
    let bits = lengths.map(|lengths| running(b, &lengths, time, hidden)).transpose()?;
    let mut runs = Vec::with_capacity(directions);
    for (at, gates) in gates.into_iter().enumerate() {
        let part = |b: &mut Builder, i: usize| given(i).map(|v| b.pick(v, 0, at)).transpose();
        let cell = Cell {
            node,
            kind,
            gates,
            features,
            hidden,
            batch,
            w: b.pick(w, 0, at)?,
            r: b.pick(r, 0, at)?,
            bias: part(b, 3)?,
            peepholes: part(b, 7)?,
        };
        let mut start = |i: usize| match given(i).filter(|_| i == 5 || kind == Kind::Lstm) {
            Some(v) => b.pick(v, usize::from(batched), at),
            None => Ok(Value::constant(vec![0.0; batch * hidden], vec![batch, hidden], Element::Real)),
        };
        let state = State { h: start(5)?, c: start(6)? };
        runs.push(cell.run(b, &x, state, (reversed[at], bits.as_deref()))?);
    }
    outputs(b, &runs, batched)
}

/// For each time bits `[batch, hidden]` of the sequences that are not at their end.
fn running(b: &mut Builder, lengths: &Value, time: usize, hidden: usize) -> Result<Vec<Value>, GraphError> {
    let batch = lengths.len();
    (0..time)
        .map(|t| {
            let left = b.affine(lengths, vec![1.0], vec![-1.0 - t as f64])?;
            let bit = b.indicator(&left, Condition::NonNegative)?;
            b.expand(&bit.reshaped(vec![batch, 1]), &[batch, hidden])
        })
        .collect()
}

/// `Y`, `Y_h` and `Y_c` in the layout asked for.
fn outputs(b: &mut Builder, runs: &[Run], batched: bool) -> Result<Vec<Value>, GraphError> {
    let mut each = Vec::with_capacity(runs.len());
    for run in runs {
        each.push(b.stack(&run.steps, 0)?);
    }
    let y = b.stack(&each, 1)?;
    let h: Vec<Value> = runs.iter().map(|r| r.last.h.clone()).collect();
    let c: Vec<Value> = runs.iter().map(|r| r.last.c.clone()).collect();
    let axis = usize::from(batched);
    let (h, c) = (b.stack(&h, axis)?, b.stack(&c, axis)?);
    let y = if batched { b.transpose(&y, &[2, 0, 1, 3])? } else { y };
    Ok(vec![y, h, c])
}

/// A product; zeros where one side is known to be zero, as a state is at the start.
fn times(b: &mut Builder, x: &Value, y: &Value) -> Result<Value, GraphError> {
    let zero = |v: &&Value| v.known().is_some_and(|known| known.iter().all(|v| *v == 0.0));
    match [x, y].into_iter().find(zero) {
        Some(zero) => Ok(zero.clone()),
        None => b.mul(x, y),
    }
}

impl Cell<'_> {
    fn run(
        &self,
        b: &mut Builder,
        x: &Value,
        mut state: State,
        (reversed, running): (bool, Option<&[Value]>),
    ) -> Result<Run, GraphError> {
        let time = x.shape[0];
        b.check(Cost::operations(time))?;
        let mut steps = Vec::with_capacity(time);
        for step in 0..time {
            let at = if reversed { time - 1 - step } else { step };
            let now = b.pick(x, 0, at)?;
            let mut next = match self.kind {
                Kind::Plain => self.plain(b, &now, &state)?,
                Kind::Gru => self.gru(b, &now, &state)?,
                Kind::Lstm => self.lstm(b, &now, &state)?,
            };
            let mut shown = next.h.clone();
            if let Some(bit) = running.and_then(|bits| bits.get(at)) {
                let zero = Value::constant(vec![0.0; shown.len()], shown.shape.clone(), Element::Real);
                shown = b.select(bit, &shown, &zero)?;
                next = State { h: b.select(bit, &next.h, &state.h)?, c: b.select(bit, &next.c, &state.c)? };
            }
            steps.push(shown);
            state = next;
        }
        if reversed {
            steps.reverse();
        }
        Ok(Run { steps, last: state })
    }

    /// `x W' + h R' + w_b + r_b` for a range of gates, where either side may be left out: one product of `[x, h, 1]`
    /// with the weights under one another.
    fn sum(
        &self,
        b: &mut Builder,
        (x, h): (Option<&Value>, Option<&Value>),
        gates: std::ops::Range<usize>,
    ) -> Result<Value, GraphError> {
        let (batch, hidden) = (self.batch, self.hidden);
        let width = gates.len() * hidden;
        let first = gates.start * hidden;
        let zero = || Value::constant(vec![0.0], vec![1], Element::Real);
        let bias = self.bias.clone().unwrap_or_else(zero);
        let sides = [(x, &self.w, self.features, 0), (h, &self.r, hidden, self.kind.gates() * hidden)];
        let mut left = Vec::new();
        let mut rows: Vec<Vec<FloatSource>> = Vec::new();
        for (side, (given, _, size, _)) in sides.iter().enumerate() {
            if given.is_none() {
                continue;
            }
            left.push((side as u32, *size));
            rows.extend((0..*size).map(|l| {
                (0..width).map(|o| FloatSource::Element(side as u32, ((first + o) * size + l) as u32)).collect()
            }));
        }
        let inner = rows.len();
        let weights = [self.w.clone(), self.r.clone()];
        let sources = rows.into_iter().flatten().collect();
        let mut matrix = b.assemble(&weights, sources, vec![inner, width])?;
        matrix.name.clone_from(&self.w.name);
        let parts: Vec<Value> = [x, h].into_iter().map(|v| v.cloned().unwrap_or_else(zero)).collect();
        let read = |n: usize| {
            left.iter().flat_map(move |(side, size)| {
                (0..*size).map(move |l| FloatSource::Element(*side, (n * size + l) as u32))
            })
        };
        let sources = (0..batch).flat_map(read).collect();
        let operand = b.assemble(&parts, sources, vec![batch, inner])?;
        let out = product(b, self.node, &operand, &matrix)?;
        if self.bias.is_none() {
            return Ok(out);
        }
        let mut total: Option<Value> = None;
        for (given, _, _, offset) in sides {
            if given.is_some() {
                let at: Vec<usize> = (0..width).map(|o| offset + first + o).collect();
                let part = b.gather(&bias, &at, vec![1, width])?;
                total = Some(match total {
                    Some(total) => b.add((1.0, &total), (1.0, &part))?,
                    None => part,
                });
            }
        }
        let Some(total) = total else { return Ok(out) };
        let total = b.expand(&total, &[batch, width])?;
        b.add((1.0, &out), (1.0, &total))
    }

    /// Gate number `gate` of `[batch, gates * hidden]`.
    fn gate(&self, b: &mut Builder, all: &Value, gate: usize) -> Result<Value, GraphError> {
        let width = all.shape[1];
        let (batch, hidden) = (self.batch, self.hidden);
        let at: Vec<usize> = (0..batch).flat_map(|n| (0..hidden).map(move |o| n * width + gate * hidden + o)).collect();
        b.gather(all, &at, vec![batch, hidden])
    }

    fn plain(&self, b: &mut Builder, x: &Value, state: &State) -> Result<State, GraphError> {
        let sum = self.sum(b, (Some(x), Some(&state.h)), 0..1)?;
        Ok(State { h: self.gates[0].apply(b, &sum)?, c: state.c.clone() })
    }

    /// `h' = (1 - z) n + z h`, with update gate `z`, reset gate `r`, and `n` from the reset state or from a reset of
    /// what the state contributes.
    fn gru(&self, b: &mut Builder, x: &Value, state: &State) -> Result<State, GraphError> {
        let both = self.sum(b, (Some(x), Some(&state.h)), 0..2)?;
        let both = self.gates[0].apply(b, &both)?;
        let (update, reset) = (self.gate(b, &both, 0)?, self.gate(b, &both, 1)?);
        let inner = if self.node.flag("linear_before_reset", false)? {
            let from_state = self.sum(b, (None, Some(&state.h)), 2..3)?;
            let from_state = times(b, &reset, &from_state)?;
            let from_input = self.sum(b, (Some(x), None), 2..3)?;
            b.add((1.0, &from_input), (1.0, &from_state))?
        } else {
            let kept = times(b, &reset, &state.h)?;
            self.sum(b, (Some(x), Some(&kept)), 2..3)?
        };
        let new = self.gates[1].apply(b, &inner)?;
        let change = b.add((1.0, &state.h), (-1.0, &new))?;
        let change = b.mul(&update, &change)?;
        Ok(State { h: b.add((1.0, &new), (1.0, &change))?, c: state.c.clone() })
    }

    /// `c' = f c + i g` and `h' = o activation(c')`, with input, output and forget gates that may see the cell.
    fn lstm(&self, b: &mut Builder, x: &Value, state: &State) -> Result<State, GraphError> {
        let all = self.sum(b, (Some(x), Some(&state.h)), 0..4)?;
        let input = self.gate(b, &all, 0)?;
        let input = self.peeped(b, input, (0, &state.c))?;
        let input = self.gates[0].apply(b, &input)?;
        let forget = if self.node.flag("input_forget", false)? {
            b.affine(&input, vec![-1.0], vec![1.0])?
        } else {
            let forget = self.gate(b, &all, 2)?;
            let forget = self.peeped(b, forget, (2, &state.c))?;
            self.gates[0].apply(b, &forget)?
        };
        let new = self.gate(b, &all, 3)?;
        let new = self.gates[1].apply(b, &new)?;
        let (kept, written) = (times(b, &forget, &state.c)?, b.mul(&input, &new)?);
        let c = b.add((1.0, &kept), (1.0, &written))?;
        let output = self.gate(b, &all, 1)?;
        let output = self.peeped(b, output, (1, &c))?;
        let output = self.gates[0].apply(b, &output)?;
        let shown = self.gates[2].apply(b, &c)?;
        Ok(State { h: b.mul(&output, &shown)?, c })
    }

    /// A gate's argument with what it sees of the cell.
    fn peeped(&self, b: &mut Builder, gate: Value, (which, c): (usize, &Value)) -> Result<Value, GraphError> {
        let Some(peepholes) = &self.peepholes else { return Ok(gate) };
        let at: Vec<usize> = (0..c.len()).map(|i| which * self.hidden + i % self.hidden).collect();
        let weight = b.gather(peepholes, &at, c.shape.clone())?;
        let seen = times(b, c, &weight)?;
        b.add((1.0, &gate), (1.0, &seen))
    }
}
