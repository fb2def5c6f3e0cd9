use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;

use super::{
    Activation, Cost, Element, FloatGraph, FloatId, FloatNode, FloatOp, FloatSource, FloatTensor, Function, Limits,
    Quotient, Reference,
    budget::{Budget, fits},
    eval, fold, indices,
};
use crate::{GraphError, calibrate::MASKED, int::LinearShape};

/// Where a value's elements are.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Computed by the graph.
    Tensor(FloatId),
    /// Known while compiling.
    Const(Arc<Vec<f64>>),
}

/// An ONNX tensor during lowering: a reshape changes the shape here and nothing in the graph.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) data: Data,
    pub(crate) shape: Vec<usize>,
    pub(crate) element: Element,
    /// ONNX element type, which says where integers wrap around and what a logical value is.
    pub(crate) data_type: i32,
    /// Name in the ONNX file.
    pub(crate) name: String,
}

/// The widest ONNX type of a kind of numbers.
fn widest(element: Element) -> i32 {
    match element {
        Element::Real => DataType::Double as i32,
        Element::Integer => DataType::Int64 as i32,
    }
}

impl Value {
    pub(crate) fn constant(data: Vec<f64>, shape: Vec<usize>, element: Element) -> Self {
        Self { data: Data::Const(Arc::new(data)), shape, element, data_type: widest(element), name: String::new() }
    }

    pub(crate) fn with_data_type(&self, data_type: i32) -> Self {
        Self { data_type, ..self.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Elements, where they are known while compiling.
    pub(crate) fn known(&self) -> Option<&[f64]> {
        match &self.data {
            Data::Const(c) => Some(c),
            Data::Tensor(_) => None,
        }
    }

    /// The same, and the elements of what has none.
    fn elements(&self) -> Option<&[f64]> {
        if self.len() == 0 { Some(&[]) } else { self.known() }
    }

    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Self {
        Self { shape, ..self.clone() }
    }

    pub(crate) fn with_element(&self, element: Element) -> Self {
        let data_type = if element == self.element { self.data_type } else { widest(element) };
        Self { element, data_type, ..self.clone() }
    }
}

/// Builds a float graph node by node; operations on constants are evaluated at once.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    tensors: Vec<FloatTensor>,
    nodes: Vec<FloatNode>,
    inputs: Vec<FloatId>,
    scope: String,
    operator: String,
    named: Vec<bool>,
    budget: Budget,
}

impl Builder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { budget: Budget::new(limits), ..Self::default() }
    }

    /// Names of the model's inputs that a value is computed from.
    pub(crate) fn origins(&self, value: &Value) -> Vec<String> {
        let Data::Tensor(id) = value.data else { return Vec::new() };
        let mut read = vec![false; self.tensors.len()];
        read[id.0] = true;
        for node in self.nodes.iter().rev().filter(|n| n.output <= id) {
            if read[node.output.0] {
                node.inputs.iter().for_each(|i| read[i.0] = true);
            }
        }
        self.inputs.iter().filter(|i| read[i.0]).map(|i| self.tensors[i.0].name.clone()).collect()
    }

    /// The nodes so far, in the order of their outputs.
    pub(super) fn nodes(&self) -> &[FloatNode] {
        &self.nodes
    }

    /// The node that computes a tensor; an input has none.
    pub(super) fn producer(&self, id: FloatId) -> Option<FloatNode> {
        self.nodes.iter().rev().find(|n| n.output == id).cloned()
    }

    /// A tensor as a value.
    pub(super) fn tensor_of(&self, id: FloatId) -> Value {
        let FloatTensor { name, shape, element } = self.tensors[id.0].clone();
        Value { data: Data::Tensor(id), shape, element, data_type: widest(element), name }
    }

    /// Names the nodes to come, and the operator that they come from.
    pub(crate) fn enter(&mut self, node: &str, operator: &str) {
        node.clone_into(&mut self.scope);
        operator.clone_into(&mut self.operator);
    }

    /// Takes from what the model may take.
    pub(crate) fn spend(&mut self, cost: Cost) -> Result<(), GraphError> {
        self.budget.spend(&self.scope, cost)
    }

    /// Refuses what the model may not take, before it is begun.
    pub(crate) fn check(&self, cost: Cost) -> Result<(), GraphError> {
        self.budget.check(&self.scope, cost)
    }

    /// The error for operands that do not have the sizes that the operation on them needs.
    pub(super) fn misfit(&self) -> GraphError {
        GraphError::MalformedNode {
            node: self.scope.clone(),
            operator: self.operator.clone(),
            reason: "the shapes of its inputs and its attributes do not fit one another".to_owned(),
        }
    }

    fn tensor(&mut self, name: String, shape: Vec<usize>, element: Element) -> FloatId {
        self.tensors.push(FloatTensor { name, shape, element });
        self.named.push(false);
        FloatId(self.tensors.len() - 1)
    }

    /// Declares a model input.
    pub(crate) fn input(&mut self, name: &str, shape: Vec<usize>, element: Element) -> Value {
        let id = self.tensor(name.to_owned(), shape.clone(), element);
        self.named[id.0] = true;
        self.inputs.push(id);
        Value { data: Data::Tensor(id), shape, element, data_type: widest(element), name: name.to_owned() }
    }

    /// Gives a computed tensor the name that the ONNX file has for it.
    pub(crate) fn bind(&mut self, name: &str, value: &mut Value) {
        name.clone_into(&mut value.name);
        if let Data::Tensor(id) = value.data
            && !self.named[id.0]
        {
            self.named[id.0] = true;
            name.clone_into(&mut self.tensors[id.0].name);
        }
    }

    /// Refuses a tensor with more elements than are supported, before anything is made for each of them.
    pub(crate) fn check_size(&self, shape: &[usize]) -> Result<(), GraphError> {
        self.budget.check_size(&self.scope, shape)
    }

    /// Adds an operation, or evaluates it where every input is known.
    pub(crate) fn emit(&mut self, op: FloatOp, inputs: &[&Value], shape: Vec<usize>) -> Result<Value, GraphError> {
        self.check_size(&shape)?;
        let len: usize = shape.iter().product();
        if !fits(&op, inputs, len) {
            return Err(self.misfit());
        }
        let integer = inputs.iter().all(|v| v.element == Element::Integer);
        let element = match op {
            FloatOp::Add { ca, cb, c } if integer && [ca, cb, c].iter().all(|c| c.fract() == 0.0) => Element::Integer,
            FloatOp::View { .. } | FloatOp::Max { .. } if integer && !inputs.is_empty() => Element::Integer,
            FloatOp::Mul { c } | FloatOp::Sum { c, .. } if integer && c.fract() == 0.0 => Element::Integer,
            FloatOp::Affine { ref scale, ref offset }
                if integer && scale.iter().chain(offset).all(|c| c.fract() == 0.0) =>
            {
                Element::Integer
            }
            FloatOp::Floor | FloatOp::Indicator { .. } | FloatOp::Div { quotient: Quotient::Integer } => {
                Element::Integer
            }
            FloatOp::MatMul { .. } if integer => Element::Integer,
            FloatOp::Linear { ref weight, ref bias, .. }
                if integer && weight.iter().chain(bias.iter().flatten()).all(|w| is_weight(*w)) =>
            {
                Element::Integer
            }
            FloatOp::Select if inputs[1..].iter().all(|v| v.element == Element::Integer) => Element::Integer,
            _ => Element::Real,
        };
        let like = inputs.first().filter(|v| v.element == element);
        let data_type = like.map_or(widest(element), |v| v.data_type);
        let cost = Cost::operation(&op, len);
        if len == 0 {
            return Ok(Value::constant(Vec::new(), shape, element).with_data_type(data_type));
        }
        if let Some(known) = inputs.iter().map(|v| v.elements()).collect::<Option<Vec<_>>>() {
            self.spend(Cost { steps: cost.steps, ..Cost::default() })?;
            let out = eval::evaluate(&op, &known);
            return Ok(Value::constant(out, shape, element).with_data_type(data_type));
        }
        self.spend(cost)?;
        for constant in inputs.iter().filter(|v| v.known().is_some()) {
            self.spend(Cost::view(constant))?;
        }
        let ids = inputs.iter().map(|v| self.place(v)).collect();
        let output = self.tensor(format!("{}/{}", self.scope, self.tensors.len()), shape.clone(), element);
        self.nodes.push(FloatNode { name: self.scope.clone(), op, activation: Activation::None, inputs: ids, output });
        Ok(Value { data: Data::Tensor(output), shape, element, data_type, name: String::new() })
    }

    /// The tensor of a value; a constant becomes a view without inputs.
    fn place(&mut self, value: &Value) -> FloatId {
        match &value.data {
            Data::Tensor(id) => *id,
            Data::Const(c) => {
                let sources = c.iter().map(|v| FloatSource::Constant(*v)).collect();
                let output =
                    self.tensor(format!("{}/{}", self.scope, self.tensors.len()), value.shape.clone(), value.element);
                self.nodes.push(FloatNode {
                    name: self.scope.clone(),
                    op: FloatOp::View { sources },
                    activation: Activation::None,
                    inputs: Vec::new(),
                    output,
                });
                output
            }
        }
    }

    /// Elements of one value in the order of `indices`.
    pub(crate) fn gather(&mut self, value: &Value, indices: &[usize], shape: Vec<usize>) -> Result<Value, GraphError> {
        self.check_size(&shape)?;
        if indices::count(&shape) != Some(indices.len()) {
            return Err(self.misfit());
        }
        if indices.len() == value.len() && indices.iter().enumerate().all(|(i, at)| i == *at) {
            return Ok(value.reshaped(shape));
        }
        if let Some(known) = value.known() {
            let data = indices.iter().map(|i| known.get(*i).copied()).collect::<Option<Vec<_>>>();
            let data = data.ok_or_else(|| self.misfit())?;
            self.spend(Cost::steps(data.len()))?;
            return Ok(Value::constant(data, shape, value.element).with_data_type(value.data_type));
        }
        let sources = indices.iter().map(|i| FloatSource::Element(0, *i as u32)).collect();
        self.emit(FloatOp::View { sources }, &[value], shape)
    }

    /// Elements of several values, and constants, in one order.
    pub(crate) fn assemble(
        &mut self,
        parts: &[Value],
        sources: Vec<FloatSource>,
        shape: Vec<usize>,
    ) -> Result<Value, GraphError> {
        let mut computed: Vec<&Value> = Vec::new();
        let mut slot = Vec::with_capacity(parts.len());
        for part in parts {
            slot.push(computed.len() as u32);
            if part.known().is_none() {
                computed.push(part);
            }
        }
        let sources: Vec<FloatSource> = sources
            .into_iter()
            .map(|s| match s {
                FloatSource::Element(part, index) => {
                    let value = parts.get(part as usize)?;
                    Some(match value.known() {
                        Some(known) => FloatSource::Constant(*known.get(index as usize)?),
                        None => FloatSource::Element(*slot.get(part as usize)?, index),
                    })
                }
                constant => Some(constant),
            })
            .collect::<Option<_>>()
            .ok_or_else(|| self.misfit())?;
        if indices::count(&shape) != Some(sources.len()) {
            return Err(self.misfit());
        }
        if computed.is_empty() {
            self.spend(Cost::steps(sources.len()))?;
            let element = parts.first().map_or(Element::Real, |p| p.element);
            let data_type = parts.first().map_or(widest(element), |p| p.data_type);
            let data = sources
                .iter()
                .map(|s| match s {
                    FloatSource::Constant(c) => *c,
                    FloatSource::Element(..) => 0.0,
                })
                .collect();
            return Ok(Value::constant(data, shape, element).with_data_type(data_type));
        }
        self.emit(FloatOp::View { sources }, &computed, shape)
    }

    /// Axes in another order.
    pub(crate) fn transpose(&mut self, value: &Value, perm: &[usize]) -> Result<Value, GraphError> {
        let shape = perm.iter().map(|a| value.shape[*a]).collect();
        self.gather(value, &indices::permute(&value.shape, perm), shape)
    }

    /// A value repeated to a shape that it broadcasts to.
    pub(crate) fn expand(&mut self, value: &Value, shape: &[usize]) -> Result<Value, GraphError> {
        if value.shape == shape {
            return Ok(value.clone());
        }
        self.check_size(shape)?;
        self.gather(value, &indices::broadcast(&value.shape, shape), shape.to_vec())
    }

    /// `scale * x + offset`, with one coefficient or one for each element.
    pub(crate) fn affine(&mut self, value: &Value, scale: Vec<f64>, offset: Vec<f64>) -> Result<Value, GraphError> {
        let (scale, offset) = (compressed(scale), compressed(offset));
        if scale == [1.0] && offset == [0.0] {
            return Ok(value.clone());
        }
        self.emit(FloatOp::Affine { scale, offset }, &[value], value.shape.clone())
    }

    /// `ca * a + cb * b` over equal shapes.
    pub(crate) fn add(&mut self, (ca, a): (f64, &Value), (cb, b): (f64, &Value)) -> Result<Value, GraphError> {
        match (a.known(), b.known()) {
            (None, Some(b)) => {
                let offset = b.iter().map(|b| cb * b).collect();
                self.affine(a, vec![ca], offset)
            }
            (Some(a), None) => {
                let offset = a.iter().map(|a| ca * a).collect();
                self.affine(b, vec![cb], offset)
            }
            _ => self.emit(FloatOp::Add { ca, cb, c: 0.0 }, &[a, b], a.shape.clone()),
        }
    }

    /// `a * b` over equal shapes.
    pub(crate) fn mul(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        match (a.known(), b.known()) {
            (None, Some(c)) => self.affine(a, c.to_vec(), vec![0.0]),
            (Some(c), None) => self.affine(b, c.to_vec(), vec![0.0]),
            _ => self.emit(FloatOp::Mul { c: 1.0 }, &[a, b], a.shape.clone()),
        }
    }

    /// `a * a`.
    pub(crate) fn mul_self(&mut self, a: &Value) -> Result<Value, GraphError> {
        self.emit(FloatOp::Mul { c: 1.0 }, &[a, a], a.shape.clone())
    }

    /// `a / b` over equal shapes, for `0 < b`.
    pub(crate) fn div(&mut self, a: &Value, b: &Value, quotient: Quotient) -> Result<Value, GraphError> {
        self.emit(FloatOp::Div { quotient }, &[a, b], a.shape.clone())
    }

    /// `max(0, scale * x + offset)` with uniform coefficients.
    pub(crate) fn relu(&mut self, value: &Value, scale: f64, offset: f64) -> Result<Value, GraphError> {
        let op = FloatOp::Affine { scale: vec![scale], offset: vec![offset] };
        if let Some(known) = value.known() {
            let data = known.iter().map(|x| (scale * x + offset).max(0.0)).collect();
            let out = Value::constant(data, value.shape.clone(), value.element);
            return Ok(out.with_data_type(value.data_type));
        }
        let out = self.emit(op, &[value], value.shape.clone())?;
        if let (Data::Tensor(_), Some(node)) = (&out.data, self.nodes.last_mut()) {
            node.activation = Activation::Relu;
        }
        Ok(out)
    }

    /// A smooth function of each element.
    pub(crate) fn function(&mut self, value: &Value, f: Function) -> Result<Value, GraphError> {
        self.emit(FloatOp::Function { function: f, centre: 0.0 }, &[value], value.shape.clone())
    }

    /// Sums of `group` neighbours, times `c`.
    pub(crate) fn sum(&mut self, value: &Value, group: usize, c: f64, shape: Vec<usize>) -> Result<Value, GraphError> {
        if group == 1 {
            return self.affine(&value.reshaped(shape), vec![c], vec![0.0]);
        }
        self.emit(FloatOp::Sum { group, c }, &[value], shape)
    }

    /// Greatest of `group` neighbours.
    pub(crate) fn max(&mut self, value: &Value, group: usize, shape: Vec<usize>) -> Result<Value, GraphError> {
        if group == 1 {
            return Ok(value.reshaped(shape));
        }
        self.emit(FloatOp::Max { group }, &[value], shape)
    }

    /// A linear layer with known weights; the result is `[positions, width]`.
    pub(crate) fn linear(&mut self, x: &Value, layer: Layer) -> Result<Value, GraphError> {
        let shape = vec![layer.shape.positions(), layer.width];
        let Layer { shape: geometry, width, weight, bias, name } = layer;
        if let Some((index, value)) = weight.iter().enumerate().find(|(_, w)| w.abs() >= -MASKED) {
            return Err(GraphError::NotFiniteWeight { tensor: name, index, value: value.to_string() });
        }
        self.emit(FloatOp::Linear { shape: geometry, width, weight, bias, name }, &[x], shape)
    }

    /// Ends the graph: outputs are placed with their ONNX shapes and names, and the passes run.
    pub(crate) fn finish(mut self, name: String, outputs: &[Value], reference: Reference) -> FloatGraph {
        self.enter("output", "");
        let mut ids = Vec::with_capacity(outputs.len());
        for value in outputs {
            let id = self.place(value);
            let distinct = !self.inputs.contains(&id) && !ids.contains(&id);
            if distinct && self.tensors[id.0].shape == value.shape {
                value.name.clone_into(&mut self.tensors[id.0].name);
                ids.push(id);
                continue;
            }
            let sources = (0..value.len()).map(|i| FloatSource::Element(0, i as u32)).collect();
            let output = self.tensor(value.name.clone(), value.shape.clone(), value.element);
            self.nodes.push(FloatNode {
                name: value.name.clone(),
                op: FloatOp::View { sources },
                activation: Activation::None,
                inputs: vec![id],
                output,
            });
            ids.push(output);
        }
        fold::simplify(FloatGraph {
            name,
            tensors: self.tensors,
            nodes: self.nodes,
            inputs: self.inputs,
            outputs: ids,
            reference,
        })
    }
}

/// Arguments of [`Builder::linear`].
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) shape: LinearShape,
    pub(crate) width: usize,
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Option<Vec<f64>>,
    pub(crate) name: String,
}

/// Whether a number is an integer that a layer over integers takes for a weight.
fn is_weight(w: f64) -> bool {
    w.fract() == 0.0 && w.abs() < f64::from(1 << 30)
}

/// One coefficient in place of many equal ones.
fn compressed(list: Vec<f64>) -> Vec<f64> {
    match list.first() {
        Some(first) if list.iter().all(|c| c == first) => vec![*first],
        _ => list,
    }
}
