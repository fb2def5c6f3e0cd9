use super::{INTERPOLATION_POINTS, IntOp, Interval, Param, Rescale, RescaleKind, SEGMENT_BITS, Source, VALUE_BITS};

/// Bits that no accumulator reaches in magnitude, whether of a sum or of a term: far below half the
/// scalar field, and 128 bits still hold it once the circuit has scaled it by `2^MAX_SHIFT`.
pub const ACCUMULATOR_BITS: u32 = 110;

/// Bits that no tensor's value reaches in magnitude.
pub const TENSOR_BITS: u32 = 62;

/// Values of a ReLU's output.
const POSITIVE: Interval = Interval { lo: 0, hi: (1 << VALUE_BITS) - 1 };

/// Roots that [`IntOp::Sqrt`] gives, and quotients that [`IntOp::Div`] gives where no numerator is negative.
pub(crate) const QUOTIENT: Interval = Interval { lo: 0, hi: (1 << (VALUE_BITS - 1)) - 1 };

/// Values of an [`IntOp::Indicator`].
pub(crate) const BIT: Interval = Interval { lo: 0, hi: 1 };

/// Denominators that [`IntOp::Div`] takes.
pub const DENOMINATOR: Interval = Interval { lo: 1, hi: (1 << 30) - 1 };

impl Interval {
    /// One value.
    #[must_use]
    pub fn point(v: i128) -> Self {
        Self { lo: v, hi: v }
    }

    /// The smallest interval around both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// Whether every value of `self` lies in `other`.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        other.lo <= self.lo && self.hi <= other.hi
    }

    fn plus(self, other: Self) -> Self {
        Self { lo: self.lo.saturating_add(other.lo), hi: self.hi.saturating_add(other.hi) }
    }

    fn times(self, other: Self) -> Self {
        let products = [
            self.lo.saturating_mul(other.lo),
            self.lo.saturating_mul(other.hi),
            self.hi.saturating_mul(other.lo),
            self.hi.saturating_mul(other.hi),
        ];
        products[1..].iter().fold(Self::point(products[0]), |i, p| i.hull(Self::point(*p)))
    }

    fn scaled(self, c: i64) -> Self {
        self.times(Self::point(i128::from(c)))
    }

    fn repeated(self, n: usize) -> Self {
        self.times(Self::point(n as i128))
    }

    /// The part inside `bound`; `bound` where there is none.
    fn clipped(self, bound: Self) -> Self {
        let part = Self { lo: self.lo.max(bound.lo), hi: self.hi.min(bound.hi) };
        if part.lo <= part.hi { part } else { bound }
    }
}

impl Rescale {
    /// `v = floor((acc + 2^(shift-1)) / 2^shift)`, before what follows it.
    #[must_use]
    pub fn divided(self, acc: i128) -> i128 {
        match self.shift {
            0 => acc,
            s => (acc.saturating_add(1 << (s - 1))) >> s,
        }
    }

    /// What the rounded accumulator must lie in; `None` where nothing is checked.
    #[must_use]
    pub fn bound(self) -> Option<Interval> {
        match self.kind {
            RescaleKind::Exact => None,
            RescaleKind::Signed => Some(Interval::signed(VALUE_BITS)),
            RescaleKind::Relu => Some(Interval { lo: -POSITIVE.hi, hi: POSITIVE.hi }),
        }
    }

    /// Values that can follow from an accumulator in `acc`.
    fn output(self, acc: Interval) -> Interval {
        let divided = Interval { lo: self.divided(acc.lo), hi: self.divided(acc.hi) };
        match self.kind {
            RescaleKind::Exact => divided,
            RescaleKind::Signed => divided.clipped(Interval::signed(VALUE_BITS)),
            RescaleKind::Relu => Interval { lo: divided.lo.max(0), hi: divided.hi.max(0) }.clipped(POSITIVE),
        }
    }
}

/// What interval analysis says of an operation: the values of its accumulator and of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRange {
    /// The accumulator, before the rescale, and the terms that it sums: they may cancel.
    pub accumulator: Interval,
    /// The output.
    pub output: Interval,
}

impl IntOp {
    /// Interval analysis of the operation over inputs with these ranges.
    ///
    /// The range of a linear layer's output does not depend on its weights, which may be private.
    #[must_use]
    pub fn range(&self, inputs: &[Interval], params: &[Param]) -> OpRange {
        let input = |i: usize| inputs.get(i).copied().unwrap_or(Interval::point(0));
        let rescaled =
            |accumulator: Interval, rescale: &Rescale| OpRange { accumulator, output: rescale.output(accumulator) };
        match self {
            Self::Linear { width, weight, bias, rescale, .. } => {
                let zero = Interval::point(0);
                let accumulator = linear(input(0).hull(zero), *width, &params[*weight], bias.map(|b| &params[b]));
                let output = match rescale.kind {
                    RescaleKind::Relu => POSITIVE,
                    _ => Interval::signed(VALUE_BITS),
                };
                OpRange { accumulator, output }
            }
            Self::Add { ca, cb, c, rescale } => {
                let (a, b) = (input(0).scaled(*ca), input(1).scaled(*cb));
                let sum = a.plus(b).plus(Interval::point(i128::from(*c)));
                OpRange { accumulator: a.hull(b).hull(sum), ..rescaled(sum, rescale) }
            }
            Self::Mul { c, rescale } => rescaled(input(0).times(input(1)).scaled(*c), rescale),
            Self::Affine { scale, offset, rescale } => {
                let each = |i: usize| {
                    let (s, o) = (one_or_each(scale, i), one_or_each(offset, i));
                    input(0).scaled(s).plus(Interval::point(i128::from(o)))
                };
                let all = (1..scale.len().max(offset.len())).fold(each(0), |r, i| r.hull(each(i)));
                rescaled(all, rescale)
            }
            Self::Sum { group, c, rescale } => rescaled(input(0).repeated(*group).scaled(*c), rescale),
            Self::MatMul { inner, rescale, .. } => rescaled(input(0).times(input(1)).repeated(*inner), rescale),
            Self::Max { .. } => OpRange { accumulator: input(0), output: input(0) },
            Self::Function { table, rescale, .. } => {
                let (lo, hi) = (table.iter().min(), table.iter().max());
                let at = |v: Option<&i64>| i128::from(v.copied().unwrap_or(0)) << SEGMENT_BITS;
                debug_assert_eq!(table.len(), INTERPOLATION_POINTS);
                rescaled(Interval { lo: at(lo), hi: at(hi) }, rescale)
            }
            Self::Div { shift } => {
                let doubled = input(0).scaled(1i64 << (shift + 1).min(TENSOR_BITS));
                let output = if input(0).lo >= 0 { QUOTIENT } else { Interval::signed(VALUE_BITS) };
                OpRange { accumulator: doubled.plus(input(1)), output }
            }
            Self::Sqrt { shift } => {
                OpRange { accumulator: input(0).scaled(1i64 << (*shift).min(TENSOR_BITS)), output: QUOTIENT }
            }
            Self::Indicator { .. } => OpRange { accumulator: input(0), output: BIT },
            Self::Select => {
                let output = input(1).hull(input(2));
                OpRange { accumulator: output.hull(input(1).plus(input(2).scaled(-1))), output }
            }
            Self::View { sources } => {
                let mut seen = vec![false; inputs.len()];
                let mut range: Option<Interval> = None;
                let mut include = |i: Interval| range = Some(range.map_or(i, |r| r.hull(i)));
                for source in sources {
                    match source {
                        Source::Constant(c) => include(Interval::point(i128::from(*c))),
                        Source::Element(i, _) => {
                            if let Some(seen) = seen.get_mut(*i as usize)
                                && !std::mem::replace(seen, true)
                            {
                                include(input(*i as usize));
                            }
                        }
                    }
                }
                let range = range.unwrap_or(Interval::point(0));
                OpRange { accumulator: range, output: range }
            }
        }
    }
}

/// Accumulators of a linear layer over inputs in `x`, which includes the padding's zero.
fn linear(x: Interval, width: usize, weight: &Param, bias: Option<&Param>) -> Interval {
    let mut positive = vec![0i128; width];
    let mut negative = vec![0i128; width];
    for row in weight.values.chunks(width.max(1)) {
        for (o, w) in row.iter().enumerate() {
            let part = if *w >= 0 { &mut positive[o] } else { &mut negative[o] };
            *part += i128::from(*w);
        }
    }
    let column = |o: usize| {
        let products = x.times(Interval::point(positive[o])).plus(x.times(Interval::point(negative[o])));
        let bias = bias.and_then(|b| b.values.get(o)).copied().unwrap_or(0);
        products.plus(Interval::point(i128::from(bias)))
    };
    (0..width).map(column).reduce(Interval::hull).unwrap_or(Interval::point(0))
}

/// Element `i` of a list that has one element for all or one for each.
pub(crate) fn one_or_each(list: &[i64], i: usize) -> i64 {
    if list.len() == 1 { list[0] } else { list.get(i).copied().unwrap_or(0) }
}
