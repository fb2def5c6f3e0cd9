//! Sums of terms.

use super::{
    Draft, EXACT_BITS, EXACT_LEVELS, Element, Emitter, FloatNode, GraphError, IntOp, Interval, MAX_SHIFT, Meaning,
    PRODUCT_BITS, Range, Rescale, TensorId, power_of_two,
};
use crate::float::Activation;

impl Emitter<'_> {
    /// `sum_i coefficient_i * input_i + offset`, exact where that is possible and the readers take
    /// it, rescaled otherwise.
    pub(super) fn combine(
        &mut self,
        node: &FloatNode,
        terms: &[(&[f64], TensorId)],
        offset: &[f64],
    ) -> Result<TensorId, GraphError> {
        if let Some(exact) = self.combined_integers(node, terms, offset)? {
            return Ok(exact);
        }
        // Exponent at which each term's coefficient is 1 or -1.
        let natural: Option<Vec<i32>> = terms
            .iter()
            .map(|(c, id)| match c {
                [c] => Some(self.exponent(*id) - power_of_two(*c)?),
                _ => None,
            })
            .collect();
        if let Some(natural) = &natural {
            let (least, most) =
                (natural.iter().copied().min().unwrap_or(0), natural.iter().copied().max().unwrap_or(0));
            let integer = self.graph.tensor(node.output).element == Element::Integer;
            let wide = self.scales.wide[node.output.0] && most - least <= EXACT_LEVELS;
            if (wide || integer) && node.activation == Activation::None {
                // An offset finer than the terms keeps its bits where there are few: what rounds the sum must see them.
                let whole = |e: &i32| offset.iter().all(|o| (o * f64::from(*e).exp2()).fract() == 0.0);
                let most = (most..most + EXACT_LEVELS).find(whole).unwrap_or(most);
                let exact = self.combined(node, terms, offset, (most, Rescale::EXACT))?;
                let ranges: Vec<Interval> = terms.iter().map(|(_, id)| self.range(*id)).collect();
                let range = exact.op.range(&ranges, &self.out.params).output;
                let integers = node.inputs.iter().all(|id| self.graph.tensor(*id).element == Element::Integer);
                let bits = if integers { PRODUCT_BITS } else { EXACT_BITS };
                if integer || range.signed_bits() <= bits {
                    return Ok(self.push_terms(node, exact, terms, offset));
                }
            }
            // A finer scale than the inputs' would carry nothing more, but suits a function's table.
            let desired = self.scales.exponents[node.output.0];
            let exponent = if self.scales.signed[node.output.0] { desired } else { desired.min(most) };
            if natural.iter().all(|e| (0..=EXACT_LEVELS).contains(&(exponent - e))) {
                let rescale = Rescale { shift: 0, kind: Self::kind(node) };
                let draft = self.combined(node, terms, offset, (exponent, rescale))?;
                return Ok(self.push_terms(node, draft, terms, offset));
            }
            let rescale = Rescale { shift: MAX_SHIFT, kind: Self::kind(node) };
            let draft = self.combined(node, terms, offset, (exponent, rescale))?;
            return Ok(self.push_terms(node, draft, terms, offset));
        }
        let mut chosen = (MAX_SHIFT, i32::MAX);
        for (c, id) in terms {
            let max = c.iter().fold(0.0f64, |m, c| m.max(c.abs()));
            let (shift, exponent) = self.shift(node, max, self.exponent(*id))?;
            chosen = (chosen.0.min(shift), chosen.1.min(exponent));
        }
        let rescale = Rescale { shift: chosen.0, kind: Self::kind(node) };
        let draft = self.combined(node, terms, offset, (chosen.1, rescale))?;
        Ok(self.push_terms(node, draft, terms, offset))
    }

    /// Adds a sum of terms whose coefficients were rounded.
    fn push_terms(&mut self, node: &FloatNode, draft: Draft, terms: &[(&[f64], TensorId)], offset: &[f64]) -> TensorId {
        let id = self.push(node, None, draft);
        let coefficients = terms.iter().map(|(c, _)| c.to_vec()).collect();
        self.mean(id, Meaning::Terms { coefficients, offset: offset.to_vec() });
        id
    }

    /// What a node computes before its activation.
    pub(super) fn before(&self, node: &FloatNode) -> Range {
        let at = self.position(node);
        self.ranges.before_activation.get(at).copied().unwrap_or_else(|| self.ranges.tensor(node.output))
    }

    pub(super) fn combined(
        &self,
        node: &FloatNode,
        terms: &[(&[f64], TensorId)],
        offset: &[f64],
        (exponent, rescale): (i32, Rescale),
    ) -> Result<Draft, GraphError> {
        let level = exponent + rescale.shift as i32;
        let offset = self.integers(node, offset, level)?;
        let mut coefficients = Vec::with_capacity(terms.len());
        for (c, id) in terms {
            coefficients.push(self.integers(node, c, level - self.exponent(*id))?);
        }
        let inputs = terms.iter().map(|(_, id)| *id).collect();
        let op = match &coefficients[..] {
            [a, b] => IntOp::Add { ca: a[0], cb: b[0], c: offset[0], rescale },
            [a] => IntOp::Affine { scale: a.clone(), offset, rescale },
            _ => return Err(self.refused(node, "it has no terms")),
        };
        Ok(Draft { op, inputs, exponent })
    }
}
