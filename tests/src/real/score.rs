//! How good answers are, and how close two sets of outputs are.

use serde::{Deserialize, Serialize};

/// Scores closer than this, in points, are as good.
pub const POINTS: f64 = 0.5;
/// Share of the test data on which both models must decide the same, unless the scores are close.
pub const AGREEMENT: f64 = 0.99;

/// How a model's answers are judged by labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of the labels that are the model's decisions.
    Accuracy,
    /// The same of characters, of which a sample has many.
    CharacterAccuracy,
    /// Share of the labels' variance that the answers explain.
    RSquared,
    /// Mean absolute error in degrees; answers and labels are in tens of degrees.
    Degrees,
}

impl Metric {
    /// All of them, the first in a manifest's figures is a model's.
    pub const ALL: [Self; 4] = [Self::Accuracy, Self::CharacterAccuracy, Self::RSquared, Self::Degrees];

    /// Its name in a manifest.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::CharacterAccuracy => "next_character_accuracy",
            Self::RSquared => "r2",
            Self::Degrees => "mean_absolute_error_degrees",
        }
    }

    /// Its name in a table.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::CharacterAccuracy => "next character",
            Self::RSquared => "R²",
            Self::Degrees => "mean error, °C",
        }
    }

    /// Whether outputs are read as decisions, which agree or do not.
    #[must_use]
    pub fn decides(self) -> bool {
        matches!(self, Self::Accuracy | Self::CharacterAccuracy)
    }

    /// The answers of one sample: as many decisions as it has labels, or the numbers of the first output.
    ///
    /// A first output of exactly that many integers holds the decisions themselves (`whole`); otherwise it has a list of
    /// scores a label.
    #[must_use]
    pub fn answers(self, first: &[f64], labels: usize, whole: bool) -> Vec<f64> {
        if !self.decides() || whole && first.len() == labels {
            return first.to_vec();
        }
        first.chunks((first.len() / labels.max(1)).max(1)).map(|scores| argmax(scores) as f64).collect()
    }

    /// The score of answers, in the order of the labels.
    #[must_use]
    pub fn score(self, answers: &[f64], labels: &[f64]) -> f64 {
        let pairs = || answers.iter().zip(labels);
        match self {
            Self::Accuracy | Self::CharacterAccuracy => agreement(answers, labels),
            Self::RSquared => {
                let mean = labels.iter().sum::<f64>() / labels.len() as f64;
                let residual: f64 = pairs().map(|(a, l)| (l - a).powi(2)).sum();
                let variance: f64 = labels.iter().map(|l| (l - mean).powi(2)).sum();
                1.0 - residual / variance
            }
            Self::Degrees => 10.0 * pairs().map(|(a, l)| (a - l).abs()).sum::<f64>() / labels.len() as f64,
        }
    }

    /// How far two scores are apart: percentage points, hundredths of R², or percent of the first where it is an error.
    #[must_use]
    pub fn points(self, float: f64, integer: f64) -> f64 {
        let apart = 100.0 * (float - integer).abs();
        if self == Self::Degrees { apart / float } else { apart }
    }
}

/// Share of the first list's elements that the second has in the same place.
#[must_use]
pub fn agreement(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len().max(1) as f64
}

/// Index of the greatest element, the first of equal ones.
fn argmax(values: &[f64]) -> usize {
    values.iter().enumerate().fold(0, |best, (i, v)| if *v > values[best] { i } else { best })
}

/// Running differences of two models' outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Differences {
    /// Largest absolute difference.
    pub largest: f64,
    sum: f64,
    count: usize,
    lo: f64,
    hi: f64,
}

impl Default for Differences {
    fn default() -> Self {
        Self { largest: 0.0, sum: 0.0, count: 0, lo: f64::INFINITY, hi: f64::NEG_INFINITY }
    }
}

impl Differences {
    /// Takes in outputs; the range is that of the first ones.
    pub fn add(&mut self, of: &[f64], to: &[f64]) {
        for (a, b) in of.iter().zip(to) {
            let difference = (a - b).abs();
            self.largest = self.largest.max(difference);
            self.sum += difference;
            self.count += 1;
            (self.lo, self.hi) = (self.lo.min(*a), self.hi.max(*a));
        }
    }

    /// Mean absolute difference.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// From the least to the greatest of the first ones.
    #[must_use]
    pub fn range(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.hi - self.lo }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_the_greatest_scores_or_labels_themselves() {
        assert_eq!(Metric::Accuracy.answers(&[0.1, 0.7, 0.2], 1, false), [1.0]);
        assert_eq!(Metric::Accuracy.answers(&[0.5, 0.5], 1, false), [0.0]);
        assert_eq!(Metric::Accuracy.answers(&[4.0], 1, true), [4.0]);
        assert_eq!(Metric::CharacterAccuracy.answers(&[1.0, 2.0, 4.0, 3.0], 2, false), [1.0, 0.0]);
        assert_eq!(Metric::RSquared.answers(&[0.25], 1, false), [0.25]);
    }

    #[test]
    fn scores_are_those_of_the_manifests() {
        assert_eq!(Metric::Accuracy.score(&[1.0, 2.0, 3.0, 3.0], &[1.0, 2.0, 3.0, 4.0]), 0.75);
        assert_eq!(Metric::RSquared.score(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 1.0);
        // The mean explains nothing.
        assert_eq!(Metric::RSquared.score(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(Metric::Degrees.score(&[1.0, -1.0], &[1.5, -1.0]), 2.5);
    }

    #[test]
    fn points_are_hundredths_and_of_an_error_percent() {
        assert!((Metric::Accuracy.points(0.97, 0.965) - 0.5).abs() < 1e-9);
        assert!((Metric::RSquared.points(0.50, 0.51) - 1.0).abs() < 1e-9);
        assert!((Metric::Degrees.points(2.0, 2.02) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn differences_have_a_largest_a_mean_and_a_range() {
        let mut differences = Differences::default();
        assert_eq!((differences.mean(), differences.range()), (0.0, 0.0));
        differences.add(&[1.0, -2.0], &[1.5, -2.0]);
        differences.add(&[3.0, 0.0], &[3.0, 0.25]);
        assert_eq!((differences.largest, differences.mean(), differences.range()), (0.5, 0.1875, 5.0));
    }
}
