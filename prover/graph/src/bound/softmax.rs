//! Facts about rows of values that belong together, as in a softmax. Their errors depend on each other: taken one by
//! one they would leave no bound of a quotient.

use super::{
    Meaning,
    propagate::Pass,
    state::{State, outward, product},
};
use crate::int::{IntNode, IntOp, Rescale, RescaleKind, Source, TensorId};

/// Facts about a tensor.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) peak: Option<Peak>,
    pub(super) exponentials: Option<Exponentials>,
    pub(super) total: Option<Total>,
    pub(super) shares: Option<Shares>,
}

/// Each group of elements has this integer as its greatest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peak {
    pub(super) group: usize,
    pub(super) value: i64,
    /// Error of the elements apart from what all of a group are off alike.
    pub(super) apart: f64,
}

/// The elements are exponentials.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exponentials {
    pub(super) of: TensorId,
    pub(super) group: usize,
    /// Error of the arguments, apart from what all of a group are off alike.
    pub(super) argument: f64,
    /// Distance from the exponentials of the arguments that the integer graph has.
    pub(super) table: f64,
    /// How much the cut moves an ideal exponential at most.
    pub(super) cut: f64,
}

/// The elements are sums of groups of exponentials, each for its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Total {
    pub(super) of: TensorId,
    pub(super) group: usize,
    /// Distance from the sum of the exponentials of the integer graph's arguments.
    pub(super) error: f64,
}

/// The elements are shares of a whole, group by group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub(super) group: usize,
    /// What the magnitudes of a group sum to at most.
    pub(super) sum: f64,
    /// What the errors of a group sum to at most.
    pub(super) error: f64,
}

/// A map of all elements alike.
pub(super) struct Uniform {
    pub(super) scale: i64,
    pub(super) offset: i64,
    pub(super) rescale: Rescale,
    /// The ideal factor.
    pub(super) factor: f64,
    /// Error that the map itself adds.
    pub(super) added: f64,
    /// Whether the map is ideally none: the same numbers in another form.
    pub(super) identity: bool,
}

/// A rounded accumulator with what follows it.
fn finished(rescale: Rescale, acc: i128) -> i64 {
    let v = rescale.divided(acc);
    if rescale.kind == RescaleKind::Relu { v.max(0) as i64 } else { v as i64 }
}

/// Length of the groups of which each element of a view is one, spread in order.
pub(super) fn spread(sources: &[Source]) -> Option<usize> {
    let first = |s: &&Source| matches!(s, Source::Element(0, 0));
    let group = sources.iter().take_while(first).count();
    let holds = |(i, s): (usize, &Source)| matches!(s, Source::Element(0, at) if *at as usize == i / group);
    (group > 0 && sources.iter().enumerate().all(holds)).then_some(group)
}

impl Pass<'_> {
    /// `X - max X`, up to a factor and a constant; with the ideal factor and the error that the operation adds.
    pub(super) fn facts_of_difference(
        &self,
        node: &IntNode,
        (ca, cb, c): (i64, i64, i64),
        rescale: Rescale,
        (factor, added): (f64, f64),
    ) -> Facts {
        let none = Facts::default();
        let [x, below] = node.inputs[..] else { return none };
        let Some(spread_of) = self.definition(below) else { return none };
        let IntOp::View { sources } = &spread_of.op else { return none };
        let Some(most) = spread_of.inputs.first().and_then(|id| self.definition(*id)) else { return none };
        let IntOp::Max { group } = most.op else { return none };
        if ca <= 0 || ca != -cb || spread(sources) != Some(group) || most.inputs.first() != Some(&x) {
            return none;
        }
        let apart = outward(product(factor.abs(), self.state(x).errors.most()) + added, 4);
        let peak = Peak { group, value: finished(rescale, i128::from(c)), apart };
        Facts { peak: Some(peak), ..none }
    }

    /// What stays true of a row when all of its elements are mapped alike.
    pub(super) fn facts_of_map(&self, facts: Facts, map: &Uniform) -> Facts {
        let mapped = |q: i64| finished(map.rescale, i128::from(map.scale) * i128::from(q) + i128::from(map.offset));
        let peak = facts.peak.filter(|_| map.scale >= 0).map(|peak| Peak {
            value: mapped(peak.value),
            apart: outward(product(map.factor.abs(), peak.apart) + map.added, 4),
            ..peak
        });
        if !map.identity {
            return Facts { peak, ..Facts::default() };
        }
        Facts {
            peak,
            exponentials: facts.exponentials.map(|e| Exponentials { table: e.table + map.added, ..e }),
            total: facts.total.map(|t| Total { error: t.error + map.added, ..t }),
            shares: facts.shares.map(|s| {
                let added = s.group as f64 * map.added;
                Shares { sum: s.sum + added, error: s.error + added, ..s }
            }),
        }
    }

    /// What stays true of a row of which a view takes every element, in order.
    pub(super) fn facts_of_view(&self, node: &IntNode, sources: &[Source]) -> Facts {
        let [read] = node.inputs[..] else { return Facts::default() };
        let facts = self.state(read).facts;
        if sources.iter().enumerate().all(|(i, s)| matches!(s, Source::Element(0, at) if *at as usize == i))
            && sources.len() == self.graph.tensor(read).len()
        {
            return facts;
        }
        let total = facts.total.filter(|t| spread(sources) == Some(t.group));
        let whole_groups = |group: usize| {
            sources.len().is_multiple_of(group)
                && sources.chunks(group).all(|chunk| {
                    let Some(Source::Element(0, first)) = chunk.first() else { return false };
                    let follows = |(i, s): (usize, &Source)| *s == Source::Element(0, first + i as u32);
                    (*first as usize).is_multiple_of(group) && chunk.iter().enumerate().all(follows)
                })
        };
        Facts { total, shares: facts.shares.filter(|s| whole_groups(s.group)), ..Facts::default() }
    }

    /// Sums of rows of exponentials, as they are.
    pub(super) fn facts_of_sum(&self, node: &IntNode, group: usize, (factor, added): (f64, f64)) -> Facts {
        let read = self.read(node, 0);
        let exponentials = read.state.facts.exponentials.filter(|e| e.group == group && factor == 1.0);
        let total = exponentials.map(|e| Total { of: e.of, group, error: outward(group as f64 * e.table, 4) + added });
        Facts { total, ..Facts::default() }
    }

    /// A softmax as a whole, where the quotient is one; `half` is the rounding of the quotient.
    ///
    /// Arguments that are off by `d` at most, apart from what is common to a row, move a share by `tanh(d / 2)` at most
    /// and all shares of a row by twice that: the odds of each change by a factor of at most `exp(2 d)`. Exponentials
    /// that are off by `t` and their sum by `s` move it by `(t + share * s) / sum`.
    pub(super) fn softmax(&self, numerator: &State, denominator: &State, half: f64) -> Option<(f64, Shares)> {
        let (e, total) = (numerator.facts.exponentials?, denominator.facts.total?);
        if e.of != total.of || e.group != total.group || numerator.reach.lo < 0.0 {
            return None;
        }
        let n = e.group as f64;
        let sum = denominator.reach.lo;
        // The sum of what the ideal arguments give, cut as those of the integer graph.
        let ideal = (sum - total.error) * libm::exp(-e.argument);
        if sum.min(ideal) <= 0.0 {
            return None;
        }
        let moved = libm::tanh(e.argument / 2.0);
        let one = moved + (e.table + total.error) / sum + e.cut * (1.0 + n) / ideal + half;
        let row = 2.0 * moved + (n * e.table + total.error) / sum + 2.0 * n * e.cut / ideal + n * half;
        // Numerators of a row come to the denominator but for what rounding made of both.
        let whole = 1.0 + (total.error + n * e.table) / sum + n * half;
        let shares = Shares { group: e.group, sum: outward(whole, 16), error: outward(row, 16) };
        Some((outward(one, 16), shares))
    }

    /// Exponentials of rows whose greatest is known.
    pub(super) fn facts_of_function(&self, node: &IntNode, meaning: &Meaning, top: Option<i64>, table: f64) -> Facts {
        let Some(before) = self.read(node, 0).state.facts.peak else { return Facts::default() };
        let peak = top.map(|value| Peak { value, apart: f64::INFINITY, ..before });
        let exponentials = match meaning {
            Meaning::Function { function: crate::float::Function::Exp, cut, .. } => {
                Some(Exponentials { of: node.output, group: before.group, argument: before.apart, table, cut: *cut })
            }
            _ => None,
        };
        Facts { peak, exponentials, ..Facts::default() }
    }
}
