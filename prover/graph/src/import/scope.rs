//! Lowering of graphs, and of the graphs and functions inside them, node by node.

use std::{collections::BTreeMap, path::Path};

use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};

use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatGraph, Limits, Reference, Value, is_misread},
    onnx::{self, Declared, Node},
};

/// Most functions and graphs inside one another: a function that calls itself has no end.
const MAX_DEPTH: usize = 64;

/// Most iterations of all loops together.
const MAX_ITERATIONS: usize = 1 << 16;

/// Tensors by name, as a node sees them.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    values: BTreeMap<String, Value>,
    opset: i64,
    declared: Declared,
}

impl Scope {
    pub(super) fn new(opsets: &[OperatorSetIdProto]) -> Self {
        let default = opsets.iter().find(|o| matches!(o.domain.as_str(), "" | "ai.onnx"));
        Self { values: BTreeMap::new(), opset: default.map_or(1, |o| o.version), declared: Declared::new() }
    }

    /// Steps that a copy takes.
    fn cost(&self) -> usize {
        64 * self.values.len()
    }

    pub(super) fn insert(&mut self, name: &str, value: Value) -> Option<Value> {
        self.values.insert(name.to_owned(), value)
    }
}

/// Lowers a model into one builder.
pub(super) struct Lowerer<'m> {
    builder: Builder,
    functions: &'m [FunctionProto],
    folder: Option<&'m Path>,
    depth: usize,
    iterations: usize,
    beyond_tract: Option<String>,
}

impl<'m> Lowerer<'m> {
    pub(super) fn new(functions: &'m [FunctionProto], folder: Option<&'m Path>, limits: Limits) -> Self {
        Self { builder: Builder::new(limits), functions, folder, depth: 0, iterations: 0, beyond_tract: None }
    }

    /// An input of the model.
    pub(super) fn input(&mut self, name: &str, shape: Vec<usize>, data_type: i32) -> Result<Value, GraphError> {
        let element = onnx::tensor::element(name, data_type)?;
        self.builder.enter(name, "input");
        self.builder.check_size(&shape)?;
        let value = self.builder.input(name, shape, element).with_data_type(data_type);
        self.builder.spend(Cost::value(&value))?;
        if onnx::tensor::is_bool(data_type) {
            // Whatever number a prover passes, what follows is a bit.
            let mut bit = self.builder.truth(&value)?;
            name.clone_into(&mut bit.name);
            return Ok(bit);
        }
        Ok(value)
    }

    /// Why tract is not to see the model, where it would misread it or end.
    pub(super) fn beyond_tract(&self) -> Option<&str> {
        self.beyond_tract.as_deref()
    }

    pub(super) fn finish(
        mut self,
        name: String,
        outputs: &[Value],
        reference: Reference,
    ) -> Result<FloatGraph, GraphError> {
        for output in outputs {
            self.builder.enter(&output.name, "output");
            self.builder.spend(Cost::view(output))?;
        }
        Ok(self.builder.finish(name, outputs, reference))
    }

    /// Lowers a graph whose inputs the scope has; its outputs in order.
    pub(super) fn graph(&mut self, graph: &GraphProto, scope: &mut Scope) -> Result<Vec<Value>, GraphError> {
        for tensor in &graph.initializer {
            let value = onnx::tensor::load(tensor, self.folder)?;
            self.builder.spend(Cost::value(&value))?;
            scope.insert(&tensor.name, value);
        }
        scope.declared = graph.value_info.iter().chain(&graph.output).filter_map(declared).collect();
        self.nodes(&graph.node, scope)?;
        let name = |o: &tract_onnx::pb::ValueInfoProto| o.name.clone();
        results(graph.output.iter().map(name), scope)
    }

    fn nodes(&mut self, nodes: &[NodeProto], scope: &mut Scope) -> Result<(), GraphError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let reason = format!("its functions and graphs lie more than {MAX_DEPTH} deep");
            return Err(GraphError::MalformedModel { reason });
        }
        let known = std::mem::take(&mut scope.declared);
        for (at, proto) in nodes.iter().enumerate() {
            let first = || proto.output.first().map_or("unnamed", String::as_str);
            let name = if proto.name.is_empty() { first() } else { &proto.name };
            let declared = &known;
            let node = Node { proto, name, opset: scope.opset, folder: self.folder, declared };
            if let Some(name) = proto.input.iter().find(|i| !i.is_empty() && !scope.values.contains_key(i.as_str())) {
                return Err(node.malformed(not_there(name, &nodes[at..])));
            }
            self.builder.enter(node.name, &proto.op_type);
            // A call copies the node, and what happens in it sees a copy of the scope.
            self.builder.spend(Cost { memory: 0, steps: 256 + size(proto) as u64, operations: 1 })?;
            self.node(&node, scope)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn node(&mut self, node: &Node<'_>, scope: &mut Scope) -> Result<(), GraphError> {
        let proto = node.proto;
        let inputs = proto
            .input
            .iter()
            .map(|name| match (name.as_str(), scope.values.get(name.as_str())) {
                ("", _) => None,
                (_, value) => value.cloned(),
            })
            .collect::<Vec<_>>();
        if self.beyond_tract.is_none() {
            self.beyond_tract = beyond_tract(proto, scope.opset, &inputs);
        }
        let outputs = self.outputs(node, &inputs, scope).map_err(|error| match error {
            // What happens inside a branch or a function has been traced there.
            GraphError::NeedsConstant { node, operator, role, value, inputs } if inputs.is_empty() => {
                let from = scope.values.get(&*value).map(|v| self.builder.origins(v)).unwrap_or_default();
                GraphError::NeedsConstant { node, operator, role, value, inputs: from.into() }
            }
            other => other,
        })?;
        for (name, mut value) in proto.output.iter().zip(outputs) {
            if let Some(known) = value.known()
                && let Some((index, v)) = known.iter().enumerate().find(|(_, v)| !v.is_finite())
            {
                let (node, operator) = (node.name.to_owned(), proto.op_type.clone());
                return Err(GraphError::NotFiniteConstant { node, operator, index, value: v.to_string() });
            }
            if value.shape.len() > onnx::MAX_RANK {
                let reason = format!("its output `{name}` has {} axes", value.shape.len());
                return Err(node.unsupported(reason, format!("use at most {}", onnx::MAX_RANK)));
            }
            if value.known().is_some() {
                self.builder.spend(Cost::value(&value))?;
            }
            self.builder.bind(name, &mut value);
            scope.insert(name, value);
        }
        if let Some(name) = proto.output.iter().find(|o| !o.is_empty() && !scope.values.contains_key(o.as_str())) {
            return Err(node.unsupported(format!("its output `{name}` is used"), "drop that output"));
        }
        Ok(())
    }

    fn outputs(&mut self, node: &Node<'_>, inputs: &[Option<Value>], scope: &Scope) -> Result<Vec<Value>, GraphError> {
        let proto = node.proto;
        let domain = match proto.domain.as_str() {
            "ai.onnx" => "",
            other => other,
        };
        let body = self.functions.iter().find(|f| f.name() == proto.op_type && f.domain() == proto.domain);
        if let Some(body) = body {
            return self.call(node, body, inputs);
        }
        match (domain, proto.op_type.as_str()) {
            ("", "If") => return self.branch(node, inputs, scope),
            ("", "Loop") => return self.repeat(node, inputs, scope),
            ("", "Scan") => return self.scan(node, inputs, scope),
            _ => {}
        }
        match onnx::lowering(domain, &proto.op_type) {
            Some(lowering) => lowering(&mut self.builder, node, inputs),
            None if domain.is_empty() || domain == onnx::ML => Err(GraphError::UnsupportedOperator {
                node: node.name.to_owned(),
                operator: proto.op_type.clone(),
                remedy: onnx::instead_of(&proto.op_type).to_owned(),
            }),
            None => Err(GraphError::UnsupportedOperator {
                node: node.name.to_owned(),
                operator: format!("{domain}::{}", proto.op_type),
                remedy: "it belongs to a custom domain: export the model with standard ONNX operators".to_owned(),
            }),
        }
    }

    /// A function of the model, inlined.
    fn call(
        &mut self,
        node: &Node<'_>,
        body: &FunctionProto,
        inputs: &[Option<Value>],
    ) -> Result<Vec<Value>, GraphError> {
        let mut scope = Scope::new(&body.opset_import);
        for (name, value) in body.input.iter().zip(inputs) {
            if let Some(value) = value {
                scope.insert(name, value.clone());
            }
        }
        let nodes: Vec<NodeProto> = body.node.iter().map(|inner| substituted(inner, node.proto)).collect();
        self.nodes(&nodes, &mut scope)?;
        results(body.output.iter().cloned(), &scope)
    }

    /// The branch that a known condition takes; both and a choice where it is computed.
    fn branch(&mut self, node: &Node<'_>, inputs: &[Option<Value>], scope: &Scope) -> Result<Vec<Value>, GraphError> {
        let condition = node.required(inputs, 0)?;
        if condition.len() != 1 {
            return Err(node.malformed(format!("its condition has shape {:?}, not one element", condition.shape)));
        }
        self.builder.spend(Cost::steps(scope.cost()))?;
        let mut take = |role: &str| {
            let graph = node.graph(role).ok_or_else(|| node.malformed(format!("it has no {role}")))?;
            self.graph(graph, &mut scope.clone())
        };
        if let Some(known) = condition.known() {
            return take(if known.first().is_some_and(|c| *c != 0.0) { "then_branch" } else { "else_branch" });
        }
        let (then, other) = (take("then_branch")?, take("else_branch")?);
        if then.len() != other.len() || then.iter().zip(&other).any(|(a, b)| a.shape != b.shape) {
            // Only one of them can be laid out.
            node.known(inputs, 0, "condition")?;
        }
        then.iter().zip(&other).map(|(a, b)| self.builder.choose(condition, a, b)).collect()
    }

    /// A loop with a known number of iterations, unrolled.
    fn repeat(&mut self, node: &Node<'_>, inputs: &[Option<Value>], scope: &Scope) -> Result<Vec<Value>, GraphError> {
        let body = node.graph("body").ok_or_else(|| node.malformed("it has no body"))?;
        let limit = match inputs.first() {
            Some(Some(_)) => node.known(inputs, 0, "trip count")?.first().copied().unwrap_or(0.0) as usize,
            _ => usize::MAX,
        };
        let mut go = match inputs.get(1) {
            Some(Some(_)) => Some(node.required(inputs, 1)?.clone()),
            _ => None,
        };
        let mut carried: Vec<Value> =
            (2..inputs.len()).map(|i| node.required(inputs, i).cloned()).collect::<Result<_, _>>()?;
        let mut collected: Vec<Vec<Value>> = Vec::new();
        for i in 0..limit {
            if let Some(go) = &go {
                let known = go.known().ok_or_else(|| node.not_known(go, "condition"))?;
                if known.first().is_none_or(|c| *c == 0.0) {
                    break;
                }
            }
            self.iterate(node, scope)?;
            let mut inner = scope.clone();
            let counter = Value::constant(vec![i as f64], vec![], Element::Integer);
            let start = go.clone().unwrap_or_else(|| Value::constant(vec![1.0], vec![], Element::Integer));
            let given = [counter, start].into_iter().chain(carried.iter().cloned());
            for (input, value) in body.input.iter().zip(given) {
                inner.insert(&input.name, value);
            }
            let mut out = self.graph(body, &mut inner)?.into_iter();
            go = out.next();
            carried = out.by_ref().take(carried.len()).collect();
            collected.push(out.collect());
        }
        let scans = body.output.len().saturating_sub(1 + carried.len());
        let stacked = (0..scans).map(|s| self.stacked(node, &collected, s, (0, false)));
        let stacked = stacked.collect::<Result<Vec<_>, _>>()?;
        Ok(carried.into_iter().chain(stacked).collect())
    }

    /// Counts an iteration, which has a copy of the scope.
    fn iterate(&mut self, node: &Node<'_>, scope: &Scope) -> Result<(), GraphError> {
        self.builder.spend(Cost::steps(scope.cost()))?;
        self.iterations += 1;
        if self.iterations > MAX_ITERATIONS {
            return Err(
                node.unsupported(format!("the model's loops run more than {MAX_ITERATIONS} times"), "loop less often")
            );
        }
        Ok(())
    }

    /// Output number `s` of every iteration along a new axis.
    fn stacked(
        &mut self,
        node: &Node<'_>,
        collected: &[Vec<Value>],
        s: usize,
        (axis, reverse): (i64, bool),
    ) -> Result<Value, GraphError> {
        let mut parts: Vec<Value> = collected.iter().filter_map(|out| out.get(s).cloned()).collect();
        if reverse {
            parts.reverse();
        }
        let Some(first) = parts.first() else {
            return Err(node.unsupported("it runs no iteration, and its stacked output is empty", "drop that output"));
        };
        let axis = node.axis(axis, first.shape.len() + 1)?;
        if parts.iter().any(|p| p.shape != first.shape) {
            return Err(node.unsupported("its stacked outputs differ in shape", "give them one shape"));
        }
        self.builder.stack(&parts, axis)
    }

    /// A scan, unrolled over its axis.
    fn scan(&mut self, node: &Node<'_>, inputs: &[Option<Value>], scope: &Scope) -> Result<Vec<Value>, GraphError> {
        let body = node.graph("body").ok_or_else(|| node.malformed("it has no body"))?;
        let sequences = usize::try_from(node.int("num_scan_inputs").unwrap_or(1)).unwrap_or(0);
        let batched = node.opset < 9;
        if batched && inputs.first().is_some_and(Option::is_some) {
            return Err(node.unsupported("it has sequence lengths", "give every sequence its full length"));
        }
        let all = (usize::from(batched)..inputs.len())
            .map(|i| node.required(inputs, i).cloned())
            .collect::<Result<Vec<_>, _>>()?;
        if sequences == 0 || sequences > all.len() {
            return Err(node.malformed(format!("{sequences} of its {} inputs are sequences", all.len())));
        }
        // Version 8 has a batch axis in front; batches run one after the other.
        let batch = if batched { all[0].shape.first().copied().unwrap_or(0) } else { 1 };
        let mut results: Vec<Vec<Value>> = Vec::new();
        for item in 0..batch {
            let picked = all
                .iter()
                .map(|v| if batched { self.builder.pick(v, 0, item) } else { Ok(v.clone()) })
                .collect::<Result<Vec<_>, _>>()?;
            results.push(self.scan_one(node, body, &picked, sequences, scope)?);
        }
        if !batched {
            return Ok(results.pop().unwrap_or_default());
        }
        (0..body.output.len()).map(|i| self.stacked(node, &results, i, (0, false))).collect()
    }

    fn scan_one(
        &mut self,
        node: &Node<'_>,
        body: &GraphProto,
        given: &[Value],
        sequences: usize,
        scope: &Scope,
    ) -> Result<Vec<Value>, GraphError> {
        let states = given.len() - sequences;
        let at = |list: &str, i: usize| node.ints(list).and_then(|l| l.get(i)).copied().unwrap_or(0);
        let (state, sequence) = given.split_at(states);
        let axes = sequence
            .iter()
            .enumerate()
            .map(|(i, v)| node.axis(at("scan_input_axes", i), v.shape.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let steps = sequence.iter().zip(&axes).map(|(v, a)| v.shape[*a]).min().unwrap_or(0);
        let directions = if node.opset < 9 { "directions" } else { "scan_input_directions" };
        let mut state = state.to_vec();
        let mut collected = Vec::with_capacity(steps);
        for step in 0..steps {
            self.iterate(node, scope)?;
            let mut inner = scope.clone();
            for (input, value) in body.input.iter().zip(&state) {
                inner.insert(&input.name, value.clone());
            }
            for (i, value) in sequence.iter().enumerate() {
                let position = if at(directions, i) == 1 { steps - 1 - step } else { step };
                let item = self.builder.pick(value, axes[i], position)?;
                if let Some(input) = body.input.get(states + i) {
                    inner.insert(&input.name, item);
                }
            }
            let mut out = self.graph(body, &mut inner)?.into_iter();
            state = out.by_ref().take(states).collect();
            collected.push(out.collect::<Vec<_>>());
        }
        let outputs = body.output.len().saturating_sub(states);
        for s in 0..outputs {
            let order = (at("scan_output_axes", s), at("scan_output_directions", s) == 1);
            state.push(self.stacked(node, &collected, s, order)?);
        }
        Ok(state)
    }
}

/// What tract 0.23 reads as something else, or reads and cannot run: it takes the first element of an operand that has
/// none, where the process ends, and has no order of booleans.
fn beyond_tract(node: &NodeProto, opset: i64, inputs: &[Option<Value>]) -> Option<String> {
    if is_misread(node, opset) {
        return Some(format!("tract does not read the form of {} that node `{}` has", node.op_type, node.name));
    }
    let mut given = inputs.iter().flatten();
    let reason = match node.op_type.as_str() {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" if given.any(|value| value.len() == 0) => {
            Some("it computes with a tensor that has no elements")
        }
        "ReduceMax" | "ReduceMin" if given.next().is_some_and(|value| onnx::tensor::is_bool(value.data_type)) => {
            Some("it reduces booleans to the greatest or least")
        }
        _ => None,
    };
    reason.map(str::to_owned)
}

/// Name and shape of a tensor whose file gives a number for each of its axes.
fn declared(info: &ValueInfoProto) -> Option<(String, Vec<usize>)> {
    use tensor_shape_proto::dimension::Value as Dim;
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return None;
    };
    let dims = tensor.shape.as_ref()?.dim.iter().map(|d| match d.value {
        Some(Dim::DimValue(v)) => usize::try_from(v).ok(),
        _ => None,
    });
    Some((info.name.clone(), dims.collect::<Option<_>>()?))
}

/// Values of the names, in order.
fn results(names: impl Iterator<Item = String>, scope: &Scope) -> Result<Vec<Value>, GraphError> {
    names
        .map(|name| {
            let value = scope.values.get(&name).cloned();
            value.ok_or_else(|| GraphError::MalformedModel { reason: format!("nothing computes output `{name}`") })
        })
        .collect()
}

/// What to say of a name that nothing before a node computes; `from` are the node and those that follow it.
fn not_there(name: &str, from: &[NodeProto]) -> String {
    let Some(producer) = from.iter().find(|n| n.output.iter().any(|o| o == name)) else {
        return format!("nothing computes its input `{name}`, and no initializer has that name");
    };
    let producer = if producer.name.is_empty() { &producer.op_type } else { &producer.name };
    format!(
        "its input `{name}` is computed by `{producer}`, which does not come before it: there is a cycle, or the nodes are out of order"
    )
}

/// Elements and bytes that a node's attributes hold.
fn size(node: &NodeProto) -> usize {
    let tensor = |t: &TensorProto| {
        let words = t.float_data.len() + t.double_data.len() + t.int32_data.len() + t.int64_data.len();
        words + t.uint64_data.len() + t.raw_data.len() + t.dims.len()
    };
    let graph = |g: &GraphProto| {
        256 + g.initializer.iter().map(tensor).sum::<usize>() + g.node.iter().map(|n| 256 + size(n)).sum::<usize>()
    };
    let attribute = |a: &AttributeProto| {
        let lists = a.floats.len() + a.ints.len() + a.s.len() + a.strings.len();
        lists + a.t.iter().map(tensor).sum::<usize>() + a.g.iter().map(graph).sum::<usize>()
    };
    node.input.len() + node.output.len() + node.attribute.iter().map(attribute).sum::<usize>()
}

/// A node of a function with the caller's attributes in place of references to them.
fn substituted(inner: &NodeProto, caller: &NodeProto) -> NodeProto {
    let mut node = inner.clone();
    node.attribute = inner.attribute.iter().filter_map(|a| resolved(a, caller)).collect();
    node
}

fn resolved(attribute: &AttributeProto, caller: &NodeProto) -> Option<AttributeProto> {
    if attribute.ref_attr_name.is_empty() {
        let mut attribute = attribute.clone();
        if let Some(graph) = &mut attribute.g {
            graph.node = graph.node.iter().map(|inner| substituted(inner, caller)).collect();
        }
        return Some(attribute);
    }
    let given = caller.attribute.iter().find(|a| a.name == attribute.ref_attr_name)?;
    Some(AttributeProto { name: attribute.name.clone(), ..given.clone() })
}
