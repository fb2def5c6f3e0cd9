//! What a file leaves open, settled by values from outside: dimensions, and inputs that are structure.

use std::collections::BTreeMap;

use tract_onnx::pb::{
    GraphProto, TensorProto, TensorShapeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

use super::ImportOptions;
use crate::{
    GraphError,
    float::{MAX_ELEMENTS, indices},
    onnx,
};

/// The dimensions of an input, made concrete in place.
pub(super) fn shape(input: &mut ValueInfoProto, options: &ImportOptions) -> Result<(), GraphError> {
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
            Some(Dim::DimValue(v)) if *v >= 0 => usize::try_from(*v).ok(),
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
    if shape.len() > onnx::MAX_RANK {
        let reason = format!("input `{}` has {} axes, more than {}", input.name, shape.len(), onnx::MAX_RANK);
        return Err(GraphError::MalformedModel { reason });
    }
    if indices::count(&shape).is_none_or(|n| n > MAX_ELEMENTS) {
        return Err(GraphError::TooLarge { tensor: input.name.clone(), shape, limit: MAX_ELEMENTS });
    }
    let dim =
        shape.iter().map(|d| Dimension { value: Some(Dim::DimValue(*d as i64)), ..Dimension::default() }).collect();
    tensor.shape = Some(TensorShapeProto { dim });
    Ok(())
}

/// Shape and element type of an input after [`shape`].
pub(super) fn declared(input: &ValueInfoProto) -> (Vec<usize>, i32) {
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

/// Turns inputs into initializers that hold the values.
pub(super) fn values(graph: &mut GraphProto, fixed: &BTreeMap<String, Vec<f64>>) -> Result<(), GraphError> {
    for (name, values) in fixed {
        let Some(at) = graph.input.iter().position(|i| i.name == *name) else { continue };
        let (shape, data_type) = declared(&graph.input[at]);
        let expected = shape.iter().product();
        if values.len() != expected {
            return Err(GraphError::InputLength { input: name.clone(), expected, got: values.len() });
        }
        graph.input.remove(at);
        graph.initializer.push(tensor(name, &shape, data_type, values));
    }
    Ok(())
}

/// A tensor of the type that holds the values exactly: an input's values come from its type.
fn tensor(name: &str, shape: &[usize], data_type: i32, values: &[f64]) -> TensorProto {
    let mut tensor = TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|d| *d as i64).collect(),
        data_type,
        ..TensorProto::default()
    };
    match DataType::try_from(data_type) {
        Ok(DataType::Float) => tensor.float_data = values.iter().map(|v| *v as f32).collect(),
        Ok(DataType::Double | DataType::Float16) => {
            tensor.data_type = DataType::Double as i32;
            tensor.double_data = values.to_vec();
        }
        Ok(DataType::Int64) => tensor.int64_data = values.iter().map(|v| *v as i64).collect(),
        Ok(DataType::Uint32 | DataType::Uint64) => tensor.uint64_data = values.iter().map(|v| *v as u64).collect(),
        _ => tensor.int32_data = values.iter().map(|v| *v as i32).collect(),
    }
    tensor
}
