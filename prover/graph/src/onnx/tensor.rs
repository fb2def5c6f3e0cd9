//! Constant tensors of an ONNX file.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path},
};

use tract_onnx::pb::{
    TensorProto,
    tensor_proto::{DataLocation, DataType},
};

use crate::{
    GraphError,
    calibrate::MINUS_INFINITY,
    float::{Element, MAX_ELEMENTS, Value, indices},
};

/// Kind of numbers of an ONNX element type.
pub(crate) fn element(tensor: &str, data_type: i32) -> Result<Element, GraphError> {
    match DataType::try_from(data_type) {
        Ok(DataType::Float | DataType::Double | DataType::Float16) => Ok(Element::Real),
        Ok(
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Uint8
            | DataType::Uint16
            | DataType::Uint32
            | DataType::Uint64
            | DataType::Bool,
        ) => Ok(Element::Integer),
        Ok(other) => Err(GraphError::ElementType { tensor: tensor.to_owned(), found: other.as_str_name().to_owned() }),
        Err(_) => Err(GraphError::ElementType { tensor: tensor.to_owned(), found: format!("number {data_type}") }),
    }
}

/// Whether elements are booleans.
pub(crate) fn is_bool(data_type: i32) -> bool {
    data_type == DataType::Bool as i32
}

/// Reads an initializer or a constant; its values are finite.
pub(crate) fn load(proto: &TensorProto, folder: Option<&Path>) -> Result<Value, GraphError> {
    let value = load_any(proto, folder)?;
    // Minus infinity is what masks are made of; a weight is refused where it becomes one.
    let masked = |v: &f64| if *v == f64::NEG_INFINITY { MINUS_INFINITY } else { *v };
    let known: Vec<f64> = value.known().unwrap_or_default().iter().map(masked).collect();
    if let Some((index, v)) = known.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        let tensor = if proto.name.is_empty() { "constant" } else { &proto.name };
        return Err(GraphError::NotFiniteWeight { tensor: tensor.to_owned(), index, value: v.to_string() });
    }
    let constant = Value::constant(known, value.shape.clone(), value.element).with_data_type(value.data_type);
    Ok(Value { name: value.name, ..constant })
}

/// Reads a tensor whose values need not be finite.
pub(crate) fn load_any(proto: &TensorProto, folder: Option<&Path>) -> Result<Value, GraphError> {
    let name = if proto.name.is_empty() { "constant" } else { &proto.name };
    let element = element(name, proto.data_type)?;
    let broken = |reason: String| GraphError::TensorData { tensor: name.to_owned(), reason };
    if proto.dims.len() > super::MAX_RANK {
        return Err(broken(format!("it has {} axes, at most {} are supported", proto.dims.len(), super::MAX_RANK)));
    }
    let shape = proto
        .dims
        .iter()
        .map(|d| usize::try_from(*d).map_err(|_| broken(format!("dimension {d} is negative; export the model again"))))
        .collect::<Result<Vec<_>, _>>()?;
    let len = indices::count(&shape).filter(|n| *n <= MAX_ELEMENTS).ok_or_else(|| GraphError::TooLarge {
        tensor: name.to_owned(),
        shape: shape.clone(),
        limit: MAX_ELEMENTS,
    })?;
    let values = if proto.data_location == Some(DataLocation::External as i32) {
        let bytes = external(proto, folder, len).map_err(broken)?;
        raw(&bytes, proto.data_type)
    } else if proto.raw_data.is_empty() {
        typed(proto)
    } else {
        raw(&proto.raw_data, proto.data_type)
    };
    if values.len() != len {
        return Err(broken(format!(
            "shape {shape:?} needs {len} elements, the file has {}; export the model again",
            values.len()
        )));
    }
    let value = Value::constant(values, shape, element).with_data_type(proto.data_type);
    Ok(Value { name: proto.name.clone(), ..value })
}

/// Elements kept in the fields of their type.
fn typed(proto: &TensorProto) -> Vec<f64> {
    match DataType::try_from(proto.data_type) {
        Ok(DataType::Float) => proto.float_data.iter().map(|v| f64::from(*v)).collect(),
        Ok(DataType::Double) => proto.double_data.clone(),
        Ok(DataType::Int64) => proto.int64_data.iter().map(|v| *v as f64).collect(),
        Ok(DataType::Uint32 | DataType::Uint64) => proto.uint64_data.iter().map(|v| *v as f64).collect(),
        Ok(DataType::Float16) => proto.int32_data.iter().map(|v| half(*v as u16)).collect(),
        Ok(_) => proto.int32_data.iter().map(|v| f64::from(*v)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Little-endian elements; bytes that make no whole element are left out, so that the count of
/// elements shows them.
fn raw(bytes: &[u8], data_type: i32) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|c| read(*c)).collect()
    }
    match DataType::try_from(data_type) {
        Ok(DataType::Float) => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Ok(DataType::Double) => each(bytes, f64::from_le_bytes),
        Ok(DataType::Float16) => each(bytes, |b| half(u16::from_le_bytes(b))),
        Ok(DataType::Int8) => each(bytes, |b| f64::from(i8::from_le_bytes(b))),
        Ok(DataType::Int16) => each(bytes, |b| f64::from(i16::from_le_bytes(b))),
        Ok(DataType::Int32) => each(bytes, |b| f64::from(i32::from_le_bytes(b))),
        Ok(DataType::Int64) => each(bytes, |b| i64::from_le_bytes(b) as f64),
        Ok(DataType::Uint8) => each(bytes, |b| f64::from(u8::from_le_bytes(b))),
        Ok(DataType::Uint16) => each(bytes, |b| f64::from(u16::from_le_bytes(b))),
        Ok(DataType::Uint32) => each(bytes, |b| f64::from(u32::from_le_bytes(b))),
        Ok(DataType::Uint64) => each(bytes, |b| u64::from_le_bytes(b) as f64),
        Ok(DataType::Bool) => each(bytes, |[b]: [u8; 1]| f64::from(u8::from(b != 0))),
        _ => Vec::new(),
    }
}

/// IEEE 754 binary16.
pub(crate) fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * (-24f64).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * f64::from(e - 25).exp2(),
    }
}

/// The file of an external tensor, which has to lie in the model's folder as far as its name says.
fn location(proto: &TensorProto) -> Result<&str, String> {
    let entry = proto.external_data.iter().find(|e| e.key == "location");
    let location = entry.ok_or("its external data has no location; export the model again")?.value.as_str();
    let inside = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    if Path::new(location).components().all(inside) { Ok(location) } else { Err(outside(location)) }
}

fn outside(location: &str) -> String {
    format!("its external data `{location}` lies outside the model's folder; put the file beside the model")
}

/// Refuses a tensor whose data the file wants to have from outside the model's folder.
pub(crate) fn beside_model(proto: &TensorProto) -> Result<(), GraphError> {
    if proto.data_location != Some(DataLocation::External as i32) {
        return Ok(());
    }
    let refused = |reason| GraphError::TensorData { tensor: proto.name.clone(), reason };
    location(proto).map(|_| ()).map_err(refused)
}

/// Bytes of a tensor that lies in a file beside the model.
fn external(proto: &TensorProto, folder: Option<&Path>, len: usize) -> Result<Vec<u8>, String> {
    let entry = |key: &str| proto.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let location = location(proto)?;
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<usize>()
            .map(Some)
            .map_err(|_| format!("the {key} `{text}` of its external data is no number; export the model again")),
    };
    let folder = folder.ok_or("it is external, and the model was not read from a file; read the model by its path")?;
    let unreadable = |e: std::io::Error| {
        format!("its external data `{location}` cannot be read ({e}); put the file beside the model")
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = folder.canonicalize().map_err(unreadable)?;
    let path = folder.join(location).canonicalize().map_err(unreadable)?;
    if !path.starts_with(&folder) {
        return Err(outside(location));
    }
    if !path.is_file() {
        return Err(format!("its external data `{location}` is no file; put the file beside the model"));
    }
    let mut file = File::open(&path).map_err(unreadable)?;
    let start = number("offset")?.unwrap_or(0);
    let size = len * width(proto.data_type);
    let length = number("length")?.unwrap_or(size);
    let there = file.metadata().map_err(unreadable)?.len();
    if start.checked_add(length).is_none_or(|end| end as u64 > there) {
        return Err(format!("its external data `{location}` is shorter than the model says; copy the file again"));
    }
    // Many tensors share a file, and none of them wants all of it.
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(start as u64)).and_then(|_| file.read_exact(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

/// Bytes of one element.
fn width(data_type: i32) -> usize {
    match DataType::try_from(data_type) {
        Ok(DataType::Double | DataType::Int64 | DataType::Uint64) => 8,
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Float16 | DataType::Int16 | DataType::Uint16) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_reads_normal_subnormal_and_special_values() {
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), (-24f64).exp2());
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
