//! Where a quantised model and its float model disagree: on given data, and on what a search finds around it.

mod judge;
mod random;
mod search;

use serde::Serialize;

use crate::{GraphError, data::Sample, float::FloatGraph, int::IntGraph};

pub use judge::Decisions;
use judge::{Judge, Refused, Rule, Verdict};
pub use search::Search;

/// How to audit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuditOptions {
    /// Where the first output has one element: from which value on it counts as a yes.
    pub threshold: Option<f64>,
    /// What the search's random numbers come from.
    pub seed: u64,
    /// Inputs that the search may run.
    pub tries: usize,
    /// Findings of each kind to keep.
    pub keep: usize,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { threshold: None, seed: 1, tries: 10_000, keep: 5 }
    }
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// The data.
    Data {
        /// Which of its samples, from 0.
        sample: usize,
    },
    /// The line between two samples that the float model decides differently.
    Boundary {
        /// The samples.
        samples: [usize; 2],
    },
    /// A sample, or an input between two, after many small changes.
    Perturbation,
}

/// An input, and what both models make of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// Largest absolute difference of any output.
    pub error: f64,
    /// The decisions, where outputs are read as such.
    pub decisions: Option<Decisions>,
    /// Outputs of the float model.
    pub float: Vec<Vec<f64>>,
    /// Outputs of the quantised model.
    pub quantised: Vec<Vec<f64>>,
    /// The inputs, in the model's order.
    pub inputs: Vec<Vec<f64>>,
}

impl Finding {
    fn new(origin: Origin, sample: &Sample, verdict: &Verdict) -> Self {
        Self {
            origin,
            error: verdict.error,
            decisions: verdict.decisions,
            float: verdict.float.clone(),
            quantised: verdict.quantised.clone(),
            inputs: sample.inputs.clone(),
        }
    }

    /// The float model's margin where the models disagree.
    #[must_use]
    pub fn disagreement(&self) -> Option<f64> {
        self.decisions.filter(|d| !d.agree()).map(|d| d.float_margin)
    }
}

/// The findings that matter most.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Worst {
    /// Inputs on which the models disagree, those that the float model decides most clearly first.
    pub disagreements: Vec<Finding>,
    /// Inputs with the largest errors.
    pub errors: Vec<Finding>,
}

impl Worst {
    fn add(&mut self, finding: Finding, keep: usize) {
        fn insert(list: &mut Vec<Finding>, finding: Finding, keep: usize, key: impl Fn(&Finding) -> f64) {
            if list.iter().any(|f| f.inputs == finding.inputs) {
                return;
            }
            let at = list.partition_point(|f| key(f) >= key(&finding));
            list.insert(at, finding);
            list.truncate(keep);
        }
        if finding.disagreement().is_some() {
            insert(&mut self.disagreements, finding.clone(), keep, |f| f.disagreement().unwrap_or(0.0));
        }
        insert(&mut self.errors, finding, keep, |f| f.error);
    }
}

/// Samples that have no proof for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Tensor that leaves its range.
    pub tensor: String,
    /// `input_range`, `out_of_range`, `spread`, or `not_finite` of the float model.
    pub reason: String,
    /// How many samples.
    pub samples: usize,
    /// The first of them, from 0.
    pub first: usize,
    /// What the executor says of the first.
    pub message: String,
}

/// Largest error of a sample, at ranks of all samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Of half of the samples it is at most this.
    pub p50: f64,
    /// Of nine in ten.
    pub p90: f64,
    /// Of 99 in 100.
    pub p99: f64,
    /// Of all.
    pub max: f64,
}

impl Quantiles {
    fn of(mut errors: Vec<f64>) -> Self {
        errors.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let at = (errors.len() * percent).div_ceil(100).saturating_sub(1);
            errors.get(at).copied().unwrap_or(0.0)
        };
        Self { p50: rank(50), p90: rank(90), p99: rank(99), max: rank(100) }
    }
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// Samples of the data that both models answered.
    pub samples: usize,
    /// Samples that have no proof.
    pub refused: usize,
    /// Why.
    pub refusals: Vec<Refusal>,
    /// How outputs are read as decisions: `arg_max`, `threshold`, or not at all.
    pub decision: Option<&'static str>,
    /// Samples on which the models decide the same.
    pub agreed: Option<usize>,
    /// Their share of the samples answered.
    pub agreement: Option<f64>,
    /// The float model's least margin on a sample.
    pub least_float_margin: Option<f64>,
    /// Errors of the samples.
    pub errors: Quantiles,
    /// The worst samples of the data.
    pub worst: Worst,
    /// What the search found.
    pub search: Search,
}

impl Audit {
    /// Every finding, the clearest disagreements first, then the largest errors.
    #[must_use]
    pub fn findings(&self) -> Vec<&Finding> {
        fn both<'a>(data: &'a [Finding], found: &'a [Finding]) -> Vec<&'a Finding> {
            data.iter().chain(found).collect()
        }
        let mut disagreements = both(&self.worst.disagreements, &self.search.worst.disagreements);
        let margin = |f: &Finding| f.disagreement().unwrap_or(0.0);
        disagreements.sort_by(|a, b| margin(b).total_cmp(&margin(a)));
        let mut errors = both(&self.worst.errors, &self.search.worst.errors);
        errors.sort_by(|a, b| b.error.total_cmp(&a.error));
        let mut all: Vec<&Finding> = Vec::new();
        for finding in disagreements.into_iter().chain(errors) {
            if !all.iter().any(|f| f.inputs == finding.inputs) {
                all.push(finding);
            }
        }
        all
    }

    /// The float model's largest margin at which the models were found to disagree, on the data or in the search.
    #[must_use]
    pub fn largest_margin(&self) -> Option<f64> {
        let data = self.worst.disagreements.first().and_then(Finding::disagreement);
        [data, self.search.largest_float_margin].into_iter().flatten().max_by(f64::total_cmp)
    }

    /// The float model's least margin, on the data or in the search: how near to a boundary an input came.
    #[must_use]
    pub fn least_margin(&self) -> Option<f64> {
        [self.least_float_margin, self.search.least_float_margin].into_iter().flatten().min_by(f64::total_cmp)
    }

    /// The largest error found, on the data or in the search.
    #[must_use]
    pub fn largest_error(&self) -> f64 {
        self.errors.max.max(self.search.largest_error)
    }
}

/// Runs both models on the data, then searches for worse inputs within the data's range. `progress` is told how many
/// inputs have been run, of as many as there are samples and tries.
///
/// # Errors
/// Where a sample does not fit the model. A sample that has no proof is counted, not an error.
pub fn audit(
    float: &FloatGraph,
    int: &IntGraph,
    samples: &[Sample],
    options: &AuditOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Audit, GraphError> {
    let judge = Judge::new(float, int, options.threshold);
    let mut worst = Worst::default();
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut answered = Vec::with_capacity(samples.len());
    for (number, sample) in samples.iter().enumerate() {
        match judge.judge(sample)? {
            Ok(verdict) => {
                worst.add(Finding::new(Origin::Data { sample: number }, sample, &verdict), options.keep);
                answered.push((number, verdict));
            }
            Err(refused) => count(&mut refusals, number, refused),
        }
        progress(number + 1);
    }
    refusals.sort_by(|a, b| b.samples.cmp(&a.samples).then(a.first.cmp(&b.first)));
    let agreed = judge.rule.map(|_| answered.iter().filter(|(_, v)| v.disagreement().is_none()).count());
    let margins = answered.iter().filter_map(|(_, v)| v.decisions.map(|d| d.float_margin));
    let least_float_margin = margins.min_by(f64::total_cmp);
    let errors = Quantiles::of(answered.iter().map(|(_, v)| v.error).collect());
    let search = search::search(&judge, samples, &answered, options, &mut |tries| progress(samples.len() + tries))?;
    Ok(Audit {
        samples: answered.len(),
        refused: samples.len() - answered.len(),
        refusals,
        decision: judge.rule.map(|rule| match rule {
            Rule::ArgMax => "arg_max",
            Rule::Threshold(_) => "threshold",
        }),
        agreed,
        agreement: agreed.filter(|_| !answered.is_empty()).map(|n| n as f64 / answered.len() as f64),
        least_float_margin,
        errors,
        worst,
        search,
    })
}

fn count(refusals: &mut Vec<Refusal>, number: usize, refused: Refused) {
    let Refused { tensor, reason, message } = refused;
    match refusals.iter_mut().find(|r| r.tensor == tensor && r.reason == reason) {
        Some(known) => known.samples += 1,
        None => refusals.push(Refusal { tensor, reason: reason.to_owned(), samples: 1, first: number, message }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let quantiles = Quantiles::of((1..=200).rev().map(f64::from).collect());
        assert_eq!((quantiles.p50, quantiles.p90, quantiles.p99, quantiles.max), (100.0, 180.0, 198.0, 200.0));
        assert_eq!(Quantiles::of(vec![3.0]), Quantiles { p50: 3.0, p90: 3.0, p99: 3.0, max: 3.0 });
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}
