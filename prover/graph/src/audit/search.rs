//! The search for inputs on which the models differ.
//!
//! Half of the tries go to decision boundaries: the line between two samples of different decisions is bisected to the
//! float model's boundary, and both models are run there and around it. The rest climbs: small random changes of an
//! input, within the data's range, are kept where they make the error larger, or a disagreement clearer.

use serde::Serialize;

use super::{
    AuditOptions, Finding, Origin, Worst,
    judge::{Judge, Verdict},
    random::Random,
};
use crate::{GraphError, data::Sample};

/// Halvings of the line between two samples: what is left is below single precision.
const HALVINGS: i32 = 24;

/// Nearest to a boundary that both models are run, as a power of two of the line's length; the farthest is a quarter.
const NEAREST: i32 = -20;

/// Doublings of the distance from a boundary that agree, after which no disagreement is expected.
const QUIET: usize = 6;

/// Halvings between a distance at which the models disagree and the next at which they agree.
const REFINEMENTS: usize = 12;

/// Changes that improve nothing, after which a climb begins anew.
const PATIENCE: usize = 250;

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Search {
    /// What its random numbers came from.
    pub seed: u64,
    /// Inputs run.
    pub tries: usize,
    /// Those of them that have no proof.
    pub refused: usize,
    /// Pairs of samples between which a boundary was looked for.
    pub pairs: usize,
    /// Climbs begun.
    pub climbs: usize,
    /// Tries on which the models disagree. The search looks for these, so it is no estimate of how often they occur.
    pub disagreements: usize,
    /// Largest error of a try.
    pub largest_error: f64,
    /// The float model's least margin on a try: how near to a boundary the search came.
    pub least_float_margin: Option<f64>,
    /// The float model's largest margin at which a try disagrees.
    pub largest_float_margin: Option<f64>,
    /// The quantised model's largest margin at which a try disagrees.
    pub largest_quantised_margin: Option<f64>,
    /// The worst inputs: of each line and each climb one.
    pub worst: Worst,
}

/// What a climb makes larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Error,
    Disagreement,
}

impl Goal {
    /// For disagreements the float model's margin, which counts below zero where the models agree: towards the
    /// boundary, and beyond it as far as the quantised model does not follow.
    fn score(self, verdict: &Verdict) -> f64 {
        match (self, verdict.decisions) {
            (Self::Disagreement, Some(d)) => {
                if d.agree() {
                    -d.float_margin
                } else {
                    d.float_margin
                }
            }
            _ => verdict.error,
        }
    }
}

/// An input and what the models made of it.
#[derive(Debug, Clone)]
struct Point {
    sample: Sample,
    verdict: Verdict,
}

struct Hunt<'a> {
    judge: &'a Judge<'a>,
    random: Random,
    found: Search,
    options: &'a AuditOptions,
    /// Least and greatest value of each element in the data.
    bounds: Vec<Vec<(f64, f64)>>,
    /// Input and index of the elements that are not the same in all of the data.
    free: Vec<(usize, usize)>,
    progress: &'a mut dyn FnMut(usize),
}

/// Searches around the samples that both models answered.
pub(super) fn search(
    judge: &Judge<'_>,
    samples: &[Sample],
    answered: &[(usize, Verdict)],
    options: &AuditOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Search, GraphError> {
    let _span = tracing::info_span!("search", tries = options.tries, seed = options.seed).entered();
    let bounds = bounds(samples, answered);
    let moves = |i: usize, list: &[(f64, f64)]| {
        let moving = list.iter().enumerate().filter(|(_, (lo, hi))| lo < hi);
        moving.map(move |(j, _)| (i, j)).collect::<Vec<_>>()
    };
    let free = bounds.iter().enumerate().flat_map(|(i, list)| moves(i, list)).collect();
    let mut hunt = Hunt {
        judge,
        random: Random::new(options.seed),
        found: Search { seed: options.seed, ..Search::default() },
        options,
        bounds,
        free,
        progress,
    };
    let known: Vec<(usize, Point)> = answered
        .iter()
        .map(|(number, verdict)| (*number, Point { sample: samples[*number].clone(), verdict: verdict.clone() }))
        .collect();
    if hunt.free.is_empty() {
        // One input, or none: there is no range to search.
        return Ok(hunt.found);
    }
    let near = hunt.boundaries(&known, options.tries / 2)?;
    let mut by_error: Vec<&Point> = known.iter().map(|(_, point)| point).collect();
    let mut by_margin = by_error.clone();
    by_error.sort_by(|a, b| b.verdict.error.total_cmp(&a.verdict.error));
    if judge.rule.is_some() {
        by_margin.extend(&near);
        let score = |p: &&Point| Goal::Disagreement.score(&p.verdict);
        by_margin.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let half = hunt.found.tries + (options.tries - hunt.found.tries) / 2;
        hunt.climbs(Goal::Disagreement, &by_margin, half)?;
    }
    hunt.climbs(Goal::Error, &by_error, options.tries)?;
    Ok(hunt.found)
}

fn bounds(samples: &[Sample], answered: &[(usize, Verdict)]) -> Vec<Vec<(f64, f64)>> {
    let mut bounds: Vec<Vec<(f64, f64)>> = Vec::new();
    for (number, _) in answered {
        let inputs = &samples[*number].inputs;
        if bounds.is_empty() {
            bounds = inputs.iter().map(|values| values.iter().map(|v| (*v, *v)).collect()).collect();
        }
        for ((lo, hi), v) in bounds.iter_mut().flatten().zip(inputs.iter().flatten()) {
            (*lo, *hi) = (lo.min(*v), hi.max(*v));
        }
    }
    bounds
}

impl Hunt<'_> {
    /// Runs both models; nothing where the input has no proof.
    fn try_one(&mut self, sample: Sample) -> Result<Option<Point>, GraphError> {
        self.found.tries += 1;
        (self.progress)(self.found.tries);
        let Ok(verdict) = self.judge.judge(&sample)? else {
            self.found.refused += 1;
            return Ok(None);
        };
        let greater = |old: Option<f64>, new: f64| Some(old.map_or(new, |old| old.max(new)));
        self.found.largest_error = self.found.largest_error.max(verdict.error);
        if let Some(d) = verdict.decisions {
            let least = self.found.least_float_margin.map_or(d.float_margin, |least| least.min(d.float_margin));
            self.found.least_float_margin = Some(least);
        }
        if let Some(d) = verdict.decisions.filter(|d| !d.agree()) {
            self.found.disagreements += 1;
            self.found.largest_float_margin = greater(self.found.largest_float_margin, d.float_margin);
            self.found.largest_quantised_margin = greater(self.found.largest_quantised_margin, d.quantised_margin);
        }
        Ok(Some(Point { sample, verdict }))
    }

    fn keep(&mut self, origin: Origin, point: &Point) {
        self.found.worst.add(Finding::new(origin, &point.sample, &point.verdict), self.options.keep);
    }

    /// Looks at lines between samples of different decisions until `until` tries are used up; the points nearest to
    /// the boundaries, or disagreeing most clearly.
    fn boundaries(&mut self, known: &[(usize, Point)], until: usize) -> Result<Vec<Point>, GraphError> {
        let decision = |point: &Point| point.verdict.decisions.map(|d| d.float);
        let first = known.first().and_then(|(_, point)| decision(point));
        let mut near = Vec::new();
        if known.iter().all(|(_, point)| decision(point) == first) {
            return Ok(near);
        }
        while self.found.tries < until {
            let (number, one) = &known[self.random.below(known.len())];
            let others: Vec<&(usize, Point)> =
                known.iter().filter(|(_, other)| decision(other) != decision(one)).collect();
            let (with, other) = others[self.random.below(others.len())];
            self.found.pairs += 1;
            let line = Line { from: &one.sample, to: &other.sample };
            let Some(best) = self.line(&line, decision(one), until)? else { continue };
            self.keep(Origin::Boundary { samples: [*number, *with] }, &best);
            near.push(best);
        }
        Ok(near)
    }

    /// The point of a line that disagrees most clearly, or else lies nearest to where the float model's decision
    /// leaves `from`.
    fn line(&mut self, line: &Line<'_>, from: Option<usize>, until: usize) -> Result<Option<Point>, GraphError> {
        let mut best: Option<Point> = None;
        let (mut lo, mut hi) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            if self.found.tries >= until {
                return Ok(best);
            }
            let middle = f64::midpoint(lo, hi);
            let sample = line.at(middle, self.judge);
            if sample == line.at(lo, self.judge) || sample == line.at(hi, self.judge) {
                break;
            }
            // Where the quantised model refuses, the float model's decision is unknown; the rest of the line is tried.
            let Some(point) = self.try_one(sample)? else {
                hi = middle;
                continue;
            };
            if point.verdict.decisions.map(|d| d.float) == from {
                lo = middle;
            } else {
                hi = middle;
            }
            better(&mut best, point);
        }
        for side in [-1.0, 1.0] {
            self.outward(line, (f64::midpoint(lo, hi), side), until, &mut best)?;
        }
        Ok(best)
    }

    /// Walks away from a boundary in doubling steps, and settles how far the models disagree.
    fn outward(
        &mut self,
        line: &Line<'_>,
        (boundary, side): (f64, f64),
        until: usize,
        best: &mut Option<Point>,
    ) -> Result<(), GraphError> {
        let (mut differs, mut quiet) = (None, 0);
        for power in NEAREST..=-2 {
            let distance = f64::from(power).exp2();
            let at = boundary + side * distance;
            if self.found.tries >= until || !(0.0..=1.0).contains(&at) || quiet >= QUIET {
                break;
            }
            let point = self.try_one(line.at(at, self.judge))?;
            // Near the boundary single precision may hide the band, so agreement there ends nothing.
            quiet += usize::from(power > NEAREST / 2);
            let Some(point) = point else { continue };
            if point.verdict.disagreement().is_some() {
                (differs, quiet) = (Some(distance), 0);
            }
            better(best, point);
        }
        let Some(mut inner) = differs else { return Ok(()) };
        let mut outer = 2.0 * inner;
        for _ in 0..REFINEMENTS {
            let distance = f64::midpoint(inner, outer);
            let at = boundary + side * distance;
            if self.found.tries >= until || !(0.0..=1.0).contains(&at) {
                break;
            }
            let point = self.try_one(line.at(at, self.judge))?;
            if point.as_ref().is_some_and(|p| p.verdict.disagreement().is_some()) {
                inner = distance;
            } else {
                outer = distance;
            }
            if let Some(point) = point {
                better(best, point);
            }
        }
        Ok(())
    }

    /// Climbs from one start after another until `until` tries are used up, the best starts first and most often.
    fn climbs(&mut self, goal: Goal, starts: &[&Point], until: usize) -> Result<(), GraphError> {
        let mut turn = 0;
        while self.found.tries < until && !starts.is_empty() {
            let among = self.options.keep.clamp(1, starts.len());
            let start = if turn % 2 == 0 { (turn / 2) % among } else { self.random.below(starts.len()) };
            turn += 1;
            self.found.climbs += 1;
            let mut best = Point::clone(starts[start]);
            let mut stalled = 0;
            while self.found.tries < until && stalled < PATIENCE {
                let changed = self.changed(&best.sample);
                stalled += 1;
                if let Some(point) = self.try_one(changed)?
                    && goal.score(&point.verdict) > goal.score(&best.verdict)
                {
                    (best, stalled) = (point, 0);
                }
            }
            self.keep(Origin::Perturbation, &best);
        }
        Ok(())
    }

    /// A random change: of one element, of some or of all, by anything from the data's range to a 65,536th of it.
    fn changed(&mut self, sample: &Sample) -> Sample {
        let mut changed = sample.clone();
        let free = &self.free;
        let some = (free.len() as f64).sqrt().ceil() as usize;
        let elements: Vec<(usize, usize)> = match self.random.below(4) {
            0 | 1 => vec![free[self.random.below(free.len())]],
            2 => (0..some).map(|_| free[self.random.below(free.len())]).collect(),
            _ => free.clone(),
        };
        let scale = f64::from(-(self.random.below(17) as i32)).exp2();
        for (i, j) in elements {
            let (lo, hi) = self.bounds[i][j];
            let old = changed.inputs[i][j];
            let step = scale * (hi - lo) * self.random.signed();
            let mut new = self.judge.snap(i, old + step);
            if new == old && self.judge.is_integer(i) {
                new = old + step.signum();
            }
            changed.inputs[i][j] = self.judge.snap(i, new.clamp(lo, hi));
        }
        changed
    }
}

/// Keeps the point that disagrees more clearly or lies nearer to the boundary.
fn better(best: &mut Option<Point>, point: Point) {
    let score = |p: &Point| Goal::Disagreement.score(&p.verdict);
    if best.as_ref().is_none_or(|b| score(&point) > score(b)) {
        *best = Some(point);
    }
}

/// The line between two inputs.
struct Line<'a> {
    from: &'a Sample,
    to: &'a Sample,
}

impl Line<'_> {
    fn at(&self, t: f64, judge: &Judge<'_>) -> Sample {
        let input = |(i, (from, to)): (usize, (&Vec<f64>, &Vec<f64>))| {
            from.iter().zip(to).map(|(a, b)| judge.snap(i, a + t * (b - a))).collect()
        };
        Sample { inputs: self.from.inputs.iter().zip(&self.to.inputs).enumerate().map(input).collect() }
    }
}
