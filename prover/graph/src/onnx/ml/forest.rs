//! Trees as bits and choices.
//!
//! A comparison is a bit, one for each distinct rule of the whole ensemble. It compares integers, the feature's and the
//! threshold's: what rounds to the threshold's integer counts as equal to it, in every mode. A tree's value follows bottom-up: each
//! branch chooses between the values of its children, all branches of one height in one operation. Leaves are
//! integers at one scale, so that choices and sums are exact and nothing depends on calibration. Where most leaves
//! have values for many targets, products of bits along each path and one linear layer are cheaper: the layer's
//! results are rounded, once.

use std::collections::BTreeMap;

use super::{Node, dense, tiled, trees::Scores};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value},
    int::Condition,
};

/// Bits that a sum of leaves stays under.
const SUM_BITS: f64 = 27.0;

/// How many times as many rows exact sums may take as the linear layer.
const EXACTNESS: usize = 2;

/// A condition of one feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    /// It is at most this.
    AtMost(f64),
    /// It is at least this.
    AtLeast(f64),
    /// It is one of these.
    Among(Vec<f64>),
    /// None.
    Always,
}

/// What a branch leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    Branch(usize),
    Leaf(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub(super) feature: usize,
    pub(super) rule: Rule,
    pub(super) yes: Child,
    pub(super) no: Child,
}

/// How the trees' values make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gather {
    Sum,
    Average,
    Least,
    Greatest,
}

/// An ensemble.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) branches: Vec<Branch>,
    /// Targets and weights of each leaf.
    pub(super) leaves: Vec<Vec<(usize, f64)>>,
    pub(super) roots: Vec<Child>,
    pub(super) reserved: usize,
    targets: usize,
}

/// A branch's value for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Known(i64),
    At { part: usize, index: usize },
}

/// Values computed for every row: `[rows, width]` each.
#[derive(Debug, Default)]
struct Parts {
    values: Vec<Value>,
    rows: usize,
}

impl Parts {
    fn push(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len() - 1
    }

    /// `[rows, slots]`.
    fn read(&self, b: &mut Builder, slots: &[Slot]) -> Result<Value, GraphError> {
        let shape = vec![self.rows, slots.len()];
        b.check_size(&shape)?;
        let mut sources = Vec::with_capacity(self.rows * slots.len());
        for row in 0..self.rows {
            sources.extend(slots.iter().map(|slot| match *slot {
                Slot::Known(v) => FloatSource::Constant(v as f64),
                Slot::At { part, index } => {
                    FloatSource::Element(part as u32, (row * self.values[part].shape[1] + index) as u32)
                }
            }));
        }
        if slots.iter().all(|s| matches!(s, Slot::Known(_))) {
            let data = slots.iter().map(|s| if let Slot::Known(v) = s { *v as f64 } else { 0.0 });
            return Ok(Value::constant(tiled(&data.collect::<Vec<_>>(), self.rows), shape, Element::Integer));
        }
        b.assemble(&self.values, sources, shape)
    }
}

/// Branches with the bit of each, children before parents.
struct Plan {
    order: Vec<usize>,
    height: Vec<usize>,
    /// Whether no branch has two parents.
    tree: bool,
}

/// One branch and target that chooses: the bit, and the values for 1 and 0.
type Choice = (Slot, Slot, Slot);

impl Forest {
    pub(super) fn new(targets: usize) -> Self {
        Self { branches: Vec::new(), leaves: Vec::new(), roots: Vec::new(), reserved: 0, targets }
    }

    /// Adds a leaf that gives nothing yet.
    pub(super) fn leaf(&mut self) -> Child {
        self.leaves.push(Vec::new());
        Child::Leaf(self.leaves.len() - 1)
    }

    /// The index of a branch to come.
    pub(super) fn reserve(&mut self) -> usize {
        self.reserved += 1;
        self.reserved - 1
    }

    pub(super) fn give(
        &mut self,
        node: &Node<'_>,
        leaf: usize,
        (target, weight): (i64, f64),
    ) -> Result<(), GraphError> {
        let target = usize::try_from(target).ok().filter(|t| *t < self.targets);
        let target = target.ok_or_else(|| node.malformed("a leaf gives to a target that does not exist"))?;
        if !weight.is_finite() {
            return Err(node.malformed(format!("a leaf gives {weight}")));
        }
        self.leaves[leaf].push((target, weight));
        Ok(())
    }

    /// Scores of rows of features.
    pub(super) fn scores(
        mut self,
        b: &mut Builder,
        node: &Node<'_>,
        x: &Value,
        (gather, base): (Gather, &[f64]),
    ) -> Result<Scores, GraphError> {
        b.check_size(&[self.branches.len() + self.leaves.len() + 1, self.targets])?;
        let base: Vec<f64> = match base {
            [] => vec![0.0; self.targets],
            [one] => vec![*one; self.targets],
            list if list.len() == self.targets => list.to_vec(),
            list => return Err(node.malformed(format!("{} base values for {} targets", list.len(), self.targets))),
        };
        if self.roots.is_empty() {
            return Err(node.malformed("it has no trees"));
        }
        if let Some(beyond) = self.branches.iter().find(|n| n.rule != Rule::Always && n.feature >= x.shape[1]) {
            let reason = format!("a tree asks for feature {} of {}", beyond.feature as i64, x.shape[1]);
            return Err(node.malformed(reason));
        }
        if gather == Gather::Average {
            let share = 1.0 / self.roots.len() as f64;
            self.leaves.iter_mut().flatten().for_each(|(_, weight)| *weight *= share);
        }
        let plan = self.plan(node)?;
        let mut parts = Parts { values: Vec::new(), rows: x.shape[0] };
        let extreme = matches!(gather, Gather::Least | Gather::Greatest);
        if !extreme && plan.tree && self.rows_of_choices(&plan) > EXACTNESS * self.rows_of_paths(&plan) {
            let bits = self.bits(b, x, &mut parts)?;
            let reals = self.by_paths(b, node, (&mut parts, &plan, &bits), &base)?;
            return Ok(Scores { exact: None, reals });
        }
        let most = self.leaves.iter().flatten().map(|(_, w)| w.abs()).fold(0.0, f64::max);
        let bound = most * self.roots.len() as f64 + base.iter().map(|v| v.abs()).fold(0.0, f64::max);
        let scale = if bound > 0.0 { (SUM_BITS - libm::log2(bound)).floor().clamp(-30.0, 60.0) as i32 } else { 0 };
        let values = {
            let bits = self.bits(b, x, &mut parts)?;
            self.by_choices(b, (&mut parts, &plan, &bits), scale)?
        };
        let offset: Vec<i64> = base.iter().map(|v| (v * f64::from(scale).exp2()).round() as i64).collect();
        let whole = if extreme {
            self.extremes(b, node, (&parts, &values), (gather, &offset))?
        } else {
            self.totals(b, (&parts, &values), &offset)?
        };
        let reals = b.affine(&whole.with_element(Element::Real), vec![f64::from(-scale).exp2()], vec![0.0])?;
        Ok(Scores { exact: Some((whole, scale)), reals })
    }

    /// Order and heights of the branches that the roots lead to.
    fn plan(&self, node: &Node<'_>) -> Result<Plan, GraphError> {
        let n = self.branches.len();
        let (mut height, mut parents) = (vec![0usize; n], vec![0usize; n]);
        // 0 unseen, 1 under way, 2 done.
        let mut state = vec![0u8; n];
        let mut order = Vec::with_capacity(n);
        let mut stack: Vec<usize> = Vec::new();
        let ways = |at: usize| {
            let branch = &self.branches[at];
            let no = if branch.rule == Rule::Always { branch.yes } else { branch.no };
            [branch.yes, no].into_iter().filter_map(|c| if let Child::Branch(i) = c { Some(i) } else { None })
        };
        for root in &self.roots {
            let Child::Branch(root) = *root else { continue };
            parents[root] += 1;
            stack.push(root);
            while let Some(at) = stack.pop() {
                match state[at] {
                    0 => {
                        state[at] = 1;
                        stack.push(at);
                        for child in ways(at) {
                            parents[child] += 1;
                            match state[child] {
                                0 => stack.push(child),
                                1 => return Err(node.malformed("a tree leads back to one of its own nodes")),
                                _ => {}
                            }
                        }
                    }
                    1 => {
                        state[at] = 2;
                        height[at] = 1 + ways(at).map(|c| height[c]).max().unwrap_or(0);
                        order.push(at);
                    }
                    _ => {}
                }
            }
        }
        let plain = |at: &usize| parents[*at] == 1 && self.branches[*at].rule != Rule::Always;
        let tree = order.iter().all(plain);
        Ok(Plan { order, height, tree })
    }

    /// The bit of each branch: rules that are equal share one.
    fn bits(&self, b: &mut Builder, x: &Value, parts: &mut Parts) -> Result<Vec<Slot>, GraphError> {
        let whole = x.element == Element::Integer;
        let mut most: Thresholds = Thresholds::default();
        let mut least: Thresholds = Thresholds::default();
        let mut equal: Thresholds = Thresholds::default();
        // Where a rule's bits are: which list, and at which indices.
        let found: Vec<(usize, Vec<usize>)> = self
            .branches
            .iter()
            .map(|branch| match &branch.rule {
                // Between two integers one threshold is as good as another.
                Rule::AtMost(t) if whole => (0, vec![most.at(branch.feature, t.floor())]),
                Rule::AtMost(t) => (0, vec![most.at(branch.feature, *t)]),
                Rule::AtLeast(t) if whole => (1, vec![least.at(branch.feature, t.ceil())]),
                Rule::AtLeast(t) => (1, vec![least.at(branch.feature, *t)]),
                Rule::Among(set) => {
                    let met = set.iter().filter(|t| !whole || t.fract() == 0.0);
                    let mut at: Vec<usize> = met.map(|t| equal.at(branch.feature, *t)).collect();
                    at.sort_unstable();
                    at.dedup();
                    (2, at)
                }
                Rule::Always => (3, Vec::new()),
            })
            .collect();
        let lists = [
            most.bits(b, x, (-1.0, Condition::NonNegative))?,
            least.bits(b, x, (1.0, Condition::NonNegative))?,
            equal.bits(b, x, (1.0, Condition::Zero))?,
        ];
        let first = parts.values.len();
        parts.values.extend(lists);
        let mut sets: BTreeMap<Vec<usize>, Slot> = BTreeMap::new();
        let mut slots = Vec::with_capacity(found.len());
        for (list, at) in found {
            slots.push(match (list, &at[..]) {
                (3, _) => Slot::Known(1),
                (_, []) => Slot::Known(0),
                (list, [index]) => Slot::At { part: first + list, index: *index },
                (_, several) => match sets.get(several) {
                    Some(slot) => *slot,
                    None => {
                        let read: Vec<Slot> =
                            several.iter().map(|index| Slot::At { part: first + 2, index: *index }).collect();
                        let bits = parts.read(b, &read)?;
                        // At most one of several different values is met.
                        let met = b.sum(&bits, read.len(), 1.0, vec![parts.rows, 1])?;
                        let met = b.truth(&met)?;
                        let slot = Slot::At { part: parts.push(met), index: 0 };
                        sets.insert(at, slot);
                        slot
                    }
                },
            });
        }
        Ok(slots)
    }

    /// A leaf's value for one target.
    fn weight(&self, leaf: usize, target: usize) -> f64 {
        self.leaves[leaf].iter().filter(|(t, _)| *t == target).map(|(_, w)| w).sum()
    }

    /// The values of each root for each target, `[root][target]`.
    fn by_choices(
        &self,
        b: &mut Builder,
        (parts, plan, bits): (&mut Parts, &Plan, &[Slot]),
        scale: i32,
    ) -> Result<Vec<Vec<Slot>>, GraphError> {
        let unit = f64::from(scale).exp2();
        let leaf = |leaf: usize| -> Vec<Slot> {
            let mut values = vec![0.0; self.targets];
            self.leaves[leaf].iter().for_each(|(target, weight)| values[*target] += weight);
            values.iter().map(|v| Slot::Known((v * unit).round() as i64)).collect()
        };
        let mut values: Vec<Vec<Slot>> = vec![Vec::new(); self.branches.len()];
        let of = |values: &[Vec<Slot>], child: Child| match child {
            Child::Leaf(at) => leaf(at),
            Child::Branch(at) => values[at].clone(),
        };
        let mut chosen: BTreeMap<Choice, Slot> = BTreeMap::new();
        let mut order = plan.order.clone();
        order.sort_by_key(|at| plan.height[*at]);
        for level in order.chunk_by(|a, b| plan.height[*a] == plan.height[*b]) {
            let mut mixed = Level::new(parts.values.len());
            let mut choices = Level::new(parts.values.len() + 1);
            for at in level {
                let branch = &self.branches[*at];
                let (yes, no) = (of(&values, branch.yes), of(&values, branch.no));
                let pick = |(yes, no): (&Slot, &Slot)| match (bits[*at], *yes, *no) {
                    (_, yes, no) if yes == no => yes,
                    (Slot::Known(bit), yes, no) => {
                        if bit == 1 {
                            yes
                        } else {
                            no
                        }
                    }
                    choice => *chosen.entry(choice).or_insert_with(|| match (choice.1, choice.2) {
                        (Slot::Known(_), Slot::Known(_)) => mixed.add(choice),
                        _ => choices.add(choice),
                    }),
                };
                values[*at] = yes.iter().zip(&no).map(pick).collect();
            }
            let mixed = mixed.emit(b, parts)?;
            let choices = choices.emit(b, parts)?;
            parts.values.extend([mixed, choices]);
        }
        Ok(self.roots.iter().map(|root| of(&values, *root)).collect())
    }

    /// Sums over the trees, `[rows, targets]`.
    fn totals(
        &self,
        b: &mut Builder,
        (parts, values): (&Parts, &[Vec<Slot>]),
        offset: &[i64],
    ) -> Result<Value, GraphError> {
        let rows = parts.rows;
        let mut columns = Vec::with_capacity(self.targets);
        for (target, offset) in offset.iter().enumerate() {
            let (mut constant, mut read) = (*offset, Vec::new());
            for root in values {
                match root[target] {
                    Slot::Known(v) => constant += v,
                    at => read.push(at),
                }
            }
            columns.push(if read.is_empty() {
                Value::constant(vec![constant as f64; rows], vec![rows, 1], Element::Integer)
            } else {
                let terms = parts.read(b, &read)?;
                let total = b.sum(&terms, read.len(), 1.0, vec![rows, 1])?;
                b.affine(&total, vec![1.0], vec![constant as f64])?
            });
        }
        super::classes::columns(b, &columns)
    }

    /// Least or greatest values of the trees, `[rows, targets]`.
    fn extremes(
        &self,
        b: &mut Builder,
        node: &Node<'_>,
        (parts, values): (&Parts, &[Vec<Slot>]),
        (gather, offset): (Gather, &[i64]),
    ) -> Result<Value, GraphError> {
        let gives_all = |leaf: &Vec<(usize, f64)>| (0..self.targets).all(|t| leaf.iter().any(|(k, _)| *k == t));
        if !self.leaves.iter().all(gives_all) {
            return Err(node.unsupported(
                "it takes an extreme over trees, and a leaf has no value for some target",
                "give every leaf a value for every target, or use sums",
            ));
        }
        let mut best: Option<Value> = None;
        for root in values {
            let value = parts.read(b, root)?;
            best = Some(match best {
                None => value,
                Some(best) => {
                    let stays = match gather {
                        Gather::Least => b.at_least(&value, &best)?,
                        _ => b.at_least(&best, &value)?,
                    };
                    b.select(&stays, &best, &value)?
                }
            });
        }
        let best = best.ok_or_else(|| node.malformed("it has no trees"))?;
        let offset: Vec<f64> = offset.iter().map(|v| *v as f64).collect();
        b.affine(&best, vec![1.0], tiled(&offset, parts.rows))
    }

    /// Rows that [`Self::by_choices`] takes, about.
    fn rows_of_choices(&self, plan: &Plan) -> usize {
        // Whether a child's values are known, target by target: `None` where they are computed.
        let mut values: Vec<Vec<Option<u64>>> = vec![Vec::new(); self.branches.len()];
        let of = |values: &[Vec<Option<u64>>], child: Child| match child {
            Child::Leaf(at) => (0..self.targets).map(|t| Some(self.weight(at, t).to_bits())).collect(),
            Child::Branch(at) => values[at].clone(),
        };
        let mut rows = 0;
        for at in &plan.order {
            let branch = &self.branches[*at];
            let (yes, no) = (of(&values, branch.yes), of(&values, branch.no));
            values[*at] = yes.iter().zip(&no).map(|(yes, no)| if yes == no { *yes } else { None }).collect();
            rows += yes
                .iter()
                .zip(&no)
                .map(|pair| match pair {
                    (Some(a), Some(b)) if a == b => 0,
                    (Some(_), Some(_)) => 1,
                    _ => 2,
                })
                .sum::<usize>();
        }
        rows
    }

    /// Rows that [`Self::by_paths`] takes, about: its weights lie beside other values.
    fn rows_of_paths(&self, plan: &Plan) -> usize {
        (plan.order.len() * 3 / 2).max(plan.order.len() * self.targets / 4)
    }

    /// Sums by paths, `[rows, targets]`.
    ///
    /// Let `r` be the bit that a branch is reached, `a = r * bit` that its true child is, `r - a` that its false child
    /// is. A tree is its value where every answer is no, and for each branch `a` times the difference of what its
    /// children are where every answer below them is no.
    fn by_paths(
        &self,
        b: &mut Builder,
        node: &Node<'_>,
        (parts, plan, bits): (&mut Parts, &Plan, &[Slot]),
        base: &[f64],
    ) -> Result<Value, GraphError> {
        let (n, rows) = (self.targets, parts.rows);
        let mut none: Vec<Vec<f64>> = vec![Vec::new(); self.branches.len()];
        let mut steps: Vec<Vec<f64>> = vec![Vec::new(); self.branches.len()];
        let of = |none: &[Vec<f64>], child: Child| match child {
            Child::Leaf(at) => (0..n).map(|t| self.weight(at, t)).collect(),
            Child::Branch(at) => none[at].clone(),
        };
        for at in &plan.order {
            let (yes, no) = (of(&none, self.branches[*at].yes), of(&none, self.branches[*at].no));
            steps[*at] = yes.iter().zip(&no).map(|(yes, no)| yes - no).collect();
            none[*at] = no;
        }
        let mut constant = base.to_vec();
        for root in &self.roots {
            constant.iter_mut().zip(of(&none, *root)).for_each(|(c, v)| *c += v);
        }
        // Level by level: branches that are reached, and the bit that each is.
        let root = |c: &Child| if let Child::Branch(at) = c { Some((*at, Slot::Known(1))) } else { None };
        let mut level: Vec<(usize, Slot)> = self.roots.iter().filter_map(root).collect();
        let (mut read, mut weight) = (Vec::new(), Vec::new());
        while !level.is_empty() {
            let taken = taken(b, parts, &level, bits)?;
            let mut next = Vec::new();
            let mut left = Vec::new();
            for ((at, reached), taken) in level.iter().zip(&taken) {
                read.push(*taken);
                weight.extend(&steps[*at]);
                if let Child::Branch(yes) = self.branches[*at].yes {
                    next.push((yes, *taken));
                }
                if let Child::Branch(no) = self.branches[*at].no {
                    left.push((no, *reached, *taken));
                }
            }
            next.extend(not_taken(b, parts, &left)?);
            level = next;
        }
        if read.is_empty() {
            return Ok(Value::constant(tiled(&constant, rows), vec![rows, n], Element::Real));
        }
        let paths = parts.read(b, &read)?;
        dense(b, &paths, (weight, constant), node.name)
    }
}

/// `reached * bit` of each branch of a level.
fn taken(b: &mut Builder, parts: &mut Parts, level: &[(usize, Slot)], bits: &[Slot]) -> Result<Vec<Slot>, GraphError> {
    let product = |(at, reached): &&(usize, Slot)| *reached != Slot::Known(1) && !matches!(bits[*at], Slot::Known(_));
    let pairs: Vec<&(usize, Slot)> = level.iter().filter(product).collect();
    let part = if pairs.is_empty() {
        0
    } else {
        let reached = parts.read(b, &pairs.iter().map(|(_, reached)| *reached).collect::<Vec<_>>())?;
        let asked = parts.read(b, &pairs.iter().map(|(at, _)| bits[*at]).collect::<Vec<_>>())?;
        let both = b.and(&reached, &asked)?;
        parts.push(both)
    };
    let mut index = 0;
    let slot = |entry: &(usize, Slot)| match (bits[entry.0], entry.1) {
        (Slot::Known(0), _) => Slot::Known(0),
        (Slot::Known(_), reached) => reached,
        (bit, Slot::Known(1)) => bit,
        _ => {
            index += 1;
            Slot::At { part, index: index - 1 }
        }
    };
    Ok(level.iter().map(slot).collect())
}

/// `reached - taken` of branches whose false child is one.
fn not_taken(
    b: &mut Builder,
    parts: &mut Parts,
    left: &[(usize, Slot, Slot)],
) -> Result<Vec<(usize, Slot)>, GraphError> {
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let reached = parts.read(b, &left.iter().map(|(_, reached, _)| *reached).collect::<Vec<_>>())?;
    let taken = parts.read(b, &left.iter().map(|(_, _, taken)| *taken).collect::<Vec<_>>())?;
    let rest = b.add((1.0, &reached), (-1.0, &taken))?.bit();
    let part = parts.push(rest);
    Ok(left.iter().enumerate().map(|(index, (no, ..))| (*no, Slot::At { part, index })).collect())
}

/// Choices of one height that become one operation.
struct Level {
    part: usize,
    choices: Vec<Choice>,
}

impl Level {
    fn new(part: usize) -> Self {
        Self { part, choices: Vec::new() }
    }

    fn add(&mut self, choice: Choice) -> Slot {
        self.choices.push(choice);
        Slot::At { part: self.part, index: self.choices.len() - 1 }
    }

    fn emit(&self, b: &mut Builder, parts: &Parts) -> Result<Value, GraphError> {
        let list = |f: fn(&Choice) -> Slot| self.choices.iter().map(f).collect::<Vec<Slot>>();
        if self.choices.is_empty() {
            return Ok(Value::constant(Vec::new(), vec![parts.rows, 0], Element::Integer));
        }
        let bits = parts.read(b, &list(|c| c.0))?;
        let (yes, no) = (parts.read(b, &list(|c| c.1))?, parts.read(b, &list(|c| c.2))?);
        b.select(&bits, &yes, &no)
    }
}

/// Distinct thresholds of features.
#[derive(Debug, Default)]
struct Thresholds {
    known: BTreeMap<(usize, u64), usize>,
    list: Vec<(usize, f64)>,
}

impl Thresholds {
    fn at(&mut self, feature: usize, threshold: f64) -> usize {
        // Of the two zeros one.
        let threshold = threshold + 0.0;
        *self.known.entry((feature, threshold.to_bits())).or_insert_with(|| {
            self.list.push((feature, threshold));
            self.list.len() - 1
        })
    }

    /// Bits `[rows, thresholds]` of `sign * (x - threshold)`.
    fn bits(&self, b: &mut Builder, x: &Value, (sign, condition): (f64, Condition)) -> Result<Value, GraphError> {
        let (rows, features, n) = (x.shape[0], x.shape[1], self.list.len());
        b.check_size(&[rows, n])?;
        if n == 0 {
            return Ok(Value::constant(Vec::new(), vec![rows, 0], Element::Integer));
        }
        let at: Vec<usize> = (0..rows).flat_map(|r| self.list.iter().map(move |(f, _)| r * features + f)).collect();
        let spread = b.gather(x, &at, vec![rows, n])?;
        let offset: Vec<f64> = self.list.iter().map(|(_, t)| -sign * t).collect();
        let difference = b.affine(&spread, vec![sign], tiled(&offset, rows))?;
        b.indicator(&difference, condition)
    }
}
