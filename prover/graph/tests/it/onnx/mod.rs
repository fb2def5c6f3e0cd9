//! Small ONNX files, built in memory.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// A model under construction; inputs are floats unless said otherwise.
#[derive(Debug, Clone, Default)]
pub struct Onnx {
    pub graph: GraphProto,
    pub opset: i64,
}

impl Onnx {
    pub fn new() -> Self {
        let graph = GraphProto { name: "test".to_owned(), ..GraphProto::default() };
        Self { graph, opset: 17 }
    }

    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    pub fn input(self, name: &str, shape: &[i64]) -> Self {
        self.typed_input(name, shape, DataType::Float)
    }

    /// A dimension of 0 has a name in place of a size.
    pub fn typed_input(mut self, name: &str, shape: &[i64], data: DataType) -> Self {
        self.graph.input.push(value_info(name, shape, data));
        self
    }

    pub fn weight(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, attributes: &[Attribute<'_>]) -> Self {
        self.graph.node.push(NodeProto {
            name: format!("{op}_{output}"),
            op_type: op.to_owned(),
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: output.split(',').map(str::to_owned).collect(),
            attribute: attributes.iter().map(Attribute::proto).collect(),
            ..NodeProto::default()
        });
        self
    }

    /// Moves the last node to a domain.
    pub fn domain(mut self, domain: &str) -> Self {
        if let Some(node) = self.graph.node.last_mut() {
            node.domain = domain.to_owned();
        }
        self
    }

    pub fn output(mut self, name: &str) -> Self {
        let mut info = value_info(name, &[], DataType::Float);
        if let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            t.shape = None;
        }
        self.graph.output.push(info);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        ModelProto {
            ir_version: 8,
            opset_import: vec![
                OperatorSetIdProto { domain: String::new(), version: self.opset },
                OperatorSetIdProto { domain: "ai.onnx.ml".to_owned(), version: 3 },
            ],
            graph: Some(self.graph.clone()),
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

/// The result of a graph, whose type it leaves open.
pub fn output(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() }
}

/// A graph that a node holds.
pub fn graph_attribute(name: &str, graph: GraphProto) -> AttributeProto {
    let r#type = AttributeType::Graph as i32;
    AttributeProto { name: name.to_owned(), r#type, g: Some(graph), ..AttributeProto::default() }
}

/// A node by itself.
pub fn call(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    NodeProto { op_type: op.to_owned(), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

/// A model of functions from `a` to `c`, each of which is one node long, or two; the model calls `f0` on one element.
pub fn functions(bodies: &[(&str, Vec<NodeProto>)]) -> Vec<u8> {
    let model = Onnx::new().input("x", &[1]).node("f0", &["x"], "y", &[]).output("y");
    let mut proto = ModelProto::decode(model.bytes().as_slice()).unwrap();
    proto.functions = bodies
        .iter()
        .map(|(name, node)| FunctionProto {
            name: Some((*name).to_owned()),
            domain: Some(String::new()),
            input: vec!["a".to_owned()],
            output: vec!["c".to_owned()],
            node: node.clone(),
            ..FunctionProto::default()
        })
        .collect();
    proto.encode_to_vec()
}

#[derive(Debug, Clone, Copy)]
pub enum Attribute<'a> {
    Int(&'a str, i64),
    Float(&'a str, f32),
    Ints(&'a str, &'a [i64]),
    Floats(&'a str, &'a [f32]),
    Text(&'a str, &'a str),
    Texts(&'a str, &'a [&'a str]),
}

impl Attribute<'_> {
    pub fn proto(&self) -> AttributeProto {
        let empty = AttributeProto::default();
        match *self {
            Self::Int(name, i) => AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..empty },
            Self::Float(name, f) => {
                AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..empty }
            }
            Self::Ints(name, ints) => {
                AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints: ints.to_vec(), ..empty }
            }
            Self::Floats(name, floats) => AttributeProto {
                name: name.into(),
                r#type: AttributeType::Floats as i32,
                floats: floats.to_vec(),
                ..empty
            },
            Self::Texts(name, texts) => AttributeProto {
                name: name.into(),
                r#type: AttributeType::Strings as i32,
                strings: texts.iter().map(|t| t.as_bytes().to_vec()).collect(),
                ..empty
            },
            Self::Text(name, text) => AttributeProto {
                name: name.into(),
                r#type: AttributeType::String as i32,
                s: text.as_bytes().to_vec(),
                ..empty
            },
        }
    }
}

fn value_info(name: &str, shape: &[i64], data: DataType) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|d| Dimension {
            value: Some(match d {
                0 => dimension::Value::DimParam("n".to_owned()),
                d => dimension::Value::DimValue(*d),
            }),
            ..Dimension::default()
        })
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: data as i32,
                shape: Some(TensorShapeProto { dim }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// Numbers in `[-1, 1)` that look random and never change.
pub fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}
