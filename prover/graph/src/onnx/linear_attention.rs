//! Linear attention: a state for each head that every step writes to and reads from.

use super::{
    Lowering, Node,
    attention::{heads, unheaded},
    matmul::product,
};
use crate::{
    GraphError,
    float::{Builder, Function, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "LinearAttention" => linear_attention,
        _ => return None,
    })
}

/// Tensors of a linear attention as `[batch, heads, time, size]`.
struct Steps {
    q: Value,
    k: Value,
    v: Value,
    /// Factors of the state, of size 1 or as many as the keys have.
    decay: Option<Value>,
    /// Rate of the delta rule, of size 1.
    beta: Option<Value>,
}

/// With `S` `[keys, values]` a head, step by step: `S *= exp(decay)`, `u = v` or by the delta rule `beta (v - S' k)`,
/// `S += k u'`, and the output `scale S' q`.
fn linear_attention(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let steps = steps(b, node, inputs)?;
    let (batch, shared, time, keys) = (steps.k.shape[0], steps.k.shape[1], steps.k.shape[2], steps.k.shape[3]);
    let (readers, values) = (steps.q.shape[1], steps.v.shape[3]);
    let shape = vec![batch, shared, keys, values];
    let mut state = inputs.get(3).and_then(Option::as_ref).cloned();
    if let Some(past) = state.as_ref().filter(|s| s.shape != shape) {
        return Err(node.malformed(format!("a state of shape {:?}, which has to be {shape:?}", past.shape)));
    }
    let mut out = Vec::with_capacity(time);
    for step in 0..time {
        let written = steps.written(b, node, step, &mut state)?;
        let next = match &state {
            Some(state) => b.add((1.0, state), (1.0, &written))?,
            None => written,
        };
        // Heads of queries that share a state are neighbours.
        let q = b.pick(&steps.q, 2, step)?.reshaped(vec![batch, shared, readers / shared, keys]);
        out.push(product(b, node, &q, &next)?.reshaped(vec![batch, readers, values]));
        state = Some(next);
    }
    let Some(state) = state.filter(|_| !out.is_empty()) else {
        return Err(node.malformed("its sequence is empty"));
    };
    let out = b.stack(&out, 2)?;
    Ok(vec![unheaded(b, &out)?, state])
}

impl Steps {
    /// What a step adds to the state, which it lets decay first.
    fn written(
        &self,
        b: &mut Builder,
        node: &Node<'_>,
        step: usize,
        state: &mut Option<Value>,
    ) -> Result<Value, GraphError> {
        let (batch, heads, keys, values) = (self.k.shape[0], self.k.shape[1], self.k.shape[3], self.v.shape[3]);
        let shape = vec![batch, heads, keys, values];
        if let (Some(before), Some(decay)) = (&state, &self.decay) {
            let factor = b.pick(decay, 2, step)?;
            let size = decay.shape[3];
            let factor = b.expand(&factor.reshaped(vec![batch, heads, size, 1]), &shape)?;
            *state = Some(b.mul(before, &factor)?);
        }
        let key = b.pick(&self.k, 2, step)?;
        let mut value = b.pick(&self.v, 2, step)?.reshaped(vec![batch, heads, 1, values]);
        if let Some(beta) = &self.beta {
            if let Some(state) = state {
                let told = product(b, node, &key.reshaped(vec![batch, heads, 1, keys]), state)?;
                value = b.add((1.0, &value), (-1.0, &told))?;
            }
            let rate = b.pick(beta, 2, step)?.reshaped(vec![batch, heads, 1, 1]);
            let rate = b.expand(&rate, &value.shape)?;
            value = b.mul(&value, &rate)?;
        }
        let column = b.expand(&key.reshaped(vec![batch, heads, keys, 1]), &shape)?;
        let row = b.expand(&value, &shape)?;
        b.mul(&column, &row)
    }
}

/// Inputs as heads, checked against each other and against the rule.
fn steps(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Steps, GraphError> {
    let rule = node.text("update_rule").unwrap_or_else(|| "gated_delta".to_owned());
    let (gated, delta) = match rule.as_str() {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(node.malformed(format!("update_rule `{other}`"))),
    };
    let given = |i: usize| inputs.get(i).and_then(Option::as_ref);
    if given(4).is_some() != gated || given(5).is_some() != delta {
        return Err(node.malformed(format!("update_rule `{rule}` with another choice of decay and beta")));
    }
    let three = (0..3).map(|i| node.required(inputs, i)).collect::<Result<Vec<_>, _>>()?;
    if three.iter().copied().chain(given(4)).chain(given(5)).any(|v| v.shape.len() != 3) {
        return Err(node.malformed("an input that has not three axes"));
    }
    let q = heads(b, node, three[0], "q_num_heads")?;
    let k = heads(b, node, three[1], "kv_num_heads")?;
    let v = heads(b, node, three[2], "kv_num_heads")?;
    let (shared, size) = (k.shape[1], k.shape[3]);
    let agree = q.shape[1].is_multiple_of(shared)
        && [q.shape[0], q.shape[2], q.shape[3]] == [k.shape[0], k.shape[2], size]
        && k.shape[..3] == v.shape[..3];
    if !agree || size == 0 {
        return Err(node.malformed(format!("heads {:?}, {:?} and {:?} do not go together", q.shape, k.shape, v.shape)));
    }
    let lead = |v: &Value| v.shape[..2] == three[1].shape[..2];
    let decay = match given(4) {
        Some(decay) => {
            let decay = heads(b, node, decay, "kv_num_heads")?;
            if decay.shape[..3] != k.shape[..3] || ![1, size].contains(&decay.shape[3]) {
                return Err(node.malformed(format!("a decay of shape {:?} by heads", decay.shape)));
            }
            Some(b.function(&decay, Function::Exp)?)
        }
        None => None,
    };
    let beta = match given(5) {
        Some(beta) => {
            if !lead(beta) || ![1, shared].contains(&beta.shape[2]) {
                return Err(node.malformed(format!("a beta of shape {:?}", beta.shape)));
            }
            let spread = b.expand(beta, &[beta.shape[0], beta.shape[1], shared])?;
            Some(heads(b, node, &spread, "kv_num_heads")?)
        }
        None => None,
    };
    let scale = node.float("scale").filter(|s| *s != 0.0).unwrap_or(1.0 / (size as f64).sqrt());
    let q = b.affine(&q, vec![scale], vec![0.0])?;
    Ok(Steps { q, k, v, decay, beta })
}
