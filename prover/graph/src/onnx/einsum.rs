//! Sums of products over named axes, and determinants.

use super::{Lowering, Node, matmul};
use crate::{
    GraphError,
    float::{Builder, Cost, Value, indices},
};

/// Largest matrix whose determinant is taken.
const MAX_ORDER: usize = 8;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Einsum" => einsum,
        "Det" => det,
        _ => return None,
    })
}

/// An axis: a letter of the equation, or one of those that an ellipsis stands for, counted from the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Ellipsis(usize),
    Letter(char),
}

/// A tensor with its axes named, each name at most once.
#[derive(Debug, Clone)]
struct Term {
    value: Value,
    labels: Vec<Label>,
}

/// One term of the equation as labels; an ellipsis stands for as many axes as given.
fn parsed(node: &Node<'_>, term: &str, hidden: usize) -> Result<Vec<Label>, GraphError> {
    let mut labels = Vec::new();
    let (before, after) = match term.split_once("...") {
        Some((before, after)) => (before, Some(after)),
        None => (term, None),
    };
    labels.extend(before.chars().map(Label::Letter));
    if let Some(after) = after {
        labels.extend((0..hidden).rev().map(Label::Ellipsis));
        labels.extend(after.chars().map(Label::Letter));
    }
    if labels.iter().any(|label| matches!(label, Label::Letter(c) if !c.is_ascii_alphabetic())) {
        return Err(node.malformed(format!("the term `{term}` of its equation")));
    }
    Ok(labels)
}

/// Contracts the operands one after the other; two are a product of matrices where they share an axis that goes.
fn einsum(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let equation = node.text("equation").ok_or_else(|| node.malformed("it has no equation"))?.replace(' ', "");
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let names: Vec<&str> = left.split(',').collect();
    if names.len() != inputs.len() {
        return Err(node.malformed(format!("an equation of {} terms for {} inputs", names.len(), inputs.len())));
    }
    let mut terms = Vec::with_capacity(names.len());
    let mut widest = 0;
    for (i, name) in names.iter().enumerate() {
        let x = node.required(inputs, i)?;
        let letters = name.replace("...", "").chars().count();
        let hidden = x.shape.len().checked_sub(letters).filter(|n| *n == 0 || name.contains("..."));
        let hidden = hidden.ok_or_else(|| node.malformed(format!("the term `{name}` for shape {:?}", x.shape)))?;
        widest = widest.max(hidden);
        let labels = parsed(node, name, hidden)?;
        terms.push(diagonal(b, node, x, &labels)?);
    }
    let output = match right {
        Some(right) => parsed(node, right, widest)?,
        None => implicit(&names, widest),
    };
    let all: Vec<Label> = terms.iter().flat_map(|t| t.labels.clone()).collect();
    let twice = |i: usize| output[..i].contains(&output[i]);
    if (0..output.len()).any(|i| twice(i) || !all.contains(&output[i])) {
        return Err(node.malformed(format!("the output of its equation `{equation}`")));
    }
    let sizes = sizes(node, &terms)?;
    let mut total: Option<Term> = None;
    for i in 0..terms.len() {
        let later: Vec<Label> = terms[i + 1..].iter().flat_map(|t| t.labels.clone()).chain(output.clone()).collect();
        let keep = |label: &Label| later.contains(label);
        total = Some(match total {
            None => summed(b, &terms[i], &keep)?,
            Some(before) => {
                // What only this term has goes at once.
                let alone = |label: &Label| keep(label) || before.labels.contains(label);
                let term = summed(b, &terms[i], &alone)?;
                contracted(b, (&before, &term), &keep, &sizes)?
            }
        });
    }
    let total = total.ok_or_else(|| node.malformed("it has no inputs"))?;
    let shape: Vec<usize> = output.iter().map(|label| size(&sizes, label)).collect();
    Ok(vec![arranged(b, &total, &output, &shape)?])
}

/// Axes that appear once, in the order of their letters, after those of an ellipsis.
fn implicit(names: &[&str], hidden: usize) -> Vec<Label> {
    let letters: Vec<char> = names.iter().flat_map(|name| name.chars()).filter(|c| *c != '.').collect();
    let once = |c: &char| letters.iter().filter(|other| *other == c).count() == 1;
    let mut single: Vec<char> = letters.iter().copied().filter(once).collect();
    single.sort_unstable();
    let ellipsis = names.iter().any(|name| name.contains("..."));
    let lead = (0..if ellipsis { hidden } else { 0 }).rev().map(Label::Ellipsis);
    lead.chain(single.into_iter().map(Label::Letter)).collect()
}

/// The diagonal over axes with one name.
fn diagonal(b: &mut Builder, node: &Node<'_>, x: &Value, labels: &[Label]) -> Result<Term, GraphError> {
    let mut kept: Vec<Label> = Vec::new();
    let mut shape: Vec<usize> = Vec::new();
    let mut steps: Vec<isize> = Vec::new();
    for ((label, dim), stride) in labels.iter().zip(&x.shape).zip(indices::strides(&x.shape)) {
        match kept.iter().position(|other| other == label) {
            Some(axis) if shape[axis] == *dim => steps[axis] += stride as isize,
            Some(_) => return Err(node.malformed(format!("a diagonal of shape {:?}", x.shape))),
            None => {
                kept.push(*label);
                shape.push(*dim);
                steps.push(stride as isize);
            }
        }
    }
    let value = b.gather(x, &indices::walk(&shape, 0, &steps), shape)?;
    Ok(Term { value, labels: kept })
}

/// Size of each axis; those of size 1 are repeated where others are longer.
fn sizes(node: &Node<'_>, terms: &[Term]) -> Result<Vec<(Label, usize)>, GraphError> {
    let mut sizes: Vec<(Label, usize)> = Vec::new();
    for term in terms {
        for (label, dim) in term.labels.iter().zip(&term.value.shape) {
            match sizes.iter_mut().find(|(other, _)| other == label) {
                None => sizes.push((*label, *dim)),
                Some((_, size)) if *size == 1 => *size = *dim,
                Some((_, size)) if *size == *dim || *dim == 1 => {}
                Some((_, size)) => return Err(node.malformed(format!("an axis of {size} and of {dim} elements"))),
            }
        }
    }
    if sizes.iter().any(|(_, size)| *size == 0) {
        return Err(node.malformed("an axis without elements"));
    }
    Ok(sizes)
}

fn size(sizes: &[(Label, usize)], label: &Label) -> usize {
    sizes.iter().find(|(other, _)| other == label).map_or(1, |(_, size)| *size)
}

/// The term without the axes that are not kept.
fn summed(b: &mut Builder, term: &Term, keep: &dyn Fn(&Label) -> bool) -> Result<Term, GraphError> {
    let (kept, gone): (Vec<usize>, Vec<usize>) = (0..term.labels.len()).partition(|a| keep(&term.labels[*a]));
    if gone.is_empty() {
        return Ok(term.clone());
    }
    let perm: Vec<usize> = kept.iter().chain(&gone).copied().collect();
    let moved = b.transpose(&term.value, &perm)?;
    let group: usize = gone.iter().map(|a| term.value.shape[*a]).product();
    let shape: Vec<usize> = kept.iter().map(|a| term.value.shape[*a]).collect();
    let value = b.sum(&moved, group, 1.0, shape)?;
    Ok(Term { value, labels: kept.iter().map(|a| term.labels[*a]).collect() })
}

/// The term with axes in an order; those that it lacks, or has with one element, repeated.
fn arranged(b: &mut Builder, term: &Term, labels: &[Label], shape: &[usize]) -> Result<Value, GraphError> {
    b.check_size(shape)?;
    let strides = indices::strides(&term.value.shape);
    let steps: Vec<isize> = labels
        .iter()
        .map(|label| match term.labels.iter().position(|other| other == label) {
            Some(axis) if term.value.shape[axis] > 1 => strides[axis] as isize,
            _ => 0,
        })
        .collect();
    let mut out = b.gather(&term.value, &indices::walk(shape, 0, &steps), shape.to_vec())?;
    out.name.clone_from(&term.value.name);
    Ok(out)
}

/// The product of two terms, summed over the axes that are not kept; those are in both.
fn contracted(
    b: &mut Builder,
    (left, right): (&Term, &Term),
    keep: &dyn Fn(&Label) -> bool,
    sizes: &[(Label, usize)],
) -> Result<Term, GraphError> {
    let shared = |label: &Label| left.labels.contains(label) && right.labels.contains(label);
    let of = |term: &Term, filter: &dyn Fn(&Label) -> bool| -> Vec<Label> {
        term.labels.iter().copied().filter(|label| filter(label)).collect()
    };
    let batch = of(left, &|label| shared(label) && keep(label));
    let gone = of(left, &|label| !keep(label));
    let (rows, columns) = (of(left, &|label| !shared(label) && keep(label)), of(right, &|label| !shared(label)));
    let dims = |labels: &[Label]| -> Vec<usize> { labels.iter().map(|label| size(sizes, label)).collect() };
    let count = |labels: &[Label]| -> usize { dims(labels).iter().product() };
    let labels = [&batch[..], &rows, &columns].concat();
    let inner = count(&gone);
    if gone.is_empty() || (rows.is_empty() && columns.is_empty() && !batch.is_empty()) {
        // Element by element.
        let order = [&labels[..], &gone].concat();
        let shape = dims(&order);
        let (x, y) = (arranged(b, left, &order, &shape)?, arranged(b, right, &order, &shape)?);
        let product = b.mul(&x, &y)?;
        let value = b.sum(&product, inner, 1.0, dims(&labels))?;
        return Ok(Term { value, labels });
    }
    let (first, second) = ([&batch[..], &rows, &gone].concat(), [&batch[..], &gone, &columns].concat());
    let x = arranged(b, left, &first, &dims(&first))?;
    let y = arranged(b, right, &second, &dims(&second))?;
    let (batches, rows, columns) = (count(&batch), count(&rows), count(&columns));
    let x = x.reshaped(vec![batches, rows, inner]);
    let y = y.reshaped(vec![batches, inner, columns]);
    b.check(Cost::operations(batches))?;
    let mut parts = Vec::with_capacity(batches);
    for n in 0..batches {
        let (x, y) = (b.pick(&x, 0, n)?, b.pick(&y, 0, n)?);
        parts.push(matmul::matrices(b, &x, &y)?);
    }
    Ok(Term { value: b.stack(&parts, 0)?.reshaped(dims(&labels)), labels })
}

/// Determinants of small matrices: minors of the first rows, one row more at a time.
fn det(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (lead, [order, columns]) = match x.shape.split_last_chunk::<2>() {
        Some((lead, last)) => (lead.to_vec(), *last),
        None => return Err(node.malformed(format!("an input of rank {}", x.shape.len()))),
    };
    if order != columns || order == 0 {
        return Err(node.malformed(format!("matrices of {order} rows and {columns} columns")));
    }
    if order > MAX_ORDER {
        return Err(node.unsupported(
            format!("its matrices have {order} rows"),
            format!("use matrices of at most {MAX_ORDER} rows"),
        ));
    }
    let count: usize = lead.iter().product();
    // Minors by the set of their columns.
    let mut sets: Vec<u32> = (0..order).map(|column| 1 << column).collect();
    let first: Vec<usize> = (0..count * order).map(|i| i / order * order * order + i % order).collect();
    let mut minors = b.gather(x, &first, vec![count, order])?;
    for row in 1..order {
        let larger: Vec<u32> = (0..1u32 << order).filter(|set| set.count_ones() as usize == row + 1).collect();
        let terms = larger.len() * (row + 1);
        b.check_size(&[count, terms])?;
        let mut entries = Vec::with_capacity(count * terms);
        let mut cofactors = Vec::with_capacity(count * terms);
        let mut signs = Vec::with_capacity(count * terms);
        for n in 0..count {
            for set in &larger {
                for (place, column) in (0..order).filter(|column| set >> column & 1 == 1).enumerate() {
                    entries.push((n * order + row) * order + column);
                    let rest = sets.iter().position(|other| *other == set & !(1 << column)).unwrap_or(0);
                    cofactors.push(n * sets.len() + rest);
                    signs.push(if (row + place).is_multiple_of(2) { 1.0 } else { -1.0 });
                }
            }
        }
        let entries = b.gather(x, &entries, vec![count * terms])?;
        let cofactors = b.gather(&minors, &cofactors, vec![count * terms])?;
        let products = b.mul(&entries, &cofactors)?;
        let signed = b.affine(&products, signs, vec![0.0])?;
        minors = b.sum(&signed, row + 1, 1.0, vec![count, larger.len()])?;
        sets = larger;
    }
    Ok(vec![minors.reshaped(lead)])
}
