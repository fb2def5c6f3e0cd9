//! Quantisation: a float graph and the ranges of its tensors become an integer graph.
//!
//! Every rescaled tensor gets the largest power-of-two scale at which its calibrated range, with
//! head-room, fits 16 bits. Sums and products by powers of two stay exact where their readers take
//! wider values, because that costs the circuit nothing and rounds nothing.

mod balance;
mod emit;
mod inputs;
mod mask;
mod prepare;
mod scale;
mod table;

use crate::{
    GraphError,
    calibrate::Ranges,
    float::FloatGraph,
    int::{IntGraph, Visibility},
};

/// How to quantise a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantiseOptions {
    /// How far values may leave their calibrated range, as a factor of at least 1.
    pub headroom: f64,
    /// Who sees the inputs.
    pub inputs: Visibility,
    /// Who sees the outputs.
    pub outputs: Visibility,
}

impl Default for QuantiseOptions {
    fn default() -> Self {
        Self { headroom: 1.25, inputs: Visibility::Public, outputs: Visibility::Public }
    }
}

/// Quantises a model whose tensors have the given ranges; the result is valid.
///
/// # Errors
/// Where an integer input leaves its 24 bits, a node cannot be brought to integers, or a value
/// could wrap around the field.
pub fn quantise(graph: &FloatGraph, ranges: &Ranges, options: &QuantiseOptions) -> Result<IntGraph, GraphError> {
    let _span = tracing::info_span!("quantise", headroom = options.headroom).entered();
    if !(options.headroom.is_finite() && options.headroom >= 1.0) {
        return Err(GraphError::Quantise {
            node: graph.name.clone(),
            reason: format!("a head-room of {} is no factor of at least 1", options.headroom),
        });
    }
    // Assigned to the same names, so that no more than two copies of the graph are there at a time.
    let (mut graph, mut ranges) = mask::lower(graph, ranges);
    (graph, ranges) = prepare::clamp_functions(&graph, &ranges, options.headroom);
    (graph, ranges) = prepare::fuse_clamps(graph, ranges);
    (graph, ranges) = prepare::centre_functions(&graph, &ranges, options.headroom);
    (graph, ranges) = inputs::level(graph, ranges, options.headroom);
    let quantised = emit::emit(&graph, &ranges, options)?;
    // What stays outside an invariant came of the model's values: compiling again would not help.
    quantised.validate().map_err(|error| match error {
        GraphError::InvalidGraph { place, reason } => GraphError::Quantise {
            node: place,
            reason: format!("{reason}; bring the values that it reads into a smaller range"),
        },
        other => other,
    })?;
    Ok(quantised)
}

/// `k` with `|c| = 2^k`.
fn power_of_two(c: f64) -> Option<i32> {
    let k = c.abs().log2();
    (k.is_finite() && k.fract() == 0.0 && k.exp2() == c.abs()).then_some(k as i32)
}
