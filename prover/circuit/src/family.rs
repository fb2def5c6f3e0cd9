//! The family of shapes that plans are drawn from, so that models share verifiers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    column::FixedColumn as F,
    cost::{Cost, CostModel, Prediction},
    shape::{Shape, WeightPlacement},
};

/// Rows of the circuit that a logical row takes.
pub(crate) const HEIGHTS: [usize; 3] = [1, 2, 4];
/// Bits of a looked-up limb.
pub(crate) const LIMB_BITS: [u32; 2] = [8, 16];
/// Columns of weights.
pub(crate) const LANE_COLUMNS: [usize; 11] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48];
/// Bits of a weight in its lane, scaled to the shift of a rescaling row.
pub(crate) const WEIGHT_BITS: [u32; 3] = [32, 48, 62];

/// The gates of a circuit. A plan has the first set, in the order of [`GateSet::ALL`], with the gates of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateSet {
    /// Sums, rescales with and without ReLU, linear layers of one position.
    #[default]
    Dense,
    /// The same with functions, products and maxima of computed values: sigmoid, tanh, softmax.
    Smooth,
    /// The dense set with linear layers of many positions (convolutions), maxima and products.
    Image,
    /// Every gate: images with functions, attention.
    General,
}

const DENSE: &[F] = &[
    F::Base,
    F::Table,
    F::CoefP,
    F::CoefQ,
    F::CoefConst,
    F::CoefPrev,
    F::Input,
    F::Signed,
    F::Relu,
    F::Value,
    F::ValueOutput,
    F::WeightContinue,
    F::WeightEnd,
    F::DotContinue,
];
const FUNCTIONS: &[F] = &[F::TableOut, F::TableTag, F::Tag, F::Function];
const COMPUTED: &[F] = &[F::CoefProduct, F::Max];
const POSITIONS: &[F] = &[
    F::ValuePosition,
    F::Slack,
    F::SlackTriple,
    F::Track,
    F::TrackKeep,
    F::TrackPosition,
    F::TrackTriple,
    F::DotLoad,
    F::DotScale,
    F::DotOutput,
];
/// Products of two computed matrices read the one operand by outputs.
const ATTENTION: &[F] = &[F::TrackOutput];

impl GateSet {
    /// Every set, the cheaper ones first.
    pub const ALL: [Self; 4] = [Self::Dense, Self::Smooth, Self::Image, Self::General];

    /// The first set that has all of these columns.
    #[must_use]
    pub fn with(columns: &[F]) -> Self {
        let fits = |set: &Self| columns.iter().all(|column| set.has(*column));
        Self::ALL.into_iter().find(fits).unwrap_or(Self::General)
    }

    /// Whether its gates read the column.
    #[must_use]
    pub fn has(self, column: F) -> bool {
        let groups: &[&[F]] = match self {
            Self::Dense => &[DENSE],
            Self::Smooth => &[DENSE, FUNCTIONS, COMPUTED],
            Self::Image => &[DENSE, POSITIONS, COMPUTED],
            Self::General => &[DENSE, POSITIONS, COMPUTED, FUNCTIONS, ATTENTION],
        };
        groups.iter().any(|group| group.contains(&column))
    }
}

impl fmt::Display for GateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dense => "dense",
            Self::Smooth => "smooth",
            Self::Image => "image",
            Self::General => "general",
        })
    }
}

/// What a shape costs whatever the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShapeCost {
    /// The shape.
    pub shape: Shape,
    /// Its columns.
    pub cost: Cost,
    /// Figures for a circuit of 1,024 rows and a statement of one word beside the context.
    pub predicted: Prediction,
}

/// The shapes of one column of private weights and limbs of 8 bits, by gates and height. Each further column of weights
/// is one more commitment.
#[must_use]
pub fn family() -> Vec<ShapeCost> {
    let shapes = GateSet::ALL.into_iter().flat_map(|gates| HEIGHTS.map(|height| (gates, height)));
    let cost = |(gates, height)| {
        let shape = Shape { gates, height, weight_lanes: height, ..Shape::default() };
        let meta = shape.constraint_system();
        let cost = Cost::of(&shape, &meta, 0, 0);
        ShapeCost { predicted: cost.predict(&CostModel::default(), &meta, (10, 0), 2), shape, cost }
    };
    shapes.map(cost).collect()
}

/// The shapes whose verifiers are compiled beforehand: every set of gates, height and number of columns of weights, with
/// limbs of 8 bits and weights of 32, and of 48 where they are private. Plans of other shapes are for wide weights and
/// for limbs of 16 bits.
#[must_use]
pub fn standard_shapes() -> Vec<Shape> {
    let widths = [
        (WEIGHT_BITS[0], WeightPlacement::Private),
        (WEIGHT_BITS[0], WeightPlacement::Public),
        (WEIGHT_BITS[1], WeightPlacement::Private),
    ];
    let mut shapes = Vec::new();
    for gates in GateSet::ALL {
        for height in HEIGHTS {
            for (weight_bits, weights) in widths {
                shapes.extend(LANE_COLUMNS.map(|columns| Shape {
                    gates,
                    height,
                    weight_lanes: columns * height,
                    weight_bits,
                    weights,
                    ..Shape::default()
                }));
            }
        }
    }
    shapes
}
