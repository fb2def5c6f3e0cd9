//! Support vector machines.

use super::{
    Node,
    classes::{self, Transform},
    dense, ints, matrix, reals,
};
use crate::{
    GraphError,
    float::{Builder, Element, FloatOp, FloatSource, Function, Value},
    int::Condition,
    onnx::Lowering,
};

/// Largest degree of a polynomial kernel.
const MAX_DEGREE: f64 = 16.0;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "SVMClassifier" => classifier,
        "SVMRegressor" => regressor,
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kernel {
    Linear,
    Poly { gamma: f64, coef0: f64, degree: u32 },
    Rbf { gamma: f64 },
    Sigmoid { gamma: f64, coef0: f64 },
}

impl Kernel {
    fn of(node: &Node<'_>) -> Result<Self, GraphError> {
        let params = reals(node, "kernel_params")?;
        let [gamma, coef0, degree] = match params[..] {
            [] => [0.0; 3],
            [gamma, coef0, degree] => [gamma, coef0, degree],
            _ => return Err(node.malformed(format!("{} kernel parameters, not 3", params.len()))),
        };
        match node.text("kernel_type").unwrap_or_default().to_uppercase().as_str() {
            "" | "LINEAR" => Ok(Self::Linear),
            "POLY" if degree.fract() != 0.0 || !(0.0..=MAX_DEGREE).contains(&degree) => Err(node.unsupported(
                format!("its kernel has degree {degree}"),
                format!("use a whole degree of at most {MAX_DEGREE}"),
            )),
            "POLY" => Ok(Self::Poly { gamma, coef0, degree: degree as u32 }),
            "RBF" => Ok(Self::Rbf { gamma }),
            "SIGMOID" => Ok(Self::Sigmoid { gamma, coef0 }),
            other => Err(node.malformed(format!("the kernel {other} does not exist"))),
        }
    }
}

/// A machine: sums over support vectors of coefficients times kernels.
struct Machine<'a> {
    node: &'a Node<'a>,
    kernel: Kernel,
    /// `[vectors, features]`.
    vectors: Vec<f64>,
    /// `[vectors, outputs]`.
    weights: Vec<f64>,
    /// Added to each output.
    offset: Vec<f64>,
}

impl Machine<'_> {
    fn scores(&self, b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
        let (features, outputs) = (x.shape[1], self.offset.len());
        let count = self.vectors.len() / features;
        if count == 0 || count * features != self.vectors.len() || count * outputs != self.weights.len() {
            return Err(self.node.malformed("its vectors do not fit its features and coefficients"));
        }
        if self.kernel == Kernel::Linear {
            // The sum over the vectors is one vector.
            let mut weight = vec![0.0; features * outputs];
            for v in 0..count {
                for f in 0..features {
                    for o in 0..outputs {
                        weight[f * outputs + o] += self.vectors[v * features + f] * self.weights[v * outputs + o];
                    }
                }
            }
            return dense(b, x, (weight, self.offset.clone()), self.node.name);
        }
        let kernels = self.kernels(b, x, count)?;
        dense(b, &kernels, (self.weights.clone(), self.offset.clone()), self.node.name)
    }

    /// The kernels `[rows, vectors]`.
    fn kernels(&self, b: &mut Builder, x: &Value, count: usize) -> Result<Value, GraphError> {
        match self.kernel {
            Kernel::Linear => self.products(b, x, count, (1.0, 0.0)),
            Kernel::Sigmoid { gamma, coef0 } => {
                let inner = self.products(b, x, count, (gamma, coef0))?;
                b.function(&inner, Function::Tanh)
            }
            Kernel::Poly { gamma, coef0, degree } => {
                let base = self.products(b, x, count, (gamma, coef0))?;
                power(b, &base, degree)
            }
            Kernel::Rbf { gamma } => self.distances(b, x, count, gamma),
        }
    }

    /// `gamma * x v + coef0`.
    fn products(&self, b: &mut Builder, x: &Value, count: usize, (g, c): (f64, f64)) -> Result<Value, GraphError> {
        let features = x.shape[1];
        let weight = (0..features * count).map(|i| g * self.vectors[i % count * features + i / count]).collect();
        dense(b, x, (weight, vec![c; count]), self.node.name)
    }

    /// `exp(-gamma |x - v|^2)` by `|x|^2`, `x v` and `|v|^2`, seen from the middle of the vectors: there the three
    /// are smallest, and so is what their difference loses.
    fn distances(&self, b: &mut Builder, x: &Value, count: usize, gamma: f64) -> Result<Value, GraphError> {
        let (rows, features) = (x.shape[0], x.shape[1]);
        let mean = |f: usize| (0..count).map(|v| self.vectors[v * features + f]).sum::<f64>() / count as f64;
        let middle: Vec<f64> = (0..features).map(mean).collect();
        let at = |v: usize, f: usize| self.vectors[v * features + f] - middle[f];
        let moved: Vec<f64> = (0..rows).flat_map(|_| middle.iter().map(|m| -m)).collect();
        let x = b.affine(&x.with_element(Element::Real), vec![1.0], moved)?;
        let weight = (0..features * count).map(|i| 2.0 * gamma * at(i % count, i / count)).collect();
        let square = |v: usize| (0..features).map(|f| at(v, f).powi(2)).sum::<f64>();
        let bias = (0..count).map(|v| -gamma * square(v)).collect();
        let products = dense(b, &x, (weight, bias), self.node.name)?;
        let squares = b.mul_self(&x)?;
        let norm = b.sum(&squares, features, gamma, vec![rows, 1])?;
        let norm = b.expand(&norm, &[rows, count])?;
        let exponent = b.add((1.0, &products), (-1.0, &norm))?;
        b.function(&exponent, Function::Exp)
    }
}

/// `base^degree` by squaring.
fn power(b: &mut Builder, base: &Value, degree: u32) -> Result<Value, GraphError> {
    let mut out: Option<Value> = None;
    let mut square = base.clone();
    let mut left = degree;
    while left > 0 {
        if left % 2 == 1 {
            out = Some(match &out {
                Some(out) => b.mul(out, &square)?,
                None => square.clone(),
            });
        }
        left /= 2;
        if left > 0 {
            square = b.mul_self(&square)?;
        }
    }
    Ok(out.unwrap_or_else(|| Value::constant(vec![1.0; base.len()], base.shape.clone(), Element::Real)))
}

fn first(node: &Node<'_>, name: &str) -> Result<f64, GraphError> {
    reals(node, name)?.first().copied().ok_or_else(|| node.malformed(format!("it has no {name}")))
}

fn regressor(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::of(node)?;
    let x = matrix(node, inputs)?;
    let coefficients = reals(node, "coefficients")?;
    let offset = vec![first(node, "rho")?];
    let supports = node.int("n_supports").unwrap_or(0) > 0;
    let machine = if supports {
        let vectors = reals(node, "support_vectors")?;
        Machine { node, kernel: Kernel::of(node)?, vectors, weights: coefficients, offset }
    } else {
        Machine { node, kernel: Kernel::Linear, vectors: coefficients, weights: vec![1.0], offset }
    };
    let scores = machine.scores(b, &x)?;
    if node.flag("one_class", false)? {
        let negative = b.affine(&scores, vec![-1.0], vec![0.0])?;
        let outside = b.indicator(&negative, Condition::NonNegative)?;
        return Ok(vec![b.affine(&outside, vec![-2.0], vec![1.0])?.with_element(Element::Real)]);
    }
    Ok(vec![transform.apply(b, &scores)?])
}

fn classifier(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::of(node)?;
    let labels = classes::labels(node, "classlabels_ints", "classlabels_strings")?;
    let x = matrix(node, inputs)?;
    let per_class = ints(node, "vectors_per_class");
    if per_class.is_empty() {
        return linear(b, node, &x, (&labels, transform));
    }
    let counts: Vec<usize> = per_class.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
    if counts.len() != labels.len() || labels.len() < 2 {
        return Err(node.malformed(format!("vectors of {} classes for {} labels", counts.len(), labels.len())));
    }
    let machine = pairs(node, &counts)?;
    let scores = machine.scores(b, &x)?;
    let label = vote(b, node, &scores, &labels)?;
    let proba = [reals(node, "prob_a")?, reals(node, "prob_b")?];
    if !proba[0].is_empty() {
        let probabilities = probabilities(b, node, &scores, (&proba, labels.len()))?;
        return Ok(vec![label, transform.apply(b, &probabilities)?]);
    }
    let scores = if labels.len() == 2 {
        let negative = b.affine(&scores, vec![-1.0], vec![0.0])?;
        classes::columns(b, &[negative, scores])?
    } else {
        scores
    };
    Ok(vec![label, transform.apply(b, &scores)?])
}

/// A machine with an output for each pair of classes. The coefficients of a vector have a row for each other class:
/// those of class `i` against `j > i` lie in row `j - 1`, those of `j` against `i` in row `i`.
fn pairs<'a>(node: &'a Node<'a>, counts: &[usize]) -> Result<Machine<'a>, GraphError> {
    let (coefficients, classes) = (reals(node, "coefficients")?, counts.len());
    let count = counts.iter().try_fold(0usize, |n, c| n.checked_add(*c)).unwrap_or(usize::MAX);
    if count.checked_mul(classes - 1) != Some(coefficients.len()) {
        return Err(node.malformed(format!("{} coefficients for {count} vectors", coefficients.len())));
    }
    let starts: Vec<usize> = (0..classes).map(|c| counts[..c].iter().sum()).collect();
    let outputs = classes * (classes - 1) / 2;
    let mut weights = vec![0.0; count * outputs];
    let mut pair = 0;
    for i in 0..classes {
        for j in i + 1..classes {
            for (class, row) in [(i, j - 1), (j, i)] {
                for v in starts[class]..starts[class] + counts[class] {
                    weights[v * outputs + pair] = coefficients[row * count + v];
                }
            }
            pair += 1;
        }
    }
    let offset = reals(node, "rho")?;
    if offset.len() != outputs {
        return Err(node.malformed(format!("{} entries of rho for {outputs} pairs of classes", offset.len())));
    }
    let vectors = reals(node, "support_vectors")?;
    Ok(Machine { node, kernel: Kernel::of(node)?, vectors, weights, offset })
}

/// The class that wins most pairs, the first of equal ones: a positive score is a vote for the first of its pair.
fn vote(b: &mut Builder, node: &Node<'_>, scores: &Value, labels: &[f64]) -> Result<Value, GraphError> {
    let (rows, classes) = (scores.shape[0], labels.len());
    if reals(node, "coefficients")?.iter().all(|c| *c >= 0.0) && classes == 2 {
        let label = vec![labels[1]; rows];
        return Ok(Value::constant(label, vec![rows], Element::Integer));
    }
    let negative = b.affine(scores, vec![-1.0], vec![0.0])?;
    let second = b.indicator(&negative, Condition::NonNegative)?;
    if let [one, two] = labels {
        return classes::either(b, &second.reshaped(vec![rows]), (*two, *one));
    }
    let first = b.not(&second)?;
    let pairs: Vec<(usize, usize)> = (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j))).collect();
    let mut sources = Vec::with_capacity(rows * classes * (classes - 1));
    for row in 0..rows {
        for class in 0..classes {
            for (pair, (i, j)) in pairs.iter().enumerate() {
                let element = (row * pairs.len() + pair) as u32;
                if *i == class || *j == class {
                    sources.push(FloatSource::Element(u32::from(*j == class), element));
                }
            }
        }
    }
    let votes = b.assemble(&[first, second], sources, vec![rows, classes, classes - 1])?;
    let votes = b.sum(&votes, classes - 1, 1.0, vec![rows, classes])?;
    classes::of_greatest(b, &votes, labels)
}

/// Probabilities of two classes; those of more are an iteration's result.
fn probabilities(
    b: &mut Builder,
    node: &Node<'_>,
    scores: &Value,
    (proba, classes): (&[Vec<f64>; 2], usize),
) -> Result<Value, GraphError> {
    if classes > 2 {
        return Err(node.unsupported(
            "it has probabilities of more than two classes, which it computes by iteration",
            "train it without probabilities, or use one machine a class",
        ));
    }
    let ([a, ..], [c, ..]) = (&proba[0][..], &proba[1][..]) else {
        return Err(node.malformed("prob_a and prob_b differ in length"));
    };
    let moved = b.affine(scores, vec![-a], vec![-c])?;
    let first = b.function(&moved, Function::Sigmoid)?;
    let second = b.affine(&first, vec![-1.0], vec![1.0])?;
    classes::columns(b, &[first, second])
}

/// A classifier without support vectors: coefficients are `[classes, features]`.
fn linear(
    b: &mut Builder,
    node: &Node<'_>,
    x: &Value,
    (labels, transform): (&[f64], Transform),
) -> Result<Vec<Value>, GraphError> {
    let (coefficients, rho) = (reals(node, "coefficients")?, first(node, "rho")?);
    let (rows, features, classes) = (x.shape[0], x.shape[1], labels.len());
    if coefficients.len() != classes * features {
        return Err(node.malformed(format!("{} coefficients for {classes} classes", coefficients.len())));
    }
    if classes > 2 && reals(node, "rho")?.len() == 1 {
        return Err(node.unsupported("it has one rho for several classes", "use a LinearClassifier"));
    }
    let weight = (0..features * classes).map(|i| coefficients[i % classes * features + i / classes]).collect();
    let scores = dense(b, x, (weight, vec![rho; classes]), node.name)?;
    if let [_] = labels {
        let negative = b.affine(&scores, vec![-1.0], vec![0.0])?;
        let outside = b.indicator(&negative.reshaped(vec![rows]), Condition::NonNegative)?;
        return Ok(vec![classes::either(b, &outside, (0.0, 1.0))?, transform.apply(b, &scores)?]);
    }
    let mut label = classes::of_greatest(b, &scores, labels)?;
    if classes == 2 && coefficients.iter().all(|c| *c >= 0.0) {
        // Half or more is enough for the second class.
        let most = b.emit(FloatOp::Max { group: 2 }, &[&scores], vec![rows])?;
        let most = b.affine(&most, vec![1.0], vec![-0.5])?;
        let enough = b.indicator(&most, Condition::NonNegative)?;
        let second = Value::constant(vec![labels[1]; rows], vec![rows], Element::Integer);
        label = b.select(&enough, &second, &label)?;
    }
    Ok(vec![label, transform.apply(b, &scores)?])
}
