//! The pass over the graph: one node after the other.

use super::{
    Bounds, Ideal, Meaning, OutputBound, TableBound, Why,
    function::{Samples, Table},
    linear::{self, Layer},
    softmax::{Facts, Uniform},
    state::{Errors, Reach, State, outward, product},
};
use crate::int::{INTERPOLATION_POINTS, IntGraph, IntNode, IntOp, Rescale, RescaleKind, Source, TensorId, one_or_each};

/// Sizes of an argument's error that a table is enumerated for; elements in between count with the next larger one.
const ERROR_LEVELS: usize = 4;

/// Factor between two such sizes from which on one for all elements would be too coarse.
const LEVELS_APART: f64 = 1.1;

/// Units that a table is off only where it is cut off: the function leaves the range of what was calibrated.
const CUT_UNITS: f64 = 256.0;

/// The state of the pass: what is known of every tensor computed so far.
pub(super) struct Pass<'a> {
    pub(super) graph: &'a IntGraph,
    pub(super) ideal: &'a Ideal,
    states: Vec<State>,
    /// Node that defines each tensor.
    definitions: Vec<Option<usize>>,
    tables: Vec<TableBound>,
    /// Tables enumerated last: steps of a sequence share theirs.
    known: Vec<Known<'a>>,
}

/// An enumerated table.
struct Known<'a> {
    table: Table<'a>,
    samples: Samples,
    /// Largest error over all inputs.
    whole: f64,
}

/// Enumerated tables that are kept, of a megabyte each.
const MOST_KNOWN: usize = 32;

/// An input of a node.
pub(super) struct Read<'p> {
    pub(super) state: &'p State,
    /// What one unit of its integers stands for.
    pub(super) unit: f64,
}

pub(super) fn run(graph: &IntGraph, ideal: &Ideal) -> Bounds {
    let mut pass = Pass {
        graph,
        ideal,
        states: graph.tensors.iter().map(|t| State::unknown(Reach::of(t))).collect(),
        definitions: vec![None; graph.tensors.len()],
        tables: Vec::new(),
        known: Vec::new(),
    };
    for port in &graph.inputs {
        let tensor = graph.tensor(port.tensor);
        let rounding = if port.is_integer(tensor) { 0.0 } else { tensor.exponent.dequantise(1) / 2.0 };
        pass.states[port.tensor.0] = State::new(Errors::uniform(rounding), Reach::of(tensor));
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        let meaning = ideal.meanings.get(at).unwrap_or(&Meaning::Own);
        let state = pass.node(node, meaning);
        pass.states[node.output.0] = pass.explained(node, state);
        pass.definitions[node.output.0] = Some(at);
    }
    let outputs = graph.outputs.iter().map(|port| pass.output(port.tensor)).collect();
    Bounds { outputs, tables: pass.tables }
}

impl<'a> Pass<'a> {
    /// What is known of a tensor; of one that nothing has defined yet, its range.
    pub(super) fn state(&self, id: TensorId) -> &State {
        &self.states[id.0]
    }

    /// Input number `i` of a node; a valid graph has as many as the operation reads.
    pub(super) fn read(&self, node: &IntNode, i: usize) -> Read<'_> {
        let id = node.inputs.get(i).copied().unwrap_or(node.output);
        Read { state: self.state(id), unit: self.unit(id) }
    }

    pub(super) fn definition(&self, id: TensorId) -> Option<&IntNode> {
        self.definitions[id.0].map(|at| &self.graph.nodes[at])
    }

    /// What one unit of a tensor's integers stands for.
    pub(super) fn unit(&self, id: TensorId) -> f64 {
        self.graph.tensor(id).exponent.dequantise(1)
    }

    /// The real factor of an integer one, for operands of which a unit stands for `unit`.
    pub(super) fn scale(&self, node: &IntNode, unit: f64, rescale: Rescale) -> f64 {
        self.unit(node.output) / unit / f64::from(1u32 << rescale.shift)
    }

    /// What the rounding of a rescale is off at most.
    pub(super) fn half(&self, node: &IntNode, rescale: Rescale) -> f64 {
        if rescale.shift == 0 { 0.0 } else { self.unit(node.output) / 2.0 }
    }

    /// Values that follow from an accumulator's, in real units.
    pub(super) fn rescaled(&self, node: &IntNode, accumulator: Reach, rescale: Rescale) -> Reach {
        let rounded = accumulator.widened(self.half(node, rescale));
        let out = if rescale.kind == RescaleKind::Relu { rounded.positive() } else { rounded };
        out.within(Reach::of(self.graph.tensor(node.output)))
    }

    /// The state with a reason where its errors say nothing of its values.
    fn explained(&self, node: &IntNode, mut state: State) -> State {
        let inherited: Vec<&Why> = node.inputs.iter().filter_map(|id| self.state(*id).why.as_ref()).collect();
        let plain = |why: &&&Why| !matches!(why, Why::Magnifies(_));
        let own = state.why.take();
        let of_input = inherited.iter().find(plain).or(inherited.first()).map(|why| (*why).clone());
        let error = state.errors.most();
        let useless = error > 0.0 && error >= state.reach.width() / 2.0;
        state.why = match (own, of_input) {
            (_, Some(why)) if !matches!(why, Why::Magnifies(_)) => Some(why),
            (Some(why), _) | (None, Some(why)) => Some(why),
            (None, None) => useless.then(|| Why::Magnifies(node.name.clone())),
        };
        state
    }

    fn output(&self, id: TensorId) -> OutputBound {
        let state = self.state(id);
        let name = self.graph.tensor(id).name.clone();
        let error = outward(state.errors.most(), 8);
        // The middle of all values is as close as that.
        if error == 0.0 || error < state.reach.width() / 2.0 {
            return OutputBound { name, bound: Some(error), reason: None };
        }
        let why = state.why.clone().unwrap_or_else(|| Why::Magnifies(name.clone()));
        OutputBound { name, bound: None, reason: Some(why.to_string()) }
    }

    fn node(&mut self, node: &'a IntNode, meaning: &Meaning) -> State {
        match meaning {
            Meaning::Follows(id) => {
                let state = self.state(*id);
                let reach = Reach::of(self.graph.tensor(node.output)).within(state.reach.hull(Reach::point(0.0)));
                return State::new(state.errors.clone(), reach);
            }
            Meaning::Halves(id) if self.state(*id).errors.is_exact() => {
                return State::new(Errors::uniform(0.0), Reach::of(self.graph.tensor(node.output)));
            }
            Meaning::Masked => {
                let name = self.graph.tensor(node.output).name.clone();
                return State::unknown(Reach::of(self.graph.tensor(node.output))).because(Why::Masks(name));
            }
            _ => {}
        }
        let state = match &node.op {
            IntOp::Linear { shape, width, weight, bias, rescale } => {
                let values = |i: usize| self.graph.params.get(i).map_or(&[][..], |p| &p.values);
                let bias = bias.map(values);
                let layer = Layer { shape, width: *width, weight: values(*weight), bias, rescale: *rescale };
                linear::linear(self, node, &layer, meaning)
            }
            IntOp::Add { ca, cb, c, rescale } => self.add(node, (*ca, *cb, *c), *rescale, meaning),
            IntOp::Affine { scale, offset, rescale } => self.affine(node, (scale, offset), *rescale, meaning),
            IntOp::Mul { c, rescale } => self.mul(node, *c, *rescale),
            IntOp::Sum { group, c, rescale } => self.sum(node, *group, *c, (*rescale, meaning)),
            IntOp::MatMul { rows, inner, cols, rescale } => {
                linear::matmul(self, node, [*rows, *inner, *cols], *rescale)
            }
            IntOp::Max { group } => {
                let x = self.read(node, 0);
                let count = self.graph.tensor(node.output).len();
                let most = |i: usize| (i * group..(i + 1) * group).map(|j| x.state.errors.at(j)).fold(0.0, f64::max);
                State::new(Errors::each((0..count).map(most).collect()), x.state.reach)
            }
            IntOp::Function { .. } => self.function(node, meaning),
            IntOp::Div { .. } => self.div(node, meaning),
            IntOp::Sqrt { .. } => self.sqrt(node),
            IntOp::Indicator { .. } => self.indicator(node),
            IntOp::Select => self.select(node),
            IntOp::View { sources } => self.view(node, sources, meaning),
        };
        if matches!(meaning, Meaning::Free) { State::new(Errors::uniform(0.0), state.reach) } else { state }
    }

    /// Ideal coefficients of a sum's terms and its ideal offset, in place of those that the integers stand for.
    fn ideal<'m>(meaning: &'m Meaning, i: Option<usize>, element: usize) -> Option<f64> {
        let Meaning::Terms { coefficients, offset } = meaning else { return None };
        let list: &'m Vec<f64> = match i {
            Some(i) => coefficients.get(i)?,
            None => offset,
        };
        if list.len() == 1 { list.first().copied() } else { list.get(element).copied() }
    }

    fn add(&self, node: &IntNode, (ca, cb, c): (i64, i64, i64), rescale: Rescale, meaning: &Meaning) -> State {
        let (a, b) = (self.read(node, 0), self.read(node, 1));
        let held = [
            ca as f64 * self.scale(node, a.unit, rescale),
            cb as f64 * self.scale(node, b.unit, rescale),
            c as f64 * self.scale(node, 1.0, rescale),
        ];
        let ideal = [Some(0), Some(1), None].map(|i| Self::ideal(meaning, i, 0));
        let ideal: [f64; 3] = std::array::from_fn(|i| ideal[i].unwrap_or(held[i]));
        let off = |i: usize| held[i] - ideal[i];
        let moved = a.state.reach.scaled(off(0)).plus(b.state.reach.scaled(off(1))).plus(Reach::point(off(2)));
        let half = self.half(node, rescale);
        let added = outward(moved.max_abs() + half, 8);
        let same = node.inputs.first() == node.inputs.get(1);
        let error = |i: usize| {
            let (ea, eb) = (a.state.errors.at(i), b.state.errors.at(i));
            let carried = if same {
                product((ideal[0] + ideal[1]).abs(), ea)
            } else {
                product(ideal[0].abs(), ea) + product(ideal[1].abs(), eb)
            };
            outward(carried + added, 8)
        };
        let uniform = a.state.errors.is_uniform() && b.state.errors.is_uniform();
        let count = if uniform { 1 } else { self.graph.tensor(node.output).len() };
        let sum = if same {
            a.state.reach.scaled(held[0] + held[1])
        } else {
            a.state.reach.scaled(held[0]).plus(b.state.reach.scaled(held[1]))
        };
        let mut reach = self.rescaled(node, sum.plus(Reach::point(held[2])), rescale);
        let facts = self.facts_of_difference(node, (ca, cb, c), rescale, (ideal[0], added));
        if let Some(peak) = facts.peak {
            reach.hi = reach.hi.min(peak.value as f64 * self.unit(node.output)).max(reach.lo);
        }
        State::new(Errors::each((0..count).map(error).collect()), reach).with(facts)
    }

    fn affine(&self, node: &IntNode, (scale, offset): (&[i64], &[i64]), rescale: Rescale, meaning: &Meaning) -> State {
        let x = self.read(node, 0);
        let (unit, base) = (self.scale(node, x.unit, rescale), self.scale(node, 1.0, rescale));
        let half = self.half(node, rescale);
        let constants = scale.len().max(offset.len());
        let uniform = constants == 1 && x.state.errors.is_uniform();
        let count = if uniform { 1 } else { self.graph.tensor(node.output).len() };
        let (mut errors, mut values) = (Vec::with_capacity(count), None::<Reach>);
        let mut last = (0.0, 0.0);
        for i in 0..count {
            let held = (one_or_each(scale, i) as f64 * unit, one_or_each(offset, i) as f64 * base);
            let factor = Self::ideal(meaning, Some(0), i).unwrap_or(held.0);
            let constant = Self::ideal(meaning, None, i).unwrap_or(held.1);
            let moved = x.state.reach.scaled(held.0 - factor).plus(Reach::point(held.1 - constant)).max_abs();
            let carried = product(factor.abs(), x.state.errors.at(i));
            errors.push(match meaning {
                Meaning::Floor => floored(outward(carried, 4), self.unit(node.output)),
                Meaning::Clipped => carried + (-x.state.reach.lo).max(0.0),
                _ => outward(carried + moved + half, 8),
            });
            last = (factor, outward(moved + half, 8));
            let value = x.state.reach.scaled(held.0).plus(Reach::point(held.1));
            values = Some(values.map_or(value, |v| v.hull(value)));
        }
        let mut reach = self.rescaled(node, values.unwrap_or(Reach::point(0.0)), rescale);
        let mut errors = Errors::each(errors);
        if let Meaning::Compared { offset: ideal, equal } = meaning {
            errors = self.compared(node, (scale, offset, ideal), rescale, *equal);
        }
        let steps = matches!(meaning, Meaning::Floor) && !x.state.errors.is_exact();
        let facts = match (meaning, scale, offset) {
            (Meaning::Own | Meaning::Terms { .. }, [scale], [offset]) => {
                let (factor, added) = last;
                let clips = rescale.kind == RescaleKind::Relu && x.state.reach.lo < 0.0;
                let identity = factor == 1.0 && *offset == 0 && !clips;
                let map = Uniform { scale: *scale, offset: *offset, rescale, factor, added, identity };
                self.facts_of_map(x.state.facts, &map)
            }
            _ => Facts::default(),
        };
        if let Some(peak) = facts.peak {
            reach.hi = reach.hi.min(peak.value as f64 * self.unit(node.output)).max(reach.lo);
        }
        let state = State::new(errors, reach).with(facts);
        if steps { state.because(Why::Floors(node.name.clone())) } else { state }
    }

    /// Errors of a difference of which only the sign counts: none where every integer decides as the ideal does.
    fn compared(
        &self,
        node: &IntNode,
        (scale, offset, ideal): (&[i64], &[i64], &[f64]),
        rescale: Rescale,
        equal: bool,
    ) -> Errors {
        let x = self.read(node, 0);
        let sign = one_or_each(scale, 0) as f64;
        let values = x.state.reach.scaled(sign / x.unit);
        let upper = rescale.shift > 0;
        let moved = if upper { 1i64 << (rescale.shift - 1) } else { 0 };
        let error = |i: usize| {
            let held = (one_or_each(offset, i) + moved) as f64;
            let wanted = ideal.get(if ideal.len() == 1 { 0 } else { i }).copied().unwrap_or(f64::NAN) / x.unit;
            // A threshold beyond all values was brought next to them, and decides no other way.
            let beyond = values.hi + held.max(wanted) < -0.5 || values.lo + held.min(wanted) > 0.5;
            let carried = x.state.errors.at(i);
            let on_grid = carried == 0.0 && !equal && wanted.floor() == held;
            let error = carried + if beyond || on_grid { 0.0 } else { (held - wanted).abs() * x.unit };
            if upper { floored(error, self.unit(node.output)) } else { outward(error, 4) }
        };
        Errors::each((0..self.graph.tensor(node.output).len()).map(error).collect())
    }

    fn mul(&self, node: &IntNode, c: i64, rescale: Rescale) -> State {
        let (a, b) = (self.read(node, 0), self.read(node, 1));
        let factor = c as f64 * self.scale(node, a.unit * b.unit, rescale);
        let (left, right) = (a.state.reach.max_abs(), b.state.reach.max_abs());
        let half = self.half(node, rescale);
        let error = |i: usize| {
            let (ea, eb) = (a.state.errors.at(i), b.state.errors.at(i));
            let carried = product(left, eb) + product(right, ea) + product(ea, eb);
            outward(product(factor.abs(), carried) + half, 8)
        };
        let uniform = a.state.errors.is_uniform() && b.state.errors.is_uniform();
        let count = if uniform { 1 } else { self.graph.tensor(node.output).len() };
        let mut values = a.state.reach.times(b.state.reach);
        if node.inputs.first() == node.inputs.get(1) {
            values.lo = values.lo.max(0.0);
        }
        let reach = self.rescaled(node, values.scaled(factor), rescale);
        State::new(Errors::each((0..count).map(error).collect()), reach)
    }

    fn sum(&self, node: &IntNode, group: usize, c: i64, (rescale, meaning): (Rescale, &Meaning)) -> State {
        let x = self.read(node, 0);
        let held = c as f64 * self.scale(node, x.unit, rescale);
        let factor = if let Meaning::Factor(factor) = meaning { *factor } else { held };
        let total = x.state.reach.scaled(group as f64);
        let added = outward(total.max_abs() * (held - factor).abs() + self.half(node, rescale), 8);
        let carried = |i: usize| (i * group..(i + 1) * group).map(|j| x.state.errors.at(j)).sum::<f64>();
        let error = |i: usize| outward(product(factor.abs(), carried(i)) + added, group + 8);
        let uniform = x.state.errors.is_uniform();
        let count = if uniform { 1 } else { self.graph.tensor(node.output).len() };
        let mut values = total;
        if let Some(peak) = x.state.facts.peak.filter(|p| p.group == group) {
            // One of each group is the greatest.
            let others = x.state.reach.lo * (group - 1) as f64;
            values.lo = values.lo.max((peak.value as f64 * x.unit + others) * (1.0 - 1e-12));
        }
        let reach = self.rescaled(node, values.scaled(held), rescale);
        let facts = self.facts_of_sum(node, group, (factor, added));
        State::new(Errors::each((0..count).map(error).collect()), reach).with(facts)
    }

    fn function(&mut self, node: &'a IntNode, meaning: &Meaning) -> State {
        let reach = Reach::of(self.graph.tensor(node.output));
        let (IntOp::Function { table: points, rescale, name }, [input]) = (&node.op, &node.inputs[..]) else {
            return State::unknown(reach);
        };
        let Meaning::Function { function, centre, cut } = meaning else { return State::unknown(reach) };
        if points.len() != INTERPOLATION_POINTS {
            return State::unknown(reach);
        }
        let tensor = self.graph.tensor(*input);
        let output = self.graph.tensor(node.output);
        let table = Table {
            points,
            rescale: *rescale,
            input: tensor.exponent,
            output: output.exponent,
            function: *function,
            centre: *centre,
        };
        let known = self.enumerated(table);
        let Known { samples, whole, .. } = &self.known[known];
        let read = self.read(node, 0);
        let all = Table::inputs();
        let least = (read.state.reach.lo / read.unit).floor() as i64;
        let most = (read.state.reach.hi / read.unit).ceil() as i64;
        let inputs = (least.clamp(all.0, all.1), most.clamp(all.0, all.1));
        // Alone, then for the errors that its arguments have.
        let alone = table.error(samples, inputs, 0.0);
        let greatest = read.state.errors.most();
        let smallest = read.state.errors.iter().fold(greatest, f64::min);
        let ratio = libm::pow(greatest / smallest, 1.0 / ERROR_LEVELS as f64);
        let levels: Vec<(f64, f64)> = if ratio.is_finite() && ratio > LEVELS_APART {
            let level = |n: usize| smallest * ratio.powi(n as i32 + 1);
            let levels = (0..ERROR_LEVELS - 1).map(level).chain([greatest]);
            levels.map(|e| (e, table.error(samples, inputs, e))).collect()
        } else {
            vec![(greatest, table.error(samples, inputs, greatest))]
        };
        let error = |e: f64| {
            let level = levels.iter().find(|(level, _)| e <= *level).or(levels.last());
            outward(level.map_or(f64::INFINITY, |(_, error)| error + cut), 4)
        };
        let errors = read.state.errors.map(error);
        let values = table.reach(samples, inputs).unwrap_or(reach).within(reach);
        let peak = read.state.facts.peak.map(|peak| peak.value).filter(|top| (inputs.0..=inputs.1).contains(top));
        let top = peak.and_then(|top| table.peak(samples, (inputs.0, top)));
        let facts = self.facts_of_function(node, meaning, top, alone);
        let unit = output.exponent.dequantise(1);
        let bound = TableBound {
            node: node.name.clone(),
            tensor: output.name.clone(),
            function: name.clone(),
            unit,
            units: whole / unit,
            units_in_range: alone / unit,
        };
        self.tables.push(bound);
        let state = State::new(errors, values).with(facts);
        if alone > CUT_UNITS * unit { state.because(Why::Cuts(node.name.clone())) } else { state }
    }

    /// Place among the known tables of one that is enumerated now or was before.
    fn enumerated(&mut self, table: Table<'a>) -> usize {
        if let Some(at) = self.known.iter().position(|known| known.table == table) {
            return at;
        }
        if self.known.len() == MOST_KNOWN {
            self.known.remove(0);
        }
        let samples = table.sampled();
        let whole = table.error(&samples, Table::inputs(), 0.0);
        self.known.push(Known { table, samples, whole });
        self.known.len() - 1
    }

    /// `A / B - a / b = (A - a) / b - (A / B) (B - b) / b`, for a denominator that is a unit at least.
    fn div(&self, node: &IntNode, meaning: &Meaning) -> State {
        let (a, b) = (self.read(node, 0), self.read(node, 1));
        let unit = self.unit(node.output);
        let least = b.state.reach.lo.max(b.unit);
        let whole = matches!(meaning, Meaning::Whole);
        let mut reach = Reach::of(self.graph.tensor(node.output));
        let quotients = a.state.reach.hull(Reach::point(0.0)).scaled(1.0 / least).widened(unit / 2.0);
        reach = quotients.within(reach);
        let exact = a.state.errors.is_exact() && b.state.errors.is_exact();
        let finish = |e: f64| match (whole, exact) {
            (true, true) => 0.0,
            (true, false) => floored(e, unit),
            (false, _) => outward(e + unit / 2.0, 8),
        };
        if let Some((error, shares)) = self.softmax(a.state, b.state, unit / 2.0).filter(|_| !whole) {
            let facts = Facts { shares: Some(shares), ..Facts::default() };
            return State::new(Errors::uniform(error), reach).with(facts);
        }
        let largest = (reach.max_abs() + unit / 2.0).min(a.state.reach.max_abs() / least);
        let error = |i: usize| {
            let (ea, eb) = (a.state.errors.at(i), b.state.errors.at(i));
            let room = least - eb;
            if ea == 0.0 && eb == 0.0 {
                finish(0.0)
            } else if room > 0.0 {
                finish((ea + product(largest, eb)) / room * (1.0 + 1e-12))
            } else {
                f64::INFINITY
            }
        };
        let uniform = a.state.errors.is_uniform() && b.state.errors.is_uniform();
        let count = if uniform { 1 } else { self.graph.tensor(node.output).len() };
        let state = State::new(Errors::each((0..count).map(error).collect()), reach);
        if !state.errors.most().is_finite() && a.state.errors.most().is_finite() {
            return state.because(Why::Divides(node.name.clone()));
        }
        if whole && !exact { state.because(Why::Floors(node.name.clone())) } else { state }
    }

    /// `|sqrt A - sqrt a| = |A - a| / (sqrt A + sqrt a)`, at most the root of the error; and a root is rounded down.
    fn sqrt(&self, node: &IntNode) -> State {
        let x = self.read(node, 0);
        let unit = self.unit(node.output);
        let least = x.state.reach.lo.max(0.0);
        let errors = x.state.errors.map(|e| {
            let together = least.sqrt() + (least - e).max(0.0).sqrt();
            let carried = if together > 0.0 { (e / together).min(e.sqrt()) } else { e.sqrt() };
            outward(carried + unit, 8)
        });
        let roots = Reach { lo: least.sqrt() - unit, hi: x.state.reach.hi.max(0.0).sqrt() };
        State::new(errors, roots.within(Reach::of(self.graph.tensor(node.output))))
    }

    /// A bit that the ideal may not share is off by one: that of a value which may be zero, or across it.
    fn indicator(&self, node: &IntNode) -> State {
        let x = self.read(node, 0);
        let Reach { lo, hi } = x.state.reach;
        let certain = |e: f64| e == 0.0 || lo > e || hi < -e;
        let errors = x.state.errors.map(|e| if certain(e) { 0.0 } else { 1.0 });
        let rounded = !errors.is_exact();
        let state = State::new(errors, Reach::of(self.graph.tensor(node.output)));
        if rounded { state.because(Why::Compares(node.name.clone())) } else { state }
    }

    /// Where the ideal may choose otherwise, both choices count.
    fn select(&self, node: &IntNode) -> State {
        let (c, a, b) = (self.read(node, 0), self.read(node, 1), self.read(node, 2));
        let (x, y) = (a.state.reach, b.state.reach);
        let apart = (x.hi - y.lo).max(y.hi - x.lo).max(0.0);
        let error = |i: usize| {
            let chosen = a.state.errors.at(i).max(b.state.errors.at(i));
            if c.state.errors.at(i) == 0.0 { chosen } else { outward(chosen + apart, 4) }
        };
        let uniform = [&c, &a, &b].iter().all(|read| read.state.errors.is_uniform());
        let count = if uniform { 1 } else { self.graph.tensor(node.output).len() };
        let reach = x.hull(y).within(Reach::of(self.graph.tensor(node.output)));
        State::new(Errors::each((0..count).map(error).collect()), reach)
    }

    fn view(&self, node: &IntNode, sources: &[Source], meaning: &Meaning) -> State {
        let unit = self.unit(node.output);
        let reads: Vec<Read<'_>> = (0..node.inputs.len()).map(|i| self.read(node, i)).collect();
        let mut seen = vec![false; reads.len()];
        let mut values: Option<Reach> = None;
        let mut include = |reach: Reach| values = Some(values.map_or(reach, |v| v.hull(reach)));
        let mut errors = Vec::with_capacity(sources.len());
        for source in sources {
            match source {
                Source::Constant(c) => {
                    include(Reach::point(*c as f64 * unit));
                    errors.push(0.0);
                }
                Source::Element(i, at) => {
                    let i = *i as usize;
                    let Some(read) = reads.get(i) else { continue };
                    if !std::mem::replace(&mut seen[i], true) {
                        include(read.state.reach);
                    }
                    errors.push(read.state.errors.at(*at as usize));
                }
            }
        }
        if let Meaning::Constants(rounded) = meaning {
            for (i, error) in rounded {
                if let Some(slot) = errors.get_mut(*i) {
                    *slot = *error;
                }
            }
        }
        let whole = Reach::of(self.graph.tensor(node.output));
        let reach = values.unwrap_or(whole).within(whole);
        let facts = self.facts_of_view(node, sources);
        State::new(Errors::each(errors), reach).with(facts)
    }
}

/// Error of the greatest integer below a value that is off by `error`, where a whole is `unit`.
fn floored(error: f64, unit: f64) -> f64 {
    if error == 0.0 { 0.0 } else { ((error / unit).floor() + 1.0) * unit }
}
