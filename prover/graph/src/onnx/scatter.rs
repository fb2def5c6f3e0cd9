//! Operators that write elements to positions, known while compiling or computed.
//!
//! A computed position costs a comparison with every element that it could be, and one out of range writes nothing.

use super::{
    Lowering, Node,
    index::{beside, cell, fibres, position},
    shape::{sizes, whole},
};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatSource, Value, indices},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Scatter" | "ScatterElements" => scatter_elements,
        "ScatterND" => scatter_nd,
        "TensorScatter" => tensor_scatter,
        "MaxUnpool" => max_unpool,
        _ => return None,
    })
}

/// What becomes of an element that an update meets; updates come in their order.
#[derive(Clone, Copy, PartialEq)]
enum Reduction {
    Replace,
    Add,
    Multiply,
    Max,
    Min,
}

impl Reduction {
    fn of(node: &Node<'_>) -> Result<Self, GraphError> {
        match node.text("reduction").as_deref() {
            None | Some("none") => Ok(Self::Replace),
            Some("add") => Ok(Self::Add),
            Some("mul") => Ok(Self::Multiply),
            Some("max") => Ok(Self::Max),
            Some("min") => Ok(Self::Min),
            Some(other) => Err(node.malformed(format!("its reduction is `{other}`"))),
        }
    }

    /// Elements with updates, one for each.
    fn meet(self, b: &mut Builder, base: &Value, update: &Value) -> Result<Value, GraphError> {
        match self {
            Self::Replace => Ok(update.clone()),
            Self::Add => b.add((1.0, base), (1.0, update)),
            Self::Multiply => b.mul(base, update),
            Self::Max => b.greater(base, update),
            Self::Min => b.lesser(base, update),
        }
    }

    /// The same where a bit is 1; elsewhere what was there.
    fn meet_where(self, b: &mut Builder, bit: &Value, base: &Value, update: &Value) -> Result<Value, GraphError> {
        match self {
            Self::Add => {
                let part = b.mul(bit, update)?;
                b.add((1.0, base), (1.0, &part))
            }
            Self::Multiply => {
                let one = Value::constant(vec![1.0; base.len()], base.shape.clone(), base.element);
                let factor = b.select(bit, update, &one)?;
                b.mul(base, &factor)
            }
            _ => {
                let met = self.meet(b, base, update)?;
                b.select(bit, &met, base)
            }
        }
    }

    /// Writes update number `i` to element `targets[i]`, all known.
    fn write(self, b: &mut Builder, data: &Value, targets: &[usize], updates: &Value) -> Result<Value, GraphError> {
        // Updates of one element are rounds, of which each meets an element once at most.
        let mut rounds: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut met = vec![0usize; data.len()];
        for (update, target) in targets.iter().enumerate() {
            let round = met[*target];
            met[*target] += 1;
            if rounds.len() <= round {
                rounds.push(Vec::new());
            }
            rounds[round].push((*target, update));
        }
        let mut out = data.reshaped(vec![data.len()]);
        for round in rounds {
            let (cells, from): (Vec<usize>, Vec<usize>) = round.into_iter().unzip();
            let base = b.gather(&out, &cells, vec![cells.len()])?;
            let update = b.gather(updates, &from, vec![cells.len()])?;
            let met = self.meet(b, &base, &update)?;
            out = replaced(b, &out, &cells, &met)?;
        }
        Ok(out.reshaped(data.shape.clone()).with_data_type(data.data_type))
    }
}

/// A list with other elements at some positions.
fn replaced(b: &mut Builder, list: &Value, cells: &[usize], with: &Value) -> Result<Value, GraphError> {
    let mut sources: Vec<FloatSource> = (0..list.len()).map(|i| FloatSource::Element(0, i as u32)).collect();
    for (i, cell) in cells.iter().enumerate() {
        sources[*cell] = FloatSource::Element(1, i as u32);
    }
    b.assemble(&[list.clone(), with.clone()], sources, list.shape.clone())
}

/// Writes each update beside its index on the axis.
fn scatter_elements(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (data, index, updates) = (node.required(inputs, 0)?, node.required(inputs, 1)?, node.required(inputs, 2)?);
    let axis = node.axis(node.int("axis").unwrap_or(0), data.shape.len())?;
    let reduction = Reduction::of(node)?;
    beside(node, data, index, axis)?;
    if index.shape != updates.shape {
        return Err(node.malformed(format!("{:?} indices for {:?} updates", index.shape, updates.shape)));
    }
    let dim = data.shape[axis];
    if let Some(known) = index.known() {
        let (from, step) = fibres(&data.shape, &index.shape, axis);
        let at = known.iter().zip(from).map(|(i, f)| Ok(f + step * position(node, *i, dim)?));
        let at = at.collect::<Result<Vec<_>, GraphError>>()?;
        return Ok(vec![reduction.write(b, data, &at, updates)?]);
    }
    if data.len() == 0 {
        return Err(node.malformed("its input has no elements"));
    }
    b.check_size(&[index.shape[axis], data.len()])?;
    let bits = b.index_bits(index, dim)?;
    // The elements that an update could meet: on the axis all of them.
    let mut reach = index.shape.clone();
    reach[axis] = dim;
    let steps: Vec<isize> = indices::strides(&data.shape).iter().map(|s| *s as isize).collect();
    let cells = indices::walk(&reach, 0, &steps);
    let (from, step) = fibres(&index.shape, &reach, axis);
    let run = indices::strides(&reach)[axis];
    let flat = data.reshaped(vec![data.len()]);
    let mut out = b.gather(&flat, &cells, vec![cells.len()])?;
    for t in 0..index.shape[axis] {
        let update: Vec<usize> = from.iter().map(|f| f + step * t).collect();
        let hit: Vec<usize> = update.iter().enumerate().map(|(i, u)| u * dim + i / run % dim).collect();
        let (bit, update) = (b.gather(&bits, &hit, vec![cells.len()])?, b.gather(updates, &update, vec![cells.len()])?);
        out = reduction.meet_where(b, &bit, &out, &update)?;
    }
    let out = replaced(b, &flat, &cells, &out)?;
    Ok(vec![out.reshaped(data.shape.clone()).with_data_type(data.data_type)])
}

/// Writes slices to the cells that rows of indices name, one index for each of the first axes.
fn scatter_nd(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (data, index, updates) = (node.required(inputs, 0)?, node.required(inputs, 1)?, node.required(inputs, 2)?);
    let reduction = Reduction::of(node)?;
    let mismatch = || {
        node.malformed(format!(
            "indices of shape {:?} and updates of shape {:?} for an input of shape {:?}",
            index.shape, updates.shape, data.shape
        ))
    };
    let (depth, lead) = match index.shape.split_last() {
        Some((depth, lead)) if *depth > 0 && *depth <= data.shape.len() => (*depth, lead),
        _ => return Err(mismatch()),
    };
    let (dims, slice) = data.shape.split_at(depth);
    if !lead.iter().chain(slice).eq(&updates.shape) {
        return Err(mismatch());
    }
    let rows: usize = lead.iter().product();
    let (cells, width): (usize, usize) = (dims.iter().product(), slice.iter().product());
    if let Some(known) = index.known() {
        let mut at = Vec::with_capacity(updates.len());
        for tuple in known.chunks(depth) {
            let start = cell(node, tuple, dims)? * width;
            at.extend(start..start + width);
        }
        return Ok(vec![reduction.write(b, data, &at, updates)?]);
    }
    if data.len() == 0 {
        return Err(mismatch());
    }
    b.check_size(&[rows, data.len()])?;
    let bits = b.cell_bits(index, dims)?;
    let mut out = data.reshaped(vec![data.len()]);
    for row in 0..rows {
        let hit: Vec<usize> = (0..data.len()).map(|i| row * cells + i / width).collect();
        let update: Vec<usize> = (0..data.len()).map(|i| row * width + i % width).collect();
        let (bit, update) = (b.gather(&bits, &hit, vec![data.len()])?, b.gather(updates, &update, vec![data.len()])?);
        out = reduction.meet_where(b, &bit, &out, &update)?;
    }
    Ok(vec![out.reshaped(data.shape.clone()).with_data_type(data.data_type)])
}

/// Writes an update along the axis from an index on, one for each batch: a cache that grows, or turns in a circle.
///
/// What a computed index would write beyond the end of a cache that grows is left out.
fn tensor_scatter(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (data, update) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let axis = node.axis(node.int("axis").unwrap_or(-2), data.shape.len())?;
    let circular = match node.text("mode").as_deref() {
        None | Some("linear") => false,
        Some("circular") => true,
        Some(other) => return Err(node.malformed(format!("its mode is `{other}`"))),
    };
    let fits = update.shape.len() == data.shape.len()
        && (0..data.shape.len())
            .all(|a| if a == axis { update.shape[a] <= data.shape[a] } else { update.shape[a] == data.shape[a] });
    if axis == 0 || !fits {
        return Err(node.malformed(format!("an update of {:?} on axis {axis} of {:?}", update.shape, data.shape)));
    }
    let (batches, dim, length) = (data.shape[0], data.shape[axis], update.shape[axis]);
    let start = match inputs.get(2) {
        Some(Some(start)) if start.len() == batches => start.clone(),
        Some(Some(start)) => return Err(node.malformed(format!("{} indices for {batches} batches", start.len()))),
        _ => Value::constant(vec![0.0; batches], vec![batches], Element::Integer),
    };
    let run: usize = data.shape[axis + 1..].iter().product();
    if let Some(known) = start.known() {
        let before = |i: usize| known[i / (update.len() / batches)];
        let target = |i: usize| {
            let at = before(i) + (i / run % length) as f64;
            let at = position(node, if circular { at % dim as f64 } else { at }, dim)?;
            Ok((i / run / length * dim + at) * run + i % run)
        };
        let at = (0..update.len()).map(target).collect::<Result<Vec<_>, GraphError>>()?;
        return Ok(vec![Reduction::Replace.write(b, data, &at, update)?]);
    }
    b.check_size(&[length, data.len()])?;
    let bits = b.index_bits(&start, dim)?;
    let block: usize = data.shape[1..].iter().product();
    let mut out = data.reshaped(vec![data.len()]);
    for t in 0..length {
        let hit = |i: usize| match (i / run % dim, circular) {
            (at, false) if at < t => FloatSource::Constant(0.0),
            (at, _) => FloatSource::Element(0, (i / block * dim + (at + dim - t) % dim) as u32),
        };
        let bit = b.assemble(std::slice::from_ref(&bits), (0..data.len()).map(hit).collect(), vec![data.len()])?;
        let from: Vec<usize> = (0..data.len()).map(|i| (i / run / dim * length + t) * run + i % run).collect();
        let update = b.gather(update, &from, vec![data.len()])?;
        out = Reduction::Replace.meet_where(b, &bit, &out, &update)?;
    }
    Ok(vec![out.reshaped(data.shape.clone()).with_data_type(data.data_type)])
}

/// Values back at the positions that a pooling took them from, zeros elsewhere; a larger output shape adds zeros at the
/// end of each axis.
///
/// Computed indices are taken to lie in the windows of their values, as a pooling's do: one outside writes nothing.
fn max_unpool(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, index) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let windows = Windows::of(node, x)?;
    if index.shape != x.shape {
        return Err(node.malformed(format!("indices of shape {:?} for values of shape {:?}", index.shape, x.shape)));
    }
    b.check_size(&windows.shape)?;
    let len: usize = windows.shape.iter().product();
    let zeros = Value::constant(vec![0.0; len], windows.shape.clone(), x.element).with_data_type(x.data_type);
    let out = match index.known() {
        Some(known) => {
            let at = known.iter().map(|i| position(node, *i, len)).collect::<Result<Vec<_>, _>>()?;
            Reduction::Replace.write(b, &zeros, &at, x)?
        }
        None => windows.unpool(b, node, x, index)?,
    };
    let shape = match inputs.get(2) {
        Some(Some(_)) => whole(node, node.known(inputs, 2, "output shape")?)?,
        _ => return Ok(vec![out]),
    };
    b.check_size(&shape)?;
    if shape.len() != out.shape.len() || shape.iter().zip(&out.shape).any(|(to, from)| to < from) {
        return Err(node.malformed(format!("output shape {shape:?} for windows over {:?}", out.shape)));
    }
    let strides: Vec<isize> = indices::strides(&shape).iter().map(|s| *s as isize).collect();
    let cells = indices::walk(&out.shape, 0, &strides);
    let mut sources = vec![FloatSource::Constant(0.0); shape.iter().product()];
    for (i, cell) in cells.iter().enumerate() {
        sources[*cell] = FloatSource::Element(0, i as u32);
    }
    Ok(vec![b.assemble(&[out], sources, shape)?])
}

/// Windows of a pooling, seen from its output.
struct Windows {
    /// Shape of the pooling's input.
    shape: Vec<usize>,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    pads: Vec<usize>,
}

impl Windows {
    fn of(node: &Node<'_>, x: &Value) -> Result<Self, GraphError> {
        let axes = x.shape.len().checked_sub(2).ok_or_else(|| node.malformed("an input without channels"))?;
        let kernel = sizes(node, "kernel_shape", vec![1; axes])?;
        let strides = sizes(node, "strides", vec![1; axes])?;
        let pads = sizes(node, "pads", vec![0; 2 * axes])?;
        let mut shape = x.shape[..2].to_vec();
        for a in 0..axes {
            let reach = (x.shape[a + 2] as i64 - 1) * strides[a] as i64 + kernel[a] as i64;
            let dim = usize::try_from(reach - pads[a] as i64 - pads[a + axes] as i64);
            shape.push(dim.map_err(|_| node.malformed(format!("pads {pads:?}")))?);
        }
        Ok(Self { shape, kernel, strides, pads })
    }

    /// Every element against the positions in its window; where windows overlap the last one counts.
    fn unpool(&self, b: &mut Builder, node: &Node<'_>, x: &Value, index: &Value) -> Result<Value, GraphError> {
        let plane: usize = self.shape[2..].iter().product();
        let outputs: usize = x.shape[2..].iter().product();
        if plane >= 1 << 15 {
            return Err(node.unsupported(
                format!("its channels have {plane} positions and its indices are computed"),
                "unpool to fewer than 32768 positions a channel",
            ));
        }
        // Each element looks over its window.
        b.spend(Cost::steps(self.kernel.iter().fold(x.len(), |n, k| n.saturating_mul(*k))))?;
        b.check_size(&self.shape)?;
        let (len, total) = (x.len(), self.shape.iter().product::<usize>());
        // Indices in their own channel, one more so that what lies before it is zero.
        let offset = (0..len).map(|e| -((e / outputs.max(1) * plane) as f64)).collect();
        let local = b.affine(&index.reshaped(vec![len]), vec![1.0], offset)?;
        let local = b.relu(&local, 1.0, 1.0)?;
        // Elements that could write to each position.
        let mut writers: Vec<Vec<u32>> = vec![Vec::new(); total];
        let (mut elements, mut places) = (Vec::new(), Vec::new());
        for e in 0..len {
            for at in self.window(e % outputs, &x.shape[2..]) {
                writers[e / outputs * plane + at].push(elements.len() as u32);
                elements.push(e);
                places.push(-((at + 1) as f64));
            }
        }
        let spread = b.gather(&local, &elements, vec![elements.len()])?;
        let distance = b.affine(&spread, vec![1.0], places)?;
        let bits = b.indicator(&distance, Condition::Zero)?;
        let values = b.gather(x, &elements, vec![elements.len()])?;
        let mut out = Value::constant(vec![0.0; total], vec![total], x.element);
        for round in 0..writers.iter().map(Vec::len).max().unwrap_or(0) {
            let of =
                |list: &Vec<u32>| list.get(round).map_or(FloatSource::Constant(0.0), |w| FloatSource::Element(0, *w));
            let sources: Vec<FloatSource> = writers.iter().map(of).collect();
            let bit = b.assemble(std::slice::from_ref(&bits), sources.clone(), vec![total])?;
            let value = b.assemble(std::slice::from_ref(&values), sources, vec![total])?;
            out = Reduction::Replace.meet_where(b, &bit, &out, &value)?;
        }
        Ok(out.reshaped(self.shape.clone()).with_data_type(x.data_type))
    }

    /// Positions in a channel that the window of output number `o` covers.
    fn window(&self, o: usize, outputs: &[usize]) -> Vec<usize> {
        let to = indices::strides(outputs);
        let from = indices::strides(&self.shape[2..]);
        let mut at = vec![0];
        for axis in 0..outputs.len() {
            let first = o / to[axis] % outputs[axis] * self.strides[axis];
            let covered = (first..first + self.kernel[axis]).filter_map(|p| p.checked_sub(self.pads[axis]));
            let covered: Vec<usize> = covered.filter(|p| *p < self.shape[axis + 2]).map(|p| p * from[axis]).collect();
            at = at.iter().flat_map(|a| covered.iter().map(move |p| a + p)).collect();
        }
        at
    }
}
