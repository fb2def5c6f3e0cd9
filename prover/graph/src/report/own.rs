//! What each layer adds to the error by itself.

use std::collections::HashMap;

use crate::{
    GraphError,
    calibrate::MASKED,
    exec::{Trace, run_node},
    float::{FloatGraph, FloatId, FloatTrace},
    int::{IntGraph, TensorId},
};

/// The tensors that both graphs have.
pub(super) struct Twins<'a> {
    float: &'a FloatGraph,
    int: &'a IntGraph,
    /// Integer tensor of each float tensor.
    to_int: Vec<Option<TensorId>>,
    /// Float tensor of each integer tensor.
    to_float: Vec<Option<FloatId>>,
}

impl<'a> Twins<'a> {
    pub(super) fn new(float: &'a FloatGraph, int: &'a IntGraph) -> Self {
        let mut named: HashMap<&str, FloatId> = HashMap::new();
        for (i, t) in float.tensors.iter().enumerate() {
            named.entry(&t.name).or_insert(FloatId(i));
        }
        let mut to_int = vec![None; float.tensors.len()];
        let mut to_float = vec![None; int.tensors.len()];
        for (i, t) in int.tensors.iter().enumerate() {
            let Some(twin) = named.get(t.name.as_str()) else { continue };
            if to_int[twin.0].is_none() && float.tensor(*twin).len() == t.len() {
                (to_int[twin.0], to_float[i]) = (Some(TensorId(i)), Some(*twin));
            }
        }
        Self { float, int, to_int, to_float }
    }

    /// Pairs in the order of computation, the inputs first, and the node that defines each.
    pub(super) fn layers(&self) -> Vec<(FloatId, TensorId, &'a str)> {
        let pair = |id: TensorId, node| Some((self.to_float[id.0]?, id, node));
        let inputs = self.int.inputs.iter().filter_map(|p| pair(p.tensor, ""));
        inputs.chain(self.int.nodes.iter().filter_map(|n| pair(n.output, n.name.as_str()))).collect()
    }

    /// Errors of each float tensor that come from the layer which computes it, and from nothing before: every
    /// tensor is rounded to its integers, and what the integer graph makes of these, up to the next tensor that
    /// both graphs have, is compared with what the float graph makes of them. `None` where there is no twin, or
    /// a rounded value leaves its range.
    pub(super) fn own(&self, reals: &FloatTrace, trace: &Trace) -> Vec<Option<Vec<f64>>> {
        let mut own = vec![None; self.float.tensors.len()];
        let rounded = self.rounded(reals, trace);
        let ideal = self.ideal(reals, &rounded);
        for port in &self.int.inputs {
            if let Some(twin) = self.to_float[port.tensor.0] {
                own[twin.0] = Some(self.difference(port.tensor, &rounded[port.tensor.0], &reals.tensors[twin.0]));
            }
        }
        let mut integers = rounded;
        for node in &self.int.nodes {
            let read: Vec<&[i64]> = node.inputs.iter().map(|id| integers[id.0].as_slice()).collect();
            let computed: Result<_, GraphError> = run_node(self.int, node, &read);
            match (self.to_float[node.output.0], computed) {
                (Some(twin), Ok(computed)) => {
                    own[twin.0] = Some(self.difference(node.output, &computed, &ideal[twin.0]));
                }
                (None, Ok(computed)) => integers[node.output.0] = computed,
                // A value at the very edge, which rounding pushed out.
                (_, Err(_)) => {}
            }
        }
        own
    }

    /// Integers nearest to the float graph's values; those of the run where there is no twin.
    fn rounded(&self, reals: &FloatTrace, trace: &Trace) -> Vec<Vec<i64>> {
        let tensor = |(i, t): (usize, &crate::int::IntTensor)| {
            let ran = trace.tensor(TensorId(i));
            let Some(twin) = self.to_float[i] else { return ran.to_vec() };
            let (lo, hi) = (t.range.lo as f64, t.range.hi as f64);
            let nearest = |(x, q): (&f64, &i64)| {
                if x.abs() >= -MASKED { *q } else { t.exponent.quantise(*x).clamp(lo, hi) as i64 }
            };
            reals.tensors[twin.0].iter().zip(ran).map(nearest).collect()
        };
        self.int.tensors.iter().enumerate().map(tensor).collect()
    }

    /// What each node of the float graph makes of the rounded values.
    fn ideal(&self, reals: &FloatTrace, rounded: &[Vec<i64>]) -> Vec<Vec<f64>> {
        let read = |id: usize, ideal: Vec<f64>| -> Vec<f64> {
            let Some(twin) = self.to_int[id] else { return ideal };
            let exponent = self.int.tensor(twin).exponent;
            let real = |(q, x): (&i64, &f64)| if x.abs() >= -MASKED { *x } else { exponent.dequantise(*q) };
            rounded[twin.0].iter().zip(&reals.tensors[id]).map(real).collect()
        };
        let mut ideal = vec![Vec::new(); self.float.tensors.len()];
        let mut readable = vec![Vec::new(); self.float.tensors.len()];
        for id in &self.float.inputs {
            ideal[id.0].clone_from(&reals.tensors[id.0]);
            readable[id.0] = read(id.0, reals.tensors[id.0].clone());
        }
        for node in &self.float.nodes {
            let inputs: Vec<&[f64]> = node.inputs.iter().map(|id| readable[id.0].as_slice()).collect();
            let computed = node.evaluate(&inputs);
            readable[node.output.0] = read(node.output.0, computed.clone());
            ideal[node.output.0] = computed;
        }
        ideal
    }

    fn difference(&self, id: TensorId, integers: &[i64], reals: &[f64]) -> Vec<f64> {
        let exponent = self.int.tensor(id).exponent;
        let error = |(q, x): (&i64, &f64)| if x.abs() >= -MASKED { 0.0 } else { exponent.dequantise(*q) - x };
        integers.iter().zip(reals).map(error).collect()
    }
}

/// What becomes of one tensor's errors at the outputs, in the float graph, where nothing else is off.
pub(super) fn carried(float: &FloatGraph, reals: &FloatTrace, id: FloatId, errors: &[f64]) -> Vec<f64> {
    if errors.iter().all(|e| *e == 0.0) {
        return vec![0.0; float.outputs.iter().map(|out| float.tensor(*out).len()).sum()];
    }
    let moved = reals.tensors[id.0].iter().zip(errors).map(|(x, e)| x + e).collect();
    let changed = float.retrace(reals, id, moved);
    let outputs = float.outputs.iter().flat_map(|out| {
        let exact = &reals.tensors[out.0];
        let moved = changed[out.0].as_ref().unwrap_or(exact);
        moved.iter().zip(exact).map(|(y, x)| y - x)
    });
    outputs.collect()
}
