//! Reading ONNX files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tract_onnx::{
    pb::{ModelProto, NodeProto, TensorShapeProto, ValueInfoProto, tensor_shape_proto, type_proto},
    prelude::Framework,
};

use crate::{
    GraphError,
    float::{Builder, FloatGraph, MAX_ELEMENTS, Reference, Value, indices},
    onnx,
};

/// How to read a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Full shapes of inputs whose file leaves dimensions open. A first dimension that stays open
    /// is the batch, and becomes 1.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
}

/// An ONNX file whose input shapes are known and whose tensors are readable; not yet lowered.
#[derive(Debug, Clone)]
pub struct OnnxModel {
    proto: ModelProto,
    name: String,
    folder: Option<PathBuf>,
}

impl OnnxModel {
    /// Reads a file.
    ///
    /// # Errors
    /// Where the file cannot be read or is no ONNX model, or an input's shape stays open.
    pub fn open(path: &Path, options: &ImportOptions) -> Result<Self, GraphError> {
        let bytes = std::fs::read(path).map_err(|source| GraphError::File { path: path.to_owned(), source })?;
        let mut model = Self::read(&bytes, &path.display().to_string(), options)?;
        model.folder = path.parent().map(Path::to_owned);
        if model.name.is_empty() {
            model.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        Ok(model)
    }

    /// Reads a model that lies in memory; `origin` stands for its path in messages.
    ///
    /// # Errors
    /// As [`OnnxModel::open`].
    pub fn read(bytes: &[u8], origin: &str, options: &ImportOptions) -> Result<Self, GraphError> {
        let refused = |reason: String| GraphError::NotOnnx { origin: origin.to_owned(), reason };
        if bytes.is_empty() {
            return Err(refused("it is empty".to_owned()));
        }
        let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &*bytes).map_err(|e| refused(format!("{e:#}")))?;
        let Some(graph) = &mut proto.graph else {
            return Err(refused("it holds no graph".to_owned()));
        };
        let weights: Vec<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
        // Old files list weights among the inputs.
        graph.input.retain(|i| !weights.contains(&i.name));
        let known: Vec<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
        for name in options.input_shapes.keys() {
            if !known.contains(&name.as_str()) {
                return Err(GraphError::UnknownInput { input: name.clone(), known: known.join(", ") });
            }
        }
        for input in &mut graph.input {
            fix_shape(input, options)?;
        }
        let name = graph.name.clone();
        Ok(Self { proto, name, folder: None })
    }

    /// Name of the model: its graph's, or the file's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lowers the model to the float graph and prepares its reference.
    ///
    /// # Errors
    /// Where an operator, a form of one, a type or a tensor is not supported or malformed.
    pub fn lower(&self) -> Result<FloatGraph, GraphError> {
        let _span = tracing::info_span!("import", model = %self.name).entered();
        lower(self)
    }
}

/// The dimensions of an input, made concrete in place.
fn fix_shape(input: &mut ValueInfoProto, options: &ImportOptions) -> Result<(), GraphError> {
    use tensor_shape_proto::{Dimension, dimension::Value as Dim};
    let untyped = || GraphError::MalformedModel { reason: format!("input `{}` is no tensor", input.name) };
    let given = options.input_shapes.get(&input.name);
    let value = input.r#type.as_mut().and_then(|t| t.value.as_mut());
    let Some(type_proto::Value::TensorType(tensor)) = value else { return Err(untyped()) };
    let declared = tensor.shape.take();
    let dims = match (&declared, given) {
        (Some(shape), _) => shape.dim.clone(),
        (None, Some(given)) => vec![Dimension::default(); given.len()],
        (None, None) => {
            return Err(GraphError::DynamicShape { input: input.name.clone(), axis: 0, symbol: "?".to_owned() });
        }
    };
    let text = |d: &Dimension| match &d.value {
        Some(Dim::DimValue(v)) => v.to_string(),
        Some(Dim::DimParam(p)) if !p.is_empty() => p.clone(),
        _ => "?".to_owned(),
    };
    let refused = |given: &[usize]| GraphError::ShapeOverride {
        input: input.name.clone(),
        given: given.to_vec(),
        declared: format!("[{}]", dims.iter().map(text).collect::<Vec<_>>().join(", ")),
    };
    if let Some(given) = given
        && given.len() != dims.len()
    {
        return Err(refused(given));
    }
    let mut shape = Vec::with_capacity(dims.len());
    for (axis, dim) in dims.iter().enumerate() {
        let fixed = match &dim.value {
            Some(Dim::DimValue(v)) if *v > 0 => usize::try_from(*v).ok(),
            _ => None,
        };
        shape.push(match (fixed, given) {
            (Some(size), Some(given)) if given[axis] != size => return Err(refused(given)),
            (_, Some(given)) if given[axis] == 0 => return Err(refused(given)),
            (_, Some(given)) => given[axis],
            (Some(size), None) => size,
            (None, None) if axis == 0 && dims.len() > 1 => 1,
            (None, None) => {
                return Err(GraphError::DynamicShape { input: input.name.clone(), axis, symbol: text(dim) });
            }
        });
    }
    if indices::count(&shape).is_none_or(|n| n > MAX_ELEMENTS) {
        return Err(GraphError::TooLarge { tensor: input.name.clone(), shape, limit: MAX_ELEMENTS });
    }
    let dim =
        shape.iter().map(|d| Dimension { value: Some(Dim::DimValue(*d as i64)), ..Dimension::default() }).collect();
    tensor.shape = Some(TensorShapeProto { dim });
    Ok(())
}

/// Shape of an input after [`fix_shape`].
fn input_shape(input: &ValueInfoProto) -> (Vec<usize>, i32) {
    use tensor_shape_proto::dimension::Value as Dim;
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return (Vec::new(), 0);
    };
    let shape = tensor.shape.iter().flat_map(|s| &s.dim).map(|d| match d.value {
        Some(Dim::DimValue(v)) => v as usize,
        _ => 1,
    });
    (shape.collect(), tensor.elem_type)
}

fn lower(model: &OnnxModel) -> Result<FloatGraph, GraphError> {
    let malformed = |reason: String| GraphError::MalformedModel { reason };
    let Some(graph) = &model.proto.graph else {
        return Err(malformed("it holds no graph".to_owned()));
    };
    if let Some(sparse) = graph.sparse_initializer.first() {
        let tensor = sparse.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
        return Err(GraphError::ElementType { tensor, found: "sparse".to_owned() });
    }
    let opset =
        model.proto.opset_import.iter().find(|o| matches!(o.domain.as_str(), "" | "ai.onnx")).map_or(1, |o| o.version);
    let folder = model.folder.as_deref();
    let mut builder = Builder::default();
    let mut values: BTreeMap<&str, Value> = BTreeMap::new();
    for tensor in &graph.initializer {
        values.insert(&tensor.name, onnx::tensor::load(tensor, folder)?);
    }
    for input in &graph.input {
        let (shape, data_type) = input_shape(input);
        let element = onnx::tensor::element(&input.name, data_type)?;
        let value = builder.input(&input.name, shape, element);
        if values.insert(&input.name, value).is_some() {
            return Err(malformed(format!("two inputs are called `{}`", input.name)));
        }
    }
    for proto in &graph.node {
        lower_node(&mut builder, &mut values, &node(proto, opset, folder))?;
    }
    let outputs = graph
        .output
        .iter()
        .map(|o| {
            let value = values.get(o.name.as_str());
            let value = value.ok_or_else(|| malformed(format!("nothing computes output `{}`", o.name)))?;
            Ok(Value { name: o.name.clone(), ..value.clone() })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if outputs.is_empty() {
        return Err(malformed("it has no outputs".to_owned()));
    }
    let reference = Reference::new(&model.proto, folder)?;
    Ok(builder.finish(model.name.clone(), &outputs, reference))
}

fn node<'a>(proto: &'a NodeProto, opset: i64, folder: Option<&'a Path>) -> onnx::Node<'a> {
    let first = || proto.output.first().map_or("unnamed", String::as_str);
    let name = if proto.name.is_empty() { first() } else { &proto.name };
    onnx::Node { proto, name, opset, folder }
}

fn lower_node<'a>(
    builder: &mut Builder,
    values: &mut BTreeMap<&'a str, Value>,
    node: &onnx::Node<'a>,
) -> Result<(), GraphError> {
    let proto = node.proto;
    if !matches!(proto.domain.as_str(), "" | "ai.onnx") {
        return Err(GraphError::UnsupportedOperator {
            node: node.name.to_owned(),
            operator: format!("{}::{}", proto.domain, proto.op_type),
            remedy: "it belongs to a custom domain: export the model with standard ONNX operators".to_owned(),
        });
    }
    let lowering = onnx::lowering(&proto.op_type).ok_or_else(|| GraphError::UnsupportedOperator {
        node: node.name.to_owned(),
        operator: proto.op_type.clone(),
        remedy: "replace it by supported operators, or compute it outside the model".to_owned(),
    })?;
    let inputs = proto
        .input
        .iter()
        .map(|name| match (name.as_str(), values.get(name.as_str())) {
            ("", _) => Ok(None),
            (_, Some(value)) => Ok(Some(value.clone())),
            (_, None) => Err(node.malformed(format!("nothing before it computes its input `{name}`"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    builder.enter(node.name);
    let outputs = lowering(builder, node, &inputs)?;
    for (name, mut value) in proto.output.iter().zip(outputs) {
        if let Some(known) = value.known()
            && let Some((index, v)) = known.iter().enumerate().find(|(_, v)| !v.is_finite())
        {
            return Err(GraphError::NotFiniteConstant { node: node.name.to_owned(), index, value: v.to_string() });
        }
        builder.bind(name, &mut value);
        values.insert(name, value);
    }
    if let Some(name) = proto.output.iter().find(|o| !o.is_empty() && !values.contains_key(o.as_str())) {
        return Err(node.unsupported(format!("its output `{name}` is used"), "drop that output"));
    }
    Ok(())
}
