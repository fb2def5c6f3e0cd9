//! Changes that know what a model is made of.

use prost::Message;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::{DataLocation, DataType},
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use super::{Kind, Mutant, bytes, corpus::Corpus, data};

/// Numbers at which something may break.
const INTEGERS: [i64; 24] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    4,
    7,
    16,
    255,
    256,
    1000,
    65_535,
    65_536,
    1 << 20,
    1 << 24,
    i32::MAX as i64,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MIN,
    i64::MIN + 1,
    i64::MAX,
];
const REALS: [f32; 12] =
    [0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
const LOCATIONS: [&str; 6] = ["../x", "/etc/hostname", "", ".", "a/../../x", "weights.bin"];

/// Mutant number `index` under a seed.
pub(super) fn mutant(corpus: &Corpus, seed: u64, index: u64) -> Mutant {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
    let rng = &mut rng;
    if rng.gen_ratio(1, 8) {
        return data::mutant(rng, corpus);
    }
    // What compiles gets further when it is changed.
    let from = if corpus.refused.is_empty() || rng.gen_ratio(7, 8) { &corpus.models } else { &corpus.refused };
    let mut model = pick(rng, from);
    let structured = rng.gen_ratio(5, 6);
    if structured {
        for _ in 0..rng.gen_range(1..=6) {
            change(rng, corpus, &mut model);
        }
    }
    let mut encoded = model.encode_to_vec();
    if !structured {
        let other = pick(rng, &corpus.models).encode_to_vec();
        bytes::change(rng, &mut encoded, &other);
    }
    Mutant { kind: Kind::Model, bytes: encoded }
}

fn pick<T: Clone + Default>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list.choose(rng).cloned().unwrap_or_default()
}

/// A node of some model, of each operator as often as of others.
fn foreign(rng: &mut ChaCha8Rng, corpus: &Corpus) -> NodeProto {
    let operator = rng.gen_range(0..corpus.nodes.len().max(1));
    corpus.nodes.get(operator).map(|nodes| pick(rng, nodes)).unwrap_or_default()
}

fn integer(rng: &mut ChaCha8Rng) -> i64 {
    // Small ones are what gets far.
    if rng.gen_bool(0.5) { rng.gen_range(-4..=8) } else { INTEGERS[rng.gen_range(0..INTEGERS.len())] }
}

fn real(rng: &mut ChaCha8Rng) -> f32 {
    REALS[rng.gen_range(0..REALS.len())]
}

fn change(rng: &mut ChaCha8Rng, corpus: &Corpus, model: &mut ModelProto) {
    match rng.gen_range(0..40) {
        0 => {
            for opset in &mut model.opset_import {
                let versions = [-1, 0, 1, 6, 7, 8, 9, 11, 12, 13, 17, 18, 21, 24, 99, i64::MAX];
                opset.version = versions[rng.gen_range(0..versions.len())];
            }
            return;
        }
        1 => return model.functions.push(recursive(rng, model.graph.as_ref())),
        _ => {}
    }
    let Some(graph) = &mut model.graph else { return };
    match rng.gen_range(0..20) {
        0 => input(rng, graph),
        1..=3 => initializer(rng, graph),
        4..=7 => {
            if let Some(node) = graph.node.choose_mut(rng) {
                attributes(rng, node);
            }
        }
        8..=10 => ports(rng, graph),
        11 => {
            let operator = foreign(rng, corpus).op_type;
            if let Some(node) = graph.node.choose_mut(rng) {
                node.op_type = operator;
            }
        }
        12 => order(rng, graph),
        13..=18 => append(rng, corpus, graph),
        _ => nest(rng, graph),
    }
}

/// A dimension, the type or the name of an input.
fn input(rng: &mut ChaCha8Rng, graph: &mut GraphProto) {
    let Some(input) = graph.input.choose_mut(rng) else { return };
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
        return;
    };
    match rng.gen_range(0..6) {
        0 => tensor.elem_type = rng.gen_range(-1..=24),
        1 => tensor.shape = None,
        2 => input.name = if rng.gen_bool(0.5) { String::new() } else { "twice".to_owned() },
        _ => {
            let shape = tensor.shape.get_or_insert_with(TensorShapeProto::default);
            let value = Some(dimension::Value::DimValue(integer(rng)));
            let dim = Dimension { value, ..Dimension::default() };
            match (shape.dim.choose_mut(rng), rng.gen_range(0..4)) {
                (Some(_), 0) => drop(shape.dim.pop()),
                (_, 1) | (None, _) => shape.dim.push(dim),
                (Some(at), _) => *at = dim,
            }
        }
    }
}

fn initializer(rng: &mut ChaCha8Rng, graph: &mut GraphProto) {
    if graph.initializer.is_empty() {
        return;
    }
    let (at, other) = (rng.gen_range(0..graph.initializer.len()), rng.gen_range(0..graph.initializer.len()));
    match rng.gen_range(0..8) {
        0 => {
            let name = graph.initializer[at].name.clone();
            graph.initializer[at].name = std::mem::replace(&mut graph.initializer[other].name, name);
        }
        1 => drop(graph.initializer.remove(at)),
        _ => tensor(rng, &mut graph.initializer[at]),
    }
}

fn tensor(rng: &mut ChaCha8Rng, tensor: &mut TensorProto) {
    match rng.gen_range(0..10) {
        0 | 1 => match (rng.gen_range(0..3), tensor.dims.is_empty()) {
            (0, _) | (_, true) => tensor.dims.push(integer(rng)),
            (1, _) => drop(tensor.dims.pop()),
            _ => {
                let at = rng.gen_range(0..tensor.dims.len());
                tensor.dims[at] = integer(rng);
            }
        },
        2 => tensor.data_type = rng.gen_range(-1..=24),
        3 => {
            let entry =
                |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
            tensor.data_location = Some(DataLocation::External as i32);
            tensor.external_data = vec![
                entry("location", LOCATIONS[rng.gen_range(0..LOCATIONS.len())]),
                entry("offset", &integer(rng).to_string()),
                entry("length", &integer(rng).to_string()),
            ];
        }
        4 => {
            // Another constant of one element, whatever it was.
            let value = integer(rng);
            *tensor = TensorProto {
                name: tensor.name.clone(),
                dims: if rng.gen_bool(0.5) { vec![1] } else { vec![] },
                data_type: DataType::Int64 as i32,
                int64_data: vec![value],
                ..TensorProto::default()
            };
        }
        _ => element(rng, tensor),
    }
}

/// One element of a constant.
fn element(rng: &mut ChaCha8Rng, tensor: &mut TensorProto) {
    if let Some(value) = tensor.float_data.choose_mut(rng) {
        *value = real(rng);
    }
    if let Some(value) = tensor.int64_data.choose_mut(rng) {
        *value = integer(rng);
    }
    let bytes = if tensor.data_type == DataType::Float as i32 {
        real(rng).to_le_bytes().to_vec()
    } else {
        integer(rng).to_le_bytes().to_vec()
    };
    let places = tensor.raw_data.len() / bytes.len();
    if places > 0 {
        let at = rng.gen_range(0..places) * bytes.len();
        tensor.raw_data[at..at + bytes.len()].copy_from_slice(&bytes);
    }
}

fn attributes(rng: &mut ChaCha8Rng, node: &mut NodeProto) {
    if node.attribute.is_empty() || rng.gen_ratio(1, 8) {
        let names = ["axis", "axes", "keepdims", "pads", "strides", "group", "perm", "to", "mode", "kernel_shape"];
        let name = names[rng.gen_range(0..names.len())].to_owned();
        let ints = (0..rng.gen_range(0..5)).map(|_| integer(rng)).collect();
        node.attribute.push(AttributeProto { name, i: integer(rng), ints, ..AttributeProto::default() });
        return;
    }
    let at = rng.gen_range(0..node.attribute.len());
    if rng.gen_ratio(1, 10) {
        node.attribute.remove(at);
        return;
    }
    let attribute = &mut node.attribute[at];
    match AttributeType::try_from(attribute.r#type) {
        Ok(AttributeType::Int) => attribute.i = integer(rng),
        Ok(AttributeType::Float) => attribute.f = real(rng),
        Ok(AttributeType::Floats) => attribute.floats.push(real(rng)),
        Ok(AttributeType::String) => {
            let words = ["", "constant", "reflect", "SAME_UPPER", "VALID", "nearest", "linear", "reverse", "ij->ji"];
            attribute.s = words[rng.gen_range(0..words.len())].as_bytes().to_vec();
        }
        Ok(AttributeType::Tensor) => {
            if let Some(t) = &mut attribute.t {
                tensor(rng, t);
            }
        }
        Ok(AttributeType::Graph) => {
            if let Some(inner) = &mut attribute.g {
                match rng.gen_range(0..3) {
                    0 => ports(rng, inner),
                    1 => initializer(rng, inner),
                    _ => {
                        if let Some(node) = inner.node.choose_mut(rng) {
                            attributes(rng, node);
                        }
                    }
                }
            }
        }
        _ => match (rng.gen_range(0..4), attribute.ints.choose_mut(rng)) {
            (0, _) | (_, None) => attribute.ints.push(integer(rng)),
            (1, _) => drop(attribute.ints.pop()),
            (_, Some(value)) => *value = integer(rng),
        },
    }
}

/// Names that a graph has.
fn names(graph: &GraphProto) -> Vec<String> {
    let inputs = graph.input.iter().map(|i| &i.name);
    let constants = graph.initializer.iter().map(|t| &t.name);
    inputs.chain(constants).chain(graph.node.iter().flat_map(|n| &n.output)).cloned().collect()
}

/// What nodes read and write, cycles included.
fn ports(rng: &mut ChaCha8Rng, graph: &mut GraphProto) {
    let names = names(graph);
    let Some(node) = graph.node.choose_mut(rng) else { return };
    let name = if rng.gen_ratio(1, 8) { String::new() } else { pick(rng, &names) };
    let list = if rng.gen_ratio(3, 4) { &mut node.input } else { &mut node.output };
    match rng.gen_range(0..6) {
        0 => drop(list.pop()),
        1 => list.push(name),
        2 => list.shuffle(rng),
        3 => list.clear(),
        _ => {
            if let Some(at) = list.choose_mut(rng) {
                *at = name;
            }
        }
    }
}

fn order(rng: &mut ChaCha8Rng, graph: &mut GraphProto) {
    if graph.node.is_empty() {
        return;
    }
    let (at, other) = (rng.gen_range(0..graph.node.len()), rng.gen_range(0..graph.node.len()));
    match rng.gen_range(0..5) {
        0 => graph.node.swap(at, other),
        1 => graph.node.insert(other, graph.node[at].clone()),
        2 => drop(graph.node.remove(at)),
        3 => graph.node[at].domain = ["com.example", "ai.onnx", "ai.onnx.ml"][rng.gen_range(0..3)].to_owned(),
        _ => graph.output.shuffle(rng),
    }
}

/// A node from another model behind what is there, and what it gives among the outputs.
fn append(rng: &mut ChaCha8Rng, corpus: &Corpus, graph: &mut GraphProto) {
    let names = names(graph);
    let mut node = foreign(rng, corpus);
    for name in node.input.iter_mut().filter(|name| !name.is_empty()) {
        *name = pick(rng, &names);
    }
    let prefix = graph.node.len();
    for name in node.output.iter_mut().filter(|name| !name.is_empty()) {
        *name = format!("{prefix}_{name}");
    }
    if let Some(name) = node.output.first() {
        let output = ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() };
        if rng.gen_bool(0.5) {
            graph.output.clear();
        }
        graph.output.push(output);
    }
    graph.node.push(node);
}

/// The last nodes inside a loop or a branch, perhaps many deep.
fn nest(rng: &mut ChaCha8Rng, graph: &mut GraphProto) {
    let depth = [1, 1, 1, 2, 3, 30, 40][rng.gen_range(0..7)];
    for level in 0..depth {
        let Some(node) = graph.node.pop() else { return };
        let result = node.output.first().cloned().unwrap_or_default();
        let output = |name: &str| ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() };
        let constant = |name: String, value: i64, data_type: DataType| TensorProto {
            name,
            data_type: data_type as i32,
            int64_data: vec![value],
            int32_data: vec![value as i32],
            ..TensorProto::default()
        };
        let inner = |body: &str, outputs: Vec<ValueInfoProto>| AttributeProto {
            name: body.to_owned(),
            r#type: AttributeType::Graph as i32,
            g: Some(GraphProto { node: vec![node.clone()], output: outputs, ..GraphProto::default() }),
            ..AttributeProto::default()
        };
        let (count, go) = (format!("count{level}"), format!("go{level}"));
        let looped = rng.gen_bool(0.5);
        graph.initializer.push(constant(count.clone(), if looped { integer(rng) } else { 1 }, DataType::Int64));
        graph.initializer.push(constant(go.clone(), 1, DataType::Bool));
        let outer = if looped {
            NodeProto {
                op_type: "Loop".to_owned(),
                input: vec![count, go.clone()],
                output: vec![result.clone()],
                attribute: vec![inner("body", vec![output(&go), output(&result)])],
                ..NodeProto::default()
            }
        } else {
            // Only one of them goes deeper: two would double at each level.
            let other = GraphProto { output: vec![output(&result)], ..GraphProto::default() };
            let mut branches = [inner("then_branch", vec![output(&result)]), inner("else_branch", vec![])];
            branches[1].g = Some(other);
            NodeProto {
                op_type: "If".to_owned(),
                input: vec![go],
                output: vec![result.clone()],
                attribute: branches.to_vec(),
                ..NodeProto::default()
            }
        };
        graph.node.push(outer);
    }
}

/// A function in the place of an operator, which calls itself, or one that is not there, twice.
fn recursive(rng: &mut ChaCha8Rng, graph: Option<&GraphProto>) -> FunctionProto {
    let node = graph.and_then(|g| g.node.choose(rng)).cloned().unwrap_or_default();
    let input: Vec<String> = (0..node.input.len()).map(|i| format!("i{i}")).collect();
    let output: Vec<String> = (0..node.output.len()).map(|i| format!("o{i}")).collect();
    let again = NodeProto { input: input.clone(), output: output.clone(), ..node.clone() };
    let twice = NodeProto { output: output.iter().map(|o| format!("{o}_again")).collect(), ..again.clone() };
    FunctionProto {
        name: Some(node.op_type),
        domain: Some(node.domain),
        input,
        output,
        node: vec![again, twice],
        ..FunctionProto::default()
    }
}
