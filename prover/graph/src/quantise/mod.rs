//! Quantisation: a float graph and the ranges of its tensors become an integer graph.
//!
//! Every rescaled tensor gets the largest power-of-two scale at which its calibrated range, with
//! head-room, fits 16 bits. Sums and products by powers of two stay exact where their readers take
//! wider values, because that costs the circuit nothing and rounds nothing. Where a lower exponent may do less harm,
//! because weights gain what their operand loses, measurements decide.

mod balance;
mod emit;
mod implied;
mod inputs;
mod mask;
mod prepare;
mod refine;
mod scale;
mod table;

use std::ops::RangeInclusive;

use crate::{
    GraphError,
    bound::{Ideal, Meaning},
    calibrate::Ranges,
    data::Sample,
    float::FloatGraph,
    int::{IntGraph, VALUE_BITS, Visibility},
};

use prepare::Notes;
use scale::Adjustments;

/// How to quantise a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantiseOptions {
    /// How far values may leave their calibrated range, as a factor of at least 1.
    pub headroom: f64,
    /// Bits of real inputs, one of [`INPUT_BITS`]; those that need more have more.
    pub input_bits: u32,
    /// Who sees the inputs.
    pub inputs: Visibility,
    /// Who sees the outputs.
    pub outputs: Visibility,
}

impl Default for QuantiseOptions {
    fn default() -> Self {
        Self { headroom: 1.25, input_bits: VALUE_BITS, inputs: Visibility::Public, outputs: Visibility::Public }
    }
}

/// Bits that real inputs may have.
pub const INPUT_BITS: RangeInclusive<u32> = 8..=VALUE_BITS;

/// What is demanded of a quantised model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Target {
    /// Largest error of an output.
    pub max_error: Option<f64>,
    /// Least share of samples with the float model's decision.
    pub min_agreement: Option<f64>,
}

/// An integer graph, and what each of its nodes stands for.
type Emitted = (IntGraph, Vec<Meaning>);

/// A float graph in the form that is emitted, the ranges of its tensors, and what that form changes.
struct Prepared {
    graph: FloatGraph,
    ranges: Ranges,
    notes: Notes,
}

impl Prepared {
    fn new(graph: &FloatGraph, ranges: &Ranges, options: &QuantiseOptions) -> Result<Self, GraphError> {
        if !(options.headroom.is_finite() && options.headroom >= 1.0) {
            return Err(GraphError::Quantise {
                node: graph.name.clone(),
                reason: format!("a head-room of {} is no factor of at least 1", options.headroom),
            });
        }
        if !INPUT_BITS.contains(&options.input_bits) {
            return Err(GraphError::Quantise {
                node: graph.name.clone(),
                reason: format!(
                    "inputs of {} bits were asked for, and {} to {} can be had",
                    options.input_bits,
                    INPUT_BITS.start(),
                    INPUT_BITS.end()
                ),
            });
        }
        // Assigned to the same names, so that no more than two copies of the graph are there at a time.
        let (mut graph, mut ranges) = mask::lower(graph, ranges);
        ranges = implied::sums_of_shares(&graph, ranges, options.headroom);
        let notes;
        (graph, ranges, notes) = prepare::clamp_functions(&graph, &ranges, options.headroom);
        (graph, ranges) = prepare::fuse_clamps(graph, ranges);
        (graph, ranges) = prepare::centre_functions(&graph, &ranges, options.headroom);
        (graph, ranges) = inputs::level(graph, ranges, options.headroom);
        Ok(Self { graph, ranges, notes })
    }

    fn emit(&self, options: &QuantiseOptions, adjustments: &Adjustments) -> Result<Emitted, GraphError> {
        let (quantised, meanings) = emit::emit(self, options, adjustments)?;
        // What stays outside an invariant came of the model's values: compiling again would not help.
        quantised.validate().map_err(|error| match error {
            GraphError::InvalidGraph { place, reason } => GraphError::Quantise {
                node: place,
                reason: format!("{reason}; bring the values that it reads into a smaller range"),
            },
            other => other,
        })?;
        Ok((quantised, meanings))
    }

    /// The graph with what it stands for.
    fn with_ideal(self, (quantised, meanings): Emitted) -> (IntGraph, Ideal) {
        (quantised, Ideal { graph: self.graph, meanings })
    }
}

/// Quantises a model whose tensors have the given ranges; the result is valid.
///
/// # Errors
/// Where an integer input leaves its 24 bits, a node cannot be brought to integers, or a value
/// could wrap around the field.
pub fn quantise(graph: &FloatGraph, ranges: &Ranges, options: &QuantiseOptions) -> Result<IntGraph, GraphError> {
    quantise_with_ideal(graph, ranges, options).map(|(quantised, _)| quantised)
}

/// The same, and what the integer graph stands for: [`crate::bound::bounds`] tells from both how large its errors can
/// get.
///
/// # Errors
/// As [`quantise`].
pub fn quantise_with_ideal(
    graph: &FloatGraph,
    ranges: &Ranges,
    options: &QuantiseOptions,
) -> Result<(IntGraph, Ideal), GraphError> {
    let _span = tracing::info_span!("quantise", headroom = options.headroom).entered();
    let prepared = Prepared::new(graph, ranges, options)?;
    let emitted = prepared.emit(options, &Adjustments::default())?;
    Ok(prepared.with_ideal(emitted))
}

/// The same with the exponents at which the error of the outputs on these samples, measured, is least among those
/// tried.
///
/// # Errors
/// As [`quantise`], and where a sample does not fit the model.
pub fn quantise_measured(
    graph: &FloatGraph,
    ranges: &Ranges,
    options: &QuantiseOptions,
    samples: &[Sample],
) -> Result<(IntGraph, Ideal), GraphError> {
    let _span = tracing::info_span!("quantise", headroom = options.headroom, samples = samples.len()).entered();
    refine::refine(Prepared::new(graph, ranges, options)?, graph, options, samples)
}

/// The same with the narrowest inputs at which the samples keep to a target: public inputs are packed into words, of
/// which a verifier reads fewer. Where none keep to it, inputs have the bits of the options.
///
/// # Errors
/// As [`quantise_measured`].
pub fn quantise_within(
    graph: &FloatGraph,
    ranges: &Ranges,
    options: &QuantiseOptions,
    (samples, target): (&[Sample], &Target),
) -> Result<(IntGraph, Ideal), GraphError> {
    let _span = tracing::info_span!("quantise", headroom = options.headroom, ?target).entered();
    refine::narrowest((graph, ranges), options, samples, target)
}
